//! Connects to the first address that answers (RFC 8305, without its finer points), or through a proxy.

use super::failure::PROXY;
use super::names::Names;
use super::{Address, DialKey, Proxy};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use pingora::connectors::L4Connect;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::stream::Stream;
use pingora::{Error, ErrorType, OrErr};
use std::fmt;
use std::io;
use std::net::SocketAddr as Inet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An address that has not answered for so long gets company.
const STAGGER: Duration = Duration::from_millis(250);
/// Longest head of a proxy's answer.
const PROXY_HEAD: usize = 8 << 10;

/// Dials one endpoint.
pub(super) struct Dial {
    names: Arc<Names>,
    tunnel: Option<Tunnel>,
}

/// What to ask of a proxy.
struct Tunnel {
    proxy: Proxy,
    /// `host:port`
    target: String,
}

impl Dial {
    pub(super) fn new(key: &DialKey, names: Arc<Names>) -> Self {
        let target = match &key.address {
            Address::Host { host, port, .. } if host.contains(':') => format!("[{host}]:{port}"),
            Address::Host { host, port, .. } => format!("{host}:{port}"),
            Address::Socket(_) => String::new(),
        };
        let tunnel = key.proxy.clone().map(|proxy| Tunnel { proxy, target });
        Self { names, tunnel }
    }

    /// The connection that is there first. Each further address is tried when the one before failed, or is slow.
    async fn race(&self) -> io::Result<TcpStream> {
        let mut waiting = self.names.order().into_iter();
        let mut trying = FuturesUnordered::new();
        let mut began: Vec<(Inet, Instant)> = Vec::new();
        let mut last = io::Error::other("there is no address");
        loop {
            if let Some(at) = waiting.next() {
                began.push((at, Instant::now()));
                trying.push(async move { (at, TcpStream::connect(at).await) });
            }
            let ended = tokio::select! {
                biased;
                ended = trying.next() => ended,
                () = tokio::time::sleep(STAGGER), if waiting.len() > 0 => continue,
            };
            match ended {
                Some((at, Ok(stream))) => {
                    let slow =
                        began.iter().filter(|(other, since)| *other != at && since.elapsed() >= STAGGER);
                    slow.for_each(|(other, _)| self.names.set_aside(*other));
                    return Ok(stream);
                }
                Some((at, Err(error))) => {
                    self.names.set_aside(at);
                    began.retain(|(other, _)| *other != at);
                    last = error;
                }
                None => return Err(last),
            }
        }
    }
}

#[async_trait::async_trait]
impl L4Connect for Dial {
    async fn connect(&self, _: &SocketAddr) -> pingora::Result<Stream> {
        let mut stream = self.race().await.map_err(|error| {
            let kind = match error.kind() {
                io::ErrorKind::ConnectionRefused => ErrorType::ConnectRefused,
                io::ErrorKind::TimedOut => ErrorType::ConnectTimedout,
                _ => ErrorType::ConnectError,
            };
            Error::because(kind, "while connecting", error)
        })?;
        if let Some(tunnel) = &self.tunnel {
            tunnel.open(&mut stream).await?;
        }
        Ok(stream.into())
    }
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dial").finish_non_exhaustive()
    }
}

impl Tunnel {
    async fn open(&self, stream: &mut TcpStream) -> pingora::Result<()> {
        let target = &self.target;
        let mut ask = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
        if let Some(authorization) = &self.proxy.authorization {
            ask.push_str(&format!("Proxy-Authorization: {authorization}\r\n"));
        }
        ask.push_str("\r\n");
        stream.write_all(ask.as_bytes()).await.or_err(PROXY, "the proxy broke off")?;
        let mut head = Vec::with_capacity(256);
        // The other side speaks only when it is spoken to, so nothing can have come behind the head.
        while !head.ends_with(b"\r\n\r\n") {
            let read = stream.read_buf(&mut head).await.or_err(PROXY, "the proxy broke off")?;
            if read == 0 || head.len() > PROXY_HEAD {
                return Error::e_explain(PROXY, "the proxy's answer is not HTTP as we know it");
            }
        }
        match status(&head) {
            Some(200..300) => Ok(()),
            Some(407) => Error::e_explain(PROXY, "the proxy wants other credentials: look at `proxy`"),
            Some(status) => {
                Error::e_explain(PROXY, format!("the proxy does not lead there: it answered {status}"))
            }
            None => Error::e_explain(PROXY, "the proxy's answer is not HTTP as we know it"),
        }
    }
}

fn status(head: &[u8]) -> Option<u16> {
    std::str::from_utf8(head.get(..12)?).ok()?.strip_prefix("HTTP/1.")?.get(2..)?.parse().ok()
}
