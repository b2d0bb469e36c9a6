//! Answers as providers of each dialect write them: 100 tokens in, of which 40 cached, and 10 out.
//!
//! # Layout
//!
//! - `chat`, `responses`, `anthropic`, `gemini`: one dialect each.

mod anthropic;
mod chat;
mod gemini;
mod responses;

use crate::{Act, Call};
use serde_json::{Value, json};

/// What a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is named as in weir.yaml")]
pub enum Dialect {
    Chat,
    Responses,
    Anthropic,
    Gemini,
}

/// One answer. Each text is in the pieces in which a stream has it.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The provider's own id of it.
    pub id: String,
    /// The model, as the provider names it.
    pub model: String,
    /// What it thinks first; may be nothing.
    pub thought: Vec<String>,
    /// What it says.
    pub text: Vec<String>,
    /// The tool that it calls.
    pub tool: Option<Tool>,
    /// Why it ended, if not as such an answer does.
    pub finish: Option<String>,
    /// What it repeats of the request, where the dialect does.
    pub instructions: Option<String>,
}

/// A call of a tool.
#[derive(Debug, Clone)]
pub struct Tool {
    /// Which.
    pub name: String,
    /// A JSON object.
    pub arguments: Vec<String>,
}

/// What a provider says of a failure: each text is put where its dialect has a place for it.
#[derive(Debug, Clone)]
pub struct Failure {
    /// For people.
    pub message: String,
    /// Its type or status.
    pub kind: String,
    /// Its code or reason.
    pub code: String,
    /// The field that is wrong.
    pub param: String,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Chat, Self::Responses, Self::Anthropic, Self::Gemini];

    /// Its name in `weir.yaml`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "openai-chat",
            Self::Responses => "openai-responses",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
        }
    }

    /// The dialect of a call, by its address.
    #[must_use]
    pub fn of(call: &Call) -> Self {
        let path = call.line.split('?').next().unwrap_or_default();
        match path {
            _ if path.ends_with("/responses") => Self::Responses,
            _ if path.ends_with("/messages") => Self::Anthropic,
            _ if path.ends_with("enerateContent") => Self::Gemini,
            _ => Self::Chat,
        }
    }
}

impl Answer {
    /// A text, which a stream has word by word.
    #[must_use]
    pub fn saying(text: &str) -> Self {
        Self {
            id: "id-1".into(),
            model: "m1".into(),
            thought: Vec::new(),
            text: text.split_inclusive(' ').map(str::to_owned).collect(),
            tool: None,
            finish: None,
            instructions: None,
        }
    }

    /// The whole of it.
    #[must_use]
    pub fn whole(&self, dialect: Dialect) -> Value {
        match dialect {
            Dialect::Chat => chat::whole(self),
            Dialect::Responses => responses::whole(self),
            Dialect::Anthropic => anthropic::whole(self),
            Dialect::Gemini => gemini::whole(self),
        }
    }

    /// The events of a stream.
    #[must_use]
    pub fn events(&self, dialect: Dialect) -> Vec<Vec<u8>> {
        match dialect {
            Dialect::Chat => chat::events(self),
            Dialect::Responses => responses::events(self),
            Dialect::Anthropic => anthropic::events(self),
            Dialect::Gemini => gemini::events(self),
        }
    }

    /// What a provider does that answers so, in the dialect and the form that are asked for.
    #[must_use]
    pub fn act(&self, call: &Call) -> Act {
        if call.stream() {
            return self.told(call).into_iter().fold(Act::stream(), Act::chunk).end();
        }
        Act::json(200, &self.repeating(call).whole(Dialect::of(call)))
    }

    /// The events of a stream in the dialect that is asked for.
    #[must_use]
    pub fn told(&self, call: &Call) -> Vec<Vec<u8>> {
        self.repeating(call).events(Dialect::of(call))
    }

    fn repeating(&self, call: &Call) -> Self {
        let instructions = call.json()["instructions"].as_str().map(str::to_owned);
        Self { instructions, ..self.clone() }
    }

    fn said(&self) -> String {
        self.text.concat()
    }

    fn thinks(&self) -> Option<String> {
        Some(self.thought.concat()).filter(|thought| !thought.is_empty())
    }

    /// Why it ended, in a dialect's words for an answer without and with a call.
    fn ended<'a>(&'a self, plain: &'a str, calling: &'a str) -> &'a str {
        let usual = if self.tool.is_some() { calling } else { plain };
        self.finish.as_deref().unwrap_or(usual)
    }
}

impl Tool {
    fn json(&self) -> Value {
        serde_json::from_str(&self.arguments.concat()).expect("arguments are JSON")
    }
}

impl Failure {
    /// The body of a refusal.
    #[must_use]
    pub fn body(&self, dialect: Dialect) -> Value {
        let Self { message, kind, code, param } = self;
        match dialect {
            Dialect::Anthropic => {
                json!({ "type": "error", "error": { "type": kind, "message": message, "code": code, "param": param }, "request_id": code })
            }
            Dialect::Gemini => {
                let details = json!([{ "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": code, "metadata": { "field": param } }]);
                json!({ "error": { "code": 400, "message": message, "status": kind, "details": details } })
            }
            _ => json!({ "error": { "message": message, "type": kind, "code": code, "param": param } }),
        }
    }

    /// The event by which a stream fails.
    #[must_use]
    pub fn event(&self, dialect: Dialect) -> Vec<u8> {
        let Self { message, code, param, .. } = self;
        match dialect {
            Dialect::Responses => named(
                "error",
                &json!({ "type": "error", "sequence_number": 1, "code": code, "message": message, "param": param }),
            ),
            Dialect::Anthropic => named("error", &self.body(dialect)),
            _ => crate::reply::event(&self.body(dialect)),
        }
    }
}

/// An event that has a name.
fn named(name: &str, data: &Value) -> Vec<u8> {
    format!("event: {name}\ndata: {data}\n\n").into_bytes()
}
