//! A caller's connection that speaks HTTP/1: one request after another.

use super::body::Body;
use super::{Fault, READ, Wire, appetite, next, says};
use crate::ingress::framing;
use crate::ingress::respond::Gone;
use crate::refusal::Refusal;
use bytes::{Buf, Bytes};
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version, request, response};
use pingora::protocols::SocketDigest;
use pingora::protocols::http::date;
use pingora::time::timeout;
use std::io::Write;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// A head that goes out in one piece with what follows has room for so much at first.
const HEAD: usize = 1 << 10;
/// How long a write may take unless somebody says so.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the rest of a body that nobody wants is read, so that the connection can go on.
const DRAIN: Duration = Duration::from_secs(5);
/// How long, and how much, is read of a connection that ends, so that the system does not reset it before the caller has
/// read why.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 1 << 20;

/// What comes in place of a request.
#[derive(Debug)]
pub struct NoRequest;

/// A connection with one request at a time.
pub struct Caller {
    wire: Wire,
    socket: Option<Arc<SocketDigest>>,
    /// How much of the buffer has been looked at for the end of a head; it is the beginning of a line.
    looked: usize,
    request: request::Parts,
    /// Why the request cannot be served; nothing else of it is to be believed.
    fault: Option<Box<Refusal>>,
    body: Body,
    /// Whether another request may follow.
    keeps: bool,
    /// How long a write may take.
    patience: Duration,
    reply: Reply,
    /// A head that goes out with the first bytes that follow it, and how much of it has.
    head: Vec<u8>,
    written: usize,
    /// Whether a write has been broken off, so that nobody knows what is out.
    torn: bool,
}

/// How far a reply has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reply {
    /// Its head has not been said.
    Owed,
    /// So many bytes of its body are missing.
    Length(u64),
    /// The chunk that ends it is missing.
    Chunks,
    /// It has no body, whatever is said.
    Bodiless,
    /// It is whole.
    Said,
}

impl Caller {
    /// A connection whose first request is about to come.
    pub fn new(wire: Wire) -> Self {
        Self {
            socket: wire.stream.get_socket_digest(),
            wire,
            looked: 0,
            request: nothing(),
            fault: None,
            body: Body::Done,
            keeps: true,
            patience: PATIENCE,
            reply: Reply::Said,
            head: Vec::new(),
            written: 0,
            torn: false,
        }
    }

    /// What the kernel knows of the connection.
    pub const fn socket(&self) -> Option<&Arc<SocketDigest>> {
        self.socket.as_ref()
    }

    /// The head of the request.
    pub const fn head(&self) -> &request::Parts {
        &self.request
    }

    /// Why the request cannot be served, if its head said so.
    pub fn take_fault(&mut self) -> Option<Refusal> {
        self.fault.take().map(|fault| *fault)
    }

    /// How long each write may take from now on.
    pub const fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// No other request follows this one.
    pub const fn close(&mut self) {
        self.keeps = false;
    }

    /// Whether all of the request has been read.
    pub fn has_read_body(&self) -> bool {
        self.body == Body::Done
    }

    /// Waits for the head of the next request, of at most `limit` bytes. `false`: no more requests come.
    ///
    /// # Errors
    /// It breaks off.
    pub async fn read_head(&mut self, limit: usize) -> Result<bool, NoRequest> {
        loop {
            if let Some(end) = self.head_end(limit) {
                self.begin(end, limit);
                return Ok(true);
            }
            match self.wire.read(READ).await {
                Ok(1..) => {}
                _ if self.wire.buffer.is_empty() => return Ok(false),
                _ => return Err(NoRequest),
            }
        }
    }

    /// Where the head ends that the buffer begins with: behind an empty line, or where it is found wrong.
    fn head_end(&mut self, limit: usize) -> Option<usize> {
        let buffer = &self.wire.buffer;
        while let Some(length) = memchr::memchr(b'\n', &buffer[self.looked..]) {
            let line = &buffer[self.looked..=self.looked + length];
            self.looked += line.len();
            if line == b"\r\n" || !line.ends_with(b"\r\n") {
                return Some(self.looked);
            }
        }
        (buffer.len() > limit).then_some(buffer.len())
    }

