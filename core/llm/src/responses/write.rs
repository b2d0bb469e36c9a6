//! A whole reply as the Response object that the caller asked for.

use super::echo::{Echo, State, Status};
use super::items::{self, CallItem, item_id};
use super::part::{MessagePart, tokens};
use super::spaces::Spaces;
use super::wire::is_own;
use crate::json::Writer;
use crate::neutral::arguments::{as_object, is_object};
use crate::neutral::{Ask, Call, Choice, Content, MediaKind, Reply, Source};

/// Writes the reply; of several answers the first, since this API knows one.
#[must_use]
pub fn write_reply(reply: &Reply, ask: &Ask<'_>) -> Vec<u8> {
    let echo = Echo::of(ask);
    let head = echo.head(&reply.id, &reply.model, reply.created);
    let none = Choice::default();
    let choice = reply.choices.first().unwrap_or(&none);
    let refused = choice.parts.iter().any(|part| matches!(part, Content::Refusal(_)));
    let status = Status::of(choice.finish, refused);
    let output = output(choice, &head.id, status, Spaces::of(ask.root));
    let state = State {
        status,
        output: &output,
        usage: reply.usage.as_ref(),
        service_tier: reply.service_tier.as_deref(),
    };
    let mut json = Writer::with_capacity(1024);
    echo.write(&mut json, &head, &state);
    json.finish()
}

fn output(choice: &Choice, response: &str, status: Status<'_>, spaces: Spaces) -> Vec<String> {
    let mut output = Output { response, spaces, items: Vec::new(), message: Vec::new() };
    let mut logprobs = choice.logprobs.as_ref().map(tokens).unwrap_or_default();
    for part in &choice.parts {
        match part {
            Content::Text { text, citations } if !text.is_empty() => {
                let mut part = MessagePart { text: text.to_string(), ..MessagePart::default() };
                citations.iter().for_each(|citation| {
                    part.cite(citation);
                });
                // They are the answer's, and most answers have one text.
                part.logprobs = std::mem::take(&mut logprobs);
                output.message.push(part.json());
            }
            Content::Refusal(text) => {
                let part = MessagePart { refusal: true, text: text.to_string(), ..MessagePart::default() };
                output.message.push(part.json());
            }
            Content::Text { .. } | Content::Result(_) => {}
            Content::Thinking(thinking) => {
                output.item("rs", |id| items::reasoning(id, &thinking.text, thinking.seal.as_ref()))
            }
            Content::Call(call) => output.call(call),
            Content::Media(media) => {
                if let (MediaKind::Image, Source::Base64(data)) = (media.kind, &media.source) {
                    output.item("ig", |id| items::image(id, data));
                }
            }
            Content::Other { kind, json } if is_own(kind) => output.item("", |_| json.to_string()),
            Content::Other { .. } => {}
        }
    }
    // Only the last item can have been cut.
    output.close(if status == Status::Completed { "completed" } else { "incomplete" });
    output.items
}

/// Items as they are finished. Texts in a row are one message.
struct Output<'a> {
    response: &'a str,
    spaces: Spaces,
    items: Vec<String>,
    /// The parts of the message that is not finished.
    message: Vec<String>,
}

impl Output<'_> {
    fn item(&mut self, prefix: &str, write: impl FnOnce(&str) -> String) {
        self.close("completed");
        let id = item_id(prefix, self.response, self.items.len());
        self.items.push(write(&id));
    }

    fn call(&mut self, call: &Call<'_>) {
        let spaces = std::mem::take(&mut self.spaces);
        let (name, space) = spaces.home(&call.name);
        self.item(if call.custom { "ctc" } else { "fc" }, |id| {
            let item = CallItem { id, call_id: &call.id, name, space, custom: call.custom };
            if call.custom {
                return item.json("completed", &call.arguments);
            }
            item.json(call_status(&call.arguments), &as_object(&call.arguments))
        });
        self.spaces = spaces;
    }

    fn close(&mut self, status: &str) {
        if !self.message.is_empty() {
            let parts = std::mem::take(&mut self.message);
            let id = item_id("msg", self.response, self.items.len());
            self.items.push(items::message(&id, status, &parts));
        }
    }
}

/// A function's arguments that are no whole object were cut.
pub(super) fn call_status(arguments: &str) -> &'static str {
    if arguments.trim().is_empty() || is_object(arguments) { "completed" } else { "incomplete" }
}
