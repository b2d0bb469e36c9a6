//! The Pingora app: one request after another on a connection, each with the behaviour that its model name asks for.

use super::options::{Cached, Options, Point};
use super::reply::{self, Reply};
use super::request::{Rejection, Request};
use async_trait::async_trait;
use bytes::Bytes;
use pingora::apps::{HttpPersistentSettings, HttpServerApp, ReusedHttpStream};
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;
use pingora::services::listening::Service;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Longer bodies get a 413.
const BODY_MAX: usize = 64 << 20;
/// Model names that are counted apart, and conversation prefixes that are remembered; then it starts afresh.
const REMEMBERED: usize = 4096;

/// The simulated provider.
#[derive(Debug, Default)]
pub struct App {
    defaults: Options,
    requests: AtomicU64,
    /// Requests by model name with its options: `error=0.1` counts for itself.
    by_model: Mutex<HashMap<String, u64>>,
    prefixes: Mutex<HashSet<u64>>,
}

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// `127.0.0.1:9090`
    Tcp(String),
    /// `unix:/path/to/socket`
    Unix(PathBuf),
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:").filter(|path| !path.is_empty()) {
            return Ok(Self::Unix(path.into()));
        }
        let address: Result<std::net::SocketAddr, _> = text.parse();
        let wanted = "write an address like 127.0.0.1:9090, or unix:/path/to/socket";
        address.map(|_| Self::Tcp(text.to_owned())).map_err(|_| format!("`{text}`: {wanted}"))
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "http://{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Listen {
    /// Whether one can listen there now.
    ///
    /// # Errors
    /// Why not.
    pub fn try_out(&self) -> std::io::Result<()> {
        match self {
            Self::Tcp(address) => std::net::TcpListener::bind(address).map(drop),
            // A socket that a dead process left is taken over.
            Self::Unix(path) if path.exists() => match std::os::unix::net::UnixStream::connect(path) {
                Ok(_) => Err(std::io::ErrorKind::AddrInUse.into()),
                Err(_) => Ok(()),
            },
            Self::Unix(path) => {
                std::os::unix::net::UnixListener::bind(path)?;
                std::fs::remove_file(path)
            }
        }
    }
}

/// The app as a service of a Pingora server.
#[must_use]
pub fn service(app: App, listen: &Listen) -> Service<App> {
    let mut service = Service::new("sim".to_owned(), app);
    match listen {
        Listen::Tcp(address) => service.add_tcp(address),
        Listen::Unix(path) => service.add_uds(&path.to_string_lossy(), None),
    }
    service
}

#[async_trait]
impl HttpServerApp for App {
    async fn process_new_http(
        self: &Arc<Self>,
        mut http: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        if !http.read_request().await.ok()? {
            return None;
        }
        if *shutdown.borrow() {
            http.set_keepalive(None);
        }
        let mut exchange = Exchange { http, shutdown: shutdown.clone(), shown: Shown::default() };
        match self.answer(&mut exchange).await {
            Ok(()) => exchange.finish().await,
            Err(Gone) => {
                exchange.http.shutdown().await;
                None
            }
        }
    }
}

/// The connection is not to be used any more: the client left, the server stops, or it was to be cut.
#[derive(Debug)]
struct Gone;

impl App {
    /// An app whose models behave as `defaults` says where their names say nothing.
    #[must_use]
    pub fn new(defaults: Options) -> Self {
        Self { defaults, ..Self::default() }
    }

    async fn answer(&self, exchange: &mut Exchange) -> Result<(), Gone> {
        let head = exchange.http.req_header();
        match (head.method.as_str(), head.uri.path()) {
            ("GET", "/v1/models") => exchange.send(200, reply::models()).await,
            ("POST", "/v1/chat/completions") => self.chat(exchange).await,
            (method, path) => {
                let message = format!("Unknown request URL: {method} {path}.");
                exchange.send(404, reply::error(404, &message, None, Some("unknown_url"))).await
            }
        }
    }

