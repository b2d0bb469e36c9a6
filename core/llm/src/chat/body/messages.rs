//! Turns as messages. Chat wants each call answered right behind the message that makes it, once, by a message that
//! holds text only; other dialects, and callers who cut their histories, are not as strict.

use super::parts::{self, content_json};
use super::{Draft, MAX_NAME_BYTES, tools};
use crate::chat::thinking;
use crate::neutral::arguments::wrapped_text;
use crate::neutral::names::{fitted, nine};
use crate::neutral::{
    By, Call, Content, MediaKind, Part, Prompt, Role, Seal, Source, Thinking, ToolResult, Turn,
    Untranslatable,
};
use crate::vendor::Echo;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// Longest call id that OpenAI takes here, in bytes.
const MAX_ID_BYTES: usize = 40;
/// What a call is answered with that nobody answered.
const UNANSWERED: &str = "(no result)";

/// Writes `messages`.
pub(super) fn write(draft: &mut Draft<'_>, prompt: &Prompt<'_>) -> Result<(), Untranslatable> {
    draft.json.key("messages").begin_array();
    if let Some(text) = tools::instruction(prompt, draft.quirks) {
        draft.json.begin_object().text("role", "system").text("content", &text).end_object();
    }
    // Thinking of an answer that the user has replied to is of no use to most.
    let said = |turn: &Turn<'_>| turn.role == Role::User && !turn.parts.iter().any(is_result);
    let current = prompt.turns.iter().rposition(said).unwrap_or(0);
    let mut answered = HashSet::new();
    let mut at = 0;
    while let Some(turn) = prompt.turns.get(at) {
        if turn.role == Role::Assistant {
            let behind = prompt.turns.get(at..).unwrap_or_default();
            let group = behind.get(..together(behind)).unwrap_or_default();
            assistant(draft, group, at > current);
            let next = behind.get(group.len()..).unwrap_or_default();
            answered = results(draft, group, next)?;
            at += group.len();
        } else {
            spoken(draft, turn, &mut answered)?;
            at += 1;
        }
    }
    draft.json.end_array();
    Ok(())
}

fn is_result(part: &Part<'_>) -> bool {
    matches!(part.content, Content::Result(_))
}

/// How many turns at the start are one message: a message whose calls are not answered yet goes on.
fn together(turns: &[Turn<'_>]) -> usize {
    let mut calls = false;
    let mut goes_on = |turn: &Turn<'_>| {
        let on = turn.role == Role::Assistant && calls;
        calls |= turn.parts.iter().any(|part| matches!(part.content, Content::Call(_)));
        on
    };
    let Some((first, rest)) = turns.split_first() else { return 0 };
    goes_on(first);
    1 + rest.iter().take_while(|turn| goes_on(turn)).count()
}

fn assistant(draft: &mut Draft<'_>, group: &[Turn<'_>], current: bool) {
    let parts = || group.iter().flat_map(|turn| &turn.parts);
    let calls: Vec<&Call<'_>> = parts().filter_map(|part| call_of(&part.content)).collect();
    let refused = parts().find_map(|part| match &part.content {
        Content::Refusal(text) if draft.quirks.custom_tools => Some(text.as_ref()),
        _ => None,
    });
    let mut texts = Vec::new();
    for part in parts() {
        match &part.content {
            Content::Text { .. } => texts.push(part.clone()),
            Content::Refusal(text) if refused.is_none() => texts.push(Part::text(text.as_ref())),
            Content::Media(media) => {
                draft.noted.drop_named(format!("messages[assistant.{}]", kind(media.kind)))
            }
            Content::Other { kind, .. } => draft.noted.drop_named(format!("messages[{kind}]")),
            _ => {}
        }
    }
    let json = &mut draft.json;
    json.begin_object().text("role", "assistant").key("content");
    if texts.is_empty() && (!calls.is_empty() || refused.is_some()) {
        json.null();
    } else {
        content_json(json, &texts, draft.quirks);
    }
    json.maybe_text("refusal", refused);
    speaker(draft, group.iter().find_map(|turn| turn.name.as_deref()));
    echo(draft, parts(), current || !calls.is_empty());
    if !calls.is_empty() {
        draft.json.key("tool_calls").begin_array();
        calls.iter().for_each(|call| write_call(draft, call));
        draft.json.end_array();
    }
    draft.json.end_object();
}

