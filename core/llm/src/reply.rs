//! A whole reply in the caller's dialect, by the strings that the model wrote: what a guard of replies sees and edits.
//!
//! The rule is that of requests turned around: *every string of the reply is a segment*, wherever it stands and whether
//! we know the field or not, but for the protocol's own fields (ids, kinds, roles, reasons, the model's name, proofs that
//! only their maker can read). Below a tool call's arguments every string and every key is one, whatever it is called.

use crate::api::Api;
use crate::json::{Json, JsonError, Kind, Value, quote, splice, unquote};
use crate::request::patch::{Splice, edited};
use crate::request::segments::{Context, push};
use crate::request::{Role, Segment, SegmentEdit, SegmentKind};
use bytes::Bytes;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

/// A whole reply.
pub struct Reply {
    api: Api,
    json: Json,
    segments: OnceLock<Vec<Segment>>,
}

impl Reply {
    /// Parses a reply in the dialect of an API's callers.
    ///
    /// # Errors
    /// It is no JSON that can be read in one way only.
    pub fn parse(api: Api, body: Bytes) -> Result<Self, JsonError> {
        Ok(Self { api, json: Json::parse(body)?, segments: OnceLock::new() })
    }

    /// The API whose dialect it is in.
    #[must_use]
    pub const fn api(&self) -> Api {
        self.api
    }

    /// The bytes.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        self.json.bytes()
    }

    /// The parsed bytes.
    #[must_use]
    pub const fn json(&self) -> &Json {
        &self.json
    }

    /// Every string that the model wrote, in document order; found at the first call, kept after it.
    pub fn segments(&self) -> &[Segment] {
        self.segments.get_or_init(|| {
            let mut segments = Vec::with_capacity(4);
            collect(self.json.root(), "", SegmentKind::Text, &mut segments);
            segments
        })
    }

    /// The decoded text of a segment; borrowed if it has no escapes.
    #[must_use]
    pub fn text(&self, segment: usize) -> Option<Cow<'_, str>> {
        unquote(self.body().get(self.segments().get(segment)?.span.clone())?)
    }

    /// Why the model stopped, in the dialect's own word.
    #[must_use]
    pub fn finish_reason(&self) -> Option<Cow<'_, str>> {
        let pointer = match self.api {
            Api::Chat => "/choices/0/finish_reason",
            Api::Responses => "/status",
            Api::Messages => "/stop_reason",
            _ => return None,
        };
        self.json.root().pointer(pointer)?.as_str()
    }

    /// The reply with some spans of text replaced; all else stays byte for byte. Token probabilities, which would tell
    /// the old text, are gone from an edited reply.
    #[must_use]
    pub fn patched(&self, edits: &[SegmentEdit<'_>]) -> Bytes {
        self.spliced(edits, Vec::new())
    }

    /// The reply with every string written anew for which `write` says how: what the model wrote, and what only repeats
    /// what the caller sent. It is told whose words they are; `None`: they stay.
    #[must_use]
    pub fn rewritten(&self, write: &dyn Fn(SegmentKind, &str) -> Option<String>) -> Bytes {
        let segments = self.segments().iter().enumerate();
        let texts: Vec<(usize, usize, String)> = segments
            .filter_map(|(at, segment)| {
                let text = self.text(at)?;
                Some((at, text.len(), write(segment.kind, &text)?))
            })
            .collect();
        let edits: Vec<SegmentEdit<'_>> = texts
            .iter()
            .map(|(segment, end, text)| SegmentEdit {
                segment: *segment,
                start: 0,
                end: *end,
                text: Some(text),
            })
            .collect();
        let mut splices = Vec::new();
        if self.json.root().get("output").is_some() {
            let members = self.json.root().members();
            members
                .filter(|(name, _)| ECHOED.contains(&name.as_ref()))
                .for_each(|(_, value)| echoed(value, write, &mut splices));
        }
        self.spliced(&edits, splices)
    }

    fn spliced(&self, edits: &[SegmentEdit<'_>], mut splices: Vec<Splice>) -> Bytes {
        edited(self.body(), self.segments(), edits, &mut splices);
        if splices.is_empty() {
            return self.body().clone();
        }
        let mut void = Vec::new();
        probabilities(self.json.root(), &mut void);
        let thoughts: Vec<_> = edits
            .iter()
            .filter_map(|edit| self.segments().get(edit.segment))
            .filter(|segment| segment.kind == SegmentKind::Reasoning)
            .map(|segment| segment.span.clone())
            .collect();
        proofs(self.json.root(), &thoughts, &mut void);
        // What an edit replaces may lie inside of what goes.
        let inside = |range: &Range<usize>| {
            void.iter().any(|(gone, _)| gone.start <= range.start && range.end <= gone.end)
        };
        splices.retain(|(range, _)| !inside(range));
        splices.extend(void);
        splices.sort_by_key(|(range, _)| range.start);
        splice(self.body(), &splices)
    }
}

impl fmt::Debug for Reply {
    /// Sizes only: content is never printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("api", &self.api).field("json", &self.json).finish_non_exhaustive()
    }
}

