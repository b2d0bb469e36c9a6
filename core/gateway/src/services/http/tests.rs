//! Calls to a real server on this machine.

use super::*;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Instant;
use weir_policy::{Demands, Retention};

/// What the server saw of one call.
#[derive(Debug, Default)]
struct Seen {
    head: String,
    body: Vec<u8>,
}

impl Seen {
    fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    fn header(&self, name: &str) -> Vec<&str> {
        let headers = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        headers.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }
}

/// Answers one call a connection with the next reply; an empty reply is none, and leaves the caller waiting.
fn server(replies: Vec<Vec<u8>>) -> (u16, JoinHandle<Vec<Seen>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = std::thread::spawn(move || {
        let answer = |reply: Vec<u8>| {
            let (mut stream, _) = listener.accept().unwrap();
            let seen = read_call(&stream);
            // Whoever has read enough may close before the end.
            let _ = stream.write_all(&reply);
            if reply.is_empty() {
                let _ = stream.read(&mut [0; 1]);
            }
            seen
        };
        replies.into_iter().map(answer).collect()
    });
    (port, serving)
}

fn read_call(stream: &TcpStream) -> Seen {
    let mut reader = BufReader::new(stream);
    let mut seen = Seen::default();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim_end().is_empty() {
            break;
        }
        seen.head.push_str(&line);
    }
    let length = seen.header("content-length").first().map_or(0, |length| length.parse().unwrap());
    seen.body.resize(length, 0);
    reader.read_exact(&mut seen.body).unwrap();
    seen
}

fn reply(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
        .into_bytes()
}

/// The aliases of a config: `{port}` stands for the server's.
fn aliases(port: u16, alias: &str) -> Aliases {
    let mut config = String::from("providers: { sim: { builtin: sim } }\nhttp:\n");
    writeln!(config, "  mod: {{ {} }}", alias.replace("{port}", &port.to_string())).unwrap();
    let env = |name: &str| (name == "MOD_KEY").then(|| "mod-SECRET".to_owned());
    let config = Config::parse(&config, Path::new(""), Path::new("weir.yaml"), &env);
    let aliases = Aliases::default();
    aliases.replace(&config.unwrap_or_else(|errors| panic!("{errors}")), &Upstreams::default());
    aliases
}

const PLAIN: &str = r#"base_url: "http://127.0.0.1:{port}/api", allow_private: true, headers: { authorization: "Bearer ${env:MOD_KEY}" }"#;

fn origin(retention: Retention, tainted: bool) -> Origin {
    Origin {
        policy: "guard".into(),
        tenant: "org".into(),
        request_id: "req_1".into(),
        retention,
        demands: None,
        tainted,
    }
}

fn outbound(method: &str, path: &str, body: &str) -> Outbound {
    Outbound {
        method: method.to_owned(),
        host_alias: "mod".to_owned(),
        path: path.to_owned(),
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: body.as_bytes().to_vec(),
        timeout_ms: 0,
    }
}

fn call(aliases: &Aliases, outbound: Outbound) -> Result<Inbound, HttpError> {
    call_as(aliases, &origin(Retention::Unknown, false), outbound)
}

fn call_as(aliases: &Aliases, origin: &Origin, outbound: Outbound) -> Result<Inbound, HttpError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(aliases.call(origin, outbound))
}

