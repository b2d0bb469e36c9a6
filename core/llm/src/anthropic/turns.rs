//! Turns as Anthropic takes them: user and assistant by turns, the user first and last, every call answered in the very
//! next turn and answers before all else, no empty text, no thinking but Anthropic's own.
//!
//! Instructions that lead the conversation become `system`. Later ones are said by the user where they stand:
//! `role: system` inside of `messages` is not known to every version and model.

use crate::neutral::names::fitted_id;
use crate::neutral::{Body, Param};
use crate::neutral::{
    By, CacheTtl, Call, Citation, Content, Media, Part, Prompt, Role, Thinking, ToolResult, Turn,
};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

/// A conversation, ready to be written.
pub(super) struct Talk<'p> {
    /// The instructions; texts only.
    pub(super) system: Vec<Block<'p>>,
    /// The turns.
    pub(super) messages: Vec<Message<'p>>,
}

/// One turn.
pub(super) struct Message<'p> {
    /// Whether the assistant speaks, else the user.
    pub(super) assistant: bool,
    /// What; never empty.
    pub(super) blocks: Vec<Block<'p>>,
}

/// One block of a turn.
pub(super) struct Block<'p> {
    /// What it is.
    pub(super) kind: Kind<'p>,
    /// Its cache mark.
    pub(super) cache: Option<CacheTtl>,
}