/// Past thinking, as the target wants it back.
fn echo<'p>(draft: &mut Draft<'_>, parts: impl Iterator<Item = &'p Part<'p>>, wanted: bool) {
    let blocks: Vec<&Thinking<'_>> = parts
        .filter_map(|part| match &part.content {
            Content::Thinking(thinking) => Some(thinking),
            _ => None,
        })
        .collect();
    match draft.quirks.reasoning_echo {
        Echo::Content if wanted => {
            // What has a proof is another maker's, and its text may come out of an envelope that no guard has read.
            let own = blocks.iter().filter(|block| block.seal.is_none());
            let text = own.map(|block| block.text.as_ref()).collect::<Vec<_>>().join("\n\n");
            draft
                .json
                .maybe_text("reasoning_content", Some(text.as_str()).filter(|text| !text.trim().is_empty()));
        }
        Echo::Details => echo_details(draft, &blocks),
        _ => {}
    }
}

/// Whoever signs its thinking refuses what is not signed; whoever does not has none that is.
fn echo_details(draft: &mut Draft<'_>, blocks: &[&Thinking<'_>]) {
    // Anthropic checks its signature against the text, so that no other text can be slipped in; of the others only what
    // they alone can read goes back.
    let checked = |seal: &Seal<'_>| seal.by == By::Anthropic || seal.hidden;
    let mut sealed = blocks.iter().filter(|block| block.seal.as_ref().is_some_and(checked)).peekable();
    if sealed.peek().is_none() {
        let text = blocks
            .iter()
            .filter(|block| block.seal.is_none())
            .map(|block| block.text.as_ref())
            .collect::<Vec<_>>()
            .join("\n\n");
        draft.json.maybe_text("reasoning", Some(text.as_str()).filter(|text| !text.is_empty()));
        return;
    }
    draft.json.key("reasoning_details").begin_array();
    let mut index = 0;
    for block in sealed {
        thinking::write_detail(&mut draft.json, &mut index, &block.text, block.seal.as_ref());
    }
    draft.json.end_array();
}

fn call_of<'p>(content: &'p Content<'p>) -> Option<&'p Call<'p>> {
    match content {
        Content::Call(call) => Some(call),
        _ => None,
    }
}

fn write_call(draft: &mut Draft<'_>, call: &Call<'_>) {
    let id = id_for(draft, &call.id);
    let name = fitted(draft.names.at_target(&call.name), MAX_NAME_BYTES);
    let json = &mut draft.json;
    json.begin_object().text("id", &id);
    if call.custom && draft.quirks.custom_tools {
        json.text("type", "custom").key("custom").begin_object();
        json.text("name", &name).text("input", &call.arguments);
    } else {
        let arguments: Cow<'_, str> = if call.custom {
            wrapped_text(&call.arguments).into()
        } else {
            crate::neutral::arguments::as_object(&call.arguments)
        };
        json.text("type", "function").key("function").begin_object();
        json.text("name", &name).text("arguments", &arguments);
    }
    json.end_object().end_object();
}

fn id_for<'i>(draft: &Draft<'_>, id: &'i str) -> Cow<'i, str> {
    if draft.quirks.nine_letter_ids { nine(id) } else { fitted(id, MAX_ID_BYTES) }
}

/// Writes one message for each call of a message, and returns which of them were answered by the turns behind it.
fn results<'p>(
    draft: &mut Draft<'_>,
    group: &[Turn<'_>],
    behind: &'p [Turn<'p>],
) -> Result<HashSet<&'p str>, Untranslatable> {
    let until = behind.iter().position(|turn| turn.role == Role::Assistant).unwrap_or(behind.len());
    let behind = behind.get(..until).unwrap_or_default();
    // Of several results for one call the first one counts.
    let mut given: HashMap<&str, &ToolResult<'_>> = HashMap::new();
    for result in behind.iter().flat_map(|turn| &turn.parts).filter_map(result_of) {
        given.entry(&result.id).or_insert(result);
    }
    let mut answered = HashSet::new();
    for call in group.iter().flat_map(|turn| &turn.parts).filter_map(|part| call_of(&part.content)) {
        let result = given.remove(call.id.as_ref());
        let id = id_for(draft, &call.id);
        draft.json.begin_object().text("role", "tool").text("tool_call_id", &id).key("content");
        match result {
            Some(result) => {
                answered.insert(result.id.as_ref());
                write_result(draft, result);
            }
            None => {
                draft.json.string(UNANSWERED);
            }
        }
        draft.json.end_object();
    }
    Ok(answered)
}

