//! A streamed reply, piece by piece.
//!
//! Order, which decoders keep and encoders rely on: one [`Event::Start`]; then for each choice its pieces, where a call
//! begins with [`Event::CallStart`], ends with [`Event::CallEnd`] and calls may interleave; one [`Event::Finish`] a
//! choice; [`Event::Usage`] anywhere, any number of times, the last one counts; [`Event::End`] last. A stream that stops
//! without [`Event::End`] was cut. After [`Event::Error`] nothing follows.

use super::content::Citation;
use super::reply::{Choice, Finish, Reply};
use super::seal::Seal;
use super::{Call, Content, Raw, Thinking};
use crate::fault::UpstreamError;
use crate::usage::Usage;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// One piece. `choice` counts from 0.
#[derive(Clone, PartialEq)]
pub enum Event<'a> {
    /// The reply begins.
    Start {
        /// The provider's id of it; may be empty.
        id: Cow<'a, str>,
        /// The model that answers, in the provider's words; may be empty.
        model: Cow<'a, str>,
        /// When, in seconds since 1970.
        created: Option<u64>,
    },
    /// More text.
    Text {
        /// Of which answer.
        choice: u32,
        /// The text.
        text: Cow<'a, str>,
    },
    /// What the text so far of the current block cites.
    Citation {
        /// Of which answer.
        choice: u32,
        /// What it cites.
        citation: Citation<'a>,
    },
    /// More of why the model will not answer.
    Refusal {
        /// Of which answer.
        choice: u32,
        /// The text.
        text: Cow<'a, str>,
    },
    /// More thinking.
    Thinking {
        /// Of which answer.
        choice: u32,
        /// The text.
        text: Cow<'a, str>,
    },
    /// The proof of the thinking since the last proof, which ends that block; without thinking before it: a block that
    /// the provider keeps to itself.
    Sealed {
        /// Of which answer.
        choice: u32,
        /// The proof.
        seal: Seal<'a>,
    },
    /// A block of text or thinking ended and the next piece begins another, even of the same kind.
    Break {
        /// Of which answer.
        choice: u32,
    },
    /// A call begins.
    CallStart {
        /// Of which answer.
        choice: u32,
        /// Which call of the reply, counting from 0.
        call: u32,
        /// As [`Call::id`].
        id: Cow<'a, str>,
        /// As [`Call::name`].
        name: Cow<'a, str>,
        /// As [`Call::custom`].
        custom: bool,
        /// As [`Call::seal`].
        seal: Option<Seal<'a>>,
    },
    /// More of a call's arguments.
    CallArguments {
        /// Which call.
        call: u32,
        /// The text.
        text: Cow<'a, str>,
    },
    /// A call is complete.
    CallEnd {
        /// Which call.
        call: u32,
    },
    /// OpenAI's `logprobs` of the text that came with it.
    Logprobs {
        /// Of which answer.
        choice: u32,
        /// `{"content":[…],"refusal":…}`
        json: Raw<'a>,
    },
    /// What only one dialect knows, whole: as [`Content::Other`].
    Other {
        /// Of which answer.
        choice: u32,
        /// Its `type` there.
        kind: Cow<'a, str>,
        /// The whole object.
        json: Raw<'a>,
    },
    /// An answer ended.
    Finish {
        /// Which.
        choice: u32,
        /// Why.
        reason: Finish,
        /// The stop text that was met.
        stop_sequence: Option<Cow<'a, str>>,
    },
    /// What was used so far.
    Usage(Usage),
    /// A keep-alive.
    Ping,
    /// The provider reported an error in the stream.
    Error(UpstreamError),
    /// The provider's own last event came.
    End,
}

impl Event<'_> {
    /// Decoded bytes of what the model wrote with it.
    #[must_use]
    pub fn content_bytes(&self) -> u64 {
        let bytes = match self {
            Self::Text { text, .. }
            | Self::Refusal { text, .. }
            | Self::Thinking { text, .. }
            | Self::CallArguments { text, .. } => text.len(),
            Self::CallStart { name, .. } => name.len(),
            _ => 0,
        };
        bytes as u64
    }
}

