//! The dialect: what is read of a request, what a guard sees, what goes to a target, and replies.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests, outside test functions"
)]

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;
use weir_llm::api::Api;
use weir_llm::chat::{Chunk, Hint, Reply, StreamScan, collect, error_body, replay, upstream_error};
use weir_llm::request::{Needs, Patch, Request, Role, SegmentEdit, SegmentKind};
use weir_llm::usage::Usage;
use weir_llm::{estimate, sse};

fn request(body: &str) -> Request {
    Request::parse(Api::Chat, Bytes::copy_from_slice(body.as_bytes())).unwrap()
}

fn encode(body: &str, target: &Patch<'_>) -> String {
    String::from_utf8(request(body).patched(target).to_vec()).unwrap()
}

fn data_of(stream: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    sse::Parser::new(1 << 20).push(stream, &mut |event| all.push(event.data.to_vec())).unwrap();
    all
}

#[test]
fn reads_what_the_gateway_acts_on() {
    let r = request(
        r#"{"model":"m\u002d1","stream":true,"stream_options":{"include_usage":true},"max_tokens":100,
        "max_completion_tokens":50,"n":3,"user":"ann\n","tools":[{"type":"function","function":{"name":"f"}}],
        "response_format":{"type":"json_schema","json_schema":{"name":"s"}},"reasoning_effort":"low","logprobs":true,
        "modalities":["text","audio"],"parallel_tool_calls":true,"prompt_cache_key":"k","messages":[{"role":"user",
        "content":[{"type":"image_url","image_url":{"url":"u"}},{"type":"input_audio","input_audio":{"data":"d"}}]}]}"#,
    );
    assert_eq!((r.model(), r.stream(), r.include_usage(), r.choices()), ("m-1", true, true, 3));
    assert_eq!((r.max_output_tokens(), r.user().as_deref(), r.has_media()), (Some(50), Some("ann\n"), true));
    let all = Needs {
        tools: true,
        vision: true,
        audio_in: true,
        audio_out: true,
        json_schema: true,
        reasoning: true,
        logprobs: true,
        prompt_cache: true,
        parallel_tools: true,
    };
    assert_eq!(r.needs(), all);
    let plain = request(
        r#"{"model":"m","reasoning_effort":"none","tools":[],"messages":[{"role":"user","content":"x"}]}"#,
    );
    assert_eq!((plain.needs(), plain.choices(), plain.max_output_tokens()), (Needs::default(), 1, None));
}

