//! The dialect `openai-chat`: `POST /v1/chat/completions`. Only this module knows its wire format.
//!
//! - `read`: what the gateway reads of a request, with the type of every field that it acts on.
//! - `segments`: whose words stand where, for guards.
//! - `reply`, `stream`, `skim`: what a reply or its chunks say of usage, ending and errors.
//! - `answer`: a reply that no model wrote.
//! - `replay`, `collect`: a complete reply as a stream, and back.
//!
//! To and from the neutral model:
//!
//! - `prompt`: a caller's body; `body`: the body for a target.
//! - `whole`: a whole reply, from a provider and for a caller.
//! - `decode`, `deltas`: a provider's stream; `encoder`: a caller's.
//! - `calls`, `thinking`, `answered`, `finish`, `tally`: what messages, deltas and replies hold.

mod answer;
mod answered;
mod body;
mod calls;
mod collect;
mod decode;
mod deltas;
mod encoder;
mod finish;
mod prompt;
pub(crate) mod read;
mod replay;
mod reply;
pub(crate) mod segments;
mod skim;
mod stream;
mod tally;
mod thinking;
mod whole;

pub use crate::fault::{Hint, UpstreamError, error_body, upstream_error};
pub use answer::answer_body;
pub use body::body;
pub use collect::{Collector, collect};
pub use decode::Decoder;
pub use encoder::Encoder;
pub use prompt::prompt;
pub use replay::replay;
pub use reply::{Reply, ReplyError};
pub use stream::{Chunk, StreamScan};
pub use whole::{read_reply, write_reply};
