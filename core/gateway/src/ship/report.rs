//! What a shadow found: how often the candidate would have decided otherwise, in what ways, at what cost.

use super::diff::Said;
use super::frozen;
use serde_json::{Value, json};
use std::time::Duration;
use weir_policy::{Candidates, Head, Question};

/// Kinds of change that are told apart; further ones are counted together.
const KINDS: usize = 32;

/// What is counted of a shadow.
#[derive(Debug, Default)]
pub struct Report {
    /// Questions that both versions answered.
    pub asked: u64,
    /// Of these, with another decision.
    pub changed: u64,
    /// The live version failed.
    pub live_faults: u64,
    /// The candidate failed.
    pub faults: u64,
    /// The candidate would have refused who is not refused.
    pub new_refusals: u64,
    /// The candidate would have let pass who is refused.
    pub lifted_refusals: u64,
    /// Decisions whose cost is known for both.
    priced: u64,
    live_nanos: i128,
    nanos: i128,
    live_time: Duration,
    time: Duration,
    kinds: Vec<Kind>,
    /// Changes of further kinds.
    others: u64,
}

#[derive(Debug)]
struct Kind {
    name: String,
    count: u64,
    example: Option<Value>,
}

/// One question, answered by both.
pub struct Pair<'a> {
    /// What the live version said.
    pub live: &'a Said,
    /// What the candidate said.
    pub candidate: &'a Said,
    /// In what way they differ.
    pub kind: Option<&'a str>,
    /// What each costs.
    pub nanos: (Option<i64>, Option<i64>),
    /// What each took.
    pub took: (Duration, Duration),
}

impl Report {
    /// Counts a pair; whether it is the first of its kind and wants an example.
    pub fn count(&mut self, pair: &Pair<'_>) -> bool {
        self.asked += 1;
        self.live_faults += u64::from(pair.live.failed);
        self.faults += u64::from(pair.candidate.failed);
        self.new_refusals += u64::from(pair.candidate.refuses && !pair.live.refuses);
        self.lifted_refusals += u64::from(pair.live.refuses && !pair.candidate.refuses);
        if let (Some(live), Some(candidate)) = pair.nanos {
            self.priced += 1;
            self.live_nanos += i128::from(live);
            self.nanos += i128::from(candidate);
        }
        self.live_time += pair.took.0;
        self.time += pair.took.1;
        let Some(kind) = pair.kind else { return false };
        self.changed += 1;
        if let Some(known) = self.kinds.iter_mut().find(|known| known.name == kind) {
            known.count += 1;
            return false;
        }
        if self.kinds.len() >= KINDS {
            self.others += 1;
            return false;
        }
        self.kinds.push(Kind { name: kind.to_owned(), count: 1, example: None });
        true
    }

    /// Shows an example of a kind.
    pub fn show(&mut self, kind: &str, example: Value) {
        if let Some(known) = self.kinds.iter_mut().find(|known| known.name == kind) {
            known.example = Some(example);
        }
    }

    /// The share of decisions that change, in parts of 10,000.
    pub fn changed_share(&self) -> u64 {
        (self.changed * 10_000).checked_div(self.asked).unwrap_or(0)
    }

    /// For the admin API. `dropped`: questions that came faster than the candidate answered.
    pub fn json(&self, dropped: u64) -> Value {
        let mut kinds: Vec<&Kind> = self.kinds.iter().collect();
        kinds.sort_by_key(|kind| std::cmp::Reverse(kind.count));
        let kinds: Vec<Value> = kinds
            .iter()
            .map(|kind| json!({ "kind": kind.name, "count": kind.count, "example": kind.example }))
            .collect();
        json!({
            "asked": self.asked,
            "dropped": dropped,
            "changed": self.changed,
            "changed_percent": percent(self.changed_share()),
            "faults": { "live": self.live_faults, "candidate": self.faults },
            "new_refusals": self.new_refusals,
            "lifted_refusals": self.lifted_refusals,
            "cost": self.cost(),
            "mean_us": { "live": self.mean(self.live_time), "candidate": self.mean(self.time) },
            "changes": kinds,
            "changes_of_further_kinds": self.others,
            "unseen": "streams longer than 256 KiB, and requests that only the candidate's `when` or hooks would take in",
        })
    }

