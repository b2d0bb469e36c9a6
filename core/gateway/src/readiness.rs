//! Whether this gateway should be sent requests, and what is wrong with it if something is.
//!
//! Degraded is still ready: whoever is told to send nothing any more cannot see it get better. Only a gateway that can
//! answer nobody says 503.

use crate::drain::Phase;
use crate::gateway::Gateway;
use serde::Serialize;
use weir_policy::{Breaker, LiveFacts};

/// More postings than this that wait for their commit: the disk does not keep up.
const QUEUE: usize = 10_000;
/// Percent of a bound at which it is said to be near.
const NEAR: usize = 90;

/// What is to be said of a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// All is well.
    Ready,
    /// It answers, but something is wrong.
    Degraded,
    /// It has been told to stop.
    Draining,
    /// It can answer nobody.
    Dead,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// What, as one word.
    pub code: &'static str,
    /// For people.
    pub message: String,
}

/// The answer of `/readyz`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// In one word.
    pub status: Status,
    /// Why.
    pub reasons: Vec<Reason>,
}

impl Status {
    /// Whether requests should be sent.
    pub const fn is_ready(self) -> bool {
        matches!(self, Self::Ready | Self::Degraded)
    }
}

/// Looks at everything that could be wrong.
pub fn judge(gateway: &Gateway) -> Readiness {
    if gateway.drain.phase() != Phase::Open {
        let message = format!("{} requests are under way", gateway.drain.under_way());
        return Readiness { status: Status::Draining, reasons: vec![Reason { code: "draining", message }] };
    }
    let stats = gateway.ledger.stats();
    if !stats.open {
        let message = "the ledger is closed; restart Weir".to_owned();
        return Readiness { status: Status::Dead, reasons: vec![Reason { code: "ledger_closed", message }] };
    }
    // Who cannot account for a request does not let it in.
    if let Some(why) = gateway.ledger.trouble() {
        let message = format!("the ledger cannot be written: {why}");
        return Readiness {
            status: Status::Dead,
            reasons: vec![Reason { code: "ledger_unwritable", message }],
        };
    }
    let mut reasons = Vec::new();
    let mut wrong = |code: &'static str, message: String| reasons.push(Reason { code, message });
    if stats.queued > QUEUE {
        wrong("ledger_queue", format!("{} postings wait for their commit", stats.queued));
    }
    let limits = gateway.snapshot.load().config.server.limits;
    if is_near(gateway.buffered.used(), limits.buffered) {
        wrong(
            "buffered",
            format!("{} of {} bytes are held for callers", gateway.buffered.used(), limits.buffered),
        );
    }
    if is_near(gateway.drain.under_way(), limits.in_flight as usize) {
        wrong(
            "in_flight",
            format!("{} of {} requests are under way", gateway.drain.under_way(), limits.in_flight),
        );
    }
    if is_near(gateway.connections.open(), limits.connections as usize) {
        wrong(
            "connections",
            format!("{} of {} connections are open", gateway.connections.open(), limits.connections),
        );
    }
    if gateway.pressure.is_high() {
        wrong("lag", "the machine has more to do than it can; new requests are refused".to_owned());
    }
    if gateway.telemetry.metrics().reload_ok.get() == 0 {
        wrong(
            "reload_refused",
            "the last reload was refused; what ran before goes on: see the log".to_owned(),
        );
    }
    for alias in unreachable(gateway) {
        wrong("breakers_open", format!("the breakers of all targets of `{alias}` are open"));
    }
    for (policy, hook) in gateway.snapshot.load().pipeline.open_breakers() {
        let hook = hook.as_str();
        wrong(
            "policy_breaker_open",
            format!(
                "`{policy}` failed too often and is not asked at `{hook}`: see `weir policy status {policy}`"
            ),
        );
    }
    let status = if reasons.is_empty() { Status::Ready } else { Status::Degraded };
    Readiness { status, reasons }
}

const fn is_near(used: usize, limit: usize) -> bool {
    used.saturating_mul(100) > limit.saturating_mul(NEAR)
}

/// The aliases none of whose targets is asked but for want of a better one.
fn unreachable(gateway: &Gateway) -> Vec<String> {
    let snapshot = gateway.snapshot.load();
    let open = |target: &u16| snapshot.live.live(*target).breaker == Breaker::Open;
    let mut names: Vec<String> = snapshot
        .routes
        .values()
        .filter(|route| !route.allowed.is_empty() && route.allowed.iter().all(open))
        .map(|route| route.name.to_string())
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_is_above_nine_tenths() {
        assert!(!is_near(90, 100));
        assert!(is_near(91, 100));
        assert!(is_near(10, 10));
        assert!(!is_near(0, 0));
    }
}
