//! What a case says of a plan beside the order of its targets.

use crate::verdict::{ErrorClass, Plan, Strategy};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What else the plan must say; what is not named may be anything.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PlanFile {
    strategy: Option<StrategyName>,
    /// For the strategy `hedge`.
    hedge_ms: Option<u32>,
    /// All classes of failures that move on, and no others.
    retry_on: Option<Vec<String>>,
    ask_on_error: Option<bool>,
    sticky: Option<String>,
    budget_nanos: Option<i64>,
    /// By target.
    steps: BTreeMap<String, StepFile>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
enum StrategyName {
    Ordered,
    Weighted,
    Hedge,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct StepFile {
    weight: Option<u16>,
    max_tokens: Option<u32>,
    max_retries: Option<u8>,
    timeout_first_token_ms: Option<u32>,
    timeout_total_ms: Option<u32>,
}

/// What came, as far as cases can speak of it.
pub(super) struct Planned {
    pub(super) plan: Plan,
    /// The target of each step.
    pub(super) ids: Vec<String>,
}

impl Planned {
    /// The first thing in which the plan is not as it was said.
    pub(super) fn mismatch(&self, wanted: &PlanFile) -> Option<String> {
        let plan = &self.plan;
        let (strategy, hedge) = match plan.strategy {
            Strategy::Ordered => ("ordered", None),
            Strategy::Weighted => ("weighted", None),
            Strategy::Hedge(ms) => ("hedge", Some(ms)),
        };
        let wanted_strategy = wanted.strategy.map(|name| match name {
            StrategyName::Ordered => "ordered",
            StrategyName::Weighted => "weighted",
            StrategyName::Hedge => "hedge",
        });
        let fields = [
            differs("strategy", wanted_strategy.map(|name| json!(name)), json!(strategy)),
            differs("hedge_ms", wanted.hedge_ms.map(|ms| json!(ms)), json!(hedge)),
            differs("retry_on", wanted.retry_on.as_ref().map(|list| sorted(list)), moving_on(plan)),
            differs("ask_on_error", wanted.ask_on_error.map(|ask| json!(ask)), json!(plan.ask_on_error)),
            differs("sticky", wanted.sticky.as_ref().map(|key| json!(key)), json!(plan.sticky)),
            differs("budget_nanos", wanted.budget_nanos.map(|most| json!(most)), json!(plan.budget_nanos)),
        ];
        let steps = wanted.steps.iter().find_map(|(id, step)| self.step(id, step));
        fields.into_iter().flatten().next().or(steps)
    }

    fn step(&self, id: &str, wanted: &StepFile) -> Option<String> {
        let found = self.ids.iter().position(|known| known == id).and_then(|at| self.plan.steps.get(at));
        let Some(step) = found else { return Some(format!("the plan has no step {id}")) };
        let field = |name: &str, wanted: Option<u64>, got: Option<u64>| {
            differs(&format!("{name} of {id}"), wanted.map(|value| json!(value)), json!(got))
        };
        field("weight", wanted.weight.map(u64::from), Some(step.weight.into()))
            .or_else(|| field("max_tokens", wanted.max_tokens.map(u64::from), step.max_tokens.map(u64::from)))
            .or_else(|| {
                field("max_retries", wanted.max_retries.map(u64::from), Some(step.max_retries.into()))
            })
            .or_else(|| {
                let (wanted, got) = (wanted.timeout_first_token_ms, step.timeout_first_token_ms);
                field("timeout_first_token_ms", wanted.map(u64::from), Some(got.into()))
            })
            .or_else(|| {
                let (wanted, got) = (wanted.timeout_total_ms, step.timeout_total_ms);
                field("timeout_total_ms", wanted.map(u64::from), Some(got.into()))
            })
    }
}

fn differs(name: &str, wanted: Option<Value>, got: Value) -> Option<String> {
    let wanted = wanted.filter(|wanted| *wanted != got)?;
    let got = if got.is_null() { "none".to_owned() } else { got.to_string() };
    Some(format!("expected {name} {wanted} of the plan, got {got}"))
}

fn sorted(names: &[String]) -> Value {
    let mut names = names.to_vec();
    names.sort_unstable();
    json!(names)
}

fn moving_on(plan: &Plan) -> Value {
    let covered = ErrorClass::ALL.into_iter().filter(|class| plan.retry_on.covers(*class));
    sorted(&covered.map(|class| class.as_str().to_owned()).collect::<Vec<_>>())
}
