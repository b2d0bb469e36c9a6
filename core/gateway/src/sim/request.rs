//! What the simulated provider reads of a chat request: little, and as leniently as a provider would.

use super::options::{OptionError, Options};
use serde_json::Value;

/// More choices than any provider gives.
const MOST_CHOICES: u64 = 8;

/// A chat request, as far as it matters here.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The model's name without its options.
    pub model: String,
    /// How that model behaves.
    pub options: Options,
    /// Text of the last message by the user; empty if there is none.
    pub asked: String,
    /// Hash and size in tokens of the first message, of the first two, and so on.
    pub prefixes: Vec<Prefix>,
    /// Whether the reply is a stream.
    pub stream: bool,
    /// Whether a stream ends with usage.
    pub include_usage: bool,
    /// Most tokens to write.
    pub max_tokens: Option<u64>,
    /// How many choices.
    pub choices: u64,
    /// The tool that has to be called, with arguments that fit its schema.
    pub call: Option<Call>,
}

/// The leading messages of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    /// Of their content.
    pub hash: u64,
    /// How long they are.
    pub tokens: u64,
}

/// A tool call to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The function's name.
    pub name: String,
    /// JSON.
    pub arguments: String,
}

/// A request that is turned away, with status, `code` and `param` as OpenAI words them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Rejection {
    /// 400 or 404.
    pub status: u16,
    /// For a person.
    pub message: String,
    /// The field at fault.
    pub param: Option<&'static str>,
    /// Machine-readable.
    pub code: Option<&'static str>,
}

impl Request {
    /// Reads a body; `defaults` is how models behave whose name says nothing.
    ///
    /// # Errors
    /// [`Rejection`]: no JSON, no model of ours, options that are not understood, no messages.
    pub fn parse(body: &[u8], defaults: &Options) -> Result<Self, Rejection> {
        let body: Value = serde_json::from_slice(body)
            .map_err(|error| Rejection::bad(None, format!("The body is not valid JSON: {error}.")))?;
        let named =
            body["model"].as_str().ok_or_else(|| Rejection::bad(Some("model"), "`model` is missing."))?;
        let (model, options) = named.split_once('?').unwrap_or((named, ""));
        if !model.starts_with("sim-") {
            return Err(Rejection::no_model(model));
        }
        let options =
            defaults.clone().parse(options).map_err(|error: OptionError| Rejection::bad_option(&error))?;
        let messages = body["messages"].as_array().filter(|messages| !messages.is_empty());
        let messages =
            messages.ok_or_else(|| Rejection::bad(Some("messages"), "`messages` is missing or empty."))?;
        let by_user = messages.iter().rev().find(|message| message["role"] == "user");
        let limit = [&body["max_completion_tokens"], &body["max_tokens"]];
        Ok(Self {
            model: model.to_owned(),
            options,
            asked: by_user.map(|message| text(&message["content"])).unwrap_or_default(),
            prefixes: prefixes(messages),
            stream: body["stream"] == true,
            include_usage: body["stream_options"]["include_usage"] == true,
            max_tokens: limit.into_iter().find_map(Value::as_u64),
            choices: body["n"].as_u64().unwrap_or(1).clamp(1, MOST_CHOICES),
            call: forced_call(&body),
        })
    }
}

impl Rejection {
    pub(super) fn bad(param: Option<&'static str>, message: impl Into<String>) -> Self {
        Self { status: 400, message: message.into(), param, code: None }
    }

    fn bad_option(error: &OptionError) -> Self {
        Self { code: Some("bad_sim_option"), ..Self::bad(Some("model"), format!("{error}.")) }
    }

    fn no_model(model: &str) -> Self {
        let model: String = model.chars().take(64).collect();
        let message = format!("The model `{model}` does not exist; the simulated ones begin with `sim-`.");
        Self { status: 404, message, param: Some("model"), code: Some("model_not_found") }
    }
}

/// The text of a message's content; parts that are no text count as nothing.
fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts = parts.iter().filter_map(|part| part["text"].as_str());
            texts.collect::<Vec<_>>().join(" ")
        }
        _ => String::new(),
    }
}

/// A token is four bytes of what the message carries (by its JSON, if that is no string), plus three for its frame.
fn prefixes(messages: &[Value]) -> Vec<Prefix> {
    let mut prefix = Prefix { hash: hash(b"", 0), tokens: 0 };
    let mut after = |message: &Value| {
        let rest = ["tool_calls", "tool_call_id", "name"].map(|key| match &message[key] {
            Value::Null => String::new(),
            other => other.to_string(),
        });
        let parts = text(&message["content"]).len() + rest.iter().map(String::len).sum::<usize>();
        prefix = Prefix {
            hash: hash(message.to_string().as_bytes(), prefix.hash),
            tokens: prefix.tokens + 3 + parts.div_ceil(4) as u64,
        };
        prefix
    };
    messages.iter().map(&mut after).collect()
}

/// FNV-1a, from `seed` on: the same everywhere, for ever.
pub(super) fn hash(bytes: &[u8], seed: u64) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325 ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bytes.iter().fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The tool that `tool_choice` demands: the one it names, or the first if any will do.
fn forced_call(body: &Value) -> Option<Call> {
    let choice = &body["tool_choice"];
    let named = choice["function"]["name"].as_str();
    if choice != "required" && named.is_none() {
        return None;
    }
    let functions = || body["tools"].as_array().into_iter().flatten().map(|tool| &tool["function"]);
    let function = functions().find(|function| named.is_none() || function["name"].as_str() == named)?;
    let name = function["name"].as_str()?.to_owned();
    Some(Call { name, arguments: example(&function["parameters"], 0).to_string() })
}

/// A value that fits a JSON Schema, as far as `type`, `enum`, `properties` and `required` tell.
fn example(schema: &Value, depth: u8) -> Value {
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    match schema["type"].as_str() {
        Some("string") => "sim".into(),
        Some("integer" | "number") => 1.into(),
        Some("boolean") => true.into(),
        Some("array") => Value::Array(Vec::new()),
        Some("null") => Value::Null,
        _ if depth >= 8 => Value::Object(serde_json::Map::new()),
        _ => {
            let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let member = |name: &str| (name.to_owned(), example(&schema["properties"][name], depth + 1));
            Value::Object(required.map(member).collect())
        }
    }
}
