//! What the hooks of a reply and `price` answer.

use super::{deny, finding, replacement, severity};
use crate::wit::exports::weir::policy::{hook_price as wp, hook_redact as wr, hook_stream as ws};
use crate::wit::weir::policy::types as w;
use weir_llm::price::Nanos;
use weir_policy as p;

pub(crate) fn span(span: wr::Span) -> p::Span {
    p::Span {
        segment: span.segment,
        start: span.start,
        end: span.end,
        rule: span.rule,
        severity: severity(span.severity),
        replace: match span.replace {
            wr::Redaction::Mask(index) => p::Redaction::Mask(index),
            wr::Redaction::Vault(index) => p::Redaction::Vault(index),
            wr::Redaction::Hash(index) => p::Redaction::Hash(index),
            wr::Redaction::Drop => p::Redaction::Drop,
            wr::Redaction::Refuse => p::Redaction::Refuse,
            wr::Redaction::Report => p::Redaction::Report,
        },
    }
}

pub(crate) fn redact_step(step: wr::RedactStep) -> p::RedactStep {
    p::RedactStep {
        spans: step.spans.into_iter().map(span).collect(),
        hold: step.hold,
        next: next(step.next),
    }
}

pub(crate) fn stream_step(step: ws::StreamStep) -> p::StreamStep {
    p::StreamStep {
        edits: step.edits.into_iter().map(text_edit).collect(),
        hold: step.hold,
        next: next(step.next),
    }
}

pub(crate) fn closing(closing: ws::Closing) -> p::Closing {
    p::Closing { findings: closing.findings.into_iter().map(finding).collect(), tags: closing.tags }
}

pub(crate) fn charge(charge: wp::Charge) -> p::Charge {
    p::Charge {
        total: Nanos(charge.total),
        items: charge.items.into_iter().map(|(name, amount)| (name, Nanos(amount))).collect(),
        tags: charge.tags,
    }
}

fn text_edit(edit: w::TextEdit) -> p::TextEdit {
    p::TextEdit { start: edit.start, end: edit.end, replace: replacement(edit.replace) }
}

fn next(next: w::Next) -> p::Next {
    match next {
        w::Next::More => p::Next::More,
        w::Next::Window(bytes) => p::Next::Window(bytes),
        w::Next::Detach => p::Next::Detach,
        w::Next::Stop(refusal) => p::Next::Stop(deny(refusal)),
    }
}
