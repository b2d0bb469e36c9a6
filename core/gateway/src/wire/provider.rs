//! A provider's connection that speaks HTTP/1.1: one request, and its reply.

use super::body::Body;
use super::{Fault, READ, Wire, appetite, came, next, says};
use crate::ingress::framing;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, response};
use httparse::{ParserConfig, Status};
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use weir_llm::payload::Payload;

/// Longest head of a reply.
const MOST: usize = 256 << 10;
/// Most headers of one.
const MOST_HEADERS: usize = 256;

/// A connection with a request under way.
pub struct Provider {
    wire: Wire,
    rest: Rest,
    head: response::Parts,
    body: Body,
    /// Whether the other side lets another request follow.
    keeps: bool,
    /// Whether it has said that the reply will come.
    informed: bool,
}

/// What of a request follows its first write: whoever answers before all of it has come may take no more of it.
enum Rest {
    /// So many bytes of it are written.
    Left(Payload, usize),
    /// All of it is written.
    Written,
    /// The other side takes no more.
    Refused,
}

impl Provider {
    /// Writes a request: its first bytes at once, `rest` while the reply is read.
    ///
    /// # Errors
    /// The connection is broken.
    pub async fn send(mut wire: Wire, first: &Bytes, rest: Payload) -> io::Result<Self> {
        wire.stream.write_all(first).await?;
        let rest = if rest.is_empty() {
            wire.stream.flush().await?;
            Rest::Written
        } else {
            Rest::Left(rest, 0)
        };
        Ok(Self { wire, rest, head: nothing(), body: Body::Close, keeps: false, informed: false })
    }

    /// Reads heads until one that is not informational.
    ///
    /// # Errors
    /// The connection ends, or what comes is no reply.
    pub async fn read_head(&mut self) -> Result<(), Fault> {
        let mut seen = 0;
        loop {
            let fresh = &self.wire.buffer[seen..];
            // Every head ends in a line end; looking for it in what is new is cheaper than reading all of it again.
            if memchr::memchr(b'\n', fresh).is_some()
                && let Some(head) = self.parse()?
            {
                seen = 0;
                if head.status.is_informational() {
                    self.informed = true;
                    continue;
                }
                self.body = framed(&head)?;
                // What says its length in two ways may have been read in another on the way here.
                let is_framed_twice =
                    head.headers.contains_key(TRANSFER_ENCODING) && head.headers.contains_key(CONTENT_LENGTH);
                self.keeps = goes_on(&head) && !is_framed_twice;
                self.head = head;
                return Ok(());
            }
            seen = self.wire.buffer.len();
            if seen > MOST {
                return Err(Fault::Garbled);
            }
            self.more(READ).await?;
        }
    }

