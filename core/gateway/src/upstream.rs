//! The provider's side: addresses, connections and one request over one of them.
//!
//! # Layout
//!
//! - `names`: what a host resolves to, judged before it is dialled and kept fresh in the background.
//! - `dial`: connects to the first address that answers, or through a proxy.
//! - `place`: an endpoint as Pingora's connector sees it.
//! - `shelf`: its connections while nobody uses them.
//! - `streams`: HTTP/2 connections and their streams.
//! - `failure`: why a try came to nothing.
//! - `response`: a reply, whatever it came over.
//! - `inflate`: replies that were compressed all the same.
//! - `keys`: which of a provider's keys a request goes out with.
//! - `moment`: when a provider may be asked again.
//! - `trust`: certificates, looked at before they are used.

mod dial;
mod failure;
mod inflate;
mod keys;
mod moment;
mod names;
mod place;
mod request;
mod response;
mod shelf;
mod streams;
mod trust;

#[cfg(test)]
mod tests;

pub use failure::Failure;
pub use keys::{Condition, Insist, Keys, Ring, Wait, Why};
pub use moment::{reset_ms, retry_after_ms};
pub use request::Request;
pub use response::Response;
pub use trust::check as check_trust;

use crate::alarm::{Alarm, Late};
use crate::config::Http;
use crate::crowd::Rooms;
use crate::wire::{Fault, Wire};
use failure::{call_failure, connect_failure, fault_failure};
use names::{Lookup, Names};
use pingora::connectors::{ConnectorOptions, TransportConnector};
use pingora::protocols::ALPN;
use pingora::protocols::http::v2::client::Http2Session;
use pingora::time::tokio_timeout as timeout;
use pingora::{Error as PingoraError, ErrorType};
use place::Place;
use response::Session;
use shelf::Shelf;
use std::collections::HashMap;
use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use streams::Streams;
use weir_policy::ErrorClass;

/// How long an unused connection is kept; below the 60 s after which common servers close theirs.
const IDLE: Duration = Duration::from_secs(50);
/// How often idle connections are looked at.
const TIDY: Duration = Duration::from_secs(1);

/// A kept connection that the other side has closed breaks as soon as it is written to. What breaks later may have been
/// a request at work, which is not sent again in silence.
const STALE_WITHIN: Duration = Duration::from_secs(1);

/// Where an endpoint is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// A Unix domain socket: the built-in simulator.
    Socket(PathBuf),
    /// A host (name or literal address) and port.
    Host {
        /// Name or literal address, without brackets.
        host: String,
        /// TCP port.
        port: u16,
        /// Whether to speak TLS; the certificate is verified for `host`.
        tls: bool,
    },
}

/// An HTTP proxy that is asked for tunnels.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Proxy {
    /// Name or literal address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The value of `Proxy-Authorization`.
    pub authorization: Option<Arc<str>>,
}

/// What makes two endpoints share their connections.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct DialKey {
    /// Where.
    pub address: Address,
    /// Roots to trust in place of the system's.
    pub ca: Option<PathBuf>,
    /// Certificate and key to show.
    pub client: Option<(PathBuf, PathBuf)>,
    /// What leads there.
    pub proxy: Option<Proxy>,
    /// Which HTTP to speak.
    pub http: Http,
    /// Most requests at a time on one HTTP/2 connection.
    pub streams: usize,
    /// Until connected, TLS included.
    pub connect: Duration,
    /// Whether an address may lead into the operator's own networks.
    pub private: bool,
}

impl DialKey {
    /// Plain HTTP/1.1 to an address, with no more than that said.
    pub fn plain(address: Address, connect: Duration, private: bool) -> Self {
        let (ca, client, proxy) = (None, None, None);
        Self { address, ca, client, proxy, http: Http::One, streams: 1, connect, private }
    }
}

/// What a connector is made with: roots, and a certificate to show.
type Trust = (Option<PathBuf>, Option<(PathBuf, PathBuf)>);

/// Every dialer of the process. Dialers outlive reloads, so that a reload costs no connection.
#[derive(Default)]
pub struct Upstreams {
    /// The keys of all providers.
    pub keys: Ring,
    dialers: Mutex<HashMap<DialKey, Arc<Dialer>>>,
    connectors: Mutex<HashMap<Trust, Arc<TransportConnector>>>,
    /// How many requests are under way where there is a bound.
    pub rooms: Rooms,
}

