//! What brings messages to a collector. Whoever dials is further out than telemetry, and is handed in.

use http::Uri;
use std::io;
use std::time::Duration;

/// Brings messages to a collector, one at a time.
pub trait Carrier: Send {
    /// Sends a protobuf message that is compressed already, and waits for the answer.
    ///
    /// # Errors
    /// Nobody answered, or not in time.
    fn send(&self, to: &Uri, gzip: &[u8], timeout: Duration) -> io::Result<Reply>;
}

/// Makes a carrier for what the options ask for.
pub type Carry = fn(&super::Options) -> io::Result<Box<dyn Carrier>>;

/// What a collector answered.
pub struct Reply {
    /// The status.
    pub status: u16,
    /// When it wants to be asked again.
    pub retry_after: Option<Duration>,
    /// The body.
    pub body: Vec<u8>,
}
