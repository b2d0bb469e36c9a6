//! The provider's side: addresses, connections and one request over one of them.

mod inflate;

use crate::buffered::Held;
use crate::config::is_public;
use crate::crowd::Rooms;
use arc_swap::ArcSwapOption;
use bytes::{Bytes, BytesMut};
use inflate::Inflate;
use pingora::connectors::{ConnectorOptions, TransportConnector};
use pingora::http::ResponseHeader;
use pingora::protocols::Stream;
use pingora::protocols::http::v1::client::HttpSession;
use pingora::time::timeout;
use pingora::upstreams::peer::{HttpPeer, Peer};
use pingora::{Error as PingoraError, ErrorType, OrErr};
use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use weir_llm::payload::Payload;
use weir_policy::ErrorClass;

/// How long a resolved name is believed.
const NAME_TTL: Duration = Duration::from_secs(30);
/// How long an unused connection is kept; below the 60 s after which common servers close theirs.
const IDLE: Duration = Duration::from_secs(50);
/// How long the end of a body may lag behind its last event.
const LINGER: Duration = Duration::from_millis(100);
/// Idle connections kept over all endpoints.
const POOL: usize = 1024;

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

/// What makes two endpoints share their connections.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DialKey {
    /// Where.
    pub address: Address,
    /// Roots to trust in place of the system's.
    pub ca: Option<PathBuf>,
    /// Until connected, TLS included.
    pub connect: Duration,
    /// Whether an address may lead into the operator's own networks.
    pub private: bool,
}

/// Every dialer of the process. Dialers outlive reloads, so that a reload costs no connection.
#[derive(Default)]
pub struct Upstreams {
    dialers: Mutex<HashMap<DialKey, Arc<Dialer>>>,
    connectors: Mutex<HashMap<Option<PathBuf>, Arc<TransportConnector>>>,
    /// How many requests are under way where there is a bound.
    pub rooms: Rooms,
}

impl Upstreams {
    /// The dialer for a key; made at its first use.
    pub fn dialer(&self, key: &DialKey) -> Arc<Dialer> {
        let mut dialers = self.dialers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(dialer) = dialers.get(key) {
            return Arc::clone(dialer);
        }
        let dialer = Arc::new(Dialer {
            key: key.clone(),
            connector: self.connector(key.ca.as_deref()),
            group: dialers.len() as u64 + 1,
            peers: ArcSwapOption::empty(),
            turn: AtomicUsize::new(0),
        });
        dialers.insert(key.clone(), Arc::clone(&dialer));
        dialer
    }

    fn connector(&self, ca: Option<&Path>) -> Arc<TransportConnector> {
        let mut connectors = self.connectors.lock().unwrap_or_else(PoisonError::into_inner);
        let connector = connectors.entry(ca.map(Path::to_owned)).or_insert_with(|| {
            let mut options = ConnectorOptions::new(POOL);
            options.ca_file = ca.map(|path| path.to_string_lossy().into_owned());
            Arc::new(TransportConnector::new(Some(options)))
        });
        Arc::clone(connector)
    }
}

/// Connects to one endpoint.
pub struct Dialer {
    key: DialKey,
    connector: Arc<TransportConnector>,
    group: u64,
    peers: ArcSwapOption<Peers>,
    turn: AtomicUsize,
}

/// What a name resolved to.
struct Peers {
    peers: Vec<Arc<HttpPeer>>,
    until: Option<Instant>,
}

/// Why one try at an endpoint came to nothing. The message names no key, header or content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What kind.
    pub class: ErrorClass,
    /// For the caller's error message.
    pub message: String,
    /// Whether a byte of a reply had come.
    pub replied: bool,
    /// Whether it was TLS that failed: no trust, or no handshake.
    pub tls: bool,
}

impl Failure {
    /// A failure before any byte of a reply.
    pub fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), replied: false, tls: false }
    }
}

/// A request in the form in which it goes over the wire.
pub struct Request {
    /// Head, and the body too unless it is large.
    first: Payload,
    /// A body that is too large to be copied behind its head.
    rest: Payload,
}

/// Bodies up to this are sent with their head in one write; a copy costs less than a system call.
const ONE_WRITE: usize = 64 << 10;

