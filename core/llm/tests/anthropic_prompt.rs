//! The dialect `anthropic`: what is read of a caller's request.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests, outside test functions")]

use bytes::Bytes;
use serde_json::{Value, json};
use weir_llm::anthropic;
use weir_llm::json::Json;
use weir_llm::neutral::{
    By, CacheTtl, Content, Effort, Format, MediaKind, Prompt, Role, Seal, Source, Tool, ToolChoice,
};

fn read(body: &Value, check: impl FnOnce(Prompt<'_>)) {
    let json = Json::parse(Bytes::from(body.to_string())).unwrap();
    check(anthropic::prompt(json.root()));
}

/// A request with one user turn of these blocks.
fn said(blocks: &Value, check: impl FnOnce(Vec<Content<'_>>)) {
    read(&json!({"model":"m","max_tokens":1,"messages":[{"role":"user","content":blocks}]}), |prompt| {
        check(prompt.turns.into_iter().flat_map(|turn| turn.parts).map(|part| part.content).collect());
    });
}

#[test]
fn every_field_finds_its_place() {
    let body = json!({
        "model": "claude-x", "max_tokens": 9, "stream": true, "system": "Be brief.",
        "messages": [{"role": "user", "content": "Hi"}],
        "temperature": 0.5, "top_p": 0.9, "top_k": 4, "stop_sequences": ["END", "X"],
        "metadata": {"user_id": "u", "team": "t"}, "service_tier": "standard_only",
        "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": true},
        "tools": [
            {"name": "f", "description": "d", "input_schema": {"type": "object"}, "strict": true,
             "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            {"type": "custom", "name": "g", "input_schema": {"type": "object", "properties": {}}},
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 2},
        ],
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "output_config": {"effort": "xhigh", "format": {"type": "json_schema", "schema": {"type": "object"}}, "task_budget": 1},
        "context_management": {"edits": []}, "container": null, "future": [1],
    });
    read(&body, |prompt| {
        assert_eq!((prompt.model.as_ref(), prompt.max_output, prompt.stream), ("claude-x", Some(9), true));
        assert_eq!(prompt.temperature.as_deref(), Some("0.5"));
        assert_eq!((prompt.top_p.as_deref(), prompt.top_k.as_deref()), (Some("0.9"), Some("4")));
        assert_eq!(prompt.stop, ["END", "X"]);
        assert_eq!(
            (prompt.user.as_deref(), prompt.service_tier.as_deref()),
            (Some("u"), Some("standard_only"))
        );
        assert!(
            prompt.tool_choice == Some(ToolChoice::Tool("f".into())) && prompt.parallel_tools == Some(false)
        );
        let Tool::Function { name, parameters, strict, cache, .. } = &prompt.tools[0] else { panic!() };
        assert_eq!((name.as_ref(), parameters.as_deref()), ("f", Some(r#"{"type":"object"}"#)));
        assert_eq!((*strict, *cache), (Some(true), Some(CacheTtl::OneHour)));
        assert_eq!(prompt.tools[1].name(), Some("g"));
        let Tool::Hosted { kind, json } = &prompt.tools[2] else { panic!() };
        assert_eq!(kind, "web_search_20250305");
        assert!(json.contains("\"max_uses\":2"));
        let reasoning = prompt.reasoning.as_ref().unwrap();
        assert_eq!((reasoning.budget, reasoning.effort), (Some(2000), Some(Effort::Xhigh)));
        assert_eq!((reasoning.off, reasoning.summary.as_deref()), (false, Some("auto")));
        assert!(
            matches!(&prompt.format, Some(Format::JsonSchema { schema, .. }) if schema == r#"{"type":"object"}"#)
        );
        let rest: Vec<_> = prompt.rest.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(
            rest,
            [
                "metadata.team=\"t\"",
                "output_config.task_budget=1",
                "context_management={\"edits\":[]}",
                "future=[1]"
            ]
        );
        let roles: Vec<_> = prompt.turns.iter().map(|turn| turn.role).collect();
        assert_eq!(roles, [Role::System, Role::User]);
    });
}

#[test]
fn instructions_stand_where_the_caller_put_them() {
    let body = json!({"model": "m", "max_tokens": 1,
        "system": [{"type": "text", "text": "A"}, {"type": "text", "text": "B", "cache_control": {"type": "ephemeral"}}],
        "messages": [{"role": "user", "content": "1"}, {"role": "system", "content": "C"}, {"role": "assistant", "content": "2"}]});
    read(&body, |prompt| {
        let roles: Vec<_> = prompt.turns.iter().map(|turn| turn.role).collect();
        assert_eq!(roles, [Role::System, Role::User, Role::System, Role::Assistant]);
        let caches: Vec<_> = prompt.turns[0].parts.iter().map(|part| part.cache).collect();
        assert_eq!(caches, [None, Some(CacheTtl::FiveMinutes)]);
    });
}

#[test]
fn every_way_to_think() {
    let with = |thinking: Value, config: Value, check: fn(Option<&weir_llm::neutral::Reasoning<'_>>)| {
        let body = json!({"model": "m", "max_tokens": 1, "messages": [], "thinking": thinking, "output_config": config});
        read(&body, |prompt| check(prompt.reasoning.as_ref()));
    };
    with(Value::Null, Value::Null, |found| assert!(found.is_none()));
    with(json!({"type": "disabled"}), json!({"effort": "low"}), |found| {
        assert!(found.is_some_and(|found| found.off && !found.on() && found.effort.is_none()));
    });
    with(json!({"type": "adaptive", "display": "omitted"}), json!({"effort": "max"}), |found| {
        assert!(
            found.is_some_and(|found| found.on()
                && found.summary.is_none()
                && found.effort == Some(Effort::Max))
        );
    });
    with(json!({"type": "between_tools"}), Value::Null, |found| {
        assert!(found.is_some_and(|found| found.on() && found.effort.is_none() && found.budget.is_none()));
    });
    with(Value::Null, json!({"effort": "high"}), |found| {
        assert!(found.is_some_and(|found| found.on()
            && found.effort == Some(Effort::High)
            && found.summary.is_none()));
    });
}

#[test]
fn the_older_name_of_the_format_is_known() {
    let body = json!({"model": "m", "max_tokens": 1, "messages": [],
        "output_format": {"type": "json_schema", "schema": {"a": 1}}});
    read(&body, |prompt| {
        assert!(matches!(prompt.format, Some(Format::JsonSchema { .. })) && prompt.rest.is_empty())
    });
}

#[test]
fn case_23_thinking_keeps_its_place_and_its_proof() {
    let foreign = Seal { by: By::OpenAi, data: "enc".into(), hidden: true };
    let body = json!({"model": "m", "max_tokens": 1, "messages": [{"role": "assistant", "content": [
        {"type": "thinking", "thinking": "own", "signature": "sig=="},
        {"type": "redacted_thinking", "data": "dark"},
        {"type": "thinking", "thinking": "unsigned", "signature": ""},
        {"type": "thinking", "thinking": "changed by the caller", "signature": foreign.wrap("summary")},
        {"type": "redacted_thinking", "data": foreign.wrap("")},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"b": 1, "a": 2}},
        {"type": "server_tool_use", "id": "srv", "name": "web_search", "input": {}},
    ]}]});
    read(&body, |prompt| {
        let thoughts: Vec<_> = prompt.turns[0]
            .parts
            .iter()
            .filter_map(|part| match &part.content {
                Content::Thinking(thinking) => Some((thinking.text.to_string(), thinking.seal.clone())),
                _ => None,
            })
            .collect();
        let own = |data: &'static str, hidden| Some(Seal { by: By::Anthropic, data: data.into(), hidden });
        let want = [
            ("own", own("sig==", false)),
            ("", own("dark", true)),
            ("unsigned", None),
            ("summary", Some(foreign.clone())),
            ("", Some(foreign.clone())),
        ];
        assert!(thoughts == want.map(|(text, seal)| (text.to_owned(), seal)));
        let Content::Call(call) = &prompt.turns[0].parts[5].content else { panic!() };
        assert_eq!(call.arguments, r#"{"b":1,"a":2}"#);
        assert!(
            matches!(&prompt.turns[0].parts[6].content, Content::Other { kind, .. } if kind == "server_tool_use")
        );
    });
}

#[test]
fn case_26_results_with_text_blocks_images_errors_and_nothing() {
    let body = json!({"model": "m", "max_tokens": 1, "messages": [
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "plain"}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "b", "is_error": true, "content": [
                {"type": "text", "text": "bad"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/jpg", "data": "AA"}}]},
            {"type": "tool_result", "tool_use_id": "c"}]},
        {"role": "user", "content": "next"}]});
    read(&body, |prompt| {
        assert_eq!(prompt.turns.len(), 2, "neighbouring results are one turn");
        let results: Vec<_> = prompt.turns[0]
            .parts
            .iter()
            .filter_map(|part| match &part.content {
                Content::Result(result) => Some((result.id.to_string(), result.parts.len(), result.is_error)),
                _ => None,
            })
            .collect();
        assert_eq!(results, [("a".into(), 1, false), ("b".into(), 2, true), ("c".into(), 0, false)]);
    });
}

#[test]
fn case_27_every_source_of_images_and_documents() {
    let blocks = json!([
        {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
        {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
        {"type": "document", "title": "T", "context": "Read it.", "source": {"type": "base64", "media_type": "application/pdf", "data": "JV"}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
        {"type": "document", "source": {"type": "content", "content": [
            {"type": "text", "text": "one"}, {"type": "text", "text": "two"},
            {"type": "image", "source": {"type": "url", "url": "https://x/z.png"}}]}},
        {"type": "search_result", "source": "https://s", "title": "S", "content": [{"type": "text", "text": "found"}]},
        {"type": "container_upload", "file_id": "file_2"},
    ]);
    said(&blocks, |contents| {
        let shown: Vec<_> = contents
            .iter()
            .map(|content| match content {
                Content::Media(media) => {
                    let (sort, at) = match &media.source {
                        Source::Url(url) => ("url", url),
                        Source::Base64(data) => ("base64", data),
                        Source::Text(text) => ("text", text),
                        Source::FileId(id) => ("file", id),
                    };
                    let image = if media.kind == MediaKind::Image { "image" } else { "document" };
                    format!(
                        "{image} {sort} {at} {} {}",
                        media.mime.as_deref().unwrap_or("-"),
                        media.name.as_deref().unwrap_or("-")
                    )
                }
                Content::Text { text, .. } => format!("text {text}"),
                Content::Other { kind, .. } => format!("other {kind}"),
                _ => panic!(),
            })
            .collect();
        assert_eq!(
            shown,
            [
                "image url https://x/y.png - -",
                "image file file_1 - -",
                "text Read it.",
                "document base64 JV application/pdf T",
                "document text words text/plain -",
                "document text one\n\ntwo text/plain -",
                "image url https://x/z.png - -",
                "document text https://s\n\nfound text/plain S",
                "other container_upload",
            ]
        );
    });
}

#[test]
fn what_is_odd_is_skipped_or_kept() {
    let body = json!({"model": 1, "max_tokens": "x", "system": [1, {"type": "text"}], "messages": [1, {"role": "user"},
        {"role": "user", "content": [{"type": "image"}, {"type": "tool_use"}, {"text": "no type"}, null]}],
        "tools": [1, {}], "tool_choice": {"type": "tool"}, "stop_sequences": "x", "metadata": [], "thinking": 1});
    read(&body, |prompt| assert_eq!(prompt.tools.len(), 2));
}
