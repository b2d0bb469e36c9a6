//! A streamed reply: events leave as they come, and the last one waits for the posting.

use super::admit::Admitted;
use super::attempt::{Opened, REPLY, Served, Whole};
use super::attend::attend;
use super::ear::Ear;
use super::relay::{Ended, Relay};
use super::replay::Recording;
use super::reply::guessed;
use super::settle::{Close, Outcome};
use super::{End, Exchange};
use crate::config::DrainBounds;
use crate::ingress::body::out_of_buffer;
use crate::ingress::respond::{self, Gone};
use crate::refusal::Refusal;
use crate::telemetry::gaps::Gaps;
use crate::upstream::{Failure, Response};
use bytes::Bytes;
use futures::FutureExt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::time::{Duration, Instant};
use tokio::time::Sleep;
use weir_llm::api::Api;
use weir_llm::payload::{Passing, Payload};
use weir_llm::price::Nanos;
use weir_llm::request::Request;
use weir_llm::translate::Summary;
use weir_llm::usage::{Source, Usage};
use weir_policy::{Deny, Hook};

/// How long a caller hears nothing before it is sent a keep-alive: proxies on the way close what is silent for a minute.
const SILENCE: Duration = Duration::from_secs(15);

/// How long what may leave waits for more that has come already, so that both leave in one write: what policies take for
/// the one is not to keep the other.
const TOGETHER: Duration = Duration::from_millis(1);

/// Why a stream is cut that is to be seen whole.
const TOO_LONG: &str = "it is longer than what can be held back at one time";

