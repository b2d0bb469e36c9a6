//! The decision tree of an exchange: who said what and why, and which targets were left out. Without content.

use super::Exchange;
use super::admit::Admitted;
use crate::services::explain::Line;
use crate::snapshot::Route;
use crate::terms::{Misfit, Terms};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use weir_policy::pipeline::{Trace, TraceLine};
use weir_policy::{Api, Plan, Target};

/// What an exchange knew when it was routed.
pub struct Routed {
    route: Arc<Route>,
    terms: Arc<Terms>,
    /// Whether only targets with a known price were eligible.
    priced: bool,
    steps: Vec<u16>,
    reason: Arc<str>,
}

/// All that can be said of how an exchange was decided. Holds nothing that was made for the one exchange, but for what a
/// decision itself says: the memory of the exchange is free when it ends.
#[derive(Default)]
pub struct Explained {
    at_ms: u64,
    api: Option<Api>,
    stream: bool,
    generation: u64,
    outcome: &'static str,
    status: u16,
    served: Option<Arc<str>>,
    route: Option<Arc<Route>>,
    terms: Terms,
    priced: bool,
    /// Targets of the plan, in order, and why it is as it is.
    steps: Vec<u16>,
    reason: String,
    trace: Trace,
    said: Vec<Line>,
}

/// Room that a trace leaves to the next one: lines, and bytes of text.
const KEPT_LINES: usize = 8;
const KEPT_TEXT: usize = 128;

/// Longest explanation in a header.
const HEADER: usize = 4096;

impl Exchange<'_> {
    /// Notes where the exchange may go.
    pub fn routed(&mut self, admitted: &Admitted, plan: &Plan) {
        if !self.explains {
            return;
        }
        self.routed = Some(Routed {
            route: Arc::clone(&admitted.route),
            terms: Arc::clone(&admitted.terms),
            priced: admitted.caller.principal.has_hard_budget(),
            steps: plan.steps.iter().map(|step| step.target).collect(),
            reason: Arc::clone(&plan.reason),
        });
    }

    /// The decisions so far, short enough for a header.
    pub fn explanation(&self) -> Option<String> {
        let wanted = self.explains && self.wants_explanation;
        let text = wanted.then(|| Value::from(lines(&self.trace)).to_string())?;
        let plain = text.bytes().all(|b| (b' '..=b'~').contains(&b));
        (plain && text.len() <= HEADER).then_some(text)
    }

    /// Keeps the whole for `weir explain`.
    pub fn explain(&mut self) {
        if !self.explains {
            return;
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (routed, said) = (self.routed.take(), self.gateway.services.explain_take(&self.id));
        let lines = self.trace.len().max(KEPT_LINES);
        let bytes = 512 + lines * size_of::<TraceLine>() + self.trace.len() * 64 + said.len() * 128;
        self.gateway.traces.put(&self.id, bytes, |explained| {
            explained.at_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
            explained.api = Some(self.record.api);
            explained.stream = self.record.stream;
            explained.generation = self.snapshot.generation;
            explained.outcome = self.record.outcome.as_str();
            explained.status = self.record.status;
            explained.served = self.served.as_ref().map(|(id, _)| Arc::clone(id));
            explained.route = routed.as_ref().map(|routed| Arc::clone(&routed.route));
            // The next exchange writes into what this one leaves, unless it is much.
            explained.steps.clear();
            explained.steps.shrink_to(KEPT_LINES);
            explained.reason.clear();
            explained.reason.shrink_to(KEPT_TEXT);
            if let Some(routed) = &routed {
                explained.terms.clone_from(&routed.terms);
                explained.priced = routed.priced;
                explained.steps.extend_from_slice(&routed.steps);
                explained.reason.push_str(&routed.reason);
            }
            explained.trace.clear();
            explained.trace.shrink_to(KEPT_LINES);
            explained.trace.append(&mut self.trace);
            explained.said = said;
        });
    }
}

impl Explained {
    /// As JSON, for the admin API and the command line.
    #[must_use]
    pub fn to_json(&self, request_id: &str) -> Value {
        let explained = self
            .said
            .iter()
            .map(|(policy, rule, because)| json!({ "policy": **policy, "rule": rule, "because": because }));
        json!({
            "request_id": request_id,
            "at_ms": self.at_ms,
            "api": self.api.map(Api::as_str),
            "stream": self.stream,
            "generation": self.generation,
            "outcome": self.outcome,
            "status": self.status,
            "served_by": self.served.as_deref(),
            "targets": self.route.as_ref().map(|route| self.targets(route)),
            "plan": self.route.as_ref().and_then(|route| self.plan(route)),
            "decisions": lines(&self.trace),
            "explanations": explained.collect::<Vec<_>>(),
        })
    }

    /// Every target of the alias: whether policy saw it, and why not.
    fn targets(&self, route: &Route) -> Vec<Value> {
        let of = |&index: &u16| {
            let target = route.table.get(usize::from(index))?;
            let why = self.left_out(route, index, target);
            Some(json!({ "target": *target.id, "candidate": why.is_none(), "left_out": why }))
        };
        route.allowed.iter().filter_map(of).collect()
    }

    fn left_out(&self, route: &Route, index: u16, target: &Target) -> Option<String> {
        let (bound, api) = (route.bound.get(usize::from(index))?, self.api?);
        if !bound.endpoint.speaks.serves(api) {
            return Some(format!("its provider does not serve {}", api.as_str()));
        }
        if let Err(misfit) = self.terms.fits(target) {
            return Some(misfit_in_words(misfit, target, &self.terms));
        }
        let priced = bound.prices.as_ref().is_some_and(|prices| prices.covers(api));
        (self.priced && !priced).then(|| "its price is not known, and the budget is hard".to_owned())
    }

    fn plan(&self, route: &Route) -> Option<Value> {
        let id = |&target: &u16| route.table.get(usize::from(target)).map(|target| &*target.id);
        let steps: Vec<&str> = self.steps.iter().filter_map(id).collect();
        (!steps.is_empty()).then(|| json!({ "reason": self.reason, "steps": steps }))
    }
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
    }
}

fn lines(trace: &[TraceLine]) -> Vec<Value> {
    trace.iter().map(line).collect()
}

fn line(line: &TraceLine) -> Value {
    let mut said = json!({
        "policy": *line.policy,
        "version": *line.version,
        "hook": line.hook.as_str(),
        "verdict": line.verdict,
        "us": u64::try_from(line.elapsed.as_micros()).unwrap_or(u64::MAX),
    });
    if let Some(reason) = &line.reason {
        said["reason"] = json!(reason);
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
