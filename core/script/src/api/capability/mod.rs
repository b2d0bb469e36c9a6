//! The functions of the capabilities, one file each. All go through [`crate::call::with`]: what the manifest does not ask
//! for is not callable.

mod annotate;
mod env;
mod http;
mod kv;
mod telemetry;
mod tokens;

use super::plan::kind;
use crate::api::registrar::Api;
use crate::fault::misuse;
use rhai::{Dynamic, EvalAltResult, ImmutableString, Map};
use weir_policy::Capability;

pub(crate) use http::{OUTBOUND, Reply};

type Answer<T> = Result<T, Box<EvalAltResult>>;

/// The functions of each capability, by name. `targets` has none: what it stands for is a parameter of the hooks.
pub(crate) const FUNCTIONS: [(Capability, &[&str]); 6] = [
    (Capability::Env, &["now_ms", "random", "bucket"]),
    (Capability::Telemetry, &["log", "counter", "observe", "explain"]),
    (Capability::Annotate, &["annotate"]),
    (Capability::Tokens, &["count", "count_segment"]),
    (Capability::Kv, &["kv_get", "kv_put", "kv_cas", "kv_delete", "kv_incr", "kv_take"]),
    (Capability::Http, &["http_send", "http_send_all"]),
];

/// Names that are also functions without a capability: `errors.count("…")`, `log(x, base)`. They are looked at when they
/// are called.
pub(crate) const AMBIGUOUS: [&str; 2] = ["count", "log"];

pub(super) fn register(api: &mut Api<'_>) {
    annotate::register(api);
    env::register(api);
    http::register(api);
    kv::register(api);
    telemetry::register(api);
    tokens::register(api);
}

/// A map of names to texts, numbers or flags, as pairs of texts.
fn pairs(map: &Map) -> Answer<Vec<(String, String)>> {
    map.iter().map(|(name, value)| Ok((name.to_string(), plain(value)?))).collect()
}

fn plain(value: &Dynamic) -> Answer<String> {
    match value.read_lock::<ImmutableString>() {
        Some(text) => Ok(text.as_str().to_owned()),
        None if value.is_int() || value.is_float() || value.is_bool() || value.is_char() => {
            Ok(value.to_string())
        }
        None => Err(misuse(format!("{} where a text or a number is needed", kind(value)))),
    }
}

/// A whole number from 0.
fn natural(value: i64, what: &str) -> Answer<u64> {
    u64::try_from(value).map_err(|_| misuse(format!("{what} is a whole number from 0")))
}
