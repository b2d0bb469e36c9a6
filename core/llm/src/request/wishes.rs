//! OpenRouter's way of asking for terms in the body: `"provider":{"zdr":true,"data_collection":"deny"}`, and for a price:
//! `"max_price":{"prompt":1,"completion":2}`.
//!
//! They are wishes to whoever chooses the provider, so they are read here and cut out; a target that chooses in its turn
//! (OpenRouter itself) is told afresh what holds.

use super::read::{Path, invalid, optional, optional_bool, text};
use super::{Request, RequestError};
use crate::json::{Json, Kind, Value, splice};
use crate::price::{Rate, pico_per_token_from_usd_per_mtok};
use crate::usage::Class;
use bytes::Bytes;
use std::fmt;
use std::ops::Range;

/// What a body asks of the providers that may serve it. All of it only tightens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DataWishes {
    /// `provider.zdr`: only targets that keep nothing.
    pub zero: bool,
    /// `provider.data_collection: deny`: only targets that do not train on content.
    pub no_training: bool,
    /// `provider.max_price`: only targets that cost no more.
    pub max_price: MaxPrice,
}

/// The most that a token may cost, in pico-dollars: a million of them is a dollar a million tokens. `None`: whatever it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MaxPrice {
    /// Of input: OpenRouter's `prompt`.
    pub input: Option<u64>,
    /// Of output: OpenRouter's `completion`.
    pub output: Option<u64>,
}

impl MaxPrice {
    /// Whether rates are known and within it. A model that has a price of input and none of output makes none (embeddings).
    #[must_use]
    pub fn covers(self, rates: &[Rate]) -> bool {
        let rate = |class| rates.iter().find(|rate| rate.class == class).map(|rate| rate.pico_per_unit);
        let (input, output) = (rate(Class::Input), rate(Class::Output));
        let within = |most: Option<u64>, rate: Option<u64>| {
            most.is_none_or(|most| rate.is_some_and(|rate| rate <= most))
        };
        within(self.input, input) && within(self.output, output.or(input.map(|_| 0)))
    }

    fn read(object: Value<'_>, at: &Path<'_>) -> Result<Self, RequestError> {
        let mut most = Self::default();
        for (name, value) in object.members() {
            let path = &Path::Member(at, &name);
            let part = match &*name {
                "prompt" => &mut most.input,
                "completion" => &mut most.output,
                _ => {
                    return Err(invalid(
                        path,
                        "is not known here: a price is asked for `prompt` and `completion`",
                    ));
                }
            };
            *part = optional(value, path, Kind::Number)?.map(|value| pico(value, path)).transpose()?;
        }
        Ok(most)
    }

    /// What is asked, by OpenRouter's names, in dollars a million tokens.
    fn parts(self) -> impl Iterator<Item = (&'static str, String)> {
        let parts = [("prompt", self.input), ("completion", self.output)];
        parts.into_iter().filter_map(|(name, most)| Some((name, dollars(most?))))
    }

