//! Requests and replies with a canary in every field that can carry content.

use crate::canary::Mint;
use crate::dialect::Failure;
use crate::{Act, Answer, Call, Dialect, Tool, reply};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// The APIs that are spoken, each whole and streamed.
pub const SURFACES: [(&str, bool); 6] = [
    ("/v1/chat/completions", false),
    ("/v1/chat/completions", true),
    ("/v1/responses", false),
    ("/v1/responses", true),
    ("/v1/messages", false),
    ("/v1/messages", true),
];

/// A picture as a data URL; the canary is its data.
fn picture(mint: &Mint, place: &str) -> String {
    format!("data:image/png;base64,{}", data(mint, place))
}

fn data(mint: &Mint, place: &str) -> String {
    STANDARD.encode(format!("\u{89}PNG {} end", mint.fresh(place)))
}

fn arguments(mint: &Mint, place: &str) -> String {
    json!({ "q": mint.fresh(place) }).to_string()
}

/// A request of an API with fresh canaries everywhere.
#[must_use]
pub fn request(mint: &Mint, path: &str, model: &str, stream: bool) -> Value {
    let new = |field: &str| mint.fresh(&format!("{path} {field}"));
    let schema = |mint: &Mint| json!({ "type": "object", "properties": { "q": { "type": "string", "description": mint.fresh("a tool's schema") } } });
    match path {
        "/v1/responses" => json!({
            "model": model, "stream": stream, "max_output_tokens": 50, "instructions": new("instructions"),
            "input": [
                { "role": "developer", "content": new("developer") },
                { "role": "user", "content": [
                    { "type": "input_text", "text": new("prompt") },
                    { "type": "input_image", "image_url": picture(mint, "/v1/responses picture") },
                ] },
                { "type": "function_call", "call_id": "call_1", "name": "look", "arguments": arguments(mint, "/v1/responses arguments") },
                { "type": "function_call_output", "call_id": "call_1", "output": new("result") },
            ],
            "tools": [{ "type": "function", "name": format!("look_{}", new("tool name")), "description": new("tool description"), "parameters": schema(mint) }],
            "user": new("user"), "metadata": { "note": new("metadata") }, "prompt_cache_key": new("prompt_cache_key"),
        }),
        "/v1/messages" => json!({
            "model": model, "stream": stream, "max_tokens": 50, "system": [{ "type": "text", "text": new("system") }],
            "messages": [
                { "role": "user", "content": [
                    { "type": "text", "text": new("prompt") },
                    { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": data(mint, "/v1/messages picture") } },
                ] },
                { "role": "assistant", "content": [{ "type": "tool_use", "id": "toolu_1", "name": "look", "input": { "q": new("arguments") } }] },
                { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "toolu_1", "content": new("result") }, { "type": "text", "text": new("second prompt") }] },
            ],
            "tools": [{ "name": format!("look_{}", new("tool name")), "description": new("tool description"), "input_schema": schema(mint) }],
            "metadata": { "user_id": new("user") }, "stop_sequences": [new("stop")],
        }),
        _ => json!({
            "model": model, "stream": stream, "max_tokens": 50,
            "messages": [
                { "role": "system", "content": new("system") },
                { "role": "developer", "content": new("developer") },
                { "role": "user", "name": format!("u{}", new("speaker")), "content": [
                    { "type": "text", "text": new("prompt") },
                    { "type": "image_url", "image_url": { "url": picture(mint, "/v1/chat/completions picture") } },
                ] },
                { "role": "assistant", "content": null, "tool_calls": [{ "id": "call_1", "type": "function",
                    "function": { "name": "look", "arguments": arguments(mint, "/v1/chat/completions arguments") } }] },
                { "role": "tool", "tool_call_id": "call_1", "content": new("result") },
            ],
            "tools": [{ "type": "function", "function": { "name": format!("look_{}", new("tool name")), "description": new("tool description"), "parameters": schema(mint) } }],
            "user": new("user"), "metadata": { "note": new("metadata") }, "stop": [new("stop")],
            "prompt_cache_key": new("prompt_cache_key"), "whatever": new("an unknown field"),
        }),
    }
}

