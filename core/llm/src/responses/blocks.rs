//! Output items that are being streamed: each writes the events of its own life.

use super::items::{self, CallItem, item_id};
use super::part::{MessagePart, array, tokens};
use super::write::call_status;
use crate::fault::Said;
use crate::json::Writer;
use crate::neutral::arguments::as_object;
use crate::neutral::{Citation, Raw, Seal};

/// Where the events go.
pub(super) struct Frames<'a> {
    /// Of the next event.
    pub(super) sequence: &'a mut u64,
    pub(super) out: &'a mut Vec<u8>,
}

impl Frames<'_> {
    /// Writes one event: its name is its type, and every event has its number.
    pub(super) fn event(&mut self, kind: &str, fill: impl FnOnce(&mut Writer)) {
        let mut json = Writer::with_capacity(256);
        json.begin_object().text("type", kind).key("sequence_number").number(*self.sequence);
        fill(&mut json);
        json.end_object();
        *self.sequence += 1;
        self.out.extend_from_slice(b"event: ");
        self.out.extend_from_slice(kind.as_bytes());
        self.out.extend_from_slice(b"\ndata: ");
        self.out.extend_from_slice(&json.finish());
        self.out.extend_from_slice(b"\n\n");
    }
}

impl Frames<'_> {
    /// The event that SDKs raise.
    pub(super) fn error(&mut self, said: &Said<'_>) {
        self.event("error", |json| {
            // The wire has the error nested, the published schema has it flat; clients exist of either.
            for nested in [true, false] {
                if nested {
                    json.key("error").begin_object().text("type", said.kind);
                }
                json.text_or_null("code", said.code).text("message", said.message);
                json.text_or_null("param", said.param);
                if nested {
                    json.end_object();
                }
            }
        });
    }
}

/// Which item of the response it is.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) index: usize,
    id: String,
}

impl Place {
    pub(super) fn new(prefix: &str, response: &str, index: usize) -> Self {
        Self { index, id: item_id(prefix, response, index) }
    }

    /// `output_item.added` or `.done`.
    fn item(&self, frames: &mut Frames<'_>, kind: &str, item: &str) {
        frames.event(kind, |json| {
            json.key("output_index").number(self.index as u64).key("item").raw(item);
        });
    }

    /// An event about something in the item.
    fn event(&self, frames: &mut Frames<'_>, kind: &str, fill: impl FnOnce(&mut Writer)) {
        frames.event(kind, |json| {
            json.text("item_id", &self.id).key("output_index").number(self.index as u64);
            fill(json);
        });
    }
}

const ADDED: &str = "response.output_item.added";
const DONE: &str = "response.output_item.done";

/// A message.
#[derive(Clone)]
pub(super) struct MessageBlock {
    pub(super) place: Place,
    /// Finished parts as JSON.
    parts: Vec<String>,
    open: Option<MessagePart>,
}

impl MessageBlock {
    pub(super) fn open(place: Place, frames: &mut Frames<'_>) -> Self {
        place.item(frames, ADDED, &items::message(&place.id, "in_progress", &[]));
        Self { place, parts: Vec::new(), open: None }
    }

    pub(super) fn text(&mut self, frames: &mut Frames<'_>, text: &str, refusal: bool) {
        if self.open.as_ref().is_some_and(|part| part.refusal != refusal) {
            self.close_part(frames);
        }
        let at = self.parts.len() as u64;
        let place = &self.place;
        let part = self.open.get_or_insert_with(|| {
            let part = MessagePart { refusal, ..MessagePart::default() };
            place.event(frames, "response.content_part.added", |json| {
                json.key("content_index").number(at).key("part").raw(&part.json());
            });
            part
        });
        part.text.push_str(text);
        let kind = if refusal { "response.refusal.delta" } else { "response.output_text.delta" };
        place.event(frames, kind, |json| {
            json.key("content_index").number(at).text("delta", text);
            if !refusal {
                array(json, "logprobs", &[]);
            }
        });
    }

    /// How likely the tokens of the text so far were. They come in a delta of their own, since the text has gone.
    pub(super) fn logprobs(&mut self, frames: &mut Frames<'_>, logprobs: &Raw<'_>) {
        let at = self.parts.len() as u64;
        let Some(part) = self.open.as_mut().filter(|part| !part.refusal) else { return };
        let tokens = tokens(logprobs);
        if tokens.is_empty() {
            return;
        }
        self.place.event(frames, "response.output_text.delta", |json| {
            json.key("content_index").number(at).text("delta", "");
            array(json, "logprobs", &tokens);
        });
        part.logprobs.extend(tokens);
    }

    pub(super) fn cite(&mut self, frames: &mut Frames<'_>, citation: &Citation<'_>) {
        let at = self.parts.len() as u64;
        let Some(part) = self.open.as_mut().filter(|part| !part.refusal) else { return };
        let index = part.annotations.len() as u64;
        let Some(annotation) = part.cite(citation) else { return };
        self.place.event(frames, "response.output_text.annotation.added", |json| {
            json.key("content_index").number(at).key("annotation_index").number(index);
            json.key("annotation").raw(annotation);
        });
    }

