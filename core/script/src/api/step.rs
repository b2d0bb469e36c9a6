//! What `stream` and `redact_stream` answer to a window, and `stream_finish` to the end: `pass()`, `edit([…])`,
//! `redacted([…])`, `hold(n)`, `window(n)`, `detach()`, `stop(deny)`; `closing()`.

use super::plan::{change, kind};
use super::redaction::{self, is_pass};
use super::request::{listed, offset, refused};
use super::text;
use crate::api::registrar::Api;
use crate::fault::misuse;
use crate::{call, meter};
use rhai::{Array, Dynamic, EvalAltResult, INT, ImmutableString};
use weir_policy::{
    AccessError, Closing, Deny, Edit, GuardVerdict, Guarded, Hit, Lane, Manifest, Next, RedactStep,
    StreamStep, TextEdit,
};

type Answer<T> = Result<T, Box<EvalAltResult>>;

/// An answer in the making; a guard has edits, a redactor spans.
#[derive(Clone)]
pub(super) struct Draft {
    edits: Vec<Edit>,
    spans: Array,
    hold: u32,
    next: Next,
}

impl Draft {
    const fn pass() -> Self {
        Self { edits: Vec::new(), spans: Array::new(), hold: 0, next: Next::More }
    }
}

/// What a `stream` function returned. There is no default: a branch that forgets to answer must not let text pass.
pub(crate) fn stream(value: Dynamic) -> Result<StreamStep, String> {
    let draft = draft(value).map_err(|value| {
        let found = kind(&value);
        format!("`stream` answered with {found}; say pass(), edit([…]), hold(n), window(n), detach() or stop(deny)")
    })?;
    if !draft.spans.is_empty() {
        return Err("`stream` answers with edit([…]); redacted([…]) is for `redact_stream`".into());
    }
    let edits = draft.edits.into_iter().map(|edit| match edit {
        Edit { segment: 0, start, end, replace } => Ok(TextEdit { start, end, replace }),
        _ => Err("a stream has one text: edit(start, end, replacement)".to_owned()),
    });
    Ok(StreamStep { edits: edits.collect::<Result<_, _>>()?, hold: draft.hold, next: draft.next })
}

/// What a `redact_stream` function returned.
pub(crate) fn redact(value: Dynamic, manifest: &Manifest) -> Result<RedactStep, String> {
    let draft = match value.try_cast_result::<Array>() {
        Ok(spans) => Draft { spans, ..Draft::pass() },
        Err(value) => draft(value).map_err(|value| {
            let found = kind(&value);
            format!("`redact_stream` answered with {found}; say pass(), redacted([…]), hold(n) or stop(deny)")
        })?,
    };
    if !draft.edits.is_empty() {
        return Err("`redact_stream` answers with redacted([span(…), …]), not with edits".into());
    }
    let spans = redaction::resolved(draft.spans, manifest)?;
    Ok(RedactStep { spans, hold: draft.hold, next: draft.next })
}

/// What a `stream_finish` function returned; nothing is nothing found.
pub(crate) fn closing(value: Dynamic) -> Result<Closing, String> {
    if value.is_unit() || is_pass(&value) {
        return Ok(Closing::default());
    }
    value
        .try_cast_result::<Closing>()
        .map_err(|value| format!("`stream_finish` answered with {}; say closing()", kind(&value)))
}

fn draft(value: Dynamic) -> Result<Draft, Dynamic> {
    let value = match value.try_cast_result::<Draft>() {
        Ok(draft) => return Ok(draft),
        Err(value) => value,
    };
    let edits = value.read_lock::<GuardVerdict>().and_then(|verdict| of_verdict(&verdict));
    edits.ok_or(value)
}

/// `pass()` and `edit([…])` are words of the guards too.
fn of_verdict(verdict: &GuardVerdict) -> Option<Draft> {
    if !verdict.findings.is_empty() || !verdict.tags.is_empty() {
        return None;
    }
    match &verdict.outcome {
        Guarded::Pass => Some(Draft::pass()),
        Guarded::Edit(edits) => Some(Draft { edits: edits.clone(), ..Draft::pass() }),
        Guarded::Block(_) | Guarded::Answer(_) => None,
    }
}

pub(super) fn register(api: &mut Api<'_>) {
    api.custom_type::<Draft>("Step");
    api.custom_type::<Lane>("Lane");
    api.custom_type::<Closing>("Closing");
    api.getter("choice", |lane: &mut Lane| Ok(INT::from(lane.choice)));
    api.getter("kind", |lane: &mut Lane| Ok(text(lane.kind.as_str())));
    api.getter("index", |lane: &mut Lane| Ok(INT::from(lane.index)));
    api.function("closing", || Ok(Closing::default()));
    api.function("redacted", |spans: Array| Ok(Draft { spans, ..Draft::pass() }));
    api.function("scan", |matcher: ImmutableString, text: ImmutableString| scan(&matcher, &text));
    nexts(api);
}

/// Each stands for an answer of its own and follows another one: `hold(8)`, `edit([…]).hold(8)`.
fn nexts(api: &mut Api<'_>) {
    api.function("hold", |bytes: INT| held(&mut Draft::pass(), bytes));
    api.function("hold", |draft: &mut Draft, bytes: INT| held(draft, bytes));
    api.function("hold", |verdict: &mut GuardVerdict, bytes: INT| held(&mut begun(verdict)?, bytes));
    api.function("window", |bytes: INT| and(&mut Draft::pass(), Next::Window(offset(bytes)?)));
    api.function("window", |draft: &mut Draft, bytes: INT| and(draft, Next::Window(offset(bytes)?)));
    api.function("window", |verdict: &mut GuardVerdict, bytes: INT| {
        and(&mut begun(verdict)?, Next::Window(offset(bytes)?))
    });
    api.function("detach", || and(&mut Draft::pass(), Next::Detach));
    api.function("detach", |draft: &mut Draft| and(draft, Next::Detach));
    api.function("detach", |verdict: &mut GuardVerdict| and(&mut begun(verdict)?, Next::Detach));
    api.function("stop", |deny: Deny| and(&mut Draft::pass(), Next::Stop(deny)));
    api.function("stop", |draft: &mut Draft, deny: Deny| and(draft, Next::Stop(deny)));
    api.function("stop", |verdict: &mut GuardVerdict, deny: Deny| {
        and(&mut begun(verdict)?, Next::Stop(deny))
    });
}

fn begun(verdict: &GuardVerdict) -> Answer<Draft> {
    of_verdict(verdict).ok_or_else(|| misuse("a window passes or is edited; end the stream with stop(deny)"))
}

fn held(draft: &mut Draft, bytes: INT) -> Answer<Draft> {
    let bytes = offset(bytes)?;
    Ok(change(draft, |draft| draft.hold = bytes))
}

fn and(draft: &mut Draft, next: Next) -> Answer<Draft> {
    Ok(change(draft, |draft| draft.next = next))
}

/// Every hit of a matcher of the manifest in a text; `segment` is 0.
fn scan(matcher: &str, text: &str) -> Answer<Array> {
    meter::host_call()?;
    call::plain(|call| {
        let found = call.matchers().scan(matcher, text).ok_or_else(|| refused(AccessError::NotGranted))?;
        let hits = found.map_err(|_| refused(AccessError::Budget))?;
        let hits = hits.into_iter();
        Ok(listed(
            hits.map(|hit| Hit { pattern: hit.pattern, segment: 0, start: hit.start, end: hit.end })
                .collect(),
        ))
    })
}