    async fn chat(&self, exchange: &mut Exchange) -> Result<(), Gone> {
        let Some(body) = exchange.body().await? else {
            return exchange.send(413, reply::error(413, "The body is too long.", None, None)).await;
        };
        let started = Instant::now();
        let request = match Request::parse(&body, &self.defaults) {
            Ok(request) => request,
            Err(Rejection { status, message, param, code }) => {
                return exchange.send(status, reply::error(status, &message, param, code)).await;
            }
        };
        let options = &request.options;
        exchange.shown = Shown {
            number: self.requests.fetch_add(1, Ordering::Relaxed),
            headroom: options.headroom,
            retry_after: None,
        };
        exchange.passes(options, Point::Headers).await?;
        let ttft = started + options.ttft;
        if options.error > 0.0 && options.fails(self.count(&request)) {
            exchange.until(ttft).await?;
            exchange.shown.retry_after = options.retry_after;
            return exchange.fail(&request).await;
        }
        let reply = Reply::to(&request, self.cached(&request));
        if request.stream {
            exchange.stream(&request, &reply, ttft).await
        } else {
            exchange.until(ttft + pace(options, reply.tokens())).await?;
            exchange.whole(options, reply.body()).await
        }
    }

    /// How many requests there were before with this model, options and seed.
    fn count(&self, request: &Request) -> u64 {
        let options = &request.options;
        let name = format!("{} {} {} {}", request.model, options.error, options.status, options.seed);
        let mut by_model = self.by_model.lock().unwrap_or_else(PoisonError::into_inner);
        if by_model.len() >= REMEMBERED && !by_model.contains_key(&name) {
            by_model.clear();
        }
        let count = by_model.entry(name).or_default();
        *count += 1;
        *count - 1
    }

    /// How many tokens of the prompt were cached.
    fn cached(&self, request: &Request) -> u64 {
        match request.options.cached {
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "a share of a length"
            )]
            Cached::Share(share) => {
                (request.prefixes.last().map_or(0, |prefix| prefix.tokens) as f64 * share) as u64
            }
            Cached::Prefix => {
                let mut known = self.prefixes.lock().unwrap_or_else(PoisonError::into_inner);
                let longest = request.prefixes.iter().rev().find(|prefix| known.contains(&prefix.hash));
                let cached = longest.map_or(0, |prefix| prefix.tokens);
                if known.len() + request.prefixes.len() > REMEMBERED {
                    known.clear();
                }
                known.extend(request.prefixes.iter().map(|prefix| prefix.hash));
                cached
            }
        }
    }
}

/// How long so many tokens take.
fn pace(options: &Options, tokens: usize) -> Duration {
    #[allow(clippy::cast_precision_loss, reason = "at most a million")]
    let seconds = if options.tps > 0.0 { tokens as f64 / options.tps } else { 0.0 };
    Duration::from_secs_f64(seconds.min(86_400.0))
}

/// One request and its reply on a connection.
struct Exchange {
    http: ServerSession,
    shutdown: ShutdownWatch,
    shown: Shown,
}

/// What response headers tell.
#[derive(Default)]
struct Shown {
    number: u64,
    headroom: Option<f64>,
    retry_after: Option<u32>,
}

impl Exchange {
    /// The request's body; `None` if it is too long.
    async fn body(&mut self) -> Result<Option<Bytes>, Gone> {
        let mut body = Vec::new();
        while let Some(part) = self.http.read_request_body().await.map_err(|_| Gone)? {
            if body.len() + part.len() > BODY_MAX {
                self.http.set_keepalive(None);
                return Ok(None);
            }
            body.extend_from_slice(&part);
        }
        Ok(Some(body.into()))
    }

    /// Fails the request as its options say.
    async fn fail(&mut self, request: &Request) -> Result<(), Gone> {
        let status = request.options.status;
        let shown = if status == 200 { 500 } else { status };
        let message = format!("{} was asked to fail with {status}.", request.model);
        let body = reply::error(shown, &message, None, request.options.code.as_deref());
        if status == 200 && request.stream {
            self.head(200, "text/event-stream", None).await?;
            return self.write(reply::frame(&body)).await;
        }
        self.send(status, body).await
    }

