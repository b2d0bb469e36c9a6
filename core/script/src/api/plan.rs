//! What `route` answers: `plan(…)`, `deny(…)`, `abstain()`.

use super::target::TargetHandle;
use super::targets::Targets;
use crate::api::registrar::Api;
use crate::fault::{misuse, raise};
use crate::meter;
use crate::paths::value::Value;
use rhai::{Array, Dynamic, EvalAltResult, INT, ImmutableString, Variant};
use weir_policy::{Decision, Deny, ErrorClass, FaultKind, Plan, RetryOn, Step, Strategy};

type Answer<T> = Result<T, Box<EvalAltResult>>;

/// The type behind `abstain()`.
#[derive(Clone)]
pub(crate) struct Abstain;

/// What a `route` function returned.
pub(crate) fn decision(value: Value) -> Result<Decision, String> {
    let value = match value {
        Value::Plan(plan) => return Ok(Decision::Plan(*plan)),
        other => other.into_dynamic(),
    };
    match value.try_cast_result::<Deny>() {
        Ok(deny) => Ok(Decision::Deny(deny)),
        Err(value) if value.is::<Abstain>() => Ok(Decision::Abstain),
        Err(value) => {
            Err(format!("`route` answered with {}; say plan(…), deny(…) or abstain()", kind(&value)))
        }
    }
}

/// What a value is, in the words of a script's author.
pub(super) fn kind(value: &Dynamic) -> &'static str {
    match value.type_name() {
        "()" => "nothing",
        "bool" => "a bool",
        "i64" | "f64" => "a number",
        "string" => "a string",
        "array" => "an array",
        "map" => "a map",
        name if name.ends_with("Targets") => "a list of targets",
        name if name.ends_with("TargetHandle") => "a target",
        name if name.ends_with("Step") => "a step",
        name if name.ends_with("Deny") => "a deny",
        name if name.ends_with("Plan") => "a plan",
        name if name.ends_with("GuardVerdict") => "a verdict",
        _ => "something else",
    }
}

pub(super) fn register(api: &mut Api<'_>) {
    api.custom_type::<Plan>("Plan");
    api.custom_type::<Step>("Step");
    api.custom_type::<Deny>("Deny");
    api.custom_type::<Abstain>("Abstain");
    api.function("abstain", || Ok(Abstain));
    plans(api);
    plan_options(api);
    steps(api);
    denials(api);
}

fn plans(api: &mut Api<'_>) {
    api.makes("plan", |targets: &Targets| {
        ordered(targets.positions.iter().map(|&p| step_to(&targets.handle(p))).collect())
    });
    api.function("plan", |target: TargetHandle| ordered(vec![step_to(&target)]));
    api.function("plan", |step: Step| ordered(vec![step]));
    api.function("plan", |list: Array| {
        list.into_iter().map(any_step).collect::<Answer<Vec<_>>>().and_then(ordered)
    });
}

fn ordered(steps: Vec<Step>) -> Answer<Plan> {
    meter::keep(size_of_val(&*steps))?;
    let mut plan = Plan::ordered([], "");
    plan.steps = steps;
    Ok(plan)
}

fn step_to(target: &TargetHandle) -> Step {
    Step { weight: target.weight(), ..Step::to(target.index()) }
}

/// A step, or a target that becomes one.
pub(super) fn any_step(value: Dynamic) -> Answer<Step> {
    match value.try_cast_result::<Step>() {
        Ok(step) => Ok(step),
        Err(value) => match value.try_cast_result::<TargetHandle>() {
            Ok(target) => Ok(step_to(&target)),
            Err(value) => Err(misuse(format!("{} where a target or a step is needed", kind(&value)))),
        },
    }
}

fn plan_options(api: &mut Api<'_>) {
    set(api, "ordered", |plan| plan.strategy = Strategy::Ordered);
    set(api, "weighted", |plan| plan.strategy = Strategy::Weighted);
    set(api, "ask_on_error", |plan| plan.ask_on_error = true);
    set_to(api, "hedge", ms_of, |plan, ms| plan.strategy = Strategy::Hedge(ms));
    set_to(api, "reason", kept, |plan, why| plan.reason = why.as_str().into());
    set_to(api, "sticky", kept, |plan, key| plan.sticky = Some(key.as_str().to_owned()));
    set_to(api, "budget_nanos", Ok::<INT, _>, |plan, nanos| plan.budget_nanos = Some(nanos));
    set_to(api, "retry_on", |classes: Array| retry_on(&classes), |plan, classes| plan.retry_on = classes);
    each(api, "timeout_first_token_ms", ms_of, |step, ms| step.timeout_first_token_ms = ms);
    each(api, "timeout_total_ms", ms_of, |step, ms| step.timeout_total_ms = ms);
    each(api, "max_retries", retries_of, |step, retries| step.max_retries = retries);
    each(api, "max_tokens", tokens_of, |step, tokens| step.max_tokens = Some(tokens));
}

fn set(api: &mut Api<'_>, name: &str, edit: fn(&mut Plan)) {
    api.changes(name, move |plan: &mut Plan| {
        edit(plan);
        Ok(())
    });
}

/// An option with a value, which is read before anything is changed.
fn set_to<T: Variant + Clone, V: 'static>(
    api: &mut Api<'_>,
    name: &str,
    read: fn(T) -> Answer<V>,
    edit: fn(&mut Plan, V),
) {
    api.changes_with(name, move |plan: &mut Plan, value: T| {
        edit(plan, read(value)?);
        Ok(())
    });
}

