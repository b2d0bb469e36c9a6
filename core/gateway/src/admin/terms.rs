//! What each provider does with content, whose word that is, and the page that says so.

use crate::config::{Config, Provider};
use serde_json::{Value, json};
use weir_llm::terms::{self, Feature, Terms};

/// The terms of every provider of a config, in its order, and those of all hosts that Weir knows.
pub fn list(config: &Config) -> Value {
    json!({
        "providers": config.providers.iter().map(provider).collect::<Vec<_>>(),
        "known": terms::all().iter().map(known).collect::<Vec<_>>(),
    })
}

fn provider(provider: &Provider) -> Value {
    let own = &provider.terms;
    let source = match own {
        _ if own.operators => "operator",
        _ if own.public.is_some() => "public",
        _ if provider.kind == crate::config::ProviderKind::Sim => "builtin",
        _ => "nobody",
    };
    let public = own.public;
    json!({
        "name": provider.name,
        "retention": provider.retention.name(),
        "trains": provider.trains,
        "excluded": names(&own.excluded),
        "region": provider.region,
        "source": source,
        // Whose keys these are, and so whose agreement: what an operator says of them nobody else can check.
        "customer_attested": own.operators,
        "attested": own.attested,
        "evidence": public.map(|terms| terms.evidence),
        "checked": public.map(|terms| terms.checked),
        "note": public.map(|terms| terms.note),
    })
}

fn known(terms: &Terms) -> Value {
    json!({
        "provider": terms.provider,
        "hosts": terms.hosts,
        "retention": terms.retention.name(),
        "trains": terms.trains,
        "excluded": names(terms.excluded),
        "not_models": terms.not_models,
        "evidence": terms.evidence,
        "checked": terms.checked,
        "note": terms.note,
    })
}

fn names(features: &[Feature]) -> Vec<&'static str> {
    features.iter().map(|feature| feature.name()).collect()
}
