//! What the simulated provider answers: text and usage, and the bodies and chunks that carry them.

use super::request::{Call, Request, hash};
use serde_json::{Value, json};

/// All replies were made at this second: the same request gets the same bytes.
const CREATED: u64 = 1_795_000_000;
/// Of the user's message so many words are repeated.
const ECHOED: usize = 40;

/// A model that `GET /v1/models` lists; others of the name `sim-…` behave as the first.
struct Profile {
    name: &'static str,
    tokens: u32,
    reasoning: u32,
}

const PROFILES: [Profile; 3] = [
    Profile { name: "sim-small", tokens: 16, reasoning: 0 },
    Profile { name: "sim-large", tokens: 160, reasoning: 0 },
    Profile { name: "sim-reasoner", tokens: 32, reasoning: 64 },
];

const WORDS: [&str; 32] = [
    "water",
    "runs",
    "over",
    "the",
    "weir",
    "and",
    "slows",
    "before",
    "it",
    "falls",
    "while",
    "a",
    "heron",
    "waits",
    "by",
    "stones",
    "that",
    "nobody",
    "moved",
    "since",
    "spring",
    "because",
    "every",
    "gate",
    "holds",
    "some",
    "river",
    "back",
    "until",
    "evening",
    "comes",
    "downstream",
];

/// A finished answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    id: String,
    model: String,
    choices: Vec<Choice>,
    usage: Option<Usage>,
}

#[derive(Debug, Clone, PartialEq)]
struct Choice {
    /// One for each token: of the text, or of the arguments of `call`.
    pieces: Vec<String>,
    call: Option<Call>,
    finish: &'static str,
}

/// As OpenAI counts: `prompt` includes `cached`, `completion` includes `reasoning`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Tokens in.
    pub prompt: u64,
    /// Of those, from the provider's prompt cache.
    pub cached: u64,
    /// Tokens out.
    pub completion: u64,
    /// Of those, not shown.
    pub reasoning: u64,
}

impl Reply {
    /// Answers; `cached` is how many of the prompt's tokens the provider had cached.
    #[must_use]
    pub fn to(request: &Request, cached: u64) -> Self {
        let profile = PROFILES.iter().find(|profile| profile.name == request.model).unwrap_or(&PROFILES[0]);
        let prompt = request.prefixes.last().map_or(0, |prefix| prefix.tokens);
        let wanted = u64::from(request.options.reasoning.unwrap_or(profile.reasoning));
        let reasoning = request.max_tokens.map_or(wanted, |most| wanted.min(most));
        let visible = request.max_tokens.map(|most| most - reasoning);
        let choices: Vec<_> =
            (0..request.choices).map(|i| Choice::to(request, profile, i, visible)).collect();
        let written: usize = choices.iter().map(|choice| choice.pieces.len()).sum();
        let usage = Usage {
            prompt,
            cached: cached.min(prompt),
            completion: written as u64 + reasoning * request.choices,
            reasoning: reasoning * request.choices,
        };
        let id = hash(request.asked.as_bytes(), request.options.seed ^ prompt);
        Self {
            id: format!("chatcmpl-sim{id:016x}"),
            model: request.model.clone(),
            choices,
            usage: request.options.usage.then_some(usage),
        }
    }

    /// How long the reply is: tokens of its longest choice.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.choices.iter().map(|choice| choice.pieces.len()).max().unwrap_or(0)
    }

    /// The body of a reply that is no stream.
    #[must_use]
    pub fn body(&self) -> String {
        let choices = self.choices.iter().zip(0..).map(|(choice, index): (_, u64)| {
            let finish = choice.finish;
            json!({"index": index, "message": choice.message(), "logprobs": null, "finish_reason": finish})
        });
        let mut body = self.frame("chat.completion", choices.collect());
        if let Some(usage) = self.usage {
            body["usage"] = usage.json();
        }
        body.to_string()
    }

    /// The events of a stream in order, each a whole SSE frame: one for each token after those that open the choices.
    /// `[DONE]` is the last.
    pub fn frames(&self, include_usage: bool) -> impl Iterator<Item = String> {
        let include_usage = include_usage && self.usage.is_some();
        let choices = || self.choices.iter().zip(0_u64..);
        let opening = choices().map(|(choice, index)| (index, choice.opening(), None));
        let rounds = (0..self.tokens()).flat_map(move |i| {
            choices().filter_map(move |(choice, index)| Some((index, choice.delta(i)?, None)))
        });
        let closing = choices().map(|(choice, index)| (index, json!({}), Some(choice.finish)));
        let chunks = opening.chain(rounds).chain(closing).map(move |(index, delta, finish)| {
            let choice = json!({"index": index, "delta": delta, "logprobs": null, "finish_reason": finish});
            let mut chunk = self.frame("chat.completion.chunk", vec![choice]);
            if include_usage {
                chunk["usage"] = Value::Null;
            }
            chunk.to_string()
        });
        let usage = self.usage.filter(|_| include_usage).map(|usage| {
            let mut chunk = self.frame("chat.completion.chunk", Vec::new());
            chunk["usage"] = usage.json();
            chunk.to_string()
        });
        chunks.chain(usage).chain(std::iter::once("[DONE]".to_owned())).map(|data| frame(&data))
    }

    fn frame(&self, object: &str, choices: Vec<Value>) -> Value {
        json!({
            "id": self.id, "object": object, "created": CREATED, "model": self.model,
            "system_fingerprint": "fp_sim", "choices": choices,
        })
    }
}

