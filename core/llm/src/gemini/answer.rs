//! Reading candidates, of a whole reply and of a stream's chunks alike.

use super::grounding::{self, Offsets};
use super::piece::{Reason, broken, compact, fenced, logprobs, media, reason};
use super::usage::usage;
use crate::fault::{UpstreamError, error_in};
use crate::json::{Kind, Value};
use crate::neutral::names::{fitted, fnv};
use crate::neutral::{By, Event, Finish, Media, Seal};
use std::borrow::Cow;

/// What comes out: events, and what only whole replies carry.
pub(super) enum Out<'a> {
    Event(Event<'a>),
    Media { choice: u32, media: Media<'static> },
}

/// Takes what comes out.
pub(super) type Sink<'s> = &'s mut dyn FnMut(Out<'_>);

/// Reads chunks; a whole reply is one.
#[derive(Default)]
pub(super) struct Reader {
    started: bool,
    /// After an error or the end nothing follows.
    over: bool,
    /// The reply's id, short enough to begin the ids of calls.
    id: String,
    calls: u32,
    answers: Vec<Answer>,
}

/// One candidate so far.
#[derive(Default)]
struct Answer {
    finish: Option<Finish>,
    has_call: bool,
    last: Last,
    /// The signature of the text so far, which waits until that is complete: citations may still come.
    seal: Option<String>,
    offsets: Offsets,
    /// Citations that came already; later chunks may repeat them.
    cited: Vec<u64>,
}

/// What came last.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Last {
    #[default]
    Nothing,
    Thinking,
    Text,
    Other,
}

impl Reader {
    /// Reads one chunk.
    pub(super) fn read(&mut self, root: Value<'_>, out: Sink<'_>) {
        if self.over {
            return;
        }
        let root = if root.kind() == Kind::Array { root.elements().next().unwrap_or(root) } else { root };
        if let Some(error) = error_in(root) {
            return self.fail(error, out);
        }
        self.start(root, out);
        for candidate in root.get("candidates").iter().flat_map(Value::elements) {
            self.candidate(candidate, out);
        }
        self.blocked(root, out);
        if let Some(counts) = root.get("usageMetadata").filter(|counts| counts.kind() == Kind::Object) {
            out(Out::Event(Event::Usage(usage(counts))));
        }
    }

    /// Reports an error; nothing follows.
    pub(super) fn fail(&mut self, error: UpstreamError, out: Sink<'_>) {
        if !self.over {
            self.over = true;
            out(Out::Event(Event::Error(error)));
        }
    }

    /// Whether every answer that began has ended.
    pub(super) fn is_whole(&self) -> bool {
        !self.over && !self.answers.is_empty() && self.answers.iter().all(|answer| answer.finish.is_some())
    }

    /// Ends the answers that gave a reason for their end.
    pub(super) fn finish(&mut self, out: Sink<'_>) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        for (choice, answer) in (0..).zip(&mut self.answers) {
            answer.flush(choice, out);
            let reason = match answer.finish {
                Some(Finish::Stop) if answer.has_call => Finish::ToolCalls,
                Some(reason) => reason,
                None => continue,
            };
            out(Out::Event(Event::Finish { choice, reason, stop_sequence: None }));
        }
    }

    /// Whether anything was answered.
    pub(super) fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    fn start(&mut self, root: Value<'_>, out: Sink<'_>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let text = |key: &str| root.get(key).and_then(|value| value.as_str()).unwrap_or_default();
        let (id, model) = (text("responseId"), text("modelVersion"));
        if !id.is_empty() {
            self.id = fitted(&id, 48).into_owned();
        }
        out(Out::Event(Event::Start { id, model, created: None }));
    }

    /// A prompt that was refused has no candidates, only a reason.
    fn blocked(&mut self, root: Value<'_>, out: Sink<'_>) {
        let reason = root.get("promptFeedback").and_then(|feedback| feedback.get("blockReason")?.as_str());
        let Some(reason) = reason.filter(|_| self.answers.is_empty()) else { return };
        self.answers.push(Answer { finish: Some(Finish::Filter), ..Answer::default() });
        let text = format!("The provider blocked the prompt: {reason}.");
        out(Out::Event(Event::Refusal { choice: 0, text: text.into() }));
    }

    fn candidate(&mut self, candidate: Value<'_>, out: Sink<'_>) {
        // A request asks for far fewer.
        let index = candidate.get("index").and_then(|index| index.as_u64()).unwrap_or(0).min(127) as usize;
        while self.answers.len() <= index {
            self.answers.push(Answer::default());
        }
        let (id, calls) = (self.id.as_str(), &mut self.calls);
        let Some(answer) = self.answers.get_mut(index) else { return };
        let choice = index as u32;
        let parts = candidate.get("content").and_then(|content| content.get("parts"));
        for part in parts.iter().flat_map(Value::elements) {
            answer.part(choice, part, &mut CallIds { reply: id, calls }, out);
        }
        if let Some(metadata) = candidate.get("groundingMetadata") {
            answer.cite(choice, metadata, out);
        }
        if let Some(json) = candidate.get("logprobsResult").and_then(logprobs) {
            out(Out::Event(Event::Logprobs { choice, json: json.into() }));
        }
        match reason(candidate) {
            Reason::Open => {}
            Reason::Ended(finish) => answer.finish = Some(finish),
            Reason::Broken(code) => self.fail(broken(code), out),
        }
    }
}

