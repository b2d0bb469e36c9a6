//! A caller's side of one exchange, whatever it came over: HTTP/1 is ours, HTTP/2 Pingora's.

use super::respond::{Gone, Head};
use crate::refusal::Refusal;
use crate::spare;
use crate::wire::caller::{Caller, NoRequest};
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderName, HeaderValue, StatusCode, request};
use pingora::ErrorType;
use pingora::http::ResponseHeader;
use pingora::protocols::SocketDigest;
use pingora::protocols::http::ServerSession;
use std::sync::Arc;
use std::time::Duration;

/// A session with a caller.
pub enum Session {
    /// A connection of HTTP/1, with one request after another.
    One(Box<Caller>),
    /// A stream of HTTP/2.
    Two(Box<ServerSession>),
}

/// What a body breaks off with.
#[derive(Debug)]
pub struct BrokeOff;

impl Session {
    /// Whether it is a stream of HTTP/2.
    pub const fn is_two(&self) -> bool {
        matches!(self, Self::Two(_))
    }

    /// The head of the request.
    pub fn head(&self) -> &request::Parts {
        match self {
            Self::One(one) => one.head(),
            Self::Two(two) => two.req_header(),
        }
    }

    /// What the kernel knows of its connection.
    pub fn socket(&self) -> Option<Arc<SocketDigest>> {
        match self {
            Self::One(one) => one.socket().cloned(),
            Self::Two(two) => two.digest().and_then(|digest| digest.socket_digest.clone()),
        }
    }

    /// Waits for the head of the next request, of at most `limit` bytes. `false`: no more requests come.
    ///
    /// # Errors
    /// What comes is none.
    pub async fn read_head(&mut self, limit: usize) -> Result<bool, NoRequest> {
        match self {
            Self::One(one) => one.read_head(limit).await,
            Self::Two(two) => two.read_request().await.map_err(|_| NoRequest),
        }
    }

    /// Why the request cannot be served, if its head says so. Pingora has refused such heads itself in HTTP/2.
    pub fn take_fault(&mut self) -> Option<Refusal> {
        match self {
            Self::One(one) => one.take_fault(),
            Self::Two(_) => None,
        }
    }

    /// Says 400 and no more, for nothing of the head can be trusted.
    pub async fn say_no(&mut self) {
        self.close();
        // Nobody may be there.
        let _ = match self {
            Self::One(one) => {
                one.say(Head::new(StatusCode::BAD_REQUEST, Some(0)));
                one.write(Bytes::new(), true).await
            }
            Self::Two(two) => two.respond_error(400).await.map_err(|_| Gone),
        };
    }

    /// How long writes may take. In HTTP/1 `write` is for a whole piece; in HTTP/2 `stall` is for each part of it that the
    /// caller takes.
    pub fn set_patience(&mut self, write: Duration, stall: Duration) {
        match self {
            Self::One(one) => one.set_patience(write),
            Self::Two(two) => two.set_write_timeout(Some(stall)),
        }
    }

    /// No other request follows on its connection. A connection of HTTP/2 goes on.
    pub fn close(&mut self) {
        match self {
            Self::One(one) => one.close(),
            Self::Two(_) => {}
        }
    }

    /// The next piece of the body; `None`: it has been read.
    ///
    /// # Errors
    /// It breaks off.
    pub async fn read_body(&mut self) -> Result<Option<Bytes>, BrokeOff> {
        match self {
            Self::One(one) => one.read_body().await.map_err(|_| BrokeOff),
            Self::Two(two) => two.read_request_body().await.map_err(|_| BrokeOff),
        }
    }

    /// Says that the body is wanted.
    ///
    /// # Errors
    /// The caller has gone.
    pub async fn say_continue(&mut self) -> Result<(), Gone> {
        match self {
            Self::One(one) => one.say_continue().await,
            Self::Two(two) => two.write_continue_response().await.map_err(|_| Gone),
        }
    }

    /// Waits for the caller to leave. Comes back with `Ok` when it is no more to be told, because bytes have come that nobody
    /// has asked for: the connection is closed after the reply.
    ///
    /// # Errors
    /// The caller has gone.
    pub async fn leaves(&mut self) -> Result<(), Gone> {
        match self {
            Self::One(one) => {
                one.leaves().await?;
                one.close();
                Ok(())
            }
            Self::Two(two) => match two.read_body_or_idle(true).await {
                Err(error) if *error.etype() == ErrorType::ConnectError => Ok(()),
                _ => Err(Gone),
            },
        }
    }

    /// Says a head.
    ///
    /// # Errors
    /// The caller has gone.
    pub async fn say(&mut self, head: Head) -> Result<(), Gone> {
        match self {
            Self::One(one) => {
                one.say(head);
                Ok(())
            }
            Self::Two(two) => {
                let said = in_two(&head);
                spare::give(head.into_text());
                two.write_response_header(Box::new(said.map_err(|_| Gone)?)).await.map_err(|_| Gone)
            }
        }
    }

    /// Writes a piece of the body. `last`: nothing follows it.
    ///
    /// # Errors
    /// The caller has gone, or takes nothing.
    pub async fn write(&mut self, piece: Bytes, last: bool) -> Result<(), Gone> {
        match self {
            Self::One(one) => one.write(piece, last).await,
            Self::Two(two) => two.write_response_body(piece, last).await.map_err(|_| Gone),
        }
    }

    /// Writes a head that waits for what follows it.
    ///
    /// # Errors
    /// The caller has gone, or takes nothing.
    pub async fn flush(&mut self) -> Result<(), Gone> {
        match self {
            Self::One(one) => one.flush().await,
            Self::Two(_) => Ok(()),
        }
    }

    /// Ends a connection whose request has not been read to its end, gently.
    pub async fn linger(&mut self) {
        if let Self::One(one) = self {
            one.linger().await;
        }
    }

    /// Ends the exchange; whether another request may come.
    pub async fn finish(&mut self) -> bool {
        match self {
            Self::One(one) => one.finish().await,
            Self::Two(two) => {
                // Its caller may have gone.
                let _ = two.finish_body().await;
                false
            }
        }
    }
}

/// A head as Pingora has it.
fn in_two(head: &Head) -> pingora::Result<ResponseHeader> {
    let mut two = ResponseHeader::build(head.status(), None)?;
    for (name, value) in head.fields() {
        // Nobody writes another.
        let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) else {
            continue;
        };
        two.append_header(name, value)?;
    }
    if let Some(length) = head.length() {
        two.insert_header(CONTENT_LENGTH, length)?;
    }
    Ok(two)
}
