//! `instructions` and `input` of a body for a provider.

use super::body::MAX_NAME;
use super::media::{input_text, media};
use super::wire::HOSTED_ITEMS;
use crate::json::Writer;
use crate::neutral::arguments::as_object;
use crate::neutral::names::{fitted, fitted_id};
use crate::neutral::{
    Body, By, Call, Content, Part, Prompt, Role, Thinking, ToolResult, Turn, Untranslatable,
};
use std::collections::{HashMap, VecDeque};

/// What stands where a caller cut a tool's answer away: the provider refuses a call without one.
const NO_OUTPUT: &str = "No output was recorded.";

/// Writes both members. The system's turns at the beginning are the instructions, later ones keep their places.
pub(super) fn write(json: &mut Writer, prompt: &Prompt<'_>, body: &mut Body) -> Result<(), Untranslatable> {
    let (head, turns) = prompt.turns.split_at(instructions(&prompt.turns));
    if !head.is_empty() {
        let texts: Vec<_> = head.iter().flat_map(|turn| &turn.parts).filter_map(words).collect();
        json.text("instructions", &texts.join("\n\n"));
    }
    let Calls { made, answers } = Calls::of(turns);
    let (next, answers) = (0, answers.into_iter());
    let mut items = Items { json, body, made, next, answers, open: None };
    items.json.key("input").begin_array();
    for turn in turns {
        items.turn(turn)?;
    }
    json.end_array();
    Ok(())
}

/// How many turns are instructions: texts of the system's before anybody spoke. If nobody speaks at all they stay in the
/// input, which must not be empty.
fn instructions(turns: &[Turn<'_>]) -> usize {
    let is_system = |turn: &&Turn<'_>| {
        matches!(turn.role, Role::System | Role::Developer)
            && turn.parts.iter().all(|part| words(part).is_some())
    };
    let count = turns.iter().take_while(is_system).count();
    if count == turns.len() { 0 } else { count }
}

fn words<'a>(part: &'a Part<'_>) -> Option<&'a str> {
    match &part.content {
        Content::Text { text, .. } => Some(text),
        _ => None,
    }
}

/// The calls and what the results answer, both in order. The provider takes neither a call without an answer nor an
/// answer without a call, nor two answers.
#[derive(Default)]
struct Calls {
    made: Vec<Made>,
    answers: Vec<Answers>,
}

struct Made {
    /// An id that no other call has: some providers count anew in each turn.
    id: String,
    custom: bool,
    answered: bool,
}

/// What a result answers.
#[derive(Clone, Copy)]
enum Answers {
    /// The call at this place.
    Call(usize),
    /// A call that has been answered before.
    Again,
    /// A call that the caller cut away.
    Lost,
}

/// What is known of an id that the caller gave.
#[derive(Default)]
struct Given {
    times: usize,
    /// In which of the assistant's turns last, neighbours being one.
    turn: usize,
    /// The calls of that turn that wait for their answers: who gives an id anew means the new call with it.
    open: VecDeque<usize>,
}

impl Calls {
    fn of(turns: &[Turn<'_>]) -> Self {
        let mut calls = Self::default();
        let mut given: HashMap<&str, Given> = HashMap::new();
        let mut at = 0;
        for turn in turns {
            at += usize::from(turn.role != Role::Assistant);
            for part in &turn.parts {
                match &part.content {
                    Content::Call(call) => calls.make(call, at, given.entry(&call.id).or_default()),
                    Content::Result(result) => calls.answer(given.get_mut(result.id.as_ref())),
                    _ => {}
                }
            }
        }
        calls
    }

    fn make(&mut self, call: &Call<'_>, turn: usize, given: &mut Given) {
        if given.turn != turn {
            given.turn = turn;
            given.open.clear();
        }
        given.times += 1;
        given.open.push_back(self.made.len());
        let id = match given.times {
            1 => fitted_id(&call.id).into_owned(),
            times => fitted_id(&format!("{}_{times}", call.id)).into_owned(),
        };
        self.made.push(Made { id, custom: call.custom, answered: false });
    }

    fn answer(&mut self, given: Option<&mut Given>) {
        let answers = match given.map(|given| given.open.pop_front()) {
            Some(Some(call)) => Answers::Call(call),
            Some(None) => Answers::Again,
            None => Answers::Lost,
        };
        if let Answers::Call(call) = answers {
            self.made[call].answered = true;
        }
        self.answers.push(answers);
    }
}

struct Items<'w> {
    json: &'w mut Writer,
    body: &'w mut Body,
    made: Vec<Made>,
    /// The place of the call that is written next.
    next: usize,
    /// What the results answer that are not written yet.
    answers: std::vec::IntoIter<Answers>,
    /// The message whose content is being written.
    open: Option<Role>,
}