    /// Streams the reply: the first token at `ttft`, the others in their time.
    async fn stream(&mut self, request: &Request, reply: &Reply, ttft: Instant) -> Result<(), Gone> {
        let options = &request.options;
        if options.ttft.is_zero() || options.hang == Some(Point::Body) || options.cut == Some(Point::Body) {
            self.head(200, "text/event-stream", None).await?;
            self.passes(options, Point::Body).await?;
        } else {
            // Providers send the head when the model starts; the wait for the first byte is a wait for it.
            self.until(ttft).await?;
            self.head(200, "text/event-stream", None).await?;
        }
        let choices = usize::try_from(request.choices).unwrap_or(1);
        for (frame, i) in reply.frames(request.include_usage).zip(0_u32..) {
            self.passes(options, Point::Chunk(i)).await?;
            let token = (i as usize).saturating_sub(choices) / choices;
            if options.tps > 0.0 && token < reply.tokens() {
                self.until(ttft + pace(options, token)).await?;
            }
            self.write(frame).await?;
        }
        Ok(())
    }

    /// Sends a complete reply, or as much of it as its options let through.
    async fn whole(&mut self, options: &Options, body: String) -> Result<(), Gone> {
        if options.hang.is_none() && options.cut.is_none() {
            return self.send(200, body).await;
        }
        // Of a body of known length Pingora sends nothing before it is complete or the connection closes.
        let length = options.hang.is_none().then_some(body.len());
        self.head(200, "application/json", length).await?;
        self.passes(options, Point::Body).await?;
        self.write(body[..body.floor_char_boundary(body.len() / 2)].to_owned()).await?;
        match (options.hang, options.cut) {
            (Some(_), _) => self.stand_still().await,
            _ => Err(Gone),
        }
    }

    /// Goes on, unless the options have something go wrong here.
    async fn passes(&mut self, options: &Options, here: Point) -> Result<(), Gone> {
        if options.hang == Some(here) {
            return self.stand_still().await;
        }
        if options.cut == Some(here) { Err(Gone) } else { Ok(()) }
    }

    /// Until the client goes away or the server stops.
    async fn stand_still(&mut self) -> Result<(), Gone> {
        let mut shutdown = self.shutdown.clone();
        self.wait(async move { drop(shutdown.wait_for(|stop| *stop).await) }).await?;
        Err(Gone)
    }

    /// A reply under way goes on while the server stops: the gateway in front of it lets its streams finish.
    async fn until(&mut self, instant: Instant) -> Result<(), Gone> {
        if instant <= Instant::now() {
            return Ok(());
        }
        self.wait(tokio::time::sleep_until(instant)).await
    }

    async fn wait(&mut self, what: impl Future<Output = ()>) -> Result<(), Gone> {
        tokio::select! {
            () = what => Ok(()),
            _ = self.http.read_body_or_idle(true) => Err(Gone),
        }
    }

    async fn send(&mut self, status: u16, body: String) -> Result<(), Gone> {
        self.head(status, "application/json", Some(body.len())).await?;
        self.write(body).await
    }

    /// `length`: absent for chunks.
    async fn head(&mut self, status: u16, content_type: &str, length: Option<usize>) -> Result<(), Gone> {
        let head = self.build(status, content_type, length).map_err(|_| Gone)?;
        self.http.write_response_header(Box::new(head)).await.map_err(|_| Gone)
    }

    fn build(
        &self,
        status: u16,
        content_type: &str,
        length: Option<usize>,
    ) -> pingora::Result<ResponseHeader> {
        let mut head = ResponseHeader::build(status, Some(8))?;
        head.insert_header("content-type", content_type)?;
        match length {
            Some(length) => head.insert_header("content-length", length)?,
            None => head.insert_header("transfer-encoding", "chunked")?,
        }
        head.insert_header("x-request-id", format!("sim-{}", self.shown.number))?;
        if let Some(seconds) = self.shown.retry_after {
            head.insert_header("retry-after", seconds)?;
        }
        if let Some(share) = self.shown.headroom {
            head.insert_header("x-ratelimit-limit-requests", "1000")?;
            head.insert_header("x-ratelimit-remaining-requests", format!("{:.0}", share * 1000.0))?;
        }
        Ok(head)
    }

    async fn write(&mut self, text: String) -> Result<(), Gone> {
        self.http.write_response_body(text.into(), false).await.map_err(|_| Gone)
    }

    /// Ends the reply; the connection may be used again.
    async fn finish(self) -> Option<ReusedHttpStream> {
        let settings = HttpPersistentSettings::for_session(&self.http);
        let stream = self.http.finish().await.ok()??;
        Some(ReusedHttpStream::from_reusable_stream(stream, settings))
    }
}
