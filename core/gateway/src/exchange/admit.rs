//! Admission: the model, the rate limit, the eligible targets, and the money that is held.

use super::identify::Caller;
use super::{End, Exchange};
use crate::refusal::Refusal;
use crate::snapshot::Route;
use std::sync::Arc;
use std::time::Instant;
use weir_ledger::{Principal, Refused, Reservation};
use weir_llm::api::Api;
use weir_llm::estimate;
use weir_llm::price::Nanos;
use weir_llm::request::Request;
use weir_llm::units;
use weir_policy::{Candidates, Retention};

/// An exchange that has been let in. It ends in exactly one [`Exchange::settle`].
pub struct Admitted {
    /// Who asks.
    pub caller: Caller,
    /// Where it may go.
    pub route: Arc<Route>,
    /// The eligible targets with their live facts.
    pub candidates: Arc<Candidates>,
    /// What a target may do with content at most.
    pub retention: Retention,
    /// The money held.
    pub reservation: Reservation,
}

impl Exchange<'_> {
    /// Lets the exchange in, or says why not.
    ///
    /// # Errors
    /// 404 for the model, 429 for the rate, 403 when no target is eligible, 402 when the budget does not cover it.
    pub async fn admit(&mut self, caller: Caller, request: &Request) -> Result<Admitted, End> {
        let principal = &caller.principal;
        let model = request.model();
        if !principal.may_use(model) {
            return Err(Refusal::unknown_model(model).into());
        }
        let route = self.snapshot.route(model).ok_or_else(|| Refusal::unknown_model(model))?;
        self.record.model = route.label;
        self.gateway.ledger.admit(principal, Instant::now()).map_err(|limited| Refusal {
            retry_after_ms: Some(u32::try_from(limited.retry_after_ms).unwrap_or(u32::MAX)),
            ..Refusal::new(
                429,
                "rate_limit_error",
                "rate_limit_exceeded",
                format!(
                    "This key may make {} requests a minute; try again in {} ms.",
                    limited.limit, limited.retry_after_ms
                ),
            )
        })?;
        let retention = strictest(principal, caller.wishes.retention);
        let hard = principal.budget.as_ref().is_some_and(|budget| budget.hard);
        let allowed = route.eligible(retention, hard, request.api());
        if allowed.is_empty() {
            return Err(none_eligible(&route, retention, hard, request.api()).into());
        }
        let hold = if hard { hold(&route, &allowed, request, self.record.bytes_in)? } else { Nanos(0) };
        let reservation =
            self.gateway.ledger.reserve(principal, &self.id, hold).await.map_err(over_budget)?;
        let candidates = Arc::new(Candidates {
            table: Arc::clone(&route.table),
            allowed,
            facts: Arc::clone(&route.facts),
        });
        Ok(Admitted { caller, route, candidates, retention, reservation })
    }
}

/// A request may tighten what organisation, team and key say, never loosen it.
fn strictest(principal: &Principal, wished: Option<Retention>) -> Retention {
    let stored = Retention::parse(&principal.retention).unwrap_or(Retention::Zero);
    wished.map_or(stored, |wished| wished.min(stored))
}

fn none_eligible(route: &Route, retention: Retention, hard: bool, api: Api) -> Refusal {
    if route.eligible(Retention::Unknown, false, api).is_empty() {
        return Refusal::invalid(
            "unsupported_api",
            format!("No target of `{}` serves {}; ask for another model.", route.name, api.as_str()),
        )
        .about("model");
    }
    let kept = route.eligible(retention, false, api);
    if hard && !kept.is_empty() {
        return Refusal::forbidden(
            "no_priced_target",
            format!(
                "This key has a hard budget, and no target of `{}` has a known price for {}. Give it one under `prices` in weir.yaml, or in a catalogue of your own.",
                route.name,
                api.as_str()
            ),
        );
    }
    Refusal::forbidden(
        "no_eligible_target",
        format!(
            "No target of `{}` keeps content for as short a time as {} asks. Nothing was sent.",
            route.name,
            retention.name()
        ),
    )
}

/// The most that the request can cost at any eligible target.
fn hold(route: &Route, allowed: &[u16], request: &Request, uploaded: u64) -> Result<Nanos, Refusal> {
    let input = estimate::input_bound(request);
    let mut most = Nanos(0);
    for &index in allowed {
        let at = usize::from(index);
        let (Some(target), Some(bound)) = (route.table.get(at), route.bound.get(at)) else { continue };
        let Some(prices) = &bound.prices else { continue };
        if let Some(bound) = units::bound(request, uploaded, prices) {
            most = most.max(bound);
            continue;
        }
        let limit = (target.max_output_tokens > 0).then_some(u64::from(target.max_output_tokens));
        let output = match (request.max_output_tokens(), limit) {
            _ if is_silent(request.api()) => 0,
            (Some(asked), Some(limit)) => asked.min(limit),
            (Some(only), None) | (None, Some(only)) => only,
            (None, None) => {
                return Err(Refusal::invalid(
                    "max_tokens_required",
                    format!("This key has a hard budget and the longest output of `{}` is not known; send max_tokens.", target.id),
                )
                .about("max_tokens"));
            }
        };
        let output = output.saturating_mul(request.choices().max(1));
        let bound = prices.bound(input, output).ok_or_else(|| {
            Refusal::invalid(
                "too_expensive",
                "The most that this request could cost does not fit the ledger; lower max_tokens.",
            )
            .about("max_tokens")
        })?;
        most = most.max(bound);
    }
    Ok(most)
}

/// Whether an API's replies hold no tokens that a model made.
const fn is_silent(api: Api) -> bool {
    matches!(api, Api::Embeddings | Api::Moderations | Api::Rerank | Api::CountTokens)
}

fn over_budget(refused: Refused) -> Refusal {
    match refused {
        Refused::OverBudget { limit, posted, pending, hold } => Refusal::new(
            402,
            "insufficient_quota",
            "budget_exceeded",
            format!(
                "The budget of this key does not cover this request: limit {limit}, spent {posted}, held by requests under way {pending}, this request at most {hold}. Lower max_tokens, or raise the budget.",
            ),
        ),
        Refused::Duplicate => {
            Refusal::busy("duplicate_exchange", "The gateway made one id twice; send the request again.", 0)
        }
        Refused::Closed => Refusal::busy("shutting_down", "The gateway is shutting down.", 1000).closing(),
        Refused::Storage(_) => Refusal::busy(
            "ledger_unavailable",
            "The ledger cannot be written, so no money can be held.",
            5000,
        ),
    }
}
