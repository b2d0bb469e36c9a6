//! The dialect `anthropic`: `POST /v1/messages`. Only this module knows its wire format.
