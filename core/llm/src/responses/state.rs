//! What in a request asks for state that the server would have to own.

use super::wire::{kind, list};
use crate::json::Value;

/// The first field that cannot be served without what the server kept of earlier requests, or without running on after
/// the caller left. `store` is none: a reply that is not kept is still the reply that was asked for.
#[must_use]
pub fn state_wish(root: Value<'_>) -> Option<&'static str> {
    const FIELDS: [&str; 3] = ["previous_response_id", "conversation", "prompt"];
    let asks = |field: &&str| root.get(field).is_some_and(|value| !value.is_null());
    FIELDS.into_iter().find(asks).or_else(|| {
        let background = root.get("background").and_then(|value| value.as_bool()) == Some(true);
        let reference = || list(root, "input").any(|item| kind(item) == "item_reference");
        if background { Some("background") } else { reference().then_some("input") }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Json;

    #[test]
    fn wishes_for_state_are_found() {
        for (body, wish) in [
            (r#"{"input":"x","store":true}"#, None),
            (r#"{"input":"x","previous_response_id":null,"background":false}"#, None),
            (r#"{"input":"x","previous_response_id":"resp_1"}"#, Some("previous_response_id")),
            (r#"{"input":"x","conversation":{"id":"conv_1"}}"#, Some("conversation")),
            (r#"{"prompt":{"id":"pmpt_1"}}"#, Some("prompt")),
            (r#"{"input":"x","background":true}"#, Some("background")),
            (r#"{"input":[{"type":"item_reference","id":"msg_1"}]}"#, Some("input")),
        ] {
            assert_eq!(state_wish(Json::parse(body.into()).unwrap().root()), wish, "{body}");
        }
    }
}