impl Answer {
    fn part(&mut self, choice: u32, part: Value<'_>, ids: &mut CallIds<'_>, out: Sink<'_>) {
        let seal = part.get("thoughtSignature").or_else(|| part.get("thought_signature"));
        let seal = seal.and_then(|seal| seal.as_str()).filter(|seal| !seal.is_empty());
        if let Some(call) = part.get("functionCall") {
            self.call(choice, call, seal, ids, out);
        } else if let Some(words) = part.get("text").and_then(|words| words.as_str()) {
            if part.get("thought").and_then(|thought| thought.as_bool()) == Some(true) {
                self.thinking(choice, words, seal, out);
            } else {
                self.text(choice, words, seal, out);
            }
        } else if let Some(code) = part.get("executableCode") {
            let language = text(code, "language").unwrap_or_default().to_ascii_lowercase();
            let language = if language == "language_unspecified" { "" } else { &language };
            let code = text(code, "code").unwrap_or_default();
            self.text(choice, fenced(language, &code).into(), seal, out);
        } else if let Some(result) = part.get("codeExecutionResult") {
            let output = text(result, "output").unwrap_or_default();
            self.text(choice, fenced("", &output).into(), seal, out);
        } else if let Some(data) = part.get("inlineData") {
            self.flush(choice, out);
            if let Some(seal) = seal {
                out(sealed(choice, &seal));
            }
            if let Some(media) = media(data) {
                self.last = Last::Other;
                out(Out::Media { choice, media });
            }
        } else if let Some(seal) = seal {
            self.text(choice, "".into(), Some(seal), out);
        }
    }

    fn thinking(&mut self, choice: u32, text: Cow<'_, str>, seal: Option<Cow<'_, str>>, out: Sink<'_>) {
        self.flush(choice, out);
        if !text.is_empty() {
            self.last = Last::Thinking;
            out(Out::Event(Event::Thinking { choice, text }));
        }
        if let Some(seal) = seal {
            self.last = Last::Other;
            out(sealed(choice, &seal));
        }
    }

    /// Text. A signature on the first text after thinking proves that thinking and goes before the text; one on later
    /// text goes behind it.
    fn text(&mut self, choice: u32, text: Cow<'_, str>, seal: Option<Cow<'_, str>>, out: Sink<'_>) {
        if !text.is_empty() {
            self.flush(choice, out);
        }
        match seal {
            Some(seal) if self.last == Last::Text => self.seal = Some(seal.into_owned()),
            Some(seal) => out(sealed(choice, &seal)),
            None => {}
        }
        if !text.is_empty() {
            self.last = Last::Text;
            self.offsets.push(&text);
            out(Out::Event(Event::Text { choice, text }));
        }
    }

    fn call(
        &mut self,
        choice: u32,
        call: Value<'_>,
        seal: Option<Cow<'_, str>>,
        ids: &mut CallIds<'_>,
        out: Sink<'_>,
    ) {
        self.flush(choice, out);
        self.last = Last::Other;
        self.has_call = true;
        let name = call.get("name").and_then(|name| name.as_str()).unwrap_or_default();
        // Some models put the namespace before it in which they were told of their functions.
        let name = match name.strip_prefix("default_api").and_then(|rest| rest.strip_prefix([':', '.'])) {
            Some(bare) => Cow::Owned(bare.to_owned()),
            None => name,
        };
        let arguments = call.get("args").filter(|args| args.kind() == Kind::Object);
        let arguments = arguments.map_or(Cow::Borrowed("{}"), |args| compact(args.raw()));
        let given = call.get("id").and_then(|id| id.as_str()).filter(|id| !id.is_empty());
        let at = *ids.calls;
        let id = given.unwrap_or_else(|| ids.made(&name, &arguments).into());
        *ids.calls += 1;
        let seal = seal.map(own);
        out(Out::Event(Event::CallStart { choice, call: at, id, name, custom: false, seal }));
        out(Out::Event(Event::CallArguments { call: at, text: arguments }));
        out(Out::Event(Event::CallEnd { call: at }));
    }

    fn cite(&mut self, choice: u32, metadata: Value<'_>, out: Sink<'_>) {
        for citation in grounding::citations(metadata, &self.offsets) {
            let key = format!("{:?} {}", citation.range, citation.url.as_deref().unwrap_or_default());
            let key = fnv(key.as_bytes());
            if !self.cited.contains(&key) {
                self.cited.push(key);
                out(Out::Event(Event::Citation { choice, citation }));
            }
        }
    }

    /// Hands out the signature of the text before, now that something else follows.
    fn flush(&mut self, choice: u32, out: Sink<'_>) {
        if let Some(seal) = self.seal.take() {
            self.last = Last::Other;
            out(sealed(choice, &seal));
        }
    }
}

fn text<'a>(value: Value<'a>, key: &str) -> Option<Cow<'a, str>> {
    value.get(key)?.as_str()
}

/// Makes ids for calls that have none.
struct CallIds<'a> {
    reply: &'a str,
    calls: &'a mut u32,
}

impl CallIds<'_> {
    fn made(&self, name: &str, arguments: &str) -> String {
        let at = *self.calls;
        if self.reply.is_empty() {
            return format!("call_{:016x}", fnv(format!("{name} {arguments} {at}").as_bytes()));
        }
        format!("call_{}_{at}", self.reply)
    }
}

fn own(seal: Cow<'_, str>) -> Seal<'_> {
    Seal { by: By::Gemini, data: seal, hidden: false }
}

fn sealed(choice: u32, seal: &str) -> Out<'_> {
    Out::Event(Event::Sealed { choice, seal: own(Cow::Borrowed(seal)) })
}
