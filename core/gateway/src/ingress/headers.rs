//! The caller's key and the `x-weir-*` headers.

use crate::refusal::Refusal;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use std::sync::Arc;
use weir_ledger::wishes::is_region_list;
use weir_llm::api::Api;
use weir_llm::request::{DataWishes, MaxPrice};
use weir_policy::{DataClass, Retention};

/// What the caller asked of the gateway itself, by header.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wishes {
    /// `x-weir-cache`.
    pub cache: CacheWish,
    /// `x-weir-retention`, or `provider.zdr` of the body: may only tighten.
    pub retention: Option<Retention>,
    /// `x-weir-training: deny`, or `provider.data_collection` of the body.
    pub no_training: bool,
    /// `x-weir-region`: a list of regions with commas between them; may only tighten.
    pub region: Option<Arc<str>>,
    /// `provider.max_price` of the body.
    pub max_price: MaxPrice,
    /// `x-weir-class`: how sensitive its content is; may only raise what organisation, team and key say.
    pub class: Option<DataClass>,
    /// `x-weir-tags: name=value, …`.
    pub tags: Vec<(String, String)>,
    /// `x-weir-strict`: whether to be refused rather than served in part.
    pub strict: Option<bool>,
    /// `x-weir-explain`: whether to be told who decided what.
    pub explain: bool,
}

impl Wishes {
    /// Adds what the body asks for. All of it only tightens.
    pub fn tighten(&mut self, body: DataWishes) {
        if body.zero {
            self.retention = Some(Retention::Zero);
        }
        self.no_training |= body.no_training;
        self.max_price = body.max_price;
    }
}

/// What the caller wants of the response cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CacheWish {
    /// What the alias says.
    #[default]
    Alias,
    /// Read and write it.
    On,
    /// Neither.
    Off,
    /// Write it without reading.
    Refresh,
}

/// Most tags that one request may carry.
const TAGS: usize = 16;

/// The API key: `Authorization: Bearer`, `x-api-key` or `api-key`. To Anthropic's callers `x-api-key` goes first, as
/// with Anthropic itself: their SDKs may send both.
///
/// # Errors
/// 401 if there is none, or two that differ.
pub fn key(headers: &HeaderMap, api: Api) -> Result<&str, Refusal> {
    if let Some(value) = headers.get("x-api-key").filter(|_| api.is_anthropic()) {
        return text(value);
    }
    let bearer = headers.get(AUTHORIZATION).map(bearer).transpose()?;
    let mut found = bearer;
    for name in ["x-api-key", "api-key"] {
        let Some(value) = headers.get(name) else { continue };
        let value = text(value)?;
        if found.is_some_and(|first| first != value) {
            return Err(Refusal::unauthenticated(
                "ambiguous_api_key",
                "The request carries two different API keys; send one.",
            ));
        }
        found = Some(value);
    }
    found.ok_or_else(|| {
        Refusal::unauthenticated(
            "missing_api_key",
            "The request carries no API key. Send `Authorization: Bearer weir_sk_…`; `weir key create` makes one.",
        )
    })
}

fn bearer(value: &HeaderValue) -> Result<&str, Refusal> {
    let value = text(value)?;
    let (scheme, key) = value.split_once(' ').unwrap_or((value, ""));
    if scheme.eq_ignore_ascii_case("bearer") && !key.trim().is_empty() {
        return Ok(key.trim());
    }
    Err(Refusal::unauthenticated(
        "malformed_authorization",
        "The Authorization header is not `Bearer weir_sk_…`.",
    ))
}

fn text(value: &HeaderValue) -> Result<&str, Refusal> {
    value.to_str().map_err(|_| {
        Refusal::unauthenticated("malformed_api_key", "The API key holds bytes that no key of Weir's holds.")
    })
}

/// Reads every `x-weir-*` header.
///
/// # Errors
/// 400 that names the header, if it is unknown or its value is not understood.
pub fn wishes(headers: &HeaderMap) -> Result<Wishes, Refusal> {
    let mut wishes = Wishes::default();
    for (name, value) in headers {
        let Some(ours) = name.as_str().strip_prefix("x-weir-") else { continue };
        let value = value.to_str().map_err(|_| misunderstood(ours, "plain ASCII"))?.trim();
        match ours {
            "cache" => wishes.cache = cache(value)?,
            "retention" => {
                let wanted = Retention::parse(value);
                wishes.retention = Some(
                    wanted
                        .ok_or_else(|| misunderstood(ours, "zero, zero-except-safety, days-N or unknown"))?,
                );
            }
            "training" => wishes.no_training = training(value)?,
            "region" => wishes.region = Some(region(value)?),
            // Of two headers the more sensitive: whoever stands in between can add one, and nobody can undo it.
            "class" => wishes.class = wishes.class.max(Some(class(value)?)),
            "tags" => wishes.tags = tags(value)?,
            "strict" => wishes.strict = Some(flag(ours, value)?),
            "explain" => wishes.explain = flag(ours, value)?,
            _ => {
                return Err(Refusal::invalid(
                    "unknown_header",
                    format!(
                        "x-weir-{ours} is not a header of this version of Weir; it knows x-weir-cache, x-weir-class, x-weir-explain, x-weir-region, x-weir-retention, x-weir-strict, x-weir-tags and x-weir-training."
                    ),
                ));
            }
        }
    }
    Ok(wishes)
}

