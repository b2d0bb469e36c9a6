//! A connection over which a reply is read while the rest of its request is being written.

use async_trait::async_trait;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, Stream,
    TimingDigest, UniqueID, UniqueIDType,
};
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use weir_llm::payload::Payload;

/// Writes the rest of a request whenever somebody reads: who answers before all of it has come may take no more of it.
pub(super) struct Duplex {
    stream: Stream,
    rest: Rest,
}

enum Rest {
    /// So many bytes of it are written.
    Left(Payload, usize),
    /// All of it is written.
    Written,
    /// The other side takes no more.
    Refused,
}

impl Duplex {
    pub(super) fn new(stream: Stream, rest: Payload) -> Self {
        Self { stream, rest: Rest::Left(rest, 0) }
    }

    /// The connection itself, if all of the request has gone over it; as it is if it is none of these.
    pub(super) fn written(stream: Stream) -> Option<Stream> {
        if !stream.as_any().is::<Self>() {
            return Some(stream);
        }
        let duplex = stream.into_any().downcast::<Self>().ok()?;
        matches!(duplex.rest, Rest::Written).then_some(duplex.stream)
    }

    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Rest::Left(rest, written) = &mut self.rest else { return Poll::Ready(Ok(())) };
        while let Some(left @ [_, ..]) = rest.expose().get(*written..) {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, left))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                more => *written += more,
            }
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }
}

impl AsyncRead for Duplex {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if matches!(self.rest, Rest::Left(..))
            && let Poll::Ready(written) = self.poll_rest(cx)
        {
            // Why no more was taken stands in the reply, if there is one.
            self.rest = if written.is_ok() { Rest::Written } else { Rest::Refused };
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Duplex {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[async_trait]
impl Shutdown for Duplex {
    async fn shutdown(&mut self) {
        // Behind half a request no farewell gets through; to wait for it would be to wait for ever.
        if matches!(self.rest, Rest::Written) {
            self.stream.shutdown().await;
        }
    }
}

impl UniqueID for Duplex {
    fn id(&self) -> UniqueIDType {
        self.stream.id()
    }
}

impl GetTimingDigest for Duplex {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.stream.get_timing_digest()
    }
}

impl GetProxyDigest for Duplex {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.stream.get_proxy_digest()
    }
}

impl GetSocketDigest for Duplex {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.stream.get_socket_digest()
    }
}

impl Ssl for Duplex {}

impl Peek for Duplex {}

impl fmt::Debug for Duplex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Duplex").field("stream", &self.stream).finish_non_exhaustive()
    }
}
