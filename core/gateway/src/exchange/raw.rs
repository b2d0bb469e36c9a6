//! A reply that is no conversation: embeddings, images, sound, scores. Its bytes pass; what it says of usage, and of its own
//! failing, is read where it is JSON or events, and what it does not say is counted from the request.

use super::admit::Admitted;
use super::attempt::{Raw, Served};
use super::attend::attend;
use super::restore::restored;
use super::screen::Screened;
use super::settle::{Close, Outcome};
use super::{End, Exchange};
use crate::ingress::respond::{self, Gone};
use crate::upstream::Response;
use bytes::Bytes;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;
use weir_llm::api::Api;
use weir_llm::payload::Payload;
use weir_llm::price::Nanos;
use weir_llm::request::Request;
use weir_llm::units::{self, Bill, Tail, Told};

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";

/// What comes behind the head of such a reply.
pub enum Rest {
    /// JSON: all of it is here, and what it says.
    Whole(Payload, Told),
    /// What passes as it comes, and when it is cut.
    Passing(Response, Instant),
}

/// Whether a reply is to be JSON. Its provider may call it otherwise where its API has nothing else.
pub fn is_json(api: Api, response: &Response) -> bool {
    let kind = response.header("content-type").unwrap_or_default();
    match api {
        Api::Speech | Api::Transcription => is_of(kind, JSON),
        Api::Images => !is_of(kind, EVENTS),
        _ => true,
    }
}

/// Whether a `Content-Type` names a media type, in whatever case and with whatever parameters.
fn is_of(kind: &str, media_type: &str) -> bool {
    kind.split(';').next().is_some_and(|name| name.trim().eq_ignore_ascii_case(media_type))
}

impl Exchange<'_> {
    /// Passes a reply on, and settles it.
    ///
    /// # Errors
    /// The provider broke off, the ledger did not take the posting, or the caller has gone.
    pub async fn raw(&mut self, admitted: Admitted, request: &Request, raw: Raw) -> Result<(), End> {
        let Raw { served, rest } = raw;
        let (body, told) = match rest {
            Rest::Whole(body, told) => (body, told),
            Rest::Passing(response, until) => {
                return self.pass(admitted, request, served, (response, until)).await;
            }
        };
        let bill = units::bill(request, self.record.bytes_in, &told, served.bound.prices.as_deref());
        let used = (bill.usage, bill.source);
        let body = match self.screen(&admitted, request, &served, body, used).await {
            Ok(Screened::Body(body)) => restored(&admitted.view, request.api(), body),
            other => return self.screened(admitted, request, served, used, other).await,
        };
        let money = self.close(admitted, request, &served, &told, Outcome::Ok).await?;
        let mut head = respond::json_head(200, body.len(), &self.id)?;
        self.mark(&mut head, Some((&served, Some(money))));
        self.record.status = 200;
        self.record.ttft = Some(self.started.elapsed());
        self.record.bytes_out = body.len() as u64;
        Ok(respond::content(self.session, head, body).await?)
    }

    async fn close(
        &mut self,
        admitted: Admitted,
        request: &Request,
        served: &Served,
        told: &Told,
        outcome: Outcome,
    ) -> Result<super::settle::Money, End> {
        let Bill { usage, source, prices } =
            units::bill(request, self.record.bytes_in, told, served.bound.prices.as_deref());
        let mut served = served.clone();
        if let Some(prices) = prices {
            served.bound.prices = Some(Arc::new(prices));
        }
        let took = served.began.elapsed();
        match outcome {
            Outcome::Ok => self.snapshot.live.succeeded(served.bound.live, took, usage.output, took),
            Outcome::UpstreamCut => {
                self.snapshot.live.failed(served.bound.live, weir_policy::ErrorClass::Network);
            }
            _ => {}
        }
        let close = Close { outcome, served: Some(served), usage, source, saved: Nanos(0) };
        self.settle(admitted, close).await
    }

    /// Sound and streams: piece by piece; the end waits for the posting.
    async fn pass(
        &mut self,
        admitted: Admitted,
        request: &Request,
        served: Served,
        (mut response, until): (Response, Instant),
    ) -> Result<(), End> {
        let kind = response.header("content-type").unwrap_or("application/octet-stream").to_owned();
        let mut head = respond::chunked_head(&kind, &self.id);
        self.mark(&mut head, Some((&served, None)));
        self.record.status = 200;
        self.record.ttft = Some(self.started.elapsed());
        let mut tail = Tail::new(request.api(), is_of(&kind, EVENTS));
        let ended = match self.session.say(head).await {
            Ok(()) => self.pieces(&mut response, until, &mut tail).await,
            Err(Gone) => Err(Outcome::ClientAbort),
        };
        match ended {
            Ok(()) => {
                if self.close(admitted, request, &served, tail.told(), Outcome::Ok).await.is_err() {
                    return Err(End::Broken);
                }
                self.session.write(Bytes::new(), true).await?;
                response.finish().await;
                Ok(())
            }
            Err(outcome) => {
                // The provider has spoken: a caller that leaves before the last byte has had the rest.
                let _ = self.close(admitted, request, &served, tail.told(), outcome).await;
                Err(if outcome == Outcome::ClientAbort { End::Gone } else { End::Broken })
            }
        }
    }

    async fn pieces(
        &mut self,
        response: &mut Response,
        until: Instant,
        tail: &mut Tail,
    ) -> Result<(), Outcome> {
        let gateway = self.gateway;
        let mut ending = pin!(gateway.drain.ending());
        let mut late = pin!(tokio::time::sleep_until(until.into()));
        loop {
            // The ends are looked at first, or a provider that never pauses would not be ended.
            let next = async {
                tokio::select! {
                    biased;
                    () = ending.as_mut() => Err(Outcome::UpstreamCut),
                    () = late.as_mut() => Err(Outcome::UpstreamCut),
                    chunk = response.chunk() => chunk.map_err(|_| Outcome::UpstreamCut),
                }
            };
            let next = attend(self.session, &mut self.watched, next).await;
            let Some(chunk) = next.map_err(|Gone| Outcome::ClientAbort)?? else {
                return if tail.is_whole() { Ok(()) } else { Err(Outcome::UpstreamCut) };
            };
            tail.push(chunk.expose());
            self.record.bytes_out += chunk.len() as u64;
            let sent = self.session.write(chunk.into_bytes(), false).await;
            sent.map_err(|Gone| Outcome::ClientAbort)?;
        }
    }
}
