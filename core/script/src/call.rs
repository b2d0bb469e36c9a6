//! What the host knows of the call that runs on this thread: whose it is, what it has read, what it may ask for.
//!
//! A call of a policy is synchronous and never nested, so its state is the thread's: capability functions are plain
//! functions in scripts (`kv_get(…)`), and no lock is shared by calls.

use crate::engine::Sizes;
use crate::fault::misuse;
use crate::{meter, taint};
use rhai::EvalAltResult;
use std::cell::RefCell;
use std::sync::Arc;
use weir_policy::manifest::Reads;
use weir_policy::matcher::Matchers;
use weir_policy::request::TaintScope;
use weir_policy::services::{Origin, Scope, Services};
use weir_policy::{Capability, Grants, Manifest, RequestView, Retention};

type Answer<T> = Result<T, Box<EvalAltResult>>;

thread_local! {
    static CALL: RefCell<Option<Call>> = const { RefCell::new(None) };
}

/// What all calls of a version have in common.
pub(crate) struct Host {
    pub(crate) manifest: Manifest,
    pub(crate) matchers: Matchers,
    services: Arc<dyn Services>,
    policy: Arc<str>,
    nobody: Arc<str>,
}

impl Host {
    pub(crate) fn new(manifest: Manifest, matchers: Matchers, grants: &Grants) -> Self {
        Self {
            policy: manifest.name.as_str().into(),
            nobody: "".into(),
            services: Arc::clone(&grants.services),
            manifest,
            matchers,
        }
    }

    pub(crate) fn services(&self) -> &Arc<dyn Services> {
        &self.services
    }

    pub(crate) fn asked_for(&self, capability: Capability) -> bool {
        self.manifest.asks_for(capability)
    }

    pub(crate) fn reads_content(&self) -> bool {
        self.manifest.reads == Reads::Content
    }

    /// Bytes of the longest text that a script may hold. What takes more as text is not read as values either: those
    /// take many times as much, and Rhai measures them once they are there.
    pub(crate) fn most_text(&self) -> usize {
        Sizes::within(self.manifest.limits.memory_bytes).string
    }
}

/// One call of a hook.
pub(crate) struct Call {
    host: Arc<Host>,
    seen: Seen,
    now_ms: Option<u64>,
    http_calls: u64,
}

/// What a call is about, and so whether it has read content.
pub(crate) enum Seen {
    /// Nothing: `self_test`.
    Nothing,
    /// A request.
    Request(Arc<RequestView>, TaintScope),
    /// A request and its reply.
    Reply(Arc<RequestView>, TaintScope, Arc<RequestView>, TaintScope),
    /// A window of a stream: its text is content.
    Window(Arc<RequestView>),
    /// Settled exchanges, of one organisation or none, with the strictest retention of them.
    Settled { tenant: Option<Arc<str>>, retention: Retention },
}

impl Seen {
    pub(crate) fn request(view: &Arc<RequestView>) -> Self {
        Self::Request(Arc::clone(view), TaintScope::new(view))
    }

    pub(crate) fn reply(request: &Arc<RequestView>, reply: &Arc<RequestView>) -> Self {
        Self::Reply(Arc::clone(request), TaintScope::new(request), Arc::clone(reply), TaintScope::new(reply))
    }

    fn view(&self) -> Option<&Arc<RequestView>> {
        match self {
            Self::Request(view, _) | Self::Reply(view, ..) | Self::Window(view) => Some(view),
            Self::Nothing | Self::Settled { .. } => None,
        }
    }

    /// Whether the request's organisation wants nothing of it kept.
    pub(crate) fn keeps_nothing(&self) -> bool {
        self.view().is_some_and(|view| view.head().retention.is_zero())
    }

    fn tainted(&self) -> bool {
        match self {
            Self::Request(view, scope) => scope.tainted(view),
            Self::Reply(request, asked, reply, answered) => asked.tainted(request) || answered.tainted(reply),
            Self::Window(_) => true,
            Self::Nothing | Self::Settled { .. } => false,
        }
    }
}

impl Call {
    pub(crate) const fn new(host: Arc<Host>, seen: Seen) -> Self {
        Self { host, seen, now_ms: None, http_calls: 0 }
    }

