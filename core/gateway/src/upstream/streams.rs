//! HTTP/2 connections to one endpoint, and their streams.

use super::{Dialer, IDLE, Request};
use pingora::connectors::http::v2::{ConnectionRef, H2HandshakeSettings, handshake};
use pingora::protocols::Stream;
use pingora::protocols::http::v2::client::Http2Session;
use pingora::protocols::http::v2::write_body;
use pingora::{Error, ErrorType, OkOrErr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often a connection is asked whether it is still there; one that does not answer within 5 s is given up.
const PING: Duration = Duration::from_secs(30);
/// Bytes that a provider may send in one stream before we have read them.
const WINDOW: u32 = 256 << 10;

/// The connections that are open.
#[derive(Default)]
pub(super) struct Streams {
    open: Mutex<Vec<Open>>,
    count: AtomicU64,
    turn: tokio::sync::Mutex<()>,
    one: AtomicBool,
}

struct Open {
    connection: ConnectionRef,
    number: u64,
    epoch: u64,
    /// Since the last look.
    used: bool,
}

impl Streams {
    /// Whether the other side was found to speak HTTP/1.1 only.
    pub(super) fn prefers_one(&self) -> bool {
        self.one.load(Relaxed)
    }

    /// The other side speaks HTTP/1.1 only.
    pub(super) fn prefer_one(&self) {
        self.one.store(true, Relaxed);
    }

    /// Held by the one who connects.
    pub(super) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// A stream on a connection that has room for it; connections of another epoch are left to end.
    pub(super) async fn open(&self, epoch: u64) -> Option<Http2Session> {
        loop {
            let connection = self.pick(epoch)?;
            match connection.spawn_stream().await {
                Ok(Some(session)) => return Some(session),
                // Others were quicker, or the server is about to go.
                Ok(None) => {}
                Err(_) => connection.mark_shutdown(),
            }
        }
    }

    fn pick(&self, epoch: u64) -> Option<ConnectionRef> {
        let mut open = self.lock();
        open.retain(|open| open.epoch == epoch && !is_over(&open.connection));
        let open = open.iter_mut().find(|open| open.connection.can_accept_streams(1))?;
        open.used = true;
        Some(open.connection.clone())
    }

    /// Makes a new connection, dialled in that epoch, one of ours, and opens its first stream.
    pub(super) async fn adopt(
        &self,
        stream: Stream,
        dialer: &Arc<Dialer>,
        epoch: u64,
    ) -> pingora::Result<Http2Session> {
        let mut settings = H2HandshakeSettings::new();
        settings.max_streams = dialer.key.streams.max(1);
        settings.ping_interval = Some(PING);
        // A caller that reads slowly fills its own stream's window: all streams together must not shut the connection's.
        let all = u64::from(WINDOW).saturating_mul(settings.max_streams as u64).min((1 << 31) - 1);
        settings.stream_window_size = Some(WINDOW);
        settings.connection_window_size = u32::try_from(all).ok();
        let connection = handshake(stream, settings).await?;
        let session = connection.spawn_stream().await?;
        let session = session.or_err(ErrorType::H2Error, "a new connection takes no stream")?;
        let number = self.count.fetch_add(1, Relaxed);
        self.lock().push(Open { connection, number, epoch, used: true });
        let dialer = Arc::downgrade(dialer);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(IDLE).await;
                match dialer.upgrade() {
                    Some(dialer) if dialer.streams.look_at(number) => {}
                    _ => return,
                }
            }
        });
        Ok(session)
    }

    /// Lets a connection go that nobody has used since the last look; whether it is still one of ours.
    fn look_at(&self, number: u64) -> bool {
        let mut open = self.lock();
        let Some(at) = open.iter().position(|open| open.number == number) else { return false };
        let goes = is_over(&open[at].connection) || !open[at].used && open[at].connection.is_idle();
        if goes {
            open.remove(at);
        } else {
            open[at].used = false;
        }
        !goes
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_over(connection: &ConnectionRef) -> bool {
    connection.is_closed() || connection.is_shutting_down() || connection.ping_timedout()
}

/// Sends a request and reads the head of its reply. A reply that comes before all of the request is written ends the
/// writing.
pub(super) async fn exchange(
    session: &mut Http2Session,
    request: &Request,
    tls: bool,
) -> pingora::Result<()> {
    let unusable = || Error::explain(ErrorType::InternalError, "the request has no HTTP/2 form");
    let head = request.head_of_two(tls).ok_or_else(unusable)?;
    let body = request.body();
    session.write_request_header(Box::new(head), body.is_empty())?;
    match session.take_request_body_writer().filter(|_| !body.is_empty()) {
        None => session.read_response_header().await?,
        Some(mut writer) => {
            let reading = session.read_response_header();
            tokio::pin!(reading);
            tokio::select! {
                biased;
                read = &mut reading => read?,
                // A stream that was reset says why to who reads.
                _ = write_body(&mut writer, body, true, None) => reading.await?,
            }
        }
    }
    // Nothing was asked for that would be answered in two parts.
    match session.response_header() {
        Some(head) if !head.status.is_informational() => Ok(()),
        _ => Error::e_explain(ErrorType::InvalidHTTPHeader, "an informational reply in place of the reply"),
    }
}
