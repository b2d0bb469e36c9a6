//! The dialect `openai-chat`: `POST /v1/chat/completions`. Only this module knows its wire format.
//!
//! - `request`: one strict parse, with the type of every field that the gateway acts on.
//! - `needs`: what a request asks a model to be able to do.
//! - `segments`: every string that carries content to the model, for guards.
//! - `encode`: splices into the body as it came: model name, usage wish, token limit, guards' edits.
//! - `reply`, `stream`, `skim`: what a reply or its chunks say of usage, ending and errors.
//! - `answer`: a reply that no model wrote.
//! - `replay`, `collect`: a complete reply as a stream, and back.

mod answer;
mod collect;
mod encode;

mod needs;
mod replay;
mod reply;
mod request;
mod segments;
mod skim;
mod stream;
mod tally;

pub use crate::fault::{Hint, UpstreamError, error_body, upstream_error};
pub use answer::answer_body;
pub use collect::{Collector, collect};
pub use encode::{Encode, SegmentEdit};
pub use needs::Needs;
pub use replay::replay;
pub use reply::{Reply, ReplyError};
pub use request::{ChatRequest, RequestError};
pub use segments::{Role, Segment, SegmentKind};
pub use stream::{Chunk, StreamScan};
