//! A streamed reply: events leave as they come, and the last one waits for the posting.

use super::admit::Admitted;
use super::attempt::{Opened, Served};
use super::attend::attend;
use super::relay::{Ended, Relay};
use super::replay::Recording;
use super::reply::guessed;
use super::settle::{Close, Outcome};
use super::{End, Exchange};
use crate::ingress::respond::{self, Gone};
use crate::refusal::Refusal;
use crate::upstream::Response;
use bytes::Bytes;
use std::pin::pin;
use std::time::{Duration, Instant};
use weir_llm::api::Api;
use weir_llm::price::Nanos;
use weir_llm::request::Request;
use weir_llm::usage::{Source, Usage};

/// How long a caller hears nothing before it is sent a keep-alive: proxies on the way close what is silent for a minute.
const SILENCE: Duration = Duration::from_secs(15);

/// How a stream ended.
enum Finish {
    /// With its own last event.
    Complete,
    /// Without it; why.
    Cut(String),
    /// The provider's own error event ended it.
    Failed,
    /// The caller left.
    Gone,
}

impl Exchange<'_> {
    /// Passes a stream on to its end, and settles it.
    ///
    /// # Errors
    /// The caller has gone, or the ledger did not take the posting.
    pub async fn stream(
        &mut self,
        admitted: Admitted,
        request: &Request,
        opened: Opened,
        recording: Option<Recording>,
    ) -> Result<(), End> {
        let Opened { served, mut response, mut relay, until } = opened;
        let mut head = respond::stream_head(&self.id)?;
        self.mark(&mut head, Some((&served, None)));
        self.record.status = 200;
        let ttft = served.began.elapsed();
        self.record.ttft = Some(self.started.elapsed());
        let finish = match self.session.write_response_header(Box::new(head)).await {
            Ok(()) => self.relay(&mut relay, &mut response, until).await,
            Err(_) => Finish::Gone,
        };
        let (usage, source) = used(request, &relay, matches!(finish, Finish::Complete));
        let outcome = self.judge(&finish, &served, ttft, usage);
        let close = Close { outcome, served: Some(served.clone()), usage, source, saved: Nanos(0) };
        let model = admitted.route.name.clone();
        let settled = self.settle(admitted, close).await;
        match (finish, settled) {
            (Finish::Gone, _) => Err(End::Gone),
            (Finish::Complete, Ok(money)) => {
                let ask = self.ask(request, &model);
                if let Some((recording, body)) =
                    recording.and_then(|kept| Some((kept, relay.recorded(&ask)?)))
                {
                    self.store(recording, &body, &served, usage, money);
                }
                let last = relay.last();
                self.last(last).await?;
                response.finish().await;
                Ok(())
            }
            (Finish::Failed, Ok(_)) => {
                let message = relay.error().map(|error| format!("{} answered: {}", served.id, error.message));
                let why = message.unwrap_or_else(|| "the provider reported an error".to_owned());
                Ok(self.broken(&mut relay, request, &model, &why).await?)
            }
            (Finish::Cut(why), Ok(_)) => {
                let why = format!("The stream from {} broke off: {why}.", served.id);
                Ok(self.broken(&mut relay, request, &model, &why).await?)
            }
            // The head is out, so the refusal has to be said in the stream.
            (_, Err(_)) => {
                let why = "The end of the stream could not be written to the ledger.";
                Ok(self.broken(&mut relay, request, &model, why).await?)
            }
        }
    }

    /// Tells the live facts how it ended, and what that means for the posting.
    fn judge(&self, finish: &Finish, served: &Served, ttft: Duration, usage: Usage) -> Outcome {
        let live = served.bound.live;
        match finish {
            Finish::Complete => {
                self.snapshot.live.succeeded(live, ttft, usage.output, served.began.elapsed());
                Outcome::Ok
            }
            Finish::Cut(_) | Finish::Failed => {
                self.snapshot.live.failed(live, weir_policy::ErrorClass::Network);
                Outcome::UpstreamCut
            }
            Finish::Gone => Outcome::ClientAbort,
        }
    }

    /// Passes events on until the stream has ended in one way or another.
    async fn relay(&mut self, relay: &mut Relay, response: &mut Response, until: Instant) -> Finish {
        let gateway = self.gateway;
        let mut ending = pin!(gateway.drain.ending());
        let mut late = pin!(tokio::time::sleep_until(until.into()));
        let mut silent = pin!(tokio::time::sleep(SILENCE));
        let mut spoke = Instant::now();
        loop {
            while let Some(piece) = relay.next_piece() {
                self.record.bytes_out += piece.len() as u64;
                if self.session.write_response_body(piece, false).await.is_err() {
                    return Finish::Gone;
                }
                spoke = Instant::now();
            }
            match relay.end() {
                Some(Ended::Done) => return Finish::Complete,
                Some(Ended::Error) => return Finish::Failed,
                None => {}
            }
            // One read, however many keep-alives it takes: a read that is dropped half way could lose bytes.
            let mut chunk = pin!(response.chunk());
            let heard = loop {
                let next = async {
                    tokio::select! {
                        biased;
                        chunk = &mut chunk => Some(chunk.map_err(|failure| failure.message)),
                        () = &mut ending => Some(Err("the gateway is shutting down".to_owned())),
                        () = &mut late => Some(Err("it took longer than it may".to_owned())),
                        () = &mut silent => None,
                    }
                };
                match attend(self.session, &mut self.watched, next).await {
                    Err(Gone) => return Finish::Gone,
                    Ok(Some(heard)) => break heard,
                    Ok(None) => {}
                }
                if spoke.elapsed() >= SILENCE && relay.at_boundary() {
                    let keep = Bytes::from_static(keep_alive(self.voice));
                    if self.session.write_response_body(keep, false).await.is_err() {
                        return Finish::Gone;
                    }
                    spoke = Instant::now();
                }
                silent.as_mut().reset((spoke + SILENCE).max(Instant::now() + SILENCE / 15).into());
            };
            match heard {
                Err(why) => return Finish::Cut(why),
                Ok(None) if relay.close() => return Finish::Complete,
                Ok(None) => return Finish::Cut("it ended before its last event".to_owned()),
                Ok(Some(chunk)) => {
                    if let Err(error) = relay.feed(&chunk) {
                        return Finish::Cut(error.to_string());
                    }
                }
            }
        }
    }

    /// Ends the stream with an error in the caller's protocol.
    async fn broken(
        &mut self,
        relay: &mut Relay,
        request: &Request,
        model: &str,
        why: &str,
    ) -> Result<(), Gone> {
        let refusal = Refusal::bad_gateway("stream_broken", why);
        let message = format!("{why} (request id: {})", self.id);
        let bytes = relay.fail(&refusal.said(self.voice, &message, &self.id), &self.ask(request, model));
        self.last(bytes).await
    }

    async fn last(&mut self, bytes: Bytes) -> Result<(), Gone> {
        self.record.bytes_out += bytes.len() as u64;
        self.session.write_response_body(bytes, true).await.map_err(|_| Gone)
    }
}

/// What was used, and who counted it. A stream that did not end may have said only what it had used at its beginning
/// (Anthropic does): what had come by then counts, too.
fn used(request: &Request, relay: &Relay, complete: bool) -> (Usage, Source) {
    let guess = guessed(request, relay.content_bytes());
    match relay.usage() {
        Some(usage) if complete || usage.total_output() >= guess.output => (usage, Source::Provider),
        Some(usage) => {
            let output = guess.output - (usage.total_output() - usage.output);
            (Usage { output, ..usage }, Source::Estimate)
        }
        None => (guess, Source::Estimate),
    }
}

/// A sign of life that every client of an API passes over.
const fn keep_alive(api: Api) -> &'static [u8] {
    if api.is_anthropic() { b"event: ping\ndata: {\"type\": \"ping\"}\n\n" } else { b": keep-alive\n\n" }
}
