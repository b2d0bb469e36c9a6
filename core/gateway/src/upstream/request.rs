//! A request in the form in which it goes over the wire.

use crate::wire::Wire;
use crate::wire::provider::Provider;
use bytes::{Bytes, BytesMut};
use http::uri::{Authority, PathAndQuery, Uri};
use http::{HeaderName, HeaderValue};
use pingora::http::RequestHeader;
use weir_llm::payload::Payload;
use weir_llm::request::Patched;

/// A request in the form in which it goes over HTTP/1.1, the usual one.
pub struct Request {
    /// Head, and the body too unless it is large.
    first: Payload,
    /// A body that is too large to be copied behind its head.
    rest: Payload,
    /// Where the head ends.
    head: usize,
}

/// Bodies up to this are sent with their head in one write; a copy costs less than a system call.
const ONE_WRITE: usize = 64 << 10;

/// Headers that belong to an HTTP/1.1 connection, or that HTTP/2 says in another way.
const NOT_IN_TWO: [&str; 6] =
    ["host", "connection", "transfer-encoding", "keep-alive", "upgrade", "proxy-connection"];
/// Headers that no compression table is to remember.
const SECRET: [&str; 3] = ["authorization", "x-api-key", "x-goog-api-key"];

impl Request {
    /// `head` ends in its empty line.
    pub fn new(head: BytesMut, body: &Bytes) -> Self {
        Self::patched(head, &Payload::new(body.clone()).into())
    }

    /// The same with a body that is not written yet.
    pub fn patched(mut head: BytesMut, body: &Patched) -> Self {
        let (end, length, mut rest) = (head.len(), body.length(), Payload::default());
        if length > ONE_WRITE {
            rest = body.whole();
        } else {
            // All at once: a buffer that grows leaves what it held to the allocator.
            head.reserve(length);
            body.parts().for_each(|part| head.extend_from_slice(part));
        }
        Self { first: Payload::new(head.freeze()), rest, head: end }
    }

    /// How many bytes of a body stand behind its head.
    pub const fn behind_its_head(length: usize) -> usize {
        if length > ONE_WRITE { 0 } else { length }
    }

    /// Writes it; what is too large for one write follows while the reply is read from what comes back.
    pub(super) async fn send(&self, wire: Wire) -> std::io::Result<Provider> {
        Provider::send(wire, self.first.expose(), self.rest.clone()).await
    }

    /// The body, for HTTP/2.
    pub(super) fn body(&self) -> Bytes {
        if self.rest.is_empty() { self.first.expose().slice(self.head..) } else { self.rest.expose().clone() }
    }

    /// The head in HTTP/2's form; `None` if it is no head at all, which nobody here writes.
    pub(super) fn head_of_two(&self, tls: bool) -> Option<RequestHeader> {
        let bytes = self.first.expose().get(..self.head)?;
        let mut lines = std::str::from_utf8(bytes).ok()?.split("\r\n");
        let mut first = lines.next()?.split(' ');
        let (method, path) = (first.next()?, first.next()?);
        let pairs = || lines.clone().filter_map(|line| line.split_once(": "));
        let host = pairs().find(|(name, _)| name.eq_ignore_ascii_case("host"))?.1;
        let mut head = RequestHeader::build(method, path.as_bytes(), None).ok()?;
        head.set_uri(
            Uri::builder()
                .scheme(if tls { "https" } else { "http" })
                .authority(host.parse::<Authority>().ok()?)
                .path_and_query(path.parse::<PathAndQuery>().ok()?)
                .build()
                .ok()?,
        );
        for (name, value) in pairs() {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            if NOT_IN_TWO.contains(&name.as_str()) {
                continue;
            }
            let mut value = HeaderValue::from_str(value).ok()?;
            value.set_sensitive(SECRET.contains(&name.as_str()));
            head.append_header(name, value).ok()?;
        }
        Some(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_for_http2_names_its_authority_and_leaves_the_connections_headers_out() {
        let head = "POST /v1/chat?x=1 HTTP/1.1\r\nHost: api.example:8443\r\nConnection: close\r\nAuthorization: Bearer k\r\ncontent-length: 2\r\n\r\n";
        for body in [b"{}".to_vec(), vec![b'x'; ONE_WRITE + 1]] {
            let body = Bytes::from(body);
            let request = Request::new(head.into(), &body);
            let two = request.head_of_two(true).unwrap();
            assert_eq!(two.uri.to_string(), "https://api.example:8443/v1/chat?x=1");
            let names: Vec<_> = two.headers.keys().map(HeaderName::as_str).collect();
            assert_eq!(names, ["authorization", "content-length"]);
            assert!(two.headers["authorization"].is_sensitive());
            assert_eq!(request.body(), body);
        }
    }
}
