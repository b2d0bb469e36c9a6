//! A provider's stream as neutral events. Nearly every provider bends the protocol somewhere; what each does is noted
//! where it is minded.

use super::answered::{Answered, annotations, stop_text};
use super::deltas::Calls;
use super::finish::{self, Ended};
use super::tally::usage_from;
use super::thinking::{Detail, plain};
use super::whole::{error_of, failure};
use crate::fault::upstream_error;
use crate::json::{Kind, Rules, Tape, Value};
use crate::neutral::{By, Event, Finish};
use crate::sse;
use crate::usage::Usage;
use std::borrow::Cow;

/// Most choices that are told apart; a request can ask for no more.
const MAX_CHOICES: u64 = 128;

type Sink<'s> = &'s mut dyn FnMut(Event<'_>);

/// Reads a stream event by event.
#[derive(Default)]
pub struct Decoder {
    id: String,
    model: String,
    created: Option<u64>,
    usage: Option<Usage>,
    /// By index.
    choices: Vec<Option<Answer>>,
    /// How many calls there are in all choices.
    calls: u32,
    started: bool,
    /// `[DONE]` or an error came: nothing counts after it.
    over: bool,
}

/// One choice so far.
#[derive(Default)]
struct Answer {
    calls: Calls,
    refused: bool,
    cited: bool,
    finished: bool,
    /// Thinking came outside of `reasoning_details`, so that their text is the same once more.
    plain: bool,
    /// It came in `reasoning_details` first, so that plain text is the same once more.
    detailed: bool,
    /// The `index` of the block of `reasoning_details` that is open.
    block: Option<u64>,
    /// Text of that block came and no proof of it yet.
    open: bool,
}

impl Decoder {
    /// Before the first event.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads one event. What is no JSON object is skipped.
    pub fn feed(&mut self, event: &sse::Event<'_>, sink: Sink<'_>) {
        if self.over {
            return;
        }
        let data = event.data.trim_ascii();
        if data == b"[DONE]" {
            return self.done(sink);
        }
        let tape = Tape::parse(data, Rules::Lenient).ok();
        let root = tape.as_ref().map(|tape| tape.root(data)).filter(|root| root.kind() == Kind::Object);
        let chunk = root.map(Chunk::read);
        let suspect = chunk.as_ref().filter(|chunk| chunk.suspect).and_then(|chunk| error_of(chunk.root));
        let named = event.name == "error";
        match suspect.or_else(|| named.then(|| upstream_error(500, data))) {
            Some(error) => {
                self.over = true;
                sink(Event::Error(error));
            }
            None => chunk.iter().for_each(|chunk| self.chunk(chunk, sink)),
        }
    }

    /// The body ended cleanly: if every choice has finished, only `[DONE]` is missing, and the stream counts as whole.
    pub fn end(&mut self, sink: Sink<'_>) {
        let mut answers = self.choices.iter().flatten().peekable();
        if !self.over && answers.peek().is_some() && answers.all(|answer| answer.finished) {
            self.done(sink);
        }
    }

    fn done(&mut self, sink: Sink<'_>) {
        self.start(sink);
        for (index, answer) in (0..).zip(&mut self.choices) {
            if let Some(answer) = answer.as_mut().filter(|answer| !answer.finished) {
                answer.finish(index, Finish::Stop, None, &self.id, sink);
            }
        }
        self.over = true;
        sink(Event::End);
    }

    fn chunk(&mut self, chunk: &Chunk<'_>, sink: Sink<'_>) {
        let root = chunk.root;
        self.read_head(root);
        let mut choices = chunk.choices.iter().flat_map(|choices| choices.elements()).peekable();
        let usage = usage_from(root, chunk.usages, chunk.choices);
        // Azure's first chunk has no choices, no id and no model: the reply begins with the next one.
        if choices.peek().is_some() || usage.is_some() {
            self.start(sink);
        }
        for choice in choices {
            self.choice(choice, root, sink);
            if self.over {
                return;
            }
        }
        if let Some(usage) = usage.filter(|usage| self.usage != Some(*usage)) {
            self.usage = Some(usage);
            sink(Event::Usage(usage));
        }
    }

    fn read_head(&mut self, root: Value<'_>) {
        if self.started {
            return;
        }
        for (key, known) in [("id", &mut self.id), ("model", &mut self.model)] {
            if known.is_empty() {
                *known = root.get(key).and_then(|text| text.as_str()).unwrap_or_default().into_owned();
            }
        }
        let created = root.get("created").and_then(|created| created.as_u64());
        self.created = self.created.or(created.filter(|created| *created > 0));
    }

    fn start(&mut self, sink: Sink<'_>) {
        if !self.started {
            self.started = true;
            let (id, model) = (Cow::Borrowed(self.id.as_str()), Cow::Borrowed(self.model.as_str()));
            sink(Event::Start { id, model, created: self.created });
        }
    }

    fn choice(&mut self, choice: Value<'_>, root: Value<'_>, sink: Sink<'_>) {
        let index = choice.get("index").and_then(|index| index.as_u64()).unwrap_or(0);
        if index >= MAX_CHOICES {
            return;
        }
        let at = index as usize;
        if self.choices.len() <= at {
            self.choices.resize_with(at + 1, || None);
        }
        let Some(slot) = self.choices.get_mut(at) else { return };
        let answer = slot.get_or_insert_default();
        if answer.finished {
            return;
        }
        let index = index as u32;
        // Some servers send a whole message as the one chunk of a stream.
        if let Some(delta) = choice.get("delta").or_else(|| choice.get("message")) {
            answer.think(index, delta, sink);
            answer.write(index, delta, sink);
            answer.calls.read(index, delta, &mut self.calls, &self.id, sink);
        }
        if let Some(json) = Answered::logprobs(choice) {
            sink(Event::Logprobs { choice: index, json });
        }
        let reason = choice.get("finish_reason").and_then(|reason| reason.as_str());
        let ended = reason.and_then(|reason| finish::read(&reason));
        if ended.is_some() {
            answer.cite_listed(index, root, sink);
        }
        match ended {
            Some(Ended::Well(finish)) => answer.finish(index, finish, stop_text(choice), &self.id, sink),
            Some(Ended::Failed) => {
                self.over = true;
                sink(Event::Error(failure(choice)));
            }
            None => {}
        }
    }
}

/// A chunk's members, found in one pass: there is one for each word of an answer.
struct Chunk<'a> {
    root: Value<'a>,
    choices: Option<Value<'a>>,
    /// In its place, and in Groq's own member.
    usages: [Option<Value<'a>>; 2],
    /// It may be an error.
    suspect: bool,
}

impl<'a> Chunk<'a> {
    fn read(root: Value<'a>) -> Self {
        let mut chunk = Self { root, choices: None, usages: [None; 2], suspect: false };
        for (key, value) in root.members_raw() {
            // As written: nobody hides the letters of a key behind escapes.
            match key.raw() {
                b"\"choices\"" => chunk.choices = Some(value),
                b"\"usage\"" => chunk.usages[0] = Some(value),
                b"\"x_groq\"" => chunk.usages[1] = value.get("usage"),
                b"\"error\"" => chunk.suspect |= !value.is_null(),
                b"\"object\"" => chunk.suspect |= value.is_text("error"),
                _ => {}
            }
        }
        chunk
    }
}

impl Answer {
    /// Thinking stands in a delta as plain text, as details, or as both; it is told once.
    fn think(&mut self, choice: u32, delta: Value<'_>, sink: Sink<'_>) {
        if let Some(text) = plain(delta).filter(|_| !self.detailed) {
            self.plain = true;
            self.open = true;
            sink(Event::Thinking { choice, text });
        }
        let details = delta.get("reasoning_details");
        for entry in details.iter().flat_map(|list| list.elements()).filter_map(Detail::read) {
            self.detail(choice, entry, sink);
        }
    }

    fn detail(&mut self, choice: u32, entry: Detail<'_>, sink: Sink<'_>) {
        if !self.plain && !entry.text.is_empty() {
            if self.open && self.block.is_some() && self.block != entry.index {
                sink(Event::Break { choice });
            }
            self.open = true;
            self.detailed = true;
            self.block = entry.index;
            sink(Event::Thinking { choice, text: entry.text });
        }
        if let Some(seal) = entry.seal {
            // OpenAI's encrypted form belongs to the summary before it; the others' are blocks of their own.
            if self.open && seal.hidden && seal.by != By::OpenAi {
                sink(Event::Break { choice });
            }
            self.open = false;
            sink(Event::Sealed { choice, seal });
        }
    }

    fn write(&mut self, choice: u32, delta: Value<'_>, sink: Sink<'_>) {
        for piece in Answered::of(delta.get("content")) {
            match piece {
                Answered::Text(text) => sink(Event::Text { choice, text }),
                Answered::Thinking(text) => sink(Event::Thinking { choice, text }),
            }
        }
        let refusal = delta.get("refusal").and_then(|refusal| refusal.as_str());
        if let Some(text) = refusal.filter(|text| !text.is_empty()) {
            self.refused = true;
            sink(Event::Refusal { choice, text });
        }
        self.cite(choice, annotations(delta, None), sink);
    }

    fn cite(&mut self, choice: u32, cited: Vec<crate::neutral::Citation<'_>>, sink: Sink<'_>) {
        for citation in cited {
            self.cited = true;
            sink(Event::Citation { choice, citation });
        }
    }

    /// Perplexity lists what it cites beside the choices of every chunk; the last one's list is whole.
    fn cite_listed(&mut self, choice: u32, root: Value<'_>, sink: Sink<'_>) {
        if !self.cited {
            self.cite(choice, annotations(root, Some(root)), sink);
        }
    }

    fn finish(
        &mut self,
        choice: u32,
        finish: Finish,
        stop: Option<Cow<'_, str>>,
        reply: &str,
        sink: Sink<'_>,
    ) {
        self.calls.end_all(choice, reply, sink);
        self.finished = true;
        let settled = finish::settled(finish, self.calls.any(), self.refused);
        let met = settled == Finish::Stop && stop.is_some();
        let reason = if met { Finish::StopSequence } else { settled };
        sink(Event::Finish { choice, reason, stop_sequence: stop.filter(|_| met) });
    }
}
