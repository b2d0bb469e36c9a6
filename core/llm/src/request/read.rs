//! Reading typed fields of a strict document, with errors that say where and what would be right.

use super::RequestError;
use crate::json::{Kind, Value};
use std::borrow::Cow;
use std::fmt;

/// Longest model name that is read.
const MAX_MODEL_BYTES: usize = 256;
/// Most choices that may be asked for; OpenAI's own bound.
const MAX_CHOICES: u64 = 128;
/// The largest integer that every JSON parser reads alike (2⁵³ − 1).
const MAX_INTEGER: u64 = (1 << 53) - 1;

/// Where a field stands; written out only in errors.
pub(crate) enum Path<'a> {
    Root(&'a str),
    Member(&'a Path<'a>, &'a str),
    Item(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(key) => f.write_str(key),
            Self::Member(parent, key) => write!(f, "{parent}.{key}"),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

pub(crate) fn one_of(value: Value<'_>, path: &Path<'_>, wanted: &[Kind]) -> Result<(), RequestError> {
    let kind = value.kind();
    if wanted.contains(&kind) {
        return Ok(());
    }
    let names: Vec<_> = wanted.iter().map(|kind| kind.with_article()).collect();
    Err(RequestError {
        message: format!("`{path}` must be {}, not {}.", names.join(" or "), kind.with_article()),
        param: Some(path.to_string()),
        code: "invalid_type",
    })
}

/// How many choices are asked for.
pub(crate) fn choices(value: Value<'_>, path: &Path<'_>) -> Result<u64, RequestError> {
    let choices = optional_integer(value, path)?.unwrap_or(1);
    if !(1..=MAX_CHOICES).contains(&choices) {
        return Err(invalid(path, format!("must be between 1 and {MAX_CHOICES}")));
    }
    Ok(choices)
}

/// A model name: short and printable.
pub(crate) fn model_name(value: Value<'_>, path: &Path<'_>) -> Result<String, RequestError> {
    let name = text(value, path)?;
    if name.is_empty() || name.len() > MAX_MODEL_BYTES || name.chars().any(char::is_control) {
        return Err(invalid(
            path,
            format!("must be 1 to {MAX_MODEL_BYTES} bytes without control characters"),
        ));
    }
    Ok(name.into_owned())
}

/// The value if it is of that kind, nothing if it is null.
pub(crate) fn optional<'a>(
    value: Value<'a>,
    path: &Path<'_>,
    wanted: Kind,
) -> Result<Option<Value<'a>>, RequestError> {
    one_of(value, path, &[wanted, Kind::Null])?;
    Ok((!value.is_null()).then_some(value))
}

pub(crate) fn optional_bool(value: Value<'_>, path: &Path<'_>) -> Result<Option<bool>, RequestError> {
    Ok(optional(value, path, Kind::Bool)?.and_then(|flag| flag.as_bool()))
}

/// Whether a text stands there rather than null.
pub(crate) fn optional_text(value: Value<'_>, path: &Path<'_>) -> Result<bool, RequestError> {
    Ok(optional(value, path, Kind::String)?.is_some())
}

pub(crate) fn text<'a>(value: Value<'a>, path: &Path<'_>) -> Result<Cow<'a, str>, RequestError> {
    one_of(value, path, &[Kind::String])?;
    Ok(value.as_str().unwrap_or_default())
}

pub(crate) fn optional_integer(value: Value<'_>, path: &Path<'_>) -> Result<Option<u64>, RequestError> {
    let Some(number) = optional(value, path, Kind::Number)? else { return Ok(None) };
    match number.as_u64() {
        Some(integer) if integer <= MAX_INTEGER => Ok(Some(integer)),
        _ => Err(invalid(
            path,
            "must be a plain integer, not negative, below 2^53, without fraction or exponent",
        )),
    }
}

pub(crate) fn required<'a>(object: Value<'a>, key: &str, path: &Path<'_>) -> Result<Value<'a>, RequestError> {
    object.get(key).ok_or_else(|| missing(&Path::Member(path, key)))
}

#[cold]
pub(crate) fn missing(path: &Path<'_>) -> RequestError {
    RequestError {
        message: format!("`{path}` is missing."),
        param: Some(path.to_string()),
        code: "missing_field",
    }
}

#[cold]
pub(crate) fn invalid(path: &Path<'_>, rule: impl fmt::Display) -> RequestError {
    RequestError {
        message: format!("`{path}` {rule}."),
        param: Some(path.to_string()),
        code: "invalid_value",
    }
}

/// Refuses an unknown key that a parser without regard to case would read as a known one.
pub(crate) fn distinct(key: &str, known: &[&str], path: &Path<'_>) -> Result<(), RequestError> {
    if key.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase()) {
        return Ok(());
    }
    // Go folds U+017F (long s) and U+212A (Kelvin sign) into ASCII too.
    let folded: String = key
        .chars()
        .map(|c| match c {
            '\u{17F}' => 's',
            '\u{212A}' => 'k',
            other => other.to_ascii_lowercase(),
        })
        .collect();
    match known.iter().find(|name| **name == folded) {
        None => Ok(()),
        Some(name) => Err(RequestError {
            message: format!(
                "`{path}` differs from `{name}` only in case: some providers would read it as that."
            ),
            param: Some(path.to_string()),
            code: "ambiguous_field",
        }),
    }
}

