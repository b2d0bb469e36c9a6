//! `systemInstruction` and `contents`: what was said.
//!
//! Gemini has two speakers. A model's content with calls must be followed by one user's content with as many responses,
//! which name the function; a call's signature must come back with the call.

use super::calls::{Asked, respond, text_of, text_of_result, write_call};
use super::family::{Family, Thinks};
use super::{media, tools};
use crate::json::Writer;
use crate::neutral::{
    Body, By, Content, Names, Part, Prompt, Role, Thinking, ToolResult, Turn, Untranslatable,
};
use std::collections::HashMap;

/// Stands before a result whose call a client cut away.
const ORPHAN: &str = "Result of an earlier tool call:";
/// Stands before a conversation that begins with a call: a call must follow on something.
const BEGINNING: &str = "Continue.";

/// Writes both members.
pub(super) fn write(
    prompt: &Prompt<'_>,
    family: Family,
    names: &Names,
    body: &mut Body,
    json: &mut Writer,
) -> Result<(), Untranslatable> {
    let leading = prompt.turns.iter().take_while(|turn| is_instruction(turn)).count();
    let (instructions, said) = prompt.turns.split_at(leading);
    if prompt.turns.iter().any(|turn| turn.name.is_some()) {
        body.drop_named("messages[].name");
    }
    let mut scribe = Scribe { family, names, body, json };
    let sides = sides(said);
    if sides.is_empty() {
        // There must be contents, and instructions alone are what the model is to answer.
        scribe.json.key("contents").begin_array();
        scribe.user(&sides_of(instructions), Vec::new())?;
        scribe.json.end_array();
        return Ok(());
    }
    scribe.instructions(instructions);
    scribe.json.key("contents").begin_array();
    scribe.contents(&sides)?;
    scribe.json.end_array();
    Ok(())
}

/// All that one speaker said until the other spoke.
struct Side<'p, 'a> {
    is_model: bool,
    parts: Vec<&'p Part<'a>>,
}

fn is_instruction(turn: &Turn<'_>) -> bool {
    matches!(turn.role, Role::System | Role::Developer)
}

fn sides<'p, 'a>(turns: &'p [Turn<'a>]) -> Vec<Side<'p, 'a>> {
    let mut sides: Vec<Side<'p, 'a>> = Vec::new();
    for turn in turns {
        // Instructions in the middle keep their place in the user's words.
        let is_model = turn.role == Role::Assistant;
        match sides.last_mut() {
            Some(side) if side.is_model == is_model => side.parts.extend(&turn.parts),
            _ => sides.push(Side { is_model, parts: turn.parts.iter().collect() }),
        }
    }
    sides
}

fn sides_of<'p, 'a>(turns: &'p [Turn<'a>]) -> Vec<&'p Part<'a>> {
    turns.iter().flat_map(|turn| &turn.parts).collect()
}

struct Scribe<'s> {
    family: Family,
    names: &'s Names,
    body: &'s mut Body,
    json: &'s mut Writer,
}

/// One content, which is begun with its first part: a content without parts is refused.
struct Open<'w> {
    json: &'w mut Writer,
    role: &'static str,
    begun: bool,
}

impl Open<'_> {
    /// Begins a part.
    fn part(&mut self) -> &mut Writer {
        if !self.begun {
            self.begun = true;
            self.json.begin_object().text("role", self.role).key("parts").begin_array();
        }
        self.json.begin_object()
    }

    /// A part of text; none for no text, which is refused.
    fn text(&mut self, text: &str) {
        if !text.is_empty() {
            self.part().text("text", text).end_object();
        }
    }

    fn close(self) {
        if self.begun {
            self.json.end_array().end_object();
        }
    }
}

