//! Route policies make the plan; without one, the alias's own order is it.

use super::admit::Admitted;
use super::attend::attend;
use super::{End, Exchange};
use crate::refusal::Refusal;
use crate::snapshot::Snapshot;
use std::sync::Arc;
use weir_policy::pipeline::{PolicyId, RouteOutcome, Routed};
use weir_policy::{Hook, Plan, RequestView, Step, Strategy};

/// A plan, and whose it is.
pub struct Planned {
    /// The plan.
    pub plan: Plan,
    /// The policy that made it; `None`: the operator's own order.
    pub by: Option<PolicyId>,
}

impl Exchange<'_> {
    /// Asks the route policies.
    ///
    /// # Errors
    /// A policy refused, or the caller has gone.
    pub async fn plan(&mut self, admitted: &Admitted, view: &Arc<RequestView>) -> Result<Planned, End> {
        let routed = if admitted.route.asked.has(Hook::Route) {
            let snapshot = Arc::clone(&self.snapshot);
            let work = snapshot.pipeline.route(view, &admitted.candidates, &mut self.trace);
            attend(self.session, &mut self.watched, work).await?
        } else {
            RouteOutcome { decision: Routed::Static, by: None }
        };
        let mut plan = match routed.decision {
            Routed::Plan(plan) => plan,
            Routed::Refused(refused) => return Err(Refusal::from(refused.deny).into()),
            Routed::Static => fallback(admitted),
        };
        self.set_back(admitted, &mut plan);
        if plan.strategy == Strategy::Weighted {
            let there = |step: &Step| self.is_there(admitted, step);
            draw(&mut plan, there, self.gateway.random());
        }
        let snapshot = Arc::clone(&self.snapshot);
        self.planned(&plan, |target| is_there(&snapshot, admitted, target));
        Ok(Planned { plan, by: routed.by })
    }

    /// A target whose breaker is open, or that is to be left alone, comes last rather than never: with all of them in
    /// trouble, trying beats refusing.
    fn set_back(&self, admitted: &Admitted, plan: &mut Plan) {
        if !plan.steps.iter().all(|step| self.is_there(admitted, step)) {
            plan.steps.sort_by_key(|step| !self.is_there(admitted, step));
        }
    }

    fn is_there(&self, admitted: &Admitted, step: &Step) -> bool {
        is_there(&self.snapshot, admitted, step.target)
    }
}

fn is_there(snapshot: &Snapshot, admitted: &Admitted, target: u16) -> bool {
    let bound = admitted.route.bound.get(usize::from(target));
    bound.is_none_or(|bound| snapshot.live.is_there(bound.live))
}

/// The operator's own order, less what is not eligible for this request.
fn fallback(admitted: &Admitted) -> Plan {
    let mut plan = admitted.route.plan.clone();
    plan.steps.retain(|step| admitted.candidates.allowed.contains(&step.target));
    plan
}

/// Moves a step to the front, drawn by weight from those whose targets are there, or else from all; the others keep their
/// order.
fn draw(plan: &mut Plan, there: impl Fn(&Step) -> bool, random: u64) {
    let any = plan.steps.iter().any(&there);
    let weight = |step: &Step| if any && !there(step) { 0 } else { u64::from(step.weight) };
    let total: u64 = plan.steps.iter().map(weight).sum();
    let Some(mut left) = random.checked_rem(total) else { return };
    let drawn = plan.steps.iter().position(|step| {
        let weight = weight(step);
        let hit = left < weight;
        left = left.saturating_sub(weight);
        hit
    });
    if let Some(steps) = drawn.and_then(|at| plan.steps.get_mut(..=at)) {
        steps.rotate_right(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(weights: &[u16], random: u64) -> Vec<u16> {
        let mut plan = Plan::ordered(0..u16::try_from(weights.len()).unwrap(), "test");
        for (step, weight) in plan.steps.iter_mut().zip(weights) {
            *step = Step { weight: *weight, ..step.clone() };
        }
        draw(&mut plan, |_| true, random);
        plan.steps.iter().map(|step| step.target).collect()
    }

    #[test]
    fn every_random_number_falls_on_the_step_whose_weight_covers_it() {
        assert_eq!(drawn(&[1, 2, 1], 0), [0, 1, 2]);
        assert_eq!(drawn(&[1, 2, 1], 1), [1, 0, 2]);
        assert_eq!(drawn(&[1, 2, 1], 2), [1, 0, 2]);
        assert_eq!(drawn(&[1, 2, 1], 3), [2, 0, 1]);
        assert_eq!(drawn(&[1, 2, 1], 4), [0, 1, 2]);
    }

    #[test]
    fn what_is_not_there_is_not_drawn_unless_nothing_is() {
        let draw_from = |there: &[u16], random| {
            let mut plan = Plan::ordered(0..3, "test");
            draw(&mut plan, |step| there.contains(&step.target), random);
            plan.steps[0].target
        };
        assert!((0..9).all(|random| draw_from(&[1], random) == 1));
        assert!((0..9).all(|random| draw_from(&[0, 2], random) != 1));
        assert!((0..3).any(|random| draw_from(&[], random) == 1));
    }

    #[test]
    fn no_weight_at_all_leaves_the_order() {
        assert_eq!(drawn(&[0, 0], 7), [0, 1]);
    }
}
