//! What came of a question.

use super::plan::Planned;
use super::play::Lanes;
use crate::pipeline::{Attempted, GuardEnd, GuardOutcome, Redacted, Refused, Routed, Trace};
use crate::policy::Fault;
use crate::request::RequestView;
use crate::target::Candidates;
use crate::verdict::{Charge, Deny, Recovery};
use std::collections::BTreeMap;
use weir_llm::price::Nanos;

/// What came, and what is known of how.
pub(super) struct Seen {
    pub(super) answer: Answer,
    pub(super) reason: Option<String>,
    /// What a route policy planned, whole.
    pub(super) plan: Option<Planned>,
    pub(super) findings: Vec<String>,
    pub(super) fault: Option<Fault>,
    /// What the policy noted about the exchange.
    pub(super) notes: BTreeMap<String, String>,
    pub(super) trace: Trace,
}

/// What a hook came to.
pub(super) enum Answer {
    Pass,
    Edited(Edited),
    Answered(String),
    Allowed,
    Refused(Deny),
    Plan(Vec<String>),
    Abstained,
    Skipped(String),
    FollowPlan,
    RetryAfter(u32),
    Switch(String),
    Streamed(Lanes),
    Stopped { deny: Deny, left: Lanes },
    Charged(Charge),
    Quoted(Nanos),
    ListPrice,
    Done,
}

/// What is left of a request or a reply.
pub(super) struct Edited {
    pub(super) texts: Vec<String>,
    pub(super) body: String,
    /// Headers that one attempt gets.
    pub(super) headers: BTreeMap<String, String>,
}

impl Seen {
    pub(super) fn admitted(end: Result<(), Refused>) -> Self {
        Self::new(end.map_or_else(|refused| Answer::Refused(refused.deny), |()| Answer::Allowed))
    }

    pub(super) fn guarded(outcome: GuardOutcome) -> Self {
        Self::new(match outcome.end {
            GuardEnd::Blocked(refused) => Answer::Refused(refused.deny),
            GuardEnd::Answered { text, .. } => Answer::Answered(text),
            GuardEnd::Pass => Answer::left(outcome.edited, &outcome.view, Vec::new()),
        })
    }

    pub(super) fn redacted(left: Result<Redacted, Refused>) -> Self {
        Self::new(match left {
            Ok(left) => Answer::left(left.edited, &left.view, Vec::new()),
            Err(refused) => Answer::Refused(refused.deny),
        })
    }

    pub(super) fn routed(decision: Routed, candidates: &Candidates) -> Self {
        match decision {
            Routed::Plan(plan) => {
                let ids: Vec<String> = plan.steps.iter().map(|step| id(step.target, candidates)).collect();
                let reason = Some(plan.reason.to_string());
                let planned = Some(Planned { plan, ids: ids.clone() });
                Self { reason, plan: planned, ..Self::new(Answer::Plan(ids)) }
            }
            Routed::Refused(refused) => Self::new(Answer::Refused(refused.deny)),
            Routed::Static => Self::new(Answer::Abstained),
        }
    }

    pub(super) fn attempted(attempted: Result<Attempted, Refused>) -> Self {
        Self::new(match attempted {
            Ok(Attempted { skip: Some(reason), .. }) => Answer::Skipped(reason),
            Ok(attempted) => Answer::left(attempted.edited, &attempted.view, attempted.headers),
            Err(refused) => Answer::Refused(refused.deny),
        })
    }

    pub(super) fn recovered(recovery: Recovery, candidates: &Candidates) -> Self {
        Self::new(match recovery {
            Recovery::FollowPlan => Answer::FollowPlan,
            Recovery::RetryAfter(ms) => Answer::RetryAfter(ms),
            Recovery::Switch(step) => Answer::Switch(id(step.target, candidates)),
            Recovery::Fail(deny) => Answer::Refused(deny),
        })
    }

    pub(super) fn quoted(quote: Option<Nanos>) -> Self {
        Self::new(quote.map_or(Answer::ListPrice, Answer::Quoted))
    }

    pub(super) fn charged(charge: Option<Charge>) -> Self {
        Self::new(charge.map_or(Answer::ListPrice, Answer::Charged))
    }

    pub(super) fn streamed(left: Lanes) -> Self {
        Self::new(Answer::Streamed(left))
    }

    pub(super) fn stopped(refused: Refused, left: Lanes) -> Self {
        Self::new(Answer::Stopped { deny: refused.deny, left })
    }

    pub(super) fn done(fault: Option<Fault>) -> Self {
        Self { fault, ..Self::new(Answer::Done) }
    }

    fn new(answer: Answer) -> Self {
        Self {
            answer,
            reason: None,
            plan: None,
            findings: Vec::new(),
            fault: None,
            notes: BTreeMap::new(),
            trace: Trace::new(),
        }
    }

    /// With what the trace and the notes of the exchange say.
    pub(super) fn with(mut self, trace: Trace, view: Option<&RequestView>) -> Self {
        for line in &trace {
            self.findings.extend(line.findings.iter().map(|finding| finding.rule.clone()));
            self.fault = line.fault.as_deref().cloned().or(self.fault);
            if let Answer::Refused(_) | Answer::Stopped { .. } = self.answer {
                self.reason = line.reason.as_deref().map(str::to_owned).or(self.reason);
            }
        }
        self.notes = view.map(RequestView::notes).unwrap_or_default().into_iter().collect();
        self.trace = trace;
        self
    }
}

impl Answer {
    fn left(edited: bool, view: &RequestView, headers: Vec<(String, String)>) -> Self {
        if !edited && headers.is_empty() {
            return Self::Pass;
        }
        let body = String::from_utf8_lossy(view.body()).into_owned();
        Self::Edited(Edited { texts: texts(view), body, headers: headers.into_iter().collect() })
    }

    /// Whether a stream came out alike: the same text by lane, or the same refusal after what may be more or less of it.
    pub(super) fn agrees(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Streamed(left), Self::Streamed(others)) => left == others,
            (Self::Stopped { deny, left }, Self::Stopped { deny: other_deny, left: others }) => {
                deny == other_deny && left.runs_along(others)
            }
            _ => false,
        }
    }
}

fn texts(view: &RequestView) -> Vec<String> {
    let texts = (0..view.segment_count()).map(|segment| view.decoded(segment));
    texts.map(|text| text.unwrap_or_default().to_owned()).collect()
}

fn id(target: u16, candidates: &Candidates) -> String {
    let target = candidates.table.get(usize::from(target));
    target.map(|target| target.id.to_string()).unwrap_or_default()
}