#[test]
fn errors_name_the_field() {
    let error = |body: &str| Request::parse(Api::Chat, Bytes::copy_from_slice(body.as_bytes())).unwrap_err();
    let e = error(r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":1}]}]}"#);
    assert_eq!(e.param.as_deref(), Some("messages[0].content[0].text"));
    assert_eq!(e.message, "`messages[0].content[0].text` must be a string, not a number.");
    assert_eq!(e.code, "invalid_type");
    let e = error(r#"{"messages":[{"role":"user","content":"x"}]}"#);
    assert_eq!((e.message.as_str(), e.code), ("`model` is missing.", "missing_field"));
    let e = error(r#"{"model":"m","model":"n","messages":[{"role":"user","content":"x"}]}"#);
    assert_eq!((e.param, e.code), (None, "invalid_json"));
    assert!(e.message.contains("duplicate key \"model\" at byte 13"), "{}", e.message);
    let e = error(r#"{"model":"m","Model":"n","messages":[{"role":"user"}]}"#);
    assert_eq!(e.code, "ambiguous_field");
}

/// Each string `Sn` below carries content; a guard sees each exactly once, and in document order.
#[test]
fn a_guard_sees_every_string_that_carries_content() {
    let body = json!({
        "model": "m",
        "messages": [
            {"role": "system", "content": "S00"},
            {"role": "developer", "content": [{"type": "text", "text": "S01", "cache_control": {"type": "ephemeral"}}]},
            {"role": "user", "name": "S02", "content": [
                {"type": "image_url", "image_url": {"url": "https://S03", "detail": "low"}},
                {"type": "image_url", "image_url": {"url": "data:S04"}},
                {"type": "input_audio", "input_audio": {"data": "S05", "format": "wav"}},
                {"type": "file", "file": {"file_data": "S06", "filename": "S07"}},
                {"type": "S08", "deep": [{"x": "S09"}]},
            ]},
            {"role": "assistant", "content": "", "refusal": "S10", "reasoning_content": "S11", "tool_calls": [
                {"id": "S12", "type": "function", "function": {"name": "S13", "arguments": "S14"}}]},
            {"role": "assistant", "content": null, "function_call": {"name": "S15", "arguments": "S16"}},
            {"role": "tool", "tool_call_id": "S17", "content": [{"type": "text", "text": "S18"}]},
            {"role": "user", "content": "S19", "S20": {"S21": "S22"}},
        ],
        "tools": [{"type": "function", "function": {"name": "S23", "description": "S24", "parameters": {
            "type": "object", "properties": {"S25": {"type": "string", "enum": ["S26"], "description": "S27"}}}}}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "S28", "schema": {"title": "S29"}}},
        "prediction": {"type": "content", "content": "S30"},
        "user": "S31",
        "metadata": {"S32": "S33"},
        "stop": ["S34"],
        "tool_choice": {"type": "function", "function": {"name": "S35"}},
        "xtra": "S36",
    });
    let r = request(&body.to_string());
    let texts: Vec<_> = (0..r.segments().len()).map(|i| r.text(i).unwrap().into_owned()).collect();
    let numbers: Vec<_> =
        texts.iter().filter_map(|t| t.find('S').and_then(|at| t[at + 1..].parse::<u32>().ok())).collect();
    assert_eq!(numbers, (0..=36).collect::<Vec<_>>(), "{texts:?}");
    let unknown: Vec<_> = texts.iter().filter(|text| !text.contains('S')).map(String::as_str).collect();
    assert_eq!(unknown, ["deep", "x", "xtra"], "of our own words only unknown keys are segments");
    let of = |number: &str| {
        let index = texts.iter().position(|text| text.ends_with(number)).unwrap();
        let s = &r.segments()[index];
        assert_eq!(s.bytes as usize, texts[index].len());
        (s.role, s.kind, s.name.as_deref())
    };
    use SegmentKind as K;
    assert_eq!(of("S00"), (Role::System, K::Text, None));
    assert_eq!(of("S01"), (Role::Developer, K::Text, None));
    assert_eq!(of("S03"), (Role::User, K::ImageUrl, Some("S02")));
    assert_eq!(of("S04").1, K::ImageBytes);
    assert_eq!(of("S05").1, K::Audio);
    assert_eq!(of("S06").1, K::File);
    assert_eq!(of("S11"), (Role::Assistant, K::Reasoning, None));
    assert_eq!(of("S14"), (Role::Assistant, K::ToolCall, Some("S13")));
    assert_eq!(of("S16"), (Role::Assistant, K::ToolCall, Some("S15")));
    assert_eq!(of("S18"), (Role::Tool, K::ToolResult, None));
    assert_eq!(of("S27"), (Role::System, K::ToolSchema, Some("S23")));
    assert_eq!(of("S30"), (Role::Assistant, K::Text, None));
}

#[test]
fn encodes_by_splices_only() {
    let body =
        r#"{ "x" : 1.50, "model":"weir/alias", "messages":[{"role":"user","content":"h\u0069"}] , "y":[ ]}"#;
    let same = request(body);
    let out = same.patched(&Patch::model("weir/alias"));
    assert_eq!(out.as_ptr(), same.body().as_ptr(), "the same bytes, not a copy");
    assert_eq!(encode(body, &Patch::model("gpt-4o")), body.replace("weir/alias", "gpt-4o"));
    let edits = [
        SegmentEdit { segment: 1, start: 0, end: 1, text: Some("\"H\"") },
        SegmentEdit { segment: 1, start: 1, end: 2, text: None },
    ];
    let edited = encode(body, &Patch { edits: &edits, ..Patch::model("weir/alias") });
    assert_eq!(edited, body.replace(r"h\u0069", r#"\"H\""#));
}

#[test]
fn asks_for_usage_caps_tokens_and_forbids_storing() {
    let start = r#"{"model":"m","messages":[{"role":"user","content":"x"}]"#;
    let ask = Patch { ask_usage: true, ..Patch::model("m") };
    for (options, expected) in [
        (
            "",
            r#"{"stream_options":{"include_usage":true},"model":"m","messages":[{"role":"user","content":"x"}],"stream":true}"#,
        ),
        (r#","stream_options":null"#, r#","stream_options":{"include_usage":true}"#),
        (r#","stream_options":{}"#, r#","stream_options":{"include_usage":true}"#),
        (r#","stream_options":{"a":1}"#, r#","stream_options":{"include_usage":true,"a":1}"#),
        (r#","stream_options":{"include_usage":false}"#, r#","stream_options":{"include_usage":true}"#),
        (
            r#","stream_options":{"a":1,"include_usage":null}"#,
            r#","stream_options":{"a":1,"include_usage":true}"#,
        ),
        (r#","stream_options":{"include_usage":true}"#, r#","stream_options":{"include_usage":true}"#),
    ] {
        let out = encode(&format!(r#"{start},"stream":true{options}}}"#), &ask);
        assert!(out.ends_with(&format!("{expected}}}")) || out == expected, "{options}: {out}");
        assert!(request(&out).include_usage());
    }
    assert_eq!(encode(&format!("{start}}}"), &ask), format!("{start}}}"), "no stream, no wish");
    let max = |body: &str, model: &str, most| {
        let out = encode(body, &Patch { max_tokens: Some(most), ..Patch::model(model) });
        (request(&out).max_output_tokens(), out.contains("max_completion_tokens"))
    };
    let with = |extra: &str| format!("{start}{extra}}}");
    assert_eq!(max(&with(""), "gpt-4o", 7), (Some(7), false));
    assert_eq!(max(&with(""), "openai/gpt-5-mini", 7), (Some(7), true));
    assert_eq!(max(&with(r#","max_tokens":null"#), "m", 7), (Some(7), false));
    assert_eq!(max(&with(r#","max_completion_tokens":null"#), "o3", 7), (Some(7), true));
    assert_eq!(max(&with(r#","max_tokens":5"#), "m", 7), (Some(5), false));
    assert_eq!(max(&with(r#","max_tokens":50,"max_completion_tokens":9"#), "m", 7), (Some(7), true));
    for (store, kept) in
        [("", false), (r#","store":true"#, false), (r#","store":null"#, false), (r#","store":false"#, true)]
    {
        let body = with(store);
        let out = encode(&body, &Patch { force_store_false: true, ..Patch::model("m") });
        let out_json = Request::parse(Api::Chat, Bytes::copy_from_slice(out.as_bytes())).unwrap();
        assert_eq!(out_json.json().root().get("store").unwrap().as_bool(), Some(false));
        assert_eq!(out == body, kept);
    }
}

/// OpenAI refuses one of the two names of a bound for its reasoning models, others do not know the other one.
#[test]
fn a_bound_has_the_name_that_the_target_takes() {
    let vendor = |name| weir_llm::vendor::by_name(name);
    let key = |vendor, model, body: &str, most| {
        let out = encode(body, &Patch { vendor, max_tokens: most, ..Patch::model(model) });
        if out.contains("max_completion_tokens") { "max_completion_tokens" } else { "max_tokens" }
    };
    let old = r#"{"model":"m","messages":[{"role":"user","content":"x"}],"max_tokens":5}"#;
    let new = r#"{"model":"m","messages":[{"role":"user","content":"x"}],"max_completion_tokens":5}"#;
    let bare = r#"{"model":"m","messages":[{"role":"user","content":"x"}]}"#;
    for model in
        ["o1", "o4-mini", "gpt-5", "gpt-5.4-mini", "gpt-6-sol", "gpt-6.1-terra", "ft:o4-mini-2025:me::x"]
    {
        for vendor in [vendor("openai"), None] {
            assert_eq!(key(vendor, model, new, None), "max_completion_tokens", "{model}");
            assert_eq!(key(vendor, model, bare, Some(9)), "max_completion_tokens", "{model}");
        }
        assert_eq!(key(vendor("openai"), model, old, None), "max_completion_tokens", "{model}");
    }
    for (model, body) in [("gpt-4o", old), ("chat-latest", new), ("gpt-4o", new)] {
        let patch = Patch { vendor: vendor("openai"), ..Patch::model("m") };
        assert_eq!(encode(body, &patch), body, "{model}: whoever takes both gets what the caller wrote");
    }
    assert_eq!(key(vendor("openai"), "chat-latest", bare, Some(9)), "max_completion_tokens");
    for (null, vendor) in [("max_tokens", vendor("openai")), ("max_completion_tokens", vendor("mistral"))] {
        let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"x"}}],"{null}":null}}"#);
        let out = encode(&body, &Patch { vendor, max_tokens: Some(9), ..Patch::model("gpt-6-sol") });
        assert_eq!(out.matches("tokens\":9").count(), 1, "{out}");
        assert!(!out.contains("null"), "one bound of one name: {out}");
    }
    for body in [old, new] {
        assert_eq!(key(vendor("mistral"), "mistral-large", body, None), "max_tokens");
    }
}

#[test]
fn usage_is_asked_for_where_that_can_be_asked() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"x"}],"stream":true}"#;
    for vendor in weir_llm::vendor::all() {
        let out = encode(body, &Patch { ask_usage: true, vendor: Some(vendor), ..Patch::model("m") });
        assert_eq!(out.contains("stream_options"), vendor.quirks.stream_usage, "{}", vendor.name);
    }
}

/// Who has no such field refuses it (Mistral: 422), and keeps nothing by it; of whom nothing is known may be OpenAI.
#[test]
fn a_store_is_forbidden_where_there_may_be_one() {
    let chat = r#"{"model":"m","messages":[{"role":"user","content":"x"}]}"#;
    let forbid = |vendor| Patch { force_store_false: true, vendor, ..Patch::model("m") };
    let told = r#"{"store":false,"model":"m","messages":[{"role":"user","content":"x"}]}"#;
    for vendor in weir_llm::vendor::all() {
        let expected = if vendor.name == "openai" { told } else { chat };
        assert_eq!(encode(chat, &forbid(Some(vendor))), expected, "{}", vendor.name);
        let asked = r#"{"model":"m","messages":[{"role":"user","content":"x"}],"store":true}"#;
        let out = encode(asked, &forbid(Some(vendor)));
        assert_eq!(out, asked.replace("true", "false"), "never as the caller says: {}", vendor.name);
        let body = Bytes::from_static(br#"{"model":"m","input":"x"}"#);
        let responses = Request::parse(Api::Responses, body).unwrap();
        let out = responses.patched(&forbid(Some(vendor)));
        assert!(out.starts_with(br#"{"store":false,"#), "Responses are stored by default: {}", vendor.name);
    }
    assert_eq!(encode(chat, &forbid(None)), told);
}

proptest! {
    /// decode(encode(edit)) == edit(decode), whatever the escapes; nothing else in the body changes.
    #[test]
    fn edits_are_applied_to_the_decoded_text(
        texts in prop::collection::vec(any::<String>(), 1..4),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), prop::option::of(any::<String>())), 0..5),
        escape in any::<bool>(),
    ) {
        let messages: Vec<_> = texts.iter().map(|text| json!({"role": "user", "content": format!("x{text}")})).collect();
        let mut body = json!({"model": "m", "messages": messages, "k": 1}).to_string();
        if escape {
            body = body.chars().map(|c| if c.is_ascii() { c.to_string() } else {
                c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect()
            }).collect();
        }
        let r = request(&body);
        let target = texts.len() - 1;
        let text = r.text(target).unwrap().into_owned();
        prop_assert_eq!(&text, &format!("x{}", texts[target]));
        let mut points: Vec<_> = cuts.iter().flat_map(|(a, b, _)| [a, b])
            .map(|at| text.floor_char_boundary(at.index(text.len() + 1))).collect();
        points.sort_unstable();
        let mut expected = text.clone();
        let mut edits = Vec::new();
        for (pair, (_, _, with)) in points.chunks_exact(2).zip(&cuts).rev() {
            expected.replace_range(pair[0]..pair[1], with.as_deref().unwrap_or_default());
            edits.insert(0, SegmentEdit { segment: target, start: pair[0], end: pair[1], text: with.as_deref() });
        }
        let out = request(std::str::from_utf8(&r.patched(&Patch { edits: &edits, ..Patch::model("other") })).unwrap());
        prop_assert_eq!(out.model(), "other");
        let mut wanted: serde_json::Value = serde_json::from_str(&body).unwrap();
        wanted["model"] = "other".into();
        wanted["messages"][target]["content"] = expected.into();
        prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(out.body()).unwrap(), wanted);
    }

    /// Broken edits never panic and never leave the body invalid, and what they cover is gone.
    #[test]
    fn broken_edits_are_widened(text in "[a-zé😀]{1,8}", edits in prop::collection::vec((0usize..40, 0usize..40, 0usize..3), 0..5)) {
        let r = request(&json!({"model": "m", "messages": [{"role": "user", "content": text}]}).to_string());
        let edits: Vec<_> = edits.into_iter().map(|(start, end, segment)| SegmentEdit { segment, start, end, text: None }).collect();
        let out = r.patched(&Patch { edits: &edits, ..Patch::model("m") });
        let out = Request::parse(Api::Chat, out).unwrap();
        let left = out.text(0).map(|left| left.into_owned()).unwrap_or_default();
        let covered = |at: usize| edits.iter().any(|e| e.segment == 0 && e.start <= at && at < e.end);
        let kept: String = text.char_indices()
            .filter(|(at, c)| !(*at..at + c.len_utf8()).any(covered)).map(|(_, c)| c).collect();
        prop_assert_eq!(left, kept);
    }
}

#[test]
fn usage_is_disjoint() {
    let usage = |usage: serde_json::Value| {
        let body =
            json!({"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}], "usage": usage});
        Reply::parse(&Bytes::from(body.to_string())).unwrap().usage()
    };
    let full = usage(json!({"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
        "prompt_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 10, "audio_tokens": 5, "image_tokens": 6},
        "completion_tokens_details": {"reasoning_tokens": 20, "audio_tokens": 3}}));
    let expected = Usage {
        input: 39,
        cached_input: 40,
        cache_write_5m: 10,
        cache_write_1h: 0,
        output: 27,
        reasoning: 20,
        input_audio: 5,
        output_audio: 3,
        image: 6,
        ..Usage::default()
    };
    assert_eq!(full, Some(expected));
    assert_eq!((expected.total_input(), expected.total_output()), (100, 50));
    let simple = |input, output| Some(Usage { input, output, ..Usage::default() });
    assert_eq!(
        usage(json!({"prompt_tokens": 0, "completion_tokens": 0})),
        simple(0, 0),
        "an explicit zero is zero"
    );
    assert_eq!(usage(json!({"prompt_tokens": 7})), None, "unknown is not zero");
    assert_eq!(usage(json!({"prompt_tokens": 7, "total_tokens": 9})), simple(7, 2));
    assert_eq!(usage(json!({"prompt_tokens": 7.0, "completion_tokens": 2})), simple(7, 2));
    assert_eq!(usage(json!({"prompt_tokens": -7, "completion_tokens": 2})), None);
    assert_eq!(usage(json!(null)), None);
    let deepseek = usage(json!({"prompt_tokens": 10, "completion_tokens": 1, "prompt_cache_hit_tokens": 8}));
    assert_eq!(deepseek, Some(Usage { input: 2, cached_input: 8, output: 1, ..Usage::default() }));
    let lying = usage(
        json!({"prompt_tokens": 10, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 99}}),
    );
    assert_eq!(lying, Some(Usage { cached_input: 10, output: 1, ..Usage::default() }));
    let xai = usage(
        json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 35, "completion_tokens_details": {"reasoning_tokens": 20}}),
    );
    assert_eq!(xai, Some(Usage { input: 10, output: 5, reasoning: 20, ..Usage::default() }));
}

#[test]
fn scans_recorded_streams() {
    let scan = |stream: &[u8]| {
        let mut scan = StreamScan::new();
        let kinds: Vec<_> = data_of(stream).iter().map(|data| scan.feed(data)).collect();
        (scan, kinds)
    };
    let (text, kinds) = scan(include_bytes!("fixtures/text.sse"));
    assert!(text.is_complete() && text.done() && text.error().is_none());
    assert_eq!(text.finish_reasons(), [(0, "stop".to_owned())]);
    assert_eq!(text.content_bytes(), "A weir stands across\na \"river\": 水门 😀\\.".len() as u64);
    let usage = text.usage().unwrap();
    assert_eq!((usage.input, usage.cached_input, usage.output, usage.reasoning), (56, 64, 14, 20));
    assert_eq!(kinds[kinds.len() - 2..], [Chunk::UsageOnly, Chunk::Done]);
    assert!(kinds[..kinds.len() - 2].iter().all(|kind| *kind == Chunk::Delta));
    let (tools, _) = scan(include_bytes!("fixtures/tools.sse"));
    assert_eq!(tools.finish_reason(), Some("tool_calls"));
    assert_eq!(
        tools.content_bytes(),
        ("get_weatherget_time".len() + 2 * r#"{"city":"Zürich"}"#.len()) as u64
    );
    let (odd, kinds) = scan(include_bytes!("fixtures/odd.sse"));
    assert_eq!((odd.finish_reason(), odd.usage()), (Some("length"), Some(Usage::default())));
    assert_eq!(odd.content_bytes(), "é水x😀".len() as u64);
    assert_eq!(kinds.last(), Some(&Chunk::Done));
}

#[test]
fn the_scan_never_misses_what_ends_or_bills() {
    let feed = |data: &str| {
        let mut scan = StreamScan::new();
        let kind = scan.feed(data.as_bytes());
        (kind, scan)
    };
    let billed = r#"{"prompt_tokens":1,"completion_tokens":2}"#;
    for data in [
        format!(r#"{{"choices":[],"usage":{billed}}}"#),
        format!(r#"{{"choices":[],"usage" : {billed}}}"#),
        format!(r#"{{"choices":[],"us\u0061ge":{billed}}}"#),
        format!(r#"{{"choices":[],"u\u0073age"{}:{billed}}}"#, "\n"),
        format!(r#"{{"usage":{billed}}}"#),
        format!(r#"{{"usage":null,"usage":{billed},"choices":[]}}"#),
    ] {
        let (kind, scan) = feed(&data);
        assert_eq!(kind, Chunk::UsageOnly, "{data}");
        assert_eq!(scan.usage().map(|usage| (usage.input, usage.output)), Some((1, 2)), "{data}");
    }
    let text = |content: &str| json!({"choices": [{"index": 0, "delta": {"content": content}, "finish_reason": null}], "usage": null});
    for content in [
        r#""usage":{"prompt_tokens":9,"completion_tokens":9}"#,
        r#""error":{"message":"x"}"#,
        r#"\"#,
        "usage",
        "error",
        "\u{1}",
    ] {
        let (kind, scan) = feed(&text(content).to_string());
        assert_eq!(
            (kind, scan.usage(), scan.content_bytes()),
            (Chunk::Delta, None, content.len() as u64),
            "{content}"
        );
        assert!(scan.error().is_none() && scan.finish_reason().is_none());
    }
    for (data, hint) in [
        (r#"{"error":{"message":"m","type":"server_error","code":null,"param":null}}"#, Hint::ServerError),
        (r#"{"error":{"message":"slow down","code":429}}"#, Hint::RateLimited),
        (r#"{"err\u006fr":"boom"}"#, Hint::ServerError),
        (r#"{"error":{"code":"context_length_exceeded"},"choices":[]}"#, Hint::ContextTooLong),
    ] {
        let (kind, scan) = feed(data);
        assert_eq!((kind, scan.error().unwrap().hint), (Chunk::Error, hint), "{data}");
    }
    for data in
        [r#"{"error":null,"choices":[]}"#, r#"{"error":"","choices":[]}"#, r#"{"error":{},"choices":[]}"#]
    {
        assert_eq!(feed(data).0, Chunk::Delta, "falsy to the SDKs: {data}");
    }
    for data in ["", "x", "[1]", "{", r#"{"choices":[}"#, "null", r#"{"choices":[{"delta":{"content":"a"}}]"#]
    {
        assert_eq!(feed(data).0, Chunk::Malformed, "{data}");
    }
    let finish = r#"{"choices":[{"index":1,"delta":{},"finish\u005freason":"length"},{"delta":{"content":"é\ud83d"},"finish_reason":"stop"}]}"#;
    let (_, scan) = feed(finish);
    assert_eq!(scan.finish_reasons(), [(1, "length".to_owned()), (0, "stop".to_owned())]);
    assert_eq!(scan.content_bytes(), 5);
    assert_eq!(feed(" [DONE] ").0, Chunk::Done);
}

#[test]
fn a_reply_becomes_a_stream_and_comes_back() {
    let reply = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 5, "model": "sim-small", "service_tier": "default",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Hi \"you\"\n水", "annotations": [{"type": "url"}]},
             "logprobs": {"content": [{"token": "Hi", "logprob": -0.5}]}, "finish_reason": "stop"},
            {"index": 1, "message": {"role": "assistant", "content": null, "reasoning_content": "hm", "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}},
                {"id": "call_2", "type": "function", "function": {"name": "g", "arguments": ""}},
                {"id": "call_3", "type": "custom", "custom": {"name": "patch", "input": "*** ab"}}],
                "reasoning_details": [
                    {"type": "reasoning.text", "text": "hm", "signature": "s", "index": 0},
                    {"type": "reasoning.encrypted", "data": "e", "index": 0}]},
             "logprobs": null, "finish_reason": "tool_calls"},
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
    });
    for pretty in [false, true] {
        let text = if pretty { serde_json::to_string_pretty(&reply).unwrap() } else { reply.to_string() };
        let frames = replay(&Bytes::from(text), true);
        let stream = frames.concat();
        let events = data_of(&stream);
        assert_eq!(events.len(), frames.len(), "one event a frame");
        let chunks: Vec<serde_json::Value> =
            events[..events.len() - 1].iter().map(|d| serde_json::from_slice(d).unwrap()).collect();
        assert!(chunks.iter().all(|c| c["id"] == "chatcmpl-1" && c["object"] == "chat.completion.chunk"));
        assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
        assert!(chunks[..chunks.len() - 1].iter().all(|chunk| chunk.get("usage") == Some(&json!(null))));
        let finishes: Vec<_> =
            chunks.iter().filter_map(|c| c["choices"][0]["finish_reason"].as_str()).collect();
        assert_eq!(finishes, ["stop", "tool_calls"]);
        let last = chunks.last().unwrap();
        assert_eq!((&last["choices"], &last["usage"]), (&json!([]), &reply["usage"]));
        assert_eq!(events.last().unwrap(), b"[DONE]");
        let back = collect(events.iter().map(Vec::as_slice)).unwrap();
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&back).unwrap(), reply);
    }
    let frames = replay(&Bytes::from(reply.to_string()), false);
    assert!(!frames.concat().windows(7).any(|window| window == b"\"usage\""));
}

#[test]
fn only_a_stream_that_ended_well_is_collected() {
    let whole = data_of(include_bytes!("fixtures/tools.sse"));
    let reply = collect(whole.iter().map(Vec::as_slice)).unwrap();
    let parsed = Reply::parse(&reply).unwrap();
    assert!(parsed.is_complete());
    assert_eq!(parsed.finish_reason(), Some("tool_calls"));
    let calls = parsed.json().root().pointer("/choices/0/message/tool_calls").unwrap();
    let arguments: Vec<_> =
        calls.elements().map(|c| c.pointer("/function/arguments").unwrap().as_str().unwrap()).collect();
    assert_eq!(arguments, [r#"{"city":"Zürich"}"#; 2]);
    for cut in 0..whole.len() {
        assert_eq!(collect(whole[..cut].iter().map(Vec::as_slice)), None, "cut after {cut} events");
    }
    let error = br#"{"error":{"message":"x"}}"#.to_vec();
    let mut broken = whole.clone();
    broken.insert(3, error);
    assert_eq!(collect(broken.iter().map(Vec::as_slice)), None);
}

/// The message that chunks with these deltas bring.
fn collected(deltas: &[serde_json::Value]) -> serde_json::Value {
    let chunk = |delta: &serde_json::Value| json!({"choices": [{"index": 0, "delta": delta}]}).to_string();
    let finish = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}).to_string();
    let events: Vec<_> = deltas.iter().map(chunk).chain([finish, "[DONE]".into()]).collect();
    let reply = collect(events.iter().map(String::as_bytes)).unwrap();
    serde_json::from_slice::<serde_json::Value>(&reply).unwrap()["choices"][0]["message"].take()
}

#[test]
fn a_custom_tools_text_is_put_together() {
    let call = |call| json!({"tool_calls": [call]});
    let message = collected(&[
        call(json!({"index": 0, "id": "c", "type": "custom", "custom": {"name": "patch", "input": ""}})),
        call(json!({"index": 0, "custom": {"input": "*** a"}})),
        call(json!({"index": 0, "custom": {"input": "b"}})),
    ]);
    let whole = json!({"id": "c", "type": "custom", "custom": {"name": "patch", "input": "*** ab"}});
    assert_eq!(message["tool_calls"], json!([whole]));
}

#[test]
fn thinking_and_its_proofs_are_put_together() {
    let detail = |detail| json!({"reasoning_details": [detail]});
    let format = "anthropic-claude-v1";
    let message = collected(&[
        detail(json!({"type": "reasoning.text", "text": "he", "index": 0})),
        detail(json!({"type": "reasoning.text", "text": "llo", "signature": null, "index": 0})),
        detail(json!({"type": "reasoning.text", "signature": "s", "format": format, "index": 0})),
        detail(json!({"type": "reasoning.text", "text": "proved above", "index": 0})),
        detail(json!({"type": "reasoning.encrypted", "data": "x", "index": 1})),
        detail(json!({"type": "reasoning.encrypted", "data": "y", "index": 1})),
        detail(json!({"type": "reasoning.text", "text": "of no", "signature": null})),
        detail(json!({"type": "reasoning.text", "text": "index"})),
    ]);
    let whole = json!([
        {"type": "reasoning.text", "text": "hello", "signature": "s", "format": format, "index": 0},
        {"type": "reasoning.text", "text": "proved above", "index": 0},
        {"type": "reasoning.encrypted", "data": "x", "index": 1},
        {"type": "reasoning.encrypted", "data": "y", "index": 1},
        {"type": "reasoning.text", "text": "of no", "signature": null},
        {"type": "reasoning.text", "text": "index"},
    ]);
    assert_eq!(message["reasoning_details"], whole);
}

#[test]
fn sound_and_citations_are_put_together() {
    let message = collected(&[
        json!({"audio": {"id": "a", "transcript": "He"}, "annotations": [{"type": "url_citation"}]}),
        json!({"audio": {"data": "AAAA", "transcript": "llo"}, "annotations": [{"type": "file_citation"}]}),
        json!({"audio": {"data": "BBBB", "expires_at": 7}}),
    ]);
    let audio = json!({"id": "a", "transcript": "Hello", "data": "AAAABBBB", "expires_at": 7});
    assert_eq!(message["audio"], audio);
    assert_eq!(message["annotations"], json!([{"type": "url_citation"}, {"type": "file_citation"}]));
}

#[test]
fn reads_the_errors_of_many_providers() {
    let cases: [(u16, &str, Hint, &str); 14] = [
        (
            429,
            r#"{"error":{"message":"Rate limit reached","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#,
            Hint::RateLimited,
            "Rate limit reached",
        ),
        (
            429,
            r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#,
            Hint::Quota,
            "You exceeded your current quota",
        ),
        (
            400,
            r#"{"error":{"message":"This model's maximum context length is 8192 tokens","code":"context_length_exceeded"}}"#,
            Hint::ContextTooLong,
            "This model's maximum context length is 8192 tokens",
        ),
        (400, r#"{"error":{"message":"flagged","code":"content_filter"}}"#, Hint::ContentFilter, "flagged"),
        (
            401,
            r#"{"error":{"message":"Incorrect API key provided: sk-ab***yz","code":"invalid_api_key"}}"#,
            Hint::Auth,
            "The provider refused the gateway's credentials.",
        ),
        (
            404,
            r#"{"error":{"message":"The model does not exist","code":"model_not_found"}}"#,
            Hint::ModelNotFound,
            "The model does not exist",
        ),
        (402, r#"{"error":{"message":"Insufficient Balance"}}"#, Hint::Quota, "Insufficient Balance"),
        (
            422,
            r#"{"object":"error","message":{"detail":[{"type":"extra","msg":"Extra inputs are not permitted"}]},"type":"invalid"}"#,
            Hint::BadRequest,
            "Extra inputs are not permitted",
        ),
        (422, r#"{"detail":[{"msg":"field required"}]}"#, Hint::BadRequest, "field required"),
        (500, r#"{"error":"boom"}"#, Hint::ServerError, "boom"),
        (
            503,
            r#"[{"error":{"code":503,"message":"The model is overloaded","status":"UNAVAILABLE"}}]"#,
            Hint::Overloaded,
            "The model is overloaded",
        ),
        (
            502,
            "<html>Bad Gateway</html>",
            Hint::ServerError,
            "The provider answered 502 without a readable error.",
        ),
        (504, "", Hint::Timeout, "The provider answered 504 without a readable error."),
        (
            400,
            r#"{"error":{"message":"bad"#,
            Hint::BadRequest,
            "The provider answered 400 without a readable error.",
        ),
    ];
    for (status, body, hint, message) in cases {
        let error = upstream_error(status, body.as_bytes());
        assert_eq!((error.hint, error.message.as_str()), (hint, message), "{body}");
    }
    let body = error_body("say \"no\"\n", "invalid_request_error", None, Some("c"));
    assert_eq!(
        body,
        r#"{"error":{"message":"say \"no\"\n","type":"invalid_request_error","param":null,"code":"c"}}"#
    );
}

#[test]
fn bounds_are_above_guesses_and_media_count_by_table() {
    let text = request(r#"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#);
    assert_eq!(estimate::input_bound(&text), text.body().len() as u64);
    assert!(estimate::input_guess(&text) < estimate::input_bound(&text));
    let data = "A".repeat(4_000_000);
    let image = json!({"model": "m", "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{data}")}}]}]});
    let image = request(&image.to_string());
    let bound = estimate::input_bound(&image);
    assert!((estimate::IMAGE_TOKENS..estimate::IMAGE_TOKENS + 200).contains(&bound), "{bound}");
}
