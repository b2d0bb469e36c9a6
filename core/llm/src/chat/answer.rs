//! A complete reply that no model wrote.

use bytes::Bytes;
use serde_json::json;

/// A reply with this text, as a policy answers in a model's place. It used no tokens, and says so.
#[must_use]
pub fn answer_body(request_id: &str, model: &str, text: &str) -> Bytes {
    let body = json!({
        "id": format!("chatcmpl-{request_id}"),
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [{
            "index": 0,
            "message": { "role": "assistant", "content": text, "refusal": null },
            "logprobs": null,
            "finish_reason": "stop",
        }],
        "usage": { "prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0 },
    });
    body.to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Reply;
    use crate::usage::Usage;

    #[test]
    fn an_answer_is_a_complete_reply_that_cost_nothing() {
        let reply = Reply::parse(&answer_body("req_1", "fast", "No \"card\" numbers, please.")).unwrap();
        assert!(reply.is_complete());
        assert_eq!(reply.usage(), Some(Usage::default()));
    }
}