impl Reply {
    /// The reply as the stream that would have brought it.
    pub fn events(&self, sink: &mut dyn FnMut(Event<'_>)) {
        sink(Event::Start {
            id: Cow::Borrowed(&self.id),
            model: Cow::Borrowed(&self.model),
            created: self.created,
        });
        let mut call = 0;
        for (choice, answer) in (0..).zip(&self.choices) {
            answer.events(choice, &mut call, sink);
        }
        if let Some(usage) = self.usage {
            sink(Event::Usage(usage));
        }
        sink(Event::End);
    }
}

impl Choice {
    fn events(&self, choice: u32, call: &mut u32, sink: &mut dyn FnMut(Event<'_>)) {
        for (index, part) in self.parts.iter().enumerate() {
            if index > 0 {
                sink(Event::Break { choice });
            }
            piece(choice, part, call, sink);
        }
        if let Some(json) = &self.logprobs {
            sink(Event::Logprobs { choice, json: Cow::Borrowed(json) });
        }
        sink(Event::Finish {
            choice,
            reason: self.finish.unwrap_or(Finish::Stop),
            stop_sequence: self.stop_sequence.as_deref().map(Cow::Borrowed),
        });
    }
}

fn piece(choice: u32, part: &Content<'_>, call: &mut u32, sink: &mut dyn FnMut(Event<'_>)) {
    match part {
        Content::Text { text, citations } => {
            sink(Event::Text { choice, text: Cow::Borrowed(text) });
            for citation in citations {
                sink(Event::Citation { choice, citation: citation.clone() });
            }
        }
        Content::Refusal(text) => sink(Event::Refusal { choice, text: Cow::Borrowed(text) }),
        Content::Thinking(Thinking { text, seal }) => {
            if !text.is_empty() {
                sink(Event::Thinking { choice, text: Cow::Borrowed(text) });
            }
            if let Some(seal) = seal {
                sink(Event::Sealed { choice, seal: seal.clone() });
            }
        }
        Content::Call(made) => {
            let at = *call;
            *call += 1;
            sink(Event::CallStart {
                choice,
                call: at,
                id: Cow::Borrowed(&made.id),
                name: Cow::Borrowed(&made.name),
                custom: made.custom,
                seal: made.seal.clone(),
            });
            if !made.arguments.is_empty() {
                sink(Event::CallArguments { call: at, text: Cow::Borrowed(&made.arguments) });
            }
            sink(Event::CallEnd { call: at });
        }
        Content::Other { kind, json } => {
            sink(Event::Other { choice, kind: Cow::Borrowed(kind), json: Cow::Borrowed(json) });
        }
        Content::Media(_) | Content::Result(_) => {}
    }
}

/// Puts a reply together from its events.
#[derive(Default)]
pub struct Assembler {
    reply: Reply,
    /// Where each call stands: choice and part.
    calls: BTreeMap<u32, (usize, usize)>,
    /// Whether the next piece of a choice begins a block of its own.
    broken: Vec<bool>,
}

impl Assembler {
    /// Takes one event.
    pub fn push(&mut self, event: &Event<'_>) {
        match event {
            Event::Start { id, model, created } => {
                self.reply.id = id.to_string();
                self.reply.model = model.to_string();
                self.reply.created = *created;
            }
            Event::Text { choice, text } => self.text(*choice, text),
            Event::Refusal { choice, text } => match self.last(*choice) {
                Some(Content::Refusal(known)) => known.to_mut().push_str(text),
                _ => self.add(*choice, Content::Refusal(text.to_string().into())),
            },
            Event::Thinking { choice, text } => match self.last(*choice) {
                Some(Content::Thinking(Thinking { text: known, seal: None })) => {
                    known.to_mut().push_str(text)
                }
                _ => self.add(*choice, thinking(text, None)),
            },
            Event::Sealed { choice, seal } => match self.last(*choice) {
                Some(Content::Thinking(Thinking { seal: free @ None, .. })) => {
                    *free = Some(seal.to_owned_seal())
                }
                _ => self.add(*choice, thinking("", Some(seal.to_owned_seal()))),
            },
            Event::Citation { choice, citation } => {
                if let Some(Content::Text { citations, .. }) = self.last(*choice) {
                    citations.push(citation.clone().into_static());
                }
            }
            Event::Break { choice } => {
                let at = self.choice(*choice);
                self.broken[at] = true;
            }
            Event::CallStart { choice, call, id, name, custom, seal } => {
                let at = self.choice(*choice);
                self.calls.insert(*call, (at, self.reply.choices[at].parts.len()));
                self.add(
                    *choice,
                    Content::Call(Call {
                        id: id.to_string().into(),
                        name: name.to_string().into(),
                        arguments: Cow::Borrowed(""),
                        custom: *custom,
                        seal: seal.as_ref().map(Seal::to_owned_seal),
                    }),
                );
            }
            Event::CallArguments { call, text } => {
                let place = self.calls.get(call).copied();
                let part =
                    place.and_then(|(choice, part)| self.reply.choices.get_mut(choice)?.parts.get_mut(part));
                if let Some(Content::Call(made)) = part {
                    made.arguments.to_mut().push_str(text);
                }
            }
            Event::Logprobs { choice, json } => {
                let at = self.choice(*choice);
                let known = self.reply.choices[at].logprobs.take();
                self.reply.choices[at].logprobs = Some(joined_logprobs(known.as_deref(), json).into());
            }
            Event::Other { choice, kind, json } => self.add(
                *choice,
                Content::Other { kind: kind.to_string().into(), json: json.to_string().into() },
            ),
            Event::Finish { choice, reason, stop_sequence } => {
                let at = self.choice(*choice);
                let answer = &mut self.reply.choices[at];
                answer.finish = Some(*reason);
                answer.stop_sequence = stop_sequence.as_ref().map(ToString::to_string);
            }
            Event::Usage(usage) => self.reply.usage = Some(*usage),
            Event::CallEnd { .. } | Event::Ping | Event::Error(_) | Event::End => {}
        }
    }