fn result_of<'p>(part: &'p Part<'p>) -> Option<&'p ToolResult<'p>> {
    match &part.content {
        Content::Result(result) => Some(result),
        _ => None,
    }
}

/// The text of a result; its images and files follow in the user's message. Chat has no word for a tool that failed, so
/// the text says it.
fn write_result(draft: &mut Draft<'_>, result: &ToolResult<'_>) {
    let mut texts = Vec::new();
    for part in &result.parts {
        match &part.content {
            Content::Other { kind, .. } => draft.noted.drop_named(format!("messages[{kind}]")),
            other => texts.extend(parts::as_text(other).map(Part::text)),
        }
    }
    if result.is_error {
        match texts.first_mut().map(|part| &mut part.content) {
            Some(Content::Text { text, .. }) if text.trim().is_empty() => *text = Cow::Borrowed("Error"),
            Some(Content::Text { text, .. }) if !says_error(text) => {
                *text = Cow::Owned(format!("Error: {text}"))
            }
            Some(_) => {}
            None => texts.push(Part::text("Error")),
        }
    }
    content_json(&mut draft.json, &texts, draft.quirks);
}

fn says_error(text: &str) -> bool {
    text.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("error"))
}

/// A message of the user's, the system's or the developer's.
fn spoken(
    draft: &mut Draft<'_>,
    turn: &Turn<'_>,
    answered: &mut HashSet<&str>,
) -> Result<(), Untranslatable> {
    let mut sent: Vec<Part<'_>> = Vec::new();
    let mut hoisted = false;
    for part in &turn.parts {
        match &part.content {
            Content::Result(result) => {
                if answered.remove(result.id.as_ref()) {
                    hoisted = true;
                } else {
                    // It answers no call that is there: what it says is kept as what the user says.
                    orphan(result, &mut sent);
                }
                media_of(draft, result, &mut sent);
            }
            Content::Other { kind, .. } if kind != "video_url" => {
                draft.noted.drop_named(format!("messages[{kind}]"));
            }
            Content::Thinking(_) | Content::Call(_) => {}
            _ => sent.push(part.clone()),
        }
    }
    if sent.is_empty() && (hoisted || !turn.parts.is_empty()) {
        return Ok(());
    }
    sent.iter().try_for_each(|part| parts::check(part, draft.quirks))?;
    let role = match turn.role {
        Role::Developer if draft.quirks.developer_role => "developer",
        Role::System | Role::Developer => "system",
        Role::User | Role::Assistant => "user",
    };
    draft.json.begin_object().text("role", role).key("content");
    content_json(&mut draft.json, &sent, draft.quirks);
    speaker(draft, turn.name.as_deref());
    draft.json.end_object();
    Ok(())
}

fn speaker(draft: &mut Draft<'_>, name: Option<&str>) {
    if draft.quirks.speaker_names {
        draft.json.maybe_text("name", name);
    } else if name.is_some() {
        draft.noted.drop_named("messages[name]");
    }
}

fn orphan<'p>(result: &'p ToolResult<'_>, sent: &mut Vec<Part<'p>>) {
    let texts: Vec<_> = result.parts.iter().filter_map(|part| parts::as_text(&part.content)).collect();
    let text = texts.join("\n");
    sent.push(Part::text(format!("Result of an earlier tool call:\n{text}")));
}

/// Images and files of a result, which a message of a tool cannot hold, and whose they are.
fn media_of<'p>(draft: &Draft<'_>, result: &'p ToolResult<'_>, sent: &mut Vec<Part<'p>>) {
    let is_media = |part: &&'p Part<'_>| match &part.content {
        Content::Media(media) => !matches!(media.source, Source::Text(_)),
        _ => false,
    };
    let mut media = result.parts.iter().filter(is_media).peekable();
    if media.peek().is_some() {
        let id = id_for(draft, &result.id);
        sent.push(Part::text(format!("Attached to the result of tool call {id}:")));
        sent.extend(media.cloned());
    }
}

const fn kind(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "image",
        MediaKind::Document => "document",
        MediaKind::Audio => "audio",
    }
}
