//! A provider's stream.

use super::reply::{call_id, created, failure, finish, logprobs_of};
use super::usage;
use super::wire::{citation, filled, kind, list, raw, text, thinking};
use crate::fault::{error_in, upstream_error};
use crate::json::{Kind, Rules, Tape, Value};
use crate::neutral::Event;
use crate::sse;
use crate::usage::{ServiceTier, Usage};
use std::borrow::Cow;
use std::collections::BTreeMap;

type Sink<'s> = dyn FnMut(Event<'_>) + 's;

/// Reads a stream event by event. Whatever comes twice, in pieces and whole, is told once.
#[derive(Default)]
pub struct Decoder {
    started: bool,
    ended: bool,
    refused: bool,
    /// How many calls have begun.
    calls: u32,
    /// By `output_index`.
    items: BTreeMap<u64, Item>,
    /// The block of text or thinking that the last piece belonged to: item, part, and whether it is thinking.
    block: Option<(u64, u64, bool)>,
}

/// What has been told of an item.
#[derive(Default)]
struct Item {
    /// The number of the call that it is.
    call: Option<u32>,
    /// Bytes of a call's arguments.
    arguments: usize,
    /// By part: bytes of its text, and how many annotations.
    parts: BTreeMap<u64, (usize, usize)>,
    /// Whether any thinking came.
    thought: bool,
    done: bool,
}

impl Decoder {
    /// Before the first event.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads one event. Unknown events and what is no JSON object are skipped.
    pub fn feed(&mut self, event: &sse::Event<'_>, sink: &mut Sink<'_>) {
        if self.ended {
            return;
        }
        let Ok(tape) = Tape::parse(event.data, Rules::Lenient) else { return };
        let root = tape.root(event.data);
        if root.kind() == Kind::Object {
            let kind = kind(root);
            let kind = if kind.is_empty() { Cow::Borrowed(event.name) } else { kind };
            self.read(kind.strip_prefix("response.").unwrap_or(&kind), root, event.data, sink);
        }
    }

