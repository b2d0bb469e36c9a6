//! HTTP/1 framing, decided on the raw header bytes.
//!
//! Two equal `Content-Length` lines that become one, a `Content-Length` beside a `Transfer-Encoding`, a bare LF that is
//! taken for a line end: each of these is a way for two parsers to disagree on where a request ends. So there is one
//! parser, which takes what no other can take for something else: the request line, the names and values of all headers,
//! and the three headers that say whose the request is and where it ends.

use crate::refusal::Refusal;

/// Most headers of a request.
const MOST: usize = 256;

/// A head whose framing is beyond doubt.
#[derive(Debug, PartialEq, Eq)]
pub struct Head<'a> {
    /// A token.
    pub method: &'a [u8],
    /// A path, or a URL of `http`.
    pub target: &'a [u8],
    /// HTTP/1.1, and not 1.0.
    pub http11: bool,
    /// How long the body is, if it is not chunked.
    pub length: u64,
    /// Whether the body comes in chunks.
    pub chunked: bool,
}

/// Reads the raw request head of an HTTP/1 request, request line and final empty line included, and gives each header's
/// name and value to `field`.
///
/// # Errors
/// 400 or 431, after which the connection is closed.
pub fn read<'a>(
    raw: &'a [u8],
    limit: usize,
    mut field: impl FnMut(&'a [u8], &'a [u8]),
) -> Result<Head<'a>, Refusal> {
    if raw.len() > limit {
        return Err(large(format!("larger than the {limit} bytes")));
    }
    let mut lines = raw.split_inclusive(|byte| *byte == b'\n').map(whole_line);
    let mut seen = Seen::of(lines.next().unwrap_or(Ok(b""))?)?;
    for (number, line) in lines.enumerate() {
        match line? {
            b"" => break,
            _ if number == MOST => return Err(large(format!("more than the {MOST}"))),
            line => {
                let (name, value) = seen.line(line)?;
                field(name, value);
            }
        }
    }
    seen.verdict()
}

fn large(than: String) -> Refusal {
    let message = format!("The request's headers are {than} that this gateway takes.");
    Refusal::new(431, "invalid_request_error", "headers_too_large", message).closing()
}

/// A line without its CRLF, in which no control byte but a tab stands.
fn whole_line(line: &[u8]) -> Result<&[u8], Refusal> {
    let Some(line) = line.strip_suffix(b"\r\n") else {
        return Err(Refusal::framing("A header line ends in a bare LF; end it in CRLF."));
    };
    // All bytes are looked at, many at a time: none is bad in a good request.
    let bad = line.iter().fold(false, |bad, byte| bad | (byte.is_ascii_control() & (*byte != b'\t')));
    if bad {
        return Err(Refusal::framing("A control character stands in the head of the request."));
    }
    Ok(line)
}

/// The framing headers of one request.
#[derive(Default)]
struct Seen<'a> {
    method: &'a [u8],
    target: &'a [u8],
    http11: bool,
    /// The authority of an absolute-form target.
    authority: Option<&'a [u8]>,
    host: Option<&'a [u8]>,
    content_length: Option<u64>,
    transfer_encoding: bool,
}

impl<'a> Seen<'a> {
    /// From the request line: three words with one space between them.
    fn of(line: &'a [u8]) -> Result<Self, Refusal> {
        let mut words = line.split(|byte| *byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(Refusal::framing("The request line is not a method, a target and a version."));
        };
        let version = match version {
            b"HTTP/1.1" => true,
            b"HTTP/1.0" => false,
            _ => {
                return Err(Refusal::framing("The request line's version is neither HTTP/1.1 nor HTTP/1.0."));
            }
        };
        if !is_token(method) || target.is_empty() || target.contains(&b'\t') {
            return Err(Refusal::framing("The request line is not a method, a target and a version."));
        }
        Ok(Self { method, target, http11: version, authority: authority(target)?, ..Self::default() })
    }

