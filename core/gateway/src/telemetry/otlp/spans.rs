//! Spans, made when an exchange is over from what was recorded of it: a SERVER span, each of its attempts a CLIENT span
//! below it, each call of a policy an INTERNAL one. Names, figures and ids only; content is never an attribute.

use super::words::{flag, float, list, nanos, number, text};
use crate::config::GenAi;
use crate::telemetry::genai::{self, operation};
use crate::telemetry::record::{Attempt, Exchange, Outcome, PolicyCall};
use crate::telemetry::trace::span_id;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use std::time::Duration;

/// `SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK` and `…_IS_REMOTE_MASK`, with the sampled flag of W3C.
const SAMPLED: u32 = 1;
const KNOWN: u32 = 0x100;
const REMOTE: u32 = 0x200;

/// How many there will be.
pub(super) fn count(exchange: &Exchange) -> usize {
    1 + exchange.attempts.len() + exchange.policies.len()
}

/// All spans of an exchange.
pub(super) fn of(exchange: &Exchange, names: GenAi, out: &mut Vec<Span>) {
    out.extend(exchange.policies.iter().map(|call| policy(exchange, call)));
    out.extend(exchange.attempts.iter().map(|one| attempt(exchange, one, names)));
    out.push(server(exchange, names));
}

fn server(exchange: &Exchange, names: GenAi) -> Span {
    let alias = exchange.meters.alias(exchange.model);
    let mut attributes = asked(exchange, alias);
    attributes.extend(answer(exchange, names));
    attributes.extend([
        number("http.response.status_code", exchange.status),
        text("weir.request_id", &*exchange.request_id),
        text("weir.api", exchange.api.as_str()),
        text("weir.outcome", exchange.outcome.as_str()),
        text("weir.cache", exchange.cache.as_str()),
        number("weir.generation", exchange.generation),
        number("weir.overhead_us", exchange.overhead.as_micros()),
        number("weir.charged_nanodollars", exchange.charged.0),
    ]);
    attributes
        .extend(exchange.ttft.map(|ttft| float("gen_ai.response.time_to_first_chunk", ttft.as_secs_f64())));
    let failed = matches!(exchange.outcome, Outcome::Failed | Outcome::UpstreamCut);
    if let Some(error) = exchange.error.filter(|_| failed) {
        attributes.push(text("error.type", error.as_str()));
    }
    let parent = exchange.trace.parent;
    Span {
        parent_span_id: parent.map(|id| id.to_be_bytes().to_vec()).unwrap_or_default(),
        flags: SAMPLED | KNOWN | if parent.is_some() { REMOTE } else { 0 },
        kind: SpanKind::Server.into(),
        attributes,
        status: failed.then(|| failure(exchange.outcome.as_str())),
        ..span(
            exchange,
            exchange.trace.span_id,
            (Duration::ZERO, exchange.total),
            operation(exchange.api),
            alias,
        )
    }
}

fn attempt(exchange: &Exchange, attempt: &Attempt, names: GenAi) -> Span {
    let target = exchange.meters.target(attempt.target);
    let model = target.map_or("unknown", |target| target.model);
    let mut attributes = asked(exchange, model);
    if attempt.error.is_none() {
        attributes.extend(answer(exchange, names));
    } else if let Some(target) = target {
        attributes.push(text("gen_ai.provider.name", target.system));
    }
    if let Some(target) = target {
        attributes.push(text("weir.provider", target.provider));
        attributes.push(text("server.address", target.server.0));
        attributes.push(number("server.port", target.server.1));
    }
    attributes
        .extend(attempt.ttft.map(|ttft| float("gen_ai.response.time_to_first_chunk", ttft.as_secs_f64())));
    attributes.extend(attempt.status.map(|status| number("http.response.status_code", status)));
    attributes.extend(attempt.error.map(|class| text("error.type", class.as_str())));
    Span {
        kind: SpanKind::Client.into(),
        attributes,
        status: attempt.error.map(|class| failure(class.as_str())),
        ..span(exchange, attempt.span_id, (attempt.started, attempt.ended), operation(exchange.api), model)
    }
}

fn policy(exchange: &Exchange, call: &PolicyCall) -> Span {
    let mut attributes = vec![
        text("weir.policy.name", &*call.policy),
        text("weir.policy.version", &*call.version),
        text("weir.policy.hook", call.hook),
        text("weir.policy.verdict", call.verdict),
    ];
    attributes.extend(call.fault.map(|kind| text("error.type", kind)));
    Span {
        kind: SpanKind::Internal.into(),
        attributes,
        status: call.fault.map(failure),
        ..span(exchange, span_id(), (call.started, call.started + call.elapsed), call.hook, &call.policy)
    }
}

/// What all have in common: a child of the exchange's own span, unless its maker says otherwise.
fn span(exchange: &Exchange, id: u64, time: (Duration, Duration), verb: &str, noun: &str) -> Span {
    Span {
        trace_id: exchange.trace.trace_id.to_be_bytes().to_vec(),
        span_id: id.to_be_bytes().to_vec(),
        parent_span_id: exchange.trace.span_id.to_be_bytes().to_vec(),
        flags: SAMPLED | KNOWN,
        name: format!("{verb} {noun}"),
        start_time_unix_nano: nanos(exchange.started_at + time.0),
        end_time_unix_nano: nanos(exchange.started_at + time.1),
        ..Span::default()
    }
}

fn failure(why: &str) -> Status {
    Status { message: why.to_owned(), code: StatusCode::Error.into() }
}

/// What is known of any call before it is made.
fn asked(exchange: &Exchange, model: &str) -> Vec<KeyValue> {
    let mut attributes = Vec::with_capacity(24);
    attributes.push(text("gen_ai.operation.name", operation(exchange.api)));
    attributes.push(text("gen_ai.request.model", model));
    attributes.push(flag("gen_ai.request.stream", exchange.stream));
    attributes
}

/// What the provider answered.
fn answer(exchange: &Exchange, names: GenAi) -> Vec<KeyValue> {
    let mut attributes = Vec::with_capacity(8);
    let target = exchange.target.and_then(|index| exchange.meters.target(index));
    // Where none was asked, the one who answers is Weir.
    attributes.push(text("gen_ai.provider.name", target.map_or(genai::WEIR, |target| target.system)));
    if !exchange.response_model.is_empty() {
        attributes.push(text("gen_ai.response.model", exchange.response_model.as_str()));
    }
    if exchange.ends.iter().next().is_some() {
        let reasons = exchange.ends.iter().map(|end| end.as_str());
        attributes.push(list("gen_ai.response.finish_reasons", reasons));
    }
    let tokens = genai::tokens(&exchange.usage);
    let mut add = |name: &str, tokens: u64| {
        if tokens > 0 {
            attributes.push(number(name, tokens));
        }
    };
    add("gen_ai.usage.input_tokens", tokens.input);
    add("gen_ai.usage.output_tokens", tokens.output);
    add("gen_ai.usage.cache_read.input_tokens", tokens.cache_read);
    add("gen_ai.usage.reasoning.output_tokens", tokens.reasoning);
    if names.classic() {
        add("gen_ai.usage.cache_creation.input_tokens", tokens.cache_write);
    }
    if names.latest() {
        add("gen_ai.usage.cache_write.input_tokens", tokens.cache_write);
    }
    attributes
}
