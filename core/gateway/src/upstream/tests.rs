//! The dialer against sockets of our own, and names that say what the test wants.

use super::*;
use bytes::Bytes;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const PATIENCE: Patience = Patience { first_byte: Duration::from_secs(5), idle: Duration::from_secs(5) };

/// A server that answers every request with its name, and counts its connections.
async fn server(name: &'static str, at: &str) -> (SocketAddr, Arc<std::sync::atomic::AtomicUsize>) {
    let listener = TcpListener::bind(at).await.unwrap();
    let (address, count) = (listener.local_addr().unwrap(), Arc::new(0.into()));
    let counter: Arc<std::sync::atomic::AtomicUsize> = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while let Ok(1..) = stream.read(&mut buffer).await {
                    let reply = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len());
                    stream.write_all(reply.as_bytes()).await.unwrap();
                }
            });
        }
    });
    (address, count)
}

/// A dialer for a name that resolves to whatever stands in the cell.
fn dialer(private: bool) -> (Arc<Dialer>, Arc<Mutex<Vec<SocketAddr>>>) {
    let answer = Arc::new(Mutex::new(Vec::new()));
    let cell = Arc::clone(&answer);
    let lookup: Lookup = Arc::new(move |_, _| {
        let addresses = cell.lock().unwrap().clone();
        Box::pin(async move { Ok(addresses) })
    });
    let address = Address::Host { host: "provider.example".into(), port: 80, tls: false };
    let key = DialKey::plain(address, Duration::from_secs(5), private);
    (Arc::new(Dialer::new(&key, Arc::new(connector(&key)), 1, lookup)), answer)
}

async fn ask(dialer: &Arc<Dialer>) -> Result<String, Failure> {
    let request = Request::new("GET / HTTP/1.1\r\nhost: provider.example\r\n\r\n".into(), &Bytes::new());
    let budget = crate::buffered::Budget::new(1 << 20);
    let mut response = dialer.send(&request, PATIENCE).await?;
    let body = response.body(1 << 10, &mut budget.open()).await?;
    response.release().await;
    Ok(String::from_utf8(body.expose().to_vec()).unwrap())
}

#[tokio::test]
async fn a_name_that_moves_takes_new_requests_with_it_and_leaves_its_old_connections() {
    let ((one, at_one), (two, at_two)) =
        (server("one", "127.0.0.1:0").await, server("two", "127.0.0.2:0").await);
    let (dialer, answer) = dialer(true);
    *answer.lock().unwrap() = vec![one];
    for _ in 0..3 {
        assert_eq!(ask(&dialer).await.unwrap(), "one");
    }
    *answer.lock().unwrap() = vec![two];
    dialer.names.as_ref().unwrap().look().await.unwrap();
    for _ in 0..3 {
        assert_eq!(ask(&dialer).await.unwrap(), "two");
    }
    // A name server that is down changes nothing.
    answer.lock().unwrap().clear();
    assert!(dialer.names.as_ref().unwrap().look().await.is_err());
    assert_eq!(ask(&dialer).await.unwrap(), "two");
    let count = |count: &std::sync::atomic::AtomicUsize| count.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!((count(&at_one), count(&at_two)), (1, 1), "connections are used again until the name moves");
}

#[tokio::test]
async fn idle_connections_are_ended_when_they_are_old_closed_or_of_another_place() {
    let (address, count) = server("one", "127.0.0.1:0").await;
    let (dialer, answer) = dialer(true);
    *answer.lock().unwrap() = vec![address];
    let place = dialer.place.as_ref().unwrap();
    let connections = || count.load(std::sync::atomic::Ordering::Relaxed);
    let (one, two) = tokio::join!(ask(&dialer), ask(&dialer));
    assert_eq!((one.unwrap().as_str(), two.unwrap().as_str()), ("one", "one"));
    assert_eq!((connections(), dialer.shelf.len()), (2, 2));
    // The last one goes first, and comes back.
    ask(&dialer).await.unwrap();
    assert_eq!((connections(), dialer.shelf.len()), (2, 2));
    dialer.shelf.tidy(place.epoch(), Instant::now());
    assert_eq!(dialer.shelf.len(), 2);
    dialer.shelf.tidy(place.epoch(), Instant::now() + Duration::from_secs(51));
    assert_eq!(dialer.shelf.len(), 0);
    ask(&dialer).await.unwrap();
    assert_eq!((connections(), dialer.shelf.len()), (3, 1));
    // A reply is under way when the name moves: its connection leads to the old place, and is not used again.
    let request = Request::new("GET / HTTP/1.1\r\nhost: provider.example\r\n\r\n".into(), &Bytes::new());
    let budget = crate::buffered::Budget::new(1 << 20);
    let mut under_way = dialer.send(&request, PATIENCE).await.unwrap();
    let (other, _) = server("other", "127.0.0.3:0").await;
    *answer.lock().unwrap() = vec![other];
    dialer.names.as_ref().unwrap().look().await.unwrap();
    under_way.body(1 << 10, &mut budget.open()).await.unwrap();
    under_way.release().await;
    assert_eq!(ask(&dialer).await.unwrap(), "other");

    // Closed by the other side: not used again, and gone when somebody looks.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    *answer.lock().unwrap() = vec![listener.local_addr().unwrap()];
    dialer.names.as_ref().unwrap().look().await.unwrap();
    let closes = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo").await.unwrap();
        stream
    });
    assert_eq!(ask(&dialer).await.unwrap(), "two");
    assert_eq!(dialer.shelf.len(), 1);
    drop(closes.await.unwrap());
    let gone = async {
        while dialer.shelf.len() > 0 {
            dialer.shelf.tidy(place.epoch(), Instant::now());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), gone).await.unwrap();
}

