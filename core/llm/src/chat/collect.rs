//! A stream as the complete reply that it brought. Off the hot path: for the cache.

use bytes::Bytes;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Most choices and calls of one reply; more is no reply of a sound provider.
const MAX_PARTS: usize = 1024;
/// Members of calls, of audio and of thinking that come in pieces; others come whole.
const PIECES: [&str; 6] = ["arguments", "input", "data", "transcript", "text", "summary"];

/// Gathers the data of a stream's events.
#[derive(Default)]
pub struct Collector {
    /// Members of the reply but for its choices.
    head: Map<String, Value>,
    choices: BTreeMap<u64, Choice>,
    done: bool,
    broken: bool,
}

#[derive(Default)]
struct Choice {
    message: Map<String, Value>,
    calls: BTreeMap<u64, Map<String, Value>>,
    logprobs: Option<Value>,
    finish_reason: Option<Value>,
    /// Members that we do not know.
    rest: Map<String, Value>,
}

/// The complete reply of a stream's events (their `data`), `[DONE]` included. `None` unless the stream ended as a
/// success: each choice with a finish reason, `[DONE]`, no error.
#[must_use]
pub fn collect<'a>(events: impl IntoIterator<Item = &'a [u8]>) -> Option<Bytes> {
    let mut collector = Collector::default();
    events.into_iter().for_each(|data| collector.push(data));
    collector.finish()
}

impl Collector {
    /// Before the first event.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the data of one event.
    pub fn push(&mut self, data: &[u8]) {
        if self.broken {
            return;
        }
        if data.trim_ascii() == b"[DONE]" {
            self.done = true;
            return;
        }
        match serde_json::from_slice(data) {
            Ok(Value::Object(chunk)) if !self.done && !chunk.get("error").is_some_and(truthy) => {
                self.merge(chunk)
            }
            _ => self.broken = true,
        }
    }

    /// The complete reply, if the stream ended as a success.
    #[must_use]
    pub fn finish(self) -> Option<Bytes> {
        let finished = self.choices.values().all(|choice| choice.finish_reason.is_some());
        if self.broken || !self.done || !finished || self.choices.is_empty() {
            return None;
        }
        let mut reply = self.head;
        reply.insert("object".into(), json!("chat.completion"));
        let choices = self.choices.into_iter().map(|(index, choice)| choice.complete(index)).collect();
        reply.insert("choices".into(), Value::Array(choices));
        if let Some(usage) = reply.remove("usage") {
            reply.insert("usage".into(), usage);
        }
        serde_json::to_vec(&reply).ok().map(Bytes::from)
    }

    fn merge(&mut self, chunk: Map<String, Value>) {
        for (key, value) in chunk {
            match (key.as_str(), value) {
                ("choices", Value::Array(choices)) => {
                    choices.into_iter().for_each(|choice| self.merge_choice(choice))
                }
                ("choices", Value::Null) | ("obfuscation" | "error", _) => {}
                ("choices", _) => self.broken = true,
                // Null never overwrites: with `include_usage` every chunk but the last has `usage: null`.
                (_, Value::Null) => {
                    if key != "usage" {
                        self.head.entry(key).or_insert(Value::Null);
                    }
                }
                (_, value) => {
                    self.head.insert(key, value);
                }
            }
        }
    }

    fn merge_choice(&mut self, choice: Value) {
        let Value::Object(choice) = choice else {
            self.broken = true;
            return;
        };
        let index = choice.get("index").and_then(Value::as_u64).unwrap_or(0);
        if self.choices.len() >= MAX_PARTS && !self.choices.contains_key(&index) {
            self.broken = true;
            return;
        }
        let into = self.choices.entry(index).or_default();
        for (key, value) in choice {
            match (key.as_str(), value) {
                ("index", _) | (_, Value::Null) => {}
                ("delta", Value::Object(delta)) => into.merge_delta(delta, &mut self.broken),
                ("delta", _) => self.broken = true,
                ("finish_reason", reason) => into.finish_reason = Some(reason),
                ("logprobs", logprobs) => {
                    merge_logprobs(into.logprobs.get_or_insert_with(|| json!({})), logprobs)
                }
                (_, value) => {
                    into.rest.insert(key, value);
                }
            }
        }
    }
}

