//! Content policies, in order: each sees what the one before it made of the request.

use super::admit::Admitted;
use super::settle::{Close, Outcome};
use super::{End, Exchange};
use crate::ingress::respond;
use crate::refusal::Refusal;
use http::HeaderMap;
use std::sync::Arc;
use weir_llm::api::Api;
use weir_llm::estimate;
use weir_llm::json::Kind;
use weir_llm::request::Request;
use weir_llm::translate;
use weir_policy::pipeline::GuardEnd;
use weir_policy::{DataClass, Head, RequestView};

/// A request that every guard let pass, and the view of it that the later hooks get.
pub type Guarded = (Arc<Request>, Arc<RequestView>);

/// A guard ended the exchange.
pub enum Stop {
    /// With a refusal.
    Blocked(Refusal),
    /// With an answer of its own; no model is asked.
    Answered(String),
}

impl Exchange<'_> {
    /// Asks the guards.
    ///
    /// # Errors
    /// A guard refused, failed closed, or answered by itself.
    pub fn guard(&self, admitted: &Admitted, request: Arc<Request>) -> Result<Guarded, Stop> {
        let pipeline = &self.snapshot.pipeline;
        let reads = pipeline.needs_content(&admitted.route.name);
        if reads && request.api() == Api::Embeddings && has_tokens(&request) {
            return Err(Stop::Blocked(
                Refusal::invalid(
                    "unreadable_input",
                    "A policy reads the content of this model's requests, and tokens cannot be read; send `input` as text.",
                )
                .about("input"),
            ));
        }
        let headers = if reads { visible(&self.session.req_header().headers) } else { Vec::new() };
        let head = self.head(admitted, &request, reads);
        let view = Arc::new(RequestView::new(head, Arc::clone(&request), headers));
        if !pipeline.has_guards(&admitted.route.name) {
            return Ok((request, view));
        }
        let outcome = pipeline.guard(&view);
        match outcome.end {
            GuardEnd::Pass => Ok((Arc::clone(outcome.view.request()), outcome.view)),
            GuardEnd::Blocked(refused) => Err(Stop::Blocked(refused.deny.into())),
            GuardEnd::Answered { text, .. } => Err(Stop::Answered(text)),
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
        };
        let model = Arc::clone(&admitted.route.name);
        self.settle(admitted, Close::nothing(Outcome::Answered)).await?;
        let ask = self.ask(request, &model);
        let body = translate::answer(request.api(), &text, &ask);
        let frames = request.stream().then(|| translate::replay(request.api(), &body, &ask));
        self.record.status = 200;
        if let Some(frames) = frames {
            let mut head = respond::stream_head(&self.id)?;
            self.mark(&mut head, None);
            respond::frames(self.session, head, frames).await?;
        } else {
            let mut head = respond::json_head(200, body.len(), &self.id)?;
            self.mark(&mut head, None);
            respond::whole(self.session, head, body).await?;
        }
        Ok(())
    }

    fn head(&self, admitted: &Admitted, request: &Request, reads: bool) -> Head {
        let principal = &admitted.caller.principal;
        Head {
            request_id: Arc::clone(&self.id),
            api: request.api(),
            requested_model: Arc::clone(&admitted.route.name),
            stream: request.stream(),
            tenant: Arc::clone(&principal.organisation_id),
            project: Arc::clone(&principal.team_id),
            key_id: Arc::clone(&principal.key_id),
            user_hash: request.user().map(|user| self.gateway.user_hash(&principal.organisation_id, &user)),
            region: Arc::clone(&self.snapshot.region),
            class: DataClass::default(),
            retention: admitted.retention,
            tags: tags(admitted),
            deadline_ms: 0,
            est_input_tokens: u32::try_from(estimate::input_guess(request)).unwrap_or(u32::MAX),
            max_output_tokens: request.max_output_tokens().map(|n| u32::try_from(n).unwrap_or(u32::MAX)),
            segment_count: if reads {
                u32::try_from(request.segments().len()).unwrap_or(u32::MAX)
            } else {
                0
            },
            body_bytes: request.body().len() as u64,
            needs: request.needs(),
            attempt: 0,
            budget: None,
        }
    }
}

/// Whether the input is tokens rather than text.
fn has_tokens(request: &Request) -> bool {
    let input = request.json().root().get("input");
    input.iter().flat_map(|input| input.elements()).any(|item| item.kind() != Kind::String)
}

/// The key's tags and the request's; the key's win, since the caller must not rename itself.
fn tags(admitted: &Admitted) -> Arc<[(String, String)]> {
    let stored = &admitted.caller.principal.tags;
    let wished = &admitted.caller.wishes.tags;
    if wished.is_empty() {
        return Arc::clone(stored);
    }
    let mut all: Vec<(String, String)> = stored.to_vec();
    all.extend(wished.iter().filter(|(name, _)| stored.iter().all(|(known, _)| known != name)).cloned());
    all.sort();
    all.into()
}

/// The headers that a policy may see: no credentials, nothing of ours.
fn visible(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .filter(|(name, _)| {
            let name = name.as_str();
            !matches!(name, "authorization" | "proxy-authorization" | "cookie" | "x-api-key" | "api-key")
                && !name.starts_with("x-weir-")
        })
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect()
}
