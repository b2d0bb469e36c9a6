//! Content policies on what a model says: a whole reply, redacted and guarded before the caller gets it.

use super::admit::Admitted;
use super::attempt::Served;
use super::attend::attend;
use super::restore::restored_text;
use super::settle::{Close, Outcome};
use super::{End, Exchange, words};
use crate::refusal::Refusal;
use std::sync::Arc;
use weir_llm::api::Api;
use weir_llm::payload::Payload;
use weir_llm::price::Nanos;
use weir_llm::reply::Reply;
use weir_llm::request::Request;
use weir_llm::usage::{Source, Usage};
use weir_policy::coverage::{Flow, flows};
use weir_policy::manifest::Surface;
use weir_policy::pipeline::GuardEnd;
use weir_policy::{Direction, Hook, ReplyMeta, RequestView};

/// What policies made of a reply.
pub enum Screened {
    /// The caller gets this.
    Body(Payload),
    /// The caller is told this instead.
    Blocked(Refusal),
    /// The caller gets a policy's own words.
    Answered(String),
}

/// Forms of a transcript that can be read as JSON.
const READABLE: [&str; 3] = ["json", "verbose_json", "diarized_json"];

/// Whether policies that read replies can read what this request asks for.
///
/// # Errors
/// 400: it asks for a form that they cannot read.
pub fn readable(request: &Request) -> Result<(), Refusal> {
    if request.api().is_conversation() || !speaks(request) {
        return Ok(());
    }
    let format = request.json().root().get("response_format");
    let format = format.and_then(|format| format.as_str().map(|text| text.into_owned()));
    let text = request.api() == Api::Transcription && format.is_some_and(|f| !READABLE.contains(&f.as_str()));
    if !request.stream() && !text {
        return Ok(());
    }
    let field = if request.stream() { "stream" } else { "response_format" };
    Err(Refusal::invalid(
        "unreadable_reply",
        "A policy reads the replies of this model, and it can read this one only as whole JSON; leave `stream` out, and ask for `response_format: json`.",
    )
    .about(field))
}

/// Whether a reply that is no conversation is kept until policies have read it, or what they hid from the model is given back
/// in it; nothing that cannot be read passes them, whatever its provider calls it.
pub fn keeps(admitted: &Admitted, request: &Request) -> bool {
    let hidden = || !admitted.view.vault().is_empty() && readable(request).is_ok();
    speaks(request) && (admitted.route.asked.replies() || hidden())
}

/// Whether the replies of the request's API hold words that a model wrote.
fn speaks(request: &Request) -> bool {
    flows(Surface::of(request.api(), request.stream())).contains(&Flow::Output)
}

impl Exchange<'_> {
    /// Asks the redactors and the guards of replies; a reply that nobody reads is handed through.
    ///
    /// # Errors
    /// The caller has gone.
    pub async fn screen(
        &mut self,
        admitted: &Admitted,
        request: &Request,
        served: &Served,
        body: Payload,
        (usage, source): (Usage, Source),
    ) -> Result<Screened, End> {
        let asked = admitted.route.asked;
        if !(asked.has(Hook::Redact) || asked.has(Hook::GuardResponse)) || !speaks(request) {
            return Ok(Screened::Body(body));
        }
        let Ok(reply) = Reply::parse(request.api(), body.expose().clone()) else {
            let message =
                format!("The reply from {} cannot be read by the policies that guard it.", served.id);
            return Ok(Screened::Blocked(Refusal::bad_gateway("unreadable_reply", message)));
        };
        let mut view = Arc::new(admitted.view.of_reply(Arc::new(reply)));
        let meta = Arc::new(self.meta(served, &view, usage, source));
        let snapshot = Arc::clone(&self.snapshot);
        if asked.has(Hook::Redact) {
            let work = snapshot.pipeline.redact(&view, Direction::Reply, &mut self.trace);
            match attend(self.session, &mut self.watched, work).await? {
                Ok(redacted) => view = redacted.view,
                Err(refused) => return Ok(Screened::Blocked(refused.deny.into())),
            }
        }
        let work = snapshot.pipeline.guard_response(&admitted.view, &view, &meta, &mut self.trace);
        let outcome = attend(self.session, &mut self.watched, work).await?;
        Ok(match outcome.end {
            GuardEnd::Pass => Screened::Body(outcome.view.body().clone().into()),
            GuardEnd::Blocked(refused) => Screened::Blocked(refused.deny.into()),
            GuardEnd::Answered { text, .. } if request.api().is_conversation() => {
                Screened::Answered(restored_text(&admitted.view, text))
            }
            GuardEnd::Answered { .. } => Screened::Blocked(Refusal::forbidden(
                "answered_by_policy",
                "A policy answered this request in words, which this API has no place for.",
            )),
        })
    }

    /// Ends an exchange whose reply a policy did not let pass: the customer pays nothing, the provider's cost is recorded.
    ///
    /// # Errors
    /// The policy's refusal, the ledger's, or the caller has gone.
    pub async fn screened(
        &mut self,
        admitted: Admitted,
        request: &Request,
        served: Served,
        (usage, source): (Usage, Source),
        screened: Result<Screened, End>,
    ) -> Result<(), End> {
        let outcome = match &screened {
            Ok(Screened::Answered(_)) => Outcome::Answered,
            Ok(_) => Outcome::Refused,
            Err(_) => Outcome::ClientAbort,
        };
        let model = Arc::clone(&admitted.route.name);
        let close = Close { outcome, served: Some(served), usage, source, saved: Nanos(0) };
        self.settle(admitted, close).await?;
        match screened? {
            Screened::Answered(text) => self.say(request, &model, &text).await,
            Screened::Blocked(refusal) => Err(refusal.into()),
            Screened::Body(_) => Ok(()),
        }
    }

    fn meta(&self, served: &Served, view: &RequestView, usage: Usage, source: Source) -> ReplyMeta {
        let ms = |time: std::time::Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        ReplyMeta {
            target: served.target,
            target_id: Arc::clone(&served.id),
            finish_reason: words::end(&view.finish_reason(), view.head().retention).into(),
            usage,
            source,
            ttft_ms: ms(self.record.ttft.unwrap_or_else(|| self.started.elapsed())),
            total_ms: ms(self.started.elapsed()),
            attempts: u8::try_from(self.record.attempts.len()).unwrap_or(u8::MAX),
        }
    }
}
