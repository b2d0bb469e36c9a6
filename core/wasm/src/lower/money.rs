//! What `price` and `complete` are told.

use super::names::error_class;
use super::targets::rate;
use crate::wit::exports::weir::policy::{hook_complete as wc, hook_price as wp};
use crate::wit::weir::policy::types as w;
use weir_llm::usage::{Source, Usage};
use weir_policy as p;
use weir_policy::verdict::{CacheState, Outcome};

pub(crate) fn usage(usage: &Usage, source: Source) -> w::Usage {
    w::Usage {
        lines: lines(usage),
        source: match source {
            Source::Provider => w::UsageSource::Provider,
            Source::GatewayCount => w::UsageSource::GatewayCount,
            Source::Estimate => w::UsageSource::Estimate,
        },
    }
}

fn lines(usage: &Usage) -> Vec<w::Line> {
    let line = |(class, quantity): (weir_llm::usage::Class, u64)| w::Line {
        class: class.as_str().to_owned(),
        quantity,
    };
    usage.lines().map(line).collect()
}

pub(crate) fn base(base: &p::Base) -> wp::Base {
    wp::Base {
        lines: lines(&base.usage),
        rates: base.rates.iter().map(rate).collect(),
        list_price: base.list_price.0,
    }
}

pub(crate) fn summary(summary: &p::Summary, shared: bool) -> wc::Summary {
    wc::Summary {
        head: super::head::record(&summary.head, shared),
        outcome: outcome(summary.outcome),
        target_id: summary.target_id.as_deref().map(str::to_owned),
        status: summary.status,
        usage: usage(&summary.usage, summary.source),
        charged: summary.charged.0,
        provider_cost: summary.provider_cost.map(|cost| cost.0),
        ttft_ms: summary.ttft_ms,
        total_ms: summary.total_ms,
        errors: summary.errors.iter().map(|&class| error_class(class)).collect(),
        attempts: summary.attempts,
        tags: summary.tags.clone(),
        cache: match summary.cache {
            CacheState::Miss => wc::CacheState::Miss,
            CacheState::Hit => wc::CacheState::Hit,
            CacheState::Bypass => wc::CacheState::Bypass,
        },
    }
}

const fn outcome(outcome: Outcome) -> wc::Outcome {
    match outcome {
        Outcome::Ok => wc::Outcome::Ok,
        Outcome::CacheHit => wc::Outcome::CacheHit,
        Outcome::Refused => wc::Outcome::Refused,
        Outcome::Failed => wc::Outcome::Failed,
        Outcome::UpstreamCut => wc::Outcome::UpstreamCut,
        Outcome::ClientAbort => wc::Outcome::ClientAbort,
    }
}