#[tokio::test]
async fn an_address_that_refuses_or_says_nothing_costs_no_request() {
    let (good, _) = server("good", "127.0.0.1:0").await;
    let dead = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    // A full backlog: who connects hears nothing.
    let full = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    full.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    full.listen(0).unwrap();
    let silent = full.local_addr().unwrap().as_socket().unwrap();
    let mut fillers = Vec::new();
    for _ in 0..4 {
        fillers.push(tokio::spawn(tokio::net::TcpStream::connect(silent)));
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    for bad in [dead, silent] {
        for family in [[bad, good], [good, bad]] {
            let (dialer, answer) = dialer(true);
            *answer.lock().unwrap() = family.to_vec();
            for _ in 0..3 {
                assert_eq!(ask(&dialer).await.unwrap(), "good");
            }
        }
    }
}

#[tokio::test]
async fn a_name_that_leads_inward_is_not_dialled_whatever_it_said_before() {
    let (inward, connections) = server("inward", "127.0.0.1:0").await;
    let (dialer, answer) = dialer(false);
    *answer.lock().unwrap() = vec![inward];
    let failure = ask(&dialer).await.unwrap_err();
    assert!(failure.message.contains("private"), "{failure:?}");
    assert_eq!(connections.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_proxy_is_asked_for_a_tunnel_with_its_credentials() {
    for (says, expected) in [
        ("HTTP/1.1 200 Connection established\r\n\r\n", Ok("through")),
        ("HTTP/1.1 407 Who are you\r\n\r\n", Err("credentials")),
        ("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", Err("403")),
        ("SSH-2.0-x\r\n\r\n", Err("not HTTP")),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let seen = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = vec![0; 4096];
            let read = stream.read(&mut buffer).await.unwrap();
            stream.write_all(says.as_bytes()).await.unwrap();
            if let Ok(1..) = stream.read(&mut buffer[read..]).await {
                let reply = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nthrough";
                stream.write_all(reply.as_bytes()).await.unwrap();
            }
            String::from_utf8(buffer[..read].to_vec()).unwrap()
        });
        let address = Address::Host { host: "provider.example".into(), port: 443, tls: false };
        let authorization = Some("Basic dTpw".into());
        let proxy = Proxy { host: at.ip().to_string(), port: at.port(), authorization };
        let key = DialKey { proxy: Some(proxy), ..DialKey::plain(address, Duration::from_secs(5), true) };
        let dialer = Arc::new(Dialer::new(&key, Arc::new(connector(&key)), 1, names::system()));
        let answer = ask(&dialer).await;
        match expected {
            Ok(body) => assert_eq!(answer.as_deref(), Ok(body)),
            Err(why) => assert!(answer.as_ref().is_err_and(|no| no.message.contains(why)), "{answer:?}"),
        }
        let head = seen.await.unwrap();
        assert!(
            head.starts_with("CONNECT provider.example:443 HTTP/1.1\r\nHost: provider.example:443\r\n"),
            "{head}"
        );
        assert!(head.contains("\r\nProxy-Authorization: Basic dTpw\r\n"), "{head}");
    }
}

/// Reads one request; whether there was one.
async fn one_request(stream: &mut tokio::net::TcpStream) -> bool {
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\n") {
        if !matches!(stream.read_buf(&mut seen).await, Ok(1..)) {
            return false;
        }
    }
    true
}