impl Choice {
    fn to(request: &Request, profile: &Profile, index: u64, visible: Option<u64>) -> Self {
        let mut pieces = match &request.call {
            Some(call) => call.arguments.split_inclusive(['{', ',', ':']).map(str::to_owned).collect(),
            None => words(request, profile, index),
        };
        let most = visible.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
        let cut = pieces.len() > most;
        pieces.truncate(most);
        let natural = if request.call.is_some() { "tool_calls" } else { "stop" };
        Self { pieces, call: request.call.clone(), finish: if cut { "length" } else { natural } }
    }

    fn message(&self) -> Value {
        let written = self.pieces.concat();
        match &self.call {
            None => json!({"role": "assistant", "content": written, "refusal": null}),
            Some(call) => {
                let function = json!({"name": call.name, "arguments": written});
                let call = json!({"id": call.id(), "type": "function", "function": function});
                json!({"role": "assistant", "content": null, "refusal": null, "tool_calls": [call]})
            }
        }
    }

    fn opening(&self) -> Value {
        match &self.call {
            None => json!({"role": "assistant", "content": "", "refusal": null}),
            Some(call) => {
                let function = json!({"name": call.name, "arguments": ""});
                let call = json!({"index": 0, "id": call.id(), "type": "function", "function": function});
                json!({"role": "assistant", "content": null, "tool_calls": [call]})
            }
        }
    }

    fn delta(&self, i: usize) -> Option<Value> {
        let piece = self.pieces.get(i)?;
        Some(match &self.call {
            None => json!({"content": piece}),
            Some(_) => json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}),
        })
    }
}

impl Call {
    fn id(&self) -> String {
        format!("call_sim{:016x}", hash(self.arguments.as_bytes(), self.name.len() as u64))
    }
}

impl Usage {
    fn json(self) -> Value {
        json!({
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.prompt + self.completion,
            "prompt_tokens_details": {"cached_tokens": self.cached, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": self.reasoning, "audio_tokens": 0,
                "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
            },
        })
    }
}

/// One SSE event.
#[must_use]
pub fn frame(data: &str) -> String {
    format!("data: {data}\n\n")
}

/// The body of an error, in OpenAI's envelope.
#[must_use]
pub fn error(status: u16, message: &str, param: Option<&str>, code: Option<&str>) -> String {
    let (kind, usual) = match status {
        401 => ("authentication_error", Some("invalid_api_key")),
        403 => ("permission_error", None),
        429 => ("rate_limit_error", Some("rate_limit_exceeded")),
        400..500 => ("invalid_request_error", None),
        503 | 529 => ("overloaded_error", None),
        _ => ("server_error", None),
    };
    json!({"error": {"message": message, "type": kind, "param": param, "code": code.or(usual)}}).to_string()
}

/// The body of `GET /v1/models`.
#[must_use]
pub fn models() -> String {
    let model =
        |p: &Profile| json!({"id": p.name, "object": "model", "created": CREATED, "owned_by": "weir-sim"});
    json!({"object": "list", "data": PROFILES.iter().map(model).collect::<Vec<_>>()}).to_string()
}

/// The model's name, what it was asked, then words that mean nothing.
fn words(request: &Request, profile: &Profile, choice: u64) -> Vec<String> {
    let asked: Vec<_> = request.asked.split_whitespace().take(ECHOED + 1).collect();
    let echo = asked[..asked.len().min(ECHOED)].join(" ");
    let more = if asked.len() > ECHOED { " …" } else { "" };
    let opening = format!("{} says: you wrote “{echo}{more}”.", request.model);
    let mut words: Vec<String> = opening.split(' ').map(str::to_owned).collect();
    let most =
        request.options.tokens.map_or(words.len().max(profile.tokens as usize), |tokens| tokens as usize);
    words.truncate(most);
    let mut state = hash(request.asked.as_bytes(), request.options.seed.wrapping_add(choice));
    words.extend((words.len()..most).map(|_| {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        WORDS[(state >> 59) as usize].to_owned()
    }));
    words.iter_mut().skip(1).for_each(|word| word.insert(0, ' '));
    words
}
