//! The latest decision traces, for `weir explain`: so many of them, and so many bytes.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most bytes of all traces together.
const MAX_BYTES: usize = 32 << 20;

/// A ring of traces by request id. One lock: it is held for a few pointers, once an exchange.
pub struct Traces<T>(Mutex<Ring<T>>);

struct Ring<T> {
    by_id: HashMap<Arc<str>, Kept<T>>,
    oldest_first: VecDeque<Arc<str>>,
    bytes: usize,
    most: usize,
}

struct Kept<T> {
    trace: Arc<T>,
    bytes: usize,
}

impl<T> Traces<T> {
    /// Keeps the latest `most` traces.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self(Mutex::new(Ring { by_id: HashMap::new(), oldest_first: VecDeque::new(), bytes: 0, most }))
    }

    /// Changes how many are kept.
    pub fn resize(&self, most: usize) {
        let mut ring = self.lock();
        ring.most = most;
        ring.trim();
    }

    /// Whether any are kept: whoever fills the ring may save itself the trouble.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.lock().most > 0
    }

    /// Keeps a trace that takes about so many bytes. Of one exchange the last trace counts.
    pub fn put(&self, request_id: &Arc<str>, trace: Arc<T>, bytes: usize) {
        let mut ring = self.lock();
        let bytes = bytes + request_id.len() + size_of::<(Arc<str>, Arc<str>, Kept<T>)>();
        if ring.most == 0 || bytes > MAX_BYTES {
            return;
        }
        match ring.by_id.insert(Arc::clone(request_id), Kept { trace, bytes }) {
            Some(before) => ring.bytes -= before.bytes,
            None => ring.oldest_first.push_back(Arc::clone(request_id)),
        }
        ring.bytes += bytes;
        ring.trim();
    }

    /// The trace of an exchange, if it is still kept.
    #[must_use]
    pub fn get(&self, request_id: &str) -> Option<Arc<T>> {
        self.lock().by_id.get(request_id).map(|kept| Arc::clone(&kept.trace))
    }

    fn lock(&self) -> MutexGuard<'_, Ring<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Ring<T> {
    fn trim(&mut self) {
        while self.oldest_first.len() > self.most || self.bytes > MAX_BYTES {
            let Some(oldest) = self.oldest_first.pop_front() else { return };
            self.bytes -= self.by_id.remove(&oldest).map_or(0, |kept| kept.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_kept() {
        let traces = Traces::new(3);
        for id in 0..5 {
            traces.put(&format!("req_{id}").into(), Arc::new(id), 10);
        }
        let kept: Vec<_> = (0..5).filter_map(|id| traces.get(&format!("req_{id}"))).map(|n| *n).collect();
        assert_eq!(kept, [2, 3, 4]);
        traces.put(&"req_2".into(), Arc::new(22), 10);
        assert_eq!((traces.get("req_2").as_deref(), traces.get("req_3").as_deref()), (Some(&22), Some(&3)));
        traces.resize(1);
        assert_eq!((traces.get("req_2"), traces.get("req_4").as_deref()), (None, Some(&4)));
        traces.resize(0);
        traces.put(&"req_9".into(), Arc::new(9), 10);
        assert!(!traces.is_on() && traces.get("req_9").is_none() && traces.get("req_4").is_none());
        assert_eq!(traces.lock().bytes, 0);
    }

    #[test]
    fn bytes_are_bounded_too() {
        let traces = Traces::new(1_000);
        for id in 0..10 {
            traces.put(&format!("req_{id}").into(), Arc::new(()), MAX_BYTES / 4);
        }
        assert!(traces.lock().bytes <= MAX_BYTES);
        assert!(traces.get("req_9").is_some() && traces.get("req_5").is_none());
        traces.put(&"req_big".into(), Arc::new(()), MAX_BYTES + 1);
        assert!(traces.get("req_big").is_none() && traces.get("req_9").is_some());
    }
}
