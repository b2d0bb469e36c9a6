//! What a request asks of a provider beside the model: each may keep content whatever the model's own terms are.

use super::Request;
use crate::json::{Kind, Value};
use crate::terms::Feature;

/// One use of a feature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosted {
    /// What is asked for.
    pub feature: Feature,
    /// The field that asks for it, as `tools[1]`; never content.
    pub field: String,
}

/// Fields of the body that ask for a feature by being there.
const FIELDS: [(&str, Feature); 8] = [
    ("web_search_options", Feature::WebSearch),
    ("search_parameters", Feature::WebSearch),
    ("plugins", Feature::OtherTools),
    ("mcp_servers", Feature::Connectors),
    ("container", Feature::CodeExecution),
    ("background", Feature::Background),
    ("deferred", Feature::Background),
    ("store", Feature::State),
];

/// Members whose inside is the model's or the caller's own data: what stands there asks for nothing.
const DATA: [&str; 4] = ["input", "arguments", "input_schema", "parameters"];

impl Request {
    /// Every feature beside the model that the request asks for, in document order; state first.
    #[must_use]
    pub fn hosted(&self) -> Vec<Hosted> {
        let root = self.json().root();
        let state = self.state().filter(|field| *field != "background");
        let mut found: Vec<Hosted> =
            state.map(|field| Hosted { feature: Feature::State, field: field.into() }).into_iter().collect();
        for (name, feature) in FIELDS {
            if root.get(name).is_some_and(asks) {
                found.push(Hosted { feature, field: name.into() });
            }
        }
        if let Some(tools) = root.get("tools") {
            in_tools(tools, "tools", &mut found);
        }
        for name in ["messages", "input", "system"] {
            if let Some(said) = root.get(name) {
                in_content(said, name, &mut found);
            }
        }
        found
    }
}

/// Whether a field asks for something: not by `null`, `false` or nothing in it.
fn asks(value: Value<'_>) -> bool {
    match value.kind() {
        Kind::Null => false,
        Kind::Array => value.elements().next().is_some(),
        _ => value.as_bool() != Some(false),
    }
}

fn in_tools(tools: Value<'_>, at: &str, found: &mut Vec<Hosted>) {
    for (index, tool) in tools.elements().enumerate() {
        let field = format!("{at}[{index}]");
        let kind = tool.get("type").and_then(|kind| kind.as_str()).unwrap_or_default();
        // A namespace only groups tools.
        if let Some(inner) = tool.get("tools").filter(|_| kind == "namespace") {
            in_tools(inner, &format!("{field}.tools"), found);
        } else if let Some(feature) = Feature::of_tool(&kind) {
            found.push(Hosted { feature, field });
        }
    }
}

fn in_content(said: Value<'_>, at: &str, found: &mut Vec<Hosted>) {
    for (index, item) in said.elements().enumerate() {
        in_content(item, &format!("{at}[{index}]"), found);
    }
    if said.kind() != Kind::Object {
        return;
    }
    let lists_tools = said.get("type").is_some_and(|kind| kind.is_text("additional_tools"));
    for (name, value) in said.members() {
        let field = || format!("{at}.{name}");
        if lists_tools && name == "tools" {
            in_tools(value, &field(), found);
        } else if name == "file_id" && value.kind() == Kind::String {
            found.push(Hosted { feature: Feature::Files, field: field() });
        } else if matches!(value.kind(), Kind::Array | Kind::Object) && !DATA.contains(&name.as_ref()) {
            in_content(value, &field(), found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Api;
    use serde_json::{Value as Json, json};

    fn hosted(api: Api, mut body: Json) -> Vec<(Feature, String)> {
        body["model"] = json!("m");
        let request = Request::parse(api, body.to_string().into()).unwrap();
        request.hosted().into_iter().map(|hosted| (hosted.feature, hosted.field)).collect()
    }

    #[test]
    fn what_a_provider_does_beside_the_model_is_found_with_its_field() {
        let function = json!({ "type": "function", "name": "f", "parameters": { "type": "object", "properties": { "file_id": { "type": "string" } } } });
        let found = hosted(
            Api::Responses,
            json!({
                "input": [
                    { "role": "user", "content": [{ "type": "input_file", "file_id": "file-1" }] },
                    { "type": "additional_tools", "tools": [{ "type": "mcp" }] },
                    { "type": "function_call", "call_id": "c", "name": "f", "arguments": "{\"file_id\":\"x\"}" },
                ],
                "previous_response_id": "resp_1", "store": true, "background": true,
                "tools": [function, { "type": "web_search" }, { "type": "namespace", "tools": [function, { "type": "code_interpreter" }] }],
            }),
        );
        let expected = [
            (Feature::State, "previous_response_id"),
            (Feature::Background, "background"),
            (Feature::State, "store"),
            (Feature::WebSearch, "tools[1]"),
            (Feature::CodeExecution, "tools[2].tools[1]"),
            (Feature::Files, "input[0].content[0].file_id"),
            (Feature::Connectors, "input[1].tools[0]"),
        ];
        assert_eq!(found, expected.map(|(feature, field)| (feature, field.to_owned())));
    }

    #[test]
    fn what_only_the_caller_does_is_not_found() {
        let turn = json!([{ "role": "user", "content": "hi" }]);
        let chat = json!({ "messages": turn, "store": false, "web_search_options": null, "plugins": [],
            "tools": [{ "type": "function", "function": { "name": "file_search", "parameters": { "file_id": "x" } } }] });
        assert_eq!(hosted(Api::Chat, chat), []);
        let messages = json!({ "max_tokens": 9, "tools": [{ "name": "f", "input_schema": { "file_id": "x" } }],
            "messages": [{ "role": "user", "content": "x" },
                { "role": "assistant", "content": [{ "type": "tool_use", "id": "t", "name": "f", "input": { "file_id": "x" } }] }] });
        assert_eq!(hosted(Api::Messages, messages), []);
        let file = json!({ "max_tokens": 9, "mcp_servers": [{ "url": "x" }], "messages": [{ "role": "user",
            "content": [{ "type": "document", "source": { "type": "file", "file_id": "f" } }] }] });
        let found = hosted(Api::Messages, file);
        assert_eq!(found[0], (Feature::Connectors, "mcp_servers".into()));
        assert_eq!(found[1], (Feature::Files, "messages[0].content[0].source.file_id".into()));
    }
}
