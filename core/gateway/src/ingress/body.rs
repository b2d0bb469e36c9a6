//! The request body: bounded for the request and for the process, read within a deadline.

use crate::buffered::Held;
use crate::ingress::session::Session;
use crate::refusal::Refusal;
use futures::FutureExt;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HeaderMap};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use weir_llm::payload::{Payload, Pieces};

/// A body may be as slow as it likes for so long: connections warm up, and people have lifts and tunnels.
const START: Duration = Duration::from_secs(10);
/// How often its rate is looked at from then on.
const LOOK: Duration = Duration::from_secs(1);

/// What a body may be.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Most bytes.
    pub limit: usize,
    /// Most time, from the head to the last byte.
    pub deadline: Duration,
    /// Least bytes a second, on average after `START`.
    pub min_rate: u64,
}

/// Checks what the head says of the body, before a byte of it is read.
///
/// # Errors
/// 415 for an encoding or charset that our parser and the provider's could read differently, 413 for a body that says
/// of itself that it is too large.
pub fn check_head(headers: &HeaderMap, bounds: Bounds, form: bool) -> Result<(), Refusal> {
    if let Some(encoding) = headers.get(CONTENT_ENCODING)
        && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        return Err(unsupported("Content-Encoding: send the body as it is, without compression."));
    }
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if let Some((_, parameters)) = kind.split_once(';') {
        let charset = parameters.to_ascii_lowercase();
        if charset.contains("charset") && !charset.contains("utf-8") && !charset.contains("utf8") {
            return Err(unsupported("Content-Type: the body must be JSON in UTF-8."));
        }
    }
    let wanted = if form { "multipart/form-data" } else { "application/json" };
    if kind.starts_with("multipart/") != form {
        return Err(unsupported(&format!("Content-Type: the body must be {wanted}.")));
    }
    match announced(headers) {
        Some(length) if length > bounds.limit => Err(Refusal::too_large("request body", bounds.limit)),
        _ => Ok(()),
    }
}

fn unsupported(message: &str) -> Refusal {
    Refusal::new(415, "invalid_request_error", "unsupported_media_type", message).closing()
}

fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Reads the whole body. Its bytes are taken from the process's budget as they come.
///
/// # Errors
/// 408 when it takes too long, 413 when it is too large, 503 when the process is out of buffer, 400 when it breaks off.
pub async fn read(session: &mut Session, bounds: Bounds, held: &mut Held<'_>) -> Result<Payload, Refusal> {
    let length = announced(&session.head().headers);
    if length.is_some_and(|length| !held.fits(length)) {
        return Err(out_of_buffer().closing());
    }
    let expected = session.head().headers.get(EXPECT);
    if expected.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        session.say_continue().await.map_err(|_| broken_off())?;
    }
    let come = AtomicU64::new(0);
    let mut collecting = pin!(collect(session, length, bounds.limit, held, &come));
    // Most bodies come with their head, and have no use for a clock.
    if let Some(body) = collecting.as_mut().now_or_never() {
        return body;
    }
    let began = Instant::now();
    let mut look = START.min(bounds.deadline);
    loop {
        match pingora::time::tokio_timeout(look.saturating_sub(began.elapsed()), &mut collecting).await {
            Ok(body) => return body,
            Err(_) if look >= bounds.deadline => {
                let seconds = bounds.deadline.as_secs();
                return Err(too_slow(format!("The request body was not complete after {seconds} s.")));
            }
            Err(_) if is_slow(come.load(Ordering::Relaxed), look, bounds.min_rate) => {
                let least = bounds.min_rate;
                return Err(too_slow(format!("The request body came slower than {least} bytes a second.")));
            }
            Err(_) => look = (look + LOOK).min(bounds.deadline),
        }
    }
}

/// Whether so many bytes in so long are fewer than `rate` a second.
const fn is_slow(bytes: u64, after: Duration, rate: u64) -> bool {
    bytes < rate.saturating_mul(after.as_secs())
}

fn too_slow(message: String) -> Refusal {
    Refusal::new(408, "invalid_request_error", "request_timeout", message).closing()
}

/// The gateway holds as much as it may.
pub fn out_of_buffer() -> Refusal {
    let message = "The gateway holds as many bytes for its callers as it may; try again shortly.";
    Refusal::busy("out_of_buffer", message, 1000).shed("buffered")
}

async fn collect(
    session: &mut Session,
    length: Option<usize>,
    limit: usize,
    held: &mut Held<'_>,
    come: &AtomicU64,
) -> Result<Payload, Refusal> {
    let mut pieces = Pieces::default();
    let expected = length.unwrap_or(0).min(limit);
    while let Some(chunk) = session.read_body().await.map_err(|_| broken_off())? {
        if pieces.len() + chunk.len() > limit {
            return Err(Refusal::too_large("request body", limit));
        }
        come.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        if !held.grow(chunk.len()) {
            return Err(out_of_buffer().closing());
        }
        pieces.push(chunk, expected);
        if length.is_some_and(|length| pieces.len() >= length) {
            break;
        }
    }
    Ok(pieces.whole())
}

fn broken_off() -> Refusal {
    Refusal::invalid("incomplete_body", "The request body broke off before its end.").closing()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_is_less_than_the_rate_on_average() {
        assert!(is_slow(5119, START, 512));
        assert!(!is_slow(5120, START, 512));
        assert!(is_slow(5120, START + LOOK, 512), "a burst at the beginning does not buy all of the time");
        assert!(!is_slow(0, START, 0));
    }
}
