//! Replies and streams on their way back.

use super::out;
use crate::aspects::Aspects;
use crate::fixture::{CALLERS, ask, model, pairs, parse, plain};
use crate::replies::{aspects, read};
use crate::requests::caller_of;
use crate::streams::{frame, told, turn};
use bytes::Bytes;
use serde_json::{Value, json};
use weir_llm::api::{Api, Dialect};
use weir_llm::fault::Said;
use weir_llm::neutral::Broken;
use weir_llm::sse;
use weir_llm::translate::{Back, dialect_of, replay};

fn back(api: Api, dialect: Dialect) -> Back {
    out(api, &plain(api), dialect, model(dialect)).back
}

/// What a caller's reader makes of a provider's stream; `None` if it did not end as it should.
fn streamed(api: Api, dialect: Dialect, wire: &[u8]) -> Option<Aspects> {
    let request = parse(api, &plain(api));
    let sent = turn(&back(api, dialect), &request, [wire]);
    let (aspects, ended) = told(api, &sent.bytes);
    (sent.whole && ended).then_some(aspects)
}

/// What a caller's reader makes of a provider's whole reply.
fn whole(api: Api, dialect: Dialect, reply: &Value) -> Aspects {
    let request = parse(api, &plain(api));
    let turned = back(api, dialect).whole(&Bytes::from(reply.to_string()), &ask(&request)).unwrap();
    aspects(&read(dialect_of(api).unwrap(), turned.body.expose()).unwrap())
}

fn chat_stream(deltas: &[Value], finish: &str) -> Vec<u8> {
    let chunk = |delta: &Value, finish: Option<&str>| {
        frame(&json!({"data": {"id": "c1", "model": "m", "choices": [{"index": 0, "delta": delta,
            "finish_reason": finish}]}}))
    };
    let mut wire: String = deltas.iter().map(|delta| chunk(delta, None)).collect();
    wire += &chunk(&json!({}), Some(finish));
    wire += "data: [DONE]\n\n";
    wire.into_bytes()
}

