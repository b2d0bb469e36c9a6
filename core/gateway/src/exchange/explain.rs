//! What an exchange remembers of how it was decided, for whoever asks: for its caller in a header, for the operator
//! afterwards. Without content.

use super::Exchange;
use super::decided::{Decided, Passed, line_in_full};
use crate::refusal::Refusal;
use crate::services::explain::Line;
use crate::snapshot::Route;
use crate::telemetry::record::Attempt;
use crate::terms::Terms;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;
use std::time::UNIX_EPOCH;
use weir_llm::request::Hosted;
use weir_policy::pipeline::{Trace, TraceLine};
use weir_policy::{Api, Needs, Plan};

/// What an exchange knows of where it may go, from the moment at which that is asked.
pub struct Considered {
    route: Arc<Route>,
    terms: Arc<Terms>,
    needs: Needs,
    /// Whether only targets with a known price are eligible.
    priced: bool,
    /// Targets of the plan, in order; none while there is no plan.
    steps: Vec<u16>,
    /// Those of them that stand last for their breaker's sake.
    set_back: Vec<u16>,
    reason: Option<Arc<str>>,
    passed: Vec<Passed>,
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
    refused: Option<&'static str>,
    served: Option<Arc<str>>,
    route: Option<Arc<Route>>,
    terms: Terms,
    needs: Needs,
    hosted: Vec<Hosted>,
    priced: bool,
    steps: Vec<u16>,
    set_back: Vec<u16>,
    reason: String,
    trace: Trace,
    attempts: Vec<Attempt>,
    passed: Vec<Passed>,
    said: Vec<Line>,
}

/// Room that a trace leaves to the next one: lines, and bytes of text.
const KEPT_LINES: usize = 8;
const KEPT_TEXT: usize = 128;

/// Longest explanation in a header.
const HEADER: usize = 4096;
/// What of it is left for the mark that says how much was cut.
const MARK: usize = 160;

impl Exchange<'_> {
    /// Notes where the exchange may go: before anybody is asked, so that a refusal finds it noted.
    pub fn consider(&mut self, route: &Arc<Route>, terms: &Arc<Terms>, needs: Needs, priced: bool) {
        self.considered = self.explains.then(|| Considered {
            route: Arc::clone(route),
            terms: Arc::clone(terms),
            needs,
            priced,
            steps: Vec::new(),
            set_back: Vec::new(),
            reason: None,
            passed: Vec::new(),
        });
    }

    /// Notes the plan. `is_there`: whether a target need not stand last.
    pub fn planned(&mut self, plan: &Plan, is_there: impl Fn(u16) -> bool) {
        let Some(considered) = &mut self.considered else { return };
        considered.steps = plan.steps.iter().map(|step| step.target).collect();
        // Most of the time all are there, and nothing is allocated.
        considered.set_back = considered.steps.iter().copied().filter(|&target| !is_there(target)).collect();
        considered.reason = Some(Arc::clone(&plan.reason));
    }

    /// Notes that a target was not asked in its turn, and why.
    pub fn passed_over(&mut self, target: u16, why: &Refusal) {
        let after = self.record.attempts.len();
        if let Some(considered) = &mut self.considered {
            considered.passed.push(Passed { target, code: why.code.clone(), after });
        }
    }

    /// Notes why the caller is refused. A policy's word or a provider's stands where it belongs, if it may stand anywhere;
    /// Weir's own words are known at compile time.
    pub const fn refused_as(&mut self, refusal: &Refusal) {
        if let Cow::Borrowed(code) = refusal.code {
            self.record.refused = Some(code);
        }
    }

    /// The decisions so far, short and plain enough for a header; `None`: nobody asked.
    pub fn explanation(&self) -> Option<String> {
        let wanted = self.explains && self.wants_explanation;
        wanted.then(|| in_a_header(&self.decided().list(), &self.whereabouts()))
    }

    fn decided(&self) -> Decided<'_> {
        let considered = self.considered.as_ref();
        let none = const { &Terms::NONE };
        Decided {
            route: considered.map(|considered| &*considered.route),
            terms: considered.map_or(none, |considered| &considered.terms),
            hosted: &self.hosted,
            api: self.record.api,
            needs: considered.map(|considered| considered.needs).unwrap_or_default(),
            priced: considered.is_some_and(|considered| considered.priced),
            steps: considered.map_or(&[], |considered| &considered.steps),
            set_back: considered.map_or(&[], |considered| &considered.set_back),
            reason: considered.and_then(|considered| considered.reason.as_deref()).unwrap_or_default(),
            trace: &self.trace,
            attempts: &self.record.attempts,
            passed: considered.map_or(&[], |considered| &considered.passed),
        }
    }

    /// Where the whole of an explanation is that was cut.
    fn whereabouts(&self) -> String {
        match self.snapshot.config.explain_kept {
            0 => "nowhere: telemetry.explain_kept is 0".to_owned(),
            _ => format!("weir explain {}", self.id),
        }
    }

    /// Keeps the whole for `weir explain`.
    pub fn explain(&mut self) {
        if !self.explains {
            return;
        }
        let ended = self.record.started_at + self.record.total;
        let since = ended.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (considered, said) = (self.considered.take(), self.gateway.services.explain_take(&self.id));
        let lines = self.trace.len().max(KEPT_LINES);
        let tried = self.record.attempts.len() * size_of::<Attempt>();
        let bytes = 512 + lines * size_of::<TraceLine>() + self.trace.len() * 64 + said.len() * 128 + tried;
        self.gateway.traces.put(&self.id, bytes, |explained| {
            explained.at_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
            explained.api = Some(self.record.api);
            explained.stream = self.record.stream;
            explained.generation = self.snapshot.generation;
            explained.outcome = self.record.outcome.as_str();
            explained.status = self.record.status;
            explained.refused = self.record.refused;
            explained.served = self.served.as_ref().map(|(id, _)| Arc::clone(id));
            explained.empty();
            if let Some(considered) = considered {
                explained.consider(considered);
            }
            explained.hosted = std::mem::take(&mut self.hosted);
            explained.attempts.extend_from_slice(&self.record.attempts);
            explained.trace.append(&mut self.trace);
            explained.said = said;
        });
    }
}