impl Request {
    /// `head` ends in its empty line.
    pub fn new(mut head: BytesMut, body: &Bytes) -> Self {
        if body.len() > ONE_WRITE {
            return Self { first: Payload::new(head.freeze()), rest: Payload::new(body.clone()) };
        }
        head.extend_from_slice(body);
        Self { first: Payload::new(head.freeze()), rest: Payload::default() }
    }

    async fn write(&self, stream: &mut Stream) -> std::io::Result<()> {
        stream.write_all(self.first.expose()).await?;
        if !self.rest.is_empty() {
            stream.write_all(self.rest.expose()).await?;
        }
        stream.flush().await
    }
}

/// A reply whose head has come.
pub struct Response {
    session: HttpSession,
    dialer: Arc<Dialer>,
    peer: Arc<HttpPeer>,
    idle: Duration,
    /// What undoes the body's compression, if it has any.
    inflate: Option<Inflate>,
}

/// How long each part of a call may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// From the request's last byte to the reply's head.
    pub first_byte: Duration,
    /// Between two reads of the reply's body.
    pub idle: Duration,
}

impl Dialer {
    /// Sends a request and waits for the head of the reply. A reused connection that dies before any byte of a reply is
    /// replaced by a fresh one, once.
    ///
    /// # Errors
    /// [`Failure`], classified for routing.
    pub async fn send(self: &Arc<Self>, request: &Request, patience: Patience) -> Result<Response, Failure> {
        let peer = self.peer().await?;
        let (stream, reused) = self.connected(self.connector.get_stream(&*peer)).await?;
        match self.call(stream, &peer, request, patience).await {
            Err(failure) if reused && !failure.replied && failure.class == ErrorClass::Network => {
                let stream = self.connected(self.connector.new_stream(&*peer)).await?;
                self.call(stream, &peer, request, patience).await
            }
            result => result,
        }
    }

    async fn connected<T>(&self, connecting: impl Future<Output = pingora::Result<T>>) -> Result<T, Failure> {
        // Pingora's own connect timeout covers TCP alone when it dials a Unix socket; this one covers everything.
        match timeout(self.key.connect, pin!(connecting)).await {
            Ok(Ok(connected)) => Ok(connected),
            Ok(Err(error)) => Err(connect_failure(&error)),
            Err(_) => Err(Failure::new(
                ErrorClass::TimeoutConnect,
                format!("no connection within {} ms", self.key.connect.as_millis()),
            )),
        }
    }

    async fn call(
        self: &Arc<Self>,
        mut stream: Stream,
        peer: &Arc<HttpPeer>,
        request: &Request,
        patience: Patience,
    ) -> Result<Response, Failure> {
        let exchange = async {
            request.write(&mut stream).await.or_err(ErrorType::WriteError, "while writing the request")?;
            let mut session = HttpSession::new_with_options(stream, &**peer);
            read_final_head(&mut session).await?;
            Ok::<_, Box<PingoraError>>(session)
        };
        let replied = {
            let exchange = pin!(exchange);
            timeout(patience.first_byte, exchange).await
        };
        match replied {
            Ok(Ok(session)) => Ok(Response {
                session,
                dialer: Arc::clone(self),
                peer: Arc::clone(peer),
                idle: patience.idle,
                inflate: None,
            }),
            Ok(Err(error)) => Err(call_failure(&error)),
            Err(_) => Err(Failure::new(
                ErrorClass::TimeoutFirstToken,
                format!("no reply within {} ms", patience.first_byte.as_millis()),
            )),
        }
    }

    /// The next address in turn.
    async fn peer(&self) -> Result<Arc<HttpPeer>, Failure> {
        let known = self.peers.load();
        let fresh = known.as_ref().filter(|peers| peers.until.is_none_or(|until| Instant::now() < until));
        if let Some(peer) = fresh.and_then(|peers| self.pick(peers)) {
            return Ok(peer);
        }
        match self.resolve().await {
            Ok(peers) => {
                let peers = Arc::new(peers);
                self.peers.store(Some(Arc::clone(&peers)));
                self.pick(&peers).ok_or_else(|| unresolved("it has no address"))
            }
            // A name server that is down does not take down providers whose address was known a moment ago.
            Err(failure) => known.as_ref().and_then(|peers| self.pick(peers)).ok_or(failure),
        }
    }

    fn pick(&self, peers: &Peers) -> Option<Arc<HttpPeer>> {
        let turn = if peers.peers.len() > 1 { self.turn.fetch_add(1, Ordering::Relaxed) } else { 0 };
        peers.peers.get(turn.checked_rem(peers.peers.len())?).cloned()
    }

