//! A streamed reply: events pass through as they came, and the last one waits for the posting.

use super::admit::Admitted;
use super::attempt::{Opened, Served};
use super::attend::attend;
use super::replay::Recording;
use super::reply::guessed;
use super::settle::{Close, Outcome};
use super::{End, Exchange};
use crate::ingress::respond::{self, Gone};
use crate::upstream::Response;
use bytes::{Bytes, BytesMut};
use std::pin::pin;
use std::time::Instant;
use weir_llm::chat::{self, Chunk, Collector, StreamScan};
use weir_llm::price::Nanos;
use weir_llm::request::Request;
use weir_llm::sse;
use weir_llm::usage::{Source, Usage};

/// Longest event of a stream, in bytes.
const EVENT: usize = 4 << 20;

/// How a stream ended.
enum Finish {
    /// With its own last event.
    Complete,
    /// Without it; why.
    Cut(String),
    /// The provider's own error event ended it, and has been passed on.
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
        let Opened { served, mut response, first, until } = opened;
        let mut relay = Relay::new(!request.include_usage(), recording.is_some());
        let mut head = respond::stream_head(&self.id)?;
        self.mark(&mut head, Some((&served, None)));
        self.record.status = 200;
        let ttft = served.began.elapsed();
        self.record.ttft = Some(self.started.elapsed());
        let finish = match self.session.write_response_header(Box::new(head)).await {
            Ok(()) => self.relay(&mut relay, &mut response, first, until).await,
            Err(_) => Finish::Gone,
        };
        let (usage, source) = relay.usage(request);
        let live = served.bound.live;
        let outcome = match &finish {
            Finish::Complete => {
                self.snapshot.live.succeeded(live, ttft, usage.output, served.began.elapsed());
                Outcome::Ok
            }
            Finish::Cut(_) | Finish::Failed => {
                self.snapshot.live.failed(live, weir_policy::ErrorClass::Network);
                Outcome::UpstreamCut
            }
            Finish::Gone => Outcome::ClientAbort,
        };
        let close = Close { outcome, served: Some(served.clone()), usage, source, saved: Nanos(0) };
        let settled = self.settle(admitted, close).await;
        match (finish, settled) {
            (Finish::Gone, _) => Err(End::Gone),
            (Finish::Complete, Ok(money)) => {
                if let Some((recording, body)) = recording.zip(relay.recorded()) {
                    self.store(recording, &body, &served, usage, money);
                }
                let last = relay.last();
                self.last(last).await?;
                response.finish().await;
                Ok(())
            }
            (Finish::Failed, Ok(_)) => Ok(self.last(Bytes::new()).await?),
            (Finish::Cut(why), Ok(_)) => Ok(self.last(broken(&served, &why, &self.id)).await?),
            // The head is out, so the refusal has to be said in the stream.
            (_, Err(_)) => {
                Ok(self.last(broken(&served, "its end could not be written to the ledger", &self.id)).await?)
            }
        }
    }

    /// Passes events on until the stream has ended in one way or another.
    async fn relay(
        &mut self,
        relay: &mut Relay,
        response: &mut Response,
        first: Bytes,
        until: Instant,
    ) -> Finish {
        let gateway = self.gateway;
        let mut ending = pin!(gateway.drain.ending());
        let mut late = pin!(tokio::time::sleep_until(until.into()));
        let mut chunk = first;
        loop {
            if let Err(error) = relay.feed(&chunk) {
                return Finish::Cut(error.to_string());
            }
            while let Some(piece) = relay.next_piece() {
                self.record.bytes_out += piece.len() as u64;
                if self.session.write_response_body(piece, false).await.is_err() {
                    return Finish::Gone;
                }
            }
            match relay.end {
                Some(Ended::Done) => return Finish::Complete,
                Some(Ended::Error) => return Finish::Failed,
                None => {}
            }
            let next = async {
                tokio::select! {
                    biased;
                    chunk = response.chunk() => chunk.map_err(|failure| failure.message),
                    () = &mut ending => Err("the gateway is shutting down".to_owned()),
                    () = &mut late => Err("it took longer than it may".to_owned()),
                }
            };
            chunk = match attend(self.session, &mut self.watched, next).await {
                Err(Gone) => return Finish::Gone,
                Ok(Err(why)) => return Finish::Cut(why),
                Ok(Ok(None)) => return relay.ended(),
                Ok(Ok(Some(chunk))) => chunk,
            };
        }
    }

    async fn last(&mut self, bytes: Bytes) -> Result<(), Gone> {
        self.record.bytes_out += bytes.len() as u64;
        self.session.write_response_body(bytes, true).await.map_err(|_| Gone)
    }
}

