//! Types, values, numbers, strings.

use super::Keywords;
use super::read::{list, number, range, wrong};
use crate::schema::Unsupported;
use crate::schema::pattern::Pattern;
use crate::schema::rule::{Limit, Rule, Type};
use serde_json::Value;

/// A bound of numbers by its keyword.
const LIMITS: [(&str, Limit); 4] = [
    ("minimum", Limit::Min),
    ("exclusiveMinimum", Limit::Above),
    ("maximum", Limit::Max),
    ("exclusiveMaximum", Limit::Below),
];

pub(super) fn read(keywords: &Keywords, rules: &mut Vec<Rule>) -> Result<(), Unsupported> {
    if let Some(types) = keywords.get("type") {
        rules.push(Rule::Types(types_of(types).ok_or_else(|| wrong("type"))?));
    }
    if let Some(values) = list(keywords, "enum")? {
        rules.push(Rule::OneOf(values.to_vec()));
    }
    if let Some(value) = keywords.get("const") {
        rules.push(Rule::OneOf(vec![value.clone()]));
    }
    for (keyword, limit) in LIMITS {
        if let Some(bound) = number(keywords, keyword)? {
            rules.push(Rule::Limit(limit, bound.clone()));
        }
    }
    if let Some(unit) = number(keywords, "multipleOf")? {
        if unit.as_f64().is_none_or(|unit| unit <= 0.0) {
            return Err(wrong("multipleOf"));
        }
        rules.push(Rule::MultipleOf(unit.clone()));
    }
    if let Some(length) = range(keywords, "minLength", "maxLength")? {
        rules.push(Rule::Length(length));
    }
    if let Some(pattern) = keywords.get("pattern") {
        rules.push(Rule::Pattern(Pattern::compile(pattern.as_str().ok_or_else(|| wrong("pattern"))?)?));
    }
    Ok(())
}

fn types_of(written: &Value) -> Option<Vec<Type>> {
    match written {
        Value::String(name) => Type::parse(name).map(|wanted| vec![wanted]),
        Value::Array(names) => names.iter().map(|name| Type::parse(name.as_str()?)).collect(),
        _ => None,
    }
}
