//! The texts of a reply that must fit.
//!
//! - [`Answer`]: what one choice or message says.
//! - [`answers`]: all of them, found in the dialect of each API.

use weir_sdk::{AccessError, Api, Request};

/// Longest text that is checked.
const MAX_TEXT: u32 = 512 << 10;
/// Longest name of a kind of block or item.
const MAX_WORD: u32 = 64;
/// Most choices, items or blocks that are looked at.
const MAX_PARTS: usize = 1_024;

/// What one choice or message says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Answer {
    /// Its texts, in order: one, but for dialects that cut a message into parts.
    pub(crate) texts: Vec<String>,
    /// Whether it calls tools: what it says beside is not the answer.
    pub(crate) calls: bool,
    /// Whether the model declined, in the words of the protocol.
    pub(crate) declined: bool,
}

/// Everything that a reply answers; none if its API has no such thing.
///
/// # Errors
/// A text is too long, or there are too many ([`AccessError::Budget`]).
pub(crate) fn answers(api: &Api, reply: &dyn Request) -> Result<Vec<Answer>, AccessError> {
    match api {
        Api::Chat => chat(reply),
        Api::Responses => responses(reply).map(|answer| vec![answer]),
        Api::Messages => messages(reply).map(|answer| vec![answer]),
        _ => Ok(Vec::new()),
    }
}

fn chat(reply: &dyn Request) -> Result<Vec<Answer>, AccessError> {
    let choice = |at: String| -> Result<Answer, AccessError> {
        let text = text(reply, &format!("{at}/message/content"), MAX_TEXT)?;
        Ok(Answer {
            texts: text.into_iter().collect(),
            calls: some(reply, &format!("{at}/message/tool_calls/0"))?
                || some(reply, &format!("{at}/message/function_call"))?,
            declined: some(reply, &format!("{at}/message/refusal"))?,
        })
    };
    each(reply, "/choices")?.map(choice).collect()
}

fn responses(reply: &dyn Request) -> Result<Answer, AccessError> {
    let mut answer = Answer::default();
    for item in each(reply, "/output")? {
        let kind = text(reply, &format!("{item}/type"), MAX_WORD)?;
        match kind.as_deref() {
            Some("message") => {}
            Some(kind) if kind.ends_with("_call") => {
                // Tools of the provider's run before it answers; the caller's are what it answers with.
                answer.calls |= matches!(kind, "function_call" | "custom_tool_call");
                continue;
            }
            _ => continue,
        }
        for part in each(reply, &format!("{item}/content"))? {
            match text(reply, &format!("{part}/type"), MAX_WORD)?.as_deref() {
                Some("output_text") => answer.texts.extend(text(reply, &format!("{part}/text"), MAX_TEXT)?),
                Some("refusal") => answer.declined = true,
                _ => {}
            }
        }
    }
    Ok(answer)
}

fn messages(reply: &dyn Request) -> Result<Answer, AccessError> {
    let stop = text(reply, "/stop_reason", MAX_WORD)?;
    let mut answer = Answer { declined: stop.as_deref() == Some("refusal"), ..Answer::default() };
    for block in each(reply, "/content")? {
        match text(reply, &format!("{block}/type"), MAX_WORD)?.as_deref() {
            Some("text") => answer.texts.extend(text(reply, &format!("{block}/text"), MAX_TEXT)?),
            Some("tool_use") => answer.calls = true,
            _ => {}
        }
    }
    Ok(answer)
}

/// The pointers of all elements of a list.
fn each(reply: &dyn Request, list: &str) -> Result<impl Iterator<Item = String> + use<>, AccessError> {
    let mut count = 0;
    while is_there(reply, &format!("{list}/{count}"))? {
        count += 1;
        if count > MAX_PARTS {
            return Err(AccessError::Budget);
        }
    }
    let list = list.to_owned();
    Ok((0..count).map(move |at| format!("{list}/{at}")))
}

/// The text at a pointer; none if there is nothing, or nothing that is a text. A text has as many bytes as it has, not as
/// its JSON has: escapes make it longer.
fn text(reply: &dyn Request, pointer: &str, most: u32) -> Result<Option<String>, AccessError> {
    let Some(json) = reply.json(pointer, most.saturating_mul(2))? else { return Ok(None) };
    let text: Option<String> = serde_json::from_str(&json).unwrap_or_default();
    match text {
        Some(text) if text.len() > most as usize => Err(AccessError::Budget),
        text => Ok(text.filter(|text| !text.is_empty())),
    }
}

/// Whether something stands at a pointer. Nothing of it is copied.
fn is_there(reply: &dyn Request, pointer: &str) -> Result<bool, AccessError> {
    match reply.json(pointer, 0) {
        Ok(json) => Ok(json.is_some()),
        Err(AccessError::Budget) => Ok(true),
        Err(error) => Err(error),
    }
}

/// The same for what is not `null`, which means that there is nothing.
fn some(reply: &dyn Request, pointer: &str) -> Result<bool, AccessError> {
    match reply.json(pointer, 4) {
        Ok(json) => Ok(json.is_some_and(|json| json != "null" && json != "\"\"")),
        Err(AccessError::Budget) => Ok(true),
        Err(error) => Err(error),
    }
}