impl<'s> Scribe<'s> {
    fn open(&mut self, role: &'static str) -> Open<'_> {
        Open { json: self.json, role, begun: false }
    }

    fn instructions(&mut self, turns: &[Turn<'_>]) {
        let texts: Vec<&str> = sides_of(turns).into_iter().filter_map(text_of).collect();
        if !texts.is_empty() {
            self.json.key("systemInstruction").begin_object().key("parts").begin_array();
            for text in texts {
                self.json.begin_object().text("text", text).end_object();
            }
            self.json.end_array().end_object();
        }
        for part in sides_of(turns) {
            if let Content::Media(_) = part.content {
                self.body.drop_named("messages[system].media");
            }
        }
    }

    fn contents<'p>(&mut self, sides: &'p [Side<'p, '_>]) -> Result<(), Untranslatable>
    where
        's: 'p,
    {
        let mut asked: Vec<Asked<'p>> = Vec::new();
        let calls =
            |side: &Side<'_, '_>| side.parts.iter().any(|part| matches!(part.content, Content::Call(_)));
        if sides.first().is_some_and(|side| side.is_model && calls(side)) {
            let mut content = self.open("user");
            content.text(BEGINNING);
            content.close();
        }
        for side in sides {
            if side.is_model {
                asked = self.model(&side.parts)?;
            } else {
                self.user(&side.parts, std::mem::take(&mut asked))?;
            }
        }
        if !asked.is_empty() {
            self.user(&[], asked)?;
        }
        Ok(())
    }

    /// A model's content; the calls in it.
    fn model<'p>(&mut self, parts: &[&'p Part<'_>]) -> Result<Vec<Asked<'p>>, Untranslatable>
    where
        's: 'p,
    {
        let (family, names) = (self.family, self.names);
        let mut asked = Vec::new();
        let mut seal: Option<&str> = None;
        // The signature that a text took from behind it.
        let mut used = None;
        self.note_others(parts);
        let mut content = self.open("model");
        for (at, part) in parts.iter().enumerate() {
            match &part.content {
                Content::Text { text, .. } | Content::Refusal(text) if !text.is_empty() => {
                    // A signature that follows without thinking of its own came with this text.
                    if seal.is_none()
                        && let Some(after) = parts.get(at + 1).and_then(|next| bare_seal(next, family))
                    {
                        (seal, used) = (Some(after), Some(at + 1));
                    }
                    let json = content.part().text("text", text);
                    json.maybe_text("thoughtSignature", seal.take()).end_object();
                }
                Content::Thinking(thinking) if used != Some(at) => {
                    lone_seal(&mut content, seal.take());
                    seal = own_seal(thinking, family);
                }
                Content::Call(call) => {
                    lone_seal(&mut content, seal.take());
                    let first = asked.is_empty();
                    let name = tools::at_target(names, &call.name);
                    write_call(content.part(), call, &name, family, first);
                    asked.push(Asked { id: &call.id, name });
                }
                Content::Media(image) if !media::is_empty(image) => {
                    let json = content.part();
                    media::write(image, json)?;
                    json.end_object();
                }
                _ => {}
            }
        }
        lone_seal(&mut content, seal);
        content.close();
        Ok(asked)
    }

    /// A user's content: first the responses to the calls before it, in a content of their own.
    fn user(&mut self, parts: &[&Part<'_>], asked: Vec<Asked<'_>>) -> Result<(), Untranslatable> {
        let results: Vec<&ToolResult<'_>> = parts.iter().filter_map(|part| result_of(part)).collect();
        // Those that answer no call yet, by id, the first one last.
        let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
        for (at, result) in results.iter().enumerate().rev() {
            places.entry(&result.id).or_default().push(at);
        }
        self.note_others(parts);
        for result in &results {
            self.note_others(&result.parts.iter().collect::<Vec<_>>());
        }
        if !asked.is_empty() {
            let with_ids = self.family.is_third();
            let mut content = self.open("user");
            let mut answered = Vec::new();
            for call in &asked {
                let found = places.get_mut(call.id).and_then(Vec::pop);
                let result = found.and_then(|at| results.get(at).copied());
                respond(content.part(), call, result, with_ids);
                answered.extend(result);
            }
            for part in answered.iter().flat_map(|result| &result.parts) {
                write_media(&mut content, part)?;
            }
            content.close();
        }
        let mut content = self.open("user");
        let mut orphans: Vec<usize> = places.into_values().flatten().collect();
        orphans.sort_unstable();
        for orphan in orphans.into_iter().filter_map(|at| results.get(at)) {
            content.text(&format!("{ORPHAN}\n{}", text_of_result(orphan)));
            for part in &orphan.parts {
                write_media(&mut content, part)?;
            }
        }
        for part in parts {
            if let Some(text) = text_of(part) {
                content.text(text);
            }
            write_media(&mut content, part)?;
        }
        content.close();
        Ok(())
    }

    /// Notes parts that only another dialect knows.
    fn note_others(&mut self, parts: &[&Part<'_>]) {
        for part in parts {
            if let Content::Other { kind, .. } = &part.content {
                self.body.drop_named(format!("messages[{kind}]"));
            }
        }
    }
}

fn result_of<'p, 'a>(part: &'p Part<'a>) -> Option<&'p ToolResult<'a>> {
    match &part.content {
        Content::Result(result) => Some(result),
        _ => None,
    }
}

/// Gemini's own signature of a block of thinking. The text itself does not go back: it is only a summary.
fn own_seal<'p>(thinking: &'p Thinking<'_>, family: Family) -> Option<&'p str> {
    let seal = thinking.seal.as_ref().filter(|seal| seal.by == By::Gemini && family.thinks != Thinks::No);
    seal.map(|seal| seal.data.as_ref())
}

fn bare_seal<'p>(part: &'p Part<'_>, family: Family) -> Option<&'p str> {
    match &part.content {
        Content::Thinking(thinking) if thinking.text.is_empty() => own_seal(thinking, family),
        _ => None,
    }
}

/// A signature whose text is gone. Gemini itself sends such parts at the end of a stream.
fn lone_seal(content: &mut Open<'_>, seal: Option<&str>) {
    if let Some(seal) = seal {
        content.part().text("text", "").text("thoughtSignature", seal).end_object();
    }
}

/// Images and files of a user's turn or a result.
fn write_media(content: &mut Open<'_>, part: &Part<'_>) -> Result<(), Untranslatable> {
    if let Content::Media(found) = &part.content
        && !media::is_empty(found)
    {
        let json = content.part();
        // There is no field for a file's name, and who asks about several files calls them by it.
        if let Some(name) = found.name.as_ref().filter(|name| !name.is_empty()) {
            json.text("text", &format!("{name}:")).end_object();
            json.begin_object();
        }
        media::write(found, json)?;
        json.end_object();
    }
    Ok(())
}
