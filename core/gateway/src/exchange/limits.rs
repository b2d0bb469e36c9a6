//! Rate-limit headers: the provider's own pass, and are said again under the names that the caller's SDK reads.

use http::header::RETRY_AFTER;
use http::{HeaderName, HeaderValue};
use pingora::http::ResponseHeader;
use weir_llm::api::Api;

/// Names that mean the same, OpenAI's and Anthropic's. Their resets do not: one is a span, the other a time.
const PAIRS: [(&str, &str); 4] = [
    ("x-ratelimit-limit-requests", "anthropic-ratelimit-requests-limit"),
    ("x-ratelimit-remaining-requests", "anthropic-ratelimit-requests-remaining"),
    ("x-ratelimit-limit-tokens", "anthropic-ratelimit-tokens-limit"),
    ("x-ratelimit-remaining-tokens", "anthropic-ratelimit-tokens-remaining"),
];

/// The rate-limit headers of a reply, for callers of an API.
pub fn passed_on(head: Option<&ResponseHeader>, api: Api) -> Vec<(HeaderName, HeaderValue)> {
    let Some(head) = head else { return Vec::new() };
    let ours = |name: &str| name.starts_with("x-ratelimit-") || name.starts_with("anthropic-ratelimit-");
    let mut headers: Vec<(HeaderName, HeaderValue)> = head
        .headers
        .iter()
        .filter(|(name, _)| ours(name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    for (openai, anthropic) in PAIRS {
        let (from, to) = if api.is_anthropic() { (openai, anthropic) } else { (anthropic, openai) };
        if let Some(value) = head.headers.get(from).filter(|_| !head.headers.contains_key(to)) {
            headers.push((HeaderName::from_static(to), value.clone()));
        }
    }
    headers
}

/// The same for an error, with the date after which to try again if that is how the provider says it.
pub fn refused(head: Option<&ResponseHeader>, api: Api, has_span: bool) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = passed_on(head, api);
    let date = head.and_then(|head| head.headers.get(RETRY_AFTER)).filter(|_| !has_span);
    headers.extend(date.map(|date| (RETRY_AFTER, date.clone())));
    headers
}

/// When the limit that was hit is reset, as OpenAI-compatible providers say it: `1s`, `6m0s`, `20ms`.
pub fn reset_ms<'h>(header: impl Fn(&'static str) -> Option<&'h str>) -> Option<u32> {
    let kinds = [
        ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
        ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    ];
    let spent = |(remaining, reset)| (header(remaining)?.trim() == "0").then(|| header(reset)).flatten();
    kinds.into_iter().filter_map(spent).filter_map(|text| span(text.trim())).max()
}

/// Go's way to write a span of time; a bare number is seconds.
fn span(text: &str) -> Option<u32> {
    let mut ms = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let unit = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        ms += number.parse::<f64>().ok()?
            * match unit {
                "ms" => 1.0,
                "s" | "" => 1_000.0,
                "m" => 60_000.0,
                "h" => 3_600_000.0,
                _ => return None,
            };
        rest = after;
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked first")]
    (ms.is_finite() && ms > 0.0 && ms <= 86_400_000.0).then_some(ms as u32)
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
        for (reset, ms) in [("1s", 1_000), ("6m0s", 360_000), ("20ms", 20), ("1.5s", 1_500), ("7", 7_000)] {
            assert_eq!(reset_ms(|name| of(&headers("0", reset), name)), Some(ms), "{reset}");
        }
        for bad in ["", "s", "1d", "2026-11-28T00:00:00Z", "-1s", "1e9h"] {
            assert_eq!(reset_ms(|name| of(&headers("0", bad), name)), None, "{bad}");
        }
        assert_eq!(reset_ms(|name| of(&headers("7", "1s"), name)), None, "there is some left");
    }

    #[test]
    fn limits_are_said_in_the_callers_words_too() {
        let mut head = ResponseHeader::build(200, None).unwrap();
        head.insert_header("anthropic-ratelimit-requests-remaining", "7").unwrap();
        head.insert_header("server", "x").unwrap();
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
