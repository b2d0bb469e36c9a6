//! The HTTP client of the exporter: one POST a connection, from the exporter's own thread.
//!
//! Enough for a collector next door or behind TLS. What it does not do: proxies, redirects, HTTP/2, compression, client
//! certificates, and chunked reply bodies (read as empty: all that matters of a reply is its status).

use async_trait::async_trait;
use http::uri::Scheme;
use http::{Request, Response, Uri};
use opentelemetry_http::{Bytes, HttpClient, HttpError};
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
    /// The exporter calls from a plain thread without a runtime.
    runtime: Runtime,
    tls: Option<TlsConnector>,
    timeout: Duration,
}

impl Post {
    pub(super) fn new(tls: bool, timeout: Duration) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { runtime, tls: tls.then(connector).transpose()?, timeout })
    }

    async fn send(&self, request: &Request<Bytes>) -> io::Result<Vec<u8>> {
        let uri = request.uri();
        let host = uri.host().ok_or_else(|| io::Error::other("the endpoint has no host"))?;
        let secure = uri.scheme() == Some(&Scheme::HTTPS);
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let stream = TcpStream::connect((bare, port)).await?;
        match self.tls.as_ref().filter(|_| secure) {
            None => talk(stream, request).await,
            Some(tls) => {
                let name = ServerName::try_from(bare.to_owned()).map_err(io::Error::other)?;
                talk(tls.connect(name, stream).await?, request).await
            }
        }
    }
}

#[async_trait]
impl HttpClient for Post {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let reply = async { tokio::time::timeout(self.timeout, self.send(&request)).await? };
        parse(&self.runtime.block_on(reply)?)
    }
}

impl std::fmt::Debug for Post {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Post").field("timeout", &self.timeout).finish_non_exhaustive()
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
    request: &Request<Bytes>,
) -> io::Result<Vec<u8>> {
    stream.write_all(head(request).as_bytes()).await?;
    stream.write_all(request.body()).await?;
    stream.flush().await?;
    let mut reply = Vec::new();
    stream.take(REPLY_MAX).read_to_end(&mut reply).await?;
    Ok(reply)
}

fn head(request: &Request<Bytes>) -> String {
    let uri: &Uri = request.uri();
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let host = authority.rsplit('@').next().unwrap_or(authority);
    let mut head = format!("POST {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
    for (name, value) in request.headers() {
        if let Ok(value) = value.to_str() {
            // Writing to a string does not fail.
            write!(head, "{name}: {value}\r\n").ok();
        }
    }
    write!(head, "content-length: {}\r\n\r\n", request.body().len()).ok();
    head
}

/// Status, headers, and the body as far as it is not chunked.
fn parse(reply: &[u8]) -> Result<Response<Bytes>, HttpError> {
    let end =
        reply.windows(4).position(|four| four == b"\r\n\r\n").ok_or("the reply has no end of its head")?;
    let head = std::str::from_utf8(&reply[..end])?;
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or("").split(' ').nth(1).unwrap_or("");
    let mut response = Response::builder().status(status);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        response = response.header(name, value.trim());
    }
    let chunked = head.to_ascii_lowercase().contains("\r\ntransfer-encoding:");
    let body = if chunked { &[][..] } else { &reply[end + 4..] };
    Ok(response.body(Bytes::copy_from_slice(body))?)
}
