//! A streamed reply as the events that the caller's SDK demands.

use super::blocks::{CallBlock, Frames, MessageBlock, Place, ReasoningBlock};
use super::echo::{Echo, Head, State, Status};
use super::spaces::Spaces;
use crate::fault::Said;
use crate::neutral::{Ask, Event, Finish, Seal};
use crate::usage::Usage;
use std::collections::BTreeMap;

/// Writes the events of one reply. Items get their place in the output when they begin; calls may interleave, while text
/// and thinking end when something else begins. Of several answers only the first is written: this API knows one.
pub struct Encoder {
    echo: Echo,
    spaces: Spaces,
    head: Option<Head>,
    sequence: u64,
    /// Finished items as JSON; `None` while one is open.
    output: Vec<Option<String>>,
    open: Option<Open>,
    calls: BTreeMap<u32, CallBlock>,
    usage: Option<Usage>,
    finish: Option<Finish>,
    refused: bool,
    ended: bool,
}

/// The item that takes text or thinking.
enum Open {
    Message(MessageBlock),
    Reasoning(ReasoningBlock),
}

impl Encoder {
    /// Before the first event. Copies of the request what replies repeat.
    #[must_use]
    pub fn new(ask: &Ask<'_>) -> Self {
        Self {
            echo: Echo::of(ask),
            spaces: Spaces::of(ask.root),
            head: None,
            sequence: 0,
            output: Vec::new(),
            open: None,
            calls: BTreeMap::new(),
            usage: None,
            finish: None,
            refused: false,
            ended: false,
        }
    }

    /// Writes what an event means here. After the end nothing more is written.
    pub fn push(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        match event {
            Event::Start { id, model, created } => self.start(id, model, *created, out),
            Event::Ping => out.extend_from_slice(b": ping\n\n"),
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Finish { choice: 0, reason, .. } => {
                self.finish = Some(*reason);
                self.close(None, out);
            }
            Event::End => self.end(out),
            Event::Error(_) => {}
            piece => {
                self.start("", "", None, out);
                self.piece(piece, out);
            }
        }
    }

    /// Ends the stream with an error: the event that SDKs raise, and the failed response that the protocol demands.
    pub fn fail(&mut self, error: &Said<'_>, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        self.start("", "", None, out);
        self.ended = true;
        Frames { sequence: &mut self.sequence, out }.error(error);
        self.lifecycle("response.failed", Status::failed(error), out);
    }

    fn start(&mut self, id: &str, model: &str, created: Option<u64>, out: &mut Vec<u8>) {
        if self.head.is_some() {
            return;
        }
        self.head = Some(self.echo.head(id, model, created));
        for kind in ["response.created", "response.in_progress"] {
            self.lifecycle(kind, Status::InProgress, out);
        }
    }

    fn piece(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match event {
            Event::Text { choice: 0, text } if !text.is_empty() => self.text(text, false, out),
            Event::Refusal { choice: 0, text } if !text.is_empty() => {
                self.refused = true;
                self.text(text, true, out);
            }
            Event::Thinking { choice: 0, text } if !text.is_empty() => self.thinking(text, out),
            Event::Sealed { choice: 0, seal } => self.sealed(seal, out),
            Event::Citation { choice: 0, citation } => {
                if let (Some(Open::Message(message)), mut frames) = self.opened(out) {
                    message.cite(&mut frames, citation);
                }
            }
            Event::Logprobs { choice: 0, json } => {
                if let (Some(Open::Message(message)), mut frames) = self.opened(out) {
                    message.logprobs(&mut frames, json);
                }
            }
            Event::Break { choice: 0 } => match self.opened(out) {
                (Some(Open::Message(message)), mut frames) => message.close_part(&mut frames),
                _ => self.close(None, out),
            },
            Event::CallStart { choice: 0, call, id, name, custom, .. } => {
                self.close(None, out);
                let (place, _) = self.place(if *custom { "ctc" } else { "fc" }, out);
                let mut frames = Frames { sequence: &mut self.sequence, out };
                let block = CallBlock::open(place, &mut frames, (id, self.spaces.home(name)), *custom);
                self.calls.insert(*call, block);
            }
            Event::CallArguments { call, text } if !text.is_empty() => {
                let mut frames = Frames { sequence: &mut self.sequence, out };
                if let Some(block) = self.calls.get_mut(call) {
                    block.arguments(&mut frames, text);
                }
            }
            Event::CallEnd { call } => self.end_call(*call, out),
            _ => {}
        }
    }