impl Explained {
    /// The next exchange writes into what this one leaves, unless it is much.
    fn empty(&mut self) {
        self.route = None;
        empty(&mut self.steps);
        empty(&mut self.set_back);
        self.reason.clear();
        self.reason.shrink_to(KEPT_TEXT);
        empty(&mut self.trace);
        empty(&mut self.attempts);
        empty(&mut self.passed);
    }

    fn consider(&mut self, considered: Considered) {
        self.route = Some(considered.route);
        self.terms.clone_from(&considered.terms);
        self.needs = considered.needs;
        self.priced = considered.priced;
        self.steps.extend_from_slice(&considered.steps);
        self.set_back.extend_from_slice(&considered.set_back);
        self.reason.push_str(considered.reason.as_deref().unwrap_or_default());
        self.passed.extend(considered.passed);
    }

    /// As JSON, for the admin API and the command line.
    #[must_use]
    pub fn to_json(&self, request_id: &str) -> Value {
        let explained = self
            .said
            .iter()
            .map(|(policy, rule, because)| json!({ "policy": **policy, "rule": rule, "because": because }));
        let decided = self.decided();
        json!({
            "request_id": request_id,
            "at_ms": self.at_ms,
            "api": self.api.map(Api::as_str),
            "stream": self.stream,
            "generation": self.generation,
            "outcome": self.outcome,
            "status": self.status,
            "refused": self.refused,
            "served_by": self.served.as_deref(),
            "targets": decided.targets(),
            "plan": decided.plan(),
            "attempts": decided.attempts(),
            "decisions": self.trace.iter().map(line_in_full).collect::<Vec<_>>(),
            "explanations": explained.collect::<Vec<_>>(),
        })
    }

    fn decided(&self) -> Decided<'_> {
        Decided {
            route: self.route.as_deref(),
            terms: &self.terms,
            hosted: &self.hosted,
            api: self.api.unwrap_or(Api::Chat),
            needs: self.needs,
            priced: self.priced,
            steps: &self.steps,
            set_back: &self.set_back,
            reason: &self.reason,
            trace: &self.trace,
            attempts: &self.attempts,
            passed: &self.passed,
        }
    }
}

fn empty<T>(list: &mut Vec<T>) {
    list.clear();
    list.shrink_to(KEPT_LINES);
}

/// A list as a header may carry it: what is not plain ASCII is escaped, and what does not fit is cut at an item, with a mark
/// in its place that says how much was cut and where the whole is.
fn in_a_header(list: &[Value], whole: &str) -> String {
    let mut text = String::from("[");
    for (done, item) in list.iter().enumerate() {
        let (item, more) = (plain(&item.to_string()), done + 1 < list.len());
        // The last one needs no mark behind it.
        let room = if more { HEADER - MARK } else { HEADER - 1 };
        if text.len() + item.len() + 1 > room {
            let mark = json!({ "cut": list.len() - done, "whole": whole });
            append(&mut text, &plain(&mark.to_string()));
            break;
        }
        append(&mut text, &item);
    }
    text.push(']');
    text
}

fn append(text: &mut String, item: &str) {
    if text.len() > 1 {
        text.push(',');
    }
    text.push_str(item);
}

/// The same JSON in printable ASCII.
fn plain(json: &str) -> String {
    let mut plain = String::with_capacity(json.len());
    for c in json.chars() {
        if (' '..='~').contains(&c) {
            plain.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a string cannot fail.
            let _ = write!(plain, "\\u{unit:04x}");
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_holds_ascii_only_and_says_the_same() {
        let list = [json!({ "policy": "größe 🦀", "reason": "tab\t del\u{7f} \"quoted\"" })];
        let text = in_a_header(&list, "weir explain req_1");
        assert!(text.bytes().all(|b| (b' '..=b'~').contains(&b)), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), Value::from(list.to_vec()));
    }

    #[test]
    fn what_is_too_long_is_cut_with_a_mark_and_never_longer_than_a_header() {
        for count in [1, 40, 41, 42, 43, 44, 45, 500] {
            let item = |at: usize| json!({ "policy": "p".repeat(60), "at": at });
            let list: Vec<Value> = (0..count).map(item).collect();
            let text = in_a_header(&list, "weir explain req_0123456789abcdef0123456789abcdef");
            assert!(text.len() <= HEADER, "{count}: {}", text.len());
            let told: Vec<Value> = serde_json::from_str(&text).unwrap();
            let Some(cut) = told.last().and_then(|last| last["cut"].as_u64()) else {
                assert_eq!(told, list);
                continue;
            };
            assert_eq!(told.len() - 1 + usize::try_from(cut).unwrap(), count);
            assert!(told.last().unwrap()["whole"].as_str().unwrap().starts_with("weir explain req_"));
        }
        let long = [json!("ü".repeat(HEADER))];
        let told: Value = serde_json::from_str(&in_a_header(&long, "weir explain req_1")).unwrap();
        assert_eq!(told[0]["cut"], 1);
        assert_eq!(in_a_header(&[], ""), "[]");
    }
}
