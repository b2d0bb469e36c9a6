//! What lives as long as the process, and takes the callers' connections.

use crate::alarm::Alarm;
use crate::buffered::Budget;
use crate::cache::Replies;
use crate::completions::Completions;
use crate::connections::{Connection, Connections};
use crate::drain::{Drain, Phase};
use crate::exchange::explain::Explained;
use crate::exchange::{self, Exchange, Parting};
use crate::ingress::head::{self, Head, Patience};
use crate::ingress::session::Session;
use crate::ingress::{self, respond};
use crate::overload::Pressure;
use crate::services::Host;
use crate::services::traces::Traces;
use crate::slots::Slots;
use crate::snapshot::Snapshot;
use crate::telemetry::Telemetry;
use crate::upstream::Upstreams;
use crate::warmth::Warmth;
use crate::wire::caller::Caller;
use crate::wire::{Spoken, Wire};
use arc_swap::ArcSwap;
use hmac::{Hmac, Mac};
use pingora::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream, ServerApp};
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::{H2Options, default_h2_options};
use pingora::protocols::{SocketDigest, Stream};
use pingora::server::ShutdownWatch;
use pingora::time::tokio_timeout as timeout;
use sha2::Sha256;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use weir_ledger::Ledger;
use weir_llm::price::Nanos;
use weir_policy::pipeline::Trace;

/// What lives as long as the process.
pub struct Gateway {
    /// Swapped by a reload.
    pub snapshot: ArcSwap<Snapshot>,
    /// Keys and money.
    pub ledger: Ledger,
    /// Connections to providers.
    pub upstreams: Arc<Upstreams>,
    /// The response cache.
    pub replies: Replies,
    /// What policies may ask of the gateway beyond the request.
    pub services: Arc<Host>,
    /// Metrics, logs, traces.
    pub telemetry: Arc<Telemetry>,
    /// Bytes held for callers.
    pub buffered: Budget,
    /// What is under way.
    pub drain: Drain,
    /// Slots for what policies keep while an exchange lasts.
    pub slots: Slots,
    /// The callers' connections.
    pub connections: Connections,
    /// How late the runtime runs.
    pub pressure: Pressure,
    /// Makes ids and random numbers.
    pub ids: Ids,
    /// Takes HTTP/2 without TLS too, and bounds idle connections.
    pub options: HttpServerOptions,
    /// Keys the hashes of callers' `user` fields.
    pub users: Hmac<Sha256>,
    /// Keys the hashes that policies see of conversations and put in place of texts.
    pub hashes: [u8; 32],
    /// Which prompt caches may know what.
    pub warmth: Arc<Warmth>,
    /// The latest decisions, for `weir explain`.
    pub traces: Traces<Explained>,
    /// Finished exchanges that policies want to know of.
    pub completions: Completions,
}

/// Ids that grow with time, so that the ledger's index is written at its end; and numbers for jitter and draws.
pub struct Ids {
    start: u64,
    seed: u64,
    count: AtomicU64,
}

impl Ids {
    /// Seeds from the operating system.
    ///
    /// # Errors
    /// It has no random bytes to give.
    pub fn new() -> Result<Self, getrandom::Error> {
        let mut seed = [0; 8];
        getrandom::fill(&mut seed)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let start = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        Ok(Self { start, seed: u64::from_le_bytes(seed), count: AtomicU64::new(0) })
    }

    /// `req_` and 32 hex digits: when the process began, which process, which request.
    pub fn request(&self) -> Arc<str> {
        let mut id = *b"req_00000000000000000000000000000000";
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        for (place, number) in [(4..16, self.start), (16..26, self.seed), (26..36, count)] {
            // The last bytes of each, two digits a byte: they fit.
            let _ = hex::encode_to_slice(&number.to_be_bytes()[8 - place.len() / 2..], &mut id[place]);
        }
        // Digits are text.
        std::str::from_utf8(&id).unwrap_or_default().into()
    }