    fn cost(&self) -> Value {
        let parts = (self.nanos - self.live_nanos).checked_mul(10_000);
        let parts = parts.and_then(|parts| parts.checked_div(self.live_nanos));
        let share = parts.and_then(|parts| i64::try_from(parts).ok()).map(|parts| {
            format!("{}{}", if parts < 0 { "-" } else { "" }, percent_text(parts.unsigned_abs()))
        });
        json!({
            "compared": self.priced,
            "live_usd": usd(self.live_nanos),
            "candidate_usd": usd(self.nanos),
            "difference_usd": usd(self.nanos - self.live_nanos),
            "difference_percent": share,
        })
    }

    /// Tenths of microseconds are more than a shared machine can tell.
    fn mean(&self, total: Duration) -> f64 {
        let nanos = total.as_nanos().checked_div(u128::from(self.asked)).unwrap_or(0);
        f64::from(u32::try_from(nanos / 100).unwrap_or(u32::MAX)) / 10.0
    }
}

/// One question as a report may show it: facts of its head, its targets, and what both versions say. No content.
pub fn example(question: &Question, live: &Said, candidate: &Said, complete: bool) -> Value {
    let mut shown = json!({ "live": live.text, "candidate": candidate.text, "minimal": complete });
    if let Some(view) = frozen::view(question) {
        shown["head"] = head(view.head());
    }
    if let Some(candidates) = frozen::candidates(question) {
        shown["candidates"] = targets(candidates);
    }
    match question {
        Question::OnError { errors, .. } => {
            let errors = errors.iter().map(|error| json!({ "target": &*error.target_id, "class": error.class.as_str(), "status": error.status }));
            shown["errors"] = errors.collect();
        }
        Question::Attempt { facts, .. } => {
            shown["attempt"] = json!({ "target": &*facts.target_id, "number": facts.number });
        }
        Question::Quote { bound: base, .. } | Question::Price { base, .. } => {
            shown["base"] = json!({ "target": &*base.target_id, "list_usd": usd(base.list_price.0.into()) });
        }
        _ => {}
    }
    shown
}

/// Empty and default facts are left out: what is shown is what matters.
fn head(head: &Head) -> Value {
    let mut shown = json!({ "api": head.api.as_str(), "model": &*head.requested_model });
    let mut put = |name: &str, value: Value, there: bool| {
        if there {
            shown[name] = value;
        }
    };
    put("stream", json!(true), head.stream);
    put("tenant", json!(&*head.tenant), !head.tenant.is_empty());
    put("project", json!(&*head.project), !head.project.is_empty());
    put("key", json!(&*head.key_id), !head.key_id.is_empty());
    put("region", json!(&*head.region), !head.region.is_empty());
    put("tags", json!(&*head.tags), !head.tags.is_empty());
    put("retention", json!(head.retention.name()), head.retention != weir_policy::Retention::Unknown);
    put("class", json!(head.class.name()), head.class != weir_policy::DataClass::Internal);
    put("est_input_tokens", json!(head.est_input_tokens), head.est_input_tokens > 0);
    put("max_output_tokens", json!(head.max_output_tokens), head.max_output_tokens.is_some());
    put("body_bytes", json!(head.body_bytes), true);
    put("needs", json!(head.needs.names().collect::<Vec<_>>()), !head.needs.is_nothing());
    put("attempt", json!(head.attempt), head.attempt > 0);
    put("budget_left_usd", json!(head.budget.map(|budget| usd(budget.left.0.into()))), head.budget.is_some());
    shown
}

fn targets(candidates: &Candidates) -> Value {
    let shown = candidates.iter().map(|(index, target)| {
        let live = candidates.live(index);
        json!({
            "id": &*target.id,
            "healthy": live.healthy,
            "in_flight": live.in_flight,
            "ttft_p50_ms": live.ttft_p50_ms,
            "ttft_p95_ms": live.ttft_p95_ms,
            "err_rate_1m": live.err_rate_1m,
            "headroom": live.headroom,
        })
    });
    shown.collect()
}

fn percent(parts: u64) -> Value {
    json!(percent_text(parts))
}

/// Parts of 10,000 as people write them.
pub fn percent_text(parts: u64) -> String {
    match (parts / 100, parts % 100) {
        (whole, 0) => format!("{whole}%"),
        (whole, part) => format!("{whole}.{part:02}%"),
    }
}

/// Nano-dollars as dollars, exactly.
fn usd(nanos: i128) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.unsigned_abs();
    format!("{sign}{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
}