    /// Takes a header line; its name and its value.
    fn line(&mut self, line: &'a [u8]) -> Result<(&'a [u8], &'a [u8]), Refusal> {
        if line.first().is_some_and(|b| matches!(b, b' ' | b'\t')) {
            return Err(Refusal::framing("A header is folded over two lines; write it on one."));
        }
        let Some(colon) = memchr::memchr(b':', line) else {
            return Err(Refusal::framing("A header line has no colon."));
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if !is_token(name) {
            return Err(Refusal::framing("A header's name is not made of the characters of a token."));
        }
        // Only three names matter; they differ in their length, so most lines are dismissed by it alone.
        if name.len() == 4 && name.eq_ignore_ascii_case(b"host") {
            host(value)?;
            once(self.host.replace(value).is_some(), "Host")?;
        } else if name.len() == 14 && name.eq_ignore_ascii_case(b"content-length") {
            let no_number = || Refusal::framing("Content-Length is not a number of bytes.");
            let length = length(value).ok_or_else(no_number)?;
            once(self.content_length.replace(length).is_some(), "Content-Length")?;
        } else if name.len() == 17 && name.eq_ignore_ascii_case(b"transfer-encoding") {
            if !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Refusal::framing(
                    "The only Transfer-Encoding that this gateway takes is chunked.",
                ));
            }
            once(std::mem::replace(&mut self.transfer_encoding, true), "Transfer-Encoding")?;
        }
        Ok((name, value))
    }

    fn verdict(self) -> Result<Head<'a>, Refusal> {
        let length = self.content_length.unwrap_or(0);
        if self.content_length.is_some() && self.transfer_encoding {
            return Err(Refusal::framing(
                "Content-Length and Transfer-Encoding exclude each other; send one.",
            ));
        }
        if self.http11 && self.host.is_none() {
            return Err(Refusal::framing("An HTTP/1.1 request needs a Host header."));
        }
        if !self.http11 && self.transfer_encoding {
            return Err(Refusal::framing("Transfer-Encoding needs HTTP/1.1."));
        }
        // Where such a body ends, and whether its connection goes on, is what the parsers on a way agree on least.
        if !self.http11 && length > 0 {
            return Err(Refusal::framing(
                "A body needs HTTP/1.1; a proxy that sends HTTP/1.0 (nginx, unless `proxy_http_version 1.1`) can be told so.",
            ));
        }
        match (self.authority, self.host) {
            (Some(authority), Some(host)) if !authority.eq_ignore_ascii_case(host) => {
                Err(Refusal::framing("The request's target and its Host header name two hosts."))
            }
            _ => {
                let (method, target, http11) = (self.method, self.target, self.http11);
                Ok(Head { method, target, http11, length, chunked: self.transfer_encoding })
            }
        }
    }
}

/// A length that is said in digits and nothing else.
pub fn length(digits: &[u8]) -> Option<u64> {
    // Eighteen are more than any body has, and fewer than overflow any reader.
    let is_number = (1..=18).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| digits.iter().fold(0, |length, digit| length * 10 + u64::from(*digit - b'0')))
}

/// The host of a target in absolute form; `None` in any other form that this gateway serves.
fn authority(target: &[u8]) -> Result<Option<&[u8]>, Refusal> {
    if target.starts_with(b"/") || target == b"*" {
        return Ok(None);
    }
    let scheme = target.len() >= 7 && target[..7].eq_ignore_ascii_case(b"http://");
    let secure = target.len() >= 8 && target[..8].eq_ignore_ascii_case(b"https://");
    let rest = match (scheme, secure) {
        (true, _) => &target[7..],
        (_, true) => &target[8..],
        _ => return Err(Refusal::framing("The request's target is neither a path nor an http URL.")),
    };
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    host(&rest[..end])?;
    Ok(Some(&rest[..end]))
}

/// A host and perhaps a port: no user, no list, no path.
fn host(value: &[u8]) -> Result<(), Refusal> {
    const PLAIN: [bool; 256] = alphanumeric_and(b"-._~:[]%!$&'()*+;=");
    if value.is_empty() || !value.iter().all(|byte| PLAIN[usize::from(*byte)]) {
        return Err(Refusal::framing("The Host is empty or is no host."));
    }
    Ok(())
}

