//! Rate-limit headers: the provider's own pass, and are said again under the names that the caller's SDK reads.

use crate::upstream;
use http::header::RETRY_AFTER;
use http::response::Parts;
use http::{HeaderName, HeaderValue};
use weir_llm::api::Api;

/// Names that mean the same, OpenAI's and Anthropic's. Their resets do not: one is a span, the other a time.
const PAIRS: [(&str, &str); 4] = [
    ("x-ratelimit-limit-requests", "anthropic-ratelimit-requests-limit"),
    ("x-ratelimit-remaining-requests", "anthropic-ratelimit-requests-remaining"),
    ("x-ratelimit-limit-tokens", "anthropic-ratelimit-tokens-limit"),
    ("x-ratelimit-remaining-tokens", "anthropic-ratelimit-tokens-remaining"),
];

/// What is left of a limit, and when it is full again.
const RESETS: [(&str, &str); 7] = [
    ("x-ratelimit-remaining", "x-ratelimit-reset"),
    ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
    ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"),
    ("anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-reset"),
    ("anthropic-ratelimit-output-tokens-remaining", "anthropic-ratelimit-output-tokens-reset"),
];

/// The rate-limit headers of a reply, for callers of an API.
pub fn passed_on(head: Option<&Parts>, api: Api) -> Vec<(HeaderName, HeaderValue)> {
    let Some(head) = head else { return Vec::new() };
    let limits = head.headers.iter().filter(|(name, _)| is_limit(name));
    let mut headers: Vec<(HeaderName, HeaderValue)> =
        limits.map(|(name, value)| (name.clone(), value.clone())).collect();
    if headers.is_empty() {
        return headers;
    }
    for (openai, anthropic) in PAIRS {
        let (from, to) = if api.is_anthropic() { (openai, anthropic) } else { (anthropic, openai) };
        if let Some(value) = head.headers.get(from).filter(|_| !head.headers.contains_key(to)) {
            headers.push((HeaderName::from_static(to), value.clone()));
        }
    }
    headers
}

/// The same for an error, with the date after which to try again if that is how the provider says it.
pub fn refused(head: Option<&Parts>, api: Api, has_span: bool) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = passed_on(head, api);
    let date = head.and_then(|head| head.headers.get(RETRY_AFTER)).filter(|_| !has_span);
    headers.extend(date.map(|date| (RETRY_AFTER, date.clone())));
    headers
}

/// Whether a reply says anything of limits at all: most do not, and looking for each name costs more than this.
pub fn are_told(head: Option<&Parts>) -> bool {
    head.is_some_and(|head| head.headers.keys().any(is_limit))
}

fn is_limit(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.starts_with("x-ratelimit-") || name.starts_with("anthropic-ratelimit-")
}

/// How long until a limit of which nothing is left is full again.
pub fn reset_ms<'h>(header: impl Fn(&'static str) -> Option<&'h str>) -> Option<u32> {
    let spent = |(remaining, reset)| (header(remaining)?.trim() == "0").then(|| header(reset)).flatten();
    RESETS.into_iter().filter_map(spent).filter_map(|text| upstream::reset_ms(text, &header)).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_is_read_where_something_is_spent() {
        let of = |known: &[(&str, &'static str)], name| known.iter().find(|h| h.0 == name).map(|h| h.1);
        let headers = |remaining, reset| {
            [("x-ratelimit-remaining-tokens", remaining), ("x-ratelimit-reset-tokens", reset)]
        };
        assert_eq!(reset_ms(|name| of(&headers("0", "6m0s"), name)), Some(360_000));
        assert_eq!(reset_ms(|name| of(&headers("0", "x"), name)), None);
        assert_eq!(reset_ms(|name| of(&headers("7", "1s"), name)), None, "there is some left");
        let anthropic = [
            ("anthropic-ratelimit-input-tokens-remaining", "0"),
            ("anthropic-ratelimit-input-tokens-reset", "2026-11-28T14:00:30Z"),
            ("anthropic-ratelimit-requests-remaining", "3"),
            ("anthropic-ratelimit-requests-reset", "2026-11-28T15:00:00Z"),
            ("date", "Sat, 28 Nov 2026 14:00:00 GMT"),
        ];
        assert_eq!(reset_ms(|name| of(&anthropic, name)), Some(30_000));
    }

    #[test]
    fn limits_are_said_in_the_callers_words_too() {
        let (mut head, ()) = http::Response::new(()).into_parts();
        head.headers.insert("anthropic-ratelimit-requests-remaining", HeaderValue::from_static("7"));
        head.headers.insert("server", HeaderValue::from_static("x"));
        let names = |api| -> Vec<String> {
            passed_on(Some(&head), api)
                .iter()
                .map(|(name, value)| format!("{name}={}", value.to_str().unwrap()))
                .collect()
        };
        assert_eq!(names(Api::Messages), ["anthropic-ratelimit-requests-remaining=7"]);
        assert_eq!(
            names(Api::Chat),
            ["anthropic-ratelimit-requests-remaining=7", "x-ratelimit-remaining-requests=7"]
        );
    }
}