    async fn resolve(&self) -> Result<Peers, Failure> {
        match &self.key.address {
            Address::Socket(path) => {
                let peer = HttpPeer::new_uds(&path.to_string_lossy(), false, String::new())
                    .map_err(|_| unresolved("its socket path is not usable"))?;
                Ok(Peers { peers: vec![self.ready(peer)], until: None })
            }
            Address::Host { host, port, tls } => {
                if let Ok(ip) = host.parse::<IpAddr>() {
                    if !self.may_reach(ip) {
                        return Err(unresolved(PRIVATE));
                    }
                    let peer = HttpPeer::new(SocketAddr::new(ip, *port), *tls, host.clone());
                    return Ok(Peers { peers: vec![self.ready(peer)], until: None });
                }
                let addresses = timeout(self.key.connect, tokio::net::lookup_host((host.as_str(), *port)))
                    .await
                    .map_err(|_| unresolved("the name server did not answer in time"))?
                    .map_err(|_| unresolved("the name does not resolve"))?;
                let (allowed, inward): (Vec<_>, Vec<_>) = addresses.partition(|at| self.may_reach(at.ip()));
                if allowed.is_empty() && !inward.is_empty() {
                    return Err(unresolved(PRIVATE));
                }
                // What is connected to is the address that was judged: the name is not looked up again.
                let ready = |at| self.ready(HttpPeer::new(at, *tls, host.clone()));
                let peers = allowed.into_iter().map(ready).collect();
                Ok(Peers { peers, until: Some(Instant::now() + NAME_TTL) })
            }
        }
    }

    fn may_reach(&self, ip: IpAddr) -> bool {
        self.key.private || is_public(ip)
    }

    fn ready(&self, mut peer: HttpPeer) -> Arc<HttpPeer> {
        peer.group_key = self.group;
        peer.options.connection_timeout = Some(self.key.connect);
        peer.options.total_connection_timeout = Some(self.key.connect);
        peer.options.idle_timeout = Some(IDLE);
        Arc::new(peer)
    }
}

/// What is wrong with an address that leads into the operator's own networks.
const PRIVATE: &str = "it is a private one, which is not allowed here";

/// Reads response heads until one that is not informational.
async fn read_final_head(session: &mut HttpSession) -> pingora::Result<()> {
    loop {
        session.read_response().await?;
        if session.resp_header().is_some_and(|head| !head.status.is_informational()) {
            return Ok(());
        }
    }
}

fn unresolved(why: &str) -> Failure {
    Failure::new(ErrorClass::Network, format!("the provider's address is not known: {why}"))
}

fn connect_failure(error: &PingoraError) -> Failure {
    match error.etype() {
        ErrorType::ConnectTimedout | ErrorType::TLSHandshakeTimedout => {
            Failure::new(ErrorClass::TimeoutConnect, "the connection timed out")
        }
        ErrorType::ConnectRefused => Failure::new(ErrorClass::Network, "the connection was refused"),
        ErrorType::InvalidCert => untrusted("the provider's certificate is not valid"),
        ErrorType::TLSHandshakeFailure | ErrorType::TLSWantX509Lookup => {
            untrusted("the TLS handshake failed")
        }
        _ => Failure::new(ErrorClass::Network, "the connection failed"),
    }
}

fn untrusted(why: &str) -> Failure {
    Failure { tls: true, ..Failure::new(ErrorClass::Network, why) }
}

fn call_failure(error: &PingoraError) -> Failure {
    match error.etype() {
        ErrorType::ReadTimedout | ErrorType::WriteTimedout => {
            Failure::new(ErrorClass::TimeoutFirstToken, "the provider stopped reading or answering")
        }
        ErrorType::InvalidHTTPHeader | ErrorType::H1Error => Failure {
            replied: true,
            ..Failure::new(ErrorClass::ServerError, "the provider's reply is not HTTP as we know it")
        },
        _ => Failure {
            replied: head_began(error),
            ..Failure::new(ErrorClass::Network, "the connection broke before a reply came")
        },
    }
}

/// Whether bytes of a head had come: pingora tells only in the error's text. A provider that began to answer has done
/// the work, so it is not asked again in silence.
fn head_began(error: &PingoraError) -> bool {
    let read = error.context.as_ref().and_then(|text| text.as_str().rsplit_once("bytes already read: "));
    read.is_some_and(|(_, bytes)| bytes != "0")
}