    pub(super) fn close_part(&mut self, frames: &mut Frames<'_>) {
        let Some(part) = self.open.take() else { return };
        let at = self.parts.len() as u64;
        let (kind, key) = if part.refusal {
            ("response.refusal.done", "refusal")
        } else {
            ("response.output_text.done", "text")
        };
        self.place.event(frames, kind, |json| {
            json.key("content_index").number(at).text(key, &part.text);
            if !part.refusal {
                array(json, "logprobs", &part.logprobs);
            }
        });
        let done = part.json();
        self.place.event(frames, "response.content_part.done", |json| {
            json.key("content_index").number(at).key("part").raw(&done);
        });
        self.parts.push(done);
    }

    /// The item as the final response repeats it.
    pub(super) fn close(mut self, frames: &mut Frames<'_>, status: &str) -> String {
        self.close_part(frames);
        let item = items::message(&self.place.id, status, &self.parts);
        self.place.item(frames, DONE, &item);
        item
    }
}

/// Thinking.
#[derive(Clone)]
pub(super) struct ReasoningBlock {
    pub(super) place: Place,
    text: String,
}

impl ReasoningBlock {
    pub(super) fn open(place: Place, frames: &mut Frames<'_>) -> Self {
        place.item(frames, ADDED, &items::reasoning(&place.id, "", None));
        Self { place, text: String::new() }
    }

    pub(super) fn text(&mut self, frames: &mut Frames<'_>, text: &str) {
        if self.text.is_empty() {
            self.place.event(frames, "response.reasoning_summary_part.added", |json| {
                json.key("summary_index").number(0).key("part");
                items::summary_text(json, "");
            });
        }
        self.text.push_str(text);
        self.place.event(frames, "response.reasoning_summary_text.delta", |json| {
            json.key("summary_index").number(0).text("delta", text);
        });
    }

    /// The item as the final response repeats it.
    pub(super) fn close(self, frames: &mut Frames<'_>, seal: Option<&Seal<'_>>) -> String {
        if !self.text.is_empty() {
            self.place.event(frames, "response.reasoning_summary_text.done", |json| {
                json.key("summary_index").number(0).text("text", &self.text);
            });
            self.place.event(frames, "response.reasoning_summary_part.done", |json| {
                json.key("summary_index").number(0).key("part");
                items::summary_text(json, &self.text);
            });
        }
        let item = items::reasoning(&self.place.id, &self.text, seal);
        self.place.item(frames, DONE, &item);
        item
    }
}

/// A call.
#[derive(Clone)]
pub(super) struct CallBlock {
    pub(super) place: Place,
    call_id: String,
    name: String,
    space: Option<String>,
    custom: bool,
    arguments: String,
}

impl CallBlock {
    pub(super) fn open(
        place: Place,
        frames: &mut Frames<'_>,
        (call_id, (name, space)): (&str, (&str, Option<&str>)),
        custom: bool,
    ) -> Self {
        let (call_id, name) = (call_id.to_owned(), name.to_owned());
        let space = space.map(str::to_owned);
        let block = Self { place, call_id, name, space, custom, arguments: String::new() };
        block.place.item(frames, ADDED, &block.item().json("in_progress", ""));
        block
    }

    pub(super) fn arguments(&mut self, frames: &mut Frames<'_>, text: &str) {
        self.arguments.push_str(text);
        let kind = if self.custom {
            "response.custom_tool_call_input.delta"
        } else {
            "response.function_call_arguments.delta"
        };
        self.place.event(frames, kind, |json| {
            json.text("delta", text);
        });
    }

    /// The item as the final response repeats it. A function's arguments end as an object: what is missing comes as a
    /// last delta where that can mend them.
    pub(super) fn close(mut self, frames: &mut Frames<'_>) -> String {
        let mut status = "completed";
        if !self.custom {
            status = call_status(&self.arguments);
            let whole = as_object(&self.arguments).into_owned();
            let missing = whole.strip_prefix(self.arguments.as_str()).filter(|missing| !missing.is_empty());
            if let Some(missing) = missing {
                self.arguments(frames, missing);
            }
            self.arguments = whole;
        }
        let (kind, key) = if self.custom {
            ("response.custom_tool_call_input.done", "input")
        } else {
            ("response.function_call_arguments.done", "arguments")
        };
        self.place.event(frames, kind, |json| {
            json.text(key, &self.arguments);
            if !self.custom {
                json.text("name", &self.name);
            }
        });
        let item = self.item().json(status, &self.arguments);
        self.place.item(frames, DONE, &item);
        item
    }

    fn item(&self) -> CallItem<'_> {
        CallItem {
            id: &self.place.id,
            call_id: &self.call_id,
            name: &self.name,
            space: self.space.as_deref(),
            custom: self.custom,
        }
    }
}
