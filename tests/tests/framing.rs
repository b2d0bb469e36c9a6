//! Requests that two parsers could read differently, several hundred of them, before an upstream that records what it
//! gets. Whatever the gateway makes of one, it makes at most one request of it, and the request hidden behind it never
//! goes anywhere.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use serde_json::json;
use std::collections::BTreeMap;
use weir_tests::{Gateway, Setup, Upstream, soon};

/// What the visible request asks; the hidden one asks for something else.
const SEEN: &str = "the visible one";
const HIDDEN: &str = "the hidden one";

struct House {
    gateway: Gateway,
    upstream: Upstream,
    key: String,
}

async fn house() -> House {
    let upstream = Upstream::saying("fine").await;
    let gateway = Setup::new(format!(
        "providers: {{ p: {{ base_url: 'http://{}/v1', keys: [k] }} }}\nmodels: {{ m: {{ targets: [p/x] }} }}\n",
        upstream.address
    ))
    .start()
    .await;
    let key = gateway.key(&[]);
    House { gateway, upstream, key }
}

impl House {
    fn body(words: &str) -> String {
        json!({ "model": "m", "messages": [{ "role": "user", "content": words }] }).to_string()
    }

    /// A whole request with nothing wrong about it.
    fn hidden(&self) -> String {
        let body = Self::body(HIDDEN);
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.key,
            body.len()
        )
    }
}

/// One way to write a request: its request line, its headers but for the framing, and what stands between them.
struct Case {
    name: String,
    bytes: Vec<u8>,
    /// Whether there is nothing wrong with it, so that it must be served.
    sound: bool,
}

const LENGTHS: [&str; 20] = [
    "{n}",
    " {n}",
    "{n} ",
    "\t{n}",
    "+{n}",
    "-{n}",
    "0x{x}",
    "{n},{n}",
    "{n}, {n}",
    "{n} {n}",
    "0{n}",
    "{n}.0",
    "{n}e0",
    "",
    " ",
    "٤",
    "{n}\0",
    "99999999999999999999",
    "18446744073709551616",
    "0",
];
const CODINGS: [&str; 26] = [
    "chunked",
    " chunked",
    "chunked ",
    "\tchunked",
    "CHUNKED",
    "Chunked",
    "chunked, chunked",
    "chunked,chunked",
    "gzip, chunked",
    "chunked, gzip",
    "identity",
    "identity, chunked",
    "xchunked",
    "chunkedx",
    "chunked;q=1",
    "\"chunked\"",
    "'chunked'",
    "",
    " ",
    "chunked\0",
    "\x0bchunked",
    "\x0cchunked",
    "chunked,",
    ",chunked",
    "deflate",
    "cow",
];
const NAMES_OF_LENGTH: [&str; 11] = [
    "Content-Length",
    "content-length",
    "CONTENT-LENGTH",
    "Content-Length ",
    " Content-Length",
    "Content-Length\t",
    "Content_Length",
    "Content-Length\0",
    "\0Content-Length",
    "Content\rLength",
    "Content-Lengt\u{7f}h",
];
const NAMES_OF_CODING: [&str; 11] = [
    "Transfer-Encoding",
    "transfer-encoding",
    "TRANSFER-ENCODING",
    "Transfer-Encoding ",
    " Transfer-Encoding",
    "Transfer-Encoding\t",
    "Transfer_Encoding",
    "Transfer-Encoding\0",
    "\0Transfer-Encoding",
    "Transfer\rEncoding",
    "\x0bTransfer-Encoding",
];

