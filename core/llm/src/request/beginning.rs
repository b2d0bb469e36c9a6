//! What a model reads before the conversation: the part of a prompt that many conversations have in common.

use super::Request;
use crate::api::Api;
use crate::json::Value;

impl Request {
    /// The tools, the form of the answer and the instructions, as they stand in the body: providers put them before what
    /// is said, the form too (OpenAI's guide to prompt caching, on structured outputs). Nothing for an API that has no
    /// conversation.
    #[must_use]
    pub fn beginning(&self) -> Vec<&[u8]> {
        let (fields, conversation): (&[&str], _) = match self.api() {
            Api::Chat => (&["/tools", "/functions", "/response_format"], "/messages"),
            Api::Responses => (&["/tools", "/text/format", "/instructions"], "/input"),
            Api::Messages => (&["/tools", "/output_format", "/output_config/format", "/system"], "/messages"),
            _ => return Vec::new(),
        };
        let root = self.json().root();
        let said = root.pointer(conversation).into_iter().flat_map(|turns| turns.elements());
        let instructions = said.take_while(|turn| instructs(*turn));
        let fields = fields.iter().filter_map(|field| root.pointer(field)).filter(|value| !value.is_null());
        fields.chain(instructions).map(|value| value.raw()).collect()
    }
}

/// Whether a turn is the operator's word, not the conversation's.
fn instructs(turn: Value<'_>) -> bool {
    turn.get("role").is_some_and(|role| role.is_text("system") || role.is_text("developer"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value as Json, json};

    fn beginning(api: Api, body: &Json) -> Vec<String> {
        let request = Request::parse(api, body.to_string().into()).unwrap();
        request.beginning().into_iter().map(|part| String::from_utf8(part.to_vec()).unwrap()).collect()
    }

    #[test]
    fn tools_form_and_instructions_of_each_dialect() {
        let turn = |role: &str, text: &str| json!({ "role": role, "content": text });
        let function = json!({ "type": "function", "function": { "name": "f" } });
        let chat = json!({ "model": "m", "tools": [function], "response_format": { "type": "json_object" },
            "messages": [turn("system", "a"), turn("developer", "b"), turn("user", "c"), turn("system", "d")] });
        assert_eq!(
            beginning(Api::Chat, &chat),
            [
                json!([function]).to_string(),
                json!({ "type": "json_object" }).to_string(),
                turn("system", "a").to_string(),
                turn("developer", "b").to_string()
            ]
        );
        let responses = json!({ "model": "m", "instructions": "a", "text": { "format": { "type": "text" } },
            "tools": null, "input": [turn("developer", "b"), turn("user", "c")] });
        assert_eq!(
            beginning(Api::Responses, &responses),
            [json!({ "type": "text" }).to_string(), "\"a\"".to_owned(), turn("developer", "b").to_string()]
        );
        assert_eq!(beginning(Api::Responses, &json!({ "model": "m", "input": "c" })), [""; 0]);
        let tool = json!({ "name": "f", "input_schema": { "type": "object" } });
        let messages = json!({ "model": "m", "max_tokens": 9, "system": [{ "type": "text", "text": "a" }],
            "tools": [tool], "messages": [turn("user", "c")] });
        let system = json!([{ "type": "text", "text": "a" }]).to_string();
        assert_eq!(beginning(Api::Messages, &messages), [json!([tool]).to_string(), system]);
        assert_eq!(beginning(Api::CountTokens, &messages), [""; 0], "what is only counted is in no cache");
    }
}
