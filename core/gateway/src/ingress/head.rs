//! Waiting for the head of a request, with two deadlines: one for it to begin, a shorter one for it to be whole.
//!
//! Whether one has begun is asked of the socket, whatever is spoken over it, and only of those connections that have waited
//! for a while: an ordinary request costs nothing more.

use super::session::Session;
use crate::alarm::{Alarm, Late};
use crate::wire::caller::NoRequest;
use pingora::protocols::SocketDigest;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often the socket is asked, in parts of the time that a head may take.
const LOOKS: u32 = 4;
/// The kernel's clock is a coarse one.
const COARSE: Duration = Duration::from_millis(20);

/// How long to wait.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For a request to begin.
    pub idle: Duration,
    /// From its first byte to the end of its head.
    pub header: Duration,
}

impl Patience {
    /// How long to wait until the next look, with so much left of the time for a request to begin.
    fn step(self, left: Duration) -> Duration {
        (self.header / LOOKS).min(left).max(Duration::from_millis(10))
    }
}

/// What came of waiting.
pub enum Head {
    /// A request.
    Come,
    /// Nobody wants anything any more, or took too long.
    Nothing,
    /// Bytes that are no request.
    Broken,
}

/// Reads the head of the next request, of at most `limit` bytes.
pub async fn read(session: &mut Session, patience: Patience, limit: usize, alarm: &mut Alarm) -> Head {
    let socket = session.socket();
    let mut watch: Option<Watch> = None;
    let mut reading = pin!(session.read_head(limit));
    loop {
        // Who asks again at once is not watched.
        let step = watch.as_ref().map_or(patience.step(patience.idle), Watch::step);
        match alarm.within(step, &mut reading).await {
            Ok(Ok(true)) => return Head::Come,
            Ok(Ok(false)) => return Head::Nothing,
            Ok(Err(NoRequest)) => return Head::Broken,
            Err(Late) => {
                let watch = watch.get_or_insert_with(|| Watch::since(step, patience, socket.clone()));
                if watch.is_over() {
                    return Head::Nothing;
                }
            }
        }
    }
}

/// Looks at a socket from time to time.
pub struct Watch {
    patience: Patience,
    socket: Option<Arc<SocketDigest>>,
    began: Instant,
    /// When the first byte of the head was seen.
    first: Option<Instant>,
    /// On a new connection: how many bytes had come before the first request.
    bytes: Option<u64>,
}

impl Watch {
    /// Watches from now on. `bytes`: how many had come when a new connection began to wait.
    pub fn new(patience: Patience, socket: Option<Arc<SocketDigest>>, bytes: Option<u64>) -> Self {
        Self { patience, socket, began: Instant::now(), first: None, bytes }
    }

    /// Watches a connection that has waited for its next request for so long.
    fn since(waited: Duration, patience: Patience, socket: Option<Arc<SocketDigest>>) -> Self {
        let watch = Self::new(patience, socket, None);
        Self { began: watch.began.checked_sub(waited).unwrap_or(watch.began), ..watch }
    }

    /// Its caller has begun: with the greeting of TLS, behind which a request may have come already.
    #[must_use]
    pub fn begun(mut self) -> Self {
        self.first = Some(self.began);
        self
    }

    /// How long to wait until the next look.
    pub fn step(&self) -> Duration {
        self.patience.step(self.patience.idle.saturating_sub(self.began.elapsed()))
    }

    /// Whether the caller has had its time.
    pub fn is_over(&mut self) -> bool {
        let (now, waited) = (Instant::now(), self.began.elapsed());
        if waited >= self.patience.idle {
            return true;
        }
        let is_late = |first: Instant| now.saturating_duration_since(first) >= self.patience.header;
        if let Some(first) = self.first {
            return is_late(first);
        }
        let Some(info) = self.socket.as_ref().and_then(|socket| socket.tcp_info()) else { return false };
        // A caller that does not even take what it has been sent will not ask for more.
        if self.bytes.is_none() && (info.tcpi_notsent_bytes > 0 || info.tcpi_unacked > 0) {
            return waited >= self.patience.header;
        }
        let age = Duration::from_millis(info.tcpi_last_data_recv.into());
        let begun = match self.bytes {
            Some(bytes) => info.tcpi_bytes_received > bytes,
            None => age + COARSE < waited,
        };
        self.first = begun.then(|| now.checked_sub(age.min(waited))).flatten();
        self.first.is_some_and(is_late)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_begun_has_less_time_than_who_only_waits() {
        let hour = Duration::from_secs(3600);
        let patience = Patience { idle: hour, header: Duration::ZERO };
        assert!(!Watch::new(patience, None, Some(0)).is_over());
        assert!(Watch::new(patience, None, Some(0)).begun().is_over());
        assert!(!Watch::new(Patience { header: hour, ..patience }, None, Some(0)).begun().is_over());
        assert!(Watch::new(Patience { idle: Duration::ZERO, header: hour }, None, None).is_over());
    }
}