/// Lines that say where the body ends, and whether together they are sound for a body that is sent by length, or chunked.
fn framings(length: usize) -> Vec<(String, Vec<String>, Option<bool>)> {
    let n = length.to_string();
    let filled = |text: &str| text.replace("{n}", &n).replace("{x}", &format!("{length:x}"));
    let mut all = Vec::new();
    let mut add =
        |what: &str, lines: Vec<String>, chunked: Option<bool>| all.push((what.to_owned(), lines, chunked));
    for value in LENGTHS {
        let sound = matches!(value, "{n}" | " {n}" | "{n} " | "\t{n}" | "0{n}");
        add("a length", vec![format!("Content-Length:{}", filled(value))], sound.then_some(false));
    }
    for value in CODINGS {
        let sound = value.trim_matches([' ', '\t']).eq_ignore_ascii_case("chunked");
        add("a coding", vec![format!("Transfer-Encoding:{value}")], sound.then_some(true));
    }
    for name in NAMES_OF_LENGTH {
        let sound = name.eq_ignore_ascii_case("content-length");
        add("a name of a length", vec![format!("{name}: {n}")], sound.then_some(false));
    }
    for name in NAMES_OF_CODING {
        let sound = name.eq_ignore_ascii_case("transfer-encoding");
        add("a name of a coding", vec![format!("{name}: chunked")], sound.then_some(true));
    }
    // Both, in either order, each in all its spellings beside a sound one of the other.
    for value in CODINGS {
        let (length, coding) = (format!("Content-Length: {n}"), format!("Transfer-Encoding: {value}"));
        add("both, length first", vec![length.clone(), coding.clone()], None);
        add("both, coding first", vec![coding, length], None);
    }
    for name in NAMES_OF_CODING {
        let (length, coding) = (format!("Content-Length: {n}"), format!("{name}: chunked"));
        // An underscore makes another name of it: such a line says nothing about the body.
        let sound = (name == "Transfer_Encoding").then_some(false);
        add("both, by name, length first", vec![length.clone(), coding.clone()], sound);
        add("both, by name, coding first", vec![coding, length], sound);
    }
    // Twice.
    for value in LENGTHS {
        let (one, two) = (format!("Content-Length: {n}"), format!("Content-Length:{}", filled(value)));
        add("two LENGTHS", vec![one.clone(), two.clone()], None);
        add("two LENGTHS, turned", vec![two, one], None);
    }
    for value in CODINGS {
        let (one, two) = ("Transfer-Encoding: chunked".to_owned(), format!("Transfer-Encoding: {value}"));
        add("two CODINGS", vec![one.clone(), two.clone()], None);
        add("two CODINGS, turned", vec![two, one], None);
    }
    all
}

fn cases(house: &House) -> Vec<Case> {
    let body = House::body(SEEN);
    let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let (hidden, auth) = (house.hidden(), format!("Authorization: Bearer {}", house.key));
    let kind = "Content-Type: application/json";
    let mut cases = Vec::new();
    for (what, lines, sound) in framings(body.len()) {
        // With the body by length and then chunked: which one a parser believes is the point.
        for (by_chunks, sent) in [(false, &body), (true, &chunked)] {
            let head = format!(
                "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n{auth}\r\n{kind}\r\n{}\r\n\r\n",
                lines.join("\r\n")
            );
            let bytes = [head.as_bytes(), sent.as_bytes(), hidden.as_bytes()].concat();
            cases.push(Case {
                name: format!("{what}: {lines:?}, chunked {by_chunks}"),
                bytes,
                sound: sound == Some(by_chunks),
            });
        }
    }
    cases.extend(lined(house));
    cases.extend(in_chunks(house));
    cases
}

const LINES: [(&str, bool); 23] = [
    ("POST /v1/chat/completions HTTP/1.1", true),
    ("POST  /v1/chat/completions HTTP/1.1", false),
    ("POST /v1/chat/completions  HTTP/1.1", false),
    ("POST\t/v1/chat/completions HTTP/1.1", false),
    ("POST /v1/chat/completions HTTP/1.1 ", false),
    (" POST /v1/chat/completions HTTP/1.1", false),
    ("POST /v1/chat/completions HTTP/1.2", false),
    ("POST /v1/chat/completions HTTP/2.0", false),
    ("POST /v1/chat/completions http/1.1", false),
    ("POST /v1/chat/completions", false),
    ("POST", false),
    ("POST /v1/chat/completions HTTP/1.1x", false),
    ("P\0ST /v1/chat/completions HTTP/1.1", false),
    ("POST /v1/chat\0/completions HTTP/1.1", false),
    ("POST /v1/chat\r/completions HTTP/1.1", false),
    ("POST v1/chat/completions HTTP/1.1", false),
    ("POST http://b/v1/chat/completions HTTP/1.1", false),
    ("POST http://a@b/v1/chat/completions HTTP/1.1", false),
    ("POST ftp://a/v1/chat/completions HTTP/1.1", false),
    ("POST http:///v1/chat/completions HTTP/1.1", false),
    ("POST http://a/v1/chat/completions HTTP/1.1", true),
    ("PO(ST /v1/chat/completions HTTP/1.1", false),
    ("POST /v1/chat/completions HTTP/1.1\u{b}", false),
];
const HOSTS: [(&str, bool); 21] = [
    ("Host: a\r\n", true),
    ("host:a\r\n", true),
    ("", false),
    ("Host:\r\n", false),
    ("Host: \r\n", false),
    ("Host: a\r\nHost: a\r\n", false),
    ("Host: a\r\nHost: b\r\n", false),
    ("Host: a, b\r\n", false),
    ("Host: a b\r\n", false),
    ("Host : a\r\n", false),
    ("Host: a\0\r\n", false),
    ("Host: u@a\r\n", false),
    ("Host: a/b\r\n", false),
    ("Host: a#b\r\n", false),
    ("Host: a?b\r\n", false),
    ("Host: a\\b\r\n", false),
    ("\tHost: a\r\n", false),
    ("Host: a\r\n Host: b\r\n", false),
    ("Host: a:80\r\n", true),
    ("Host: [::1]\r\n", true),
    ("Host\u{b}: a\r\n", false),
];
const MORE: [(&str, bool); 28] = [
    ("X: y\r\n", true),
    ("X: y\n", false),
    ("X: y\r\r\n", false),
    ("X: y\r\n z\r\n", false),
    ("X: y\r\n\tz\r\n", false),
    ("X\r\n", false),
    (": y\r\n", false),
    ("X y: z\r\n", false),
    ("X: y\0z\r\n", false),
    ("X: y\rContent-Length: 0\r\n", false),
    ("X: y\u{7f}\r\n", false),
    ("X: y\u{1}\r\n", false),
    ("(X): y\r\n", false),
    ("X: y\tz\r\n", true),
    ("X: ü\r\n", true),
    ("\r\n", false),
    ("\n", false),
    ("X: y\n\r\n", false),
    ("Content-Length\r\n: 0\r\n", false),
    ("X: y\r\nTransfer-Encoding: chunked\n", false),
    ("Trailer: Content-Length\r\n", true),
    ("Connection: Content-Length\r\n", true),
    ("Connection: Transfer-Encoding\r\n", true),
    ("TE: trailers\r\n", true),
    ("Upgrade: h2c\r\n", true),
    ("Keep-Alive: 1\r\n", true),
    ("X-HTTP-Method-Override: GET\r\n", true),
    ("X-Forwarded-Host: b\r\n", true),
];

