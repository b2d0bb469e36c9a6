//! Constructors for what hooks answer.
//!
//! - this file: verdicts, refusals, edits, plans.
//! - `reply`: steps of a stream, spans, charges.

mod reply;

use crate::{
    Admission, Changes, Deny, Edit, Finding, Hit, Outcome, Plan, Preparation, Replacement, RetryOn, Severity,
    Step, Strategy, Verdict,
};

impl Admission {
    /// Lets it in, without tags.
    #[must_use]
    pub const fn allow() -> Self {
        Self::Allow(Vec::new())
    }
}

impl Verdict {
    /// Nothing to see.
    #[must_use]
    pub const fn pass() -> Self {
        Self::of(Outcome::Pass)
    }

    /// Go on with these edits, sorted by segment and start; none is a pass.
    #[must_use]
    pub fn edit(mut edits: Vec<Edit>) -> Self {
        if edits.is_empty() {
            return Self::pass();
        }
        edits.sort_unstable_by_key(|e| (e.segment, e.start, e.end));
        Self::of(Outcome::Edit(edits))
    }

    /// Refuse.
    #[must_use]
    pub const fn block(deny: Deny) -> Self {
        Self::of(Outcome::Block(deny))
    }

    /// Answer the caller; no model is asked.
    #[must_use]
    pub fn answer(text: impl Into<String>) -> Self {
        Self::of(Outcome::Answer(text.into()))
    }

    /// The same verdict with what was found.
    #[must_use]
    pub fn because(mut self, findings: Vec<Finding>) -> Self {
        self.findings = findings;
        self
    }

    /// The same verdict with a tag more.
    #[must_use]
    pub fn tag(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.push((name.into(), value.into()));
        self
    }

    /// Whether the request is refused.
    #[must_use]
    pub const fn is_block(&self) -> bool {
        matches!(self.outcome, Outcome::Block(_))
    }

    const fn of(outcome: Outcome) -> Self {
        Self { outcome, findings: Vec::new(), tags: Vec::new() }
    }
}

impl Finding {
    /// A hit as a finding, with full score.
    #[must_use]
    pub fn of(hit: &Hit, rule: impl Into<String>, severity: Severity) -> Self {
        let (segment, start, end) = (Some(hit.segment), hit.start, hit.end);
        Self { rule: rule.into(), severity, segment, start, end, score: 1.0 }
    }
}

impl Deny {
    /// A refusal: `status` is 400 to 599, `code` is for machines, `message` for the caller.
    #[must_use]
    pub fn new(status: u16, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into(), retry_after_ms: None }
    }

    /// The same refusal, not to be tried again before so many milliseconds.
    #[must_use]
    pub const fn retry_after_ms(mut self, ms: u32) -> Self {
        self.retry_after_ms = Some(ms);
        self
    }
}

impl Edit {
    /// Puts `text` in place of a hit.
    #[must_use]
    pub fn replace(hit: &Hit, text: impl Into<String>) -> Self {
        Self { segment: hit.segment, start: hit.start, end: hit.end, replace: Replacement::Text(text.into()) }
    }
}

impl Preparation {
    /// Sends the request with these headers more; an empty value removes one that Weir would send.
    #[must_use]
    pub fn headers<N: Into<String>, V: Into<String>>(headers: impl IntoIterator<Item = (N, V)>) -> Self {
        let headers = headers.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self::Edit(Changes { edits: Vec::new(), headers })
    }
}

impl Plan {
    /// Targets in the given order, with configured defaults.
    #[must_use]
    pub fn ordered(targets: impl IntoIterator<Item = u16>, reason: impl Into<String>) -> Self {
        Self {
            strategy: Strategy::Ordered,
            steps: targets.into_iter().map(Step::to).collect(),
            retry_on: RetryOn::usual(),
            budget_nanos: None,
            ask_on_error: false,
            sticky: None,
            reason: reason.into(),
        }
    }
}

impl Step {
    /// A step with configured defaults.
    #[must_use]
    pub const fn to(target: u16) -> Self {
        Self {
            target,
            weight: 1,
            timeout_first_token_ms: 0,
            timeout_total_ms: 0,
            max_retries: 0,
            max_tokens: None,
        }
    }
}

impl RetryOn {
    /// 429, 5xx, overload, connect failure, timeout before the first byte, a provider key that was refused.
    #[must_use]
    pub fn usual() -> Self {
        Self::all() - Self::CONTEXT_TOO_LONG - Self::CONTENT_FILTER
    }
}
