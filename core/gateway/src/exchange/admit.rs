//! Admission: the model, the rate limit, the eligible targets, and the money that is held.

use super::attend::attend;
use super::identify::Caller;
use super::warm::Warm;
use super::{End, Exchange};
use crate::refusal::Refusal;
use crate::snapshot::{Asks, Route};
use crate::terms::{Misfit, Terms};
use std::sync::Arc;
use std::time::Instant;
use weir_ledger::{Refused, Reservation};
use weir_llm::api::Api;
use weir_llm::estimate;
use weir_llm::price::Nanos;
use weir_llm::request::{MaxPrice, Request};
use weir_llm::units;
use weir_llm::usage::Usage;
use weir_policy::{Base, Candidates, Hook, Needs, RequestView, Target};

/// An exchange that has been let in. It ends in exactly one [`Exchange::settle`].
pub struct Admitted {
    /// Who asks.
    pub caller: Caller,
    /// Where it may go.
    pub route: Arc<Route>,
    /// The eligible targets with their live facts.
    pub candidates: Arc<Candidates>,
    /// The same facts, if they tell how warm each target is.
    pub warm: Option<Arc<Warm>>,
    /// What a target may do with content at most, and where.
    pub terms: Arc<Terms>,
    /// The money held.
    pub reservation: Reservation,
    /// What policies see of it.
    pub view: Arc<RequestView>,
}

impl Exchange<'_> {
    /// Lets the exchange in, or says why not.
    ///
    /// # Errors
    /// 404 for the model, 503 where policies have no room for it, 429 for the rate, a policy's refusal, 403 when no target is eligible, 402 when the budget does not
    /// cover it.
    pub async fn admit(&mut self, caller: Caller, request: &Arc<Request>) -> Result<Admitted, End> {
        let principal = &caller.principal;
        let model = request.model();
        if !principal.may_use(model) {
            return Err(Refusal::unknown_model(model).into());
        }
        let route = self.snapshot.route(model).ok_or_else(|| Refusal::unknown_model(model))?;
        self.record.model = route.label;
        self.slots = self.gateway.slots.take(route.asked.slots(request.stream()))?;
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
        let terms = Arc::new(Terms::of(principal, &caller.wishes));
        let hard = principal.budget.as_ref().is_some_and(|budget| budget.hard);
        // What a provider does beside the model matters only where nothing may be kept.
        self.hosted = if terms.retention.is_zero() { request.hosted() } else { Vec::new() };
        self.explains |= self.snapshot.config.explain_kept > 0 && !route.asked.is_empty();
        self.consider(&route, &terms, request.needs(), hard);
        if self.explains && route.asked.telemetry() {
            self.gateway.services.explain_begin(&self.id);
        }
        let view = self.view(&caller, &route, &terms, request);
        self.seen = (!route.asked.is_empty()).then(|| (Arc::clone(&view), route.asked));
        if self.seen.is_some() {
            self.gateway.services.trace_begin(&self.id, &self.record.trace);
        }
        let snapshot = Arc::clone(&self.snapshot);
        if route.asked.has(Hook::Admit) {
            let work = snapshot.pipeline.admit(&view, &mut self.trace);
            attend(self.session, &mut self.watched, work)
                .await?
                .map_err(|refused| Refusal::from(refused.deny))?;
        }
        let (api, needs) = (request.api(), request.needs());
        let asks = Asks { terms: &terms, hosted: &self.hosted, api, needs };
        let allowed = route.eligible(&asks, hard);
        if allowed.is_empty() {
            return Err(none_eligible(&route, &asks, hard).into());
        }
        let hold = if hard { self.hold(&route, &allowed, request, &view).await? } else { Nanos(0) };
        let reservation =
            self.gateway.ledger.reserve_fresh(principal, &self.id, hold).await.map_err(over_budget)?;
        let candidates = Arc::new(Candidates {
            table: Arc::clone(&route.table),
            allowed,
            facts: Arc::clone(&route.facts),
        });
        Ok(Admitted { caller, route, candidates, warm: None, terms, reservation, view })
    }

    /// The most that the request can cost at any eligible target, by whoever prices it.
    async fn hold(
        &mut self,
        route: &Route,
        allowed: &[u16],
        request: &Request,
        view: &Arc<RequestView>,
    ) -> Result<Nanos, Refusal> {
        let mut most = Nanos(0);
        for &index in allowed {
            let Some((base, bound)) = bound(route, index, request, self.record.bytes_in)? else { continue };
            let quote = match base.filter(|_| route.asked.has(Hook::Price)) {
                Some(base) => self.snapshot.pipeline.quote(view, &Arc::new(base), &mut self.trace).await,
                None => None,
            };
            most = most.max(quote.unwrap_or(bound));
        }
        Ok(most)
    }
}

