//! The bodies that are translated: the same conversation of an agent in each API's form, and its answer in each
//! dialect's.

use weir_llm::api::{Api, Dialect};
use weir_llm::json::Writer;

/// What was said in one turn, with what JSON must escape.
const SAID: &str = "The weir stands across the river; it steers the flow, holds it back and \"measures\" it.\n\
    Look up the level at the gauge, then write two sentences on what it means for the mill downstream.\n";
/// What a tool answered.
const FOUND: &str = "{\"gauge\":\"mill\",\"levels_cm\":[112,115,119,131],\"trend\":\"rising\"}";
/// What it was asked.
const ASKED: &str = "{\"gauge\":\"mill\",\"hours\":6}";
/// A tool's parameters, as the callers' libraries write them.
const PARAMETERS: &str = r#"{"type":"object","properties":{"gauge":{"type":"string","description":"The name of the gauge."},"hours":{"type":"integer","description":"How far to look back."}},"required":["gauge","hours"],"additionalProperties":false}"#;

/// A request of an API's callers with about so many bytes: instructions, tools, and as many turns with calls as fit.
pub(super) fn request(api: Api, bytes: usize) -> String {
    let mut json = Writer::with_capacity(bytes + 2048);
    json.begin_object().text("model", "fast");
    match api {
        Api::Responses => json.key("max_output_tokens").number(1024).text("instructions", SAID),
        Api::Messages => json.key("max_tokens").number(1024).text("system", SAID),
        _ => json.key("max_tokens").number(1024),
    };
    json.key("temperature").raw("0.2").key("tools").begin_array();
    // A sixteenth of a large request, as coding agents have it.
    (0..(bytes / 16 / 400).max(2)).for_each(|number| tool(api, number, &mut json));
    json.end_array().key(if api == Api::Responses { "input" } else { "messages" }).begin_array();
    if api == Api::Chat {
        message("system", SAID, &mut json);
    }
    let turn = turn_bytes(api);
    let before = json.clone().finish().len();
    (0..bytes.saturating_sub(before) / turn).for_each(|number| exchange(api, number, &mut json));
    message("user", SAID, &mut json);
    json.end_array().end_object();
    json.into_text()
}

fn turn_bytes(api: Api) -> usize {
    let mut json = Writer::new();
    exchange(api, 0, &mut json);
    json.finish().len()
}

fn tool(api: Api, number: usize, json: &mut Writer) {
    let name = format!("read_gauge_{number}");
    let words = "Reads the water level at a gauge in centimetres, one value an hour, oldest first.";
    json.begin_object();
    match api {
        Api::Messages => json.text("name", &name).text("description", words).key("input_schema"),
        Api::Responses => {
            json.text("type", "function").text("name", &name).text("description", words).key("parameters")
        }
        _ => {
            json.text("type", "function").key("function").begin_object();
            json.text("name", &name).text("description", words).key("parameters")
        }
    };
    json.raw(PARAMETERS).end_object();
    if api == Api::Chat {
        json.end_object();
    }
}

fn message(role: &str, text: &str, json: &mut Writer) {
    json.begin_object().text("role", role).text("content", text).end_object();
}

/// What the user said, the call that it led to, its result, and what the model said then.
fn exchange(api: Api, number: usize, json: &mut Writer) {
    let id = format!("call_{number:08}");
    message("user", SAID, json);
    match api {
        Api::Messages => {
            json.begin_object().text("role", "assistant").key("content").begin_array().begin_object();
            json.text("type", "tool_use").text("id", &id).text("name", "read_gauge_0");
            json.key("input").raw(ASKED).end_object().end_array().end_object();
            json.begin_object().text("role", "user").key("content").begin_array().begin_object();
            json.text("type", "tool_result").text("tool_use_id", &id).text("content", FOUND);
            json.end_object().end_array().end_object();
        }
        Api::Responses => {
            json.begin_object().text("type", "function_call").text("call_id", &id);
            json.text("name", "read_gauge_0").text("arguments", ASKED).end_object();
            json.begin_object().text("type", "function_call_output").text("call_id", &id);
            json.text("output", FOUND).end_object();
        }
        _ => {
            json.begin_object().text("role", "assistant").key("content").null();
            json.key("tool_calls").begin_array().begin_object().text("id", &id).text("type", "function");
            json.key("function").begin_object().text("name", "read_gauge_0").text("arguments", ASKED);
            json.end_object().end_object().end_array().end_object();
            json.begin_object().text("role", "tool").text("tool_call_id", &id).text("content", FOUND);
            json.end_object();
        }
    }
    message("assistant", SAID, json);
}