    /// Takes the head out of the buffer.
    fn begin(&mut self, end: usize, limit: usize) {
        let raw = self.wire.buffer.split_to(end).freeze();
        (self.looked, self.reply) = (0, Reply::Owed);
        match parse(&raw, limit) {
            Ok((request, body)) => {
                self.keeps &= goes_on(&request);
                (self.request, self.body) = (request, body);
            }
            Err(refusal) => {
                // The target is asked in whose words to refuse, and for nothing else.
                let target = raw.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
                self.request = nothing();
                self.request.uri = Uri::try_from(target).unwrap_or_default();
                (self.fault, self.body, self.keeps) = (Some(Box::new(refusal)), Body::Close, false);
            }
        }
    }

    /// The next piece of the body; `None`: it has been read.
    ///
    /// # Errors
    /// It breaks off, or is no body.
    pub async fn read_body(&mut self) -> Result<Option<Bytes>, Fault> {
        loop {
            if let Some(piece) = next(&mut self.wire, &mut self.body)? {
                return Ok(piece);
            }
            match self.wire.read(appetite(&self.body)).await {
                Ok(0) => return Err(Fault::Broken(None)),
                Ok(_) => {}
                Err(error) => return Err(Fault::Broken(Some(error))),
            }
        }
    }

    /// Says that the body is wanted, unless the reply has begun.
    pub async fn say_continue(&mut self) -> Result<(), Gone> {
        if self.reply != Reply::Owed {
            return Ok(());
        }
        self.head.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        self.flush().await
    }

    /// Waits for the caller to leave, while a head that waits goes out. Comes back with `Ok` when it is no more to be told,
    /// because bytes have come that nobody has asked for.
    pub async fn leaves(&mut self) -> Result<(), Gone> {
        self.flush().await?;
        if !self.has_read_body() || !self.wire.buffer.is_empty() {
            return Ok(());
        }
        match self.wire.read(READ).await {
            Ok(1..) => Ok(()),
            _ => Err(Gone),
        }
    }

    /// Says a head; it goes out with what follows, or when somebody waits for the caller.
    pub fn say(&mut self, head: &response::Parts) {
        self.reply = match (&head.status, &self.request.method) {
            (&StatusCode::NO_CONTENT | &StatusCode::NOT_MODIFIED, _) | (_, &Method::HEAD) => Reply::Bodiless,
            _ if head.headers.contains_key(TRANSFER_ENCODING) => Reply::Chunks,
            _ => Reply::Length(length(&head.headers)),
        };
        let out = &mut self.head;
        out.reserve(HEAD);
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(head.status.as_str().as_bytes());
        out.push(b' ');
        out.extend_from_slice(head.status.canonical_reason().unwrap_or_default().as_bytes());
        out.extend_from_slice(b"\r\n");
        for (name, value) in &head.headers {
            put(out, name, value);
        }
        put(out, &DATE, &date::get_cached_date());
        let connection = if self.keeps { "keep-alive" } else { "close" };
        put(out, &CONNECTION, &HeaderValue::from_static(connection));
        out.extend_from_slice(b"\r\n");
    }

    /// Writes a piece of the body, behind its head if that waits still. `last`: nothing follows it.
    ///
    /// # Errors
    /// The caller has gone or takes nothing.
    pub async fn write(&mut self, piece: Bytes, last: bool) -> Result<(), Gone> {
        if self.torn {
            return Err(Gone);
        }
        let (mut body, mut behind): (&[u8], &[u8]) = (&piece, b"");
        match &mut self.reply {
            Reply::Said if body.is_empty() => return Ok(()),
            Reply::Owed | Reply::Said => return Err(Gone),
            Reply::Bodiless => body = b"",
            Reply::Length(left) => *left = left.checked_sub(body.len() as u64).ok_or(Gone)?,
            Reply::Chunks => {
                if !body.is_empty() {
                    // Writing to memory cannot fail.
                    let _ = write!(self.head, "{:x}\r\n", body.len());
                }
                behind = match (body.is_empty(), last) {
                    (false, false) => b"\r\n",
                    (false, true) => b"\r\n0\r\n\r\n",
                    (true, false) => b"",
                    (true, true) => b"0\r\n\r\n",
                };
            }
        }
        if matches!(self.reply, Reply::Length(0) | Reply::Bodiless) || self.reply == Reply::Chunks && last {
            self.reply = Reply::Said;
        }
        self.torn = true;
        let mut all = Buf::chain(Buf::chain(&self.head[self.written..], body), behind);
        let stream = &mut self.wire.stream;
        let writing = async {
            stream.write_all_buf(&mut all).await?;
            stream.flush().await
        };
        let written = timeout(self.patience, pin!(writing)).await;
        self.head.clear();
        self.written = 0;
        self.torn = !matches!(written, Ok(Ok(())));
        if self.torn { Err(Gone) } else { Ok(()) }
    }