/// Why nobody may have the request: the API first, then where, then what it costs, then what is kept, then what is asked
/// beside the model, then what a model has to be able to do, then that its price is unknown.
fn none_eligible(route: &Route, asks: &Asks<'_>, hard: bool) -> Refusal {
    let name = &route.name;
    let anyone = Terms::default();
    let plain = Asks { hosted: &[], needs: Needs::default(), ..*asks };
    if route.eligible(&Asks { terms: &anyone, ..plain }, false).is_empty() {
        return Refusal::invalid(
            "unsupported_api",
            format!("No target of `{name}` serves {}; ask for another model.", asks.api.as_str()),
        )
        .about("model");
    }
    let near = Terms { regions: asks.terms.regions.clone(), ..anyone };
    if route.eligible(&Asks { terms: &near, ..plain }, false).is_empty() {
        return Refusal::forbidden(
            "no_eligible_region",
            format!(
                "No target of `{name}` is known to be where this request may go ({near}). Nothing was sent. Ask for another model, or give its provider a `region` in weir.yaml."
            ),
        );
    }
    let at_any_price = Terms { max_price: MaxPrice::default(), ..asks.terms.clone() };
    if route.eligible(&Asks { terms: &at_any_price, ..plain }, false).is_empty() {
        return keeps_or_trains(route, &at_any_price);
    }
    if route.eligible(&plain, false).is_empty() {
        return Refusal::invalid(
            "no_target_within_max_price",
            format!(
                "No target of `{name}` that may have this request is known to cost at most {} dollars a million tokens. Nothing was sent. Allow more, or ask for another model.",
                asks.terms.max_price
            ),
        )
        .about("provider.max_price");
    }
    if let Some(uncovered) = route.uncovered(asks) {
        return Refusal::invalid(
            "zdr_feature_not_covered",
            format!(
                "`{}` asks the provider for more than the model ({}), and no target of `{name}` has that under its zero-retention terms. Nothing was sent. Leave it out.",
                uncovered.field,
                uncovered.feature.name()
            ),
        )
        .about(uncovered.field.clone());
    }
    if route.eligible(asks, false).is_empty() {
        let needs: Vec<_> = Needs::default().lacking(asks.needs).names().collect();
        return Refusal::invalid(
            "model_not_capable",
            format!(
                "This request needs a model that can do: {}. No target of `{name}` that may have it has all of that among its `capabilities` in weir.yaml. Nothing was sent. Ask for another model.",
                needs.join(", ")
            ),
        )
        .about("model");
    }
    debug_assert!(hard, "only the price is left");
    Refusal::forbidden(
        "no_priced_target",
        format!(
            "This key has a hard budget, and no target of `{name}` has a known price for {}. Give it one under `prices` in weir.yaml, or in a catalogue of your own.",
            asks.api.as_str()
        ),
    )
}

fn keeps_or_trains(route: &Route, terms: &Terms) -> Refusal {
    let of = |index: &u16| route.table.get(usize::from(*index)).map(|target| terms.fits(target));
    let trains = route.allowed.iter().filter_map(of).any(|fits| fits == Err(Misfit::Trains));
    let why = if trains {
        "keeps content for so short a time, does not train on it and is where it may go"
    } else {
        "keeps content for so short a time"
    };
    Refusal::forbidden(
        "zdr_no_eligible_endpoint",
        format!(
            "This request asks for: {terms}. No target of `{}` {why}. Nothing was sent. `weir providers` lists the terms of each, with evidence.",
            route.name
        ),
    )
}

/// The most that the request can cost at a target by its list price; and, where tokens are counted, what that is made of.
fn bound(
    route: &Route,
    index: u16,
    request: &Request,
    uploaded: u64,
) -> Result<Option<(Option<Base>, Nanos)>, Refusal> {
    let at = usize::from(index);
    let (Some(target), Some(bound)) = (route.table.get(at), route.bound.get(at)) else { return Ok(None) };
    let Some(prices) = &bound.prices else { return Ok(None) };
    if let Some(bound) = units::bound(request, uploaded, prices) {
        return Ok(Some((None, bound)));
    }
    let input = estimate::input_bound(request);
    let output = longest_output(target, request)?.saturating_mul(request.choices().max(1));
    let list_price = prices.bound(request.service_tier(), input, output).ok_or_else(|| {
        Refusal::invalid(
            "too_expensive",
            "The most that this request could cost does not fit the ledger; lower max_tokens.",
        )
        .about("max_tokens")
    })?;
    let base = Base {
        target_id: Arc::clone(&target.id),
        usage: Usage { input, output, ..Usage::default() },
        rates: Arc::clone(&target.rates),
        list_price,
    };
    Ok(Some((Some(base), list_price)))
}

fn longest_output(target: &Target, request: &Request) -> Result<u64, Refusal> {
    let limit = (target.max_output_tokens > 0).then_some(u64::from(target.max_output_tokens));
    match (request.max_output_tokens(), limit) {
        _ if is_silent(request.api()) => Ok(0),
        (Some(asked), Some(limit)) => Ok(asked.min(limit)),
        (Some(only), None) | (None, Some(only)) => Ok(only),
        (None, None) => Err(Refusal::invalid(
            "max_tokens_required",
            format!(
                "This key has a hard budget and the longest output of `{}` is not known; send max_tokens.",
                target.id
            ),
        )
        .about("max_tokens")),
    }
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
        Refused::Closed => Refusal::shutting_down(),
        Refused::Storage(_) => Refusal::busy(
            "ledger_unavailable",
            "The ledger cannot be written, so nothing that costs money is begun.",
            5000,
        ),
    }
}
