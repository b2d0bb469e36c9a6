//! What gates, breakers and candidates that were left behind ask for.

use super::Ship;
use super::gate::{self, Gate, Known};
use super::order::Order;
use super::unit::{Candidate, Running, Unit};
use std::time::Duration;

/// One fault of a handful of calls says little; three do, and so does one that stays alone for a while.
const FEW_FAULTS: u64 = 3;
const A_WHILE: Duration = Duration::from_secs(30);

impl Ship {
    /// What gates and breakers ask for now.
    pub fn due(&self) -> Vec<(String, Order)> {
        let mut due = Vec::new();
        for tripped in self.watcher.tripped() {
            let Some(unit) = self.units.get(&tripped.policy).filter(|unit| runs(unit, &tripped.digest))
            else {
                continue;
            };
            // A breaker says it once; what it asks for may have to wait. It is heard until the version is gone.
            if unit.is_canary(&tripped.digest) || unit.is_young() && unit.index.before().is_some() {
                self.watcher.trip(tripped.clone());
            }
            due.push((tripped.policy, Order::Tripped { digest: tripped.digest, hook: tripped.hook }));
        }
        for (name, unit) in &self.units {
            // Whoever is on its way does not take the room of the way back.
            let tripped =
                due.iter().any(|(policy, order)| policy == name && matches!(order, Order::Tripped { .. }));
            if unit.index.candidate.is_some() && unit.candidate.is_none() && !tripped {
                due.push((name.clone(), Order::Resume));
            }
            match verdict(unit) {
                Gate::Stay => {}
                gate => due.push((name.clone(), Order::Gate(gate))),
            }
        }
        due
    }
}

/// Whether a digest decides, for some keys or for all.
fn runs(unit: &Unit, digest: &str) -> bool {
    unit.is_canary(digest) || unit.live.is(digest)
}

/// What the gates say of a policy's candidate.
fn verdict(unit: &Unit) -> Gate {
    let (Some(pending), Some(candidate)) = (&unit.index.candidate, &unit.candidate) else {
        return Gate::Stay;
    };
    let known = known(candidate);
    match gate::judge(pending.stage, &pending.options, &known) {
        // Once is enough, as long as the reason is the same.
        Gate::Wait(_)
            if pending
                .waits
                .as_ref()
                .is_some_and(|why| why.ends_with(gate::NOTHING) == (known.asked == 0)) =>
        {
            Gate::Stay
        }
        gate => gate,
    }
}

fn known(candidate: &Candidate) -> Known {
    let span = candidate.since.elapsed();
    match &candidate.kind {
        Running::Shadow(shadows) => {
            let mut sum = Known { span, ..Known::default() };
            let (mut changed, mut live) = (0, 0);
            for shadow in shadows {
                let report = shadow.report();
                sum.asked += report.asked;
                sum.faults += report.faults;
                live += report.live_faults;
                changed += report.changed;
            }
            let changed = (changed * 10_000).checked_div(sum.asked).unwrap_or(0);
            Known { changed, fails_more: sum.faults > live, ..sum }
        }
        Running::Canary { tally, live, .. } => Known {
            span,
            asked: tally.calls(),
            changed: 0,
            fails_more: tally.fails_more_than(live) && enough(tally.faults(), span),
            faults: tally.faults(),
        },
    }
}

fn enough(faults: u64, span: Duration) -> bool {
    faults >= FEW_FAULTS || faults > 0 && span >= A_WHILE
}
