//! Attributes, as the protocol has them.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use std::time::{SystemTime, UNIX_EPOCH};

/// A text.
pub(super) fn text(key: &str, value: impl Into<String>) -> KeyValue {
    pair(key, Value::StringValue(value.into()))
}

/// A whole number; what is larger than one is the largest.
pub(super) fn number(key: &str, value: impl TryInto<i64>) -> KeyValue {
    pair(key, Value::IntValue(value.try_into().unwrap_or(i64::MAX)))
}

/// A number with a fraction.
pub(super) fn float(key: &str, value: f64) -> KeyValue {
    pair(key, Value::DoubleValue(value))
}

/// Yes or no.
pub(super) fn flag(key: &str, value: bool) -> KeyValue {
    pair(key, Value::BoolValue(value))
}

/// A list of texts.
pub(super) fn list<'v>(key: &str, texts: impl Iterator<Item = &'v str>) -> KeyValue {
    let values = texts.map(|text| any(Value::StringValue(text.to_owned()))).collect();
    pair(key, Value::ArrayValue(ArrayValue { values }))
}

/// A value by itself.
pub(super) const fn any(value: Value) -> AnyValue {
    AnyValue { value: Some(value) }
}

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(any(value)), key_strindex: 0 }
}

/// Nanoseconds since 1970.
pub(super) fn nanos(at: SystemTime) -> u64 {
    u64::try_from(at.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
}

/// Who made it all.
pub(super) fn scope() -> InstrumentationScope {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    InstrumentationScope { name: "weir".to_owned(), version, ..InstrumentationScope::default() }
}

/// What sends: a name that the operator may change by `OTEL_SERVICE_NAME`, attributes that the operator may add by
/// `OTEL_RESOURCE_ATTRIBUTES`, and an id that no other process has.
pub(super) fn resource(env: impl Fn(&str) -> Option<String>) -> Resource {
    let mut attributes: Vec<KeyValue> = Vec::new();
    let mut set = |key: &str, value: &str| {
        attributes.retain(|known| known.key != key);
        attributes.push(text(key, value));
    };
    set("service.name", "weir");
    set("service.version", env!("CARGO_PKG_VERSION"));
    set("service.instance.id", &instance());
    let added = env("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
    for (key, value) in added.split(',').filter_map(|pair| pair.split_once('=')) {
        set(key.trim(), value.trim());
    }
    if let Some(name) = env("OTEL_SERVICE_NAME").filter(|name| !name.is_empty()) {
        set("service.name", &name);
    }
    Resource { attributes, ..Resource::default() }
}

/// A random UUID.
fn instance() -> String {
    let random = |_| crate::telemetry::trace::span_id();
    let [high, low] = [0, 1].map(random);
    let (high, low) = (high & !0xf000 | 0x4000, low & !(0b11 << 62) | 1 << 63);
    let id = format!("{high:016x}{low:016x}");
    [&id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_what_the_environment_makes_of_it() {
        let values = |env: fn(&str) -> Option<String>| {
            let value = |kv: &KeyValue| match kv.value.as_ref().and_then(|any| any.value.clone()) {
                Some(Value::StringValue(text)) => text,
                other => panic!("{other:?}"),
            };
            let resource = resource(env);
            resource.attributes.iter().map(|kv| (kv.key.clone(), value(kv))).collect::<Vec<_>>()
        };
        let plain = values(|_| None);
        assert_eq!((plain[0].0.as_str(), plain[0].1.as_str()), ("service.name", "weir"));
        let id = &plain[2].1;
        assert_eq!((id.len(), &id[14..15]), (36, "4"), "{id}");
        let set = values(|name| match name {
            "OTEL_SERVICE_NAME" => Some("gate".into()),
            _ => Some("deployment.environment.name=prod, service.version=9,broken".into()),
        });
        let get = |key: &str| {
            set.iter().filter(|(known, _)| known == key).map(|(_, v)| v.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(get("service.name"), ["gate"]);
        assert_eq!(get("service.version"), ["9"]);
        assert_eq!(get("deployment.environment.name"), ["prod"]);
    }
}