    fn member(self) -> Option<String> {
        let parts: Vec<_> = self.parts().map(|(name, most)| format!(r#""{name}":{most}"#)).collect();
        (!parts.is_empty()).then(|| format!(r#""max_price":{{{}}}"#, parts.join(",")))
    }
}

impl fmt::Display for MaxPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<_> = self.parts().map(|(name, most)| format!("{most} for {name}")).collect();
        f.write_str(&parts.join(", "))
    }
}

/// Dollars a million tokens, as OpenRouter writes them, in pico-dollars a token.
fn pico(value: Value<'_>, path: &Path<'_>) -> Result<u64, RequestError> {
    let said =
        std::str::from_utf8(value.raw()).ok().and_then(|text| pico_per_token_from_usd_per_mtok(text).ok());
    said.ok_or_else(|| {
        invalid(path, "must be dollars a million tokens, not negative, with six decimals at most")
    })
}

fn dollars(pico: u64) -> String {
    let text = format!("{}.{:06}", pico / 1_000_000, pico % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

impl DataWishes {
    const KEYS: [&'static str; 3] = ["zdr", "data_collection", "max_price"];

    fn is_nothing(self) -> bool {
        self == Self::default()
    }

    /// The members that say so.
    fn members(self) -> String {
        let zdr = self.zero.then_some(r#""zdr":true"#);
        let deny = self.no_training.then_some(r#""data_collection":"deny""#);
        let said = zdr.into_iter().chain(deny).map(str::to_owned).chain(self.max_price.member());
        said.collect::<Vec<_>>().join(",")
    }
}

impl Request {
    /// Reads `provider.zdr`, `provider.data_collection` and `provider.max_price`; `None`: the body has none of them.
    ///
    /// # Errors
    /// One of them is not of its type, and then it is not known what was wished.
    pub fn data_wishes(&self) -> Result<Option<DataWishes>, RequestError> {
        let Some(provider) = self.provider() else { return Ok(None) };
        let at = &Path::Root("provider");
        let mut found = None;
        if let Some(zdr) = provider.get("zdr") {
            let zero = optional_bool(zdr, &Path::Member(at, "zdr"))?.unwrap_or(false);
            found = Some(DataWishes { zero, ..DataWishes::default() });
        }
        if let Some(value) = provider.get("data_collection") {
            let path = &Path::Member(at, "data_collection");
            let no_training = match optional(value, path, Kind::String)?.map(|value| text(value, path)) {
                None => false,
                Some(word) => match &*word? {
                    "allow" => false,
                    "deny" => true,
                    _ => return Err(invalid(path, "must be allow or deny")),
                },
            };
            found = Some(DataWishes { no_training, ..found.unwrap_or_default() });
        }
        if let Some(value) = provider.get("max_price") {
            let path = &Path::Member(at, "max_price");
            let object = optional(value, path, Kind::Object)?;
            let max_price =
                object.map(|object| MaxPrice::read(object, path)).transpose()?.unwrap_or_default();
            found = Some(DataWishes { max_price, ..found.unwrap_or_default() });
        }
        Ok(found)
    }

    /// The same request without these wishes, and without `provider` if nothing else stood in it.
    ///
    /// # Errors
    /// None that a parsed request can cause.
    pub fn without_data_wishes(&self) -> Result<Self, RequestError> {
        let Some(provider) = self.provider() else { return Self::parse(self.api(), self.body().clone()) };
        let others = provider.members().any(|(name, _)| !DataWishes::KEYS.contains(&name.as_ref()));
        let cuts = match others {
            false => without(self.json().root(), &["provider"]),
            true => without(provider, &DataWishes::KEYS),
        };
        let splices: Vec<_> = cuts.into_iter().map(|range| (range, Vec::new())).collect();
        Self::parse(self.api(), splice(self.body(), &splices))
    }

    fn provider(&self) -> Option<Value<'_>> {
        self.json().root().get("provider").filter(|value| value.kind() == Kind::Object)
    }
}

/// A body for a target that chooses providers itself, with what holds for this exchange. A body that says so already
/// says it twice over: its own words are cut out first, see [`Request::without_data_wishes`].
#[must_use]
pub fn told(body: &Bytes, wishes: DataWishes) -> Bytes {
    let Some(json) = Json::parse(body.clone()).ok().filter(|_| !wishes.is_nothing()) else {
        return body.clone();
    };
    let root = json.root();
    let members = wishes.members();
    let (object, inside) = match root.get("provider") {
        Some(provider) if provider.kind() == Kind::Object => (provider, members),
        // Beside what is no object ours would be a second `provider`, and who reads it may take the last.
        Some(other) => return splice(body, &[(other.span(), format!("{{{members}}}").into_bytes())]),
        None => (root, format!(r#""provider":{{{members}}}"#)),
    };
    let comma = if object.members_raw().next().is_some() { "," } else { "" };
    let at = object.span().start + 1;
    splice(body, &[(at..at, format!("{inside}{comma}").into_bytes())])
}

/// Where members stand in an object, each with the one comma that goes with it.
fn without(object: Value<'_>, names: &[&str]) -> Vec<Range<usize>> {
    let members: Vec<_> = object
        .members_raw()
        .map(|(key, value)| {
            let gone = key.as_str().is_some_and(|name| names.contains(&name.as_ref()));
            (gone, key.span().start, value.span().end)
        })
        .collect();
    let first_kept = members.iter().position(|(gone, ..)| !gone).unwrap_or(members.len());
    let mut cuts = Vec::new();
    for (at, (_, start, end)) in members.iter().enumerate().filter(|(_, (gone, ..))| *gone) {
        // What stands before every kept member takes the comma behind it, all others the one before.
        let before = at.checked_sub(1).and_then(|at| members.get(at)).map(|(.., end)| *end);
        let next = members.get(at + 1).map(|(_, start, _)| *start);
        cuts.push(match (before.filter(|_| at > first_kept), next) {
            (Some(before), _) => before..*end,
            (None, Some(next)) => *start..next,
            (None, None) => *start..*end,
        });
    }
    cuts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Api;
    use proptest::prelude::*;

    fn request(provider: &str) -> Request {
        let body = format!(r#"{{"model":"m",{provider} "messages":[{{"role":"user","content":"x"}}]}}"#);
        Request::parse(Api::Chat, body.into()).unwrap()
    }

    #[test]
    fn wishes_are_read_or_refused_by_field() {
        let read = |text: &str| request(text).data_wishes();
        assert_eq!(read(""), Ok(None));
        assert_eq!(read(r#""provider":{"order":["a"]},"#), Ok(None));
        assert_eq!(read(r#""provider":{"zdr":null},"#), Ok(Some(DataWishes::default())));
        let both = DataWishes { zero: true, no_training: true, ..DataWishes::default() };
        assert_eq!(read(r#""provider":{"data_collection":"deny","zdr":true},"#), Ok(Some(both)));
        for (text, field) in [
            (r#""provider":{"zdr":"true"},"#, "provider.zdr"),
            (r#""provider":{"data_collection":"denied"},"#, "provider.data_collection"),
            (r#""provider":{"data_collection":false},"#, "provider.data_collection"),
            (r#""provider":{"max_price":1},"#, "provider.max_price"),
            (r#""provider":{"max_price":{"prompt":"1"}},"#, "provider.max_price.prompt"),
            (r#""provider":{"max_price":{"completion":-1}},"#, "provider.max_price.completion"),
            (r#""provider":{"max_price":{"completion":0.0000001}},"#, "provider.max_price.completion"),
            (r#""provider":{"max_price":{"request":1}},"#, "provider.max_price.request"),
        ] {
            assert_eq!(read(text).unwrap_err().param.as_deref(), Some(field));
        }
    }

    #[test]
    fn what_is_told_is_told_once_whatever_stood_there() {
        for other in [
            r#""provider":null,"#,
            r#""provider":"openai","#,
            r#""provider":[{"zdr":false}],"#,
            r#""provider":{"zdr":false},"#,
            "",
        ] {
            let body = request(other).without_data_wishes().unwrap().body().clone();
            let zero = DataWishes { zero: true, ..DataWishes::default() };
            let told = told(&body, zero);
            let text = std::str::from_utf8(&told).unwrap();
            assert_eq!(text.matches(r#""provider""#).count(), 1, "{text}");
            assert_eq!(
                Request::parse(Api::Chat, told.clone()).unwrap().data_wishes(),
                Ok(Some(zero)),
                "{text}"
            );
        }
    }

    #[test]
    fn a_price_is_read_exactly_and_held_against_known_rates_only() {
        let read = |text: &str| request(text).data_wishes().unwrap().unwrap().max_price;
        let most = read(r#""provider":{"max_price":{"prompt":0.15,"completion":2}},"#);
        assert_eq!(most, MaxPrice { input: Some(150_000), output: Some(2_000_000) });
        assert_eq!(most.to_string(), "0.15 for prompt, 2 for completion");
        let rate = |class, pico_per_unit| Rate { class, pico_per_unit };
        let rates = |input, output| [rate(Class::Input, input), rate(Class::Output, output)];
        assert!(most.covers(&rates(150_000, 2_000_000)));
        assert!(!most.covers(&rates(150_001, 0)) && !most.covers(&rates(0, 2_000_001)));
        assert!(most.covers(&[rate(Class::Input, 1)]), "it has no output");
        assert!(!most.covers(&[rate(Class::Output, 1)]), "what is not known is not within it");
        assert!(!most.covers(&[]));
        assert!(MaxPrice::default().covers(&[]), "nothing was asked");
    }

    proptest! {
        /// Wherever the wishes stand among whatever else: they go, the rest stays, and what is told comes back.
        #[test]
        fn cut_and_told_are_each_others_inverse(
            keys in proptest::sample::subsequence(vec!["zdr", "data_collection", "max_price", "order", "sort", "only"], 0..=6).prop_shuffle(),
            zero in any::<bool>(), no_training in any::<bool>(), last in any::<bool>(),
            input in proptest::option::of(0..10_000_000_u64), output in proptest::option::of(0..10_000_000_u64),
        ) {
            let value = |key: &str| match key {
                "zdr" => zero.to_string(),
                "max_price" => r#"{ "prompt" : 0.25 }"#.into(),
                "data_collection" => if no_training { r#""deny""#.into() } else { r#""allow""#.into() },
                _ => r#"["a , b"]"#.into(),
            };
            let members: Vec<String> = keys.iter().map(|key| format!(r#""{key}" : {}"#, value(key))).collect();
            let provider = format!(r#""provider":{{ {} }}"#, members.join(" , "));
            let said = r#""messages":[{"role":"user","content":"x"}]"#;
            let body = if last { format!(r#"{{"model":"m",{said} , {provider}}}"#) } else { format!(r#"{{{provider},"model":"m",{said}}}"#) };
            let request = Request::parse(Api::Chat, body.into()).unwrap();
            let cut = request.without_data_wishes().unwrap();
            prop_assert_eq!(cut.data_wishes(), Ok(None));
            let others = keys.iter().filter(|key| !DataWishes::KEYS.contains(key)).count();
            prop_assert_eq!(cut.provider().map_or(0, |provider| provider.members().count()), others);
            let wishes = DataWishes { zero, no_training, max_price: MaxPrice { input, output } };
            let again = Request::parse(Api::Chat, told(cut.body(), wishes)).unwrap();
            let expected = if wishes == DataWishes::default() { None } else { Some(wishes) };
            prop_assert_eq!(again.data_wishes(), Ok(expected));
            prop_assert_eq!(again.model(), "m");
        }
    }
}
