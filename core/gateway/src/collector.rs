//! The way to an OpenTelemetry collector: over the dialer that leads to providers too, so that a name is resolved and
//! judged once, and what is judged is what is dialled. Redirects are answers like any other.
//!
//! What it does not do: proxies, HTTP/2, client certificates.

use crate::telemetry::otlp::{Carrier, Options, Reply};
use crate::upstream::{
    Address, DialKey, Dialer, Failure, Patience, Request, Response, Upstreams, retry_after_ms,
};
use bytes::{Bytes, BytesMut};
use http::Uri;
use http::uri::Scheme;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

/// Of a reply no more is read.
const REPLY_MAX: usize = 64 << 10;
/// Until connected, TLS included.
const CONNECT: Duration = Duration::from_secs(5);

/// One POST a connection, from the sender's own thread.
struct Road {
    /// The sender is a plain thread without a runtime.
    runtime: Runtime,
    dialer: Arc<Dialer>,
    /// The header lines of every request, ready for the wire.
    lines: Bytes,
}

/// The way to the collector that the options name.
///
/// # Errors
/// Its address is none, or there is no runtime.
pub fn carry(options: &Options) -> io::Result<Box<dyn Carrier>> {
    let to: Uri = options.endpoint.parse().map_err(io::Error::other)?;
    let host = to.host().ok_or_else(|| io::Error::other("the endpoint has no host"))?;
    let tls = to.scheme() == Some(&Scheme::HTTPS);
    let address = Address::Host {
        host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
        port: to.port_u16().unwrap_or(if tls { 443 } else { 80 }),
        tls,
    };
    // The operator's own word leads there, as to a provider: a collector is beside Weir most of the time.
    let key = DialKey::plain(address, CONNECT, true);
    Ok(Box::new(Road {
        runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?,
        // Its connections belong to the sender's runtime, so they are not the providers'.
        dialer: Upstreams::default().dialer(&key),
        lines: lines(&to, &options.headers),
    }))
}

fn lines(to: &Uri, headers: &[(String, String)]) -> Bytes {
    let authority = to.authority().map_or("", |authority| authority.as_str());
    let host = authority.rsplit('@').next().unwrap_or(authority);
    let mut lines = BytesMut::new();
    let mut line = |name: &str, value: &str| {
        for part in [name, ": ", value, "\r\n"] {
            lines.extend_from_slice(part.as_bytes());
        }
    };
    line("host", host);
    line("connection", "close");
    line("user-agent", concat!("weir/", env!("CARGO_PKG_VERSION")));
    line("content-type", "application/x-protobuf");
    line("content-encoding", "gzip");
    headers.iter().for_each(|(name, value)| line(name, value));
    lines.freeze()
}

impl Carrier for Road {
    fn send(&self, to: &Uri, gzip: &[u8], timeout: Duration) -> io::Result<Reply> {
        let exchange = async { tokio::time::timeout(timeout, self.exchange(to, gzip, timeout)).await };
        self.runtime
            .block_on(exchange)?
            .map_err(|failure| io::Error::other(failure.message.replace("the provider", "the collector")))
    }
}

impl Road {
    async fn exchange(&self, to: &Uri, body: &[u8], timeout: Duration) -> Result<Reply, Failure> {
        let path = to.path_and_query().map_or("/", |path| path.as_str());
        let mut head = BytesMut::with_capacity(self.lines.len() + path.len() + 64 + body.len());
        for part in ["POST ", path, " HTTP/1.1\r\n"] {
            head.extend_from_slice(part.as_bytes());
        }
        head.extend_from_slice(&self.lines);
        head.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
        let request = Request::new(head, &Bytes::copy_from_slice(body));
        let mut response =
            self.dialer.send(&request, Patience { first_byte: timeout, idle: timeout }).await?;
        let retry_after = retry_after_ms(|name| response.header(name)).map(u64::from);
        Ok(Reply {
            status: response.status(),
            retry_after: retry_after.map(Duration::from_millis),
            body: body_of(&mut response).await?,
        })
    }
}

/// The beginning of the body. The connection ends with it.
async fn body_of(response: &mut Response) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while body.len() < REPLY_MAX
        && let Some(chunk) = response.chunk().await?
    {
        let room = chunk.len().min(REPLY_MAX - body.len());
        body.extend_from_slice(&chunk.expose()[..room]);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::GenAi;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    /// Answers one request a connection; what came.
    fn answers(listener: TcpListener, replies: Vec<&'static str>) -> Vec<String> {
        let answer = |reply: &'static str| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut came = Vec::new();
            // The messages here are three bytes.
            while !came.ends_with(b"\r\n\r\nabc") {
                let mut some = [0; 1024];
                let read = stream.read(&mut some).unwrap();
                assert!(read > 0, "it broke off");
                came.extend_from_slice(&some[..read]);
            }
            stream.write_all(reply.as_bytes()).unwrap();
            String::from_utf8(came).unwrap()
        };
        replies.into_iter().map(answer).collect()
    }

    #[test]
    fn a_collector_is_found_by_name_and_whatever_it_answers_is_an_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let options = Options {
            // It leads to an address of IPv6 too, where nobody listens.
            endpoint: format!("http://localhost:{port}/base"),
            headers: vec![("x-token".into(), "s3cret".into())],
            traces: true,
            share: 1.0,
            metrics: None,
            access: false,
            warnings: false,
            genai: GenAi::V1_41,
        };
        let replies = vec![
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n1\r\n!\r\n0\r\n\r\n",
            "HTTP/1.1 307 Elsewhere\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 429 Later\r\ndate: Sat, 28 Nov 2026 14:00:00 GMT\r\n\
             retry-after: Sat, 28 Nov 2026 14:00:03 GMT\r\ncontent-length: 0\r\n\r\n",
        ];
        let serving = std::thread::spawn(move || answers(listener, replies));
        let road = carry(&options).unwrap();
        let to: Uri = format!("http://localhost:{port}/base/v1/traces").parse().unwrap();
        let send = || road.send(&to, b"abc", Duration::from_secs(20)).unwrap();
        let (whole, elsewhere, later) = (send(), send(), send());
        assert_eq!((whole.status, whole.body.as_slice()), (200, &b"ok!"[..]));
        assert_eq!(elsewhere.status, 307, "nobody goes there");
        assert_eq!((later.status, later.retry_after), (429, Some(Duration::from_secs(3))));
        for came in serving.join().unwrap() {
            assert!(came.starts_with("POST /base/v1/traces HTTP/1.1\r\n"), "{came}");
            for line in
                [&format!("host: localhost:{port}\r\n"), "x-token: s3cret\r\n", "connection: close\r\n"]
            {
                assert!(came.contains(line), "{line}: {came}");
            }
        }
        // Nobody listens any more, and that is said in a collector's words.
        let error = road.send(&to, b"abc", Duration::from_secs(20)).err().unwrap().to_string();
        assert!(error.contains("refused") && !error.contains("provider"), "{error}");
    }
}
