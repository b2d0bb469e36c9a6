//! OpenRouter's way of asking for terms in the body: `"provider":{"zdr":true,"data_collection":"deny"}`.
//!
//! They are wishes to whoever chooses the provider, so they are read here and cut out; a target that chooses in its turn
//! (OpenRouter itself) is told afresh what holds.

use super::read::{Path, invalid, optional, optional_bool, text};
use super::{Request, RequestError};
use crate::json::{Json, Kind, Value, splice};
use bytes::Bytes;
use std::ops::Range;

/// What a body asks of the providers that may serve it. Both only tighten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DataWishes {
    /// `provider.zdr`: only targets that keep nothing.
    pub zero: bool,
    /// `provider.data_collection: deny`: only targets that do not train on content.
    pub no_training: bool,
}

impl DataWishes {
    const KEYS: [&'static str; 2] = ["zdr", "data_collection"];

    fn is_nothing(self) -> bool {
        self == Self::default()
    }

    /// The members that say so.
    fn members(self) -> String {
        let zdr = self.zero.then_some(r#""zdr":true"#);
        let deny = self.no_training.then_some(r#""data_collection":"deny""#);
        zdr.into_iter().chain(deny).collect::<Vec<_>>().join(",")
    }
}

impl Request {
    /// Reads `provider.zdr` and `provider.data_collection`; `None`: the body has neither.
    ///
    /// # Errors
    /// One of them is not of its type, and then it is not known what was wished.
    pub fn data_wishes(&self) -> Result<Option<DataWishes>, RequestError> {
        let Some(provider) = self.provider() else { return Ok(None) };
        let at = &Path::Root("provider");
        let mut found = None;
        if let Some(zdr) = provider.get("zdr") {
            let zero = optional_bool(zdr, &Path::Member(at, "zdr"))?.unwrap_or(false);
            found = Some(DataWishes { zero, no_training: false });
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
    let (object, inside) = match root.get("provider").filter(|value| value.kind() == Kind::Object) {
        Some(provider) => (provider, members),
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
        let both = DataWishes { zero: true, no_training: true };
        assert_eq!(read(r#""provider":{"data_collection":"deny","zdr":true},"#), Ok(Some(both)));
        for (text, field) in [
            (r#""provider":{"zdr":"true"},"#, "provider.zdr"),
            (r#""provider":{"data_collection":"denied"},"#, "provider.data_collection"),
            (r#""provider":{"data_collection":false},"#, "provider.data_collection"),
        ] {
            assert_eq!(read(text).unwrap_err().param.as_deref(), Some(field));
        }
    }

    proptest! {
        /// Wherever the wishes stand among whatever else: they go, the rest stays, and what is told comes back.
        #[test]
        fn cut_and_told_are_each_others_inverse(
            keys in proptest::sample::subsequence(vec!["zdr", "data_collection", "order", "sort", "only"], 0..=5).prop_shuffle(),
            zero in any::<bool>(), no_training in any::<bool>(), last in any::<bool>(),
        ) {
            let value = |key: &str| match key {
                "zdr" => zero.to_string(),
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
            let wishes = DataWishes { zero, no_training };
            let again = Request::parse(Api::Chat, told(cut.body(), wishes)).unwrap();
            let expected = if wishes == DataWishes::default() { None } else { Some(wishes) };
            prop_assert_eq!(again.data_wishes(), Ok(expected));
            prop_assert_eq!(again.model(), "m");
        }
    }
}
