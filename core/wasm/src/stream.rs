//! One stream's guard or redactor: one instance from the first delta to the end.

use crate::ask;
use crate::component::{Loaded, failed, waits};
use crate::exports::Export;
use crate::instance::Instance;
use crate::meter::now;
use crate::state::Call;
use crate::{lift, lower};
use std::sync::Arc;
use wasmtime::component::{ComponentNamedList, Lift, Lower, ResourceAny};
use weir_llm::usage::{Source, Usage};
use weir_policy::{
    Closing, Direction, Fault, Lane, Next, RedactStep, RequestView, StreamGuard, StreamRedactor, StreamStep,
};

/// An instance and the guest's object in it.
struct Live {
    loaded: Arc<Loaded>,
    instance: Instance,
    object: ResourceAny,
}

impl Live {
    fn start<P>(
        loaded: &Arc<Loaded>,
        request: &Arc<RequestView>,
        new: &Export<P, (ResourceAny,)>,
        params: P,
    ) -> Result<Self, Fault>
    where
        P: ComponentNamedList + Lower,
    {
        let _running = loaded.running()?;
        let mut instance = now(loaded.fresh()).unwrap_or_else(|| Err(waits()))?;
        // What a stream is given to read is content.
        let call = Call { view: Some(Arc::clone(request)), tainted: true, ..Call::default() };
        let started = instance.arm(call, None).and_then(|()| enter(&mut instance, new, params));
        let (object,) = started.map_err(|error| failed(&error, &mut instance))?;
        Ok(Self { loaded: Arc::clone(loaded), instance, object })
    }

    fn call<P, R>(&mut self, export: &Export<P, R>, params: P) -> Result<R, Fault>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift + 'static,
    {
        let _running = self.loaded.running()?;
        let answer = self.instance.rearm().and_then(|()| enter(&mut self.instance, export, params));
        answer.map_err(|error| failed(&error, &mut self.instance))
    }
}

/// A stream's policy does not wait: its manifest cannot have `http`.
fn enter<P, R>(instance: &mut Instance, export: &Export<P, R>, params: P) -> wasmtime::Result<R>
where
    P: ComponentNamedList + Lower,
    R: ComponentNamedList + Lift + 'static,
{
    now(instance.invoke(export, params)).unwrap_or_else(|| Err(waits().into()))
}

/// `stream-guard`.
pub(crate) struct Guarding(Live);

impl Guarding {
    pub(crate) fn start(loaded: &Arc<Loaded>, request: &Arc<RequestView>) -> Result<Self, Fault> {
        let stream = ask::named(&loaded.exports.stream).map_err(|_| missing("stream"))?;
        let head = lower::Head::of(request, loaded.constants.manifest.shared);
        Live::start(loaded, request, &stream.new, (head,)).map(Self)
    }
}

impl StreamGuard for Guarding {
    fn push(&mut self, lane: Lane, text: &str, last: bool) -> Result<StreamStep, Fault> {
        let loaded = Arc::clone(&self.0.loaded);
        let stream = ask::named(&loaded.exports.stream).map_err(|_| missing("stream"))?;
        let export = if last { &stream.finish_lane } else { &stream.push };
        let (step,) = self.0.call(export, (self.0.object, lower::lane(lane), text))?;
        Ok(lift::stream_step(step))
    }

    fn finish(&mut self, usage: &Usage) -> Result<Closing, Fault> {
        let loaded = Arc::clone(&self.0.loaded);
        let stream = ask::named(&loaded.exports.stream).map_err(|_| missing("stream"))?;
        let usage = lower::usage(usage, Source::Provider);
        let (closing,) = self.0.call(&stream.finish, (self.0.object, usage))?;
        Ok(lift::closing(closing))
    }
}

/// `stream-redactor`.
pub(crate) struct Redacting(Live);

impl Redacting {
    pub(crate) fn start(loaded: &Arc<Loaded>, request: &Arc<RequestView>) -> Result<Self, Fault> {
        let redact = ask::named(&loaded.exports.redact).map_err(|_| missing("redact"))?;
        let direction = lower::direction(Direction::Reply);
        let head = lower::Head::of(request, loaded.constants.manifest.shared);
        Live::start(loaded, request, &redact.new, (direction, head)).map(Self)
    }
}

impl StreamRedactor for Redacting {
    fn call(&mut self, lane: Lane, tool: &str) -> Result<(), Fault> {
        let loaded = Arc::clone(&self.0.loaded);
        let redact = ask::named(&loaded.exports.redact).map_err(|_| missing("redact"))?;
        self.0.call(&redact.call, (self.0.object, lower::lane(lane), tool))
    }

    fn push(&mut self, lane: Lane, text: &str, last: bool) -> Result<RedactStep, Fault> {
        let loaded = Arc::clone(&self.0.loaded);
        let redact = ask::named(&loaded.exports.redact).map_err(|_| missing("redact"))?;
        let object = self.0.object;
        if last {
            let (spans,) = self.0.call(&redact.finish, (object, lower::lane(lane), text))?;
            return Ok(RedactStep {
                spans: spans.into_iter().map(lift::span).collect(),
                hold: 0,
                next: Next::More,
            });
        }
        let (step,) = self.0.call(&redact.push, (object, lower::lane(lane), text))?;
        Ok(lift::redact_step(step))
    }
}

fn missing(hook: &str) -> Fault {
    Fault::new(weir_policy::FaultKind::Missing, format!("the policy has no hook {hook}"))
}
