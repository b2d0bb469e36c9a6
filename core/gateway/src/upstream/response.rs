//! A reply, whatever it came over.

use super::inflate::Inflate;
use super::{Dialer, Failure};
use crate::alarm::{Alarm, Late};
use crate::buffered::Held;
use crate::wire::provider::Provider;
use bytes::Bytes;
use http::response::Parts;
use pingora::protocols::http::v2::client::Http2Session;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use weir_llm::payload::{Passing, Payload, Pieces};
use weir_policy::ErrorClass;

/// How long the end of a body may lag behind its last event.
const LINGER: Duration = Duration::from_millis(100);

/// What a reply comes over. In a box: it is handed on through every future from the dialer to the reply, and each of them
/// would have room for it and copy it.
pub(super) enum Session {
    One(Box<Provider>, u64),
    Two(Box<Http2Session>),
}

/// No more comes, and what has come is not all.
struct BrokeOff;

impl Session {
    fn head(&self) -> Option<&Parts> {
        match self {
            Self::One(one, _) => Some(one.head()),
            Self::Two(two) => two.response_header().map(|head| &**head),
        }
    }

    /// The next piece of the body; what was read is what the other side may send anew.
    async fn read(&mut self) -> Result<Option<Bytes>, BrokeOff> {
        match self {
            Self::One(one, _) => one.read().await.map_err(|_| BrokeOff),
            Self::Two(two) => loop {
                let piece = two.read_response_body().await.map_err(|_| BrokeOff)?;
                // An empty frame is no piece.
                if piece.as_ref().is_none_or(|piece| !piece.is_empty()) {
                    return Ok(piece);
                }
            },
        }
    }

    /// Ends it before its time. A stream is reset; its connection goes on.
    async fn cut(&mut self) {
        match self {
            Self::One(one, _) => one.shut().await,
            Self::Two(two) => two.shutdown(),
        }
    }
}

/// A reply whose head has come.
pub struct Response {
    session: Session,
    dialer: Arc<Dialer>,
    idle: Duration,
    alarm: Alarm,
    /// What undoes the body's compression, if it has any.
    inflate: Option<Inflate>,
}

impl Response {
    pub(super) const fn new(session: Session, dialer: Arc<Dialer>, idle: Duration, alarm: Alarm) -> Self {
        Self { session, dialer, idle, alarm, inflate: None }
    }

    /// The head of the reply.
    pub fn head(&self) -> Option<&Parts> {
        self.session.head()
    }

    /// The reply's status; 502 if there is no head, which [`Dialer::send`] rules out.
    pub fn status(&self) -> u16 {
        self.head().map_or(502, |head| head.status.as_u16())
    }

    /// A header of the reply as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head()?.headers.get(name)?.to_str().ok()
    }

    /// Makes ready to undo the body's compression.
    ///
    /// # Errors
    /// We do not know how it is compressed.
    pub fn inflated(&mut self) -> Result<(), Failure> {
        let encoding = self.header("content-encoding").filter(|name| !name.eq_ignore_ascii_case("identity"));
        let Some(encoding) = encoding else { return Ok(()) };
        match Inflate::of(encoding) {
            Some(inflate) => self.inflate = Some(inflate),
            None => {
                let why = "the provider compressed a reply that was asked for plain, in a way that Weir does not know";
                return Err(Failure::amid(ErrorClass::ServerError, why));
            }
        }
        Ok(())
    }

    /// The next piece of the body; `None` at its proper end.
    ///
    /// # Errors
    /// The body broke off, or nothing came for the idle time.
    pub async fn chunk(&mut self) -> Result<Option<Passing>, Failure> {
        Ok(self.plain().await?.map(Passing::from))
    }

    /// The same, without its compression.
    async fn plain(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            let piece = self.piece().await?;
            let Some(inflate) = &mut self.inflate else { return Ok(piece) };
            let plain = match &piece {
                Some(piece) => inflate.push(piece),
                None => inflate.finish(),
            };
            let plain = plain.map_err(|_| Failure {
                replied: true,
                ..Failure::new(ErrorClass::ServerError, "the provider's compressed reply cannot be read")
            })?;
            if piece.is_none() {
                self.inflate = None;
            }
            if !plain.is_empty() || piece.is_none() {
                return Ok((!plain.is_empty()).then_some(plain));
            }
        }
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, Failure> {
        match self.alarm.within(self.idle, pin!(self.session.read())).await {
            Ok(Ok(chunk)) => Ok(chunk),
            Ok(Err(BrokeOff)) => Err(Failure {
                replied: true,
                ..Failure::new(ErrorClass::Network, "the provider's reply broke off before its end")
            }),
            Err(Late) => Err(Failure {
                replied: true,
                ..Failure::new(
                    ErrorClass::TimeoutIdle,
                    format!("nothing came for {} ms", self.idle.as_millis()),
                )
            }),
        }
    }

    /// The rest of the body; its bytes are taken from the process's budget as they come.
    ///
    /// # Errors
    /// As [`Response::chunk`], when it is larger than `limit`, and when the process is out of buffer.
    pub async fn body(&mut self, limit: usize, held: &mut Held<'_>) -> Result<Payload, Failure> {
        let mut pieces = Pieces::default();
        while let Some(chunk) = self.plain().await? {
            if pieces.len() + chunk.len() > limit {
                return Err(Failure {
                    replied: true,
                    ..Failure::new(ErrorClass::ServerError, format!("the reply is larger than {limit} bytes"))
                });
            }
            if !held.grow(chunk.len()) {
                return Err(Failure {
                    replied: true,
                    ..Failure::new(ErrorClass::Other, "the gateway holds as many bytes as it may")
                });
            }
            // What it says of its length is not believed: room would be made for what may never come.
            pieces.push(chunk, 0);
        }
        Ok(pieces.whole())
    }

    /// Waits a moment for the end of a body whose last event has come, and gives the connection back.
    pub async fn finish(mut self) {
        // Whatever comes after the last event is of no use to anybody.
        if matches!(self.alarm.within(LINGER, self.session.read()).await, Ok(Ok(None))) {
            self.release().await;
        } else {
            self.session.cut().await;
        }
    }

    /// Gives the connection back, if the reply has been read to its end; else ends it.
    pub async fn release(self) {
        match self.session {
            Session::One(one, epoch) => {
                if let Some(mut wire) = one.into_idle().await {
                    wire.return_alarm(self.alarm);
                    self.dialer.shelf.keep(wire, epoch);
                }
            }
            // Its connection is everybody's; a stream that has not ended is reset when it is let go of.
            Session::Two(_) => {}
        }
    }
}
