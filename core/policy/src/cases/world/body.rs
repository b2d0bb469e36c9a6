//! The body of a request or a reply in the form of its API, made of texts where the case does not write it out.

use crate::head::Api;
use bytes::Bytes;
use serde_json::{Value, json};

/// A body as it is written: a string is taken byte for byte.
pub(super) fn written(body: &Value) -> Bytes {
    match body {
        Value::String(raw) => Bytes::from(raw.clone()),
        value => Bytes::from(value.to_string()),
    }
}

/// A request with these texts, one user message each where the API has messages; `None` if a text cannot say it.
pub(super) fn request(api: Api, model: &str, stream: bool, texts: &[String]) -> Option<Bytes> {
    let first = texts.first().map_or("", String::as_str);
    let messages = || texts.iter().map(|text| json!({ "role": "user", "content": text })).collect::<Vec<_>>();
    let body = match api {
        Api::Chat => json!({ "model": model, "stream": stream, "messages": messages() }),
        Api::Responses => json!({ "model": model, "stream": stream, "input": messages() }),
        Api::Messages => {
            json!({ "model": model, "stream": stream, "max_tokens": 1024, "messages": messages() })
        }
        Api::CountTokens => json!({ "model": model, "messages": messages() }),
        Api::Embeddings | Api::Moderations => json!({ "model": model, "input": texts }),
        Api::Images => json!({ "model": model, "prompt": first }),
        Api::Speech => json!({ "model": model, "input": first, "voice": "alloy" }),
        Api::Rerank => {
            json!({ "model": model, "query": first, "documents": texts.get(1..).unwrap_or_default() })
        }
        Api::Transcription => return None,
    };
    Some(Bytes::from(body.to_string()))
}

/// A reply with these texts; `None` if a text cannot say it.
pub(super) fn reply(api: Api, model: &str, texts: &[String]) -> Option<Bytes> {
    let body = match api {
        Api::Chat => {
            let choice = |(index, text): (usize, &String)| {
                let message = json!({ "role": "assistant", "content": text });
                json!({ "index": index, "message": message, "finish_reason": "stop" })
            };
            let choices: Vec<Value> = texts.iter().enumerate().map(choice).collect();
            json!({ "id": "chatcmpl-case", "object": "chat.completion", "created": 0, "model": model,
                "choices": choices })
        }
        Api::Responses => {
            let part = |text: &String| json!({ "type": "output_text", "text": text, "annotations": [] });
            let content: Vec<Value> = texts.iter().map(part).collect();
            let message = json!({ "id": "msg_case", "type": "message", "role": "assistant",
                "status": "completed", "content": content });
            json!({ "id": "resp_case", "object": "response", "created_at": 0, "status": "completed",
                "model": model, "output": [message] })
        }
        Api::Messages => {
            let content: Vec<Value> =
                texts.iter().map(|text| json!({ "type": "text", "text": text })).collect();
            json!({ "id": "msg_case", "type": "message", "role": "assistant", "model": model,
                "content": content, "stop_reason": "end_turn", "stop_sequence": null,
                "usage": { "input_tokens": 1, "output_tokens": 1 } })
        }
        Api::Transcription => json!({ "text": texts.concat() }),
        _ => return None,
    };
    Some(Bytes::from(body.to_string()))
}
