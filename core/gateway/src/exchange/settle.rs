//! The one posting of an exchange. The last byte of a reply leaves only when it cannot be lost.

use super::admit::Admitted;
use super::attempt::Served;
use super::warm::Sent;
use super::{End, Exchange};
use crate::refusal::Refusal;
use crate::telemetry::record;
use std::sync::{Arc, LazyLock};
use std::time::{SystemTime, UNIX_EPOCH};
use weir_ledger::{Posting, SettleError};
use weir_llm::api::Api;
use weir_llm::price::{Nanos, Prices};
use weir_llm::usage::{Source, Usage};

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A complete reply.
    Ok,
    /// A policy answered; no model was asked.
    Answered,
    /// The reply came from the cache.
    CacheHit,
    /// The caller went away.
    ClientAbort,
    /// The provider broke off after the commit.
    UpstreamCut,
    /// No attempt gave a reply.
    Failed,
    /// A policy said no.
    Refused,
}

/// What is to be posted.
pub struct Close {
    /// How the exchange ended.
    pub outcome: Outcome,
    /// Who served it.
    pub served: Option<Served>,
    /// Tokens and other units by class.
    pub usage: Usage,
    /// Who counted them.
    pub source: Source,
    /// What the response cache saved.
    pub saved: Nanos,
}

/// What the exchange came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Money {
    /// What the customer pays.
    pub charged: Nanos,
    /// What the provider takes; `None` if its price is unknown.
    pub cost: Option<Nanos>,
}

impl Close {
    /// Nothing was used and nothing is billed.
    pub fn nothing(outcome: Outcome) -> Self {
        Self { outcome, served: None, usage: Usage::default(), source: Source::Provider, saved: Nanos(0) }
    }
}

impl Exchange<'_> {
    /// Posts and waits until it cannot be lost.
    ///
    /// # Errors
    /// 503 if the ledger did not take it: the reply must not be handed out then.
    pub async fn settle(&mut self, admitted: Admitted, close: Close) -> Result<Money, End> {
        let cost = cost(&close);
        let priced = self.priced(&admitted, &close, cost).await;
        let (posting, money) = self.posting(&admitted, &close, (cost, priced));
        self.record.outcome = recorded(close.outcome);
        self.record.usage = close.usage;
        self.record.charged = money.charged;
        self.record.provider_cost = money.cost;
        self.sent = Sent::by(&admitted, &close);
        self.served = close.served.as_ref().map(|served| (Arc::clone(&served.id), close.source));
        let settled = admitted.reservation.settle(posting).await;
        if close.outcome == Outcome::Ok {
            // Whoever sees the end of the reply may ask again: the target's place is free by then.
            self.in_flight = None;
        }
        match settled {
            Ok(()) => Ok(money),
            Err(error @ SettleError::OverHold { charged, .. }) => {
                let trace_id = self.record.trace.id();
                tracing::warn!(request_id = &*self.id, trace_id, %error, "a charge was cut to its hold");
                self.record.charged = charged;
                Ok(Money { charged, ..money })
            }
            Err(error) => {
                // Its row waits for the database; should the process end before, this line is what is left of it.
                let (charged, cost) = (money.charged.0, money.cost.map(|cost| cost.0));
                let trace_id = self.record.trace.id();
                tracing::error!(
                    request_id = &*self.id,
                    trace_id,
                    %error,
                    charged,
                    cost,
                    "an exchange could not be settled"
                );
                let refusal = Refusal::busy(
                    "ledger_unavailable",
                    "The ledger could not be written, so the reply is withheld.",
                    5000,
                );
                Err(refusal.into())
            }
        }
    }

    /// `cost` is what the provider takes, `priced` what a policy says that the customer pays.
    fn posting(
        &self,
        admitted: &Admitted,
        close: &Close,
        (cost, priced): (Option<Nanos>, Option<Nanos>),
    ) -> (Posting, Money) {
        let prices = prices(close);
        let sheet = prices.and_then(|prices| prices.for_tier(close.usage.tier));
        let price = priced.or(cost);
        let charged = match close.outcome {
            // What cannot be priced is not given away where the budget is hard.
            Outcome::Ok if admitted.reservation.is_hard() => {
                price.unwrap_or_else(|| admitted.reservation.hold())
            }
            Outcome::Ok => price.unwrap_or_default(),
            Outcome::ClientAbort if admitted.reservation.is_hard() => {
                price.unwrap_or_default().min(admitted.reservation.hold())
            }
            Outcome::ClientAbort => price.unwrap_or_default(),
            _ => Nanos(0),
        };
        let list = sheet.and_then(|sheet| sheet.list_cost_without_cache(&close.usage).ok());
        let saved_by_cached_input = match (list, cost) {
            (Some(list), Some(cost)) if charged.0 > 0 => Nanos(list.0.saturating_sub(cost.0)),
            _ => Nanos(0),
        };
        // The customer pays for the reply alone.
        let taken = cost.zip(self.lost).map(|(cost, lost)| Nanos(cost.0.saturating_add(lost.0)));
        let target = close.served.as_ref().map(|served| usize::from(served.target));
        let target = target.and_then(|target| admitted.route.table.get(target));
        let named = |name: Option<&Arc<str>>| Arc::clone(name.unwrap_or(&self.snapshot.nobody));
        let total = self.started.elapsed();
        let posting = Posting {
            request_id: None,
            at_ms: unix_ms(self.record.started_at + total),
            api: name(self.record.api),
            alias: admitted.route.name.clone(),
            provider: named(target.map(|target| &target.provider)),
            model: named(target.map(|target| &target.model)),
            status: posted(close.outcome),
            attempts: u32::try_from(self.record.attempts.len()).unwrap_or(u32::MAX),
            stream: self.record.stream,
            usage: close.usage,
            usage_source: close.source,
            charged,
            provider_cost: taken,
            saved_by_cached_input,
            saved_by_cache: close.saved,
            catalogue_version: named(prices.map(|prices| &prices.catalogue_version)),
            generation: self.snapshot.generation,
            ttft_ms: self.record.ttft.map(|ttft| millis(ttft.as_millis())),
            total_ms: millis(total.as_millis()),
        };
        (posting, Money { charged, cost: taken })
    }
}

