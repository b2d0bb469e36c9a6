//! What an attempt tells of the key that it went out with, and of its target.

use super::Exchange;
use super::admit::Admitted;
use super::attempt::Failed;
use crate::refusal::Refusal;
use crate::snapshot::Bound;
use crate::upstream::{Wait, Why};
use weir_policy::{ErrorClass, Step};

/// Whether the target that just failed may be asked with another key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OtherKeys {
    /// The failure says nothing of keys, or there is no other but time may mend it.
    Same,
    /// At once.
    Ready,
    /// Its key was refused, and there is no other.
    Out,
}

/// What is left to try of a target's keys after a failure.
pub(super) fn keys(admitted: &Admitted, step: &Step, class: ErrorClass) -> OtherKeys {
    let concerned = matches!(class, ErrorClass::RateLimited | ErrorClass::Quota | ErrorClass::Auth);
    let bound = admitted.route.bound.get(usize::from(step.target)).filter(|_| concerned);
    match bound {
        Some(bound) if bound.keys.has_another() => OtherKeys::Ready,
        Some(_) if class != ErrorClass::RateLimited => OtherKeys::Out,
        _ => OtherKeys::Same,
    }
}

/// Why a target is passed over without being asked.
pub(super) fn unasked(id: &str, wait: Wait) -> Refusal {
    let ms = u32::try_from(wait.ms).unwrap_or(u32::MAX);
    match wait.why {
        Why::Limited => {
            let message =
                format!("{id} is rate-limited for now, and was not asked; no other target is left.");
            let refusal = Refusal::new(429, "rate_limit_error", "rate_limit_exceeded", message);
            Refusal { retry_after_ms: Some(ms), ..refusal }
        }
        Why::Overloaded => {
            let message = format!("{id} asked to be left alone for now, and was; no other target is left.");
            Refusal::busy("upstream_overloaded", message, ms)
        }
        Why::Refused => {
            let message = format!(
                "{id} refused every key that the gateway has for it, and was not asked again; the operator has to look at them."
            );
            Refusal::busy("upstream_auth", message, ms)
        }
    }
}

impl Exchange<'_> {
    /// Notes what a failure says of the key and the target.
    pub(super) fn learn(&self, bound: &Bound, key: usize, failed: &Failed) {
        let error = &failed.error;
        let told = error.retry_after_ms;
        match error.class {
            ErrorClass::RateLimited => bound.keys.limited(key, told.or(failed.reset_ms)),
            // Some say `quota` of a limit that is full again in a minute.
            ErrorClass::Quota if told.is_some() => bound.keys.limited(key, told),
            ErrorClass::Quota => bound.keys.refused(key, false),
            // 403 is also said of a model that a key may not use: any caller can bring that about.
            ErrorClass::Auth => bound.keys.refused(key, error.status == Some(403)),
            ErrorClass::Overloaded => match told {
                Some(ms) => bound.keys.rest(ms),
                None => return,
            },
            _ => return,
        }
        if let Some(ms) = bound.keys.closed_for() {
            self.snapshot.live.away(bound.live, ms);
        }
    }
}
