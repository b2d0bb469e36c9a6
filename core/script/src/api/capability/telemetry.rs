//! `telemetry`: logs, metrics, and lines of the decision trace. Once the call has read content, a text that the manifest
//! does not declare becomes `undeclared`.

use super::{Answer, natural, pairs};
use crate::api::registrar::Api;
use crate::call::{self, Call};
use crate::fault::misuse;
use rhai::{FLOAT, INT, ImmutableString, Map};
use weir_policy::Capability;
use weir_policy::services::{Level, Record};

/// Most fields of a line, or labels of a metric.
const MAX_PAIRS: usize = 16;

type Name = ImmutableString;

pub(super) fn register(api: &mut Api<'_>) {
    api.function("log", |level: Name, message: Name| log(&level, &message, &Map::new()));
    api.function("log", |level: Name, message: Name, fields: Map| log(&level, &message, &fields));
    api.function("counter", |name: Name, by: INT| counter(&name, by, &Map::new()));
    api.function("counter", |name: Name, by: INT, labels: Map| counter(&name, by, &labels));
    api.function("observe", |name: Name, value: FLOAT| observe(&name, value, &Map::new()));
    api.function("observe", |name: Name, value: INT| observe(&name, value as FLOAT, &Map::new()));
    api.function("observe", |name: Name, value: FLOAT, labels: Map| observe(&name, value, &labels));
    api.function("observe", |name: Name, value: INT, labels: Map| observe(&name, value as FLOAT, &labels));
    api.function("explain", |rule: Name, because: Name| {
        call::with(Capability::Telemetry, |call| {
            let (rule, because) = (call.text(&rule), call.text(&because));
            call.services().record(&call.origin(), Record::Explain { rule: &rule, because: &because });
            Ok(())
        })
    });
}

fn log(level: &str, message: &str, fields: &Map) -> Answer<()> {
    let known = Level::ALL.into_iter().find(|known| known.as_str() == level);
    let level = known.ok_or_else(|| misuse("a level is trace, debug, info, warn or error"))?;
    call::with(Capability::Telemetry, |call| {
        let (message, fields) = (call.text(message), labels(call, fields)?);
        call.services().record(&call.origin(), Record::Log { level, message: &message, fields: &fields });
        Ok(())
    })
}

fn counter(name: &str, by: INT, map: &Map) -> Answer<()> {
    let by = natural(by, "what a counter grows by")?;
    call::with(Capability::Telemetry, |call| {
        let (name, labels) = (call.text(name), labels(call, map)?);
        call.services().record(&call.origin(), Record::Counter { name: &name, by, labels: &labels });
        Ok(())
    })
}

fn observe(name: &str, value: FLOAT, map: &Map) -> Answer<()> {
    call::with(Capability::Telemetry, |call| {
        let (name, labels) = (call.text(name), labels(call, map)?);
        call.services().record(&call.origin(), Record::Observe { name: &name, value, labels: &labels });
        Ok(())
    })
}

fn labels(call: &Call, map: &Map) -> Answer<Vec<(String, String)>> {
    if map.len() > MAX_PAIRS {
        return Err(misuse(format!("more than {MAX_PAIRS} fields or labels")));
    }
    let labels = pairs(map)?;
    Ok(labels.iter().map(|(name, value)| call.label(name, value)).collect())
}
