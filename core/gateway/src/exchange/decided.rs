//! The decision tree of an exchange as JSON: who said what and why, which targets were left out, what became of each
//! attempt. Borrowed, so that a header is written of an exchange that runs, and a page of one that has ended.

use crate::snapshot::{Asks, Route, Unfit};
use crate::telemetry::record::Attempt;
use crate::terms::{Misfit, Terms};
use serde_json::{Value, json};
use std::borrow::Cow;
use weir_llm::request::Hosted;
use weir_policy::pipeline::TraceLine;
use weir_policy::{Api, Needs, Target};

/// A target that was not asked in its turn.
pub struct Passed {
    /// Index into the route's table.
    pub target: u16,
    /// The code of the refusal that the caller would get if no other target were left.
    pub code: Cow<'static, str>,
    /// How many attempts were made before.
    pub after: usize,
}

/// What was decided, up to now or altogether.
pub struct Decided<'a> {
    /// Where it might go; `None`: it came to an end before that was known.
    pub route: Option<&'a Route>,
    /// What was asked of targets.
    pub terms: &'a Terms,
    /// What is asked of providers beside the model.
    pub hosted: &'a [Hosted],
    /// The caller's API.
    pub api: Api,
    /// What a model has to be able to do.
    pub needs: Needs,
    /// Whether only targets with a known price were eligible.
    pub priced: bool,
    /// Targets of the plan, in order; none: it came to an end before there was one.
    pub steps: &'a [u16],
    /// Those of them that stand last for their breaker's sake.
    pub set_back: &'a [u16],
    /// Why the plan is as it is.
    pub reason: &'a str,
    /// Who said what.
    pub trace: &'a [TraceLine],
    /// Every try.
    pub attempts: &'a [Attempt],
    /// Every target that was not tried in its turn.
    pub passed: &'a [Passed],
}

impl Decided<'_> {
    /// Every target of the alias: whether policy saw it, and why not; `None` if no alias is known.
    pub fn targets(&self) -> Option<Vec<Value>> {
        let route = self.route?;
        let of = |&index: &u16| {
            let target = route.table.get(usize::from(index))?;
            let why = self.left_out(route, index, target);
            Some(json!({ "target": *target.id, "candidate": why.is_none(), "left_out": why }))
        };
        Some(route.allowed.iter().filter_map(of).collect())
    }

    /// The plan, if there was one.
    pub fn plan(&self) -> Option<Value> {
        let ids = |targets: &[u16]| targets.iter().filter_map(|&at| self.id(at)).collect::<Vec<_>>();
        let steps = ids(self.steps);
        let mut plan = (!steps.is_empty()).then(|| json!({ "reason": self.reason, "steps": steps }))?;
        if !self.set_back.is_empty() {
            plan["set_back"] = json!(ids(self.set_back));
        }
        Some(plan)
    }

    /// What became of each attempt, and of the targets that were passed over between them.
    pub fn attempts(&self) -> Vec<Value> {
        let mut told = Vec::with_capacity(self.attempts.len() + self.passed.len());
        for (before, attempt) in self.attempts.iter().enumerate() {
            told.extend(self.passed_over(before));
            told.push(self.attempt(before + 1, attempt));
        }
        told.extend(self.passed_over(self.attempts.len()));
        told
    }

    /// The whole in one list, for a header: the decisions first, then what they led to.
    pub fn list(&self) -> Vec<Value> {
        let left_out = self.targets().into_iter().flatten().filter(|target| target["candidate"] == false);
        let left_out =
            left_out.map(|target| json!({ "target": target["target"], "left_out": target["left_out"] }));
        self.trace.iter().map(line).chain(left_out).chain(self.attempts()).collect()
    }

    fn left_out(&self, route: &Route, index: u16, target: &Target) -> Option<String> {
        let asks = Asks { terms: self.terms, hosted: self.hosted, api: self.api, needs: self.needs };
        Some(match route.fits(index, &asks, self.priced).err()? {
            Unfit::Unknown => return None,
            Unfit::Api => format!("its provider does not serve {}", self.api.as_str()),
            Unfit::Terms(misfit) => misfit_in_words(misfit, target, self.terms),
            Unfit::Uncovered(hosted) => format!(
                "its zero-retention terms do not extend to {}, which `{}` asks for",
                hosted.feature.name(),
                hosted.field
            ),
            Unfit::Unable(lacking) => {
                let lacking: Vec<_> = lacking.names().collect();
                format!("it cannot do what the request needs: {}", lacking.join(", "))
            }
            Unfit::Unpriced => "its price is not known, and the budget is hard".to_owned(),
        })
    }

    fn attempt(&self, number: usize, attempt: &Attempt) -> Value {
        let took = attempt.ended.saturating_sub(attempt.started);
        json!({
            "attempt": number,
            "target": self.asked(attempt),
            "class": attempt.error.map_or("ok", weir_policy::ErrorClass::as_str),
            "status": attempt.status,
            "ms": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        })
    }

    /// An attempt knows the row of live facts of whom it asked.
    fn asked(&self, attempt: &Attempt) -> Option<&str> {
        let at = self.route?.bound.iter().position(|bound| bound.live == attempt.target)?;
        self.id(u16::try_from(at).ok()?)
    }

    fn passed_over(&self, after: usize) -> impl Iterator<Item = Value> {
        let these = self.passed.iter().filter(move |passed| passed.after == after);
        these.map(|passed| {
            let (target, because) = (self.id(passed.target), passed_in_words(&passed.code));
            json!({ "target": target, "passed_over": passed.code, "because": because })
        })
    }

    fn id(&self, target: u16) -> Option<&str> {
        self.route?.table.get(usize::from(target)).map(|target| &*target.id)
    }
}