/// The in-protocol error that ends a stream which cannot be completed.
fn broken(served: &Served, why: &str, request_id: &str) -> Bytes {
    let message = format!("The stream from {} broke off: {why}. (request id: {request_id})", served.id);
    let error = chat::error_body(&message, "server_error", None, Some("stream_broken"));
    let mut event = BytesMut::with_capacity(error.len() + 8);
    event.extend_from_slice(b"data: ");
    event.extend_from_slice(&error);
    event.extend_from_slice(b"\n\n");
    event.freeze()
}

/// How the provider's own events ended the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Done,
    Error,
}

/// Cuts a stream at its events: passes whole ones on, holds the last one back, and leaves out what the caller did not
/// ask for. Bytes that pass are never changed.
struct Relay {
    parser: sse::Parser,
    scan: StreamScan,
    hide_usage: bool,
    /// An event that began in an earlier chunk.
    tail: BytesMut,
    /// What may leave now, last first.
    ready: Vec<Bytes>,
    /// The last event, which waits for the posting.
    held: Bytes,
    end: Option<Ended>,
    recorded: Option<Collector>,
    marks: Vec<(usize, Chunk)>,
}

impl Relay {
    fn new(hide_usage: bool, record: bool) -> Self {
        Self {
            parser: sse::Parser::new(EVENT),
            scan: StreamScan::new(),
            hide_usage,
            tail: BytesMut::new(),
            ready: Vec::new(),
            held: Bytes::new(),
            end: None,
            recorded: record.then(Collector::new),
            marks: Vec::new(),
        }
    }

    /// Takes a chunk; what may leave is then had from [`Relay::next_piece`].
    fn feed(&mut self, chunk: &Bytes) -> Result<(), sse::TooLarge> {
        let Self { parser, scan, marks, recorded, .. } = self;
        marks.clear();
        parser.push(chunk, &mut |event| {
            if let Some(recorded) = recorded {
                recorded.push(event.data);
            }
            marks.push((event.end, scan.feed(event.data)));
        })?;
        let (mut start, mut at) = (0, 0);
        for index in 0..self.marks.len() {
            let (end, seen) = self.marks[index];
            match seen {
                Chunk::UsageOnly if self.hide_usage => {
                    self.pass(chunk, start..at);
                    self.tail.clear();
                    start = end;
                }
                Chunk::Done => {
                    self.pass(chunk, start..at);
                    self.tail.extend_from_slice(&chunk[at.max(start)..end]);
                    self.held = self.tail.split().freeze();
                    self.end = Some(Ended::Done);
                    break;
                }
                Chunk::Error => {
                    self.pass(chunk, start..end);
                    self.end = Some(Ended::Error);
                    break;
                }
                _ => {}
            }
            at = end;
        }
        if self.end.is_none() {
            // Between events there can be comments: keep-alives, which must not wait for the next event.
            let whole = if self.parser.at_boundary() { chunk.len() } else { at };
            self.pass(chunk, start..whole);
            self.tail.extend_from_slice(&chunk[whole.max(start)..]);
        }
        self.ready.reverse();
        Ok(())
    }

    /// Lets a run of whole events leave, with the part of the first that came in earlier chunks.
    fn pass(&mut self, chunk: &Bytes, range: std::ops::Range<usize>) {
        if range.is_empty() {
            return;
        }
        if !self.tail.is_empty() {
            self.ready.push(self.tail.split().freeze());
        }
        self.ready.push(chunk.slice(range));
    }

