//! The dialect `anthropic`: `POST /v1/messages`. Only this module knows its wire format.

pub(crate) mod read;
pub(crate) mod segments;
