//! What a policy may ask for: parsed here, so that nothing it writes can become another header, host or path.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use std::time::Duration;
use weir_policy::services::{HttpError, Outbound};

/// Longest body.
const MAX_BODY: usize = 1 << 20;
/// Longest path, with its query.
const MAX_PATH: usize = 8 << 10;
/// Most headers, and the bytes of all of them.
const MAX_HEADERS: usize = 32;
const MAX_HEADER_BYTES: usize = 16 << 10;

/// Headers that are the host's: framing, the connection, where it goes, and who asks.
const OURS: [&str; 19] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "accept-encoding",
    "user-agent",
    "authorization",
    "proxy-authorization",
    "cookie",
    "cookie2",
    "forwarded",
    "via",
    "http2-settings",
];

/// A call that may go out.
pub(super) struct Ask {
    pub(super) method: Method,
    /// Begins with a slash.
    pub(super) path: String,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Bytes,
    /// What the policy gives it; the alias's own time if it says nothing.
    pub(super) timeout: Option<Duration>,
}

impl Ask {
    /// Takes a call that breaks no rule; `owned` are the headers that the alias sets.
    pub(super) fn check(outbound: Outbound, owned: &[HeaderName]) -> Result<Self, HttpError> {
        if outbound.body.len() > MAX_BODY {
            return Err(HttpError::TooLarge);
        }
        if !is_plain_path(&outbound.path) {
            return Err(HttpError::Invalid);
        }
        Ok(Self {
            method: method(&outbound.method).ok_or(HttpError::Invalid)?,
            headers: headers(&outbound.headers, owned)?,
            path: outbound.path,
            body: outbound.body.into(),
            timeout: (outbound.timeout_ms > 0).then(|| Duration::from_millis(outbound.timeout_ms.into())),
        })
    }

    /// Whether its length is told: where a body is usual, even of none.
    pub(super) fn has_length(&self) -> bool {
        !self.body.is_empty() || matches!(self.method, Method::POST | Method::PUT | Method::PATCH)
    }
}

fn method(name: &str) -> Option<Method> {
    let known = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD];
    known.into_iter().find(|method| method.as_str() == name)
}

/// Whether a path stays below the alias's base URL, however often a server along the way decodes it.
fn is_plain_path(path: &str) -> bool {
    let printable = path.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'#' | b'\\'));
    if path.len() > MAX_PATH || !path.starts_with('/') || path.starts_with("//") || !printable {
        return false;
    }
    let mut path = path.split('?').next().unwrap_or_default().to_owned();
    loop {
        if climbs(&path) {
            return false;
        }
        let decoded = decoded(&path);
        // Every round is shorter than the last one.
        if decoded == path {
            return true;
        }
        path = decoded;
    }
}

fn climbs(path: &str) -> bool {
    let control = path.bytes().any(|byte| byte.is_ascii_control());
    // Some servers cut parameters off a segment before they look at it: `/..;x/`.
    let plain = |segment: &str| segment.split(';').next().unwrap_or_default().trim() == "..";
    control || path.split(['/', '\\']).any(plain)
}

/// The path with the percent signs of one round undone; what is not ASCII stays as it is.
fn decoded(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((plain, coded)) = rest.split_once('%') {
        out.push_str(plain);
        let byte = coded.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(u8::is_ascii);
        match byte {
            Some(byte) => {
                out.push(char::from(byte));
                rest = &coded[2..];
            }
            None => {
                out.push('%');
                rest = coded;
            }
        }
    }
    out.push_str(rest);
    out
}

