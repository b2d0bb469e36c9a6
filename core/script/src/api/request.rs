//! The request with its content by reference: what `guard` gets, and `route` as an optional last parameter.

use super::config::plain;
use super::head::HeadHandle;
use super::{option, text};
use crate::api::registrar::Api;
use crate::call::Host;
use crate::fault::misuse;
use crate::meter;
use rhai::{Array, Dynamic, EvalAltResult, INT, ImmutableString};
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

    /// Names of tools and speakers are content. A list without any would let pass what a guard looks for in it.
    fn segments(&self, first: u32, most: u32) -> Answer<Array> {
        Ok(listed(self.content()?.segments(first, most)))
    }
}

pub(super) fn register(api: &mut Api<'_>) {
    api.custom_type::<RequestHandle>("Request");
    api.custom_type::<SegmentInfo>("Segment");
    api.custom_type::<Hit>("Hit");
    shape(api);
    content(api);
    segments(api);
    hits(api);
}

fn shape(api: &mut Api<'_>) {
    api.getter("head", |r: &mut RequestHandle| Ok(HeadHandle::View(r.view.clone())));
    api.function("segments", |r: &mut RequestHandle| r.segments(0, u32::MAX));
    api.function("segments", |r: &mut RequestHandle, first: INT, most: INT| {
        r.segments(offset(first)?, offset(most)?)
    });
    api.function("session", |r: &mut RequestHandle| Ok(option(r.view.session().map(text))));
    api.function("header", |r: &mut RequestHandle, name: ImmutableString| {
        meter::host_call()?;
        Ok(option(r.view.header(&name).map(text)))
    });
    api.function("attr", |r: &mut RequestHandle, key: ImmutableString| {
        meter::host_call()?;
        Ok(option(r.view.attr(&key).as_deref().map(text)))
    });
}

fn content(api: &mut Api<'_>) {
    api.function("text", |r: &mut RequestHandle, segment: INT| {
        r.content()?.text(offset(segment)?, 0, u32::MAX).map_err(refused)
    });
    api.function("text", |r: &mut RequestHandle, segment: INT, start: INT, end: INT| {
        r.content()?.text(offset(segment)?, offset(start)?, offset(end)?).map_err(refused)
    });
    api.function("bytes", |r: &mut RequestHandle, segment: INT, start: INT, end: INT| {
        r.content()?.bytes(offset(segment)?, offset(start)?, offset(end)?).map_err(refused)
    });
    api.function("json", |r: &mut RequestHandle, pointer: ImmutableString, max_bytes: INT| {
        let most = offset(max_bytes)?.min(u32::try_from(r.host.most_text()).unwrap_or(u32::MAX));
        let Some(raw) = r.content()?.json(&pointer, most).map_err(refused)? else {
            return Ok(Dynamic::UNIT);
        };
        serde_json::from_str(&raw).map(|value| plain(&value)).map_err(|_| misuse("the node is no JSON"))
    });
    api.function("scan", |r: &mut RequestHandle, matcher: ImmutableString| {
        r.content()?.scan(&r.host.matchers, &matcher).map(listed).map_err(refused)
    });
}

fn segments(api: &mut Api<'_>) {
    api.getter("index", |s: &mut SegmentInfo| Ok(INT::from(s.index)));
    api.getter("bytes", |s: &mut SegmentInfo| Ok(INT::from(s.bytes)));
    api.getter("tokens", |s: &mut SegmentInfo| Ok(option(s.tokens.map(INT::from))));
    api.getter("name", |s: &mut SegmentInfo| Ok(option(s.name.as_deref().map(text))));
    api.getter("role", |s: &mut SegmentInfo| Ok(text(s.role.as_str())));
    api.getter("kind", |s: &mut SegmentInfo| Ok(text(s.kind.as_str())));
}

fn hits(api: &mut Api<'_>) {
    api.getter("pattern", |h: &mut Hit| Ok(INT::from(h.pattern)));
    api.getter("segment", |h: &mut Hit| Ok(INT::from(h.segment)));
    api.getter("start", |h: &mut Hit| Ok(INT::from(h.start)));
    api.getter("end", |h: &mut Hit| Ok(INT::from(h.end)));
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
