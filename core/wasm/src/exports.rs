//! The functions of a component that the host calls: found and type-checked once per version, looked up per instance by
//! index.

use crate::VERSION;
use crate::lower;
use crate::state::{State, View};
use crate::wit::exports::weir::policy as hook;
use crate::wit::weir::policy::types as w;
use std::marker::PhantomData;
use wasmtime::Store;
use wasmtime::component::{
    ComponentExportIndex, ComponentNamedList, Instance, Lift, Lower, Resource, ResourceAny, TypedFunc,
};
use weir_policy::{Hook, Manifest};

/// One exported function of a component, known to have this type.
pub(crate) struct Export<P, R> {
    index: ComponentExportIndex,
    /// Covariant, so that a parameter `&'static str` takes any `&str`.
    types: PhantomData<fn() -> (P, R)>,
}

impl<P, R> Export<P, R>
where
    P: ComponentNamedList + Lower,
    R: ComponentNamedList + Lift,
{
    fn find(
        store: &mut Store<State>,
        instance: &Instance,
        interface: &str,
        name: &str,
    ) -> wasmtime::Result<Self> {
        let full = format!("weir:policy/{interface}@{VERSION}");
        let missing = || wasmtime::Error::msg(format!("it does not export `{name}` of `{full}`"));
        let (_, outer) = instance.get_export(&mut *store, None, &full).ok_or_else(missing)?;
        let (_, index) = instance.get_export(&mut *store, Some(&outer), name).ok_or_else(missing)?;
        instance
            .get_typed_func::<P, R>(&mut *store, &index)
            .map_err(|error| error.context(format!("`{name}` of `{full}`")))?;
        Ok(Self { index, types: PhantomData })
    }

    /// The function in an instance of the same component.
    pub(crate) fn of(
        &self,
        store: &mut Store<State>,
        instance: &Instance,
    ) -> wasmtime::Result<TypedFunc<P, R>> {
        let func = instance.get_func(&mut *store, self.index).ok_or(NotExported)?;
        // SAFETY: the function must have the type that is claimed. `find` has checked it against an instance of the
        // component that `index` belongs to (wasmtime looks an index of another component up in vain); types belong to
        // the component, not to the instance. Checking again costs a fresh instance some microseconds.
        #[allow(unsafe_code, reason = "see SAFETY")]
        let typed = unsafe { TypedFunc::new_unchecked(func) };
        Ok(typed)
    }
}

/// The instance is not of the component that the export was found in.
#[derive(Debug, thiserror::Error)]
#[error("the instance does not have the function")]
struct NotExported;

type View1 = (Resource<View>,);
type Route = Export<(lower::Head, Resource<View>), (hook::hook_route::Decision,)>;
type OnError = Export<(lower::Head, Vec<w::AttemptError>), (hook::hook_on_error::Recovery,)>;