/// Fields of the protocol: what stands in them is no word of the model's.
const PROTOCOL: &[&str] = &[
    "b64_json",
    "background",
    "call_id",
    "container",
    "created",
    "created_at",
    "data_format",
    "encrypted_content",
    "file_id",
    "finish_reason",
    "format",
    "id",
    "item_id",
    "model",
    "object",
    "phase",
    "previous_response_id",
    "prompt_cache_key",
    "role",
    "safety_identifier",
    "service_tier",
    "signature",
    "status",
    "stop_reason",
    "system_fingerprint",
    "tool_use_id",
    "truncation",
    "type",
    "usage",
    "user",
];

/// Fields of a reply that only repeat what the caller sent.
const ECHOED: &[&str] =
    &["instructions", "metadata", "parallel_tool_calls", "reasoning", "text", "tool_choice", "tools"];

/// What stands under these was written by the model for a tool: all of it is content.
const ARGUMENTS: &[&str] = &["arguments", "input", "partial_json", "parameters"];

fn collect(value: Value<'_>, key: &str, kind: SegmentKind, segments: &mut Vec<Segment>) {
    let context = Context { role: Role::Assistant, kind, name: None };
    match value.kind() {
        Kind::String => push(value, context, segments),
        Kind::Array => value.elements().for_each(|item| collect(item, key, kind, segments)),
        Kind::Object => {
            // A Responses reply repeats the request's settings beside its own output.
            let top = key.is_empty() && value.get("output").is_some();
            let kind = kind_of(value).unwrap_or(kind);
            for (name, inner) in value.members() {
                let name = name.as_ref();
                if PROTOCOL.contains(&name) || top && ECHOED.contains(&name) || sealed(name, inner) {
                    continue;
                }
                if ARGUMENTS.contains(&name) {
                    arguments(inner, segments);
                } else {
                    collect(inner, name, kind_under(name).unwrap_or(kind), segments);
                }
            }
        }
        Kind::Null | Kind::Bool | Kind::Number => {}
    }
}

/// The strings of what repeats a request, written anew.
fn echoed(value: Value<'_>, write: &dyn Fn(SegmentKind, &str) -> Option<String>, splices: &mut Vec<Splice>) {
    if let Some(text) = value.as_str()
        && let Some(text) = write(SegmentKind::Text, &text)
    {
        let mut quoted = Vec::new();
        quote(&text, &mut quoted);
        splices.push((value.span(), quoted));
    }
    value.elements().for_each(|item| echoed(item, write, splices));
    value.members().for_each(|(_, inner)| echoed(inner, write, splices));
}

/// Every string and every key.
fn arguments(value: Value<'_>, segments: &mut Vec<Segment>) {
    let context = Context { role: Role::Assistant, kind: SegmentKind::ToolCall, name: None };
    match value.kind() {
        Kind::String => push(value, context, segments),
        Kind::Array => value.elements().for_each(|item| arguments(item, segments)),
        Kind::Object => {
            for (key, inner) in value.members_raw() {
                push(key, context, segments);
                arguments(inner, segments);
            }
        }
        Kind::Null | Kind::Bool | Kind::Number => {}
    }
}