/// An API's name, which each row has.
fn name(api: Api) -> Arc<str> {
    static NAMES: LazyLock<[Arc<str>; Api::ALL.len()]> =
        LazyLock::new(|| Api::ALL.map(|api| api.as_str().into()));
    Arc::clone(&NAMES[api as usize])
}

fn prices(close: &Close) -> Option<&Prices> {
    close.served.as_ref().and_then(|served| served.bound.prices.as_deref())
}

/// What the provider takes; `None` if that is not known.
fn cost(close: &Close) -> Option<Nanos> {
    if close.served.is_none() {
        return Some(Nanos(0));
    }
    // A class or a service tier without a rate is as unknown as a model without one.
    prices(close)?.for_tier(close.usage.tier)?.cost(&close.usage).ok()
}

fn millis(ms: u128) -> u32 {
    u32::try_from(ms).unwrap_or(u32::MAX)
}

fn unix_ms(at: SystemTime) -> i64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

const fn posted(outcome: Outcome) -> weir_ledger::Outcome {
    match outcome {
        Outcome::Ok | Outcome::Answered => weir_ledger::Outcome::Ok,
        Outcome::CacheHit => weir_ledger::Outcome::CacheHit,
        Outcome::ClientAbort => weir_ledger::Outcome::ClientAbort,
        Outcome::UpstreamCut => weir_ledger::Outcome::UpstreamCut,
        Outcome::Failed => weir_ledger::Outcome::Failed,
        Outcome::Refused => weir_ledger::Outcome::Refused,
    }
}

const fn recorded(outcome: Outcome) -> record::Outcome {
    match outcome {
        Outcome::Ok | Outcome::Answered => record::Outcome::Ok,
        Outcome::CacheHit => record::Outcome::CacheHit,
        Outcome::ClientAbort => record::Outcome::ClientAbort,
        Outcome::UpstreamCut => record::Outcome::UpstreamCut,
        Outcome::Failed => record::Outcome::Failed,
        Outcome::Refused => record::Outcome::Refused,
    }
}