    /// What there is so far.
    #[must_use]
    pub const fn reply(&self) -> &Reply {
        &self.reply
    }

    /// All that came.
    #[must_use]
    pub fn finish(self) -> Reply {
        self.reply
    }

    fn text(&mut self, choice: u32, text: &str) {
        match self.last(choice) {
            Some(Content::Text { text: known, .. }) => known.to_mut().push_str(text),
            _ => self.add(choice, Content::text(text.to_owned())),
        }
    }

    fn choice(&mut self, choice: u32) -> usize {
        // A request asks for at most 128 answers.
        let at = (choice as usize).min(127);
        while self.reply.choices.len() <= at {
            self.reply.choices.push(Choice::default());
            self.broken.push(false);
        }
        at
    }

    /// The block that the next piece may belong to.
    fn last(&mut self, choice: u32) -> Option<&mut Content<'static>> {
        let at = self.choice(choice);
        if self.broken[at] {
            return None;
        }
        self.reply.choices[at].parts.last_mut()
    }

    fn add(&mut self, choice: u32, content: Content<'static>) {
        let at = self.choice(choice);
        self.broken[at] = false;
        self.reply.choices[at].parts.push(content);
    }
}

fn thinking(text: &str, seal: Option<Seal<'static>>) -> Content<'static> {
    Content::Thinking(Thinking { text: text.to_owned().into(), seal })
}

/// Two `logprobs` objects as one: their lists are appended.
fn joined_logprobs(known: Option<&str>, more: &str) -> String {
    let parse = |text: &str| serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text).ok();
    let (Some(mut known), Some(more)) = (known.and_then(parse), parse(more)) else {
        return more.to_owned();
    };
    for (key, value) in more {
        match (known.get_mut(&key), value) {
            (Some(serde_json::Value::Array(list)), serde_json::Value::Array(more)) => list.extend(more),
            (Some(_), serde_json::Value::Null) => {}
            (_, value) => {
                known.insert(key, value);
            }
        }
    }
    serde_json::Value::Object(known).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::neutral::seal::By;

    fn reply() -> Reply {
        let seal = Seal { by: By::Anthropic, data: "c2ln".into(), hidden: false };
        let call = |id: &'static str| {
            Content::Call(Call {
                id: id.into(),
                name: "f".into(),
                arguments: "{\"a\":1}".into(),
                custom: false,
                seal: None,
            })
        };
        Reply {
            id: "r".into(),
            model: "m".into(),
            created: Some(7),
            choices: vec![Choice {
                parts: vec![
                    Content::Thinking(Thinking { text: "hm".into(), seal: Some(seal.clone()) }),
                    Content::Thinking(Thinking {
                        text: "".into(),
                        seal: Some(Seal { hidden: true, ..seal }),
                    }),
                    Content::text("one"),
                    Content::text("two"),
                    call("a"),
                    Content::Other { kind: "x".into(), json: r#"{"type":"x"}"#.into() },
                    call("b"),
                ],
                finish: Some(Finish::ToolCalls),
                stop_sequence: None,
                logprobs: Some(r#"{"content":[]}"#.into()),
            }],
            usage: Some(Usage { input: 1, ..Usage::default() }),
            service_tier: None,
        }
    }

    #[test]
    fn a_reply_survives_being_streamed() {
        let mut assembler = Assembler::default();
        reply().events(&mut |event| assembler.push(&event));
        assert!(assembler.finish() == reply());
    }

    #[test]
    fn logprobs_are_appended() {
        let joined =
            joined_logprobs(Some(r#"{"content":[1],"refusal":null}"#), r#"{"content":[2],"refusal":[3]}"#);
        assert_eq!(joined, r#"{"content":[1,2],"refusal":[3]}"#);
    }
}