impl Items<'_> {
    fn turn(&mut self, turn: &Turn<'_>) -> Result<(), Untranslatable> {
        let first = self.next;
        if turn.name.is_some() {
            self.body.drop_named("messages[].name");
        }
        for part in &turn.parts {
            match &part.content {
                Content::Text { text, .. } if text.is_empty() => {}
                Content::Text { text, .. } => self.text(turn.role, text),
                Content::Refusal(text) if turn.role == Role::Assistant => {
                    self.content(turn.role).begin_object().text("type", "refusal").text("refusal", text);
                    self.json.end_object();
                }
                Content::Refusal(text) => self.text(turn.role, text),
                Content::Media(_) if turn.role == Role::Assistant => {
                    self.body.drop_named("input[assistant media]");
                }
                Content::Media(found) => {
                    self.content(turn.role);
                    media(self.json, found)?;
                }
                Content::Call(call) => self.call(call),
                Content::Result(result) => self.result(result)?,
                Content::Thinking(thinking) => self.thinking(thinking),
                Content::Other { kind, json } => self.other(kind, json),
            }
        }
        self.close();
        for call in self.made[first..self.next].iter().filter(|call| !call.answered) {
            let kind = if call.custom { "custom_tool_call_output" } else { "function_call_output" };
            self.json.begin_object().text("type", kind).text("call_id", &call.id);
            self.json.text("output", NO_OUTPUT).end_object();
        }
        Ok(())
    }

    /// A place for one more part of a message of this role.
    fn content(&mut self, role: Role) -> &mut Writer {
        if self.open != Some(role) {
            self.close();
            let role_name = match role {
                Role::System => "system",
                Role::Developer => "developer",
                Role::User => "user",
                Role::Assistant => "assistant",
            };
            self.json.begin_object().text("type", "message").text("role", role_name);
            self.json.key("content").begin_array();
            self.open = Some(role);
        }
        self.json
    }

    fn close(&mut self) {
        if self.open.take().is_some() {
            self.json.end_array().end_object();
        }
    }

    fn text(&mut self, role: Role, text: &str) {
        let json = self.content(role);
        if role == Role::Assistant {
            json.begin_object().text("type", "output_text").text("text", text);
            json.key("annotations").begin_array().end_array().end_object();
        } else {
            input_text(json, text);
        }
    }

    fn call(&mut self, call: &Call<'_>) {
        self.close();
        let name = fitted(self.body.names.at_target(&call.name), MAX_NAME);
        let (kind, key) =
            if call.custom { ("custom_tool_call", "input") } else { ("function_call", "arguments") };
        let id = &self.made[self.next].id;
        self.next += 1;
        self.json.begin_object().text("type", kind).text("call_id", id).text("name", &name);
        if call.custom {
            self.json.text(key, &call.arguments);
        } else {
            self.json.text(key, &as_object(&call.arguments));
        }
        self.json.end_object();
    }

    fn result(&mut self, result: &ToolResult<'_>) -> Result<(), Untranslatable> {
        self.close();
        match self.answers.next().unwrap_or(Answers::Lost) {
            Answers::Call(call) => {
                let Made { id, custom, .. } = &self.made[call];
                let custom = *custom || result.custom;
                let kind = if custom { "custom_tool_call_output" } else { "function_call_output" };
                self.json.begin_object().text("type", kind).text("call_id", id).key("output");
                self.output(result)?;
                self.json.end_object();
            }
            Answers::Again => self.body.drop_named("input[second output of a call]"),
            // What the tool said is still worth reading.
            Answers::Lost => {
                self.content(Role::User);
                for part in &result.parts {
                    answer(self.json, part, self.body)?;
                }
                if result.parts.is_empty() {
                    input_text(self.json, NO_OUTPUT);
                }
                self.close();
            }
        }
        Ok(())
    }

    /// The API has no word for a tool that failed, so the text says it.
    fn output(&mut self, result: &ToolResult<'_>) -> Result<(), Untranslatable> {
        let said = result.parts.iter().filter_map(words).next().unwrap_or_default();
        let untold =
            result.is_error && !said.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("error"));
        match result.parts.as_slice() {
            [] => {
                self.json.string(if untold { "Error" } else { "" });
            }
            [one] if words(one).is_some() => {
                let before = match untold {
                    true if said.trim().is_empty() => "Error",
                    true => "Error: ",
                    false => "",
                };
                self.json.string(&format!("{before}{said}"));
            }
            parts => {
                self.json.begin_array();
                if untold {
                    input_text(self.json, "Error:");
                }
                for part in parts {
                    answer(self.json, part, self.body)?;
                }
                self.json.end_array();
            }
        }
        Ok(())
    }

    /// Only the provider's own encrypted form is of use to it; other thinking it refuses.
    fn thinking(&mut self, thinking: &Thinking<'_>) {
        let Some(seal) = thinking.seal.as_ref().filter(|seal| seal.by == By::OpenAi) else { return };
        self.close();
        self.json.begin_object().text("type", "reasoning").key("summary").begin_array();
        if !thinking.text.is_empty() {
            self.json.begin_object().text("type", "summary_text").text("text", &thinking.text).end_object();
        }
        self.json.end_array().text("encrypted_content", &seal.data).end_object();
    }

    fn other(&mut self, kind: &str, json: &str) {
        if HOSTED_ITEMS.contains(&kind) {
            self.close();
            self.json.raw(json);
        } else {
            self.body.drop_named(format!("input[{kind}]"));
        }
    }
}

/// One part of what a tool answered.
fn answer(json: &mut Writer, part: &Part<'_>, body: &mut Body) -> Result<(), Untranslatable> {
    match &part.content {
        Content::Text { text, .. } | Content::Refusal(text) => input_text(json, text),
        Content::Media(found) => media(json, found)?,
        Content::Other { kind, .. } => body.drop_named(format!("input[{kind}]")),
        Content::Call(_) | Content::Result(_) | Content::Thinking(_) => {}
    }
    Ok(())
}
