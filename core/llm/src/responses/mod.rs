//! The dialect `openai-responses`: `POST /v1/responses`. Only this module knows its wire format.
//!
//! # Layout
//!
//! - `wire`: words and members that several of the files below read.
//! - `read`: the strict parse. `segments`: whose words stand where, for guards.
//! - `prompt`, `parts`: a caller's body as a prompt. `spaces`: namespaces of its tools. `state`: what in it asks for
//!   state on the server.
//! - `body`, `input`, `media`, `tools`: a prompt as a body for a provider.
//! - `reply`, `decode`: a provider's reply, whole and streamed.
//! - `write`, `encode`: a reply for a caller, whole and streamed. `echo`: the Response object and what of the request it
//!   repeats; `items`: one output item; `part`: a message's content; `blocks`: the events of one streamed item.
//! - `track`: a stream that passes through, and how to end it.
//! - `replay`: a whole reply as a stream, item by item.
//! - `usage`: tokens.

mod blocks;
mod body;
mod decode;
mod echo;
mod encode;
mod input;
mod items;
mod media;
mod part;
mod parts;
mod prompt;
pub(crate) mod read;
mod replay;
mod reply;
pub(crate) mod segments;
mod spaces;
mod tools;
mod track;
mod usage;
mod wire;
mod write;

pub use body::body;
pub use decode::Decoder;
pub use encode::Encoder;
pub use prompt::prompt;
pub use replay::replay;
pub use reply::read_reply;
pub use track::Track;
pub(crate) use wire::is_own;
pub use write::write_reply;