/// One way each to write the request line, the host, or another header.
fn lined(house: &House) -> Vec<Case> {
    let body = House::body(SEEN);
    let (hidden, auth) = (house.hidden(), format!("Authorization: Bearer {}", house.key));
    let kind = "Content-Type: application/json";
    let mut cases = Vec::new();
    let n = body.len();
    let whole = |line: &str, host: &str, end: &str, more: &str| {
        format!("{line}{end}{host}{auth}{end}{kind}{end}{more}Content-Length: {n}{end}{end}{body}{hidden}")
            .into_bytes()
    };
    for (line, sound) in LINES {
        cases.push(Case {
            name: format!("the line {line:?}"),
            bytes: whole(line, "Host: a\r\n", "\r\n", ""),
            sound,
        });
    }
    for (host, sound) in HOSTS {
        let bytes = whole("POST /v1/chat/completions HTTP/1.1", host, "\r\n", "");
        cases.push(Case { name: format!("the host {host:?}"), bytes, sound });
    }
    for (line, sound) in MORE {
        let bytes = whole("POST /v1/chat/completions HTTP/1.1", "Host: a\r\n", "\r\n", line);
        cases.push(Case { name: format!("the header {line:?}"), bytes, sound });
    }
    cases.push(Case {
        name: "bare LF throughout".to_owned(),
        bytes: whole("POST /v1/chat/completions HTTP/1.1", "Host: a\n", "\n", ""),
        sound: false,
    });
    cases
}

/// One way each to write a chunk, or the end of all.
fn in_chunks(house: &House) -> Vec<Case> {
    let body = House::body(SEEN);
    let (n, hidden, auth) = (body.len(), house.hidden(), format!("Authorization: Bearer {}", house.key));
    let kind = "Content-Type: application/json";
    let mut cases = Vec::new();
    for size in [
        "{x}",
        "0{x}",
        "{x};a=b",
        " {x}",
        "{x} ",
        "+{x}",
        "-{x}",
        "0x{x}",
        "{x}\0",
        "g",
        "",
        "ffffffffffffffffff",
        "{x}\n",
        "{x};\n",
    ] {
        let line = size.replace("{x}", &format!("{n:x}"));
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n{auth}\r\n{kind}\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        let bytes = format!("{head}{line}\r\n{body}\r\n0\r\n\r\n{hidden}").into_bytes();
        cases.push(Case {
            name: format!("the chunk {line:?}"),
            bytes,
            sound: matches!(size, "{x}" | "0{x}" | "{x} " | "{x};a=b"),
        });
    }
    // What stands in trailers goes nowhere.
    for (end, sound) in [
        ("\r\n0\r\n\r\n", true),
        ("\r\n00\r\n\r\n", true),
        ("\r\n0;a\r\n\r\n", true),
        ("0\r\n\r\n", false),
        ("\n0\r\n\r\n", false),
        ("\r\n0\n\n", false),
        ("\r\n0\r\nX: y\r\n\r\n", true),
        ("\r\n0\r\nContent-Length: 9\r\n\r\n", true),
        ("\r\n0\r\nX: y\n\r\n", false),
        ("\rX0\r\n\r\n", false),
    ] {
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n{auth}\r\n{kind}\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        let bytes = format!("{head}{n:x}\r\n{body}{end}{hidden}").into_bytes();
        cases.push(Case { name: format!("the last chunk {end:?}"), bytes, sound });
    }
    cases
}

