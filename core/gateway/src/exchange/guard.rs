//! Content policies, in order: each sees what the one before it made of the request.

use super::admit::Admitted;
use super::attend::attend;
use super::restore::restored_text;
use super::screen::readable;
use super::settle::{Close, Outcome};
use super::{End, Exchange};
use crate::ingress::respond;
use crate::refusal::Refusal;
use std::sync::Arc;
use weir_llm::api::Api;
use weir_llm::json::Kind;
use weir_llm::payload::Payload;
use weir_llm::request::Request;
use weir_llm::translate;
use weir_policy::pipeline::GuardEnd;
use weir_policy::{Direction, Hook, RequestView};

/// A request that every guard let pass, and the view of it that the later hooks get.
pub type Guarded = (Arc<Request>, Arc<RequestView>);

/// A guard ended the exchange.
pub enum Stop {
    /// With a refusal.
    Blocked(Refusal),
    /// With an answer of its own; no model is asked.
    Answered(String),
    /// The caller has gone.
    Gone,
}

impl Exchange<'_> {
    /// Asks the redactors, then the guards.
    ///
    /// # Errors
    /// A policy refused, failed closed, or answered by itself; or the caller has gone.
    pub async fn guard(&mut self, admitted: &Admitted, request: Arc<Request>) -> Result<Guarded, Stop> {
        let asked = admitted.route.asked;
        if asked.content() && request.api() == Api::Embeddings && has_tokens(&request) {
            return Err(Stop::Blocked(
                Refusal::invalid(
                    "unreadable_input",
                    "A policy reads the content of this model's requests, and tokens cannot be read; send `input` as text.",
                )
                .about("input"),
            ));
        }
        if asked.replies() {
            readable(&request).map_err(Stop::Blocked)?;
        }
        let mut view = Arc::clone(&admitted.view);
        if !asked.has(Hook::Redact) && !asked.has(Hook::Guard) {
            return Ok((request, view));
        }
        let snapshot = Arc::clone(&self.snapshot);
        if asked.has(Hook::Redact) {
            let work = snapshot.pipeline.redact(&view, Direction::Request, &mut self.trace);
            let redacted = attend(self.session, &mut self.watched, work).await.map_err(|_| Stop::Gone)?;
            view = redacted.map_err(|refused| Stop::Blocked(refused.deny.into()))?.view;
        }
        let work = snapshot.pipeline.guard(&view, &mut self.trace);
        let outcome = attend(self.session, &mut self.watched, work).await.map_err(|_| Stop::Gone)?;
        match outcome.end {
            GuardEnd::Pass => Ok((Arc::clone(outcome.view.request()), outcome.view)),
            GuardEnd::Blocked(refused) => Err(Stop::Blocked(refused.deny.into())),
            GuardEnd::Answered { text, .. } => Err(Stop::Answered(restored_text(&view, text))),
        }
    }

    /// Ends an exchange that a guard stopped: nothing is billed.
    ///
    /// # Errors
    /// The guard's refusal, or the caller has gone.
    pub async fn stopped(&mut self, admitted: Admitted, request: &Request, stop: Stop) -> Result<(), End> {
        let text = match stop {
            Stop::Blocked(refusal) => return self.refused(admitted, refusal).await,
            Stop::Answered(_) if !request.api().is_conversation() => {
                let refusal = Refusal::forbidden(
                    "answered_by_policy",
                    "A policy answered this request in words, which this API has no place for.",
                );
                return self.refused(admitted, refusal).await;
            }
            Stop::Answered(text) => text,
            Stop::Gone => {
                self.settle(admitted, Close::nothing(Outcome::ClientAbort)).await?;
                return Err(End::Gone);
            }
        };
        let model = Arc::clone(&admitted.route.name);
        self.settle(admitted, Close::nothing(Outcome::Answered)).await?;
        self.say(request, &model, &text).await
    }

    /// A policy's own words, in the form that the caller asked for.
    ///
    /// # Errors
    /// The caller has gone.
    pub async fn say(&mut self, request: &Request, model: &str, text: &str) -> Result<(), End> {
        let ask = self.ask(request, model);
        let body = Payload::new(translate::answer(request.api(), text, &ask));
        let frames = request.stream().then(|| translate::replay(request.api(), body.expose(), &ask));
        self.record.status = 200;
        if let Some(frames) = frames {
            let mut head = respond::stream_head(&self.id);
            self.mark(&mut head, None);
            respond::frames(self.session, head, frames).await?;
        } else {
            let mut head = respond::json_head(200, body.len(), &self.id)?;
            self.mark(&mut head, None);
            respond::content(self.session, head, body).await?;
        }
        Ok(())
    }
}

/// Whether the input is tokens rather than text.
fn has_tokens(request: &Request) -> bool {
    let input = request.json().root().get("input");
    input.iter().flat_map(|input| input.elements()).any(|item| item.kind() != Kind::String)
}
