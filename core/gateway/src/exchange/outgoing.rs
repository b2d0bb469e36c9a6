//! One request in the form in which one target gets it.

use super::Exchange;
use super::admit::Admitted;
use crate::egress::Call;
use crate::refusal::Refusal;
use crate::snapshot::Bound;
use opentelemetry::trace::TraceState;
use std::borrow::Cow;
use weir_llm::api::{Api, Dialect};
use weir_llm::neutral::Target as Toward;
use weir_llm::payload::Payload;
use weir_llm::request::{Patch, Patched, Request, told};
use weir_llm::translate::{self, Back};
use weir_llm::vendor;
use weir_policy::{Retention, Step, Target};

/// The version of Anthropic's API that is spoken where the caller named none: the newest that takes sampling parameters.
const ANTHROPIC_VERSION: &str = "2023-06-01";
/// What of a caller's header goes to Anthropic.
const ANTHROPIC_HEADERS: [&str; 2] = ["anthropic-version", "anthropic-beta"];

/// A longer `tracestate` is dropped, as the W3C allows from 512 bytes on.
const TRACESTATE: usize = 2048;

/// The type of every body but a form's.
const JSON: Cow<'static, str> = Cow::Borrowed("application/json");

/// How a target's reply becomes the caller's.
pub enum Way {
    /// It is in the caller's own dialect: its bytes pass.
    Same,
    /// It is turned.
    Turned(Box<Back>),
    /// It is no conversation: whatever comes passes.
    Opaque,
}

/// What one target is sent, and how its reply becomes the caller's.
pub struct Outgoing {
    /// Ready for the wire.
    pub request: crate::upstream::Request,
    /// The way back.
    pub way: Way,
    /// What the target cannot be told, in the caller's words.
    pub dropped: Vec<String>,
}

/// A body, before its head is written.
struct Body {
    bytes: Patched,
    /// A form's names its boundary.
    content_type: Cow<'static, str>,
    way: Way,
    dropped: Vec<String>,
}

impl Exchange<'_> {
    /// Says the request in a target's dialect.
    ///
    /// `headers` are a policy's.
    ///
    /// # Errors
    /// 400: it cannot be said there, or not all of it and the caller or the operator wants all or nothing.
    pub fn outgoing(
        &self,
        admitted: &Admitted,
        request: &Request,
        step: &Step,
        to: (&Target, &Bound, usize, u64),
        headers: &[(String, String)],
    ) -> Result<Outgoing, Refusal> {
        let (target, bound, key, span) = to;
        let api = request.api();
        let dialect = bound.endpoint.speaks.toward(api);
        stateless(request, dialect, &target.id, admitted.terms.retention)?;
        let body = if !api.is_conversation() && api != Api::CountTokens {
            self.opaque(request, target)?
        } else if translate::dialect_of(api) == Some(dialect) {
            same(request, step, target, bound, admitted.terms.retention)
        } else {
            turned(request, dialect, step, target, bound, admitted.terms.retention)?
        };
        let strict = admitted.caller.wishes.strict.unwrap_or(admitted.route.strict);
        if strict && let Some(first) = body.dropped.first() {
            let all = body.dropped.join(", ");
            return Err(Refusal::invalid(
                "unsupported_parameter",
                format!("{} cannot be told {all}, and the request is strict. Leave it out, or ask without x-weir-strict.", target.id),
            )
            .about(first.clone()));
        }
        let same = !matches!(body.way, Way::Turned(_));
        let lines = self.lines(dialect, same, headers);
        // Third parties are not told of the operator's traces.
        let traced = bound.endpoint.propagate;
        let parent = traced.then(|| self.record.trace.traceparent(span)).flatten();
        let state = traced.then(|| self.tracestate()).flatten();
        let call = Call {
            key,
            api,
            dialect,
            model: &target.model,
            stream: request.stream(),
            query: if same && dialect == Dialect::Anthropic { self.query() } else { "" },
            content_type: &body.content_type,
            lines: &lines,
            traceparent: parent.as_deref(),
            tracestate: state.as_deref(),
        };
        // Who chooses providers in its turn is told what holds.
        let bytes = match bound.endpoint.vendor.name {
            "openrouter" => {
                let whole = body.bytes.whole();
                Payload::new(told(whole.expose(), admitted.terms.to_hand_on())).into()
            }
            _ => body.bytes,
        };
        let request = bound.endpoint.request(&call, &bytes);
        Ok(Outgoing { request, way: body.way, dropped: body.dropped })
    }

    /// A body of which only the model's name is ours to change; a form is written afresh.
    fn opaque(&self, request: &Request, target: &Target) -> Result<Body, Refusal> {
        let (bytes, content_type) = match &self.form {
            Some(form) => {
                let form = form.write(request, &target.model)?;
                (Payload::from(form.bytes).into(), form.content_type.into())
            }
            None => (request.to_be_patched(&Patch::model(&target.model)), JSON),
        };
        Ok(Body { bytes, content_type, way: Way::Opaque, dropped: Vec::new() })
    }

    /// Header lines that only this request has: what Anthropic wants to know, and what a policy set.
    fn lines(&self, dialect: Dialect, same: bool, set: &[(String, String)]) -> Vec<u8> {
        let mut lines = Vec::new();
        let mut line = |name: &str, value: &[u8]| {
            lines.extend_from_slice(&[name.as_bytes(), b": ", value, b"\r\n"].concat());
        };
        if dialect == Dialect::Anthropic {
            let headers = &self.session.head().headers;
            for name in
                ANTHROPIC_HEADERS.into_iter().filter(|name| set.iter().all(|(known, _)| known != name))
            {
                let default = (name == "anthropic-version").then_some(ANTHROPIC_VERSION.as_bytes());
                let own = headers.get(name).filter(|_| same).map(http::HeaderValue::as_bytes);
                if let Some(value) = own.or(default) {
                    line(name, value);
                }
            }
        }
        for (name, value) in set.iter().filter(|(_, value)| !value.is_empty()) {
            line(name, value.as_bytes());
        }
        lines
    }

    /// What the caller's side says of the trace, if it is the caller's.
    fn tracestate(&self) -> Option<String> {
        self.record.trace.parent?;
        let all = self.session.head().headers.get_all("tracestate");
        let all: Vec<&str> = all.iter().filter_map(|value| value.to_str().ok()).collect();
        // What does not follow the W3C's grammar is not passed on.
        let state: TraceState = all.join(",").parse().ok()?;
        Some(state.header()).filter(|state| (1..=TRACESTATE).contains(&state.len()))
    }

    /// What of the caller's query goes to Anthropic.
    fn query(&self) -> &'static str {
        let query = self.session.head().uri.query().unwrap_or_default();
        if query.split('&').any(|pair| pair == "beta=true") { "beta=true" } else { "" }
    }
}