/// What an item or block says of itself.
fn kind_of(value: Value<'_>) -> Option<SegmentKind> {
    let kind = value.get("type")?.as_str()?;
    match kind.as_ref() {
        "function" | "function_call" | "custom_tool_call" | "tool_use" | "server_tool_use" => {
            Some(SegmentKind::ToolCall)
        }
        "reasoning" | "thinking" | "summary_text" | "reasoning_text" | "reasoning.text"
        | "reasoning.summary" => Some(SegmentKind::Reasoning),
        _ => None,
    }
}

fn kind_under(name: &str) -> Option<SegmentKind> {
    match name {
        "tool_calls" | "function_call" => Some(SegmentKind::ToolCall),
        "reasoning_content" | "reasoning" | "reasoning_details" | "thinking" => Some(SegmentKind::Reasoning),
        _ => None,
    }
}

/// Opaque bytes: a proof that only its maker reads, or sound.
fn sealed(name: &str, value: Value<'_>) -> bool {
    name == "data" && value.kind() == Kind::String
}

/// A proof of thoughts that were changed proves nothing, and its maker would refuse it.
fn proofs(value: Value<'_>, thoughts: &[Range<usize>], found: &mut Vec<Splice>) {
    let span = value.span();
    if !thoughts.iter().any(|thought| span.start <= thought.start && thought.end <= span.end) {
        return;
    }
    for item in value.elements() {
        proofs(item, thoughts, found);
    }
    for (name, inner) in value.members() {
        match name.as_ref() {
            "signature" => found.push((inner.span(), b"\"\"".to_vec())),
            "encrypted_content" | "reasoning_details" if inner.kind() != Kind::Null => {
                found.push((inner.span(), b"null".to_vec()));
            }
            _ => proofs(inner, thoughts, found),
        }
    }
}

