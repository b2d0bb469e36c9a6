//! A streamed reply for callers who speak Messages.
//!
//! Their SDKs want one block at a time, numbered in order. Providers that send several calls at once are made to wait:
//! while a call is incomplete, whatever does not belong to it is kept back.

use super::fault::error_body;
use super::frames::{frame, text_block, thinking_block};
use super::message::{self, Proof, proof};
use super::pieces::{Piece, piece};
use super::{reply, stop, usage};
use crate::fault::Said;
use crate::json::Writer;
use crate::neutral::{Ask, Event, Finish, Seal, arguments};
use crate::usage::Usage;

/// Writes a stream, event by event.
pub struct Encoder {
    /// For replies that have none of their own.
    id: String,
    model: String,
    progress: Progress,
    usage: Option<Usage>,
    /// Blocks that began.
    blocks: u64,
    open: Open,
    /// What came while a call was incomplete, in order.
    later: Vec<Piece<'static>>,
    called: bool,
    refusal: String,
    finish: Option<Finish>,
    stop_sequence: Option<String>,
}

#[derive(PartialEq, Eq)]
enum Progress {
    /// `message_start` is not written yet: it tells what was used so far, which often comes right behind the start.
    Waiting,
    Running,
    Over,
}

/// The block that is being written.
enum Open {
    Nothing,
    Text,
    Refusal,
    /// With the text so far, which another provider's proof is kept with.
    Thinking(String),
    /// With the arguments so far.
    Call(u32, String),
}

impl Encoder {
    /// An encoder for one stream.
    #[must_use]
    pub fn new(ask: &Ask<'_>) -> Self {
        let (id, model) = message::named("", "", ask);
        Self {
            id,
            model,
            progress: Progress::Waiting,
            usage: None,
            blocks: 0,
            open: Open::Nothing,
            later: Vec::new(),
            called: false,
            refusal: String::new(),
            finish: None,
            stop_sequence: None,
        }
    }

    /// Writes what an event makes known. [`Event::Error`] is not written: see [`Encoder::fail`].
    pub fn push(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        if self.progress == Progress::Over {
            return;
        }
        match event {
            Event::Start { id, model, .. } => self.name(id, model),
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Ping => frame("ping", |_| {}, out),
            Event::Finish { choice: 0, reason, stop_sequence } => {
                self.finish = Some(*reason);
                self.stop_sequence = stop_sequence.as_ref().map(ToString::to_string);
            }
            Event::End => self.end(out),
            Event::Finish { .. } | Event::Logprobs { .. } | Event::Error(_) => {}
            event => {
                if let Some(piece) = piece(event) {
                    self.begin(out);
                    self.take(piece, out);
                }
            }
        }
    }

    /// Writes an error, which ends the stream.
    pub fn fail(&mut self, error: &Said<'_>, out: &mut Vec<u8>) {
        if self.progress == Progress::Over {
            return;
        }
        self.progress = Progress::Over;
        out.extend_from_slice(b"event: error\ndata: ");
        out.extend_from_slice(&error_body(error));
        out.extend_from_slice(b"\n\n");
    }

    fn name(&mut self, id: &str, model: &str) {
        if !id.is_empty() {
            self.id = message::own_id(id);
        }
        if !model.is_empty() {
            model.clone_into(&mut self.model);
        }
    }

    /// `message_start`, once.
    fn begin(&mut self, out: &mut Vec<u8>) {
        if self.progress != Progress::Waiting {
            return;
        }
        self.progress = Progress::Running;
        let write = |json: &mut Writer| {
            json.key("message").begin_object();
            message::head(&self.id, &self.model, json);
            json.key("content").begin_array().end_array();
            json.key("stop_reason").null().key("stop_sequence").null().key("stop_details").null();
            json.key("usage");
            usage::write(self.usage.as_ref(), None, json);
            json.end_object();
        };
        frame("message_start", write, out);
    }

    /// Writes a piece, or keeps it back while a call is incomplete that it does not belong to.
    fn take(&mut self, piece: Piece<'_>, out: &mut Vec<u8>) {
        if let Open::Call(open, arguments) = &mut self.open {
            match piece {
                Piece::Arguments(call, text) if call == *open => {
                    arguments.push_str(&text);
                    let whole = !self.later.is_empty() && arguments::is_object(arguments);
                    self.input(&text, out);
                    if whole {
                        self.close(out);
                        self.resume(out);
                    }
                    return;
                }
                Piece::CallEnd(call) if call == *open => {
                    self.close(out);
                    self.resume(out);
                    return;
                }
                Piece::Break if self.later.is_empty() => return,
                piece if !arguments::is_object(arguments) => {
                    self.later.push(piece.kept());
                    return;
                }
                piece => {
                    self.close(out);
                    self.write(piece, out);
                    return;
                }
            }
        }
        self.write(piece, out);
    }

    /// Takes what was kept back.
    fn resume(&mut self, out: &mut Vec<u8>) {
        for piece in std::mem::take(&mut self.later) {
            self.take(piece, out);
        }
    }