/// RFC 9110, 5.6.2.
fn is_token(word: &[u8]) -> bool {
    const PART: [bool; 256] = alphanumeric_and(b"!#$%&'*+-.^_`|~");
    !word.is_empty() && word.iter().all(|byte| PART[usize::from(*byte)])
}

/// By byte: whether it is a letter, a digit or one of `others`.
const fn alphanumeric_and(others: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = u8::MAX;
    while byte > 0 {
        table[byte as usize] = byte.is_ascii_alphanumeric();
        byte -= 1;
    }
    let mut other = 0;
    while other < others.len() {
        table[others[other] as usize] = true;
        other += 1;
    }
    table
}

fn once(before: bool, name: &str) -> Result<(), Refusal> {
    if before {
        return Err(Refusal::framing(format!("{name} stands in the request twice.")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(head: &str) -> Result<Head<'_>, Refusal> {
        read(head.as_bytes(), 1024, |_, _| {})
    }

    fn verdict(head: &str) -> Result<(), String> {
        check(head).map(drop).map_err(|refusal| refusal.message)
    }

    #[test]
    fn what_is_read_is_what_was_said() {
        let text = "POST /v1?x HTTP/1.1\r\nHost: a\r\nX:  b c\t\r\nx:\r\nContent-Length: 012\r\n\r\n";
        let mut fields = Vec::new();
        let head = read(text.as_bytes(), 1024, |name, value| fields.push((name, value))).unwrap();
        let expected = Head { method: b"POST", target: b"/v1?x", http11: true, length: 12, chunked: false };
        assert_eq!(head, expected);
        let expected: [(&[u8], &[u8]); 4] =
            [(b"Host", b"a"), (b"X", b"b c"), (b"x", b""), (b"Content-Length", b"012")];
        assert_eq!(fields, expected);
        assert!(check("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap().chunked);
        assert!(!check("GET / HTTP/1.0\r\n\r\n").unwrap().http11);
    }

    #[test]
    fn a_plain_request_passes() {
        verdict("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n").unwrap();
        verdict("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding:  chunked \r\n\r\n").unwrap();
        verdict("GET / HTTP/1.0\r\n\r\n").unwrap();
        verdict("GET / HTTP/1.0\r\nContent-Length: 0\r\n\r\n").unwrap();
        verdict("GET http://A:8080/v1?x HTTP/1.1\r\nHost: a:8080\r\nX:\ta\tb\r\n\r\n").unwrap();
        verdict("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n").unwrap();
    }

    #[test]
    fn what_two_parsers_could_read_differently_is_refused() {
        for head in [
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\nContent-Length: 3\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "POST / HTTP/1.1\r\nAccept: a\r\n\r\n",
            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\n",
            "POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 03\r\nConnection: keep-alive\r\n\r\n",
            "GET / HTTP/1.0\r\nContent-Length: 1\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: \r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a, b\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: u@a\r\n\r\n",
            "POST / HTTP/1.1\r\nHost : a\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 3\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nX\0: 3\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nX: a\rContent-Length: 3\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551619\r\n\r\n",
            "POST http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST //a b HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST  / HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST / HTTP/1.1 \r\nHost: a\r\n\r\n",
            "POST a HTTP/1.1\r\nHost: a\r\n\r\n",
            "P(ST / HTTP/1.1\r\nHost: a\r\n\r\n",
        ] {
            let refusal = check(head).expect_err(head);
            assert_eq!((refusal.status, refusal.close), (400, true), "{head:?}");
        }
    }

    #[test]
    fn a_large_head_is_431() {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(2000));
        assert_eq!(check(&head).unwrap_err().status, 431);
        let many = |headers| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "a:\r\n".repeat(headers));
        read(many(MOST - 1).as_bytes(), usize::MAX, |_, _| {}).unwrap();
        let head = many(MOST);
        assert_eq!(read(head.as_bytes(), usize::MAX, |_, _| {}).unwrap_err().status, 431);
    }
}