/// What a component exports of the contract; hooks that its manifest does not name stay `None`.
pub(crate) struct Exports {
    pub(crate) configure: Export<(&'static str,), (Result<(), String>,)>,
    pub(crate) self_test: Export<(), (Result<(), String>,)>,
    pub(crate) admit: Option<Export<(lower::Head,), (hook::hook_admit::Admission,)>>,
    pub(crate) guard: Option<Export<View1, (w::Verdict,)>>,
    pub(crate) redact: Option<Redact>,
    pub(crate) route: Option<Route>,
    pub(crate) attempt: Option<Attempt>,
    pub(crate) on_error: Option<OnError>,
    pub(crate) guard_response: Option<GuardResponse>,
    pub(crate) stream: Option<Stream>,
    pub(crate) price: Option<Price>,
    pub(crate) complete: Option<Export<(Vec<hook::hook_complete::Summary>,), ()>>,
}

type Spans = Result<Vec<hook::hook_redact::Span>, u16>;
type Attempt = Export<
    (lower::Head, hook::hook_attempt::AttemptFacts, Resource<View>),
    (hook::hook_attempt::Preparation,),
>;
type GuardResponse = Export<(lower::Head, hook::hook_guard_response::Meta, Resource<View>), (w::Verdict,)>;

/// `hook-redact`.
pub(crate) struct Redact {
    pub(crate) redact: Export<(w::Direction, Resource<View>), (Spans,)>,
    pub(crate) new: Export<(w::Direction, lower::Head), (ResourceAny,)>,
    pub(crate) call: Export<(ResourceAny, w::Lane, &'static str), ()>,
    pub(crate) push: Export<(ResourceAny, w::Lane, &'static str), (hook::hook_redact::RedactStep,)>,
    pub(crate) finish: Export<(ResourceAny, w::Lane, &'static str), (Vec<hook::hook_redact::Span>,)>,
}

/// `hook-stream`.
pub(crate) struct Stream {
    pub(crate) new: Export<(lower::Head,), (ResourceAny,)>,
    pub(crate) push: Export<(ResourceAny, w::Lane, &'static str), (hook::hook_stream::StreamStep,)>,
    pub(crate) finish_lane: Export<(ResourceAny, w::Lane, &'static str), (hook::hook_stream::StreamStep,)>,
    pub(crate) finish: Export<(ResourceAny, w::Usage), (hook::hook_stream::Closing,)>,
}

/// `hook-price`.
pub(crate) struct Price {
    pub(crate) quote: Export<(lower::Head, String, hook::hook_price::Base), (i64,)>,
    pub(crate) price: Export<(lower::Head, String, hook::hook_price::Base), (hook::hook_price::Charge,)>,
}

impl Exports {
    /// Finds `lifecycle` and the hooks of the manifest; the error names what is missing or does not fit.
    pub(crate) fn find(
        store: &mut Store<State>,
        instance: &Instance,
        manifest: &Manifest,
    ) -> wasmtime::Result<Self> {
        let mut finder = Finder { store, instance, manifest };
        Ok(Self {
            configure: Export::find(finder.store, instance, "lifecycle", "configure")?,
            self_test: Export::find(finder.store, instance, "lifecycle", "self-test")?,
            admit: finder.hook(Hook::Admit)?,
            guard: finder.hook(Hook::Guard)?,
            redact: finder.redact()?,
            route: finder.hook(Hook::Route)?,
            attempt: finder.hook(Hook::Attempt)?,
            on_error: finder.hook(Hook::OnError)?,
            guard_response: finder.hook(Hook::GuardResponse)?,
            stream: finder.stream()?,
            price: finder.price()?,
            complete: finder.hook(Hook::Complete)?,
        })
    }
}

struct Finder<'a> {
    store: &'a mut Store<State>,
    instance: &'a Instance,
    manifest: &'a Manifest,
}

impl Finder<'_> {
    /// A hook whose interface has one function of its name.
    fn hook<P, R>(&mut self, hook: Hook) -> wasmtime::Result<Option<Export<P, R>>>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        let named = self.manifest.has(hook);
        named.then(|| self.function(hook, hook.as_str())).transpose()
    }

    fn function<P, R>(&mut self, hook: Hook, name: &str) -> wasmtime::Result<Export<P, R>>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        Export::find(self.store, self.instance, &format!("hook-{}", hook.as_str()), name)
    }

    fn redact(&mut self) -> wasmtime::Result<Option<Redact>> {
        if !self.manifest.has(Hook::Redact) {
            return Ok(None);
        }
        Ok(Some(Redact {
            redact: self.function(Hook::Redact, "redact")?,
            new: self.function(Hook::Redact, "[constructor]stream-redactor")?,
            call: self.function(Hook::Redact, "[method]stream-redactor.call")?,
            push: self.function(Hook::Redact, "[method]stream-redactor.push")?,
            finish: self.function(Hook::Redact, "[method]stream-redactor.finish")?,
        }))
    }

    fn stream(&mut self) -> wasmtime::Result<Option<Stream>> {
        if !self.manifest.has(Hook::Stream) {
            return Ok(None);
        }
        Ok(Some(Stream {
            new: self.function(Hook::Stream, "[constructor]stream-guard")?,
            push: self.function(Hook::Stream, "[method]stream-guard.push")?,
            finish_lane: self.function(Hook::Stream, "[method]stream-guard.finish-lane")?,
            finish: self.function(Hook::Stream, "[method]stream-guard.finish")?,
        }))
    }

    fn price(&mut self) -> wasmtime::Result<Option<Price>> {
        if !self.manifest.has(Hook::Price) {
            return Ok(None);
        }
        Ok(Some(Price {
            quote: self.function(Hook::Price, "quote")?,
            price: self.function(Hook::Price, "price")?,
        }))
    }
}
