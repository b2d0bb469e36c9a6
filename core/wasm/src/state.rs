//! What a store holds: the policy's constants, the call's views, and the budgets.

use crate::budget::{Budget, Memory};
use crate::ticker::Pace;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;
use wasmtime::Result;
use weir_policy::matcher::Matchers;
use weir_policy::services::Origin;
use weir_policy::{Candidates, Demands, Head, Manifest, RequestView, Retention, Services};

/// What the guest's handle of the request stands for. It carries nothing: a store serves one request at a time, and a
/// handle is a borrow for one call, so the state knows which request is meant.
#[allow(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct View;

/// What does not change while a policy is loaded, shared by its instances.
pub(crate) struct Constants {
    /// The manifest's name, as origins carry it.
    pub(crate) name: Arc<str>,
    pub(crate) manifest: Manifest,
    pub(crate) matchers: Matchers,
    /// The operator's config as JSON text; `{}` if there is none.
    pub(crate) config: String,
    /// The component itself: the texts that a panic may name as its file.
    pub(crate) component: Vec<u8>,
    /// The host's side of the capabilities.
    pub(crate) services: Arc<dyn Services>,
    pub(crate) pace: Pace,
}

/// The data of a store.
pub(crate) struct State {
    pub(crate) constants: Arc<Constants>,
    pub(crate) call: Call,
    pub(crate) budget: Budget,
    pub(crate) memory: Memory,
}

/// One call's views and what it did. A new call starts from the default: nothing of the last one stays.
#[derive(Default)]
pub(crate) struct Call {
    /// What the guest's handle shows.
    pub(crate) view: Option<Arc<RequestView>>,
    pub(crate) candidates: Option<Arc<Candidates>>,
    /// Whose call it is where no view says it.
    pub(crate) batch: Option<Who>,
    /// Whether it read content, a header or an attribute.
    pub(crate) tainted: bool,
    pub(crate) panicked_at: Option<String>,
    pub(crate) now_ms: Option<u64>,
    /// Matchers scanned with once already; see [`Budget::excuse`].
    pub(crate) scanned: Vec<String>,
    /// Segments counted once already.
    pub(crate) counted: BTreeSet<u32>,
    /// Whether the candidates were shown once already.
    pub(crate) shown: bool,
    /// Outbound calls made so far.
    pub(crate) http_calls: u64,
    /// When a call that waits is cut.
    pub(crate) until: Option<Instant>,
}

/// Whose call it is.
#[derive(Clone)]
pub(crate) struct Who {
    /// Organisation id; empty for a `shared` policy.
    pub(crate) tenant: Arc<str>,
    pub(crate) request_id: Arc<str>,
    pub(crate) retention: Retention,
    pub(crate) demands: Option<Arc<Demands>>,
}

impl Who {
    pub(crate) fn of(head: &Head, shared: bool) -> Self {
        Self {
            tenant: if shared { Arc::default() } else { Arc::clone(&head.tenant) },
            request_id: Arc::clone(&head.request_id),
            retention: head.retention,
            demands: head.demands.clone(),
        }
    }

    /// At load, and where a batch is empty.
    fn nobody() -> Self {
        Self {
            tenant: Arc::default(),
            request_id: Arc::default(),
            retention: Retention::Unknown,
            demands: None,
        }
    }
}

/// A handle was used while no request is at hand: at load, or in `complete`.
#[derive(Debug, thiserror::Error)]
#[error("there is no request at hand")]
struct NoRequest;

impl State {
    pub(crate) fn new(constants: Arc<Constants>) -> Self {
        let budget = Budget::of_a_start(&constants.manifest.limits, constants.pace.look());
        let memory = Memory::of(&constants.manifest.limits);
        Self { constants, call: Call::default(), budget, memory }
    }

    pub(crate) fn view(&self) -> Result<Arc<RequestView>> {
        Ok(Arc::clone(self.call.view.as_ref().ok_or(NoRequest)?))
    }

    fn who(&self) -> Who {
        match (&self.call.view, &self.call.batch) {
            (Some(view), _) => Who::of(view.head(), self.constants.manifest.shared),
            (None, Some(who)) => who.clone(),
            (None, None) => Who::nobody(),
        }
    }

    /// Who asks the host for something.
    pub(crate) fn origin(&self) -> Origin {
        let Who { tenant, request_id, retention, demands } = self.who();
        Origin {
            policy: Arc::clone(&self.constants.name),
            tenant,
            request_id,
            retention,
            demands,
            tainted: self.call.tainted,
        }
    }
}
