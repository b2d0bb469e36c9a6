//! Who said what.

use super::parts::{cache, parts};
use super::text;
use crate::chat::{calls, thinking};
use crate::json::Value;
use crate::neutral::names::fnv;
use crate::neutral::{Content, Part, Role, ToolResult, Turn};
use std::borrow::Cow;
use std::collections::VecDeque;

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
    /// Calls of the last assistant message that no result has answered yet: what a result without an id answers.
    open: VecDeque<(Cow<'a, str>, bool)>,
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
        for (number, mut call) in calls::read(message).into_iter().enumerate() {
            if call.id.is_empty() {
                let seed = format!("{at}/{number}/{}", call.name);
                call.id = Cow::Owned(format!("call_{:016x}", fnv(seed.as_bytes())));
            }
            self.open.push_back((call.id.clone(), call.custom));
            into.push(Part::new(Content::Call(call)));
        }
    }

    /// What a tool answered; neighbouring answers are one turn of the user's.
    fn result(&mut self, message: Value<'a>) {
        let id = text(message, "tool_call_id").filter(|id| !id.is_empty());
        let asked = match &id {
            Some(id) => self.open.iter().position(|(open, _)| open == id),
            None => (!self.open.is_empty()).then_some(0),
        };
        let asked = asked.and_then(|at| self.open.remove(at));
        let custom = asked.as_ref().is_some_and(|(_, custom)| *custom);
        let id = id.or(asked.map(|(id, _)| id)).unwrap_or(Cow::Borrowed("call_unknown"));
        let content = content(message);
        let cache = content.iter().rev().find_map(|part| part.cache);
        let result = ToolResult { id, parts: content, is_error: false, custom };
        let part = Part { content: Content::Result(result), cache };
        match self.turns.last_mut() {
            Some(turn) if only_results(turn) => turn.parts.push(part),
            _ => self.turns.push(Turn { role: Role::User, parts: vec![part], name: None }),
        }
    }
}

fn only_results(turn: &Turn<'_>) -> bool {
    turn.role == Role::User
        && !turn.parts.is_empty()
        && turn.parts.iter().all(|part| matches!(part.content, Content::Result(_)))
}

/// A message's content; a cache mark on the message itself is one on its last part.
fn content(message: Value<'_>) -> Vec<Part<'_>> {
    let mut parts = message.get("content").map(parts).unwrap_or_default();
    if let (Some(last), Some(mark)) = (parts.last_mut(), cache(message)) {
        last.cache.get_or_insert(mark);
    }
    parts
}
