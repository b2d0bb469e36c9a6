//! HTTP/1 framing, decided on the raw header bytes.
//!
//! Pingora hands over a header map in which two equal `Content-Length` lines have become one and a `Content-Length`
//! beside a `Transfer-Encoding` is gone, and its parser takes a bare LF for a line end. Each of these is a way for two
//! parsers to disagree on where a request ends, so the raw bytes are looked at before anything else.

use crate::refusal::Refusal;

/// Checks the raw request head of an HTTP/1 request, request line and final empty line included.
///
/// # Errors
/// 400 or 431, after which the connection is closed.
pub fn check(raw: &[u8], limit: usize) -> Result<(), Refusal> {
    if raw.len() > limit {
        return Err(Refusal::new(
            431,
            "invalid_request_error",
            "headers_too_large",
            format!("The request's headers are larger than the {limit} bytes that this gateway takes."),
        )
        .closing());
    }
    let mut seen = Seen::default();
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', raw) {
        let Some(line) = raw.get(start..end).and_then(|line| line.strip_suffix(b"\r")) else {
            return Err(Refusal::framing("A header line ends in a bare LF; end it in CRLF."));
        };
        if start > 0 && !line.is_empty() {
            seen.line(line)?;
        }
        start = end + 1;
    }
    seen.verdict(raw)
}

/// The framing headers of one request.
#[derive(Default)]
struct Seen {
    content_length: bool,
    transfer_encoding: bool,
    host: bool,
}

impl Seen {
    fn line(&mut self, line: &[u8]) -> Result<(), Refusal> {
        if line.first().is_some_and(|b| matches!(b, b' ' | b'\t')) {
            return Err(Refusal::framing("A header is folded over two lines; write it on one."));
        }
        // Only three names matter; they differ in their length, so most lines are dismissed by it alone.
        let Some(colon) = memchr::memchr(b':', line) else {
            return Err(Refusal::framing("A header line has no colon."));
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.len() == 4 && name.eq_ignore_ascii_case(b"host") {
            once(&mut self.host, "Host")
        } else if name.len() == 14 && name.eq_ignore_ascii_case(b"content-length") {
            if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
                return Err(Refusal::framing("Content-Length is not a number."));
            }
            once(&mut self.content_length, "Content-Length")
        } else if name.len() == 17 && name.eq_ignore_ascii_case(b"transfer-encoding") {
            if !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Refusal::framing(
                    "The only Transfer-Encoding that this gateway takes is chunked.",
                ));
            }
            once(&mut self.transfer_encoding, "Transfer-Encoding")
        } else {
            Ok(())
        }
    }

    fn verdict(&self, raw: &[u8]) -> Result<(), Refusal> {
        if self.content_length && self.transfer_encoding {
            return Err(Refusal::framing(
                "Content-Length and Transfer-Encoding exclude each other; send one.",
            ));
        }
        let request_line = raw.split(|b| *b == b'\r').next().unwrap_or_default();
        let http11 = request_line.ends_with(b"HTTP/1.1");
        if http11 && !self.host {
            return Err(Refusal::framing("An HTTP/1.1 request needs a Host header."));
        }
        if !http11 && self.transfer_encoding {
            return Err(Refusal::framing("Transfer-Encoding needs HTTP/1.1."));
        }
        Ok(())
    }
}

fn once(seen: &mut bool, name: &str) -> Result<(), Refusal> {
    if std::mem::replace(seen, true) {
        return Err(Refusal::framing(format!("{name} stands in the request twice.")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(head: &str) -> Result<(), String> {
        check(head.as_bytes(), 1024).map_err(|refusal| refusal.message)
    }

    #[test]
    fn a_plain_request_passes() {
        verdict("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n").unwrap();
        verdict("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding:  chunked \r\n\r\n").unwrap();
        verdict("GET / HTTP/1.0\r\n\r\n").unwrap();
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
        ] {
            let refusal = check(head.as_bytes(), 1024).expect_err(head);
            assert_eq!((refusal.status, refusal.close), (400, true), "{head:?}");
        }
    }

    #[test]
    fn a_large_head_is_431() {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(2000));
        assert_eq!(check(head.as_bytes(), 1024).unwrap_err().status, 431);
    }
}
