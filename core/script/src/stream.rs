//! Streams: a script has no objects, so what it wants to know of the windows before is in `state`, a value that lives as
//! long as the stream and that its functions may change.

use crate::api::head::HeadHandle;
use crate::api::step;
use crate::api::usage::UsageHandle;
use crate::call::Seen;
use crate::engine::Sizes;
use crate::shapes::Found;
use crate::version::Version;
use rhai::{Array, Blob, Dynamic, ImmutableString, Map};
use std::sync::Arc;
use weir_llm::usage::Usage;
use weir_policy::{
    Closing, Direction, Fault, FaultKind, Lane, RedactStep, RequestView, StreamGuard, StreamRedactor,
    StreamStep,
};

/// Deepest nesting of a state.
const DEPTH: usize = 16;

/// What the two kinds of streams have in common.
struct Stream {
    version: Arc<Version>,
    view: Arc<RequestView>,
    found: Found,
    /// Shared with the script's variable for the length of a call.
    state: Dynamic,
    most_bytes: usize,
}

impl Stream {
    fn new(version: &Arc<Version>, view: &Arc<RequestView>, found: Found, state: Dynamic) -> Self {
        let most_bytes = Sizes::within(version.manifest().limits.memory_bytes).string;
        let (version, view) = (Arc::clone(version), Arc::clone(view));
        Self { version, view, found, state: state.into_shared(), most_bytes }
    }

    fn ask<T>(
        &self,
        found: Found,
        arguments: &mut [Dynamic],
        read: impl FnOnce(Dynamic) -> Result<T, String>,
    ) -> Result<T, Fault> {
        let answer = self.version.ask(found, Seen::Window(Arc::clone(&self.view)), arguments, read)?;
        self.check_state(found)?;
        Ok(answer)
    }

    fn config(&self) -> Dynamic {
        config(&self.version)
    }

    /// Rhai bounds one value in one call; a state may grow from call to call.
    fn check_state(&self, found: Found) -> Result<(), Fault> {
        let bytes = self.state.read_lock::<Dynamic>().and_then(|state| size(&state, DEPTH));
        match bytes {
            Some(bytes) if bytes <= self.most_bytes => Ok(()),
            Some(_) => {
                let message = format!("the state of the stream is larger than {} bytes", self.most_bytes);
                Err(self.version.fault(FaultKind::Memory, found.position, message))
            }
            None => Err(self.version.bad(
                found,
                "the state of a stream holds texts, numbers, flags, arrays and maps, not nested too deep",
            )),
        }
    }
}

fn head(view: &Arc<RequestView>) -> Dynamic {
    Dynamic::from(HeadHandle::View(Arc::clone(view)))
}

fn config(version: &Version) -> Dynamic {
    Dynamic::from(version.config.clone())
}

/// About how many bytes a state takes; `None` if it holds what it may not, or is nested too deep.
fn size(value: &Dynamic, left: usize) -> Option<usize> {
    let left = left.checked_sub(1)?;
    if let Some(text) = value.read_lock::<ImmutableString>() {
        return Some(16 + text.len());
    }
    if let Some(items) = value.read_lock::<Array>() {
        return items.iter().try_fold(16, |sum, item| Some(sum + size(item, left)?));
    }
    if let Some(fields) = value.read_lock::<Map>() {
        return fields
            .iter()
            .try_fold(16, |sum, (name, field)| Some(sum + 64 + name.len() + size(field, left)?));
    }
    if let Some(blob) = value.read_lock::<Blob>() {
        return Some(16 + blob.len());
    }
    let plain = value.is_unit() || value.is_int() || value.is_bool() || value.is_float() || value.is_char();
    plain.then_some(16)
}

/// A guard of one stream.
pub(crate) struct Guard(Stream);

impl Guard {
    /// Begins with what `stream_open` answers, or with an empty map.
    pub(crate) fn open(version: &Arc<Version>, view: &Arc<RequestView>) -> Result<Self, Fault> {
        let found = version.found("stream")?;
        let state = match version.function("stream_open") {
            Some(open) => version.call(open, Seen::request(view), &mut [head(view), config(version)])?,
            None => Map::new().into(),
        };
        let guard = Self(Stream::new(version, view, found, state));
        guard.0.check_state(found)?;
        Ok(guard)
    }
}

impl StreamGuard for Guard {
    fn push(&mut self, lane: Lane, text: &str, last: bool) -> Result<StreamStep, Fault> {
        let stream = &self.0;
        let mut arguments =
            [stream.state.clone(), Dynamic::from(lane), text.into(), last.into(), stream.config()];
        stream.ask(stream.found, &mut arguments, step::stream)
    }

    fn finish(&mut self, usage: &Usage) -> Result<Closing, Fault> {
        let stream = &self.0;
        let Some(finish) = stream.version.function("stream_finish") else { return Ok(Closing::default()) };
        let usage = Dynamic::from(UsageHandle { usage: *usage, source: None });
        stream.ask(finish, &mut [stream.state.clone(), usage, stream.config()], step::closing)
    }
}

/// A redactor of one stream.
pub(crate) struct Redactor(Stream);

impl Redactor {
    /// Begins with what `redact_open` answers, or with an empty map.
    pub(crate) fn new(version: &Arc<Version>, view: &Arc<RequestView>) -> Result<Self, Fault> {
        let found = version.found("redact_stream")?;
        let state = match version.function("redact_open") {
            Some(open) => {
                let mut arguments = [Direction::Reply.as_str().into(), head(view), config(version)];
                version.call(open, Seen::request(view), &mut arguments)?
            }
            None => Map::new().into(),
        };
        let redactor = Self(Stream::new(version, view, found, state));
        redactor.0.check_state(found)?;
        Ok(redactor)
    }
}

impl StreamRedactor for Redactor {
    fn call(&mut self, lane: Lane, tool: &str) -> Result<(), Fault> {
        let stream = &self.0;
        let Some(call) = stream.version.function("redact_call") else { return Ok(()) };
        let mut arguments = [stream.state.clone(), Dynamic::from(lane), tool.into(), stream.config()];
        stream.ask(call, &mut arguments, |_| Ok(()))
    }

    fn push(&mut self, lane: Lane, text: &str, last: bool) -> Result<RedactStep, Fault> {
        let stream = &self.0;
        let mut arguments = [
            stream.state.clone(),
            Direction::Reply.as_str().into(),
            Dynamic::from(lane),
            text.into(),
            last.into(),
            stream.config(),
        ];
        let manifest = stream.version.manifest();
        stream.ask(stream.found, &mut arguments, |value| step::redact(value, manifest))
    }
}
