//! How each provider is doing right now: its keys and its targets.

use super::terms;
use crate::gateway::Gateway;
use serde_json::{Value, json};
use weir_policy::{Breaker, LiveFacts};

/// The terms of every provider, each with a section `live`.
pub fn providers(gateway: &Gateway) -> Value {
    let snapshot = gateway.snapshot.load();
    let mut listed = terms::list(&snapshot.config);
    let conditions = gateway.upstreams.keys.conditions();
    for provider in listed["providers"].as_array_mut().into_iter().flatten() {
        let name = provider["name"].as_str().unwrap_or_default().to_owned();
        let keys = conditions.iter().filter(|((owner, _), _)| **owner == *name);
        // A key is known by its place in the config, and by nothing else.
        let keys: Value =
            keys.map(|((_, place), state)| json!({ "key": place, "state": state.as_str() })).collect();
        let targets: Value = (0..)
            .map_while(|index| Some((index, snapshot.meters.target(index)?)))
            .filter(|(_, target)| target.provider == name)
            .map(|(index, target)| one(target.id, &snapshot.live.live(index), snapshot.live.is_there(index)))
            .collect();
        provider["live"] = json!({ "keys": keys, "targets": targets });
    }
    listed
}

fn one(id: &str, live: &weir_policy::Live, asked: bool) -> Value {
    let breaker = match live.breaker {
        Breaker::Closed => "closed",
        Breaker::HalfOpen => "half-open",
        Breaker::Open => "open",
    };
    json!({
        "target": id,
        "healthy": live.healthy,
        "passed_over": !asked,
        "breaker": breaker,
        "in_flight": live.in_flight,
        "err_rate_1m": live.err_rate_1m,
        "ttft_p50_ms": live.ttft_p50_ms,
        "headroom": live.headroom,
    })
}
