//! A whole reply, from a provider and for a caller.

use super::answered::{Answered, annotations, stop_text};
use super::finish::{self, Ended};
use super::tally::{usage_in, write_usage};
use super::{calls, thinking};
use crate::fault::{UpstreamError, error_in, upstream_error};
use crate::json::{Json, Kind, Value, Writer};
use crate::neutral::{Ask, Broken, Choice, Citation, Content, Finish, Reply};
use bytes::Bytes;
use std::borrow::Cow;

/// Reads a reply with a good status.
///
/// # Errors
/// [`Broken`] if it is no chat completion, or the provider reports an error in it.
pub fn read_reply(body: &Bytes) -> Result<Reply, Broken> {
    let json = Json::parse_lenient(body.clone())
        .map_err(|error| Broken::Unreadable(format!("The provider's reply is not JSON: {error}.")))?;
    let root = json.root();
    if let Some(error) = error_of(root) {
        return Err(Broken::Said(error));
    }
    let text = |key: &str| root.get(key).and_then(|value| value.as_str()).map(Cow::into_owned);
    let choices = root.get("choices").filter(|choices| choices.kind() == Kind::Array);
    let Some(choices) = choices else {
        return Err(Broken::Unreadable(
            "The provider's reply is no chat completion: it has no choices.".into(),
        ));
    };
    let mut reply = Reply {
        id: text("id").unwrap_or_default(),
        model: text("model").unwrap_or_default(),
        created: root.get("created").and_then(|created| created.as_u64()),
        usage: usage_in(root),
        service_tier: text("service_tier"),
        choices: Vec::new(),
    };
    for (at, choice) in choices.elements().enumerate() {
        let read = read_choice(at, choice, root, &reply.id)?;
        reply.choices.push(read);
    }
    Ok(reply)
}

/// The error in a reply or chunk: OpenAI's `error`, or an error object in its place (Mistral, vLLM).
pub(super) fn error_of(root: Value<'_>) -> Option<UpstreamError> {
    let bare = root.get("object").is_some_and(|object| object.is_text("error"));
    error_in(root).or_else(|| bare.then(|| upstream_error(500, root.raw())))
}

/// What a finish reason that means failure says.
pub(super) fn failure(choice: Value<'_>) -> UpstreamError {
    error_in(choice).unwrap_or_else(|| UpstreamError {
        message: "The provider broke off its answer.".into(),
        kind: None,
        code: None,
        param: None,
        hint: crate::fault::Hint::ServerError,
    })
}