fn headers(
    written: &[(String, String)],
    owned: &[HeaderName],
) -> Result<Vec<(HeaderName, HeaderValue)>, HttpError> {
    let bytes: usize = written.iter().map(|(name, value)| name.len() + value.len()).sum();
    if written.len() > MAX_HEADERS || bytes > MAX_HEADER_BYTES {
        return Err(HttpError::TooLarge);
    }
    let parsed = written.iter().map(|(name, value)| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        let theirs = !OURS.contains(&name.as_str()) && !name.as_str().starts_with("x-weir-");
        // Visible ASCII, spaces and tabs only: no line break gets in.
        let value = HeaderValue::from_str(value).ok()?;
        (theirs && !owned.contains(&name)).then_some((name, value))
    });
    parsed.collect::<Option<_>>().ok_or(HttpError::Invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(method: &str, path: &str, headers: &[(&str, &str)], body: usize) -> Result<Ask, HttpError> {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let outbound = Outbound {
            method: method.to_owned(),
            host_alias: "mod".to_owned(),
            path: path.to_owned(),
            headers,
            body: vec![b'x'; body],
            timeout_ms: 0,
        };
        Ask::check(outbound, &[HeaderName::from_static("x-api-key")])
    }

    #[test]
    fn methods_are_the_usual_six() {
        for good in ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"] {
            assert!(ask(good, "/", &[], 0).is_ok(), "{good}");
        }
        for bad in ["", "get", "CONNECT", "TRACE", "OPTIONS", "GET / HTTP/1.1\r\nx", "G\0T"] {
            assert_eq!(ask(bad, "/", &[], 0).err(), Some(HttpError::Invalid), "{bad:?}");
        }
    }

    #[test]
    fn paths_stay_below_the_base() {
        for good in [
            "/",
            "/a/b.json",
            "/a?x=../b&y=%2e%2e",
            "/a..b/..c/d..",
            "/%7Euser/%zz",
            "/a;v=1/b",
            "/.well-known",
        ] {
            assert!(ask("GET", good, &[], 0).is_ok(), "{good}");
        }
        let long = format!("/{}", "a".repeat(MAX_PATH));
        for bad in [
            "",
            "a",
            "http://evil.example/",
            "//evil.example/",
            "@evil.example",
            "/..",
            "/../admin",
            "/a/../../b",
            "/a/..",
            "/%2e%2e/x",
            "/.%2E/x",
            "/%252e%252e/x",
            "/%25252e./x",
            "/a%2f..%2fb",
            "/a\\..\\b",
            "/a%5c..%5cb",
            "/..;x/b",
            "/..%3bx/b",
            "/..%20/b",
            "/a b",
            "/a\r\nx: y",
            "/a%0d%0ax: y",
            "/a%00",
            "/a\tb",
            "/\u{fc}",
            "/a#b",
            &long,
        ] {
            assert_eq!(ask("GET", bad, &[], 0).err(), Some(HttpError::Invalid), "{bad:?}");
        }
    }

    #[test]
    fn headers_cannot_take_the_hosts_place() {
        assert!(ask("GET", "/", &[("content-type", "application/json"), ("X-Request-Id", "a b")], 0).is_ok());
        for bad in [
            ("Host", "evil.example"),
            ("AUTHORIZATION", "Bearer x"),
            ("Cookie", "a=b"),
            ("Content-Length", "0"),
            ("Transfer-Encoding", "chunked"),
            ("Connection", "x-api-key"),
            ("Upgrade", "h2c"),
            ("TE", "trailers"),
            ("Proxy-Authorization", "x"),
            ("Expect", "100-continue"),
            ("x-weir-tags", "a=b"),
            ("X-API-Key", "mine"),
            ("", "x"),
            ("a b", "x"),
            ("a\r\nb", "x"),
            ("a:", "x"),
            ("a", "x\r\nhost: evil"),
            ("a", "x\ny"),
            ("a", "\0"),
        ] {
            assert_eq!(ask("GET", "/", &[bad], 0).err(), Some(HttpError::Invalid), "{bad:?}");
        }
    }

    #[test]
    fn sizes_are_bounded() {
        assert!(ask("POST", "/", &[], MAX_BODY).is_ok());
        assert_eq!(ask("POST", "/", &[], MAX_BODY + 1).err(), Some(HttpError::TooLarge));
        assert_eq!(ask("GET", "/", &[("a", "b"); MAX_HEADERS + 1], 0).err(), Some(HttpError::TooLarge));
        let long = "x".repeat(MAX_HEADER_BYTES);
        assert_eq!(ask("GET", "/", &[("a", &long)], 0).err(), Some(HttpError::TooLarge));
    }
}
