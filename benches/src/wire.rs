//! As much HTTP/1.1 as the mock and the load generator need: keep-alive, `Content-Length`, chunked replies.

use bytes::{Buf, Bytes, BytesMut};
use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::failure::{Failure, Result};

/// A connection and what has been read from it and not yet used.
pub struct Conn {
    socket: TcpStream,
    inbox: BytesMut,
}

/// One request on a connection of its own, for what is asked rarely: status and body.
pub fn ask(address: &str, method: &str, path: &str, token: Option<&str>) -> Result<(u16, Bytes)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { Conn::open(address).await?.ask(address, method, path, token).await })
}

/// Sends one body and reads the whole reply, on a connection of its own.
pub fn post(address: &str, path: &str, body: &[u8]) -> Result<(u16, Bytes)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let head = format!("POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\n\r\n", body.len());
    runtime.block_on(async {
        let mut conn = Conn::open(address).await?;
        conn.send(&[head.as_bytes(), body].concat()).await?;
        conn.reply().await
    })
}

/// A message head: the start line and the lines after it.
pub struct Head(Bytes);

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// After this many bytes.
    Length(usize),
    /// With an empty chunk.
    Chunked,
}

impl Conn {
    /// A connection over an open socket.
    pub fn new(socket: TcpStream) -> Result<Conn> {
        socket.set_nodelay(true)?;
        Ok(Conn { socket, inbox: BytesMut::with_capacity(8192) })
    }

    /// Connects to `address`.
    pub async fn open(address: &str) -> Result<Conn> {
        Conn::new(TcpStream::connect(address).await?)
    }

    /// Sends all of `bytes`.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.socket.write_all(bytes).await?)
    }

    /// Sends a request without a body and reads the whole reply.
    pub async fn ask(
        &mut self,
        host: &str,
        method: &str,
        path: &str,
        token: Option<&str>,
    ) -> Result<(u16, Bytes)> {
        let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        let request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{token}Content-Length: 0\r\n\r\n");
        self.send(request.as_bytes()).await?;
        self.reply().await
    }

    async fn reply(&mut self) -> Result<(u16, Bytes)> {
        let head = self.head().await?.ok_or_else(|| cut("a reply"))?;
        Ok((head.status(), self.body(head.framing()?).await?))
    }

    /// The next head; none when the peer closed between two messages.
    pub async fn head(&mut self) -> Result<Option<Head>> {
        let mut searched = 0;
        loop {
            if let Some(end) = memmem::find(&self.inbox[searched..], b"\r\n\r\n") {
                return Ok(Some(Head(self.inbox.split_to(searched + end + 4).freeze())));
            }
            searched = self.inbox.len().saturating_sub(3);
            if !self.fill().await? {
                return if self.inbox.is_empty() { Ok(None) } else { Err(cut("a head")) };
            }
        }
    }

    /// The whole body after a head.
    pub async fn body(&mut self, framing: Framing) -> Result<Bytes> {
        match framing {
            Framing::Length(length) => self.exactly(length).await,
            Framing::Chunked => {
                let mut body = BytesMut::new();
                while let Some(chunk) = self.chunk().await? {
                    body.extend_from_slice(&chunk);
                }
                Ok(body.freeze())
            }
        }
    }

    /// The next chunk of a chunked body; none at its end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        let size = loop {
            if let Some(end) = memmem::find(&self.inbox, b"\r\n") {
                let line = self.inbox.split_to(end + 2);
                break chunk_size(&line[..end])?;
            }
            if !self.fill().await? {
                return Err(cut("a chunked body"));
            }
        };
        let mut data = self.exactly(size + 2).await?;
        if !data.ends_with(b"\r\n") {
            return Err(Failure::new("a chunk without its line end"));
        }
        data.truncate(size);
        Ok((size > 0).then_some(data))
    }

    async fn exactly(&mut self, length: usize) -> Result<Bytes> {
        while self.inbox.len() < length {
            if !self.fill().await? {
                return Err(cut("a body"));
            }
        }
        Ok(self.inbox.split_to(length).freeze())
    }

    async fn fill(&mut self) -> Result<bool> {
        self.inbox.reserve(4096);
        Ok(self.socket.read_buf(&mut self.inbox).await? > 0)
    }
}

impl Head {
    /// The reply's status; 0 if the start line has none.
    pub fn status(&self) -> u16 {
        let code = self.0.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok());
        code.and_then(|digits| digits.parse().ok()).unwrap_or(0)
    }

    /// The request's method and path.
    pub fn request(&self) -> (&[u8], &[u8]) {
        let line = memmem::find(&self.0, b"\r\n").map_or(&self.0[..], |end| &self.0[..end]);
        let mut words = line.split(|byte| *byte == b' ');
        (words.next().unwrap_or(b""), words.next().unwrap_or(b""))
    }

    /// The value of the first header of that name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.0.chunk().split(|byte| *byte == b'\n').skip(1);
        lines.find_map(|line| {
            let (left, right) = line.split_at_checked(name.len())?;
            let value = right.strip_prefix(b":")?;
            let same = left.eq_ignore_ascii_case(name.as_bytes());
            same.then(|| std::str::from_utf8(value).ok().map(str::trim)).flatten()
        })
    }

    /// Whether no other message follows on this connection.
    pub fn closes(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    /// How the body after this head ends; a message with neither header has none.
    pub fn framing(&self) -> Result<Framing> {
        if self.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            return Ok(Framing::Chunked);
        }
        let length = self.header("content-length").map_or(Ok(0), str::parse);
        length.map(Framing::Length).map_err(|_| Failure::new("a Content-Length that is no number"))
    }
}

fn chunk_size(line: &[u8]) -> Result<usize> {
    let digits = std::str::from_utf8(line).ok().and_then(|line| line.split(';').next());
    let size = digits.and_then(|digits| usize::from_str_radix(digits.trim(), 16).ok());
    size.ok_or_else(|| Failure::new("a chunk without a size"))
}

fn cut(what: &str) -> Failure {
    Failure::new(format!("connection closed inside {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_says_whether_its_connection_goes_on() {
        let head = |lines: &'static str| Head(Bytes::from_static(lines.as_bytes()));
        assert!(head("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nConnection: Close\r\n\r\n").closes());
        assert!(!head("HTTP/1.1 200 OK\r\nconnection: keep-alive\r\n\r\n").closes());
        assert!(!head("HTTP/1.1 200 OK\r\nx-connection: close\r\n\r\n").closes());
    }
}
