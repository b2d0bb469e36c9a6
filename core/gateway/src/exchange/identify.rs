//! The caller's key becomes a principal, and its wishes are read.

use super::{End, Exchange};
use crate::ingress::headers::{self, Wishes};
use crate::refusal::Refusal;
use std::sync::Arc;
use weir_ledger::{IdentifyError, Principal, Seat};

/// Who asks, and what it asked of the gateway itself.
pub struct Caller {
    /// The key's owner.
    pub principal: Arc<Principal>,
    /// The `x-weir-*` headers.
    pub wishes: Wishes,
    /// Its place among the key's exchanges, where those are counted.
    pub seat: Option<Seat>,
}

impl Exchange<'_> {
    /// Reads the key and the `x-weir-*` headers.
    ///
    /// # Errors
    /// 401 for a key that is missing or not good, 400 for a header of ours that is not understood, 429 if as many of the
    /// key's exchanges are under way as may be.
    pub fn identify(&mut self) -> Result<Caller, End> {
        let headers = &self.session.head().headers;
        let key = headers::key(headers, self.voice)?;
        let principal = self.gateway.ledger.identify(key).map_err(|error| bad_key(&error))?;
        self.record.key_id = Arc::clone(&principal.key_id);
        self.record.tenant = Arc::clone(&principal.organisation_id);
        let wishes = headers::wishes(headers)?;
        if wishes.explain && !principal.has_scope("explain") {
            return Err(Refusal::forbidden(
                "header_not_allowed",
                "This key may not send x-weir-explain; `weir key create NAME --scope explain` makes one that may.",
            )
            .into());
        }
        self.wants_explanation = wishes.explain;
        self.explains = wishes.explain;
        let most = principal.concurrency.or(self.snapshot.config.server.limits.per_key);
        let seat = match most.map(|most| principal.seats.take(most).ok_or(most)) {
            None => None,
            Some(Ok(seat)) => Some(seat),
            Some(Err(most)) => return Err(crowded(most).into()),
        };
        Ok(Caller { principal, wishes, seat })
    }
}

fn crowded(most: u32) -> Refusal {
    let message =
        format!("This key may have {most} requests under way at one time; wait for one of them to end.");
    let refusal = Refusal::new(429, "rate_limit_error", "concurrency_exceeded", message).shed("key");
    Refusal { retry_after_ms: Some(1000), ..refusal }
}

fn bad_key(error: &IdentifyError) -> Refusal {
    let (code, why) = match error {
        IdentifyError::Malformed => {
            ("malformed_api_key", "is not a key of Weir's: it was cut, mistyped or is a provider's")
        }
        IdentifyError::Unknown => ("invalid_api_key", "is not known here"),
        IdentifyError::Revoked => ("revoked_api_key", "has been revoked"),
        IdentifyError::Expired => ("expired_api_key", "has expired"),
    };
    Refusal::unauthenticated(code, format!("The API key {why}. `weir key create` makes a new one."))
}