fn probabilities(value: Value<'_>, found: &mut Vec<Splice>) {
    for item in value.elements() {
        probabilities(item, found);
    }
    for (name, inner) in value.members() {
        if name == "logprobs" && matches!(inner.kind(), Kind::Object | Kind::Array) {
            found.push((inner.span(), b"null".to_vec()));
        } else {
            probabilities(inner, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reply(api: Api, json: &serde_json::Value) -> Reply {
        Reply::parse(api, json.to_string().into()).unwrap()
    }

    fn texts(reply: &Reply) -> Vec<(SegmentKind, String)> {
        let segments = reply.segments().iter().enumerate();
        segments.map(|(at, segment)| (segment.kind, reply.text(at).unwrap().into_owned())).collect()
    }

    fn chat() -> serde_json::Value {
        serde_json::json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "service_tier": "default",
            "choices": [{ "index": 0, "finish_reason": "tool_calls",
                "logprobs": { "content": [{ "token": "secret", "logprob": -0.1 }] },
                "message": { "role": "assistant", "content": "a secret", "refusal": null,
                    "reasoning_content": "thought", "unheard_of": "new",
                    "reasoning_details": [{ "type": "reasoning.encrypted", "data": "weir1_x", "id": "r" }],
                    "tool_calls": [{ "id": "call_1", "type": "function",
                        "function": { "name": "find", "arguments": "{\"q\":\"secret\"}" } }] } }],
            "usage": { "prompt_tokens": 1 }
        })
    }

    #[test]
    fn every_word_of_a_chat_reply_is_a_segment() {
        let reply = reply(Api::Chat, &chat());
        let expected = [
            (SegmentKind::Text, "secret"),
            (SegmentKind::Text, "a secret"),
            (SegmentKind::Reasoning, "thought"),
            (SegmentKind::Text, "new"),
            (SegmentKind::ToolCall, "find"),
            (SegmentKind::ToolCall, "{\"q\":\"secret\"}"),
        ];
        let mut seen = texts(&reply);
        seen.sort_by(|a, b| a.1.cmp(&b.1));
        let mut expected = expected.map(|(kind, text)| (kind, text.to_owned())).to_vec();
        expected.sort_by(|a, b| a.1.cmp(&b.1));
        assert_eq!(seen, expected);
        assert_eq!(reply.finish_reason().as_deref(), Some("tool_calls"));
    }

    #[test]
    fn an_edited_reply_tells_nothing_of_what_is_gone() {
        let reply = reply(Api::Chat, &chat());
        let edits: Vec<_> = texts(&reply)
            .into_iter()
            .enumerate()
            .filter_map(|(segment, (_, text))| {
                let start = text.find("secret")?;
                Some(SegmentEdit { segment, start, end: start + 6, text: Some("***") })
            })
            .collect();
        let body = reply.patched(&edits);
        let text = std::str::from_utf8(&body).unwrap();
        assert!(!text.contains("secret"), "{text}");
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(value["choices"][0]["message"]["content"], "a ***");
        assert_eq!(value["choices"][0]["logprobs"], serde_json::Value::Null);
        assert_eq!(value["choices"][0]["message"]["reasoning_details"][0]["data"], "weir1_x");
    }

    #[test]
    fn arguments_of_a_messages_call_are_content_whatever_their_names() {
        let body = serde_json::json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "tool_use",
            "content": [
                { "type": "thinking", "thinking": "hm", "signature": "c2ln" },
                { "type": "text", "text": "hello" },
                { "type": "tool_use", "id": "toolu_1", "name": "find", "input": { "id": "secret", "type": ["x"] } }
            ]
        });
        let seen: Vec<_> = texts(&reply(Api::Messages, &body)).into_iter().map(|(_, text)| text).collect();
        assert_eq!(seen, ["hm", "hello", "find", "id", "secret", "type", "x"]);
    }

    #[test]
    fn a_changed_thought_loses_its_proof_and_others_keep_theirs() {
        let body = serde_json::json!({ "content": [
            { "type": "thinking", "thinking": "one", "signature": "s1" },
            { "type": "thinking", "thinking": "two", "signature": "s2" }
        ] });
        let edit = SegmentEdit { segment: 1, start: 0, end: 3, text: Some("2") };
        let body: serde_json::Value =
            serde_json::from_slice(&reply(Api::Messages, &body).patched(&[edit])).unwrap();
        assert_eq!(body["content"][0]["signature"], "s1");
        assert_eq!(
            body["content"][1],
            serde_json::json!({ "type": "thinking", "thinking": "2", "signature": "" })
        );
    }

    #[test]
    fn a_responses_reply_shows_its_output_and_not_the_request() {
        let body = serde_json::json!({
            "id": "resp_1", "object": "response", "status": "completed", "instructions": "be brief",
            "metadata": { "k": "v" }, "tools": [], "text": { "format": { "type": "text" } }, "model": "m",
            "reasoning": { "effort": "low" },
            "output": [
                { "id": "rs_1", "type": "reasoning", "summary": [{ "type": "summary_text", "text": "why" }],
                  "encrypted_content": "x" },
                { "id": "msg_1", "type": "message", "role": "assistant", "status": "completed",
                  "content": [{ "type": "output_text", "text": "hello", "annotations": [] },
                              { "type": "refusal", "refusal": "no" }] },
                { "id": "fc_1", "type": "function_call", "call_id": "c", "name": "find", "arguments": "{}" }
            ]
        });
        let reply = reply(Api::Responses, &body);
        let expected = [
            (SegmentKind::Reasoning, "why"),
            (SegmentKind::Text, "hello"),
            (SegmentKind::Text, "no"),
            (SegmentKind::ToolCall, "find"),
            (SegmentKind::ToolCall, "{}"),
        ];
        assert_eq!(texts(&reply), expected.map(|(kind, text)| (kind, text.to_owned())));
    }

    proptest! {
        #[test]
        fn an_edit_changes_one_text_and_nothing_else(text in "\\PC{0,40}", other in "\\PC{0,10}", to in "\\PC{0,10}") {
            let body = |content: &str| serde_json::json!({
                "choices": [{ "message": { "content": content, "more": other } }], "x": [1.5, null, true]
            });
            let reply = reply(Api::Chat, &body(&text));
            if !text.is_empty() {
                let edit = SegmentEdit { segment: 0, start: 0, end: text.len(), text: Some(&to) };
                let edited: serde_json::Value = serde_json::from_slice(&reply.patched(&[edit])).unwrap();
                prop_assert_eq!(edited, body(&to));
            }
            prop_assert_eq!(reply.patched(&[]).as_ptr(), reply.body().as_ptr());
        }
    }
}