    pub(crate) fn services(&self) -> &dyn Services {
        &*self.host.services
    }

    pub(crate) fn manifest(&self) -> &Manifest {
        &self.host.manifest
    }

    pub(crate) fn most_text(&self) -> usize {
        self.host.most_text()
    }

    pub(crate) fn matchers(&self) -> &Matchers {
        &self.host.matchers
    }

    /// The request that the call is about; for a reply the one that it answers.
    pub(crate) fn view(&self) -> Option<&Arc<RequestView>> {
        self.seen.view()
    }

    /// What a model wrote, or else the request.
    pub(crate) fn content(&self) -> Option<&Arc<RequestView>> {
        match &self.seen {
            Seen::Reply(_, _, reply, _) => Some(reply),
            other => other.view(),
        }
    }

    pub(crate) fn tainted(&self) -> bool {
        self.seen.tainted()
    }

    pub(crate) fn origin(&self) -> Origin {
        let head = self.view().map(|view| view.head());
        let (tenant, retention) = match &self.seen {
            Seen::Settled { tenant, retention } => (tenant.as_ref(), *retention),
            _ => (head.map(|head| &head.tenant), head.map_or(Retention::Unknown, |head| head.retention)),
        };
        let tenant = tenant.filter(|_| !self.host.manifest.shared).unwrap_or(&self.host.nobody);
        Origin {
            policy: Arc::clone(&self.host.policy),
            tenant: Arc::clone(tenant),
            request_id: Arc::clone(head.map_or(&self.host.nobody, |head| &head.request_id)),
            retention,
            demands: head.and_then(|head| head.demands.clone()),
            tainted: self.tainted(),
        }
    }

    /// Whether a key of this scope may be written: what was read must not outlive the exchange.
    pub(crate) fn may_write(&self, scope: Scope, origin: &Origin) -> bool {
        scope == Scope::Request || !(origin.tainted || origin.retention.is_zero())
    }

    /// The same for the whole call.
    pub(crate) fn now_ms(&mut self) -> u64 {
        let services = &self.host.services;
        *self.now_ms.get_or_insert_with(|| services.now_ms())
    }

    /// Counts outbound calls; whether they are within `limits.http_calls`.
    pub(crate) fn may_send(&mut self, calls: u64) -> bool {
        self.http_calls = self.http_calls.saturating_add(calls);
        self.http_calls <= self.host.manifest.limits.http_calls
    }

    /// A text for telemetry, as far as it may leave.
    pub(crate) fn text(&self, said: &str) -> String {
        taint::text(&self.host.manifest.declares, self.tainted(), said)
    }

    /// A name and value for telemetry, as far as they may leave.
    pub(crate) fn label(&self, name: &str, value: &str) -> (String, String) {
        taint::label(&self.host.manifest.declares, self.tainted(), name, value)
    }
}

/// Runs `work` as a call.
pub(crate) fn during<T>(call: Call, work: impl FnOnce() -> T) -> T {
    CALL.set(Some(call));
    let done = work();
    CALL.set(None);
    done
}

/// What a function of a capability does first: counts a host call and looks whether the policy may make it. `check`
/// refuses at load what is called without being asked for; this holds even where a name means two functions.
pub(crate) fn with<T>(capability: Capability, work: impl FnOnce(&mut Call) -> Answer<T>) -> Answer<T> {
    meter::host_call()?;
    CALL.with_borrow_mut(|call| match call {
        Some(call) if call.host.asked_for(capability) => work(call),
        _ => Err(misuse(not_asked_for(capability))),
    })
}

/// Runs `work` with the call, for functions that need no capability.
pub(crate) fn plain<T>(work: impl FnOnce(&Call) -> Answer<T>) -> Answer<T> {
    CALL.with_borrow(|call| match call {
        Some(call) => work(call),
        None => Err(misuse("there is no call")),
    })
}

/// What a script says that calls a function of a capability without asking for it.
pub(crate) fn not_asked_for(capability: Capability) -> String {
    let name = capability.as_str();
    format!("the manifest does not ask for `{name}`; add `{name}` to `capabilities`")
}
