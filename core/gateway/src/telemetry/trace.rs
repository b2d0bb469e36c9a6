//! W3C trace context: in from the caller, out to the provider.

use std::cell::Cell;
use std::fmt;

/// Where an exchange stands in a distributed trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    /// 16 bytes, never zero.
    pub trace_id: u128,
    /// The exchange's own span.
    pub span_id: u64,
    /// The caller's span, if it sent one.
    pub parent: Option<u64>,
    /// Whether the exchange's spans are recorded here.
    pub recorded: bool,
    /// The caller's own flags byte, passed on when we do not record.
    flags: u8,
}

impl Trace {
    /// Continues the caller's trace, or starts one. `record` says whether spans are exported at all, `share` of what
    /// traces begun here (0 to 1); a caller's own decision wins.
    #[must_use]
    pub fn begin(traceparent: Option<&str>, record: bool, share: f64) -> Self {
        let span_id = span_id();
        match traceparent.and_then(Parent::parse) {
            Some(Parent { trace_id, span_id: parent, flags }) => {
                Self { trace_id, span_id, parent: Some(parent), recorded: record && flags & 1 == 1, flags }
            }
            None => {
                let trace_id = u128::from(self::span_id()) << 64 | u128::from(self::span_id());
                let recorded = record && sampled(trace_id, share);
                Self { trace_id, span_id, parent: None, recorded, flags: u8::from(recorded) }
            }
        }
    }

    /// The trace's id as logs and collectors write it.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{:032x}", self.trace_id)
    }

    /// The `traceparent` header for an attempt whose span is `attempt`. Without recording, the caller's own header is
    /// passed on, so that its trace does not break at a span nobody ever sees; `None` if the caller sent none.
    #[must_use]
    pub fn traceparent(&self, attempt: u64) -> Option<String> {
        let span_id = match (self.recorded, self.parent) {
            (true, _) => attempt,
            (false, Some(parent)) => parent,
            (false, None) => return None,
        };
        Some(Parent { trace_id: self.trace_id, span_id, flags: self.flags }.to_string())
    }
}

/// A parsed `traceparent` header.
struct Parent {
    trace_id: u128,
    span_id: u64,
    flags: u8,
}

impl Parent {
    /// By <https://www.w3.org/TR/trace-context/>: lower-case hex, no zero ids, version `ff` is invalid, a later version
    /// may carry more after a dash.
    fn parse(header: &str) -> Option<Self> {
        let bytes = header.as_bytes();
        if bytes.len() < 55 || !header.is_ascii() {
            return None;
        }
        let dashes = bytes[2] == b'-' && bytes[35] == b'-' && bytes[52] == b'-';
        let version = hex(&bytes[..2])?;
        let tail = if version == 0 { bytes.len() == 55 } else { bytes.len() == 55 || bytes[55] == b'-' };
        if !dashes || !tail || version == 0xff {
            return None;
        }
        let trace_id = hex(&bytes[3..35])?;
        let span_id = u64::try_from(hex(&bytes[36..52])?).ok()?;
        let flags = u8::try_from(hex(&bytes[53..55])?).ok()?;
        (trace_id != 0 && span_id != 0).then_some(Self { trace_id, span_id, flags })
    }
}

impl fmt::Display for Parent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, self.flags & 1)
    }
}

/// A fresh span id, never zero. Ids need to be unique, not secret: one seed a thread, then `SplitMix64`.
#[must_use]
pub fn span_id() -> u64 {
    thread_local!(static STATE: Cell<u64> = Cell::new(seed()));
    loop {
        let state = STATE.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        STATE.set(state);
        let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        let id = mixed ^ mixed >> 31;
        if id != 0 {
            return id;
        }
    }
}

/// From the system, or from the hasher's keys should it refuse.
fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    getrandom::u64().unwrap_or_else(|_| RandomState::new().hash_one(std::thread::current().id()))
}

/// The same trace id is sampled alike on every node that has the same share.
fn sampled(trace_id: u128, share: f64) -> bool {
    let low = (trace_id & u128::from(u64::MAX)) as u64 >> 11;
    #[allow(clippy::cast_precision_loss, reason = "both have at most 53 bits")]
    let point = low as f64 / (1_u64 << 53) as f64;
    point < share
}

fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0_u128, |value, digit| {
        let nibble = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u128::from(nibble))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_recorded_exchange_hands_its_attempts_span_on() {
        let trace = Trace::begin(Some(CALLER), true, 0.0);
        assert!(trace.recorded, "the caller's sampled flag wins over our share");
        assert_eq!(trace.parent, Some(0x00f0_67aa_0ba9_02b7));
        let header = trace.traceparent(0xabc).unwrap();
        assert_eq!(header, "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000abc-01");
    }

    #[test]
    fn an_unrecorded_exchange_passes_the_callers_header_on_and_invents_none() {
        let unsampled = CALLER.replace("-01", "-00");
        let trace = Trace::begin(Some(&unsampled), true, 1.0);
        assert!(!trace.recorded);
        assert_eq!(trace.traceparent(0xabc), Some(unsampled));
        assert_eq!(Trace::begin(None, false, 1.0).traceparent(0xabc), None);
        assert_eq!(Trace::begin(Some(CALLER), false, 1.0).traceparent(1).as_deref(), Some(CALLER));
    }

    #[test]
    fn malformed_headers_are_ignored() {
        let later = CALLER.replacen("00", "cc", 1) + "-what-comes";
        assert_eq!(Trace::begin(Some(&later), true, 0.0).parent, Some(0x00f0_67aa_0ba9_02b7));
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473é-0f067aa0ba902b7-01",
        ] {
            assert_eq!(Trace::begin(Some(bad), true, 0.0).parent, None, "{bad}");
        }
    }

    #[test]
    fn the_share_is_kept() {
        let kept = (0..10_000).filter(|_| Trace::begin(None, true, 0.25).recorded).count();
        assert!((2_000..3_000).contains(&kept), "{kept} of 10,000 at a quarter");
        assert!(Trace::begin(None, true, 1.0).recorded);
        assert!(!Trace::begin(None, true, 0.0).recorded);
    }
}
