//! Whatever bytes stand where a request's head should: it is refused with a status that closes the connection, or nothing
//! in it could be read in two ways. What is asserted is decided here by other means than the gateway's own.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_fuzzed::framing::{Head, read};

const LIMIT: usize = 4096;

/// Lines that a fuzzer seldom guesses, for the control characters of its input.
const WORDS: [&str; 16] = [
    "GET / HTTP/1.1\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\n",
    "POST http://a.example/v1 HTTP/1.0\r\n",
    "Host: a.example\r\n",
    "Content-Length: 5\r\n",
    "content-length: 5, 5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "transfer-encoding: identity, chunked\r\n",
    "\r\n",
    "\r\n\r\n",
    " folded\r\n",
    "\tfolded\r\n",
    "Host:\r\n",
    "x: y\n",
    "Transfer-Encoding : chunked\r\n",
    "Content-Length: +5\r\n",
];

fn head(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for byte in data {
        match byte {
            0x80..=0x8f => out.extend_from_slice(WORDS[usize::from(byte & 15)].as_bytes()),
            byte => out.push(*byte),
        }
    }
    out
}

fuzz_target!(|data: &[u8]| {
    let head = head(data);
    let mut fields = Vec::new();
    match read(&head, LIMIT, |name, value| fields.push((name, value))) {
        Err(refusal) => {
            assert!(refusal.close, "the connection would be used again");
            assert!(matches!(refusal.status, 400 | 431), "{}", refusal.status);
            assert!(!refusal.message.is_empty());
        }
        Ok(read) => sound(&head, &read, &fields),
    }
});

/// One way to read it.
fn sound(head: &[u8], read: &Head<'_>, fields: &[(&[u8], &[u8])]) {
    assert!(head.len() <= LIMIT);
    let end = head.windows(4).position(|four| four == b"\r\n\r\n").map_or(head.len(), |at| at + 2);
    let head = &head[..end];
    assert_eq!(head.iter().filter(|b| **b == b'\n').count(), head.windows(2).filter(|two| two == b"\r\n").count());
    assert!(head.iter().all(|b| !b.is_ascii_control() || matches!(b, b'\r' | b'\n' | b'\t')), "a control byte");
    let lines: Vec<&[u8]> = head.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)).collect();
    let headers = &lines[1..];
    let named = |name: &str| -> Vec<&[u8]> {
        let mut values = Vec::new();
        for line in headers {
            if let Some(at) = line.iter().position(|b| *b == b':')
                && line[..at].trim_ascii().eq_ignore_ascii_case(name.as_bytes())
            {
                values.push(line[at + 1..].trim_ascii());
            }
        }
        values
    };
    let all: Vec<(&[u8], &[u8])> = headers
        .iter()
        .filter_map(|line| line.iter().position(|b| *b == b':').map(|at| (&line[..at], line[at + 1..].trim_ascii())))
        .collect();
    assert_eq!(fields, all, "other headers were read");
    let words: Vec<&[u8]> = lines[0].split(|b| *b == b' ').collect();
    assert_eq!(words, [read.method, read.target, if read.http11 { b"HTTP/1.1" } else { b"HTTP/1.0" }]);
    assert_eq!(read.chunked, named("transfer-encoding").len() == 1);
    let said = named("content-length").first().map_or(0, |digits| std::str::from_utf8(digits).unwrap().parse().unwrap());
    assert_eq!(read.length, said);
    let (length, coding, host) = (named("content-length"), named("transfer-encoding"), named("host"));
    assert!(length.len() <= 1 && coding.len() <= 1, "several say where it ends");
    assert!(length.is_empty() || coding.is_empty(), "two say where it ends");
    assert!(length.iter().all(|value| !value.is_empty() && value.iter().all(u8::is_ascii_digit)), "no number");
    assert!(coding.iter().all(|value| value.eq_ignore_ascii_case(b"chunked")), "another coding");
    assert!(host.len() <= 1, "several hosts");
    if lines[0].ends_with(b"HTTP/1.0") {
        assert!(coding.is_empty(), "HTTP/1.0 knows no coding");
        assert!(length.iter().all(|value| value.iter().all(|digit| *digit == b'0')), "a body in HTTP/1.0");
    } else {
        assert_eq!(host.len(), 1, "no host");
    }
    assert!(headers.iter().all(|line| !line.starts_with(b" ") && !line.starts_with(b"\t")), "a folded line");
}
