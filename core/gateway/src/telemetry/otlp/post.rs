//! The HTTP client of the sender: one POST a connection, from the sender's own thread.
//!
//! Enough for a collector next door or behind TLS. What it does not do: proxies, redirects, HTTP/2, client certificates,
//! and chunked reply bodies (read as empty: a collector that has taken everything says nothing).

use http::Uri;
use http::uri::Scheme;
use pingora::tls::{ClientConfig, RootCertStore, ServerName, TlsConnector};
use std::fmt::Write as _;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

/// Of a reply no more is read.
const REPLY_MAX: u64 = 64 << 10;

/// The client; `https` trusts the system's roots.
pub(super) struct Post {
    /// The sender is a plain thread without a runtime.
    runtime: Runtime,
    tls: Option<TlsConnector>,
    /// The operator's header lines, ready for the wire.
    lines: String,
}

/// What a collector answered.
pub(super) struct Reply {
    pub(super) status: u16,
    /// `Retry-After` in seconds.
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Vec<u8>,
}

impl Post {
    pub(super) fn new(tls: bool, headers: &[(String, String)]) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let lines = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        Ok(Self { runtime, tls: tls.then(connector).transpose()?, lines })
    }

    /// Sends a protobuf message that is compressed already, and waits for the answer.
    pub(super) fn send(&self, to: &Uri, gzip: &[u8], timeout: Duration) -> io::Result<Reply> {
        let exchange = async { tokio::time::timeout(timeout, self.exchange(to, gzip)).await? };
        parse(&self.runtime.block_on(exchange)?)
    }

    async fn exchange(&self, to: &Uri, body: &[u8]) -> io::Result<Vec<u8>> {
        let host = to.host().ok_or_else(|| io::Error::other("the endpoint has no host"))?;
        let secure = to.scheme() == Some(&Scheme::HTTPS);
        let port = to.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let head = self.head(to, body.len());
        let stream = TcpStream::connect((bare, port)).await?;
        match self.tls.as_ref().filter(|_| secure) {
            None => talk(stream, &head, body).await,
            Some(tls) => {
                let name = ServerName::try_from(bare.to_owned()).map_err(io::Error::other)?;
                talk(tls.connect(name, stream).await?, &head, body).await
            }
        }
    }

    fn head(&self, to: &Uri, length: usize) -> String {
        let path = to.path_and_query().map_or("/", |path| path.as_str());
        let authority = to.authority().map_or("", |authority| authority.as_str());
        let host = authority.rsplit('@').next().unwrap_or(authority);
        let mut head = format!("POST {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
        head.push_str(concat!("user-agent: weir/", env!("CARGO_PKG_VERSION"), "\r\n"));
        head.push_str("content-type: application/x-protobuf\r\ncontent-encoding: gzip\r\n");
        head.push_str(&self.lines);
        // Writing to a string does not fail.
        write!(head, "content-length: {length}\r\n\r\n").ok();
        head
    }
}

fn connector() -> io::Result<TlsConnector> {
    pingora::tls::install_default_crypto_provider();
    let mut roots = RootCertStore::empty();
    pingora::tls::load_platform_certs_incl_env_into_store(&mut roots).map_err(io::Error::other)?;
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn talk(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    head: &str,
    body: &[u8],
) -> io::Result<Vec<u8>> {
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await?;
    stream.flush().await?;
    let mut reply = Vec::new();
    let mut stream = stream.take(REPLY_MAX);
    // Who keeps the connection open all the same is not waited for.
    while !is_whole(&reply) && stream.read_buf(&mut reply).await? > 0 {}
    Ok(reply)
}

/// Whether all of a reply is there that its head speaks of; one that says nothing ends with its connection.
fn is_whole(reply: &[u8]) -> bool {
    let Some((head, body)) = split(reply) else { return false };
    match header(head, "content-length").and_then(|length| length.parse::<usize>().ok()) {
        Some(length) => body.len() >= length,
        None => header(head, "transfer-encoding").is_some(),
    }
}

/// Head and body, once the head is there.
fn split(reply: &[u8]) -> Option<(&str, &[u8])> {
    let end = reply.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some((std::str::from_utf8(&reply[..end]).unwrap_or_default(), &reply[end + 4..]))
}

fn header<'a>(head: &'a str, wanted: &str) -> Option<&'a str> {
    let mut all = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
    all.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim())
}

/// The status, when to come again, and the body as far as it is not chunked.
fn parse(reply: &[u8]) -> io::Result<Reply> {
    let (head, body) = split(reply).ok_or_else(|| io::Error::other("the reply has no end of its head"))?;
    let status = head.split(' ').nth(1).and_then(|status| status.get(..3)?.parse().ok());
    let status = status.ok_or_else(|| io::Error::other("the reply has no status"))?;
    let retry_after =
        header(head, "retry-after").and_then(|value| value.parse().ok()).map(Duration::from_secs);
    let body = if header(head, "transfer-encoding").is_some() { &[][..] } else { body };
    Ok(Reply { status, retry_after, body: body.to_vec() })
}
