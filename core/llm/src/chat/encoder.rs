//! Neutral events as a caller's stream: chunks as OpenAI's own, and `[DONE]`.

use super::answered::write_annotation;
use super::tally::write_usage;
use super::{finish, thinking};
use crate::fault::{Said, error_body};
use crate::json::Writer;
use crate::neutral::{Ask, Citation, Event, Finish, Seal};
use crate::usage::Usage;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Writes a stream, event by event.
pub struct Encoder {
    /// What every chunk begins with: `data: {"id":…,…,"choices":[`.
    head: Vec<u8>,
    id: String,
    model: String,
    created: u64,
    include_usage: bool,
    usage: Option<Usage>,
    choices: BTreeMap<u32, Answer>,
    calls: BTreeMap<u32, Call>,
    /// The stream's last frame is written.
    over: bool,
}

/// One choice so far.
#[derive(Default)]
struct Answer {
    /// Characters of text, and those before the current block.
    text: u64,
    block: u64,
    /// Thinking that no proof has come for, since the proof's entry repeats it.
    thought: String,
    /// Entries of `reasoning_details`.
    details: u64,
    calls: u64,
    citations: u64,
    refused: bool,
}

/// Where a call stands, and what has been told of it.
struct Call {
    choice: u32,
    index: u64,
    custom: bool,
    empty: bool,
}

impl Encoder {
    /// Before the first event.
    #[must_use]
    pub fn new(ask: &Ask<'_>) -> Self {
        let mut encoder = Self {
            head: Vec::new(),
            id: id_of("", ask.request_id).into_owned(),
            model: ask.model.to_owned(),
            created: ask.now,
            include_usage: ask.include_usage,
            usage: None,
            choices: BTreeMap::new(),
            calls: BTreeMap::new(),
            over: false,
        };
        encoder.write_head();
        encoder
    }

    /// Writes what an event brings. An [`Event::Error`] writes nothing: whoever drives the stream knows its status and
    /// tells it by [`Encoder::fail`].
    pub fn push(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        match event {
            Event::Start { id, model, created } => self.begin(id, model, *created, out),
            Event::Text { choice, text } => {
                self.answer(*choice, out).text += text.chars().count() as u64;
                self.delta(*choice, out, |json| {
                    json.text("content", text);
                });
            }
            Event::Refusal { choice, text } => {
                self.answer(*choice, out).refused = true;
                self.delta(*choice, out, |json| {
                    json.text("refusal", text);
                });
            }
            Event::Thinking { choice, text } => {
                self.answer(*choice, out).thought.push_str(text);
                self.delta(*choice, out, |json| {
                    json.text("reasoning_content", text);
                });
            }
            Event::Sealed { choice, seal } => self.sealed(*choice, seal, out),
            Event::Break { choice } => {
                let answer = self.answer(*choice, out);
                answer.block = answer.text;
                answer.thought.clear();
            }
            Event::Citation { choice, citation } if citation.url.is_some() => {
                self.cite(*choice, citation, out);
            }
            Event::Citation { .. } | Event::Other { .. } | Event::Error(_) => {}
            Event::Logprobs { choice, json } => {
                self.answer(*choice, out);
                // A frame's data is one line; in JSON's strings there are no line breaks.
                let line = json.replace(['\n', '\r'], " ");
                self.chunk(*choice, out, None, Some(&line), |_| {});
            }
            Event::CallStart { .. } | Event::CallArguments { .. } | Event::CallEnd { .. } => {
                self.call(event, out);
            }
            Event::Finish { choice, reason, .. } => self.finish(*choice, *reason, out),
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Ping => out.extend_from_slice(b": keep-alive\n\n"),
            Event::End => self.end(out),
        }
    }

    /// Tells of an error; nothing follows it, not even `[DONE]`.
    pub fn fail(&mut self, error: &Said<'_>, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        self.over = true;
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(&error_body(error.message, error.kind, error.param, error.code));
        out.extend_from_slice(b"\n\n");
    }

    fn begin(&mut self, id: &str, model: &str, created: Option<u64>, out: &mut Vec<u8>) {
        if !id.is_empty() {
            id.clone_into(&mut self.id);
        }
        if !model.is_empty() {
            model.clone_into(&mut self.model);
        }
        self.created = created.unwrap_or(self.created);
        self.write_head();
        self.answer(0, out);
    }

    fn write_head(&mut self) {
        let mut json = Writer::with_capacity(160);
        json.begin_object().text("id", &self.id).text("object", "chat.completion.chunk");
        json.key("created").number(self.created).text("model", &self.model);
        json.key("system_fingerprint").null().key("choices").begin_array();
        self.head = b"data: ".to_vec();
        self.head.extend_from_slice(&json.finish());
    }