/// How a stream ended.
enum Finish {
    /// With its own last event.
    Complete,
    /// Without it; why.
    Cut(String),
    /// The provider's own error event ended it.
    Failed,
    /// A policy stopped it, with this.
    Stopped(Deny),
    /// The gateway has no room to hold back what is to be seen whole.
    Full,
    /// The caller took so long to read that time was up; why.
    Slow(String),
    /// The caller left; whether the stream has been read to its end all the same.
    Gone(bool),
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
        // Stopped before anything has left: a real status is still possible.
        if relay.end() == Some(Ended::Stopped) || self.collects(&admitted) {
            let opened = Opened { served, response, relay, until };
            return Box::pin(self.collected(admitted, request, opened, recording)).await;
        }
        let mut head = respond::stream_head(&self.id);
        self.mark(&mut head, Some((&served, None)));
        self.record.status = 200;
        let ttft = served.began.elapsed();
        self.record.ttft = Some(self.started.elapsed());
        let finish = match self.session.say(head).await {
            Ok(()) => self.relay(&mut relay, (&mut response, until), true, served.bound.endpoint.drain).await,
            Err(Gone) => Finish::Gone(false),
        };
        self.label(&admitted, &served, &relay.label());
        let whole = matches!(finish, Finish::Complete | Finish::Gone(true));
        let (usage, source) = used(request, &relay, whole);
        let finish = self.last_words(finish, &mut relay, usage);
        let outcome = self.judge(&finish, &served, ttft, usage);
        let close = Close { outcome, served: Some(served.clone()), usage, source, saved: Nanos(0) };
        let model = admitted.route.name.clone();
        // A policy may have hidden something when the cache had been asked already.
        let recording = recording.filter(|_| admitted.view.vault().is_empty());
        let settled = self.settle(admitted, close).await;
        match (finish, settled) {
            (Finish::Gone(true), _) => {
                response.finish().await;
                Err(End::Gone)
            }
            (Finish::Gone(false), _) => Err(End::Gone),
            (Finish::Complete, Ok(money)) => {
                let ask = self.ask(request, &model);
                if let Some((recording, body)) =
                    recording.and_then(|kept| Some((kept, Payload::new(relay.recorded(&ask)?))))
                {
                    self.store(recording, body.expose(), &served, usage, money);
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
            (Finish::Full, Ok(_)) => Ok(self.broken(&mut relay, request, &model, TOO_LONG).await?),
            (Finish::Cut(why) | Finish::Slow(why), Ok(_)) => {
                let why = format!("The stream from {} broke off: {why}.", served.id);
                Ok(self.broken(&mut relay, request, &model, &why).await?)
            }
            (Finish::Stopped(deny), Ok(_)) => {
                let refusal = Refusal::from(deny);
                Ok(self.said(&mut relay, request, &model, &refusal).await?)
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
            Finish::Stopped(_) => {
                self.snapshot.live.succeeded(live, ttft, usage.output, served.began.elapsed());
                Outcome::Refused
            }
            Finish::Cut(_) | Finish::Failed => {
                self.snapshot.live.failed(live, weir_policy::ErrorClass::Network);
                Outcome::UpstreamCut
            }
            Finish::Full => Outcome::Failed,
            Finish::Slow(_) | Finish::Gone(_) => Outcome::ClientAbort,
        }
    }

    /// Passes events on until the stream has ended in one way or another; `aloud`: to the caller. If that leaves, `drain`
    /// says how far the rest is read.
    async fn relay(
        &mut self,
        relay: &mut Relay,
        (response, until): (&mut Response, Instant),
        aloud: bool,
        drain: Option<DrainBounds>,
    ) -> Finish {
        let mut ear = Ear::new(aloud, drain, self.gateway.telemetry.metrics());
        let finish = self.pass_on(relay, (response, until), &mut ear).await;
        if !ear.gone {
            return finish;
        }
        let whole = matches!(finish, Finish::Complete);
        let result = if whole { "whole" } else { "cut" };
        self.gateway.telemetry.metrics().drained.with_label_values(&[result]).inc();
        Finish::Gone(whole)
    }

    async fn pass_on(
        &mut self,
        relay: &mut Relay,
        (response, until): (&mut Response, Instant),
        ear: &mut Ear<'_>,
    ) -> Finish {
        let gateway = self.gateway;
        let mut ending = pin!(gateway.drain.ending());
        let mut late = pin!(tokio::time::sleep_until(until.into()));
        let mut silent = pin!(tokio::time::sleep(SILENCE));
        let begun = Instant::now();
        let mut spoke = begun;
        // Since when something may leave.
        let mut unsaid: Option<Instant> = None;
        self.record.gaps = self.snapshot.meters.counts_chunks().then(|| Box::new(Gaps::begin(spoke)));
        let finish = loop {
            match relay.end() {
                Some(Ended::Done) => break Finish::Complete,
                Some(Ended::Error) => break Finish::Failed,
                Some(Ended::Stopped) => break Finish::Stopped(stopped()),
                None => {}
            }
            // One read, however many keep-alives it takes: its deadline is from its beginning.
            let mut chunk = pin!(response.chunk());
            // What has come already leaves together with what came before it: a write each costs more than all else.
            let full = relay.is_full() || unsaid.is_some_and(|since| since.elapsed() >= TOGETHER);
            let mut at_hand = match full {
                true => None,
                // Asked again below before anything waits, so nobody has to be woken by this.
                false => next(chunk.as_mut(), ending.as_mut(), late.as_mut()).now_or_never(),
            };
            if at_hand.is_none() {
                unsaid = None;
                if !self.utter(relay, ear, &mut spoke).await && !ear.stay(&mut late, until) {
                    return Finish::Gone(false);
                }
            }
            let heard = loop {
                if let Some(heard) = at_hand.take() {
                    break heard;
                }
                let due = relay.due();
                let news = async {
                    tokio::select! {
                        biased;
                        heard = next(chunk.as_mut(), ending.as_mut(), late.as_mut()) => Some(heard),
                        () = &mut silent => None,
                        () = at(due), if due.is_some() => None,
                    }
                };
                let attended = if ear.gone {
                    Ok(news.await)
                } else {
                    attend(self.session, &mut self.watched, news).await
                };
                match attended {
                    // The read goes on where it was.
                    Err(Gone) if ear.stay(&mut late, until) => {}
                    Err(Gone) => return Finish::Gone(false),
                    Ok(Some(heard)) => break heard,
                    Ok(None) => {}
                }
                if due.is_some_and(|due| due <= Instant::now()) {
                    relay.poke();
                    if !self.utter(relay, ear, &mut spoke).await && !ear.stay(&mut late, until) {
                        return Finish::Gone(false);
                    }
                    if relay.end() == Some(Ended::Stopped) {
                        return Finish::Stopped(stopped());
                    }
                }
                if ear.aloud && spoke.elapsed() >= SILENCE && relay.at_boundary() {
                    let keep = Bytes::from_static(keep_alive(self.voice));
                    let sent = self.session.write(keep, false).await.is_ok();
                    if !sent && !ear.stay(&mut late, until) {
                        return Finish::Gone(false);
                    }
                    spoke = Instant::now();
                }
                silent.as_mut().reset((spoke + SILENCE).max(Instant::now() + SILENCE / 15).into());
            };
            match heard {
                // Most of the time was the caller's.
                Err(why) if Instant::now() >= until && ear.waited * 2 >= begun.elapsed() => {
                    break Finish::Slow(format!("its caller reads slowly, and {why}"));
                }
                Err(why) => break Finish::Cut(why),
                Ok(None) if relay.close() => break Finish::Complete,
                Ok(None) if relay.end() == Some(Ended::Stopped) => break Finish::Stopped(stopped()),
                Ok(None) => break Finish::Cut("it ended before its last event".to_owned()),
                Ok(Some(chunk)) => {
                    if let Err(cut) = self.take(relay, &chunk, ear) {
                        break cut;
                    }
                    unsaid = unsaid.or_else(|| Some(Instant::now()));
                }
            }
        };
        if !self.utter(relay, ear, &mut spoke).await && !ear.stay(&mut late, until) {
            return Finish::Gone(false);
        }
        finish
    }

    /// Takes what has come; `Err`: nothing more is taken.
    fn take(&mut self, relay: &mut Relay, chunk: &Passing, ear: &mut Ear<'_>) -> Result<(), Finish> {
        if let Some(gaps) = &mut self.record.gaps {
            gaps.chunk(Instant::now());
        }
        if !ear.hears(chunk.len()) {
            return Err(Finish::Cut("its caller left, and it is longer than is read then".to_owned()));
        }
        if relay.records() {
            ear.recorded += chunk.len();
            let is_long = ear.recorded > REPLY;
            if is_long || !self.held.grow(chunk.len()) {
                // Nothing of it has left.
                if ear.collects() {
                    return Err(if is_long { Finish::Cut(TOO_LONG.to_owned()) } else { Finish::Full });
                }
                relay.forget();
                self.held.shrink(ear.recorded - chunk.len());
            }
        }
        relay.feed(chunk).map_err(|error| Finish::Cut(error.to_string()))?;
        if relay.due().is_some_and(|due| due <= Instant::now()) {
            relay.poke();
        }
        Ok(())
    }

    /// Writes what may leave; whether the caller is still there.
    async fn utter(&mut self, relay: &mut Relay, ear: &mut Ear<'_>, spoke: &mut Instant) -> bool {
        while let Some(piece) = relay.next_piece() {
            if !ear.aloud {
                continue;
            }
            self.record.bytes_out += piece.len() as u64;
            let mut writing = pin!(self.session.write(piece.into_bytes(), false));
            let written = match writing.as_mut().now_or_never() {
                Some(written) => written,
                None => {
                    let since = Instant::now();
                    let written = writing.await;
                    ear.waited += since.elapsed();
                    written
                }
            };
            if written.is_err() {
                return false;
            }
            *spoke = Instant::now();
        }
        true
    }

    /// What the policies that watched the stream came to.
    fn last_words(&mut self, finish: Finish, relay: &mut Relay, usage: Usage) -> Finish {
        let Some(streams) = relay.take_streams() else { return finish };
        let streamed = streams.finish(&usage);
        let refused = streamed.stopped.clone();
        self.snapshot.pipeline.streamed(streamed, &mut self.trace);
        match (finish, refused) {
            (Finish::Stopped(_), Some(refused)) => Finish::Stopped(refused.deny),
            (finish, _) => finish,
        }
    }

    /// Whether a guard of replies wants the stream whole.
    pub fn collects(&self, admitted: &Admitted) -> bool {
        admitted.route.asked.has(Hook::GuardResponse) && self.snapshot.pipeline.collects(admitted.view.head())
    }

    /// A stream that nothing of which may leave before all of it has been seen; or that was stopped at once.
    async fn collected(
        &mut self,
        admitted: Admitted,
        request: &Request,
        opened: Opened,
        recording: Option<Recording>,
    ) -> Result<(), End> {
        let Opened { served, mut response, mut relay, until } = opened;
        let ttft = served.began.elapsed();
        let finish = self.relay(&mut relay, (&mut response, until), false, None).await;
        let label = relay.label();
        self.label(&admitted, &served, &label);
        let (usage, source) = used(request, &relay, matches!(finish, Finish::Complete));
        let finish = self.last_words(finish, &mut relay, usage);
        let outcome = self.judge(&finish, &served, ttft, usage);
        let (refusal, outcome) = match finish {
            Finish::Complete => {
                response.finish().await;
                let body = relay.recorded(&self.ask(request, &admitted.route.name));
                let summary = Summary {
                    usage: (source == Source::Provider).then_some(usage),
                    content_bytes: relay.content_bytes(),
                    complete: true,
                    label,
                };
                match body {
                    Some(body) => {
                        let body = body.into();
                        return self
                            .reply(
                                admitted,
                                request,
                                Whole { served, body, summary, watched: true },
                                recording,
                            )
                            .await;
                    }
                    // It has what cannot be written again as a whole: nobody pays for what they do not get.
                    None => {
                        let why = "The stream could not be collected.";
                        (Refusal::bad_gateway("stream_broken", why), Outcome::Refused)
                    }
                }
            }
            Finish::Stopped(deny) => (deny.into(), outcome),
            Finish::Failed => {
                let said = relay.error().map_or("the provider reported an error", |error| &error.message);
                (Refusal::bad_gateway("stream_broken", format!("{} answered: {said}", served.id)), outcome)
            }
            Finish::Full => (out_of_buffer(), outcome),
            Finish::Cut(why) | Finish::Slow(why) => {
                let why = format!("The stream from {} broke off: {why}.", served.id);
                (Refusal::bad_gateway("stream_broken", why), outcome)
            }
            Finish::Gone(_) => {
                let close = Close { outcome, served: Some(served), usage, source, saved: Nanos(0) };
                self.settle(admitted, close).await?;
                return Err(End::Gone);
            }
        };
        let close = Close { outcome, served: Some(served), usage, source, saved: Nanos(0) };
        self.settle(admitted, close).await?;
        Err(refusal.into())
    }

    /// Ends the stream with an error in the caller's protocol.
    async fn broken(
        &mut self,
        relay: &mut Relay,
        request: &Request,
        model: &str,
        why: &str,
    ) -> Result<(), Gone> {
        self.said(relay, request, model, &Refusal::bad_gateway("stream_broken", why)).await
    }

    /// Says a refusal in the stream.
    async fn said(
        &mut self,
        relay: &mut Relay,
        request: &Request,
        model: &str,
        refusal: &Refusal,
    ) -> Result<(), Gone> {
        let message = format!("{} (request id: {})", refusal.message, self.id);
        let bytes = relay.fail(&refusal.said(self.voice, &message, &self.id), &self.ask(request, model));
        self.last(bytes).await
    }

    async fn last(&mut self, bytes: Passing) -> Result<(), Gone> {
        self.record.bytes_out += bytes.len() as u64;
        self.session.write(bytes.into_bytes(), true).await
    }
}

/// Stands in until it is known which policy stopped the stream.
fn stopped() -> Deny {
    let message = "A policy stopped this stream.".to_owned();
    Deny { status: 403, code: "policy_denied".into(), message, retry_after_ms: None }
}

/// The next chunk, unless the stream has to end first: that is looked at first, or a provider that never pauses would not
/// be ended. Nothing is lost where it is dropped.
async fn next(
    chunk: Pin<&mut impl Future<Output = Result<Option<Passing>, Failure>>>,
    ending: Pin<&mut impl Future<Output = ()>>,
    late: Pin<&mut Sleep>,
) -> Result<Option<Passing>, String> {
    tokio::select! {
        biased;
        () = ending => Err("the gateway is shutting down".to_owned()),
        () = late => Err("it took longer than it may".to_owned()),
        chunk = chunk => chunk.map_err(|failure| failure.message),
    }
}

/// Waits for a moment; for ever, if there is none.
async fn at(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
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