fn flag(name: &str, value: &str) -> Result<bool, Refusal> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(misunderstood(name, "true or false")),
    }
}

fn training(value: &str) -> Result<bool, Refusal> {
    match value {
        "deny" => Ok(true),
        "allow" => Ok(false),
        _ => Err(misunderstood("training", "deny or allow")),
    }
}

fn region(value: &str) -> Result<Arc<str>, Refusal> {
    let list: String = value.chars().filter(|c| *c != ' ').map(|c| c.to_ascii_lowercase()).collect();
    if is_region_list(&list) {
        Ok(list.into())
    } else {
        Err(misunderstood("region", "names such as eu, or eu,ch"))
    }
}

fn class(value: &str) -> Result<DataClass, Refusal> {
    DataClass::parse(value)
        .ok_or_else(|| misunderstood("class", "public, internal, confidential or restricted"))
}

fn cache(value: &str) -> Result<CacheWish, Refusal> {
    match value {
        "on" => Ok(CacheWish::On),
        "off" => Ok(CacheWish::Off),
        "refresh" => Ok(CacheWish::Refresh),
        _ => Err(misunderstood("cache", "on, off or refresh")),
    }
}

fn tags(value: &str) -> Result<Vec<(String, String)>, Refusal> {
    let mut tags: Vec<(String, String)> = value
        .split(',')
        .map(|tag| {
            let (name, value) = tag.trim().split_once('=')?;
            let plain = |text: &str| {
                (1..=64).contains(&text.len())
                    && text
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/' | b':'))
            };
            (plain(name) && plain(value)).then(|| (name.to_owned(), value.to_owned()))
        })
        .collect::<Option<_>>()
        .ok_or_else(|| {
            misunderstood(
                "tags",
                "name=value pairs with commas between them, each part 1 to 64 of A-Z a-z 0-9 - _ . / :",
            )
        })?;
    tags.sort();
    tags.dedup_by(|a, b| a.0 == b.0);
    if tags.len() > TAGS {
        return Err(misunderstood("tags", "at most 16 pairs"));
    }
    Ok(tags)
}

fn misunderstood(name: &str, wanted: &str) -> Refusal {
    Refusal::invalid(
        "bad_header",
        format!("The value of x-weir-{name} is not understood; it takes {wanted}."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn keys_come_in_three_headers_but_must_agree() {
        assert_eq!(key(&headers(&[("authorization", "bearer k")]), Api::Chat).unwrap(), "k");
        assert_eq!(key(&headers(&[("x-api-key", "k")]), Api::Chat).unwrap(), "k");
        assert_eq!(
            key(&headers(&[("api-key", "k"), ("authorization", "Bearer k")]), Api::Chat).unwrap(),
            "k"
        );
        let both = headers(&[("x-api-key", "a"), ("authorization", "Bearer b")]);
        assert_eq!(key(&both, Api::Messages).unwrap(), "a");
        for bad in [
            &[][..],
            &[("authorization", "Basic k")],
            &[("api-key", "a"), ("x-api-key", "b")],
            &[("authorization", "Bearer ")],
        ] {
            assert_eq!(key(&headers(bad), Api::Chat).unwrap_err().status, 401, "{bad:?}");
        }
    }

    #[test]
    fn our_headers_are_read_or_refused_by_name() {
        let read =
            wishes(&headers(&[("x-weir-cache", "refresh"), ("x-weir-tags", "b=2, a=1"), ("x-other", "?")]))
                .unwrap();
        assert_eq!(read.cache, CacheWish::Refresh);
        assert_eq!(read.tags, [("a".into(), "1".into()), ("b".into(), "2".into())]);
        let terms = wishes(&headers(&[("x-weir-region", "EU, ch"), ("x-weir-training", "deny")])).unwrap();
        assert_eq!((terms.region.as_deref(), terms.no_training), (Some("eu,ch"), true));
        assert_eq!(terms.class, None);
        let class = wishes(&headers(&[("x-weir-class", "public")])).unwrap().class;
        assert_eq!(class, Some(DataClass::Public));
        let mut two = headers(&[("x-weir-class", "restricted")]);
        two.append("x-weir-class", "public".parse().unwrap());
        assert_eq!(wishes(&two).unwrap().class, Some(DataClass::Restricted));
        for (name, value) in [
            ("x-weir-cash", "on"),
            ("x-weir-cache", "yes"),
            ("x-weir-retention", "never"),
            ("x-weir-tags", "a"),
            ("x-weir-region", "e u!"),
            ("x-weir-training", "no"),
            ("x-weir-class", "secret"),
            ("x-weir-class", "Public"),
        ] {
            let refusal = wishes(&headers(&[(name, value)])).unwrap_err();
            assert_eq!(refusal.status, 400);
            assert!(refusal.message.contains(name), "{}", refusal.message);
        }
    }
}
