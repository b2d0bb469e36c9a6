//! Replies in Gemini's dialect, whole and streamed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests, outside test functions"
)]

use bytes::Bytes;
use proptest::prelude::*;
use std::collections::BTreeSet;
use weir_llm::fault::Hint;
use weir_llm::gemini::{Decoder, read_reply};
use weir_llm::neutral::event::Assembler;
use weir_llm::neutral::{Broken, By, Content, Event, Finish, Reply};
use weir_llm::sse::Parser;
use weir_llm::usage::Usage;

const STREAM: &str = include_str!("fixtures/gemini.sse");

fn read(body: &str) -> Result<Reply, Broken> {
    read_reply(&Bytes::copy_from_slice(body.as_bytes()))
}

/// What a stream brought: the reply, the tags of its events, and the error.
#[derive(PartialEq)]
struct Streamed {
    reply: Reply,
    tags: Vec<String>,
    error: Option<Hint>,
}

fn streamed<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Streamed {
    let mut parser = Parser::new(1 << 20);
    let mut decoder = Decoder::new();
    let (mut assembler, mut tags, mut error) = (Assembler::default(), Vec::new(), None);
    let mut take = |event: Event<'_>| {
        assembler.push(&event);
        tags.push(tag(&event));
        if let Event::Error(said) = &event {
            error = Some(said.hint);
        }
    };
    for chunk in chunks {
        parser.push(chunk, &mut |event| decoder.feed(&event, &mut take)).unwrap();
    }
    decoder.end(&mut take);
    Streamed { reply: assembler.finish(), tags, error }
}

fn tag(event: &Event<'_>) -> String {
    match event {
        Event::Start { .. } => "start".into(),
        Event::Text { text, .. } => format!("text {text}"),
        Event::Thinking { text, .. } => format!("thinking {text}"),
        Event::Sealed { seal, .. } => format!("sealed {}", seal.data),
        Event::Refusal { .. } => "refusal".into(),
        Event::Citation { citation, .. } => format!("cite {:?}", citation.range),
        Event::CallStart { id, name, .. } => format!("call {name} {id}"),
        Event::CallArguments { text, .. } => format!("args {text}"),
        Event::CallEnd { .. } => "call end".into(),
        Event::Finish { reason, .. } => format!("finish {reason:?}"),
        Event::Usage(_) => "usage".into(),
        Event::Error(_) => "error".into(),
        Event::End => "end".into(),
        _ => "other".into(),
    }
}

fn sse(chunks: &[&str]) -> Vec<u8> {
    chunks.iter().map(|chunk| format!("data: {chunk}\r\n\r\n")).collect::<String>().into_bytes()
}

fn stream(chunks: &[&str]) -> Streamed {
    streamed([sse(chunks).as_slice()])
}

fn call(content: &Content<'_>) -> (String, String, String, Option<String>) {
    match content {
        Content::Call(call) => {
            let seal = call.seal.as_ref().map(|seal| {
                assert_eq!(seal.by, By::Gemini);
                seal.data.to_string()
            });
            (call.id.to_string(), call.name.to_string(), call.arguments.to_string(), seal)
        }
        _ => panic!("no call"),
    }
}

fn text(content: &Content<'_>) -> String {
    match content {
        Content::Text { text, .. } | Content::Refusal(text) => text.to_string(),
        Content::Thinking(thinking) => thinking.text.to_string(),
        _ => panic!("no text"),
    }
}

#[test]
fn a_recorded_stream_is_read_in_order() {
    let all = streamed([STREAM.as_bytes()]);
    assert_eq!(
        all.tags,
        [
            "start",
            "thinking **Looking**\n",
            "usage",
            "sealed c2lnMQ==",
            "text Grüße, ",
            "usage",
            "text Welt.",
            "cite Some((0, 5))",
            "usage",
            "sealed c2lnMg==",
            "call look call_aBc-1_x_0",
            "args {\"city\":\"A B\"}",
            "call end",
            "call time call_aBc-1_x_1",
            "args {}",
            "call end",
            "usage",
            "finish ToolCalls",
            "end",
        ]
    );
    assert_eq!((all.reply.id.as_str(), all.reply.model.as_str()), ("aBc-1_x", "gemini-3-pro-preview"));
    let want = Usage { input: 30, cached_input: 10, output: 20, reasoning: 8, ..Usage::default() };
    assert_eq!(all.reply.usage, Some(want));
}

proptest! {
    #[test]
    fn any_split_gives_the_same(mut cuts in prop::collection::vec(0..STREAM.len(), 0..8)) {
        cuts.sort_unstable();
        let (mut chunks, mut from) = (Vec::new(), 0);
        for cut in cuts {
            chunks.push(&STREAM.as_bytes()[from..cut]);
            from = cut;
        }
        chunks.push(&STREAM.as_bytes()[from..]);
        prop_assert!(streamed(chunks) == streamed([STREAM.as_bytes()]));
    }
}