impl Upstreams {
    /// The dialer for a key; made at its first use. Its certificates are those that [`check_trust`] found good.
    pub fn dialer(&self, key: &DialKey) -> Arc<Dialer> {
        let mut dialers = self.dialers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(dialer) = dialers.get(key) {
            return Arc::clone(dialer);
        }
        let group = dialers.len() as u64 + 1;
        let dialer = Arc::new(Dialer::new(key, self.connector(key), group, names::system()));
        dialers.insert(key.clone(), Arc::clone(&dialer));
        dialer
    }

    /// Ends idle connections that are of no use any more, until it is aborted.
    pub async fn tidy(self: Arc<Self>) {
        loop {
            tokio::time::sleep(TIDY).await;
            let dialers: Vec<_> = {
                let dialers = self.dialers.lock().unwrap_or_else(PoisonError::into_inner);
                dialers.values().cloned().collect()
            };
            let now = Instant::now();
            for dialer in dialers {
                if let Ok(place) = &dialer.place {
                    dialer.shelf.tidy(place.epoch(), now);
                }
            }
        }
    }

    fn connector(&self, key: &DialKey) -> Arc<TransportConnector> {
        let mut connectors = self.connectors.lock().unwrap_or_else(PoisonError::into_inner);
        let trust = (key.ca.clone(), key.client.clone());
        Arc::clone(connectors.entry(trust).or_insert_with(|| Arc::new(connector(key))))
    }
}

fn connector(key: &DialKey) -> TransportConnector {
    let text = |path: &PathBuf| path.to_string_lossy().into_owned();
    // Idle connections are kept by each dialer itself.
    let mut options = ConnectorOptions::new(1);
    options.ca_file = key.ca.as_ref().map(text);
    options.cert_key_file = key.client.as_ref().map(|(cert, key)| (text(cert), text(key)));
    TransportConnector::new(Some(options))
}

/// Connects to one endpoint.
pub struct Dialer {
    key: DialKey,
    connector: Arc<TransportConnector>,
    names: Option<Arc<Names>>,
    place: Result<Place, Failure>,
    shelf: Shelf,
    streams: Streams,
}

/// How long each part of a call may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// From the request's last byte to the reply's head.
    pub first_byte: Duration,
    /// Between two reads of the reply's body.
    pub idle: Duration,
}

/// What a request can go out over.
enum Link {
    /// With the epoch of the place that it leads to.
    One(Wire, u64),
    Two(Box<Http2Session>),
}

impl Dialer {
    fn new(key: &DialKey, connector: Arc<TransportConnector>, group: u64, lookup: Lookup) -> Self {
        let names = Names::of(key, lookup).map(Arc::new);
        let place = Place::new(key, group, names.clone());
        let (key, shelf, streams) = (key.clone(), Shelf::default(), Streams::default());
        Self { key, connector, names, place, shelf, streams }
    }

    /// Sends a request and waits for the head of the reply. A reused connection that dies at once, before any byte of a
    /// reply, is replaced by a fresh one, once; so is one whose server says that it did not look at the request.
    ///
    /// # Errors
    /// [`Failure`], classified for routing.
    pub async fn send(self: &Arc<Self>, request: &Request, patience: Patience) -> Result<Response, Failure> {
        let place = self.place.as_ref().map_err(Failure::clone)?;
        if let Some(names) = &self.names {
            names.ready().await?;
        }
        let (link, reused) = self.link(place, false).await?;
        match self.call(link, place, reused, request, patience).await {
            Err(failure) if failure.afresh => {
                let afresh = async {
                    let (link, _) = self.link(place, true).await?;
                    self.call(link, place, false, request, patience).await
                };
                Box::pin(afresh).await
            }
            result => result,
        }
    }

    /// Something to send a request over, and whether it was used before.
    async fn link(self: &Arc<Self>, place: &Place, fresh: bool) -> Result<(Link, bool), Failure> {
        if self.key.http == Http::One {
            return self.stream(place, fresh).await;
        }
        let reused = if fresh { None } else { self.open(place).await };
        if let Some(session) = reused {
            return Ok((Link::Two(Box::new(session)), true));
        }
        if self.streams.prefers_one() && self.key.http == Http::Auto {
            return self.stream(place, fresh).await;
        }
        // Many that come at once share the connection that the first of them makes.
        let turn = timeout(self.key.connect, self.streams.turn()).await.map_err(|_| self.too_slow())?;
        let made = if fresh { None } else { self.open(place).await };
        if let Some(session) = made {
            return Ok((Link::Two(Box::new(session)), true));
        }
        if self.streams.prefers_one() {
            drop(turn);
        }
        self.stream(place, true).await
    }

    /// A stream on a connection that is open, if one has room soon enough.
    async fn open(&self, place: &Place) -> Option<Http2Session> {
        timeout(self.key.connect, pin!(self.streams.open(place.epoch()))).await.unwrap_or(None)
    }