    /// A clean end of the body. Only the stream's own last event ends an answer, so there is nothing to add.
    pub fn end(&mut self, _sink: &mut Sink<'_>) {}

    fn read(&mut self, kind: &str, root: Value<'_>, data: &[u8], sink: &mut Sink<'_>) {
        match kind {
            "created" | "in_progress" | "queued" => self.start(root, sink),
            "output_item.added" => self.added(root, sink),
            "output_text.delta" | "refusal.delta" => self.text(root, "delta", false, sink),
            "output_text.done" => self.text(root, "text", true, sink),
            "refusal.done" => self.text(root, "refusal", true, sink),
            "output_text.annotation.added" => self.annotation(root, sink),
            "reasoning_summary_text.delta" => self.thinking(root, "summary_index", sink),
            "reasoning_text.delta" => self.thinking(root, "content_index", sink),
            "function_call_arguments.delta" | "custom_tool_call_input.delta" => {
                self.arguments(root, "delta", false, sink)
            }
            "function_call_arguments.done" => self.arguments(root, "arguments", true, sink),
            "custom_tool_call_input.done" => self.arguments(root, "input", true, sink),
            "output_item.done" => {
                if let Some(item) = root.get("item") {
                    self.done(index(root), item, sink);
                }
            }
            "completed" | "incomplete" | "failed" | "cancelled" => self.finish(root, sink),
            "error" => {
                self.ended = true;
                sink(Event::Error(error_in(root).unwrap_or_else(|| upstream_error(500, data))));
            }
            _ => {}
        }
    }

    fn start(&mut self, root: Value<'_>, sink: &mut Sink<'_>) {
        if !std::mem::replace(&mut self.started, true) {
            let response = root.get("response").unwrap_or(root);
            sink(Event::Start {
                id: text(response, "id").unwrap_or_default(),
                model: text(response, "model").unwrap_or_default(),
                created: created(response),
            });
        }
    }

    fn item(&mut self, index: u64) -> &mut Item {
        self.items.entry(index).or_default()
    }

    fn added(&mut self, root: Value<'_>, sink: &mut Sink<'_>) {
        self.start_unknown(sink);
        let Some(item) = root.get("item") else { return };
        let index = index(root);
        self.item(index);
        self.call(index, item, sink);
    }

    /// A provider that left out the first event: what follows still has a beginning.
    fn start_unknown(&mut self, sink: &mut Sink<'_>) {
        if !std::mem::replace(&mut self.started, true) {
            sink(Event::Start { id: Cow::Borrowed(""), model: Cow::Borrowed(""), created: None });
        }
    }

    /// Begins the call that an item is, once; its number.
    fn call(&mut self, index: u64, item: Value<'_>, sink: &mut Sink<'_>) -> Option<u32> {
        let kind = kind(item);
        if !matches!(kind.as_ref(), "function_call" | "custom_tool_call") {
            return None;
        }
        if let Some(call) = self.item(index).call {
            return Some(call);
        }
        let call = self.calls;
        self.calls += 1;
        self.item(index).call = Some(call);
        sink(Event::CallStart {
            choice: 0,
            call,
            id: call_id(item),
            name: text(item, "name").unwrap_or_default(),
            custom: kind == "custom_tool_call",
            seal: None,
        });
        Some(call)
    }

    /// More of a call's arguments, or all of them.
    fn arguments(&mut self, root: Value<'_>, key: &str, whole: bool, sink: &mut Sink<'_>) {
        let Some(given) = text(root, key) else { return };
        self.tell_arguments(index(root), &given, whole, sink);
    }

    fn tell_arguments(&mut self, index: u64, given: &str, whole: bool, sink: &mut Sink<'_>) {
        let item = self.item(index);
        let Some(call) = item.call else { return };
        if let Some(text) = untold(given, whole, &mut item.arguments) {
            sink(Event::CallArguments { call, text: Cow::Borrowed(text) });
        }
    }

    /// More text of a message, or all of one part.
    fn text(&mut self, root: Value<'_>, key: &str, whole: bool, sink: &mut Sink<'_>) {
        let part = part_index(root, "content_index");
        let refusal = kind(root).contains("refusal");
        let given = text(root, key).unwrap_or_default();
        self.tell_text((index(root), part), &given, (whole, refusal), sink);
        let tokens: Vec<String> =
            list(root, "logprobs").filter(|_| !whole).map(|token| raw(token).into_owned()).collect();
        if !tokens.is_empty() {
            sink(Event::Logprobs { choice: 0, json: logprobs_of(&tokens).into() });
        }
    }

    fn tell_text(
        &mut self,
        (index, part): (u64, u64),
        given: &str,
        (whole, refusal): (bool, bool),
        sink: &mut Sink<'_>,
    ) {
        let told = &mut self.item(index).parts.entry(part).or_default().0;
        let Some(text) = untold(given, whole, told) else { return };
        self.enter((index, part, false), sink);
        let text = Cow::Borrowed(text);
        if refusal {
            self.refused = true;
            sink(Event::Refusal { choice: 0, text });
        } else {
            sink(Event::Text { choice: 0, text });
        }
    }

    /// Tells where a new block of text or thinking begins. Parts of one item's thinking are paragraphs of one block.
    fn enter(&mut self, block: (u64, u64, bool), sink: &mut Sink<'_>) {
        self.start_unknown(sink);
        match self.block.replace(block) {
            Some(last) if last == block => {}
            Some((item, _, true)) if block.2 && item == block.0 => {
                sink(Event::Thinking { choice: 0, text: Cow::Borrowed("\n\n") });
            }
            Some(_) => sink(Event::Break { choice: 0 }),
            None => {}
        }
    }

    fn annotation(&mut self, root: Value<'_>, sink: &mut Sink<'_>) {
        let Some(annotation) = root.get("annotation") else { return };
        let part = part_index(root, "content_index");
        self.item(index(root)).parts.entry(part).or_default().1 += 1;
        sink(Event::Citation { choice: 0, citation: citation(annotation) });
    }

    fn thinking(&mut self, root: Value<'_>, part: &str, sink: &mut Sink<'_>) {
        let Some(text) = filled(root, "delta") else { return };
        self.item(index(root)).thought = true;
        self.enter((index(root), part_index(root, part), true), sink);
        sink(Event::Thinking { choice: 0, text });
    }

    /// A whole item: what of it has not been told yet.
    fn done(&mut self, index: u64, item: Value<'_>, sink: &mut Sink<'_>) {
        self.start_unknown(sink);
        if std::mem::replace(&mut self.item(index).done, true) {
            return;
        }
        match kind(item).as_ref() {
            "message" => self.done_message(index, item, sink),
            "reasoning" => self.done_thinking(index, item, sink),
            _ => {
                let Some(call) = self.call(index, item, sink) else {
                    sink(Event::Other { choice: 0, kind: kind(item), json: raw(item) });
                    return;
                };
                let whole = text(item, "arguments").or_else(|| text(item, "input")).unwrap_or_default();
                self.tell_arguments(index, &whole, true, sink);
                sink(Event::CallEnd { call });
            }
        }
    }

    fn done_message(&mut self, index: u64, item: Value<'_>, sink: &mut Sink<'_>) {
        for (part, found) in (0..).zip(list(item, "content")) {
            let refusal = kind(found) == "refusal";
            let new = !self.item(index).parts.contains_key(&part);
            let whole = text(found, if refusal { "refusal" } else { "text" }).unwrap_or_default();
            self.tell_text((index, part), &whole, (true, refusal), sink);
            let told = self.item(index).parts.get(&part).map_or(0, |(_, annotations)| *annotations);
            for annotation in list(found, "annotations").skip(told) {
                sink(Event::Citation { choice: 0, citation: citation(annotation) });
            }
            let tokens: Vec<String> =
                list(found, "logprobs").filter(|_| new).map(|token| raw(token).into_owned()).collect();
            if !tokens.is_empty() {
                sink(Event::Logprobs { choice: 0, json: logprobs_of(&tokens).into() });
            }
        }
    }

    fn done_thinking(&mut self, index: u64, item: Value<'_>, sink: &mut Sink<'_>) {
        let Some(whole) = thinking(item) else { return };
        let thought = self.item(index).thought;
        // A proof alone is a block of its own: it must not end another's.
        if !thought && (!whole.text.is_empty() || whole.seal.is_some()) {
            self.enter((index, 0, true), sink);
        }
        if !thought && !whole.text.is_empty() {
            sink(Event::Thinking { choice: 0, text: whole.text });
        }
        if let Some(seal) = whole.seal {
            sink(Event::Sealed { choice: 0, seal });
        }
    }

    /// The last event. Some providers send all of the answer in it.
    fn finish(&mut self, root: Value<'_>, sink: &mut Sink<'_>) {
        self.start(root, sink);
        self.ended = true;
        let response = root.get("response").unwrap_or(root);
        if let Some(usage) = response.get("usage").and_then(usage::read) {
            let usage = Usage { tier: ServiceTier::of(response), ..usage };
            sink(Event::Usage(usage));
        }
        let failed = text(root, "type").is_some_and(|kind| kind.ends_with("failed"));
        if let Some(error) = failure(response).or_else(|| failed.then(|| upstream_error(500, b""))) {
            sink(Event::Error(error));
            return;
        }
        if self.items.is_empty() {
            for (index, item) in (0..).zip(list(response, "output")) {
                self.done(index, item, sink);
            }
        }
        for call in self.items.values().filter(|item| !item.done).filter_map(|item| item.call) {
            sink(Event::CallEnd { call });
        }
        let reason = finish(response, self.calls > 0, self.refused);
        sink(Event::Finish { choice: 0, reason, stop_sequence: None });
        sink(Event::End);
    }
}

fn index(root: Value<'_>) -> u64 {
    part_index(root, "output_index")
}

fn part_index(root: Value<'_>, key: &str) -> u64 {
    root.get(key).and_then(|index| index.as_u64()).unwrap_or(0)
}

/// What of a text is new, if anything: a piece always is; of the whole what goes beyond what was told.
fn untold<'a>(given: &'a str, whole: bool, told: &mut usize) -> Option<&'a str> {
    let new = if whole { given.get(*told..)? } else { given };
    *told += new.len();
    (!new.is_empty()).then_some(new)
}
