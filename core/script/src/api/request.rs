//! The request with its content by reference: what `guard` gets, and `route` as an optional last parameter.

use super::config::plain;
use super::head::HeadHandle;
use super::{option, text};
use crate::call::Host;
use crate::fault::misuse;
use crate::meter;
use rhai::{Array, Dynamic, EvalAltResult, INT, ImmutableString, Module};
use std::sync::Arc;
use weir_policy::{AccessError, Hit, RequestView, SegmentInfo};

/// The request of the current call, or the reply to it. Content is read only if the manifest says `reads: content`.
#[derive(Clone)]
pub(crate) struct RequestHandle {
    pub(crate) view: Arc<RequestView>,
    pub(crate) host: Arc<Host>,
}

type Answer<T> = Result<T, Box<EvalAltResult>>;

impl RequestHandle {
    fn content(&self) -> Answer<&RequestView> {
        meter::host_call()?;
        if self.host.reads_content() {
            Ok(&self.view)
        } else {
            Err(misuse("not-granted: the manifest says `reads: head`"))
        }
    }
}

pub(super) fn register(module: &mut Module) {
    module.set_custom_type::<RequestHandle>("Request");
    module.set_custom_type::<SegmentInfo>("Segment");
    module.set_custom_type::<Hit>("Hit");
    shape(module);
    content(module);
    segments(module);
    hits(module);
}

fn shape(module: &mut Module) {
    module.set_getter_fn("head", |r: &mut RequestHandle| Ok(HeadHandle::View(r.view.clone())));
    module.set_native_fn("segments", |r: &mut RequestHandle| {
        meter::host_call()?;
        Ok(listed(r.view.segments(0, u32::MAX)))
    });
    module.set_native_fn("segments", |r: &mut RequestHandle, first: INT, most: INT| {
        meter::host_call()?;
        Ok(listed(r.view.segments(offset(first)?, offset(most)?)))
    });
    module.set_native_fn("session", |r: &mut RequestHandle| Ok(option(r.view.session().map(text))));
    module.set_native_fn("header", |r: &mut RequestHandle, name: ImmutableString| {
        meter::host_call()?;
        Ok(option(r.view.header(&name).map(text)))
    });
    module.set_native_fn("attr", |r: &mut RequestHandle, key: ImmutableString| {
        meter::host_call()?;
        Ok(option(r.view.attr(&key).as_deref().map(text)))
    });
}

fn content(module: &mut Module) {
    module.set_native_fn("text", |r: &mut RequestHandle, segment: INT| {
        r.content()?.text(offset(segment)?, 0, u32::MAX).map_err(refused)
    });
    module.set_native_fn("text", |r: &mut RequestHandle, segment: INT, start: INT, end: INT| {
        r.content()?.text(offset(segment)?, offset(start)?, offset(end)?).map_err(refused)
    });
    module.set_native_fn("bytes", |r: &mut RequestHandle, segment: INT, start: INT, end: INT| {
        r.content()?.bytes(offset(segment)?, offset(start)?, offset(end)?).map_err(refused)
    });
    module.set_native_fn("json", |r: &mut RequestHandle, pointer: ImmutableString, max_bytes: INT| {
        let Some(raw) = r.content()?.json(&pointer, offset(max_bytes)?).map_err(refused)? else {
            return Ok(Dynamic::UNIT);
        };
        serde_json::from_str(&raw).map(|value| plain(&value)).map_err(|_| misuse("the node is no JSON"))
    });
    module.set_native_fn("scan", |r: &mut RequestHandle, matcher: ImmutableString| {
        r.content()?.scan(&r.host.matchers, &matcher).map(listed).map_err(refused)
    });
}

fn segments(module: &mut Module) {
    module.set_getter_fn("index", |s: &mut SegmentInfo| Ok(INT::from(s.index)));
    module.set_getter_fn("bytes", |s: &mut SegmentInfo| Ok(INT::from(s.bytes)));
    module.set_getter_fn("tokens", |s: &mut SegmentInfo| Ok(option(s.tokens.map(INT::from))));
    module.set_getter_fn("name", |s: &mut SegmentInfo| Ok(option(s.name.as_deref().map(text))));
    module.set_getter_fn("role", |s: &mut SegmentInfo| Ok(text(s.role.as_str())));
    module.set_getter_fn("kind", |s: &mut SegmentInfo| Ok(text(s.kind.as_str())));
}

fn hits(module: &mut Module) {
    module.set_getter_fn("pattern", |h: &mut Hit| Ok(INT::from(h.pattern)));
    module.set_getter_fn("segment", |h: &mut Hit| Ok(INT::from(h.segment)));
    module.set_getter_fn("start", |h: &mut Hit| Ok(INT::from(h.start)));
    module.set_getter_fn("end", |h: &mut Hit| Ok(INT::from(h.end)));
}

/// As an array of values.
pub(super) fn listed<T: Clone + Send + Sync + 'static>(items: Vec<T>) -> Array {
    items.into_iter().map(Dynamic::from).collect()
}

/// A segment number or a byte offset.
pub(super) fn offset(value: INT) -> Answer<u32> {
    u32::try_from(value).map_err(|_| misuse("an offset is a whole number from 0"))
}

/// Raises the WIT's word.
pub(super) fn refused(error: AccessError) -> Box<EvalAltResult> {
    misuse(error.as_str())
}