impl Response {
    /// The head of the reply.
    pub fn head(&self) -> Option<&ResponseHeader> {
        self.session.resp_header()
    }

    /// The reply's status; 502 if there is no head, which [`Dialer::send`] rules out.
    pub fn status(&self) -> u16 {
        self.head().map_or(502, |head| head.status.as_u16())
    }

    /// A header of the reply as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head()?.headers.get(name)?.to_str().ok()
    }

    /// Makes ready to undo the body's compression.
    ///
    /// # Errors
    /// We do not know how it is compressed.
    pub fn inflated(&mut self) -> Result<(), Failure> {
        let encoding = self.header("content-encoding").filter(|name| !name.eq_ignore_ascii_case("identity"));
        let Some(encoding) = encoding else { return Ok(()) };
        match Inflate::of(encoding) {
            Some(inflate) => self.inflate = Some(inflate),
            None => {
                let why = "the provider compressed a reply that was asked for plain, in a way that Weir does not know";
                return Err(Failure { replied: true, ..Failure::new(ErrorClass::ServerError, why) });
            }
        }
        Ok(())
    }

    /// The next piece of the body; `None` at its proper end.
    ///
    /// # Errors
    /// The body broke off, or nothing came for the idle time.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            let piece = self.piece().await?;
            let Some(inflate) = &mut self.inflate else { return Ok(piece) };
            let plain = match &piece {
                Some(piece) => inflate.push(piece),
                None => inflate.finish(),
            };
            let plain = plain.map_err(|_| Failure {
                replied: true,
                ..Failure::new(ErrorClass::ServerError, "the provider's compressed reply cannot be read")
            })?;
            if piece.is_none() {
                self.inflate = None;
            }
            if !plain.is_empty() || piece.is_none() {
                return Ok((!plain.is_empty()).then_some(plain));
            }
        }
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, Failure> {
        match timeout(self.idle, pin!(self.session.read_body_bytes())).await {
            Ok(Ok(chunk)) => Ok(chunk),
            Ok(Err(_)) => Err(Failure {
                replied: true,
                ..Failure::new(ErrorClass::Network, "the provider's reply broke off before its end")
            }),
            Err(_) => Err(Failure {
                replied: true,
                ..Failure::new(
                    ErrorClass::TimeoutIdle,
                    format!("nothing came for {} ms", self.idle.as_millis()),
                )
            }),
        }
    }

    /// The rest of the body; its bytes are taken from the process's budget as they come.
    ///
    /// # Errors
    /// As [`Response::chunk`], when it is larger than `limit`, and when the process is out of buffer.
    pub async fn body(&mut self, limit: usize, held: &mut Held<'_>) -> Result<Bytes, Failure> {
        let mut first = Bytes::new();
        let mut rest = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            if first.len() + rest.len() + chunk.len() > limit {
                return Err(Failure {
                    replied: true,
                    ..Failure::new(ErrorClass::ServerError, format!("the reply is larger than {limit} bytes"))
                });
            }
            if !held.grow(chunk.len()) {
                return Err(Failure {
                    replied: true,
                    ..Failure::new(ErrorClass::Other, "the gateway holds as many bytes as it may")
                });
            }
            if first.is_empty() {
                first = chunk;
            } else {
                if rest.is_empty() {
                    rest.extend_from_slice(&first);
                }
                rest.extend_from_slice(&chunk);
            }
        }
        Ok(if rest.is_empty() { first } else { rest.into() })
    }

    /// Waits a moment for the end of a body whose last event has come, and gives the connection back.
    pub async fn finish(mut self) {
        // Whatever comes after the last event is of no use to anybody.
        if matches!(timeout(LINGER, self.session.read_body_bytes()).await, Ok(Ok(None))) {
            self.release().await;
        } else {
            self.session.shutdown().await;
        }
    }

    /// Gives the connection back, if the reply has been read to its end; else closes it.
    pub async fn release(mut self) {
        if self.session.is_body_done() {
            self.session.respect_keepalive();
            if let Some(stream) = self.session.reuse().await {
                self.dialer.connector.release_stream(stream, self.peer.reuse_hash(), Some(IDLE));
            }
        } else {
            self.session.shutdown().await;
        }
    }
}
