//! The dialect `openai-chat`: `POST /v1/chat/completions`. Only this module knows its wire format.
//!
//! - `read`: what the gateway reads of a request, with the type of every field that it acts on.
//! - `segments`: whose words stand where, for guards.
//! - `reply`, `stream`, `skim`: what a reply or its chunks say of usage, ending and errors.
//! - `answer`: a reply that no model wrote.
//! - `replay`, `collect`: a complete reply as a stream, and back.

mod answer;
mod collect;
pub(crate) mod read;
mod replay;
mod reply;
pub(crate) mod segments;
mod skim;
mod stream;
mod tally;

pub use crate::fault::{Hint, UpstreamError, error_body, upstream_error};
pub use answer::answer_body;
pub use collect::{Collector, collect};
pub use replay::replay;
pub use reply::{Reply, ReplyError};
pub use stream::{Chunk, StreamScan};