/// The same of every step.
fn each<V: Copy + 'static>(
    api: &mut Api<'_>,
    name: &str,
    read: fn(INT) -> Answer<V>,
    edit: fn(&mut Step, V),
) {
    api.changes_with(name, move |plan: &mut Plan, value: INT| {
        let value = read(value)?;
        plan.steps.iter_mut().for_each(|step| edit(step, value));
        Ok(())
    });
}

/// A text that a plan keeps.
fn kept(text: ImmutableString) -> Answer<ImmutableString> {
    meter::keep(text.len())?;
    Ok(text)
}

/// Changes a value in place and returns it too, so that `x.y();` and `x.y()` as an answer both work.
pub(super) fn change<T: Clone>(value: &mut T, edit: impl FnOnce(&mut T)) -> T {
    edit(value);
    value.clone()
}

/// A kind of failure by name.
type Switch = (&'static str, fn(&mut RetryOn));

/// The failures that may move on, by their WIT names.
pub(crate) const RETRY_ON: [Switch; 10] = [
    ("rate-limited", |set| set.rate_limited = true),
    ("overloaded", |set| set.overloaded = true),
    ("timeout-connect", |set| set.timeout_connect = true),
    ("timeout-first-token", |set| set.timeout_first_token = true),
    ("timeout-idle", |set| set.timeout_idle = true),
    ("server-error", |set| set.server_error = true),
    ("network", |set| set.network = true),
    ("context-too-long", |set| set.context_too_long = true),
    ("content-filter", |set| set.content_filter = true),
    ("auth", |set| set.auth = true),
];

const NONE: RetryOn = RetryOn {
    rate_limited: false,
    overloaded: false,
    timeout_connect: false,
    timeout_first_token: false,
    timeout_idle: false,
    server_error: false,
    network: false,
    context_too_long: false,
    content_filter: false,
    auth: false,
};

fn retry_on(classes: &[Dynamic]) -> Answer<RetryOn> {
    let mut set = NONE;
    for class in classes {
        let name = class
            .read_lock::<ImmutableString>()
            .ok_or_else(|| misuse("retry_on takes names of error classes"))?;
        // Classes that share a switch with another one, see `RetryOn::covers`.
        let name = match name.as_str() {
            "quota" => "rate-limited",
            "model-not-found" => "auth",
            name => name,
        };
        match RETRY_ON.iter().find(|(known, _)| *known == name) {
            Some((_, switch)) => switch(&mut set),
            None if ErrorClass::ALL.iter().any(|class| class.as_str() == name) => {
                return Err(misuse("retry_on of a class that never moves on"));
            }
            None => return Err(misuse("retry_on of a class that does not exist")),
        }
    }
    Ok(set)
}

fn steps(api: &mut Api<'_>) {
    api.function("step", |target: TargetHandle| Ok(step_to(&target)));
    api.function("step", |index: INT| {
        let index = u16::try_from(index)
            .map_err(|_| raise(FaultKind::BadAnswer, format!("there is no target {index}")));
        index.map(Step::to)
    });
    api.getter("target", |step: &mut Step| Ok(INT::from(step.target)));
    api.function("weight", |step: &mut Step, weight: INT| {
        let weight = u16::try_from(weight).map_err(|_| misuse("a weight is 0 to 65535"))?;
        Ok(change(step, |s| s.weight = weight))
    });
    api.function("timeout_first_token_ms", |step: &mut Step, ms: INT| {
        let ms = ms_of(ms)?;
        Ok(change(step, |s| s.timeout_first_token_ms = ms))
    });
    api.function("timeout_total_ms", |step: &mut Step, ms: INT| {
        let ms = ms_of(ms)?;
        Ok(change(step, |s| s.timeout_total_ms = ms))
    });
    api.function("max_retries", |step: &mut Step, retries: INT| {
        let retries = retries_of(retries)?;
        Ok(change(step, |s| s.max_retries = retries))
    });
    api.function("max_tokens", |step: &mut Step, tokens: INT| {
        let tokens = tokens_of(tokens)?;
        Ok(change(step, |s| s.max_tokens = Some(tokens)))
    });
}

fn denials(api: &mut Api<'_>) {
    api.function("deny", |status: INT, code: ImmutableString, message: ImmutableString| {
        meter::keep(code.len() + message.len())?;
        // The pipeline reads a status outside 400..=599 as 403: a refusal stays one.
        let status = u16::try_from(status).unwrap_or(403);
        Ok(Deny {
            status,
            code: code.as_str().to_owned(),
            message: message.as_str().to_owned(),
            retry_after_ms: None,
        })
    });
    api.function("retry_after_ms", |deny: &mut Deny, ms: INT| {
        let ms = ms_of(ms)?;
        Ok(change(deny, |d| d.retry_after_ms = Some(ms)))
    });
}

/// Milliseconds; shared by everything that takes a time.
pub(super) fn ms_of(ms: INT) -> Answer<u32> {
    u32::try_from(ms).map_err(|_| misuse("a time is a whole number of milliseconds from 0"))
}

fn retries_of(retries: INT) -> Answer<u8> {
    u8::try_from(retries).map_err(|_| misuse("retries are 0 to 255"))
}

fn tokens_of(tokens: INT) -> Answer<u32> {
    u32::try_from(tokens).map_err(|_| misuse("tokens are a whole number from 0"))
}
