//! A streamed reply of a provider's.

use super::citation::{citation, citations};
use super::usage::Counters;
use super::{fault, kind, raw, reply, stop, text};
use crate::fault::{Hint, UpstreamError};
use crate::json::{Rules, Tape, Value, Writer};
use crate::neutral::arguments::as_object;
use crate::neutral::{By, Event, Finish, Seal};
use crate::sse;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Reads a stream, event by event.
#[derive(Default)]
pub struct Decoder {
    counters: Counters,
    /// Blocks that began and did not end, by index.
    blocks: BTreeMap<u64, Block>,
    started: bool,
    /// Whether a block came before, so that the next one begins a new piece.
    begun: bool,
    calls: u32,
    finished: bool,
    /// The last event or an error came: nothing counts after it.
    over: bool,
}

enum Block {
    Text,
    Thinking(String),
    Call(u32),
    /// A hosted tool's call or result.
    Foreign(Foreign),
    /// Nothing more is to be told of it.
    Told,
}

struct Foreign {
    kind: String,
    /// The block as it began.
    json: String,
    /// The member that comes later, and what came of it, as JSON.
    later: Option<(&'static str, String)>,
}

type Sink<'s> = &'s mut dyn FnMut(Event<'_>);

impl Decoder {
    /// A decoder for one stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads one event.
    pub fn feed(&mut self, event: &sse::Event<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        if self.over || event.data.trim_ascii().is_empty() || event.data.starts_with(b"[DONE]") {
            return;
        }
        match Tape::parse(event.data, Rules::Lenient) {
            Ok(tape) => self.read(event.name, tape.root(event.data), sink),
            Err(_) if event.name == "ping" => sink(Event::Ping),
            Err(_) => {
                self.over = true;
                sink(Event::Error(UpstreamError {
                    message: "The provider sent an event that is no JSON.".to_owned(),
                    kind: None,
                    code: None,
                    param: None,
                    hint: Hint::ServerError,
                }));
            }
        }
    }

    /// The end of the body. Only `message_stop` ends a reply: without it the stream was cut.
    pub fn end(&mut self, _sink: &mut dyn FnMut(Event<'_>)) {
        self.over = true;
    }

    fn read(&mut self, name: &str, root: Value<'_>, sink: Sink<'_>) {
        let kind = kind(root);
        match if kind.is_empty() { name } else { &*kind } {
            "message_start" => self.start(root, sink),
            "content_block_start" => self.block_start(root, sink),
            "content_block_delta" => self.delta(root, sink),
            "content_block_stop" => {
                let block = self.blocks.remove(&index(root));
                block.into_iter().for_each(|block| close(block, sink));
            }
            "message_delta" => self.message_delta(root, sink),
            "message_stop" => self.stop(sink),
            "ping" => sink(Event::Ping),
            "error" => {
                self.over = true;
                sink(Event::Error(fault::said(root)));
            }
            _ => {}
        }
    }

    fn start(&mut self, root: Value<'_>, sink: Sink<'_>) {
        let message = root.get("message");
        if !std::mem::replace(&mut self.started, true) {
            let said = |key| message.and_then(|message| text(message, key)).unwrap_or_default();
            sink(Event::Start { id: said("id"), model: said("model"), created: None });
        }
        self.count(message.and_then(|message| message.get("usage")), sink);
    }

    /// Tells what was used so far, so that a stream that is cut can be billed.
    fn count(&mut self, usage: Option<Value<'_>>, sink: Sink<'_>) {
        if let Some(usage) = usage.filter(|usage| !usage.is_null()) {
            self.counters.merge(usage);
            sink(Event::Usage(self.counters.usage()));
        }
    }

    fn block_start(&mut self, root: Value<'_>, sink: Sink<'_>) {
        let Some(block) = root.get("content_block") else { return };
        let kind = kind(block);
        let known = matches!(kind.as_ref(), "text" | "thinking" | "redacted_thinking" | "tool_use");
        if known && std::mem::replace(&mut self.begun, true) {
            sink(Event::Break { choice: 0 });
        }
        let begun = match kind.as_ref() {
            "text" => {
                say(text(block, "text"), sink);
                citations(block).for_each(|citation| sink(Event::Citation { choice: 0, citation }));
                Block::Text
            }
            "thinking" => {
                think(text(block, "thinking"), sink);
                Block::Thinking(text(block, "signature").unwrap_or_default().into_owned())
            }
            "redacted_thinking" => {
                let data = text(block, "data").unwrap_or_default();
                sink(Event::Sealed { choice: 0, seal: Seal { by: By::Anthropic, data, hidden: true } });
                Block::Told
            }
            "tool_use" => Block::Call(self.call(block, sink)),
            kind => {
                let (kind, json) = (kind.to_owned(), raw(block).into_owned());
                Block::Foreign(Foreign { kind, json, later: None })
            }
        };
        // Blocks have numbers of their own; one that is there again takes the place of the one before.
        self.blocks.insert(index(root), begun).into_iter().for_each(|block| close(block, sink));
    }

    fn call(&mut self, block: Value<'_>, sink: Sink<'_>) -> u32 {
        let call = self.calls;
        self.calls += 1;
        sink(Event::CallStart {
            choice: 0,
            call,
            id: text(block, "id").unwrap_or_default(),
            name: text(block, "name").unwrap_or_default(),
            custom: false,
            seal: None,
        });
        // Anthropic begins with `{}`; some who copied it have the whole input here.
        if let Some(input) = block.get("input").filter(|input| input.members_raw().next().is_some()) {
            sink(Event::CallArguments { call, text: raw(input) });
        }
        call
    }

    fn delta(&mut self, root: Value<'_>, sink: Sink<'_>) {
        let Some(delta) = root.get("delta") else { return };
        let block = self.blocks.get_mut(&index(root));
        match (kind(delta).as_ref(), block) {
            ("text_delta", Some(Block::Text) | None) => say(text(delta, "text"), sink),
            ("thinking_delta", Some(Block::Thinking(_)) | None) => think(text(delta, "thinking"), sink),
            ("signature_delta", Some(Block::Thinking(signature))) => {
                *signature = text(delta, "signature").unwrap_or_default().into_owned();
            }
            ("input_json_delta", Some(Block::Call(call))) => {
                if let Some(text) = text(delta, "partial_json").filter(|text| !text.is_empty()) {
                    sink(Event::CallArguments { call: *call, text });
                }
            }
            ("citations_delta", Some(Block::Text)) => {
                if let Some(found) = delta.get("citation") {
                    sink(Event::Citation { choice: 0, citation: citation(found) });
                }
            }
            (_, Some(Block::Foreign(foreign))) => foreign.delta(delta),
            _ => {}
        }
    }

    fn message_delta(&mut self, root: Value<'_>, sink: Sink<'_>) {
        let delta = root.get("delta");
        if let Some((delta, reason)) = delta.and_then(|delta| Some((delta, text(delta, "stop_reason")?))) {
            self.close_all(sink);
            if let Some(text) = reply::explanation(delta) {
                sink(Event::Break { choice: 0 });
                sink(Event::Refusal { choice: 0, text });
            }
            self.finish(stop::finish(&reason, self.calls > 0), text(delta, "stop_sequence"), sink);
        }
        self.count(root.get("usage"), sink);
    }

    fn stop(&mut self, sink: Sink<'_>) {
        self.close_all(sink);
        self.finish(stop::finish("", self.calls > 0), None, sink);
        self.over = true;
        sink(Event::End);
    }

    fn finish(&mut self, reason: Finish, stop_sequence: Option<Cow<'_, str>>, sink: Sink<'_>) {
        if !std::mem::replace(&mut self.finished, true) {
            sink(Event::Finish { choice: 0, reason, stop_sequence });
        }
    }

    fn close_all(&mut self, sink: Sink<'_>) {
        for block in std::mem::take(&mut self.blocks).into_values() {
            close(block, sink);
        }
    }
}

impl Foreign {
    fn delta(&mut self, delta: Value<'_>) {
        match kind(delta).as_ref() {
            "input_json_delta" => {
                let (_, input) = self.later.get_or_insert_with(|| ("input", String::new()));
                input.push_str(&text(delta, "partial_json").unwrap_or_default());
            }
            // A summary comes in one piece.
            "compaction_delta" => {
                self.later = delta.get("content").map(|content| ("content", raw(content).into_owned()));
            }
            // Nobody can put it together again: it is of no kind that is known.
            _ => self.kind.clear(),
        }
    }

    /// The block as a whole reply has it.
    fn whole(&self) -> String {
        let later = self.later.as_ref().filter(|(_, value)| !value.is_empty());
        let tape = Tape::parse(self.json.as_bytes(), Rules::Lenient);
        let (Some((member, value)), Ok(tape)) = (later, tape) else { return self.json.clone() };
        let mut json = Writer::with_capacity(self.json.len() + value.len());
        json.begin_object();
        for (key, value) in tape.root(self.json.as_bytes()).members().filter(|(key, _)| key != member) {
            json.key(&key).raw(&raw(value));
        }
        // An input may have been cut.
        let value = if *member == "input" { as_object(value) } else { value.into() };
        json.key(member).raw(&value).end_object();
        json.into_text()
    }
}

fn index(root: Value<'_>) -> u64 {
    root.get("index").and_then(|index| index.as_u64()).unwrap_or(0)
}

fn say(text: Option<Cow<'_, str>>, sink: Sink<'_>) {
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        sink(Event::Text { choice: 0, text });
    }
}

fn think(text: Option<Cow<'_, str>>, sink: Sink<'_>) {
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        sink(Event::Thinking { choice: 0, text });
    }
}

fn close(block: Block, sink: Sink<'_>) {
    match block {
        Block::Call(call) => sink(Event::CallEnd { call }),
        Block::Thinking(signature) if !signature.is_empty() => {
            let seal = Seal { by: By::Anthropic, data: signature.into(), hidden: false };
            sink(Event::Sealed { choice: 0, seal });
        }
        Block::Foreign(foreign) => {
            let json = foreign.whole();
            sink(Event::Other { choice: 0, kind: foreign.kind.into(), json: json.into() });
        }
        Block::Text | Block::Thinking(_) | Block::Told => {}
    }
}