/// Answers the first request of each connection, and breaks off after a while when the second has been read. Counts requests.
async fn breaks_off_after(wait: Duration) -> (SocketAddr, Arc<std::sync::atomic::AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, requests) =
        (listener.local_addr().unwrap(), Arc::new(std::sync::atomic::AtomicUsize::new(0)));
    let count = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let count = Arc::clone(&count);
            tokio::spawn(async move {
                for number in 0.. {
                    if !one_request(&mut stream).await {
                        return;
                    }
                    count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if number > 0 {
                        return tokio::time::sleep(wait).await;
                    }
                    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await.unwrap();
                }
            });
        }
    });
    (address, requests)
}

#[tokio::test]
async fn what_may_have_run_is_not_sent_again() {
    for (wait, again) in [(Duration::ZERO, true), (STALE_WITHIN + Duration::from_millis(100), false)] {
        let (at, requests) = breaks_off_after(wait).await;
        let (dialer, answer) = dialer(true);
        *answer.lock().unwrap() = vec![at];
        assert_eq!(ask(&dialer).await.unwrap(), "hi");
        let second = ask(&dialer).await;
        assert_eq!(second.is_ok(), again, "{second:?}");
        let expected = if again { 3 } else { 2 };
        assert_eq!(requests.load(std::sync::atomic::Ordering::Relaxed), expected, "after {wait:?}");
    }
}

/// Answers small requests as usual, and large ones as soon as their heads have come: with `says`, after which it reads
/// the rest or nothing more, and goes or stays.
async fn answers_early(says: &'static str, reads: bool, stays: bool) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, requests) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let count = Arc::clone(&count);
            tokio::spawn(async move {
                while let Some(length) = head(&mut stream).await {
                    count.fetch_add(1, Ordering::Relaxed);
                    if length == 0 {
                        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await.unwrap();
                        continue;
                    }
                    stream.write_all(says.as_bytes()).await.unwrap();
                    if reads {
                        stream.read_exact(&mut vec![0; length]).await.unwrap();
                        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nall").await.unwrap();
                        continue;
                    }
                    if stays {
                        std::future::pending::<()>().await;
                    }
                    return;
                }
            });
        }
    });
    (address, requests)
}

/// Reads one head and no more; how long its body is to be.
async fn head(stream: &mut tokio::net::TcpStream) -> Option<usize> {
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\n") {
        seen.push(stream.read_u8().await.ok()?);
    }
    let seen = String::from_utf8(seen).unwrap();
    Some(
        seen.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap()),
    )
}

/// Asks with eight megabytes, more than the sockets' own buffers take.
async fn ask_at_length(dialer: &Arc<Dialer>) -> Result<(u16, String), Failure> {
    let body = Bytes::from(vec![b' '; 8 << 20]);
    let head = format!("POST / HTTP/1.1\r\nhost: provider.example\r\ncontent-length: {}\r\n\r\n", body.len());
    let request = Request::new(head.as_str().into(), &body);
    let budget = crate::buffered::Budget::new(1 << 20);
    let mut response = dialer.send(&request, PATIENCE).await?;
    let (status, body) = (response.status(), response.body(1 << 10, &mut budget.open()).await?);
    response.release().await;
    Ok((status, String::from_utf8(body.expose().to_vec()).unwrap()))
}

#[tokio::test]
async fn a_reply_that_comes_before_all_of_the_request_is_written_is_the_reply() {
    const CLOSES: &str = "HTTP/1.1 413 Too much\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno";
    const STAYS: &str = "HTTP/1.1 413 Too much\r\nContent-Length: 2\r\n\r\nno";
    for (says, stays) in [(CLOSES, false), (STAYS, false), (CLOSES, true), (STAYS, true)] {
        let (at, requests) = answers_early(says, false, stays).await;
        let (dialer, answer) = dialer(true);
        *answer.lock().unwrap() = vec![at];
        // Over a fresh connection, and over one that was used before.
        for used in [false, true] {
            if used {
                assert_eq!(ask(&dialer).await.unwrap(), "hi");
            }
            let before = requests.load(Ordering::Relaxed);
            assert_eq!(ask_at_length(&dialer).await, Ok((413, "no".to_owned())), "{says} {stays} {used}");
            assert_eq!(requests.load(Ordering::Relaxed), before + 1, "it is not sent again");
            assert_eq!(dialer.shelf.len(), 0, "a connection with half a request on it is not kept");
        }
    }
}

#[tokio::test]
async fn what_is_only_said_on_the_way_does_not_end_the_writing() {
    for says in ["", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"] {
        let (at, _) = answers_early(says, true, true).await;
        let (dialer, answer) = dialer(true);
        *answer.lock().unwrap() = vec![at];
        for _ in 0..2 {
            assert_eq!(ask_at_length(&dialer).await, Ok((200, "all".to_owned())), "{says}");
            assert_eq!(dialer.shelf.len(), 1, "all of it was written");
            assert_eq!(ask(&dialer).await.unwrap(), "hi");
        }
    }
}