impl Choice {
    fn merge_delta(&mut self, delta: Map<String, Value>, broken: &mut bool) {
        for (key, value) in delta {
            match (key.as_str(), value) {
                (_, Value::Null) => {}
                ("tool_calls", Value::Array(calls)) => {
                    for call in calls {
                        self.merge_call(call, broken);
                    }
                }
                ("content" | "refusal" | "reasoning_content" | "reasoning" | "annotations", value) => {
                    append(&mut self.message, &key, value);
                }
                ("reasoning_details", Value::Array(details)) => {
                    let into = self.message.entry("reasoning_details").or_insert_with(|| json!([]));
                    if let Value::Array(into) = into {
                        details.into_iter().for_each(|detail| merge_detail(into, detail));
                    }
                }
                ("function_call" | "audio", Value::Object(more)) => {
                    merge_member(&mut self.message, &key, more)
                }
                (_, value) => {
                    self.message.insert(key, value);
                }
            }
        }
    }

    fn merge_call(&mut self, call: Value, broken: &mut bool) {
        let Value::Object(call) = call else {
            *broken = true;
            return;
        };
        let index = call.get("index").and_then(Value::as_u64).unwrap_or_else(|| self.unnumbered(&call));
        if self.calls.len() >= MAX_PARTS && !self.calls.contains_key(&index) {
            *broken = true;
            return;
        }
        let into = self.calls.entry(index).or_default();
        for (key, value) in call {
            match (key.as_str(), value) {
                ("index", _) | (_, Value::Null) => {}
                ("function" | "custom", Value::Object(more)) => merge_member(into, &key, more),
                (_, value) => {
                    into.insert(key, value);
                }
            }
        }
    }

    /// Where a call without an index goes (Mistral): behind the last one if it has an id of its own, else into it.
    fn unnumbered(&self, call: &Map<String, Value>) -> u64 {
        let Some((last, known)) = self.calls.last_key_value() else { return 0 };
        let fresh = call.get("id").is_some_and(|id| !id.is_null() && known.get("id") != Some(id));
        last.saturating_add(u64::from(fresh))
    }

    fn complete(mut self, index: u64) -> Value {
        self.message.entry("role").or_insert_with(|| json!("assistant"));
        self.message.entry("content").or_insert(Value::Null);
        if !self.calls.is_empty() {
            let calls = self.calls.into_values().map(Value::Object).collect();
            self.message.insert("tool_calls".into(), Value::Array(calls));
            if self.message.get("content").and_then(Value::as_str) == Some("") {
                self.message.insert("content".into(), Value::Null);
            }
        }
        let mut choice = Map::new();
        choice.insert("index".into(), json!(index));
        choice.insert("message".into(), Value::Object(self.message));
        choice.insert("logprobs".into(), self.logprobs.unwrap_or(Value::Null));
        choice.insert("finish_reason".into(), self.finish_reason.unwrap_or(Value::Null));
        choice.extend(self.rest);
        Value::Object(choice)
    }
}

fn merge_member(into: &mut Map<String, Value>, key: &str, more: Map<String, Value>) {
    if let Value::Object(into) = into.entry(key).or_insert_with(|| json!({})) {
        merge(into, more);
    }
}

/// What comes in pieces is appended, other members are set.
fn merge(into: &mut Map<String, Value>, more: Map<String, Value>) {
    for (key, value) in more {
        match (key.as_str(), value) {
            (_, Value::Null) => {}
            (piece, value) if PIECES.contains(&piece) => append(into, piece, value),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

/// Adds an entry of `reasoning_details`: to the last one if it is more of that, as OpenRouter's own SDK does, so that
/// whoever reads the reply sees the text in one piece. A proof ends its text; encrypted data come whole.
fn merge_detail(into: &mut Vec<Value>, detail: Value) {
    match (into.last_mut(), detail) {
        (Some(Value::Object(last)), Value::Object(more)) if goes_on(last, &more) => merge(last, more),
        (_, detail) => into.push(detail),
    }
}

fn goes_on(last: &Map<String, Value>, more: &Map<String, Value>) -> bool {
    let same = |key| last.get(key).is_some_and(|value| more.get(key) == Some(value));
    let kind = last.get("type").and_then(Value::as_str);
    matches!(kind, Some("reasoning.text" | "reasoning.summary"))
        && same("type")
        && same("index")
        && !last.get("signature").is_some_and(truthy)
}

/// Appends to a text or a list; anything else is set.
fn append(into: &mut Map<String, Value>, key: &str, value: Value) {
    match (into.get_mut(key), value) {
        (Some(Value::String(text)), Value::String(more)) => text.push_str(&more),
        (Some(Value::Array(list)), Value::Array(more)) => list.extend(more),
        (_, value) => {
            into.insert(key.to_owned(), value);
        }
    }
}

/// Lists of tokens (`content`, `refusal`) are appended.
fn merge_logprobs(into: &mut Value, logprobs: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, logprobs) {
        for (key, value) in more {
            append(into, &key, value);
        }
    }
}

fn truthy(error: &Value) -> bool {
    match error {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::String(text) => !text.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Number(number) => number.as_f64() != Some(0.0),
    }
}
