//! Who said what.

use super::parts::{cache, parts};
use super::text;
use crate::chat::{calls, thinking};
use crate::json::Value;
use crate::neutral::names::fnv;
use crate::neutral::{Content, Part, Role, ToolResult, Turn};
use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};

/// The turns of a conversation.
pub(super) fn turns(messages: Value<'_>) -> Vec<Turn<'_>> {
    let mut reader = Reader::default();
    for (at, message) in messages.elements().enumerate() {
        reader.message(at, message);
    }
    reader.turns
}

#[derive(Default)]
struct Reader<'a> {
    turns: Vec<Turn<'a>>,
    /// The calls of the last assistant message: id, and whether it is custom; none in the place of one that a result has
    /// answered.
    open: Vec<Option<(Cow<'a, str>, bool)>>,
    /// Their places by id.
    places: HashMap<Cow<'a, str>, VecDeque<usize>>,
    /// Before this place all are answered: what a result without an id answers comes behind it.
    first: usize,
    /// The last turn only holds results.
    results: bool,
}

impl<'a> Reader<'a> {
    fn message(&mut self, at: usize, message: Value<'a>) {
        let role = text(message, "role").unwrap_or_default();
        let role = match role.as_ref() {
            "system" => Role::System,
            "developer" => Role::Developer,
            "assistant" => Role::Assistant,
            "tool" | "function" => return self.result(message),
            _ => Role::User,
        };
        let mut turn = Turn { role, parts: Vec::new(), name: text(message, "name") };
        if role == Role::Assistant {
            self.assistant(at, message, &mut turn.parts);
        } else {
            turn.parts = content(message);
        }
        self.turns.push(turn);
        self.results = false;
    }

    fn assistant(&mut self, at: usize, message: Value<'a>, into: &mut Vec<Part<'a>>) {
        into.extend(
            thinking::of_message(message).into_iter().map(|block| Part::new(Content::Thinking(block))),
        );
        into.extend(content(message));
        if let Some(refusal) = text(message, "refusal").filter(|refusal| !refusal.is_empty()) {
            into.push(Part::new(Content::Refusal(refusal)));
        }
        self.open.clear();
        self.places.clear();
        self.first = 0;
        for (number, mut call) in calls::read(message).into_iter().enumerate() {
            if call.id.is_empty() {
                let seed = format!("{at}/{number}/{}", call.name);
                call.id = Cow::Owned(format!("call_{:016x}", fnv(seed.as_bytes())));
            }
            self.places.entry(call.id.clone()).or_default().push_back(self.open.len());
            self.open.push(Some((call.id.clone(), call.custom)));
            into.push(Part::new(Content::Call(call)));
        }
    }

    /// What a tool answered; neighbouring answers are one turn of the user's.
    fn result(&mut self, message: Value<'a>) {
        let id = text(message, "tool_call_id").filter(|id| !id.is_empty());
        let asked = self.asked(id.as_deref());
        let custom = asked.as_ref().is_some_and(|(_, custom)| *custom);
        let id = id.or(asked.map(|(id, _)| id)).unwrap_or(Cow::Borrowed("call_unknown"));
        let content = content(message);
        let cache = content.iter().rev().find_map(|part| part.cache);
        let result = ToolResult { id, parts: content, is_error: false, custom };
        let part = Part { content: Content::Result(result), cache };
        match self.turns.last_mut().filter(|_| self.results) {
            Some(turn) => turn.parts.push(part),
            None => self.turns.push(Turn { role: Role::User, parts: vec![part], name: None }),
        }
        self.results = true;
    }

    /// The call that a result answers: the one with its id, else the first that is open.
    fn asked(&mut self, id: Option<&str>) -> Option<(Cow<'a, str>, bool)> {
        if let Some(id) = id {
            let places = self.places.get_mut(id)?;
            while let Some(at) = places.pop_front() {
                if let Some(call) = self.open.get_mut(at).and_then(Option::take) {
                    return Some(call);
                }
            }
            return None;
        }
        while let Some(open) = self.open.get_mut(self.first) {
            self.first += 1;
            if let Some(call) = open.take() {
                return Some(call);
            }
        }
        None
    }
}

/// A message's content; a cache mark on the message itself is one on its last part.
fn content(message: Value<'_>) -> Vec<Part<'_>> {
    let mut parts = message.get("content").map(parts).unwrap_or_default();
    if let (Some(last), Some(mark)) = (parts.last_mut(), cache(message)) {
        last.cache.get_or_insert(mark);
    }
    parts
}