/// What came of one case: the statuses of the replies, until the connection ended or nothing more came.
async fn replies(house: &House, case: &Case) -> Vec<u16> {
    let mut client = house.gateway.client().await;
    // A gateway that has refused may have closed before all is written.
    let _ = client.write(&case.bytes).await;
    let mut statuses = Vec::new();
    while let Ok(Ok(reply)) =
        tokio::time::timeout(std::time::Duration::from_millis(1500), client.reply()).await
    {
        statuses.push(reply.status());
        if statuses.len() > 4 {
            break;
        }
    }
    statuses
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn never_two_requests_of_one() {
    let house = house().await;
    let cases = cases(&house);
    assert!(cases.len() >= 400, "{} cases", cases.len());
    let mut wrong: BTreeMap<String, String> = BTreeMap::new();
    for case in &cases {
        let before = house.upstream.count();
        let statuses = soon(&case.name, replies(&house, case)).await;
        let calls = house.upstream.calls().split_off(before);
        let asked: Vec<bool> =
            calls.iter().map(|call| String::from_utf8_lossy(&call.body).contains(HIDDEN)).collect();
        let verdict = match (case.sound, &*statuses, &*asked) {
            // What is sound is served, and what stands behind it is a request of its own: the caller meant two.
            (true, [200, 200], [false, true]) => continue,
            // A caller whose pipelined bytes cannot be watched gets its first reply and an end.
            (true, [200], [false]) => continue,
            // Refused, or no answer at all; what was left of it may be refused in its turn.
            (false, refused, [])
                if refused.iter().all(|status| matches!(status, 400 | 408 | 413 | 431 | 501)) =>
            {
                continue;
            }
            (sound, statuses, asked) => format!("sound {sound}: replies {statuses:?}, upstream {asked:?}"),
        };
        wrong.insert(case.name.clone(), verdict);
    }
    assert!(wrong.is_empty(), "{} of {} cases: {wrong:#?}", wrong.len(), cases.len());
    house.gateway.ledger_check();
}

#[tokio::test]
async fn trailers_of_a_request_go_nowhere() {
    let house = house().await;
    let body = House::body(SEEN);
    let trailers =
        "Authorization: Bearer other\r\nContent-Length: 1\r\nX-Trailer: 1\r\nTransfer-Encoding: gzip\r\n";
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nTrailer: X-Trailer\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n{trailers}\r\n",
        house.key,
        body.len()
    );
    let mut client = house.gateway.client().await;
    for turn in 0..2 {
        client.write(request.as_bytes()).await.unwrap();
        let reply = soon("a reply", client.reply()).await.unwrap();
        assert_eq!((reply.status(), reply.answer().as_str()), (200, "fine"), "{reply:?}");
        let call = house.upstream.call(turn).await;
        let seen = call.raw.to_ascii_lowercase();
        for name in ["trailer", "other", "gzip", "\r\nte:"] {
            assert!(!seen.contains(name), "{name}: {seen}");
        }
        assert_eq!(String::from_utf8(call.body).unwrap(), body.replace("\"m\"", "\"x\""));
    }
}

#[tokio::test]
async fn trailers_of_a_reply_go_nowhere() {
    let stream = || {
        let events = weir_tests::reply::events(&["fine"]).into_iter();
        events
            .fold(weir_tests::Act::stream(), weir_tests::Act::chunk)
            .send("0\r\nX-Trailer: 1\r\nSet-Cookie: a=b\r\n\r\n")
    };
    let upstream = Upstream::start(move |_| stream()).await;
    let config = format!(
        "providers: {{ p: {{ base_url: 'http://{}/v1', keys: [k] }} }}\nmodels: {{ m: {{ targets: [p/x] }} }}\n",
        upstream.address
    );
    let gateway = Setup::new(config).start().await;
    let key = gateway.key(&[]);
    let mut client = gateway.client().await;
    for _ in 0..2 {
        let body = json!({ "model": "m", "stream": true, "messages": [{ "role": "user", "content": SEEN }] });
        client.chat(&key, &body, &[]).await.unwrap();
        // A trailer would stand where the client looks for the empty line at the end of the chunks.
        let reply = soon("a reply", client.reply()).await.unwrap();
        assert_eq!((reply.status(), reply.answer().as_str()), (200, "fine"), "{reply:?}");
        assert!(reply.get("set-cookie").is_none() && reply.get("trailer").is_none(), "{reply:?}");
    }
}