    /// The head that the buffer begins with, which is taken out of it; `None`: it is not whole.
    fn parse(&mut self) -> Result<Option<response::Parts>, Fault> {
        let mut space = [const { std::mem::MaybeUninit::uninit() }; MOST_HEADERS];
        let mut parsed = httparse::Response::new(&mut []);
        let mut parser = ParserConfig::default();
        parser.allow_spaces_after_header_name_in_responses(true);
        parser.allow_obsolete_multiline_headers_in_responses(true);
        let buffer = &self.wire.buffer;
        let end = match parser.parse_response_with_uninit_headers(&mut parsed, buffer, &mut space) {
            Ok(Status::Complete(end)) => end,
            Ok(Status::Partial) => return Ok(None),
            Err(_) => return Err(Fault::Garbled),
        };
        let mut head = nothing();
        head.status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(Fault::Garbled)?;
        head.version = if parsed.version == Some(1) { Version::HTTP_11 } else { Version::HTTP_10 };
        head.headers.reserve(parsed.headers.len());
        // Where each stands, for they are parts of what is taken.
        let base = buffer.as_ptr().addr();
        let place = |bytes: &[u8]| (bytes.as_ptr().addr() - base, bytes.len());
        let mut values = Vec::with_capacity(parsed.headers.len());
        for header in parsed.headers.iter() {
            let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|_| Fault::Garbled)?;
            values.push((name, place(header.value)));
        }
        let raw = self.wire.buffer.split_to(end).freeze();
        for (name, (start, length)) in values {
            let value = if length == 0 { Bytes::new() } else { raw.slice(start..start + length) };
            let value = HeaderValue::from_maybe_shared(value.clone()).or_else(|_| unfolded(&value))?;
            head.headers.append(name, value);
        }
        Ok(Some(head))
    }

    /// The head of the reply.
    pub const fn head(&self) -> &response::Parts {
        &self.head
    }

    /// Whether anything has come while the head of the reply is waited for.
    pub fn has_begun(&self) -> bool {
        self.informed || !self.wire.buffer.is_empty()
    }

    /// The next piece of the body; `None` at its proper end.
    ///
    /// # Errors
    /// It breaks off, or is no body.
    pub async fn read(&mut self) -> Result<Option<Bytes>, Fault> {
        loop {
            if let Some(piece) = next(&mut self.wire, &mut self.body)? {
                return Ok(piece);
            }
            match self.more(appetite(&self.body)).await {
                Err(Fault::Ended) if self.body == Body::Close => {
                    self.body = Body::Done;
                    self.keeps = false;
                    return Ok(None);
                }
                more => more?,
            }
        }
    }

    /// Waits for more bytes, and meanwhile writes what is left of the request.
    async fn more(&mut self, most: usize) -> Result<(), Fault> {
        self.wire.make_room(most);
        let read = poll_fn(|cx| {
            if let Poll::Ready(written) = self.rest.poll_write(&mut self.wire.stream, cx) {
                // Why no more was taken stands in the reply, if there is one.
                self.rest = if written.is_ok() { Rest::Written } else { Rest::Refused };
            }
            pin!(self.wire.stream.read_buf(&mut self.wire.buffer)).poll(cx)
        });
        came(read.await).map(drop)
    }

    /// The connection, if the reply has been read to its end, all of the request has gone over it, and another may follow;
    /// else it is ended.
    pub async fn into_idle(mut self) -> Option<Wire> {
        let is_whole = self.body == Body::Done && matches!(self.rest, Rest::Written);
        if !is_whole || !self.keeps || !self.wire.buffer.is_empty() {
            self.shut().await;
            return None;
        }
        // The reply's head is a part of its buffer.
        self.head = nothing();
        self.wire.renew();
        Some(self.wire)
    }

    /// Ends the connection.
    pub async fn shut(&mut self) {
        // Behind half a request no farewell gets through; to wait for it would be to wait for ever.
        if matches!(self.rest, Rest::Written) {
            self.wire.shut().await;
        }
    }
}

impl Rest {
    fn poll_write(
        &mut self,
        stream: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let Self::Left(rest, written) = self else { return Poll::Pending };
        while let Some(left @ [_, ..]) = rest.expose().get(*written..) {
            match ready!(Pin::new(&mut *stream).poll_write(cx, left))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                more => *written += more,
            }
        }
        Pin::new(stream).poll_flush(cx)
    }
}

/// A head that says nothing.
fn nothing() -> response::Parts {
    response::Response::new(()).into_parts().0
}

/// A value that was written over several lines, on one.
fn unfolded(value: &[u8]) -> Result<HeaderValue, Fault> {
    let line: Vec<u8> =
        value.iter().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte }).collect();
    HeaderValue::from_bytes(&line).map_err(|_| Fault::Garbled)
}

/// What a reply's head says of its body (RFC 9112, 6.3).
fn framed(head: &response::Parts) -> Result<Body, Fault> {
    if matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Ok(Body::Done);
    }
    let codings = head.headers.get_all(TRANSFER_ENCODING);
    if let Some(last) = codings.iter().next_back() {
        let last = last.as_bytes().rsplit(|byte| *byte == b',').next().unwrap_or_default();
        let chunked = last.trim_ascii().eq_ignore_ascii_case(b"chunked");
        return Ok(if chunked { Body::in_chunks() } else { Body::Close });
    }
    Ok(length(&head.headers)?.map_or(Body::Close, Body::of_length))
}

/// The length that a head says; several that are equal are one.
fn length(headers: &HeaderMap) -> Result<Option<u64>, Fault> {
    let mut said = None;
    for value in headers.get_all(CONTENT_LENGTH) {
        for number in value.as_bytes().split(|byte| *byte == b',') {
            let length = framing::length(number.trim_ascii()).ok_or(Fault::Garbled)?;
            if said.replace(length).is_some_and(|before| before != length) {
                return Err(Fault::Garbled);
            }
        }
    }
    Ok(said)
}

