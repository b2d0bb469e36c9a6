//! One declaration of a tool, and the names that it goes by.

use serde::Deserialize;
use serde::de::IgnoredAny;

/// A declaration in any dialect; what is not a name is passed over. `Inner` is what may lie in a namespace: a type of its
/// own, so that reading does not recurse as deep as a caller likes.
#[derive(Debug, Deserialize)]
pub(super) struct Declared<Inner = IgnoredAny> {
    #[serde(rename = "type")]
    kind: Option<String>,
    /// Responses, Messages, and the old `functions` of Chat.
    name: Option<String>,
    /// Chat.
    function: Option<Named>,
    /// Chat.
    custom: Option<Named>,
    /// Responses: a server of tools that the provider calls.
    server_label: Option<String>,
    /// Messages: the same.
    mcp_server_name: Option<String>,
    /// Responses: a namespace.
    pub(super) tools: Option<Inner>,
}

#[derive(Debug, Deserialize)]
struct Named {
    name: Option<String>,
}

/// Tools in a namespace.
pub(super) type Space = Vec<Declared>;

impl Declared {
    /// A tool that is known by this name alone.
    pub(super) fn named(name: impl Into<String>) -> Self {
        let name = Some(name.into());
        let (kind, function, custom, server_label, mcp_server_name) = (None, None, None, None, None);
        Self { kind, name, function, custom, server_label, mcp_server_name, tools: None }
    }

    /// A server of tools, as `mcp/NAME`.
    pub(super) fn server(mut self) -> Self {
        self.mcp_server_name = Some(self.name.take().unwrap_or_default());
        Self { kind: None, ..self }
    }
}

impl<Inner> Declared<Inner> {
    /// The declaration, and what lies in it.
    pub(super) fn open(self) -> (Declared, Option<Inner>) {
        let Self { kind, name, function, custom, server_label, mcp_server_name, tools } = self;
        let closed = Declared { kind, name, function, custom, server_label, mcp_server_name, tools: None };
        (closed, tools)
    }

    /// Every name it goes by: its own; `mcp/SERVER`; and its kind, if that is more than "a function of the caller's".
    /// Which of them a provider acts on is the provider's business, so each of them counts.
    pub(super) fn names(&self) -> Vec<String> {
        let inner = |named: &Option<Named>| named.as_ref().and_then(|named| named.name.clone());
        let server = |name: &Option<String>| name.as_ref().map(|name| format!("mcp/{name}"));
        let kind =
            self.kind.clone().filter(|kind| !matches!(kind.as_str(), "function" | "custom" | "namespace"));
        let names = [
            self.name.clone(),
            inner(&self.function),
            inner(&self.custom),
            server(&self.server_label),
            server(&self.mcp_server_name),
            kind,
        ];
        names.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(json: &str) -> Vec<String> {
        serde_json::from_str::<Declared>(json).unwrap().names()
    }

    #[test]
    fn each_dialect_has_its_place_for_the_name() {
        for json in [
            r#"{"type":"function","function":{"name":"find","parameters":{"name":"no"}}}"#,
            r#"{"type":"custom","custom":{"name":"find"}}"#,
            r#"{"type":"function","name":"find","parameters":{}}"#,
            r#"{"name":"find","input_schema":{}}"#,
            r#"{"name":"f\u0069nd"}"#,
        ] {
            assert_eq!(names(json), ["find"], "{json}");
        }
    }

    #[test]
    fn a_tool_of_the_provider_is_known_by_its_kind_too() {
        assert_eq!(
            names(r#"{"type":"web_search_20250305","name":"web_search"}"#),
            ["web_search", "web_search_20250305"]
        );
        assert_eq!(names(r#"{"type":"code_interpreter","container":{}}"#), ["code_interpreter"]);
        assert_eq!(
            names(r#"{"type":"mcp","server_label":"wiki","server_url":"https://x"}"#),
            ["mcp/wiki", "mcp"]
        );
    }

    #[test]
    fn a_second_name_hides_nothing() {
        assert_eq!(names(r#"{"name":"good","function":{"name":"bad"}}"#), ["good", "bad"]);
    }

    #[test]
    fn a_declaration_of_another_shape_is_no_declaration() {
        for json in [r#"{"name":1}"#, r#"{"function":"find"}"#, r#""find""#, "[1]"] {
            assert!(serde_json::from_str::<Declared>(json).is_err(), "{json}");
        }
    }
}