    /// A number that nobody can choose: for jitter and weighted draws, not for secrets.
    pub fn random(&self) -> u64 {
        // SplitMix64 over a counter.
        let step = self.count.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.seed.wrapping_add(step);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Gateway {
    /// A number for jitter and weighted draws.
    pub fn random(&self) -> u64 {
        self.ids.random()
    }

    /// A caller's `user` field as policies see it: the same within an organisation, meaningless outside of it.
    pub fn user_hash(&self, organisation: &str, user: &str) -> Arc<str> {
        let mut hash = self.users.clone();
        hash.update(organisation.as_bytes());
        hash.update(&[0]);
        hash.update(user.as_bytes());
        hex::encode(&hash.finalize().into_bytes()[..16]).into()
    }

    /// How long to wait for callers.
    pub fn patience(&self) -> Patience {
        let timeouts = self.snapshot.load().config.server.timeouts;
        Patience { idle: timeouts.idle, header: timeouts.header }
    }

    /// One exchange on a session whose head has been read.
    async fn exchange(&self, session: &mut Session) -> Parting {
        let id = self.ids.request();
        let snapshot = self.snapshot.load_full();
        let timeouts = &snapshot.config.server.timeouts;
        if self.drain.phase() != Phase::Open {
            session.close();
        }
        // For the connection that is below a stream of HTTP/2 the kernel looks.
        session.set_patience(timeouts.write, timeouts.stall);
        let head = session.head();
        let voice = ingress::voice(head.uri.path(), &head.headers);
        let _guest = match self.enter() {
            Ok(guest) => guest,
            Err(refusal) => {
                self.telemetry.metrics().shed(refusal.shed.unwrap_or_default());
                let generation = &snapshot.generation_text;
                let mark = |head: &mut respond::Head| {
                    respond::put_text(head, respond::name::GENERATION, generation);
                };
                let told = respond::refuse_with(session, &refusal.closing(), voice, &id, mark).await;
                return if told.is_ok() { Parting::Done } else { Parting::Left };
            }
        };
        let started = Instant::now();
        let traceparent = session.head().headers.get("traceparent").and_then(|value| value.to_str().ok());
        let record = exchange::record(&self.telemetry, &snapshot, Arc::clone(&id), traceparent);
        let held = self.buffered.open();
        let mut exchange = Exchange {
            gateway: self,
            snapshot,
            session,
            voice,
            id,
            started,
            slots: None,
            watched: true,
            held,
            form: None,
            record,
            trace: Trace::new(),
            seen: None,
            in_flight: None,
            served: None,
            sent: None,
            told: None,
            explains: false,
            wants_explanation: false,
            considered: None,
            hosted: Vec::new(),
            lost: Some(Nanos(0)),
        };
        let parting = exchange.run().await;
        self.telemetry.record(exchange.record);
        parting
    }

    /// Serves a caller's connection to its end.
    pub async fn take(
        self: &Arc<Self>,
        stream: Stream,
        connection: &Connection,
        shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
        match Wire::listen(stream).await? {
            Spoken::Two(stream) => self.process_new(stream, shutdown).await,
            Spoken::One(wire) => {
                let (mut session, mut alarm) = (Session::One(Box::new(Caller::new(wire))), Alarm::default());
                for request in 1..=REQUESTS {
                    if !self.has_request(&mut session, &mut alarm).await {
                        break;
                    }
                    if request == REQUESTS {
                        session.close();
                    }
                    if !in_place(|| self.serve(&mut session, Some(connection))).await {
                        break;
                    }
                }
                None
            }
        }
    }

    /// Waits for the head of a request. Each read is one of many; only deadlines around them all stop a caller that sends a
    /// byte a minute.
    async fn has_request(&self, session: &mut Session, alarm: &mut Alarm) -> bool {
        let limit = self.snapshot.load().config.server.limits.header;
        match head::read(session, self.patience(), limit, alarm).await {
            Head::Come => true,
            Head::Nothing => false,
            Head::Broken => {
                session.say_no().await;
                false
            }
        }
    }

    /// One request whose head has come; whether another may follow it.
    async fn serve(self: &Arc<Self>, session: &mut Session, connection: Option<&Connection>) -> bool {
        let busy = match connection {
            Some(connection) => match self.connections.busy(connection) {
                Some(busy) => Some(busy),
                None => return false,
            },
            None => None,
        };
        let parting = self.exchange(session).await;
        if let Some(connection) = connection.filter(|_| session.is_two()) {
            self.connections.ended(connection, parting == Parting::Left);
        }
        // What is left to be said to a caller that does not read would wait for it for ever; where a reply broke off, its
        // end would make it a whole one.
        match parting {
            Parting::Done => {}
            Parting::Broken => {
                // Its head at least: who has gone needs not be told.
                let _ = session.flush().await;
                return false;
            }
            Parting::Left => return false,
        }
        if self.drain.phase() != Phase::Open {
            session.close();
        }
        session.linger().await;
        let patience = self.snapshot.load().config.server.timeouts.write;
        let goes_on = timeout(patience, pin!(session.finish())).await.unwrap_or(false);
        drop(busy);
        goes_on
    }

    /// A stream of HTTP/2, which is one request.
    async fn stream(self: &Arc<Self>, session: ServerSession) {
        let mut session = Session::Two(Box::new(session));
        let connection = session.socket().and_then(|socket| self.connections.find(key(&socket)));
        if self.has_request(&mut session, &mut Alarm::default()).await {
            self.serve(&mut session, connection.as_deref()).await;
        }
    }
}

/// HTTP/2 alone comes this way. The trait's methods as `async_trait` writes them.
impl HttpServerApp for Gateway {
    fn process_new_http<'a, 'b, 'c>(
        self: &'a Arc<Self>,
        session: ServerSession,
        _shutdown: &'b ShutdownWatch,
    ) -> Pin<Box<dyn Future<Output = Option<ReusedHttpStream>> + Send + 'c>>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        in_place(|| async {
            self.stream(session).await;
            None
        })
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.options)
    }

    fn h2_options(&self) -> Option<H2Options> {
        let mut options = default_h2_options();
        let header = self.snapshot.load().config.server.limits.header;
        options
            .max_header_list_size(u32::try_from(header).unwrap_or(u32::MAX))
            .max_send_buffer_size(H2_SEND_BUFFER)
            .max_local_error_reset_streams(Some(H2_OWN_RESETS));
        Some(options)
    }
}

