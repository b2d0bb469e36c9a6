//! A caller's connection that speaks HTTP/1: one request after another.

use super::body::{Body, Step};
use super::{Fault, READ, Wire, appetite, next, says};
use crate::ingress::framing;
use crate::ingress::respond::{Gone, Head};
use crate::refusal::Refusal;
use crate::spare;
use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version, request};
use pingora::protocols::SocketDigest;
use pingora::protocols::http::date;
use pingora::time::tokio_timeout as timeout;
use std::io::Write;
use std::mem::take;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// Bytes of a body that go out behind its head as if they were of it.
const COPIED: usize = 4 << 10;
/// How long a write may take unless somebody says so.
const PATIENCE: Duration = Duration::from_secs(60);
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
    /// A head that goes out with the first bytes that follow it, these if they are few, and how much of it has. While nothing
    /// waits it is no buffer at all.
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
    Length(usize),
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
            if self.wire.read(READ).await.is_err() {
                return if self.wire.buffer.is_empty() { Ok(false) } else { Err(NoRequest) };
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
            self.wire.read(appetite(&self.body)).await?;
        }
    }

    /// Passes over what has come of a body that nobody wants.
    fn pass_body(&mut self) {
        while let Ok(Step::Piece(length)) = self.body.step(&mut self.wire.buffer) {
            self.wire.pass(length);
        }
    }

    /// Says that the body is wanted, unless the reply has begun.
    pub async fn say_continue(&mut self) -> Result<(), Gone> {
        if self.reply != Reply::Owed {
            return Ok(());
        }
        self.out().extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        self.flush().await
    }

    /// Waits for the caller to leave, while a head that waits goes out. Comes back with `Ok` when it is no more to be told,
    /// because bytes have come that nobody has asked for.
    pub async fn leaves(&mut self) -> Result<(), Gone> {
        self.flush().await?;
        if !self.has_read_body() || !self.wire.buffer.is_empty() {
            return Ok(());
        }
        self.wire.read(READ).await.map(drop).map_err(|_| Gone)
    }

    /// Says a head; it goes out with what follows, or when somebody waits for the caller. What is left of the request's body
    /// is not waited for: it may be long, or never come, and what comes then may be another request.
    pub fn say(&mut self, head: Head) {
        self.pass_body();
        if !self.has_read_body() {
            self.close();
        }
        let length = head.length();
        self.reply = match (head.status(), &self.request.method, length) {
            (StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED, ..) | (_, &Method::HEAD, _) => {
                Reply::Bodiless
            }
            (_, _, Some(length)) => Reply::Length(length),
            _ => Reply::Chunks,
        };
        // Nothing waits here but half of an interim reply.
        if self.head.is_empty() {
            self.head = head.into_text();
        } else {
            let text = head.into_text();
            self.head.extend_from_slice(&text);
            spare::give(text);
        }
        let (date, connection) = (date::get_cached_date(), if self.keeps { "keep-alive" } else { "close" });
        let out = &mut self.head;
        out.extend_from_slice(b"date: ");
        out.extend_from_slice(date.as_bytes());
        for part in ["\r\nconnection: ", connection, "\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
        match length {
            Some(length) => {
                out.extend_from_slice(b"content-length: ");
                out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
                out.extend_from_slice(b"\r\n\r\n");
            }
            None => out.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n"),
        }
    }

    /// Where to write what is to go out.
    fn out(&mut self) -> &mut Vec<u8> {
        if self.head.capacity() == 0 {
            self.head = spare::take();
        }
        &mut self.head
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
            Reply::Length(left) => *left = left.checked_sub(body.len()).ok_or(Gone)?,
            Reply::Chunks => {
                if !body.is_empty() {
                    // Writing to memory cannot fail.
                    let _ = write!(self.out(), "{:x}\r\n", body.len());
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
        if body.is_empty() && behind.is_empty() {
            return self.flush().await;
        }
        // To copy little costs less than to hand over several places.
        if body.len() <= COPIED {
            let out = self.out();
            // All at once: a vector that grows leaves what it held to the allocator.
            out.reserve(body.len() + behind.len());
            out.extend_from_slice(body);
            out.extend_from_slice(behind);
            return self.flush().await;
        }
        self.torn = true;
        let mut all = Buf::chain(Buf::chain(&self.head[self.written..], body), behind);
        let stream = &mut self.wire.stream;
        let writing = async {
            stream.write_all_buf(&mut all).await?;
            stream.flush().await
        };
        let written = timeout(self.patience, pin!(writing)).await;
        self.wrote(matches!(written, Ok(Ok(()))))
    }

    /// Lets go of what was to be written, which may be content. Behind what did not go out, nothing else does.
    fn wrote(&mut self, all: bool) -> Result<(), Gone> {
        spare::give(take(&mut self.head));
        (self.written, self.torn) = (0, !all);
        if all { Ok(()) } else { Err(Gone) }
    }

    /// Writes what waits: a head, and a little body. It can be dropped and called again.
    ///
    /// # Errors
    /// The caller has gone or takes nothing.
    pub async fn flush(&mut self) -> Result<(), Gone> {
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
        let written = timeout(self.patience, pin!(writing)).await;
        self.wrote(matches!(written, Ok(Ok(()))))
    }

    /// Ends a connection whose request has not been read to its end: the caller is told that no more comes, and gets a moment
    /// to read what has.
    pub async fn linger(&mut self) {
        if self.keeps || self.has_read_body() {
            return;
        }
        let reading = async {
            self.wire.shut().await;
            let mut left = LINGER_BYTES;
            while left > 0 {
                self.wire.pass(self.wire.buffer.len());
                let Ok(read) = self.wire.read(READ).await else { return };
                left = left.saturating_sub(read);
            }
        };
        // Whoever goes on sending has been told.
        let _ = timeout(LINGER, pin!(reading)).await;
    }

    /// Ends the exchange; whether another request may come. Bytes that came ahead of their time end the connection: while
    /// they were waiting, nobody could tell whether their sender had left.
    pub async fn finish(&mut self) -> bool {
        let is_whole = self.reply == Reply::Said && self.flush().await.is_ok();
        if !is_whole || !self.keeps {
            self.wire.shut().await;
            return false;
        }
        // The request's head is a part of the buffer.
        self.request = nothing();
        self.wire.renew();
        self.wire.buffer.is_empty()
    }
}

/// A head that says nothing.
fn nothing() -> request::Parts {
    request::Request::new(()).into_parts().0
}

/// A head, and what it says of its body.
fn parse(raw: &Bytes, limit: usize) -> Result<(request::Parts, Body), Refusal> {
    let mut headers = HeaderMap::with_capacity(memchr::memchr_iter(b'\n', raw).count());
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
    let mut request = nothing();
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;
    use tokio::net::UnixStream;

    const LIMIT: usize = 4096;

    fn pair() -> (Caller, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let stream = pingora::protocols::l4::stream::Stream::from(ours);
        (Caller::new(Wire::new(Box::new(stream))), theirs)
    }

    fn reply(length: Option<usize>) -> Head {
        Head::new(StatusCode::OK, length)
    }

    /// What has come over a connection, with `?` for the date.
    async fn heard(theirs: &mut UnixStream) -> String {
        let mut all = Vec::with_capacity(4096);
        theirs.read_buf(&mut all).await.unwrap();
        let text = String::from_utf8(all).unwrap();
        let dated = text.split("\r\n").map(|line| if line.starts_with("date: ") { "?" } else { line });
        dated.collect::<Vec<_>>().join("\r\n")
    }

    async fn asked(caller: &mut Caller, theirs: &mut UnixStream, request: &str) {
        theirs.write_all(request.as_bytes()).await.unwrap();
        assert!(caller.read_head(LIMIT).await.unwrap());
    }

    #[tokio::test]
    async fn a_head_and_what_follows_it_are_one_write() {
        let (mut caller, mut theirs) = pair();
        asked(&mut caller, &mut theirs, "GET /a?b HTTP/1.1\r\nHost: x\r\nX: 1\r\nX: 2\r\n\r\n").await;
        assert_eq!((caller.head().uri.path(), caller.head().uri.query()), ("/a", Some("b")));
        assert_eq!(caller.head().headers.get_all("x").iter().count(), 2);
        caller.say(reply(Some(2)));
        caller.write("hi".into(), true).await.unwrap();
        let expected = "HTTP/1.1 200 OK\r\n?\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nhi";
        assert_eq!(heard(&mut theirs).await, expected);
        assert!(caller.finish().await);
        asked(&mut caller, &mut theirs, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        caller.say(reply(None));
        caller.write("0123456789".into(), false).await.unwrap();
        let expected = "HTTP/1.1 200 OK\r\n?\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\na\r\n0123456789\r\n";
        assert_eq!(heard(&mut theirs).await, expected);
        caller.write("hi".into(), true).await.unwrap();
        assert_eq!(heard(&mut theirs).await, "2\r\nhi\r\n0\r\n\r\n");
        assert!(!caller.finish().await);
        assert_eq!(heard(&mut theirs).await, "", "it is closed");
    }

    #[tokio::test]
    async fn a_head_does_not_wait_for_what_does_not_come() {
        let (mut caller, mut theirs) = pair();
        asked(&mut caller, &mut theirs, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        caller.say(reply(None));
        tokio::select! {
            left = caller.leaves() => panic!("{left:?}"),
            heard = heard(&mut theirs) => assert!(heard.ends_with("chunked\r\n\r\n"), "{heard}"),
        }
        caller.write(Bytes::new(), true).await.unwrap();
        assert_eq!(heard(&mut theirs).await, "0\r\n\r\n");
        assert!(caller.finish().await);
        drop(theirs);
        assert!(!caller.read_head(LIMIT).await.unwrap());
    }

    #[tokio::test]
    async fn what_is_left_of_a_body_is_never_taken_for_a_request() {
        let head = |more: &str| format!("POST / HTTP/1.1\r\nHost: x\r\n{more}\r\n\r\n");
        for (request, goes_on) in [
            (head("Content-Length: 5") + "hello", true),
            (head("Transfer-Encoding: chunked") + "5\r\nhello\r\n0\r\n\r\n", true),
            (head("Content-Length: 5") + "hell", false),
            (head("Content-Length: 5\r\nExpect: 100-continue"), false),
            (head("Transfer-Encoding: chunked") + "5\r\nhello\r\n", false),
            (head("Transfer-Encoding: chunked") + "5\nhello\n0\n\n", false),
            // A request ahead of its time.
            (head("Content-Length: 5") + "hello" + &*head("Content-Length: 0"), false),
        ] {
            let (mut caller, mut theirs) = pair();
            asked(&mut caller, &mut theirs, &request).await;
            caller.say(reply(Some(0)));
            caller.write(Bytes::new(), true).await.unwrap();
            let said = heard(&mut theirs).await;
            let ahead = request.matches("POST").count() > 1;
            assert_eq!(said.contains("keep-alive"), goes_on || ahead, "{request:?}: {said}");
            assert_eq!(caller.finish().await, goes_on, "{request:?}");
        }
    }

    #[tokio::test]
    async fn a_reply_that_is_not_whole_ends_its_connection() {
        for length in [Some(9), None] {
            let (mut caller, mut theirs) = pair();
            asked(&mut caller, &mut theirs, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
            caller.say(reply(length));
            caller.write("hi".into(), false).await.unwrap();
            assert!(!caller.finish().await, "{length:?}");
        }
        let (mut caller, mut theirs) = pair();
        asked(&mut caller, &mut theirs, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        caller.say(reply(Some(1)));
        assert!(caller.write("hi".into(), true).await.is_err(), "longer than it says");
    }

    #[tokio::test]
    async fn who_asks_for_the_head_alone_gets_no_body() {
        let (mut caller, mut theirs) = pair();
        asked(&mut caller, &mut theirs, "HEAD / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").await;
        caller.say(reply(Some(2)));
        caller.write("hi".into(), true).await.unwrap();
        assert!(heard(&mut theirs).await.ends_with("keep-alive\r\ncontent-length: 2\r\n\r\n"));
        assert!(caller.finish().await);
    }

    #[tokio::test]
    async fn a_head_that_is_none_is_known_at_once() {
        let long = format!("GET /v1/messages HTTP/1.1\r\nX: {}", "x".repeat(LIMIT));
        let cases =
            [("GET /v1/messages HTTP/1.1\nHost: x\n", 400), ("POST / HTTP/1.1\r\n\r\n", 400), (&long, 431)];
        for (request, status) in cases {
            let (mut caller, mut theirs) = pair();
            asked(&mut caller, &mut theirs, request).await;
            assert_eq!(caller.take_fault().unwrap().status, status, "{request:?}");
            assert_eq!(caller.head().uri.path(), request.split(' ').nth(1).unwrap());
        }
    }

    #[tokio::test]
    async fn a_write_that_is_broken_off_is_the_last() {
        let (mut caller, mut theirs) = pair();
        asked(&mut caller, &mut theirs, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        caller.say(reply(None));
        caller.set_patience(Duration::from_millis(20));
        let large = Bytes::from(vec![b'x'; 16 << 20]);
        assert!(caller.write(large, false).await.is_err(), "nobody reads");
        assert!(caller.write("hi".into(), true).await.is_err());
    }
}