/// State that lives with one provider cannot be had from another, and none may be kept where nothing may be kept.
fn stateless(request: &Request, dialect: Dialect, id: &str, retention: Retention) -> Result<(), Refusal> {
    let Some(field) = request.state() else { return Ok(()) };
    let why = match dialect {
        // Its end would be seen by nobody who could settle it.
        _ if field == "background" => "asks for a reply that is made later, which Weir does not wait for",
        Dialect::OpenAiResponses if retention.is_zero() => {
            "asks the provider to keep state, and this request is under zero retention"
        }
        Dialect::OpenAiResponses => return Ok(()),
        _ => "asks for state that this target does not keep, and Weir does not keep it yet",
    };
    Err(Refusal::invalid(
        "unsupported_state",
        format!("{id}: `{field}` {why}. Send the whole conversation as `input`, with `store: false`."),
    )
    .about(field))
}

/// The caller's bytes, with what has to differ spliced in.
fn same(request: &Request, step: &Step, target: &Target, bound: &Bound, retention: Retention) -> Body {
    let vendor = bound.endpoint.vendor;
    let patch = Patch {
        model: &target.model,
        ask_usage: request.api() == Api::Chat && !request.include_usage(),
        max_tokens: capped(request, step.max_tokens),
        force_store_false: retention.is_zero() && matches!(request.api(), Api::Chat | Api::Responses),
        vendor: (vendor.name != vendor::UNKNOWN.name).then_some(vendor),
        unseal: true,
        edits: &[],
    };
    // A count is no reply that could be read as one.
    let way = if request.api() == Api::CountTokens { Way::Opaque } else { Way::Same };
    Body { bytes: request.to_be_patched(&patch), content_type: JSON, way, dropped: Vec::new() }
}

fn turned(
    request: &Request,
    dialect: Dialect,
    step: &Step,
    target: &Target,
    bound: &Bound,
    retention: Retention,
) -> Result<Body, Refusal> {
    let toward = Toward {
        model: &target.model,
        cap: step.max_tokens.map(u64::from),
        output_limit: u64::from(target.max_output_tokens),
        vendor: bound.endpoint.vendor,
    };
    let say = if retention.is_zero() { translate::unstored } else { translate::translate };
    match say(request, dialect, &toward) {
        Ok(out) => Ok(Body {
            bytes: Payload::from(out.body).into(),
            content_type: JSON,
            way: Way::Turned(Box::new(out.back)),
            dropped: out.dropped,
        }),
        Err(no) => Err(Refusal::invalid("unsupported_parameter", format!("{}: {}", target.id, no.message))
            .about(no.param.name(request.api()))),
    }
}

/// A plan may lower what the caller allows, never raise it.
fn capped(request: &Request, plan: Option<u32>) -> Option<u64> {
    let cap = u64::from(plan?);
    match request.max_output_tokens() {
        Some(asked) if asked <= cap => None,
        _ => Some(cap),
    }
}
