//! Values of scripts as JSON.

use super::plan::kind;
use crate::fault::misuse;
use rhai::{Array, Dynamic, EvalAltResult, ImmutableString, Map};
use serde_json::Value;

/// Deepest nesting.
const DEPTH: usize = 64;

/// What a script built of texts, numbers, flags, arrays and maps.
pub(super) fn of(value: &Dynamic) -> Result<Value, Box<EvalAltResult>> {
    nested(value, DEPTH)
}

fn nested(value: &Dynamic, left: usize) -> Result<Value, Box<EvalAltResult>> {
    let Some(left) = left.checked_sub(1) else {
        return Err(misuse(format!("nested deeper than {DEPTH}")));
    };
    if let Some(text) = value.read_lock::<ImmutableString>() {
        return Ok(Value::String(text.as_str().to_owned()));
    }
    if let Some(items) = value.read_lock::<Array>() {
        return items.iter().map(|item| nested(item, left)).collect::<Result<_, _>>().map(Value::Array);
    }
    if let Some(fields) = value.read_lock::<Map>() {
        let fields = fields.iter().map(|(name, field)| Ok((name.to_string(), nested(field, left)?)));
        return fields.collect::<Result<_, Box<EvalAltResult>>>().map(Value::Object);
    }
    scalar(value).ok_or_else(|| misuse(format!("{} is no JSON", kind(value))))
}

fn scalar(value: &Dynamic) -> Option<Value> {
    if value.is_unit() {
        return Some(Value::Null);
    }
    let whole = value.as_int().map(Value::from).ok();
    let flag = || value.as_bool().map(Value::from).ok();
    let number = || value.as_float().map(Value::from).ok();
    whole.or_else(flag).or_else(number)
}
