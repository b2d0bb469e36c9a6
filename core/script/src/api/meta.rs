//! What `guard_response` knows of a reply beside its content.

use super::usage::UsageHandle;
use super::{int, text};
use crate::api::registrar::Api;
use rhai::INT;
use std::sync::Arc;
use weir_policy::ReplyMeta;

/// Of the reply that the call is about.
#[derive(Clone)]
pub(crate) struct MetaHandle(pub(crate) Arc<ReplyMeta>);

pub(super) fn register(api: &mut Api<'_>) {
    api.custom_type::<MetaHandle>("Meta");
    api.getter("index", |m: &mut MetaHandle| Ok(INT::from(m.0.target)));
    api.getter("target", |m: &mut MetaHandle| Ok(text(&m.0.target_id)));
    api.getter("finish_reason", |m: &mut MetaHandle| Ok(text(&m.0.finish_reason)));
    api.getter("usage", |m: &mut MetaHandle| Ok(UsageHandle { usage: m.0.usage, source: Some(m.0.source) }));
    api.getter("ttft_ms", |m: &mut MetaHandle| Ok(int(m.0.ttft_ms)));
    api.getter("total_ms", |m: &mut MetaHandle| Ok(int(m.0.total_ms)));
    api.getter("attempts", |m: &mut MetaHandle| Ok(INT::from(m.0.attempts)));
}