    /// Writes a piece while no call is open.
    fn write(&mut self, piece: Piece<'_>, out: &mut Vec<u8>) {
        match piece {
            Piece::Text(text) => {
                if !matches!(self.open, Open::Text) {
                    self.open(Open::Text, text_block, out);
                }
                self.delta("text_delta", "text", &text, out);
            }
            Piece::Refusal(text) => {
                if !matches!(self.open, Open::Refusal) {
                    self.open(Open::Refusal, text_block, out);
                }
                self.refusal.push_str(&text);
                self.delta("text_delta", "text", &text, out);
            }
            Piece::Thinking(text) => {
                if !matches!(self.open, Open::Thinking(_)) {
                    self.open(Open::Thinking(String::new()), thinking_block, out);
                }
                self.delta("thinking_delta", "thinking", &text, out);
                if let Open::Thinking(so_far) = &mut self.open {
                    so_far.push_str(&text);
                }
            }
            Piece::Sealed(seal) => self.seal(&seal, out),
            Piece::Citation(json) => {
                if matches!(self.open, Open::Text) {
                    self.block_delta(
                        |delta| delta.text("type", "citations_delta").key("citation").raw(&json),
                        out,
                    );
                }
            }
            Piece::Own(block) => {
                // A frame is one line; inside strings there are no line breaks.
                let block = block.replace(['\n', '\r'], " ");
                let write = |json: &mut Writer| {
                    json.raw(&block);
                };
                self.open(Open::Text, write, out);
                self.close(out);
            }
            Piece::Break => self.close(out),
            Piece::CallStart { call, id, name } => {
                self.called = true;
                let head = |json: &mut Writer| {
                    reply::call_head(&id, &name, json);
                    json.key("input").begin_object().end_object().end_object();
                };
                self.open(Open::Call(call, String::new()), head, out);
            }
            // Of a call that is closed: nothing can be added to it.
            Piece::Arguments(..) | Piece::CallEnd(_) => {}
        }
    }

    fn seal(&mut self, seal: &Seal<'_>, out: &mut Vec<u8>) {
        let text = match &self.open {
            Open::Thinking(text) => text.clone(),
            _ => String::new(),
        };
        match proof(seal, &text) {
            Proof::Signature(signature) => {
                if !matches!(self.open, Open::Thinking(_)) {
                    self.open(Open::Thinking(String::new()), thinking_block, out);
                }
                self.delta("signature_delta", "signature", &signature, out);
            }
            Proof::Redacted(data) => {
                let block = |json: &mut Writer| {
                    json.begin_object().text("type", "redacted_thinking").text("data", &data).end_object();
                };
                self.open(Open::Thinking(String::new()), block, out);
            }
        }
        self.close(out);
    }

    /// Closes the open block and begins another.
    fn open(&mut self, open: Open, block: impl FnOnce(&mut Writer), out: &mut Vec<u8>) {
        self.close(out);
        let index = self.blocks;
        self.blocks += 1;
        self.open = open;
        let write = |json: &mut Writer| {
            json.key("index").number(index).key("content_block");
            block(json);
        };
        frame("content_block_start", write, out);
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Nothing => return,
            // A call without arguments has one empty piece of them.
            Open::Call(_, arguments) if arguments.is_empty() => self.input("", out),
            Open::Call(_, arguments) => {
                // What was cut short is closed where it broke off, if that takes no more than adding to it.
                if let Some(missing) = arguments::as_object(&arguments).strip_prefix(arguments.trim())
                    && !missing.is_empty()
                {
                    self.input(missing, out);
                }
            }
            Open::Text | Open::Refusal | Open::Thinking(_) => {}
        }
        let index = self.blocks.saturating_sub(1);
        frame(
            "content_block_stop",
            |json| {
                json.key("index").number(index);
            },
            out,
        );
    }

    fn input(&self, text: &str, out: &mut Vec<u8>) {
        self.delta("input_json_delta", "partial_json", text, out);
    }

    fn delta(&self, kind: &str, key: &str, text: &str, out: &mut Vec<u8>) {
        self.block_delta(|delta| delta.text("type", kind).text(key, text), out);
    }

    fn block_delta(&self, fill: impl FnOnce(&mut Writer) -> &mut Writer, out: &mut Vec<u8>) {
        let index = self.blocks.saturating_sub(1);
        let write = |json: &mut Writer| {
            json.key("index").number(index).key("delta").begin_object();
            fill(json).end_object();
        };
        frame("content_block_delta", write, out);
    }

    /// What was kept back, `message_delta` and `message_stop`.
    fn end(&mut self, out: &mut Vec<u8>) {
        self.begin(out);
        self.close(out);
        while !self.later.is_empty() {
            self.resume(out);
            self.close(out);
        }
        self.progress = Progress::Over;
        let refusal = Some(self.refusal.as_str()).filter(|text| !text.is_empty());
        let reason = stop::reason(self.finish, self.called, refusal.is_some());
        let sequence = self.stop_sequence.as_deref().filter(|_| reason == "stop_sequence");
        let write = |json: &mut Writer| {
            json.key("delta").begin_object().key("container").null();
            message::stop(reason, sequence, message::why(self.finish, refusal), json);
            json.end_object().key("usage");
            usage::write_delta(self.usage.as_ref(), json);
        };
        frame("message_delta", write, out);
        frame("message_stop", |_| {}, out);
    }
}
