//! The contract's types from WIT to Rust: what a component answers. Whether an answer is allowed is the pipeline's check.
//!
//! - this file: what hooks of a request answer.
//! - `reply`: what the hooks of a reply and `price` answer.

mod reply;

pub(crate) use reply::{charge, closing, redact_step, span, stream_step};

use crate::wit::exports::weir::policy::{
    hook_admit as wa, hook_attempt as wt, hook_on_error as we, hook_route as wr,
};
use crate::wit::weir::policy::types as w;
use weir_policy as p;

pub(crate) fn admission(admission: wa::Admission) -> p::Admission {
    match admission {
        wa::Admission::Allow(tags) => p::Admission::Allow(tags),
        wa::Admission::Deny(refusal) => p::Admission::Deny(deny(refusal)),
    }
}

pub(crate) fn preparation(preparation: wt::Preparation) -> p::Preparation {
    match preparation {
        wt::Preparation::Pass => p::Preparation::Pass,
        wt::Preparation::Edit(changes) => p::Preparation::Edit(p::Changes {
            edits: changes.edits.into_iter().map(edit).collect(),
            headers: changes.headers,
        }),
        wt::Preparation::Skip(reason) => p::Preparation::Skip(reason),
    }
}

pub(crate) fn verdict(verdict: w::Verdict) -> p::GuardVerdict {
    p::GuardVerdict {
        outcome: match verdict.outcome {
            w::Outcome::Pass => p::Guarded::Pass,
            w::Outcome::Edit(edits) => p::Guarded::Edit(edits.into_iter().map(edit).collect()),
            w::Outcome::Block(refusal) => p::Guarded::Block(deny(refusal)),
            w::Outcome::Answer(text) => p::Guarded::Answer(text),
        },
        findings: verdict.findings.into_iter().map(finding).collect(),
        tags: verdict.tags,
    }
}

pub(crate) fn decision(decision: wr::Decision) -> p::Decision {
    match decision {
        wr::Decision::Plan(answer) => p::Decision::Plan(plan(answer)),
        wr::Decision::Deny(refusal) => p::Decision::Deny(deny(refusal)),
        wr::Decision::Abstain => p::Decision::Abstain,
    }
}

pub(crate) fn recovery(recovery: we::Recovery) -> p::Recovery {
    match recovery {
        we::Recovery::FollowPlan => p::Recovery::FollowPlan,
        we::Recovery::RetryAfter(ms) => p::Recovery::RetryAfter(ms),
        we::Recovery::Switch(to) => p::Recovery::Switch(step(&to)),
        we::Recovery::Fail(refusal) => p::Recovery::Fail(deny(refusal)),
    }
}

fn deny(deny: w::Deny) -> p::Deny {
    p::Deny {
        status: deny.status,
        code: deny.code,
        message: deny.message,
        retry_after_ms: deny.retry_after_ms,
    }
}

fn edit(edit: w::Edit) -> p::Edit {
    p::Edit { segment: edit.segment, start: edit.start, end: edit.end, replace: replacement(edit.replace) }
}

fn replacement(replacement: w::Replacement) -> p::Replacement {
    match replacement {
        w::Replacement::Text(text) => p::Replacement::Text(text),
        w::Replacement::Drop => p::Replacement::Drop,
        w::Replacement::Vault(class) => p::Replacement::Vault(class),
        w::Replacement::Hash(class) => p::Replacement::Hash(class),
    }
}

fn finding(finding: w::Finding) -> p::Finding {
    p::Finding {
        rule: finding.rule,
        severity: severity(finding.severity),
        segment: finding.segment,
        start: finding.start,
        end: finding.end,
        score: finding.score,
    }
}

const fn severity(severity: w::Severity) -> p::Severity {
    match severity {
        w::Severity::Info => p::Severity::Info,
        w::Severity::Low => p::Severity::Low,
        w::Severity::Medium => p::Severity::Medium,
        w::Severity::High => p::Severity::High,
        w::Severity::Critical => p::Severity::Critical,
    }
}

fn plan(plan: w::Plan) -> p::Plan {
    p::Plan {
        strategy: match plan.strategy {
            w::Strategy::Ordered => p::Strategy::Ordered,
            w::Strategy::Weighted => p::Strategy::Weighted,
            w::Strategy::Hedge(ms) => p::Strategy::Hedge(ms),
        },
        steps: plan.steps.iter().map(step).collect(),
        retry_on: retry_on(plan.retry_on),
        budget_nanos: plan.budget_nanos,
        ask_on_error: plan.ask_on_error,
        sticky: plan.sticky,
        reason: plan.reason.into(),
    }
}

fn step(step: &w::Step) -> p::Step {
    p::Step {
        target: step.target,
        weight: step.weight,
        timeout_first_token_ms: step.timeout_first_token_ms,
        timeout_total_ms: step.timeout_total_ms,
        max_retries: step.max_retries,
        max_tokens: step.max_tokens,
    }
}

fn retry_on(flags: w::RetryOn) -> p::RetryOn {
    p::RetryOn {
        rate_limited: flags.contains(w::RetryOn::RATE_LIMITED),
        overloaded: flags.contains(w::RetryOn::OVERLOADED),
        timeout_connect: flags.contains(w::RetryOn::TIMEOUT_CONNECT),
        timeout_first_token: flags.contains(w::RetryOn::TIMEOUT_FIRST_TOKEN),
        timeout_idle: flags.contains(w::RetryOn::TIMEOUT_IDLE),
        server_error: flags.contains(w::RetryOn::SERVER_ERROR),
        network: flags.contains(w::RetryOn::NETWORK),
        context_too_long: flags.contains(w::RetryOn::CONTEXT_TOO_LONG),
        content_filter: flags.contains(w::RetryOn::CONTENT_FILTER),
        auth: flags.contains(w::RetryOn::AUTH),
    }
}