    /// A connection, and on it a stream if that is what the other side speaks.
    async fn stream(self: &Arc<Self>, place: &Place, fresh: bool) -> Result<(Link, bool), Failure> {
        // Before it is dialled: should the name move meanwhile, the connection is of the old place.
        let epoch = place.epoch();
        if !fresh && let Some(wire) = self.shelf.take(epoch) {
            return Ok((Link::One(wire, epoch), true));
        }
        // Most requests find a connection: what makes one is not to be a part of every request's future.
        let connecting = Box::pin(async {
            let stream = self.connector.new_stream(place).await?;
            let two = match (self.key.http, stream.selected_alpn_proto()) {
                (Http::One, _) => false,
                (_, Some(alpn)) => alpn == ALPN::H2,
                // Nobody negotiates in clear text.
                (http, None) => http == Http::Two && !place.is_tls(),
            };
            if two {
                let session = self.streams.adopt(stream, self, epoch).await?;
                return Ok(Link::Two(Box::new(session)));
            }
            if self.key.http == Http::Two {
                return Err(PingoraError::explain(failure::NOT_TWO, "no HTTP/2"));
            }
            if self.key.http == Http::Auto {
                self.streams.prefer_one();
            }
            Ok(Link::One(Wire::new(stream), epoch))
        });
        Ok((self.connected(connecting).await?, false))
    }

    async fn connected<T>(&self, connecting: impl Future<Output = pingora::Result<T>>) -> Result<T, Failure> {
        // Pingora's own connect timeout covers TCP alone when it dials a Unix socket; this one covers everything.
        match timeout(self.key.connect, pin!(connecting)).await {
            Ok(Ok(connected)) => Ok(connected),
            Ok(Err(error)) => Err(connect_failure(&error)),
            Err(_) => Err(self.too_slow()),
        }
    }

    fn too_slow(&self) -> Failure {
        let message = format!("no connection within {} ms", self.key.connect.as_millis());
        Failure::new(ErrorClass::TimeoutConnect, message)
    }

    async fn call(
        self: &Arc<Self>,
        mut link: Link,
        place: &Place,
        reused: bool,
        request: &Request,
        patience: Patience,
    ) -> Result<Response, Failure> {
        let (two, mut alarm) = match &mut link {
            Link::One(wire, _) => (None, wire.lend_alarm()),
            Link::Two(session) => (Some(session.conn.clone()), Alarm::default()),
        };
        let began = Instant::now();
        let replied = alarm.within(patience.first_byte, pin!(self.exchange(link, place, request))).await;
        match replied {
            Ok(Ok(session)) => Ok(Response::new(session, Arc::clone(self), patience.idle, alarm)),
            Ok(Err(broke)) => {
                let stale = reused && began.elapsed() < STALE_WITHIN;
                Err(match broke {
                    Broke::One(fault, has_begun) => fault_failure(&fault, has_begun, stale),
                    Broke::Two(mut error) => {
                        // Who was told to speak HTTP/2 and nothing else goes on trying.
                        let downgraded =
                            matches!(error.etype(), ErrorType::H2Downgrade | ErrorType::InvalidH2);
                        if downgraded && self.key.http == Http::Auto {
                            self.streams.prefer_one();
                            self.connector.prefer_h1(place);
                        }
                        call_failure(&mut error, stale)
                    }
                })
            }
            Err(Late) => {
                // It may be the connection that is dead: whoever comes next makes another.
                if let Some(connection) = two {
                    connection.mark_shutdown();
                }
                Err(Failure::new(
                    ErrorClass::TimeoutFirstToken,
                    format!("no reply within {} ms", patience.first_byte.as_millis()),
                ))
            }
        }
    }

    /// Writes the request and reads the head of the reply.
    async fn exchange(&self, link: Link, place: &Place, request: &Request) -> Result<Session, Broke> {
        match link {
            Link::One(wire, epoch) => {
                let sent = request.send(wire).await;
                let mut one = Box::new(sent.map_err(|_| Broke::One(Fault::Broken, false))?);
                match one.read_head().await {
                    Ok(()) => Ok(Session::One(one, epoch)),
                    Err(fault) => Err(Broke::One(fault, one.has_begun())),
                }
            }
            Link::Two(mut session) => {
                streams::exchange(&mut session, request, place.is_tls()).await.map_err(Broke::Two)?;
                Ok(Session::Two(session))
            }
        }
    }
}

/// Why no head of a reply came.
enum Broke {
    /// Over HTTP/1.1, and whether bytes of one had come.
    One(Fault, bool),
    Two(Box<PingoraError>),
}