/// One call of one policy, for whoever sees policies: with the source of what failed, and what to do about it.
pub fn line_in_full(of: &TraceLine) -> Value {
    let mut said = line(of);
    if let Some(fault) = &of.fault {
        said["fault"]["excerpt"] = json!(fault.excerpt);
        said["fault"]["hint"] = json!(fault.kind.hint());
    }
    said
}

/// One call of one policy, for a caller: nothing of the policy's source.
fn line(line: &TraceLine) -> Value {
    let mut said = json!({
        "policy": *line.policy,
        "version": *line.version,
        "hook": line.hook.as_str(),
        "verdict": line.verdict.as_str(),
        "us": u64::try_from(line.elapsed.as_micros()).unwrap_or(u64::MAX),
    });
    if let Some(reason) = &line.reason {
        said["reason"] = json!(**reason);
    }
    if !line.findings.is_empty() {
        let rules: Vec<&str> = line.findings.iter().map(|finding| finding.rule.as_str()).collect();
        said["findings"] = json!(rules);
    }
    if let Some(fault) = &line.fault {
        said["fault"] =
            json!({ "kind": fault.kind.as_str(), "message": fault.message, "place": fault.place });
    }
    said
}

fn misfit_in_words(misfit: Misfit, target: &Target, terms: &Terms) -> String {
    match misfit {
        Misfit::Keeps => {
            format!("it keeps content ({}); the request asks for {terms}", target.retention.name())
        }
        Misfit::Trains => format!("it may train on content; the request asks for {terms}"),
        Misfit::Elsewhere if target.region.is_empty() => {
            format!("nobody says where it is; the request asks for {terms}")
        }
        Misfit::Elsewhere => format!("it is in {}; the request asks for {terms}", target.region),
        Misfit::Dear => format!("it costs more, or nobody says what it costs; the request asks for {terms}"),
    }
}

fn passed_in_words(code: &str) -> &'static str {
    match code {
        "target_full" => "it has as many requests under way as it may",
        "rate_limit_exceeded" => "it is rate-limited for now",
        "upstream_overloaded" => "it asked to be left alone for now",
        "upstream_auth" => "it refused every key that the gateway has for it",
        "target_skipped" => "a policy passed it over",
        "no_target" => "it may not have this request",
        _ => "it cannot be told this request",
    }
}