#[test]
fn case_02_04_09_10_whole_calls_without_id_or_arguments() {
    let reply = read(
        r#"{"candidates":[{"content":{"role":"model","parts":[
            {"functionCall":{"name":"a","args":{ "x" : [1, " y"] }},"thoughtSignature":"c2ln"},
            {"functionCall":{"name":"default_api:b"}},{"functionCall":{"name":"b","args":null,"id":"own"}}]},
            "finishReason":"STOP","index":0}],"responseId":"r/1","modelVersion":"gemini-3-pro"}"#,
    )
    .unwrap();
    let parts = &reply.choices[0].parts;
    let (id, name, arguments, seal) = call(&parts[0]);
    assert!(id.starts_with("call_r_1_") && id.len() <= 64, "{id}");
    assert_eq!(
        (name.as_str(), arguments.as_str(), seal.as_deref()),
        ("a", r#"{"x":[1," y"]}"#, Some("c2ln"))
    );
    let (second, name, arguments, seal) = call(&parts[1]);
    assert_eq!((name.as_str(), arguments.as_str(), seal), ("b", "{}", None));
    assert_ne!(id, second);
    assert_eq!(call(&parts[2]).0, "own");
    assert_eq!(reply.choices[0].finish, Some(Finish::ToolCalls));
}

#[test]
fn case_09_ids_are_unique_without_an_id_of_the_reply() {
    let all = stream(&[
        r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"a"}},{"functionCall":{"name":"a"}}]}}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"a"}}]},"finishReason":"STOP"}]}"#,
    ]);
    let ids: BTreeSet<String> = all.reply.choices[0].parts.iter().map(|part| call(part).0).collect();
    assert_eq!(ids.len(), 3);
}

#[test]
fn every_end_has_its_reason() {
    for (word, want) in [
        ("STOP", Finish::Stop),
        ("OTHER", Finish::Stop),
        ("MAX_TOKENS", Finish::Length),
        ("SAFETY", Finish::Filter),
        ("RECITATION", Finish::Filter),
        ("BLOCKLIST", Finish::Filter),
        ("PROHIBITED_CONTENT", Finish::Filter),
        ("SPII", Finish::Filter),
        ("LANGUAGE", Finish::Filter),
        ("IMAGE_SAFETY", Finish::Filter),
    ] {
        let body = format!(
            r#"{{"candidates":[{{"content":{{"parts":[{{"text":"a"}}]}},"finishReason":"{word}"}}]}}"#
        );
        assert_eq!(read(&body).unwrap().choices[0].finish, Some(want), "{word}");
        assert_eq!(stream(&[&body]).reply.choices[0].finish, Some(want), "{word}");
    }
    for word in ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL"] {
        let body = format!(
            r#"{{"candidates":[{{"content":{{}},"finishReason":"{word}","finishMessage":"print(secret)"}}]}}"#
        );
        let Err(Broken::Said(error)) = read(&body) else { panic!("{word}") };
        assert_eq!((error.hint, error.code.as_deref()), (Hint::ServerError, Some(word)));
        assert!(!error.message.contains("secret"));
        let all = stream(&[&body]);
        assert_eq!(
            (all.error, all.tags.last().map(String::as_str)),
            (Some(Hint::ServerError), Some("error"))
        );
    }
}

#[test]
fn case_21_a_blocked_prompt_is_a_refusal() {
    let body = r#"{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"},"usageMetadata":{"promptTokenCount":4,
        "totalTokenCount":4},"modelVersion":"gemini-2.5-flash"}"#;
    let reply = read(body).unwrap();
    assert_eq!(reply.choices[0].finish, Some(Finish::Filter));
    assert!(
        matches!(&reply.choices[0].parts[..], [Content::Refusal(text)] if text.contains("PROHIBITED_CONTENT"))
    );
    assert_eq!(reply.usage.unwrap().input, 4);
    let all = stream(&[&body.replace('\n', "")]);
    assert_eq!(all.tags, ["start", "refusal", "usage", "finish Filter", "end"]);
}

#[test]
fn case_22_texts_are_joined_and_sources_cited() {
    let reply = read(
        r#"{"candidates":[{"content":{"parts":[{"text":"é one. "},{"text":"Two."}]},"finishReason":"STOP",
            "groundingMetadata":{"groundingChunks":[{"web":{"uri":"https://a","title":"A"}},
            {"web":{"uri":"https://b"}}],"groundingSupports":[{"segment":{"endIndex":7,"text":"é one."},
            "groundingChunkIndices":[0,1,9]},{"segment":{"startIndex":8,"endIndex":12},"groundingChunkIndices":[1]}]}}]}"#,
    )
    .unwrap();
    let [Content::Text { text, citations }] = &reply.choices[0].parts[..] else { panic!("one text") };
    assert_eq!(text, "é one. Two.");
    let cited: Vec<_> =
        citations.iter().map(|cite| (cite.url.as_deref().unwrap(), cite.range.unwrap())).collect();
    assert_eq!(cited, [("https://a", (0, 6)), ("https://b", (0, 6)), ("https://b", (7, 11))]);
    assert_eq!(citations[0].title.as_deref(), Some("A"));
}