    fn text(&mut self, text: &str, refusal: bool, out: &mut Vec<u8>) {
        if !matches!(self.open, Some(Open::Message(_))) {
            self.close(None, out);
            let (place, mut frames) = self.place("msg", out);
            self.open = Some(Open::Message(MessageBlock::open(place, &mut frames)));
        }
        if let (Some(Open::Message(message)), mut frames) = self.opened(out) {
            message.text(&mut frames, text, refusal);
        }
    }

    fn thinking(&mut self, text: &str, out: &mut Vec<u8>) {
        self.reason(out);
        if let (Some(Open::Reasoning(reasoning)), mut frames) = self.opened(out) {
            reasoning.text(&mut frames, text);
        }
    }

    fn sealed(&mut self, seal: &Seal<'_>, out: &mut Vec<u8>) {
        self.reason(out);
        self.close(Some(seal), out);
    }

    /// Opens an item for thinking if none is open.
    fn reason(&mut self, out: &mut Vec<u8>) {
        if !matches!(self.open, Some(Open::Reasoning(_))) {
            self.close(None, out);
            let (place, mut frames) = self.place("rs", out);
            self.open = Some(Open::Reasoning(ReasoningBlock::open(place, &mut frames)));
        }
    }

    fn opened<'a>(&'a mut self, out: &'a mut Vec<u8>) -> (Option<&'a mut Open>, Frames<'a>) {
        (self.open.as_mut(), Frames { sequence: &mut self.sequence, out })
    }

    /// The next place in the output.
    fn place<'a>(&'a mut self, prefix: &str, out: &'a mut Vec<u8>) -> (Place, Frames<'a>) {
        let response = self.head.as_ref().map_or("", |head| &head.id);
        let place = Place::new(prefix, response, self.output.len());
        self.output.push(None);
        (place, Frames { sequence: &mut self.sequence, out })
    }

    /// Ends the item that takes text or thinking. A message that is open when the answer ends was cut if the answer was.
    fn close(&mut self, seal: Option<&Seal<'_>>, out: &mut Vec<u8>) {
        let cut = self.finish.is_some() && Status::of(self.finish, self.refused) != Status::Completed;
        let mut frames = Frames { sequence: &mut self.sequence, out };
        let (index, item) = match self.open.take() {
            Some(Open::Message(message)) => {
                let status = if cut { "incomplete" } else { "completed" };
                (message.place.index, message.close(&mut frames, status))
            }
            Some(Open::Reasoning(reasoning)) => (reasoning.place.index, reasoning.close(&mut frames, seal)),
            None => return,
        };
        self.keep(index, item);
    }

    fn end_call(&mut self, call: u32, out: &mut Vec<u8>) {
        if let Some(block) = self.calls.remove(&call) {
            let index = block.place.index;
            let item = block.close(&mut Frames { sequence: &mut self.sequence, out });
            self.keep(index, item);
        }
    }

    fn keep(&mut self, index: usize, item: String) {
        if let Some(place) = self.output.get_mut(index) {
            *place = Some(item);
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.start("", "", None, out);
        self.close(None, out);
        for call in self.calls.keys().copied().collect::<Vec<_>>() {
            self.end_call(call, out);
        }
        self.ended = true;
        let status = Status::of(self.finish, self.refused);
        let kind = match status {
            Status::Incomplete(_) => "response.incomplete",
            _ => "response.completed",
        };
        self.lifecycle(kind, status, out);
    }

    /// An event with the whole response.
    fn lifecycle(&mut self, kind: &str, status: Status<'_>, out: &mut Vec<u8>) {
        let Some(head) = &self.head else { return };
        let output: Vec<String> = if status == Status::InProgress {
            Vec::new()
        } else {
            std::mem::take(&mut self.output).into_iter().flatten().collect()
        };
        let usage = self.usage.as_ref().filter(|_| status != Status::InProgress);
        let state = State { status, output: &output, usage, service_tier: None };
        let echo = &self.echo;
        Frames { sequence: &mut self.sequence, out }.event(kind, |json| {
            json.key("response");
            echo.write(json, head, &state);
        });
    }
}