/// What a provider says, with fresh canaries, in the dialect that it is asked in. The model's name says how it goes.
#[must_use]
pub fn provider(mint: &Mint, call: &Call) -> Act {
    let dialect = Dialect::of(call);
    let new = |place: &str| mint.fresh(&format!("the {} provider's {place}", dialect.name()));
    let model = call.model();
    match (model.as_str(), call.stream()) {
        ("ok" | "odd", false) => whole(&new, dialect, &model),
        ("ok" | "odd", true) => pieces(Act::stream(), &events(&new, dialect, &model).concat(), 7).end(),
        ("slow", _) => pieces(Act::stream(), &events(&new, dialect, "ok").concat()[..60], 60).hang(),
        ("cut", false) => Act::new().send(format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9000\r\n\r\n{{\"id\":\"{}",
            new("cut reply")
        ))
        .close(),
        ("cut", true) => {
            let mut begun = events(&new, dialect, "ok");
            begun.truncate(begun.len() / 2);
            pieces(Act::stream(), &begun.concat(), 9)
                .chunk(format!("data: {{\"type\":\"{}", new("cut event")))
                .close()
        }
        ("garbage", false) => Act::reply(200, &[("Content-Type", "application/json")], format!("<html>{}", new("garbage"))),
        ("garbage", true) => pieces(Act::stream(), format!("data: {{nonsense {}\n\n", new("garbage event")).as_bytes(), 5).end(),
        ("said", true) => pieces(Act::stream(), &error(&new).event(dialect), 11).end(),
        ("hang", _) => Act::new().hang(),
        (boom, _) if boom.starts_with("boom") => failure(500, &new, dialect),
        (_, _) => failure(400, &new, dialect),
    }
}

/// The headers of a provider's reply that may carry something.
fn failure(status: u16, new: &dyn Fn(&str) -> String, dialect: Dialect) -> Act {
    let (id, own) = (new("request id"), new("header"));
    let headers = [
        ("Content-Type", "application/json"),
        ("x-request-id", id.as_str()),
        ("request-id", id.as_str()),
        ("x-own", own.as_str()),
    ];
    Act::reply(status, &headers, error(new).body(dialect).to_string())
}

fn error(new: &dyn Fn(&str) -> String) -> Failure {
    Failure {
        message: format!("no: {}", new("error message")),
        kind: new("error type"),
        code: new("error code"),
        param: new("error param"),
    }
}

fn answer(new: &dyn Fn(&str) -> String, model: &str) -> Answer {
    let arguments = json!({ "q": new("called arguments") }).to_string();
    Answer {
        id: new("reply id"),
        model: new("model name"),
        thought: vec![new("reasoning")],
        text: vec![new("output"), new("more output")],
        tool: Some(Tool {
            name: format!("look_{}", new("called tool")),
            arguments: arguments
                .as_bytes()
                .chunks(9)
                .map(|piece| String::from_utf8_lossy(piece).into())
                .collect(),
        }),
        instructions: Some(new("repeated instructions")),
        finish: (model == "odd").then(|| new("finish reason")),
    }
}

fn whole(new: &dyn Fn(&str) -> String, dialect: Dialect, model: &str) -> Act {
    let mut said = answer(new, model).whole(dialect);
    // What callers of other dialects never see: an unknown field.
    said["system_fingerprint"] = json!(new("fingerprint"));
    Act::json(200, &said)
}

/// Each chunk of a chat has an id and a model of its own, as well as its text.
fn events(new: &dyn Fn(&str) -> String, dialect: Dialect, model: &str) -> Vec<Vec<u8>> {
    if dialect != Dialect::Chat {
        return answer(new, model).events(dialect);
    }
    let chunk = |delta: Value| {
        reply::event(
            &json!({ "id": new("reply id"), "object": "chat.completion.chunk", "created": 1, "model": new("model name"),
            "choices": [{ "index": 0, "delta": delta, "finish_reason": null }] }),
        )
    };
    let call = json!([{ "index": 0, "id": "call_9", "type": "function",
        "function": { "name": "look", "arguments": json!({ "q": new("called arguments") }).to_string() } }]);
    let mut all = vec![
        chunk(json!({ "reasoning_content": new("reasoning") })),
        chunk(json!({ "content": new("output") })),
        chunk(json!({ "content": new("more output") })),
        chunk(json!({ "tool_calls": call })),
    ];
    all.push(match model {
        "odd" => {
            reply::event(&json!({ "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{ "index": 0, "delta": {}, "finish_reason": new("finish reason") }] }))
        }
        _ => reply::finish(),
    });
    all.extend([reply::usage_event(100, 40, 10), reply::done()]);
    all
}

/// A stream cut into pieces of so many bytes: through events, canaries and characters.
fn pieces(stream: Act, bytes: &[u8], size: usize) -> Act {
    bytes.chunks(size).fold(stream, Act::chunk)
}