    fn next_piece(&mut self) -> Option<Bytes> {
        self.ready.pop()
    }

    /// The body ended. Some providers forget `[DONE]`; a stream in which every choice finished is whole without it.
    fn ended(&mut self) -> Finish {
        if self.scan.error().is_some() || self.scan.finish_reason().is_none() {
            return Finish::Cut("it ended before its last event".to_owned());
        }
        self.held = Bytes::from_static(b"data: [DONE]\n\n");
        Finish::Complete
    }

    fn last(&mut self) -> Bytes {
        std::mem::take(&mut self.held)
    }

    fn usage(&self, request: &Request) -> (Usage, Source) {
        self.scan.usage().map_or_else(
            || (guessed(request, self.scan.content_bytes()), Source::Estimate),
            |usage| (usage, Source::Provider),
        )
    }

    /// The stream as one complete reply, for the cache.
    fn recorded(&mut self) -> Option<Bytes> {
        self.recorded.take()?.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELTA: &str =
        "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hé\"}}]}\r\n\r\n";
    const FINISH: &str =
        "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    const USAGE: &str = "data: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5}}\n\n";
    const DONE: &str = "data: [DONE]\n\n";

    /// Feeds the parts; what left, and what was held back.
    fn relayed(hide: bool, parts: &[&[u8]]) -> (String, String, Relay) {
        let mut relay = Relay::new(hide, false);
        let mut out = Vec::new();
        for part in parts {
            relay.feed(&Bytes::copy_from_slice(part)).unwrap();
            while let Some(piece) = relay.next_piece() {
                out.extend_from_slice(&piece);
            }
        }
        let held = relay.last();
        (String::from_utf8(out).unwrap(), String::from_utf8(held.to_vec()).unwrap(), relay)
    }

    #[test]
    fn every_split_of_a_stream_passes_the_same_bytes() {
        let stream = format!(": hello\n\n{DELTA}{DELTA}{FINISH}{USAGE}{DONE}");
        for hide in [false, true] {
            let kept = format!(": hello\n\n{DELTA}{DELTA}{FINISH}{}", if hide { "" } else { USAGE });
            for cut in 0..=stream.len() {
                let (one, two) = stream.as_bytes().split_at(cut);
                let (out, held, relay) = relayed(hide, &[one, two]);
                assert_eq!((out.as_str(), held.as_str()), (kept.as_str(), DONE), "hide {hide}, cut at {cut}");
                assert_eq!(relay.end, Some(Ended::Done));
                assert_eq!(relay.scan.usage().unwrap().output, 2);
            }
        }
    }

    #[test]
    fn keep_alives_do_not_wait_for_the_next_event() {
        let (out, _, _) = relayed(true, &[DELTA.as_bytes(), b": keep-alive\n\n"]);
        assert_eq!(out, format!("{DELTA}: keep-alive\n\n"));
    }

    #[test]
    fn byte_by_byte_is_the_same_as_whole() {
        let stream = format!("{DELTA}{FINISH}{USAGE}{DONE}");
        let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
        let (out, held, _) = relayed(true, &bytes);
        assert_eq!((out, held.as_str()), (format!("{DELTA}{FINISH}"), DONE));
    }

    #[test]
    fn a_stream_without_done_is_whole_only_if_every_choice_finished() {
        let (_, _, mut relay) = relayed(true, &[DELTA.as_bytes(), FINISH.as_bytes()]);
        assert!(matches!(relay.ended(), Finish::Complete));
        assert_eq!(relay.last(), DONE);
        let (_, _, mut relay) = relayed(true, &[DELTA.as_bytes()]);
        assert!(matches!(relay.ended(), Finish::Cut(_)));
    }

    #[test]
    fn the_providers_error_event_passes_and_ends_the_stream() {
        let error = "data: {\"error\":{\"message\":\"overloaded\"}}\n\n";
        let (out, held, relay) = relayed(true, &[format!("{DELTA}{error}{DONE}").as_bytes()]);
        assert_eq!((out, held.as_str()), (format!("{DELTA}{error}"), ""));
        assert_eq!(relay.end, Some(Ended::Error));
    }
}