/// A future in a box that is there first, so that the compiler may make it where it stays. `Box::pin` makes it and then moves
/// all of it, and the way of a request is a future of more than ten kilobytes.
fn in_place<'a, F: Future + Send + 'a>(
    make: impl FnOnce() -> F,
) -> Pin<Box<dyn Future<Output = F::Output> + Send + 'a>> {
    let future: Box<F> = Box::write(Box::new_uninit(), make());
    Box::into_pin(future)
}

/// Requests that one connection of HTTP/1 may bring.
const REQUESTS: u32 = 100_000;
/// Bytes of replies that a stream may hold for a caller that does not read.
const H2_SEND_BUFFER: usize = 64 << 10;
/// Streams of one connection that may end because the caller broke the protocol in them.
const H2_OWN_RESETS: usize = 100;

/// A connection's own number as long as it lives: where its socket's facts are.
pub fn key(socket: &Arc<SocketDigest>) -> usize {
    Arc::as_ptr(socket).addr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_grow() {
        let ids = Ids::new().unwrap();
        let made: Vec<_> = (0..1000).map(|_| ids.request()).collect();
        assert!(made.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(made.iter().all(|id| id.len() == 36));
    }

    #[test]
    fn random_numbers_spread() {
        let ids = Ids::new().unwrap();
        let low = (0..10_000).filter(|_| ids.random().is_multiple_of(10)).count();
        assert!((800..1200).contains(&low), "{low}");
    }
}