/// Whether a reply lets another request follow.
fn goes_on(head: &response::Parts) -> bool {
    let says = |what| says(&head.headers, what);
    // RFC 9112, 6.1: what HTTP/1.0 knows nothing of was added on the way.
    let in_chunks = head.headers.contains_key(TRANSFER_ENCODING);
    !says("close") && (head.version == Version::HTTP_11 || says("keep-alive") && !in_chunks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::UnixStream;

    /// A reply's head and body as they are read, or what is wrong with them; and whether its connection is used again.
    async fn read(reply: &str) -> Result<(u16, Vec<(String, String)>, String, bool), Fault> {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let stream = pingora::protocols::l4::stream::Stream::from(ours);
        let request = Bytes::from_static(b"GET / HTTP/1.1\r\n\r\n");
        let mut provider =
            Provider::send(Wire::new(Box::new(stream)), &request, Payload::default()).await.unwrap();
        // A byte at a time: however it comes, it is one reply.
        let writing = tokio::spawn({
            let reply = reply.to_owned();
            async move {
                for byte in reply.bytes() {
                    theirs.write_all(&[byte]).await.unwrap();
                    tokio::task::yield_now().await;
                }
                if !reply.contains("keep") {
                    theirs.shutdown().await.unwrap();
                }
                theirs
            }
        });
        provider.read_head().await?;
        let mut body = Vec::new();
        while let Some(piece) = provider.read().await? {
            body.extend_from_slice(&piece);
        }
        let _theirs = writing.await.unwrap();
        let head = provider.head().clone();
        let pairs = head.headers.iter();
        let pairs = pairs.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
        let (pairs, body) = (pairs.collect(), String::from_utf8(body).unwrap());
        Ok((head.status.as_u16(), pairs, body, provider.into_idle().await.is_some()))
    }

    #[tokio::test]
    async fn a_reply_ends_where_its_head_says() {
        let cases = [
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", "hi", true),
            ("HTTP/1.1 200 OK\r\ncontent-length: 2, 2\r\ncontent-length: 2\r\n\r\nhi", "hi", true),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", "hi", true),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200\r\ncontent-length: 2\r\n\r\nhi", "hi", true),
            ("HTTP/1.1 204 No Content\r\ncontent-length: 2\r\n\r\n", "", true),
            ("HTTP/1.1 200 OK\r\n\r\nhi", "hi", false),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nhi", "hi", false),
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: x, Close\r\n\r\nhi", "hi", false),
            ("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi", "hi", false),
            ("HTTP/1.0 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\nhi", "hi", true),
            // Read in the safer of two ways, and no more than once.
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 9\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
                "hi",
                false,
            ),
        ];
        for (reply, expected, reused) in cases {
            let (_, _, body, goes_on) = read(reply).await.unwrap_or_else(|_| panic!("{reply:?}"));
            assert_eq!((body.as_str(), goes_on), (expected, reused), "{reply:?}");
        }
    }

    #[tokio::test]
    async fn what_is_no_reply_is_told_from_one_that_broke_off() {
        for (reply, garbled) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nhi!", true),
            ("HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\nhi", true),
            ("HTTP/1.1 2000 OK\r\n\r\n", true),
            ("SSH-2.0-OpenSSH\r\n", true),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\nhi\r\n0\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi", false),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n", false),
            ("HTTP/1.1 200 OK\r\ncontent-le", false),
            ("", false),
        ] {
            let fault = read(reply).await.unwrap_err();
            assert_eq!(matches!(fault, Fault::Garbled), garbled, "{reply:?}: {fault:?}");
        }
    }

    #[tokio::test]
    async fn headers_are_what_was_said() {
        let reply = "HTTP/1.1 429 Slow down\r\nRetry-After : 3\r\nX:\r\nY: a\r\n b\r\nx: 2\r\ncontent-length: 0\r\n\r\n";
        let (status, headers, ..) = read(reply).await.unwrap();
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(status, 429);
        for header in [("retry-after", "3"), ("x", ""), ("x", "2"), ("y", "a   b"), ("content-length", "0")] {
            assert!(headers.contains(&header), "{header:?} in {headers:?}");
        }
    }

    #[tokio::test]
    async fn a_head_has_its_bounds() {
        let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(2 * MOST));
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(MOST_HEADERS + 1));
        for reply in [long, many] {
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            let stream = pingora::protocols::l4::stream::Stream::from(ours);
            let wire = Wire::new(Box::new(stream));
            let mut provider =
                Provider::send(wire, &Bytes::from_static(b"x"), Payload::default()).await.unwrap();
            let writing = tokio::spawn(async move { theirs.write_all(reply.as_bytes()).await });
            assert!(matches!(provider.read_head().await, Err(Fault::Garbled)));
            writing.abort();
        }
    }
}