#[test]
fn a_call_goes_out_with_the_secret_and_comes_back_without_cookies() {
    let headers = "x-model: m1\r\nset-cookie: id=1\r\nkeep-alive: timeout=5\r\n";
    let (port, serving) = server(vec![reply("200 OK", headers, r#"{"flagged":true}"#)]);
    let got = call(&aliases(port, PLAIN), outbound("POST", "/v1/check?x=1", "{}"))
        .unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((got.status, got.body.as_slice(), got.truncated), (200, &br#"{"flagged":true}"#[..], false));
    let shown: Vec<_> = got.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(shown, ["content-length", "x-model"]);
    let seen = serving.join().unwrap().remove(0);
    assert_eq!((seen.line(), seen.body.as_slice()), ("POST /api/v1/check?x=1 HTTP/1.1", &b"{}"[..]));
    assert_eq!(seen.header("authorization"), ["Bearer mod-SECRET"]);
    assert_eq!(seen.header("host"), [format!("127.0.0.1:{port}")]);
    assert_eq!(seen.header("content-type"), ["application/json"]);
    assert_eq!(seen.header("accept-encoding"), ["identity"]);
    assert!(seen.header("x-weir-tags").is_empty());
}

#[test]
fn redirects_are_answers() {
    let (elsewhere, never) = (TcpListener::bind("127.0.0.1:0").unwrap(), "http://127.0.0.1");
    elsewhere.set_nonblocking(true).unwrap();
    let location = format!("location: {never}:{}/\r\n", elsewhere.local_addr().unwrap().port());
    let (port, serving) = server(vec![reply("302 Found", &location, "")]);
    let got = call(&aliases(port, PLAIN), outbound("GET", "/", "")).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(got.status, 302);
    assert!(got.headers.iter().any(|(name, _)| name == "location"));
    assert!(elsewhere.accept().is_err(), "nobody went there");
    assert!(serving.join().unwrap()[0].header("content-length").is_empty(), "a GET has no body");
}

#[test]
fn a_long_reply_is_cut_and_says_so() {
    let alias = format!("{PLAIN}, max_reply: 1KiB");
    let (port, serving) = server(vec![
        reply("200 OK", "", &"x".repeat(1024)),
        reply("200 OK", "", &"x".repeat(1025)),
        b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nuntil the end".to_vec(),
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n".to_vec(),
        reply("200 OK", "", &"x".repeat(1 << 20)),
    ]);
    let aliases = aliases(port, &alias);
    let got: Vec<_> = (0..5)
        .map(|_| call(&aliases, outbound("GET", "/", "")).unwrap_or_else(|e| panic!("{e}")))
        .map(|got| (got.body.len(), got.truncated))
        .collect();
    assert_eq!(got, [(1024, false), (1024, true), (13, false), (6, false), (1024, true)]);
    serving.join().unwrap();
}

#[test]
fn a_head_call_does_not_wait_for_a_body() {
    let (port, serving) = server(vec![b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n".to_vec(), Vec::new()]);
    let aliases = aliases(port, PLAIN);
    let got = call(&aliases, outbound("HEAD", "/", "")).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((got.status, got.body.len(), got.truncated), (200, 0, false));
    // Ends the server's second turn.
    let late = Outbound { timeout_ms: 20, ..outbound("GET", "/", "") };
    assert_eq!(call(&aliases, late).err(), Some(HttpError::Timeout));
    serving.join().unwrap();
}

#[test]
fn the_shorter_time_counts() {
    let (port, serving) = server(vec![Vec::new(), Vec::new()]);
    let started = Instant::now();
    let patient = aliases(port, &format!("{PLAIN}, timeout: 1h"));
    let hurried = Outbound { timeout_ms: 30, ..outbound("GET", "/", "") };
    assert_eq!(call(&patient, hurried).err(), Some(HttpError::Timeout));
    let hurried = aliases(port, &format!("{PLAIN}, timeout: 30ms"));
    let patient = Outbound { timeout_ms: u32::MAX, ..outbound("GET", "/", "") };
    assert_eq!(call(&hurried, patient).err(), Some(HttpError::Timeout));
    assert!(started.elapsed() < Duration::from_secs(20));
    serving.join().unwrap();
}

#[test]
fn failures_have_names() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    assert_eq!(call(&aliases(free, PLAIN), outbound("GET", "/", "")).err(), Some(HttpError::Connect));
    let (port, serving) = server(vec![b"no HTTP at all".to_vec()]);
    let secure = PLAIN.replace("http://", "https://");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let plain = listener.local_addr().unwrap().port();
    let babbling = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        let _ = stream.read(&mut [0; 1024]);
    });
    assert_eq!(call(&aliases(plain, &secure), outbound("GET", "/", "")).err(), Some(HttpError::Tls));
    babbling.join().unwrap();
    assert_eq!(call(&aliases(port, PLAIN), outbound("GET", "/", "")).err(), Some(HttpError::Connect));
    serving.join().unwrap();
    let unknown = Outbound { host_alias: "siem".to_owned(), ..outbound("GET", "/", "") };
    assert_eq!(call(&aliases(free, PLAIN), unknown).err(), Some(HttpError::NotGranted));
    assert_eq!(call(&aliases(free, PLAIN), outbound("GET", "/../x", "")).err(), Some(HttpError::Invalid));
}

/// The config refuses a private address that it can read; a name is judged by what it resolves to.
#[test]
fn a_name_of_this_machine_is_not_called_unless_it_is_meant() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // An address that only the resolver reads as 127.0.0.1.
    for host in ["2130706433", "0x7f000001", "127.1"] {
        let alias = format!("base_url: \"http://{host}:{{port}}\"");
        assert_eq!(
            call(&aliases(port, &alias), outbound("GET", "/", "")).err(),
            Some(HttpError::Connect),
            "{host}"
        );
    }
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "nobody connected");
    let (port, serving) = server(vec![reply("204 No Content", "", "")]);
    let meant = aliases(port, "base_url: \"http://localhost:{port}\", allow_private: true");
    assert_eq!(call(&meant, outbound("GET", "/", "")).map(|got| got.status).ok(), Some(204));
    serving.join().unwrap();
}

#[test]
fn content_goes_only_to_terms_as_strict_as_its_own() {
    let month = "base_url: \"http://127.0.0.1:{port}\", allow_private: true, retention: days-30";
    for (wanted, tainted, goes) in [
        (Retention::Zero, true, false),
        (Retention::Zero, false, true),
        (Retention::Days(29), true, false),
        (Retention::Days(30), true, true),
        (Retention::Unknown, true, true),
    ] {
        let (port, serving) = server(if goes { vec![reply("200 OK", "", "")] } else { Vec::new() });
        let got = call_as(&aliases(port, month), &origin(wanted, tainted), outbound("GET", "/", ""));
        let expected = if goes { Ok(200) } else { Err(HttpError::NotGranted) };
        assert_eq!(got.map(|got| got.status), expected, "{wanted:?} {tainted}");
        serving.join().unwrap();
    }
}

#[test]
fn content_that_nobody_may_train_on_or_that_stays_somewhere_goes_to_who_says_so() {
    let base = "base_url: \"http://127.0.0.1:{port}\", allow_private: true";
    let says = |more: &str| format!("{base}{more}");
    let asks = |no_training, regions: &[&str]| {
        let regions = regions.iter().map(|list| (*list).into()).collect::<Vec<Arc<str>>>();
        Some(Arc::new(Demands { no_training, regions: regions.into() }))
    };
    for (alias, demands, tainted, goes) in [
        (says(""), asks(true, &[]), true, false),
        (says(""), asks(true, &[]), false, true),
        (says(", trains: false"), asks(true, &[]), true, true),
        (says(", retention: zero"), asks(true, &[]), true, true),
        (says(""), asks(false, &["eu"]), true, false),
        (says(", region: eu-west-1"), asks(false, &["eu,ch"]), true, true),
        (says(", region: eu-west-1"), asks(false, &["eu", "ch"]), true, false),
        (says(", region: us"), asks(false, &["eu"]), false, true),
    ] {
        let (port, serving) = server(if goes { vec![reply("200 OK", "", "")] } else { Vec::new() });
        let asking = Origin { demands: demands.clone(), ..origin(Retention::Unknown, tainted) };
        let got = call_as(&aliases(port, &alias), &asking, outbound("GET", "/", ""));
        let expected = if goes { Ok(200) } else { Err(HttpError::NotGranted) };
        assert_eq!(got.map(|got| got.status), expected, "{alias} {demands:?} {tainted}");
        serving.join().unwrap();
    }
}

#[test]
fn a_policy_cannot_replace_the_operators_headers() {
    let alias = PLAIN.replace("authorization: ", "X-Api-Key: ");
    let aliases = aliases(1, &alias);
    for name in ["x-api-key", "Authorization", "Host"] {
        let mut outbound = outbound("GET", "/", "");
        outbound.headers = vec![(name.to_owned(), "mine".to_owned())];
        assert_eq!(call(&aliases, outbound).err(), Some(HttpError::Invalid), "{name}");
    }
}

#[test]
fn a_connection_is_used_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        for _ in 0..2 {
            read_call(&stream);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap();
        }
    });
    let aliases = aliases(port, PLAIN);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for _ in 0..2 {
            let got = aliases.call(&origin(Retention::Unknown, false), outbound("GET", "/", "")).await;
            assert_eq!(got.map(|got| got.body).ok().as_deref(), Some(&b"ok"[..]));
        }
    });
    serving.join().unwrap();
}