    /// A choice; its first chunk names the role.
    fn answer(&mut self, choice: u32, out: &mut Vec<u8>) -> &mut Answer {
        if !self.choices.contains_key(&choice) {
            self.delta(choice, out, |json| {
                json.text("role", "assistant").text("content", "").key("refusal").null();
            });
        }
        self.choices.entry(choice).or_default()
    }

    fn sealed(&mut self, choice: u32, seal: &Seal<'_>, out: &mut Vec<u8>) {
        let answer = self.answer(choice, out);
        let text = std::mem::take(&mut answer.thought);
        let mut index = answer.details;
        self.delta(choice, out, |json| {
            json.key("reasoning_details").begin_array();
            thinking::write_detail(json, &mut index, &text, Some(seal));
            json.end_array();
        });
        self.answer(choice, out).details = index;
    }

    fn cite(&mut self, choice: u32, citation: &Citation<'_>, out: &mut Vec<u8>) {
        let answer = self.answer(choice, out);
        let (block, end, index) = (answer.block, answer.text, answer.citations);
        answer.citations += 1;
        let range = citation.range.map_or((block, end), |(from, to)| (block + from, block + to));
        self.delta(choice, out, |json| {
            json.key("annotations").begin_array();
            write_annotation(json, citation, range, Some(index));
            json.end_array();
        });
    }

    fn call(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match event {
            Event::CallStart { choice, call, id, name, custom, .. } => {
                let answer = self.answer(*choice, out);
                let index = answer.calls;
                answer.calls += 1;
                self.calls.insert(*call, Call { choice: *choice, index, custom: *custom, empty: true });
                let (kind, text) = if *custom { ("custom", "input") } else { ("function", "arguments") };
                self.delta(*choice, out, |json| {
                    json.key("tool_calls").begin_array().begin_object().key("index").number(index);
                    json.text("id", id).text("type", kind).key(kind).begin_object();
                    json.text("name", name).text(text, "").end_object().end_object().end_array();
                });
            }
            Event::CallArguments { call, text } if !text.is_empty() => self.arguments(*call, text, out),
            // A call without arguments has an empty object of them.
            Event::CallEnd { call }
                if self.calls.get(call).is_some_and(|call| call.empty && !call.custom) =>
            {
                self.arguments(*call, "{}", out);
            }
            _ => {}
        }
    }

    fn arguments(&mut self, call: u32, text: &str, out: &mut Vec<u8>) {
        let Some(call) = self.calls.get_mut(&call) else { return };
        call.empty = false;
        let (choice, index, custom) = (call.choice, call.index, call.custom);
        let (kind, key) = if custom { ("custom", "input") } else { ("function", "arguments") };
        self.delta(choice, out, |json| {
            json.key("tool_calls").begin_array().begin_object().key("index").number(index);
            json.key(kind).begin_object().text(key, text).end_object().end_object().end_array();
        });
    }

    fn finish(&mut self, choice: u32, reason: Finish, out: &mut Vec<u8>) {
        let refused = self.answer(choice, out).refused;
        self.chunk(choice, out, Some(finish::word(reason, refused)), None, |_| {});
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.over = true;
        if let Some(usage) = self.usage.filter(|_| self.include_usage) {
            let mut json = Writer::new();
            write_usage(&mut json, &usage);
            out.extend_from_slice(&self.head);
            out.extend_from_slice(b"],\"usage\":");
            out.extend_from_slice(&json.finish());
            out.extend_from_slice(b"}\n\n");
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn delta(&self, choice: u32, out: &mut Vec<u8>, members: impl FnOnce(&mut Writer)) {
        self.chunk(choice, out, None, None, members);
    }

    fn chunk(
        &self,
        choice: u32,
        out: &mut Vec<u8>,
        finish: Option<&str>,
        logprobs: Option<&str>,
        delta: impl FnOnce(&mut Writer),
    ) {
        let mut json = Writer::with_capacity(128);
        json.begin_object().key("index").number(u64::from(choice)).key("delta").begin_object();
        delta(&mut json);
        json.end_object().key("logprobs").raw(logprobs.unwrap_or("null"));
        json.text_or_null("finish_reason", finish).end_object();
        out.extend_from_slice(&self.head);
        out.extend_from_slice(&json.finish());
        out.extend_from_slice(if self.include_usage { b"],\"usage\":null}\n\n" } else { b"]}\n\n" });
    }
}

/// The provider's id of a reply, whatever it looks like; one of ours if it gave none.
pub(super) fn id_of<'a>(id: &'a str, request_id: &str) -> Cow<'a, str> {
    if id.is_empty() { Cow::Owned(format!("chatcmpl-{request_id}")) } else { Cow::Borrowed(id) }
}
