//! The latest decision traces, for `weir explain`: so many of them, and so many bytes.
//!
//! Every exchange puts one, hardly anybody asks: so a trace is written over the oldest, into the memory that that one had,
//! and is searched for when somebody asks. What an exchange allocates it frees when it ends, and the next finds it warm.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most bytes of all traces together.
const MAX_BYTES: usize = 32 << 20;

/// A ring of traces by request id. One lock: it is held while one trace is written or shown.
pub struct Traces<T>(Mutex<Ring<T>>);

struct Ring<T> {
    oldest_first: VecDeque<Box<Kept<T>>>,
    bytes: usize,
    most: usize,
}

#[derive(Default)]
struct Kept<T> {
    request_id: String,
    trace: T,
    bytes: usize,
}

impl<T: Default> Traces<T> {
    /// Keeps the latest `most` traces.
    #[must_use]
    pub const fn new(most: usize) -> Self {
        Self(Mutex::new(Ring { oldest_first: VecDeque::new(), bytes: 0, most }))
    }

    /// Changes how many are kept.
    pub fn resize(&self, most: usize) {
        let mut ring = self.lock();
        ring.most = most;
        ring.trim(0);
    }

    /// Keeps a trace that takes about so many bytes: `write` makes it of an older one. Of one exchange the last counts.
    pub fn put(&self, request_id: &str, bytes: usize, write: impl FnOnce(&mut T)) {
        let mut ring = self.lock();
        let bytes = bytes + request_id.len() + size_of::<Kept<T>>();
        if ring.most == 0 || bytes > MAX_BYTES {
            return;
        }
        let full = ring.oldest_first.len() >= ring.most;
        let mut kept = full.then(|| ring.oldest_first.pop_front()).flatten().unwrap_or_default();
        ring.bytes -= kept.bytes;
        ring.trim(bytes);
        kept.request_id.clear();
        kept.request_id.push_str(request_id);
        kept.bytes = bytes;
        write(&mut kept.trace);
        ring.bytes += bytes;
        ring.oldest_first.push_back(kept);
    }

    /// Shows the trace of an exchange, if it is still kept.
    pub fn get<R>(&self, request_id: &str, show: impl FnOnce(&T) -> R) -> Option<R> {
        let ring = self.lock();
        let found = ring.oldest_first.iter().rev().find(|kept| kept.request_id == request_id);
        found.map(|kept| show(&kept.trace))
    }

    fn lock(&self) -> MutexGuard<'_, Ring<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Ring<T> {
    /// Makes room for so many bytes more.
    fn trim(&mut self, more: usize) {
        while self.oldest_first.len() > self.most || self.bytes + more > MAX_BYTES {
            let Some(oldest) = self.oldest_first.pop_front() else { return };
            self.bytes -= oldest.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_kept() {
        let traces = Traces::new(3);
        let put = |id: &str, says: i32| traces.put(id, 10, |trace| *trace = says);
        let get = |id: &str| traces.get(id, |trace| *trace);
        (0..5).for_each(|id| put(&format!("req_{id}"), id));
        let kept: Vec<i32> = (0..5).filter_map(|id| get(&format!("req_{id}"))).collect();
        assert_eq!(kept, [2, 3, 4]);
        put("req_4", 44);
        assert_eq!((get("req_4"), get("req_3"), get("req_2")), (Some(44), Some(3), None));
        traces.resize(1);
        assert_eq!((get("req_3"), get("req_4")), (None, Some(44)));
        traces.resize(0);
        put("req_9", 9);
        assert_eq!((get("req_9"), get("req_4"), traces.lock().bytes), (None, None, 0));
        traces.resize(2);
        put("req_9", 9);
        assert_eq!(get("req_9"), Some(9));
    }

    #[test]
    fn a_trace_is_written_over_the_oldest() {
        let traces = Traces::<Vec<u8>>::new(2);
        let put = |id: &str| traces.put(id, 10, |trace| trace.push(1));
        ["a", "b", "c"].into_iter().for_each(put);
        assert_eq!(traces.get("c", Vec::len), Some(2), "it has what the oldest had");
        assert_eq!(traces.get("b", Vec::len), Some(1));
    }

    #[test]
    fn bytes_are_bounded_too() {
        let traces = Traces::<()>::new(1_000);
        let put = |id: &str, bytes| traces.put(id, bytes, |()| ());
        (0..10).for_each(|id| put(&format!("req_{id}"), MAX_BYTES / 4));
        assert!(traces.lock().bytes <= MAX_BYTES);
        let kept = |id: &str| traces.get(id, |()| ()).is_some();
        assert!(kept("req_9") && !kept("req_5"));
        put("req_big", MAX_BYTES + 1);
        assert!(!kept("req_big") && kept("req_9"));
    }
}
