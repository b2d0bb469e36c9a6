//! YAML that people write, and errors that say where and what was meant.

use crate::nearest::nearest;
use crate::policy::LoadError;
use serde::de::DeserializeOwned;
use serde_saphyr::{Error, Location};

/// Reads one YAML document; an unknown name comes with the nearest known one.
pub(crate) fn parse<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, LoadError> {
    let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| load_error(file, &error))
}

/// The same error at a place that `Spanned` has noted.
pub(crate) fn at(error: LoadError, place: Location) -> LoadError {
    match (u32::try_from(place.line()), u32::try_from(place.column())) {
        (Ok(line), Ok(column)) if line > 0 => error.at(line, column),
        _ => error,
    }
}

fn load_error(file: &str, error: &Error) -> LoadError {
    let error = error.without_snippet();
    let (message, hint) = match error {
        Error::SerdeUnknownField { field, expected, .. } => {
            (format!("unknown key `{field}`"), suggestion(field, expected))
        }
        Error::SerdeUnknownVariant { variant, expected, .. } => {
            (format!("unknown value `{variant}`"), suggestion(variant, expected))
        }
        Error::SerdeMissingField { field, .. } => (format!("the key `{field}` is missing"), None),
        other => (first_line(&other.to_string()), None),
    };
    let mut mapped = LoadError::new(file, message);
    mapped.hint = hint;
    match error.location() {
        Some(place) => at(mapped, place),
        None => mapped,
    }
}

fn suggestion(written: &str, known: &[&'static str]) -> Option<String> {
    match nearest(written, known.iter().copied()) {
        Some(name) => Some(format!("did you mean `{name}`?")),
        None if known.is_empty() => None,
        None => Some(format!("known: {}", known.join(", "))),
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Doc {
        #[allow(dead_code)]
        matchers: Vec<u8>,
    }

    #[test]
    fn a_misspelt_key_is_named_with_line_and_suggestion() {
        let error = parse::<Doc>("x.yaml", "# a comment\nmatcher: []\n").unwrap_err();
        assert_eq!(error.to_string(), "x.yaml:2:1: unknown key `matcher` (did you mean `matchers`?)");
    }

    #[test]
    fn broken_yaml_has_a_place() {
        let error = parse::<Doc>("x.yaml", "matchers: [1,\n  2\n").unwrap_err();
        assert!(error.line.is_some(), "{error}");
    }
}