    /// Writes a head that waits. It can be dropped and called again.
    async fn flush(&mut self) -> Result<(), Gone> {
        if self.torn {
            return Err(Gone);
        }
        if self.head.is_empty() {
            return Ok(());
        }
        let stream = &mut self.wire.stream;
        let writing = async {
            while self.written < self.head.len() {
                match stream.write(&self.head[self.written..]).await? {
                    0 => return Err(std::io::ErrorKind::WriteZero.into()),
                    more => self.written += more,
                }
            }
            stream.flush().await
        };
        match timeout(self.patience, pin!(writing)).await {
            Ok(Ok(())) => {
                self.head.clear();
                self.written = 0;
                Ok(())
            }
            _ => {
                self.torn = true;
                Err(Gone)
            }
        }
    }

    /// Leaves a reply as far as it has come; its head has.
    pub async fn break_off(&mut self) {
        // Who has gone needs not be told.
        let _ = self.flush().await;
    }

    /// Ends a connection whose request has not been read to its end: the caller is told that no more comes, and gets a moment
    /// to read what has.
    pub async fn linger(&mut self) {
        if self.keeps || self.has_read_body() {
            return;
        }
        self.wire.shut().await;
        let reading = async {
            let mut left = LINGER_BYTES;
            while left > 0 {
                self.wire.buffer.clear();
                match self.wire.read(READ).await {
                    Ok(read @ 1..) => left = left.saturating_sub(read),
                    _ => return,
                }
            }
        };
        // Whoever goes on sending has been told.
        let _ = timeout(LINGER, pin!(reading)).await;
    }

    /// Reads the rest of a body that nobody wants; whether it came to its end.
    async fn drain(&mut self) -> bool {
        loop {
            match self.read_body().await {
                Ok(Some(_)) => {}
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }

    /// Ends the exchange; whether another request may come. Bytes that came ahead of their time end the connection: while
    /// they were waiting, nobody could tell whether their sender had left.
    pub async fn finish(&mut self) -> bool {
        let is_whole = self.reply == Reply::Said && self.flush().await.is_ok();
        if !is_whole || !self.keeps {
            self.wire.shut().await;
            return false;
        }
        // Most requests have been read, and a timer would cost more than to see it.
        let is_read = self.has_read_body() || timeout(DRAIN, pin!(self.drain())).await.unwrap_or(false);
        self.wire.slim();
        is_read && self.wire.buffer.is_empty()
    }
}

/// A head that says nothing.
fn nothing() -> request::Parts {
    request::Request::new(()).into_parts().0
}

/// A head, and what it says of its body.
fn parse(raw: &Bytes, limit: usize) -> Result<(request::Parts, Body), Refusal> {
    let mut headers = HeaderMap::with_capacity(16);
    let mut bad = false;
    let head = framing::read(raw, limit, |name, value| {
        match (HeaderName::from_bytes(name), HeaderValue::from_maybe_shared(raw.slice_ref(value))) {
            (Ok(name), Ok(value)) => {
                headers.append(name, value);
            }
            _ => bad = true,
        }
    })?;
    if bad {
        return Err(Refusal::framing("A header's name or value is none."));
    }
    let no_line = |_| Refusal::framing("The request line is not a method, a target and a version.");
    let (mut request, ()) = request::Request::new(()).into_parts();
    request.method = Method::from_bytes(head.method).map_err(|_| no_line(()))?;
    request.uri = Uri::from_maybe_shared(raw.slice_ref(head.target)).map_err(|_| no_line(()))?;
    request.version = if head.http11 { Version::HTTP_11 } else { Version::HTTP_10 };
    request.headers = headers;
    Ok((request, if head.chunked { Body::in_chunks() } else { Body::of_length(head.length) }))
}

/// Whether a request lets another one follow it.
fn goes_on(request: &request::Parts) -> bool {
    let says = |what| says(&request.headers, what);
    !says("close") && (request.version == Version::HTTP_11 || says("keep-alive"))
}

fn length(headers: &HeaderMap) -> u64 {
    headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0)
}

fn put(out: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
        out.extend_from_slice(part);
    }
}