fn gemini(parts: Value, finish: &str) -> Value {
    json!({"responseId": "g1", "modelVersion": "gemini", "candidates": [{"index": 0, "finishReason": finish,
        "content": {"role": "model", "parts": parts}}], "usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 3}})
}

/// A whole reply with one call in each dialect.
fn one_call(dialect: Dialect) -> Value {
    match dialect {
        Dialect::OpenAiChat => {
            json!({"id": "c1", "choices": [{"index": 0, "finish_reason": "stop", "message":
            {"content": null, "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}}]})
        }
        Dialect::OpenAiResponses => {
            json!({"id": "resp_1", "status": "completed", "output": [{"type": "function_call",
            "call_id": "call_1", "name": "f", "arguments": "{}"}]})
        }
        Dialect::Anthropic => {
            json!({"id": "msg_1", "content": [{"type": "tool_use", "id": "call_1", "name": "f",
            "input": {}}], "stop_reason": "tool_use", "usage": {"input_tokens": 1, "output_tokens": 1}})
        }
        Dialect::Gemini => gemini(json!([{"functionCall": {"id": "call_1", "name": "f"}}]), "STOP"),
    }
}

fn text_stream(dialect: Dialect) -> Vec<u8> {
    let reply = match dialect {
        Dialect::OpenAiChat => {
            json!({"id": "c1", "choices": [{"index": 0, "finish_reason": "stop", "message": {"content": "Hé🙂"}}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}})
        }
        Dialect::OpenAiResponses => {
            json!({"id": "resp_1", "status": "completed", "output": [{"type": "message",
            "content": [{"type": "output_text", "text": "Hé🙂"}]}], "usage": {"input_tokens": 3, "output_tokens": 2}})
        }
        Dialect::Anthropic => json!({"id": "msg_1", "content": [{"type": "text", "text": "Hé🙂"}],
            "stop_reason": "end_turn", "usage": {"input_tokens": 3, "output_tokens": 2}}),
        Dialect::Gemini => {
            return frame(&json!({"data": gemini(json!([{"text": "Hé🙂"}]), "STOP")})).into_bytes();
        }
    };
    let api = caller_of(dialect);
    let request = parse(api, &plain(api));
    replay(api, &Bytes::from(reply.to_string()), &ask(&request)).concat()
}

#[test]
fn case_01_interleaved_calls_become_blocks_one_at_a_time() {
    let call = |index: u64, id: &str, text: &str| json!({"tool_calls": [{"index": index, "id": id, "function": {"name": format!("f{index}"), "arguments": text}}]});
    let deltas = [
        call(0, "a", "{\"x\""),
        call(1, "b", "{\"y\""),
        call(2, "c", ""),
        call(0, "a", ":1}"),
        call(1, "b", ":2}"),
    ];
    let request = parse(Api::Messages, &plain(Api::Messages));
    let sent = turn(
        &back(Api::Messages, Dialect::OpenAiChat),
        &request,
        [chat_stream(&deltas, "tool_calls").as_slice()],
    );
    let text = String::from_utf8(sent.bytes).unwrap();
    let mut open = None;
    let mut next = 0;
    for line in text.lines().filter_map(|line| line.strip_prefix("data: ")) {
        let event: Value = serde_json::from_str(line).unwrap();
        let index = event["index"].as_u64();
        match event["type"].as_str().unwrap() {
            "content_block_start" => {
                assert_eq!((open, index), (None, Some(next)));
                (open, next) = (index, next + 1);
            }
            "content_block_delta" => assert_eq!(open, index),
            "content_block_stop" => assert_eq!(open.take(), index),
            _ => {}
        }
    }
    let (found, _) = told(Api::Messages, text.as_bytes());
    let arguments: Vec<&Value> =
        found["calls"].as_array().unwrap().iter().map(|call| &call["arguments"]).collect();
    assert_eq!((next, arguments), (3, vec![&json!({"x": 1}), &json!({"y": 2}), &json!({})]));
}

#[test]
fn case_02_and_03_whole_calls_in_one_chunk_and_without_index_stay_apart() {
    let call =
        |id: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}});
    let wire = chat_stream(&[json!({"tool_calls": [call("a"), call("b")]})], "tool_calls");
    let part = |n: u64| json!({"functionCall": {"name": "f", "args": {"a": n}}});
    let parts = frame(&json!({"data": gemini(json!([part(1), part(2)]), "STOP")})).into_bytes();
    for (api, dialect) in pairs() {
        let wire = match dialect {
            Dialect::OpenAiChat => &wire,
            Dialect::Gemini => &parts,
            _ => continue,
        };
        let found = streamed(api, dialect, wire).unwrap();
        assert_eq!(found["calls"].as_array().unwrap().len(), 2, "{} from {}", api.as_str(), dialect.as_str());
    }
}

#[test]
fn case_09_calls_without_ids_get_unique_ones() {
    let part = json!({"functionCall": {"name": "f", "args": {}}});
    for api in CALLERS {
        let found = whole(api, Dialect::Gemini, &gemini(json!([part, part]), "STOP"));
        let ids: Vec<&Value> = found["calls"].as_array().unwrap().iter().map(|call| &call["id"]).collect();
        assert!(ids[0] != ids[1] && ids.iter().all(|id| !id.as_str().unwrap().is_empty()), "{ids:?}");
    }
}

#[test]
fn case_10_and_04_an_answer_with_a_call_ends_as_one_and_has_an_object_of_arguments() {
    for (api, dialect) in pairs() {
        let found = whole(api, dialect, &one_call(dialect));
        let pair = format!("{} from {}", api.as_str(), dialect.as_str());
        assert_eq!(found["finish"], json!(["ToolCalls"]), "{pair}");
        assert_eq!(found["calls"][0]["arguments"], json!({}), "{pair}");
    }
}

#[test]
fn case_19_the_stop_text_that_was_met_is_told_where_there_is_a_place_for_it() {
    let reply = json!({"choices": [{"index": 0, "finish_reason": "stop", "stop_reason": "END", "message": {"content": "x"}}]});
    let found = whole(Api::Messages, Dialect::OpenAiChat, &reply);
    assert_eq!((&found["finish"], &found["stop_sequence"]), (&json!(["StopSequence"]), &json!(["END"])));
}

#[test]
fn case_20_and_21_refusals_keep_their_words_and_their_reason() {
    let chat = json!({"choices": [{"index": 0, "finish_reason": "stop", "message": {"content": null, "refusal": "No."}}]});
    let responses = json!({"status": "completed", "output": [{"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}]});
    let anthropic = json!({"content": [], "stop_reason": "refusal", "stop_details": {"type": "refusal", "explanation": "No."},
        "usage": {"input_tokens": 1, "output_tokens": 1}});
    let gemini =
        json!({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 1}});
    for (api, dialect) in pairs() {
        let (reply, words) = match dialect {
            Dialect::OpenAiChat => (&chat, "No."),
            Dialect::OpenAiResponses => (&responses, "No."),
            Dialect::Anthropic => (&anthropic, "No."),
            Dialect::Gemini => (&gemini, "SAFETY"),
        };
        let found = whole(api, dialect, reply);
        let pair = format!("{} from {}: {found:?}", api.as_str(), dialect.as_str());
        assert!(found["refusals"][0].as_str().unwrap().contains(words), "{pair}");
        assert!(found["finish"] == json!(["Refusal"]) || found["finish"] == json!(["Filter"]), "{pair}");
    }
}

#[test]
fn case_30_a_stream_without_usage_still_ends() {
    for api in [Api::Responses, Api::Messages] {
        let wire = chat_stream(&[json!({"content": "Hi"})], "stop");
        assert_eq!(streamed(api, Dialect::OpenAiChat, &wire).unwrap()["text"], json!(["Hi"]));
        // Nor does it need `[DONE]`.
        let cut = String::from_utf8(wire).unwrap().replace("data: [DONE]\n\n", "");
        assert_eq!(streamed(api, Dialect::OpenAiChat, cut.as_bytes()).unwrap()["text"], json!(["Hi"]));
    }
}

#[test]
fn case_31_what_a_later_usage_leaves_out_stands() {
    let events = [
        json!({"event": "message_start", "data": {"type": "message_start", "message": {"id": "msg_1", "content": [],
            "usage": {"input_tokens": 7, "cache_read_input_tokens": 5, "output_tokens": 1}}}}),
        json!({"event": "message_delta", "data": {"type": "message_delta", "delta": {"stop_reason": "end_turn"},
            "usage": {"output_tokens": 9}}}),
        json!({"event": "message_stop", "data": {"type": "message_stop"}}),
    ];
    let wire: String = events.iter().map(frame).collect();
    for api in [Api::Chat, Api::Responses] {
        let found = streamed(api, Dialect::Anthropic, wire.as_bytes()).unwrap();
        assert_eq!(found["usage"], json!({"input": 7, "input.cached": 5, "output": 9}), "{}", api.as_str());
    }
}

#[test]
fn case_32_a_clean_end_before_the_last_event_is_no_success() {
    for (api, dialect) in pairs() {
        let wire = text_stream(dialect);
        let cut = match dialect {
            // The reason stands in the last chunk but usage and `[DONE]`.
            Dialect::OpenAiChat => String::from_utf8_lossy(&wire).find("\"finish_reason\":\"").unwrap(),
            _ => wire.len() - 4,
        };
        assert!(streamed(api, dialect, &wire).is_some(), "{} from {}", api.as_str(), dialect.as_str());
        assert!(streamed(api, dialect, &wire[..cut]).is_none(), "{} from {}", api.as_str(), dialect.as_str());
    }
}

#[test]
fn case_33_an_error_in_the_stream_ends_it_in_the_callers_protocol() {
    for (api, dialect) in pairs() {
        let error = match dialect {
            Dialect::OpenAiChat => json!({"data": {"error": {"message": "Broken.", "type": "server_error"}}}),
            Dialect::OpenAiResponses => {
                json!({"event": "error", "data": {"type": "error", "sequence_number": 2,
                "error": {"type": "server_error", "code": "server_error", "message": "Broken.", "param": null}}})
            }
            Dialect::Anthropic => json!({"event": "error", "data": {"type": "error",
                "error": {"type": "overloaded_error", "message": "Broken."}}}),
            Dialect::Gemini => {
                json!({"data": {"error": {"code": 503, "message": "Broken.", "status": "UNAVAILABLE"}}})
            }
        };
        let request = parse(api, &plain(api));
        let mut transcoder = back(api, dialect).stream(&ask(&request));
        let (mut bytes, mut last) = (Vec::new(), Vec::new());
        let mut feed = |event: sse::Event<'_>| {
            transcoder.feed(&event, &mut bytes, &mut last);
        };
        sse::Parser::new(1 << 16).push(frame(&error).as_bytes(), &mut feed).unwrap();
        let whole = transcoder.end(&mut bytes, &mut last);
        let pair = format!("{} from {}", api.as_str(), dialect.as_str());
        assert!(!whole && last.is_empty(), "{pair}");
        assert_eq!(transcoder.error().map(|error| error.message.as_str()), Some("Broken."), "{pair}");
        let said = Said {
            status: 502,
            kind: "server_error",
            code: None,
            param: None,
            message: "Broken.",
            request_id: "req_1",
        };
        let text = String::from_utf8(transcoder.fail(&said).to_vec()).unwrap();
        assert!(
            text.contains("Broken.") && !text.contains("[DONE]") && !text.contains("message_stop"),
            "{pair}: {text}"
        );
        let name = if api == Api::Chat { "data: {\"error\"" } else { "event: error\n" };
        assert!(text.contains(name), "{pair}: {text}");
    }
}

#[test]
fn case_35_line_ends_comments_and_unknown_events_change_nothing() {
    for (api, dialect) in pairs() {
        let plain = streamed(api, dialect, &text_stream(dialect)).unwrap();
        let text = String::from_utf8(text_stream(dialect)).unwrap();
        let noisy = text.replace("data: ", "data:").replace('\n', "\r\n");
        let noisy = format!(": hello\r\n\r\nevent: glitter\r\ndata: {{\"type\":\"glitter\"}}\r\n\r\n{noisy}");
        assert_eq!(
            streamed(api, dialect, noisy.as_bytes()).as_ref(),
            Some(&plain),
            "{} from {}",
            api.as_str(),
            dialect.as_str()
        );
    }
}

#[test]
fn case_36_what_is_no_reply_is_unreadable() {
    for (api, dialect) in pairs() {
        let request = parse(api, &plain(api));
        for body in ["<html>Bad gateway</html>", "", "{\"choices\":[{\"mess", "[]", "null", "{}"] {
            let turned = back(api, dialect).whole(&Bytes::from_static(body.as_bytes()), &ask(&request));
            let pair = format!("{} from {}: {body}", api.as_str(), dialect.as_str());
            assert!(matches!(turned, Err(Broken::Unreadable(_))), "{pair}");
        }
    }
}