/// A member and the kinds of value that it may have.
pub(crate) type Row = (&'static str, &'static [Kind]);

/// Kinds of a text.
pub(crate) const TEXT: &[Kind] = &[Kind::String];
/// Kinds of a text that may be left out by `null`.
pub(crate) const TEXT_OR_NULL: &[Kind] = &[Kind::String, Kind::Null];
/// Kinds of a text or a list of parts.
pub(crate) const TEXT_OR_LIST: &[Kind] = &[Kind::String, Kind::Array];
/// Kinds of a text, a list of parts, or nothing.
pub(crate) const TEXT_OR_LIST_OR_NULL: &[Kind] = &[Kind::String, Kind::Array, Kind::Null];
/// Kinds of an object that may be left out by `null`.
pub(crate) const OBJECT_OR_NULL: &[Kind] = &[Kind::Object, Kind::Null];
/// Kinds of a list that may be left out by `null`.
pub(crate) const LIST_OR_NULL: &[Kind] = &[Kind::Array, Kind::Null];
/// Kinds of a flag that may be left out by `null`.
pub(crate) const FLAG_OR_NULL: &[Kind] = &[Kind::Bool, Kind::Null];
/// Kinds of a number that may be left out by `null`.
pub(crate) const NUMBER_OR_NULL: &[Kind] = &[Kind::Number, Kind::Null];
/// Kinds of a text or an object that may be left out by `null`.
pub(crate) const TEXT_OR_OBJECT_OR_NULL: &[Kind] = &[Kind::String, Kind::Object, Kind::Null];

/// Checks that a value is an object whose known members are of their kinds, and that no other differs from them only in
/// case.
pub(crate) fn shape(value: Value<'_>, path: &Path<'_>, rows: &[Row]) -> Result<(), RequestError> {
    one_of(value, path, &[Kind::Object])?;
    for (key, inner) in value.members() {
        let path = &Path::Member(path, &key);
        row(&key, inner, path, rows)?;
    }
    Ok(())
}

/// Checks one member against a table.
pub(crate) fn row(key: &str, value: Value<'_>, path: &Path<'_>, rows: &[Row]) -> Result<(), RequestError> {
    if let Some((_, kinds)) = rows.iter().find(|(known, _)| *known == key) {
        return one_of(value, path, kinds);
    }
    if key.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase()) {
        return Ok(());
    }
    let known: Vec<&str> = rows.iter().map(|(known, _)| *known).collect();
    distinct(key, &known, path)
}

/// Checks every element of a list; what is no list has none.
pub(crate) fn each(
    list: Value<'_>,
    path: &Path<'_>,
    check: &mut dyn FnMut(Value<'_>, &Path<'_>) -> Result<(), RequestError>,
) -> Result<(), RequestError> {
    list.elements().enumerate().try_for_each(|(index, item)| check(item, &Path::Item(path, index)))
}