/// A whole reply: a kilobyte of text and what was used.
pub(super) fn reply(dialect: Dialect) -> String {
    let mut quoted = Vec::new();
    weir_llm::json::quote(&SAID.repeat(5), &mut quoted);
    let text = String::from_utf8(quoted).unwrap_or_default();
    match dialect {
        Dialect::OpenAiChat => format!(
            r#"{{"id":"chatcmpl-1","object":"chat.completion","created":1767225600,"model":"gpt-4o-mini","choices":[{{"index":0,"message":{{"role":"assistant","content":{text},"refusal":null,"annotations":[]}},"logprobs":null,"finish_reason":"stop"}}],"usage":{{"prompt_tokens":900,"completion_tokens":220,"total_tokens":1120,"prompt_tokens_details":{{"cached_tokens":512,"audio_tokens":0}},"completion_tokens_details":{{"reasoning_tokens":0,"audio_tokens":0}}}},"service_tier":"default","system_fingerprint":"fp_1"}}"#
        ),
        Dialect::OpenAiResponses => format!(
            r#"{{"id":"resp_1","object":"response","created_at":1767225600,"status":"completed","error":null,"incomplete_details":null,"instructions":null,"model":"gpt-4o-mini","output":[{{"type":"message","id":"msg_1","status":"completed","role":"assistant","content":[{{"type":"output_text","text":{text},"annotations":[],"logprobs":[]}}]}}],"parallel_tool_calls":true,"temperature":1.0,"tool_choice":"auto","tools":[],"top_p":1.0,"usage":{{"input_tokens":900,"input_tokens_details":{{"cached_tokens":512}},"output_tokens":220,"output_tokens_details":{{"reasoning_tokens":0}},"total_tokens":1120}},"metadata":{{}}}}"#
        ),
        Dialect::Anthropic => format!(
            r#"{{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[{{"type":"text","text":{text}}}],"stop_reason":"end_turn","stop_sequence":null,"usage":{{"input_tokens":388,"cache_creation_input_tokens":0,"cache_read_input_tokens":512,"output_tokens":220,"service_tier":"standard"}}}}"#
        ),
        Dialect::Gemini => format!(
            r#"{{"candidates":[{{"content":{{"parts":[{{"text":{text}}}],"role":"model"}},"finishReason":"STOP","index":0}}],"usageMetadata":{{"promptTokenCount":900,"candidatesTokenCount":220,"totalTokenCount":1120,"cachedContentTokenCount":512}},"modelVersion":"gemini-2.5-flash","responseId":"r1"}}"#
        ),
    }
}

/// The beginning of a stream, and one piece of its text.
pub(super) fn stream(dialect: Dialect) -> (String, String) {
    let frames: (&[&str], &str) = match dialect {
        Dialect::OpenAiChat => (
            &[
                r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1767225600,"model":"gpt-4o-mini","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null}"#,
            ],
            r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1767225600,"model":"gpt-4o-mini","service_tier":"default","system_fingerprint":"fp_1","choices":[{"index":0,"delta":{"content":" river"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"aZ9"}"#,
        ),
        Dialect::OpenAiResponses => (
            &[
                r#"{"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object":"response","created_at":1767225600,"status":"in_progress","model":"gpt-4o-mini","output":[]}}"#,
                r#"{"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"type":"message","id":"msg_1","status":"in_progress","role":"assistant","content":[]}}"#,
                r#"{"type":"response.content_part.added","sequence_number":2,"item_id":"msg_1","output_index":0,"content_index":0,"part":{"type":"output_text","text":"","annotations":[]}}"#,
            ],
            r#"{"type":"response.output_text.delta","sequence_number":3,"item_id":"msg_1","output_index":0,"content_index":0,"delta":" river","logprobs":[],"obfuscation":"aZ9"}"#,
        ),
        Dialect::Anthropic => (
            &[
                r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":388,"cache_read_input_tokens":512,"output_tokens":1}}}"#,
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            ],
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" river"}}"#,
        ),
        Dialect::Gemini => (
            &[
                r#"{"candidates":[{"content":{"parts":[{"text":"A"}],"role":"model"},"index":0}],"modelVersion":"gemini-2.5-flash","responseId":"r1"}"#,
            ],
            r#"{"candidates":[{"content":{"parts":[{"text":" river"}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":900,"candidatesTokenCount":3,"totalTokenCount":903},"modelVersion":"gemini-2.5-flash","responseId":"r1"}"#,
        ),
    };
    let framed = |data: &&str| {
        let name = data.strip_prefix(r#"{"type":""#).and_then(|rest| rest.split('"').next());
        let event = name.map_or(String::new(), |name| format!("event: {name}\n"));
        format!("{event}data: {data}\n\n")
    };
    (frames.0.iter().map(framed).collect(), framed(&frames.1))
}