fn read_choice(at: usize, choice: Value<'_>, root: Value<'_>, reply: &str) -> Result<Choice, Broken> {
    let reason = choice.get("finish_reason").and_then(|reason| reason.as_str());
    let ended = reason.and_then(|reason| finish::read(&reason));
    if ended == Some(Ended::Failed) {
        return Err(Broken::Said(failure(choice)));
    }
    let mut parts: Vec<Content<'static>> = Vec::new();
    if let Some(message) = choice.get("message") {
        read_message(message, root, &mut parts);
        parts.extend(calls::of_message(message, reply, at).into_iter().map(Content::Call));
    }
    let has = |wanted: fn(&Content<'_>) -> bool| parts.iter().any(wanted);
    let calls = has(|part| matches!(part, Content::Call(_)));
    let refusal = has(|part| matches!(part, Content::Refusal(_)));
    let stop_sequence = stop_text(choice).map(Cow::into_owned);
    let finish = match ended {
        Some(Ended::Well(finish)) => Some(finish::settled(finish, calls, refusal)),
        _ => None,
    };
    let met = finish == Some(Finish::Stop) && stop_sequence.is_some();
    Ok(Choice {
        parts,
        finish: if met { Some(Finish::StopSequence) } else { finish },
        stop_sequence: stop_sequence.filter(|_| met),
        logprobs: Answered::logprobs(choice).map(|json| Cow::Owned(json.into_owned())),
    })
}

fn read_message(message: Value<'_>, root: Value<'_>, parts: &mut Vec<Content<'static>>) {
    for block in thinking::of_message(message) {
        let seal = block.seal.map(|seal| seal.to_owned_seal());
        let text = Cow::Owned(block.text.into_owned());
        parts.push(Content::Thinking(crate::neutral::Thinking { text, seal }));
    }
    for piece in Answered::of(message.get("content")) {
        match piece {
            Answered::Thinking(text) => parts.push(Content::Thinking(crate::neutral::Thinking {
                text: Cow::Owned(text.into_owned()),
                seal: None,
            })),
            Answered::Text(text) => parts.push(Content::text(text.into_owned())),
        }
    }
    let cited = annotations(message, Some(root));
    let cited: Vec<Citation<'static>> = cited.into_iter().map(Citation::into_static).collect();
    if let Some(Content::Text { citations, .. }) = parts.last_mut() {
        *citations = cited;
    }
    let refusal = message.get("refusal").and_then(|refusal| refusal.as_str());
    if let Some(refusal) = refusal.filter(|refusal| !refusal.is_empty()) {
        parts.push(Content::Refusal(Cow::Owned(refusal.into_owned())));
    }
}

/// Writes a reply as OpenAI's SDKs want it: every field that they require, whatever the provider left out.
#[must_use]
pub fn write_reply(reply: &Reply, ask: &Ask<'_>) -> Vec<u8> {
    let mut json = Writer::with_capacity(1024);
    json.begin_object().text("id", &super::encoder::id_of(&reply.id, ask.request_id));
    json.text("object", "chat.completion").key("created").number(reply.created.unwrap_or(ask.now));
    json.text("model", if reply.model.is_empty() { ask.model } else { &reply.model });
    json.key("choices").begin_array();
    for (index, choice) in (0..).zip(&reply.choices) {
        write_choice(&mut json, index, choice);
    }
    json.end_array().key("usage");
    match &reply.usage {
        Some(usage) => write_usage(&mut json, usage),
        None => {
            json.null();
        }
    }
    json.maybe_text("service_tier", reply.service_tier.as_deref().and_then(tier));
    json.key("system_fingerprint").null().end_object();
    json.finish()
}

/// A service tier in OpenAI's words; none for another maker's.
fn tier(tier: &str) -> Option<&str> {
    match tier {
        // Anthropic's word.
        "standard" => Some("default"),
        "auto" | "default" | "flex" | "scale" | "priority" | "fast" => Some(tier),
        _ => None,
    }
}

fn write_choice(json: &mut Writer, index: u64, choice: &Choice) {
    let mut message = Message::default();
    choice.parts.iter().for_each(|part| message.add(part));
    json.begin_object().key("index").number(index).key("message").begin_object().text("role", "assistant");
    message.write(json);
    json.end_object().key("logprobs");
    json.raw(choice.logprobs.as_deref().unwrap_or("null"));
    let finish = choice.finish.unwrap_or(Finish::Stop);
    json.text("finish_reason", finish::word(finish, !message.refusal.is_empty())).end_object();
}

/// An answer's parts by the member of the message that takes them.
#[derive(Default)]
struct Message<'a> {
    text: String,
    refusal: String,
    thinking: Vec<&'a crate::neutral::Thinking<'a>>,
    /// Each with where the text that it stands behind begins and ends.
    citations: Vec<(&'a Citation<'a>, (u64, u64))>,
    calls: Vec<&'a crate::neutral::Call<'a>>,
}

impl<'a> Message<'a> {
    fn add(&mut self, part: &'a Content<'a>) {
        match part {
            Content::Text { text, citations } => {
                let start = self.text.chars().count() as u64;
                self.text.push_str(text);
                let whole = (start, start + text.chars().count() as u64);
                let place = |citation: &'a Citation<'a>| {
                    let range = citation.range.map(|(from, to)| (start + from, start + to));
                    (citation, range.unwrap_or(whole))
                };
                self.citations.extend(citations.iter().map(place));
            }
            Content::Refusal(text) => self.refusal.push_str(text),
            Content::Thinking(thinking) => self.thinking.push(thinking),
            Content::Call(call) => self.calls.push(call),
            // Nothing in a chat message stands for them.
            Content::Media(_) | Content::Result(_) | Content::Other { .. } => {}
        }
    }

    fn write(&self, json: &mut Writer) {
        let silent = self.text.is_empty() && !(self.calls.is_empty() && self.refusal.is_empty());
        json.text_or_null("content", (!silent).then_some(&self.text));
        json.text_or_null("refusal", Some(self.refusal.as_str()).filter(|text| !text.is_empty()));
        json.key("annotations").begin_array();
        for (citation, range) in &self.citations {
            super::answered::write_annotation(json, citation, *range, None);
        }
        json.end_array();
        self.write_thinking(json);
        if !self.calls.is_empty() {
            json.key("tool_calls").begin_array();
            self.calls.iter().for_each(|call| calls::write(json, call));
            json.end_array();
        }
    }

    fn write_thinking(&self, json: &mut Writer) {
        let texts = self.thinking.iter().map(|block| block.text.as_ref()).filter(|text| !text.is_empty());
        let text = texts.collect::<Vec<_>>().join("\n\n");
        json.maybe_text("reasoning_content", Some(text.as_str()).filter(|text| !text.is_empty()));
        if self.thinking.iter().any(|block| block.seal.is_some()) {
            json.key("reasoning_details").begin_array();
            let mut index = 0;
            for block in &self.thinking {
                thinking::write_detail(json, &mut index, &block.text, block.seal.as_ref());
            }
            json.end_array();
        }
    }
}
