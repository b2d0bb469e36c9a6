//! The calls of a streamed answer, put in order: which delta belongs to which call, and when a call begins and ends.

use super::calls::{arguments, made_id};
use crate::json::{Kind, Value};
use crate::neutral::Event;
use crate::neutral::arguments::is_object;
use std::borrow::Cow;

/// Most calls of one answer; more is no answer of a sound provider.
const MAX_CALLS: usize = 1024;

type Sink<'s> = &'s mut dyn FnMut(Event<'_>);

/// The calls of one choice.
#[derive(Default)]
pub(super) struct Calls {
    list: Vec<Call>,
}

/// One call so far.
#[derive(Default)]
struct Call {
    /// The provider's `index`; Mistral gives none.
    index: Option<u64>,
    /// The provider's id; may be empty.
    id: String,
    name: String,
    custom: bool,
    /// Which call of the reply.
    number: u32,
    arguments: String,
    begun: bool,
    ended: bool,
}

/// What one delta says of a call.
struct Delta<'a> {
    index: Option<u64>,
    id: Cow<'a, str>,
    name: Cow<'a, str>,
    arguments: Cow<'a, str>,
    custom: bool,
}

impl<'a> Delta<'a> {
    fn read(call: Value<'a>) -> Self {
        let text = |object: Option<Value<'a>>, key: &str| {
            object.and_then(|object| object.get(key)).and_then(|value| value.as_str()).unwrap_or_default()
        };
        let custom = call.get("custom").filter(|custom| custom.kind() == Kind::Object);
        let inner = custom.or_else(|| call.get("function"));
        let key = if custom.is_some() { "input" } else { "arguments" };
        Self {
            index: call.get("index").and_then(|index| index.as_u64()),
            id: text(Some(call), "id"),
            name: text(inner, "name"),
            arguments: inner.and_then(|inner| inner.get(key)).map(arguments).unwrap_or_default(),
            custom: custom.is_some() || call.get("type").is_some_and(|kind| kind.is_text("custom")),
        }
    }

    /// The legacy `function_call`: one call without id or index.
    fn legacy(function: Value<'a>) -> Self {
        let name = function.get("name").and_then(|name| name.as_str()).unwrap_or_default();
        let arguments = function.get("arguments").map(arguments).unwrap_or_default();
        Self { index: Some(0), id: Cow::Borrowed(""), name, arguments, custom: false }
    }
}

impl Calls {
    /// Whether there is a call.
    pub(super) fn any(&self) -> bool {
        self.list.iter().any(|call| call.begun)
    }

    /// Reads a delta; `total` counts the calls of all choices, `reply` is the reply's id.
    pub(super) fn read(
        &mut self,
        choice: u32,
        delta: Value<'_>,
        total: &mut u32,
        reply: &str,
        sink: Sink<'_>,
    ) {
        let list = delta.get("tool_calls");
        let listed = list.iter().flat_map(|list| list.elements()).map(Delta::read);
        let legacy = delta.get("function_call").filter(|call| call.kind() == Kind::Object).map(Delta::legacy);
        for (place, delta) in listed.chain(legacy).enumerate() {
            let Some(at) = self.place(place, &delta) else { continue };
            if at == self.list.len() {
                self.end_whole(choice, reply, sink);
                self.list.push(Call { index: delta.index, number: *total, ..Call::default() });
                *total += 1;
            }
            if let Some(call) = self.list.get_mut(at) {
                call.add(choice, reply, delta, sink);
            }
        }
    }

    /// Ends every call that has not ended, in the order in which they began.
    pub(super) fn end_all(&mut self, choice: u32, reply: &str, sink: Sink<'_>) {
        for call in self.list.iter_mut().filter(|call| !call.ended) {
            call.begin(choice, reply, sink);
            call.ended = true;
            if call.begun {
                sink(Event::CallEnd { call: call.number });
            }
        }
    }

    /// Which call a delta belongs to; the length of the list if it begins one, nothing if to none.
    fn place(&self, place: usize, delta: &Delta<'_>) -> Option<usize> {
        let last = self.list.len().checked_sub(1);
        let known = match delta.index {
            Some(_) => self.list.iter().rposition(|call| call.index == delta.index),
            None => last,
        };
        // Gemini's endpoint gives several whole calls the same index, Mistral none: a new id with a name is a new call.
        // Without ids, several entries of one delta are several calls, and so is what follows a whole one.
        let fresh = known.and_then(|at| self.list.get(at)).is_none_or(|call| {
            let other = !delta.id.is_empty() && !call.id.is_empty() && delta.id != call.id;
            let unnamed = delta.index.is_none() && delta.id.is_empty();
            let next = unnamed && (place > 0 || is_object(&call.arguments));
            !delta.name.is_empty() && (other || next) || delta.index.is_none() && other
        });
        match (fresh, known) {
            (false, Some(at)) => Some(at),
            _ => (self.list.len() < MAX_CALLS).then_some(self.list.len()),
        }
    }

    /// A call follows: what is a whole object before it can grow no more, so that whoever writes calls one after the
    /// other need not wait for the answer's end.
    fn end_whole(&mut self, choice: u32, reply: &str, sink: Sink<'_>) {
        for call in self.list.iter_mut().filter(|call| !call.ended) {
            call.begin(choice, reply, sink);
            if call.begun && !call.custom && is_object(&call.arguments) {
                call.ended = true;
                sink(Event::CallEnd { call: call.number });
            }
        }
    }
}

impl Call {
    fn add(&mut self, choice: u32, reply: &str, delta: Delta<'_>, sink: Sink<'_>) {
        if self.ended {
            return;
        }
        self.custom |= delta.custom;
        if self.id.is_empty() && !self.begun {
            self.id = delta.id.into_owned();
        }
        if !self.begun {
            self.name(&delta.name);
        }
        if delta.arguments.is_empty() {
            return;
        }
        self.begin(choice, reply, sink);
        self.arguments.push_str(&delta.arguments);
        if self.begun {
            sink(Event::CallArguments { call: self.number, text: delta.arguments });
        }
    }

    /// Names come whole, in pieces, growing, or again with every delta.
    fn name(&mut self, piece: &str) {
        if piece.starts_with(self.name.as_str()) {
            piece.clone_into(&mut self.name);
        } else {
            self.name.push_str(piece);
        }
    }

    /// Tells of the call once its name is whole: when its arguments begin, another call does, or the answer ends.
    fn begin(&mut self, choice: u32, reply: &str, sink: Sink<'_>) {
        if self.begun || self.name.is_empty() {
            return;
        }
        self.begun = true;
        let id = match self.id.as_str() {
            "" => Cow::Owned(made_id(reply, u64::from(choice), u64::from(self.number), &self.name)),
            own => Cow::Borrowed(own),
        };
        sink(Event::CallStart {
            choice,
            call: self.number,
            id,
            name: Cow::Borrowed(&self.name),
            custom: self.custom,
            seal: None,
        });
        // What came before the name.
        if !self.arguments.is_empty() {
            sink(Event::CallArguments { call: self.number, text: Cow::Borrowed(&self.arguments) });
        }
    }
}