/// What a block is.
pub(super) enum Kind<'p> {
    /// Text that is not blank.
    Text(Cow<'p, str>, &'p [Citation<'p>]),
    /// An image or a document.
    Media(&'p Media<'p>),
    /// A call under an id that no other call has.
    Call(String, &'p Call<'p>),
    /// The answer to a call; `None` if the caller has lost it.
    Result(String, Option<&'p ToolResult<'p>>),
    /// Thinking with Anthropic's own proof.
    Thinking(&'p Thinking<'p>),
    /// An object of Anthropic's own.
    Own(&'p str),
}

/// Stands before what the user says if the assistant spoke first.
const OPENING: &str = "(The conversation begins with your words.)";
/// Asks models that cannot go on from their own words to do so.
const GO_ON: &str = "Go on.";
/// Stands before the answer to a call that is no longer in the conversation.
const ORPHAN: &str = "The result of an earlier tool call:";

/// What Anthropic's own blocks are called that no other dialect has.
pub(crate) fn is_own(kind: &str) -> bool {
    matches!(kind, "server_tool_use" | "mcp_tool_use" | "container_upload" | "search_result" | "compaction")
        || (kind.ends_with("_tool_result") && kind != "tool_result")
}

/// The conversation of a prompt. `prefill`: whether the model goes on from its own last words.
pub(super) fn talk<'p>(prompt: &'p Prompt<'p>, prefill: bool, body: &mut Body) -> Talk<'p> {
    let instructs = |turn: &Turn<'_>| matches!(turn.role, Role::System | Role::Developer);
    let leading = prompt.turns.iter().take_while(|turn| instructs(turn)).count();
    // A conversation of instructions only: the last one is what the model is asked.
    let leading = if leading == prompt.turns.len() { leading.saturating_sub(1) } else { leading };
    let (first, later) = prompt.turns.split_at_checked(leading).unwrap_or((&[], &prompt.turns));
    let mut system = blocks(first, body);
    system.retain(|block| matches!(block.kind, Kind::Text(..)));
    let said = later.iter().map(|turn| Message {
        assistant: turn.role == Role::Assistant,
        blocks: blocks(std::slice::from_ref(turn), body),
    });
    let said = alternating(said.collect());
    let said = alternating(said.into_iter().map(without_last_thoughts).collect());
    // A result that says nothing and answers nothing leaves no turn between its neighbours.
    let mut messages = alternating(answered(said));
    ends(&mut messages, prefill);
    Talk { system, messages }
}

fn blocks<'p>(turns: &'p [Turn<'p>], body: &mut Body) -> Vec<Block<'p>> {
    let mut blocks = Vec::new();
    for turn in turns {
        if turn.name.is_some() {
            body.drop_named("messages[].name");
        }
        for part in &turn.parts {
            blocks.extend(block(part, turn.role == Role::Assistant, body));
        }
    }
    blocks
}

/// A part as a block; nothing if it is empty, not its speaker's to say or no other dialect's to read.
fn block<'p>(part: &'p Part<'p>, assistant: bool, body: &mut Body) -> Option<Block<'p>> {
    let kind = match &part.content {
        Content::Text { text, .. } | Content::Refusal(text) if text.trim().is_empty() => return None,
        Content::Text { text, citations } => {
            // A user's text with citations is refused since version 2026-10-21.
            let citations: &[Citation<'_>] = if assistant { citations } else { &[] };
            Kind::Text(Cow::Borrowed(text), citations)
        }
        Content::Refusal(text) => Kind::Text(Cow::Borrowed(text), &[]),
        Content::Media(media) if !assistant => Kind::Media(media),
        Content::Call(call) if assistant => Kind::Call(fitted_id(&call.id).into_owned(), call),
        Content::Result(result) if !assistant => {
            Kind::Result(fitted_id(&result.id).into_owned(), Some(result))
        }
        Content::Thinking(thinking) if assistant => {
            let own = thinking.seal.as_ref().is_some_and(|seal| seal.by == By::Anthropic);
            return own.then_some(Block { kind: Kind::Thinking(thinking), cache: None });
        }
        Content::Other { kind, json } if is_own(kind) => Kind::Own(json),
        Content::Other { kind, .. } => {
            body.drop_named(format!("messages[{kind}]"));
            return None;
        }
        Content::Media(_) => {
            body.drop_param(Param::Messages);
            return None;
        }
        Content::Call(_) | Content::Result(_) | Content::Thinking(_) => return None,
    };
    Some(Block { kind, cache: part.cache })
}

/// Neighbours of one speaker become one turn, empty turns none.
fn alternating(messages: Vec<Message<'_>>) -> Vec<Message<'_>> {
    let mut joined: Vec<Message<'_>> = Vec::with_capacity(messages.len());
    for message in messages.into_iter().filter(|message| !message.blocks.is_empty()) {
        match joined.last_mut() {
            Some(last) if last.assistant == message.assistant => last.blocks.extend(message.blocks),
            _ => joined.push(message),
        }
    }
    joined
}

/// A turn may not end with thinking.
fn without_last_thoughts(mut message: Message<'_>) -> Message<'_> {
    while matches!(message.blocks.last(), Some(Block { kind: Kind::Thinking(_), .. })) {
        message.blocks.pop();
    }
    message
}

/// Every call answered in the next turn, in the calls' order and before all else.
fn answered(messages: Vec<Message<'_>>) -> Vec<Message<'_>> {
    let mut done: Vec<Message<'_>> = Vec::with_capacity(messages.len() + 1);
    let mut used = BTreeMap::new();
    let mut open = Vec::new();
    for mut message in messages {
        if message.assistant {
            open = numbered(&mut message.blocks, &mut used);
        } else {
            message.blocks = answers(std::mem::take(&mut open), message.blocks);
        }
        done.push(message);
    }
    if !open.is_empty() {
        done.push(Message { assistant: false, blocks: answers(open, Vec::new()) });
    }
    done
}

/// A call that waits for its answer.
struct Open {
    /// The id that the caller's results name.
    given: String,
    /// The id that it has at the target.
    unique: String,
    /// Which call of its turn with the given id.
    nth: usize,
}

/// Gives calls ids that no earlier call has: some providers count anew in each turn.
fn numbered(blocks: &mut [Block<'_>], used: &mut BTreeMap<String, usize>) -> Vec<Open> {
    let mut open: Vec<Open> = Vec::new();
    let mut alike: HashMap<String, usize> = HashMap::new();
    for block in blocks {
        let Kind::Call(id, _) = &mut block.kind else { continue };
        let given = id.clone();
        let times = used.entry(given.clone()).or_insert(0);
        *times += 1;
        if *times > 1 {
            *id = fitted_id(&format!("{given}_{times}")).into_owned();
        }
        let count = alike.entry(given.clone()).or_default();
        open.push(Open { given, unique: id.clone(), nth: *count });
        *count += 1;
    }
    open
}

fn answers<'p>(open: Vec<Open>, blocks: Vec<Block<'p>>) -> Vec<Block<'p>> {
    // By the id that the caller gave: how many calls, and their results.
    let mut given: HashMap<&str, (usize, Vec<Block<'p>>)> = HashMap::new();
    for call in &open {
        given.entry(&call.given).or_default().0 += 1;
    }
    let mut others = Vec::new();
    for block in blocks {
        let place = match &block.kind {
            Kind::Result(id, _) => given.get_mut(id.as_str()),
            _ => None,
        };
        match place {
            Some((_, results)) => results.push(block),
            None => others.push(block),
        }
    }
    let mut all: Vec<Block<'p>> = open.iter().map(|call| answer(call, &given)).collect();
    all.extend(others.into_iter().flat_map(orphan));
    all
}

/// The answer to one call: of several the last one, unless there are several such calls.
fn answer<'p>(call: &Open, given: &HashMap<&str, (usize, Vec<Block<'p>>)>) -> Block<'p> {
    let found = given
        .get(call.given.as_str())
        .and_then(|(alike, results)| if *alike > 1 { results.get(call.nth) } else { results.last() });
    let result = found.and_then(|block| match block.kind {
        Kind::Result(_, result) => result,
        _ => None,
    });
    let cache = found.and_then(|block| block.cache);
    Block { kind: Kind::Result(call.unique.clone(), result), cache }
}

/// The answer to no call is what the user says.
fn orphan(block: Block<'_>) -> Vec<Block<'_>> {
    let Kind::Result(_, Some(result)) = block.kind else { return vec![block] };
    let mut said = vec![Block { kind: Kind::Text(ORPHAN.into(), &[]), cache: None }];
    let inner = result.parts.iter();
    said.extend(inner.filter_map(|part| match &part.content {
        Content::Text { text, .. } if !text.trim().is_empty() => {
            Some(Block { kind: Kind::Text(Cow::Borrowed(text), &[]), cache: part.cache })
        }
        Content::Media(media) => Some(Block { kind: Kind::Media(media), cache: part.cache }),
        _ => None,
    }));
    if said.len() == 1 {
        return Vec::new();
    }
    if let Some(last) = said.last_mut() {
        last.cache = block.cache.or(last.cache);
    }
    said
}

fn user(text: &'static str) -> Message<'static> {
    Message { assistant: false, blocks: vec![Block { kind: Kind::Text(text.into(), &[]), cache: None }] }
}

/// The user has the first word, and the last one too unless the model may go on from its own.
fn ends<'p>(messages: &mut Vec<Message<'p>>, prefill: bool) {
    if messages.first().is_some_and(|first| first.assistant) {
        messages.insert(0, user(OPENING));
    }
    let Some(last) = messages.last_mut().filter(|last| last.assistant) else { return };
    if !prefill {
        messages.push(user(GO_ON));
        return;
    }
    if let Some(Block { kind: Kind::Text(text, _), .. }) = last.blocks.last_mut() {
        // Words to go on from may not end in white space.
        *text = Cow::Owned(text.trim_end().to_owned());
    }
}
