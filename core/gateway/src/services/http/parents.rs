//! The traces of exchanges whose policies may call services that are told of them.

use crate::telemetry::trace::Trace;
use http::HeaderValue;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// `traceparent` by exchange; nothing is kept while no alias wants it.
#[derive(Default)]
pub(super) struct Parents {
    wanted: AtomicBool,
    kept: AtomicUsize,
    all: Mutex<HashMap<Arc<str>, HeaderValue>>,
}

impl Parents {
    /// Whether any alias is told.
    pub(super) fn want(&self, wanted: bool) {
        self.wanted.store(wanted, Relaxed);
    }

    /// Remembers an exchange's trace until it ends.
    pub(super) fn begin(&self, request_id: &Arc<str>, trace: &Trace) {
        if !self.wanted.load(Relaxed) {
            return;
        }
        let header = trace.traceparent(trace.span_id).and_then(|header| HeaderValue::from_str(&header).ok());
        if let Some(header) = header {
            let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
            all.insert(Arc::clone(request_id), header);
            self.kept.store(all.len(), Relaxed);
        }
    }

    /// The header for a call of that exchange.
    pub(super) fn of(&self, request_id: &str) -> Option<HeaderValue> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).get(request_id).cloned()
    }

    /// Forgets it.
    pub(super) fn end(&self, request_id: &str) {
        if self.kept.load(Relaxed) > 0 {
            let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
            all.remove(request_id);
            self.kept.store(all.len(), Relaxed);
        }
    }
}
