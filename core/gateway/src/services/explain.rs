//! Lines that policies add to the decision trace of an exchange: kept only for those that asked for one.

use super::records::cut;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use weir_policy::services::Origin;

/// Lines kept of one exchange.
const MAX_LINES: usize = 128;
/// Longest rule or reason, in bytes.
const MAX_TEXT: usize = 256;
/// Exchanges that are explained at one time: further ones get no lines.
const MAX_OPEN: usize = 10_000;
const SHARDS: usize = 16;

/// Policy, rule, reason.
pub type Line = (Arc<str>, Box<str>, Box<str>);

/// The lines of the exchanges that are being explained.
#[derive(Default)]
pub struct Explain {
    shards: [Mutex<HashMap<Arc<str>, Vec<Line>>>; SHARDS],
    open: AtomicUsize,
}

impl Explain {
    /// Keeps lines of an exchange from now on.
    pub fn begin(&self, request_id: &Arc<str>) {
        if self.open.load(Relaxed) >= MAX_OPEN {
            return;
        }
        if self.shard(request_id).insert(Arc::clone(request_id), Vec::new()).is_none() {
            self.open.fetch_add(1, Relaxed);
        }
    }

    /// Keeps a line, if its exchange asked for it.
    pub fn add(&self, origin: &Origin, rule: &str, because: &str) {
        if self.open.load(Relaxed) == 0 {
            return;
        }
        let mut shard = self.shard(&origin.request_id);
        if let Some(lines) = shard.get_mut(&origin.request_id).filter(|lines| lines.len() < MAX_LINES) {
            lines.push((
                Arc::clone(&origin.policy),
                cut(rule, MAX_TEXT).into(),
                cut(because, MAX_TEXT).into(),
            ));
        }
    }

    /// The lines so far, in the order in which they were added; none are kept any more.
    pub fn take(&self, request_id: &str) -> Vec<Line> {
        if self.open.load(Relaxed) == 0 {
            return Vec::new();
        }
        let taken = self.shard(request_id).remove(request_id);
        if taken.is_some() {
            self.open.fetch_sub(1, Relaxed);
        }
        taken.unwrap_or_default()
    }

    /// Ids count up, so their last digits spread them.
    fn shard(&self, request_id: &str) -> MutexGuard<'_, HashMap<Arc<str>, Vec<Line>>> {
        let last = request_id.bytes().rev().take(2).fold(0, |sum: usize, byte| sum * 31 + usize::from(byte));
        self.shards[last % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_policy::Retention;

    fn origin(request_id: &str) -> Origin {
        Origin {
            policy: "p".into(),
            tenant: "org".into(),
            request_id: request_id.into(),
            retention: Retention::Unknown,
            demands: None,
            tainted: false,
        }
    }

    #[test]
    fn lines_are_kept_for_who_asked() {
        let explain = Explain::default();
        explain.add(&origin("req_1"), "early", "nobody asked");
        explain.begin(&"req_1".into());
        explain.add(&origin("req_1"), "cheapest", "two targets");
        explain.add(&origin("req_2"), "other", "another exchange");
        explain.add(&origin("req_1"), "long", &"ü".repeat(1_000));
        let lines = explain.take("req_1");
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0], ("p".into(), "cheapest".into(), "two targets".into()));
        assert_eq!(lines[1].2.len(), MAX_TEXT);
        assert!(explain.take("req_1").is_empty() && explain.take("req_2").is_empty());
        assert_eq!(explain.open.load(Relaxed), 0);
    }

    #[test]
    fn lines_and_exchanges_are_bounded() {
        let explain = Explain::default();
        explain.begin(&"req_1".into());
        (0..MAX_LINES + 9).for_each(|_| explain.add(&origin("req_1"), "r", "b"));
        assert_eq!(explain.take("req_1").len(), MAX_LINES);
        (0..MAX_OPEN + 9).for_each(|id| explain.begin(&format!("req_{id}").into()));
        assert_eq!(explain.open.load(Relaxed), MAX_OPEN);
    }
}
