//! What `guard_response` knows of a reply beside its content.

use super::usage::UsageHandle;
use super::{int, text};
use rhai::{INT, Module};
use std::sync::Arc;
use weir_policy::ReplyMeta;

/// Of the reply that the call is about.
#[derive(Clone)]
pub(crate) struct MetaHandle(pub(crate) Arc<ReplyMeta>);

pub(super) fn register(module: &mut Module) {
    module.set_custom_type::<MetaHandle>("Meta");
    module.set_getter_fn("index", |m: &mut MetaHandle| Ok(INT::from(m.0.target)));
    module.set_getter_fn("target", |m: &mut MetaHandle| Ok(text(&m.0.target_id)));
    module.set_getter_fn("finish_reason", |m: &mut MetaHandle| Ok(text(&m.0.finish_reason)));
    module.set_getter_fn("usage", |m: &mut MetaHandle| {
        Ok(UsageHandle { usage: m.0.usage, source: Some(m.0.source) })
    });
    module.set_getter_fn("ttft_ms", |m: &mut MetaHandle| Ok(int(m.0.ttft_ms)));
    module.set_getter_fn("total_ms", |m: &mut MetaHandle| Ok(int(m.0.total_ms)));
    module.set_getter_fn("attempts", |m: &mut MetaHandle| Ok(INT::from(m.0.attempts)));
}