#[test]
fn thinking_code_and_images_have_their_place() {
    let reply = read(
        r#"{"candidates":[{"content":{"parts":[{"text":"hm","thought":true},{"text":"See:","thoughtSignature":"c2ln"},
            {"inlineData":{"mimeType":"image/png","data":"AAAA"}},{"inlineData":{"mimeType":"image/png","data":"BBBB"}},
            {"executableCode":{"language":"PYTHON","code":"print(1)"}},
            {"codeExecutionResult":{"outcome":"OUTCOME_OK","output":"1\n"}}]},"finishReason":"STOP"}]}"#,
    )
    .unwrap();
    let parts = &reply.choices[0].parts;
    assert!(
        matches!(&parts[0], Content::Thinking(hm) if hm.text == "hm" && hm.seal.as_ref().unwrap().data == "c2ln")
    );
    assert_eq!(text(&parts[1]), "See:");
    let data = |part: &Content<'_>| match part {
        Content::Media(media) => match &media.source {
            weir_llm::neutral::Source::Base64(data) => data.to_string(),
            _ => panic!("no base64"),
        },
        _ => panic!("no image"),
    };
    assert_eq!((data(&parts[2]), data(&parts[3])), ("AAAA".into(), "BBBB".into()));
    assert_eq!(text(&parts[4]), "```python\nprint(1)\n```\n```\n1\n```\n");
}

#[test]
fn several_answers_keep_apart() {
    let chunk = |index, text, end| {
        format!(r#"{{"candidates":[{{"content":{{"parts":[{{"text":"{text}"}}]}},"index":{index}{end}}}]}}"#)
    };
    let end = r#","finishReason":"STOP""#;
    let chunks = [chunk(0, "a", ""), chunk(1, "b", ""), chunk(0, "c", end), chunk(1, "d", end)];
    let chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
    let all = stream(&chunks);
    let texts: Vec<String> = all.reply.choices.iter().map(|choice| text(&choice.parts[0])).collect();
    assert_eq!(texts, ["ac", "bd"]);
    assert_eq!(all.tags.last().unwrap(), "end");
    // One of them is cut.
    assert!(!stream(&chunks[..3]).tags.iter().any(|tag| tag == "end" || tag.starts_with("finish")));
}

#[test]
fn log_probabilities_become_openais() {
    let reply = read(
        r#"{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP","logprobsResult":{
            "chosenCandidates":[{"token":"a","tokenId":1,"logProbability":-0.5}],
            "topCandidates":[{"candidates":[{"token":"b","logProbability":-1.5}]}]}}]}"#,
    )
    .unwrap();
    let logprobs: serde_json::Value =
        serde_json::from_str(reply.choices[0].logprobs.as_deref().unwrap()).unwrap();
    assert_eq!(
        logprobs,
        serde_json::json!({"content": [{"token": "a", "logprob": -0.5, "bytes": [97],
            "top_logprobs": [{"token": "b", "logprob": -1.5, "bytes": [98]}]}], "refusal": null})
    );
}

#[test]
fn case_32_a_stream_that_stops_early_has_no_end() {
    let all = stream(&[r#"{"candidates":[{"content":{"parts":[{"text":"a"}]}}],"responseId":"r"}"#]);
    assert_eq!(all.tags, ["start", "text a"]);
    assert!(stream(&[]).tags.is_empty());
    assert_eq!(stream(&[r#"{"responseId":"r"}"#]).tags, ["start"]);
}

#[test]
fn case_33_an_error_in_the_stream_is_told_and_nothing_follows() {
    let text = r#"{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}]}"#;
    for error in [
        r#"{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}"#,
        r#"[{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}]"#,
    ] {
        let all = stream(&[text, error, text]);
        assert_eq!(
            (all.tags, all.error),
            (vec!["start".into(), "text a".into(), "error".into()], Some(Hint::Overloaded))
        );
        let Err(Broken::Said(said)) = read(error) else { panic!("{error}") };
        assert_eq!((said.code.as_deref(), said.hint), (Some("503"), Hint::Overloaded));
    }
    assert_eq!(stream(&["{\"candidates\":[{"]).tags, ["error"]);
}

#[test]
fn case_36_what_is_no_reply_is_unreadable() {
    for body in
        ["<html>busy</html>", "", "{\"candidates\":[{\"content\"", "{}", "[]", "null", "{\"candidates\":[]}"]
    {
        let Err(Broken::Unreadable(why)) = read(body) else { panic!("{body}") };
        assert!(!why.contains("busy"), "{why}");
    }
}
