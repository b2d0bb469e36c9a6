//! HTTP/1.1 on connections of our own: what most requests come and go by.
//!
//! Pingora's sessions do for a proxy of everybody what a gateway of whole requests needs a part of. Its listeners, its
//! connector and its streams carry these; HTTP/2 is Pingora's own.
//!
//! # Layout
//!
//! - [`body`]: where a body ends.
//! - [`caller`]: a caller's connection, one request after another.
//! - [`provider`]: a provider's, one request at a time.

pub mod body;
pub mod caller;
pub mod provider;

use crate::alarm::Alarm;
use body::{Body, Garbled, Step};
use bytes::{Buf, Bytes, BytesMut};
use futures::FutureExt;
use http::HeaderMap;
use http::header::CONNECTION;
use pingora::protocols::l4::stream::Stream as Socket;
use pingora::protocols::{ALPN, Stream};
use std::io;
use std::mem::take;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zeroize::Zeroize;

/// Bytes that are read at once, where nobody knows what comes.
const READ: usize = 8 << 10;
/// The same in a body that is known to go on.
const READ_AHEAD: usize = 64 << 10;
/// A read into less room than this would not be worth its call.
const ROOM: usize = 1 << 10;
/// What begins every connection of HTTP/2 (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection, and what has been read from it and not yet looked at.
pub struct Wire {
    stream: Stream,
    buffer: BytesMut,
    /// For whoever waits for something that comes over it.
    alarm: Alarm,
}

/// What a caller's connection speaks.
pub enum Spoken {
    /// HTTP/1.
    One(Wire),
    /// HTTP/2, from its first byte on.
    Two(Stream),
}

/// Why no more of a message comes.
#[derive(Debug)]
pub enum Fault {
    /// The connection has ended.
    Ended,
    /// It has broken.
    Broken,
    /// It is not HTTP as we know it.
    Garbled,
}

impl From<Garbled> for Fault {
    fn from(_: Garbled) -> Self {
        Self::Garbled
    }
}

impl Wire {
    /// A connection from which nothing has been read.
    pub fn new(stream: Stream) -> Self {
        Self { stream, buffer: BytesMut::new(), alarm: Alarm::default() }
    }

    /// Finds out what a caller's connection speaks: TLS has negotiated it; in clear text its first bytes say it. `None`: it
    /// has ended.
    pub async fn listen(stream: Stream) -> Option<Spoken> {
        if stream.get_ssl_digest().is_some() {
            let is_two = matches!(stream.selected_alpn_proto(), Some(ALPN::H2));
            return Some(if is_two { Spoken::Two(stream) } else { Spoken::One(Self::new(stream)) });
        }
        let mut wire = Self::new(stream);
        loop {
            wire.read(READ).await.ok()?;
            if wire.buffer.starts_with(PREFACE) {
                return wire.rewound().map(Spoken::Two);
            }
            if !PREFACE.starts_with(&wire.buffer) {
                return Some(Spoken::One(wire));
            }
        }
    }

    /// The connection as if nothing had been read from it.
    fn rewound(self) -> Option<Stream> {
        let mut socket = self.stream.into_any().downcast::<Socket>().ok()?;
        socket.rewind(&self.buffer);
        Some(socket)
    }

    /// Waits for more bytes; how many came.
    async fn read(&mut self, most: usize) -> Result<usize, Fault> {
        self.make_room(most);
        came(self.stream.read_buf(&mut self.buffer).await)
    }

    /// What watches its deadlines, for the time of a wait.
    pub fn lend_alarm(&mut self) -> Alarm {
        take(&mut self.alarm)
    }

    /// Takes back what was lent.
    pub fn return_alarm(&mut self, alarm: Alarm) {
        self.alarm = alarm;
    }

    /// Whether nothing is to be read: no end, no error, no bytes that nobody has asked for.
    pub fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        // Out of its budget a task would be told to wait, whatever there is to read.
        let read = tokio::task::unconstrained(self.stream.read(&mut byte)).now_or_never();
        if let Some(Ok(1..)) = read {
            tracing::warn!(
                "a provider's idle connection is ended: it says something that nobody has asked for"
            );
        }
        read.is_none()
    }

    /// Says that nothing more is said.
    async fn shut(&mut self) {
        // Nobody may be there to hear it.
        let _ = self.stream.shutdown().await;
    }

    fn make_room(&mut self, most: usize) {
        if self.buffer.capacity() - self.buffer.len() < ROOM.min(most) {
            self.buffer.reserve(most);
        }
    }

    /// The next bytes, which are there; nothing of them stays behind.
    fn take(&mut self, length: usize) -> Bytes {
        let piece = Bytes::copy_from_slice(&self.buffer[..length]);
        self.pass(length);
        piece
    }

    /// Passes over bytes that are there; nothing of them stays behind.
    fn pass(&mut self, length: usize) {
        self.buffer[..length].zeroize();
        self.buffer.advance(length);
    }

    /// Makes the buffer ready for the next message. One that has become large is let go of, for who idles needs none; any other
    /// is written from its beginning again, which is in the processor's cache, where what lies behind may not be.
    fn renew(&mut self) {
        if !self.buffer.is_empty() {
            return;
        }
        if self.buffer.try_reclaim(2 * READ + 1) {
            self.buffer = BytesMut::new();
        } else {
            // More than there is behind what has been read. Where something of that is held still, it stays as it is.
            let _ = self.buffer.try_reclaim(self.buffer.capacity() + 1);
        }
    }
}

/// How many bytes a read brought; none is the end.
fn came(read: io::Result<usize>) -> Result<usize, Fault> {
    match read {
        Ok(0) => Err(Fault::Ended),
        Ok(came) => Ok(came),
        Err(_) => Err(Fault::Broken),
    }
}

/// Whether `Connection` says a word.
fn says(headers: &HeaderMap, what: &str) -> bool {
    let values = headers.get_all(CONNECTION).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|word| word.trim().eq_ignore_ascii_case(what))
}

/// How much to read of a body at once.
fn appetite(body: &Body) -> usize {
    usize::try_from(body.ahead()).unwrap_or(usize::MAX).clamp(READ, READ_AHEAD)
}

/// The next piece of a body that is there; `None`: more has to come first. `Some(None)`: the end.
fn next(wire: &mut Wire, body: &mut Body) -> Result<Option<Option<Bytes>>, Garbled> {
    Ok(match body.step(&mut wire.buffer)? {
        Step::Piece(length) => Some(Some(wire.take(length))),
        Step::End => Some(None),
        Step::More => None,
    })
}
