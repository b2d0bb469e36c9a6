//! The dialect `openai-responses`: `POST /v1/responses`. Only this module knows its wire format.

pub(crate) mod read;
pub(crate) mod segments;
