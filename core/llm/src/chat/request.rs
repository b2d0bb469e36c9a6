//! One strict parse of a request body, with the type of every field that the gateway acts on.

use super::needs::Needs;
use super::segments::{Role, Segment, collect_segments};
use crate::json::{Json, JsonError, Kind, Value};
use bytes::Bytes;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

/// Longest model name that is read.
const MAX_MODEL_BYTES: usize = 256;
/// Most choices that may be asked for; OpenAI's own bound.
const MAX_CHOICES: u64 = 128;
/// The largest integer that every JSON parser reads alike (2⁵³ − 1).
const MAX_INTEGER: u64 = (1 << 53) - 1;

/// Fields of the body that the gateway reads. A key that is one of these but for case is refused: parsers that match
/// keys without case (Go's `encoding/json`) would read it as the field, ours would not.
const BODY_FIELDS: &[&str] = &[
    "model",
    "messages",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "tools",
    "functions",
    "tool_choice",
    "function_call",
    "response_format",
    "user",
    "store",
    "metadata",
    "modalities",
    "logprobs",
    "reasoning_effort",
    "parallel_tool_calls",
    "prompt_cache_key",
    "prediction",
    "top_logprobs",
];
const MESSAGE_FIELDS: &[&str] = &[
    "role",
    "content",
    "name",
    "tool_calls",
    "tool_call_id",
    "function_call",
    "refusal",
    "reasoning_content",
];
const PART_FIELDS: &[&str] = &["type", "text", "image_url", "input_audio", "file", "refusal"];
const STREAM_FIELDS: &[&str] = &["include_usage"];
const CALL_FIELDS: &[&str] = &["id", "type", "function"];
const FUNCTION_FIELDS: &[&str] = &["name", "arguments", "description", "parameters"];

/// A body that is refused, in words for the caller. The message never quotes content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RequestError {
    /// What is wrong and what would be right.
    pub message: String,
    /// The field, as `messages[0].role`; none if the body is no JSON.
    pub param: Option<String>,
    /// `invalid_json`, `missing_field`, `invalid_type`, `invalid_value`, `ambiguous_field`.
    pub code: &'static str,
}

impl From<JsonError> for RequestError {
    fn from(error: JsonError) -> Self {
        Self { message: format!("The body is not valid JSON: {error}."), param: None, code: "invalid_json" }
    }
}

/// A request body: the bytes as they came and what the gateway reads of them.
pub struct ChatRequest {
    json: Json,
    pub(super) fields: Fields,
    segments: OnceLock<Vec<Segment>>,
}

/// What the one pass over the body found.
#[derive(Default)]
pub(super) struct Fields {
    pub(super) model: String,
    pub(super) model_span: Range<usize>,
    pub(super) stream: bool,
    pub(super) stream_options: StreamOptions,
    pub(super) max_tokens: Option<(u64, Range<usize>)>,
    pub(super) max_completion_tokens: Option<(u64, Range<usize>)>,
    pub(super) max_tokens_null: Option<Range<usize>>,
    pub(super) max_completion_tokens_null: Option<Range<usize>>,
    pub(super) store: Option<(bool, Range<usize>)>,
    choices: u64,
    user: Option<Range<usize>>,
    messages: Range<usize>,
    needs: Needs,
    media: bool,
}

/// How the body speaks of `stream_options`.
#[derive(Default)]
pub(super) enum StreamOptions {
    /// Not at all.
    #[default]
    Absent,
    /// `null`, here.
    Null(Range<usize>),
    /// An object without `include_usage`; its inside starts here, and whether it has members.
    Open(usize, bool),
    /// `include_usage` is false or null, here.
    Off(Range<usize>),
    /// `include_usage` is true.
    On,
}

impl ChatRequest {
    /// Parses a body: the strict rules of [`crate::json`], and the type of every field that the gateway acts on.
    ///
    /// # Errors
    /// [`RequestError`], ready for the caller's error envelope.
    pub fn parse(body: Bytes) -> Result<Self, RequestError> {
        let json = Json::parse(body)?;
        let root = json.root();
        if root.kind() != Kind::Object {
            return Err(RequestError {
                message: format!("The body must be a JSON object, not {}.", root.kind().with_article()),
                param: None,
                code: "invalid_type",
            });
        }
        let fields = read_fields(root)?;
        Ok(Self { json, fields, segments: OnceLock::new() })
    }

    /// The body as it came.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        self.json.bytes()
    }

    /// The parsed body.
    #[must_use]
    pub const fn json(&self) -> &Json {
        &self.json
    }

    /// The model name as the caller wrote it.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.fields.model
    }

    /// Whether the caller wants a stream.
    #[must_use]
    pub const fn stream(&self) -> bool {
        self.fields.stream
    }

    /// Whether the caller asked for a usage chunk.
    #[must_use]
    pub const fn include_usage(&self) -> bool {
        matches!(self.fields.stream_options, StreamOptions::On)
    }

    /// The caller's bound of output tokens per choice; the smaller if both fields stand there.
    #[must_use]
    pub fn max_output_tokens(&self) -> Option<u64> {
        let fields = &self.fields;
        fields.max_tokens.iter().chain(&fields.max_completion_tokens).map(|(tokens, _)| *tokens).min()
    }

    /// How many choices are asked for (`n`).
    #[must_use]
    pub const fn choices(&self) -> u64 {
        self.fields.choices
    }

    /// The caller's `user` field.
    #[must_use]
    pub fn user(&self) -> Option<Cow<'_, str>> {
        crate::json::unquote(self.body().get(self.fields.user.clone()?)?)
    }

    /// What the request needs a model to be able to do.
    #[must_use]
    pub const fn needs(&self) -> Needs {
        self.fields.needs
    }

    /// Whether there are images, audio or files among the content.
    #[must_use]
    pub const fn has_media(&self) -> bool {
        self.fields.media
    }

    /// Where the `messages` array stands in the body.
    #[must_use]
    pub fn messages_span(&self) -> Range<usize> {
        self.fields.messages.clone()
    }

    /// Every string that carries content to the model, in document order; found at the first call, kept after it.
    pub fn segments(&self) -> &[Segment] {
        self.segments.get_or_init(|| collect_segments(self.json.root()))
    }

    /// The decoded text of a segment; borrowed if it has no escapes.
    #[must_use]
    pub fn text(&self, segment: usize) -> Option<Cow<'_, str>> {
        let span = self.segments().get(segment)?.span.clone();
        crate::json::unquote(self.body().get(span)?)
    }
}

impl fmt::Debug for ChatRequest {
    /// Sizes and flags only: content is never printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatRequest")
            .field("json", &self.json)
            .field("stream", &self.fields.stream)
            .finish_non_exhaustive()
    }
}

fn read_fields(root: Value<'_>) -> Result<Fields, RequestError> {
    let mut fields = Fields { choices: 1, ..Fields::default() };
    let (mut model, mut messages) = (false, false);
    for (key, value) in root.members() {
        let key = key.as_ref();
        let path = &Path::Root(key);
        match key {
            "model" => {
                fields.model = model_name(value, path)?;
                fields.model_span = value.span();
                model = true;
            }
            "messages" => {
                read_messages(value, path, &mut fields)?;
                messages = true;
            }
            "stream" => fields.stream = optional_bool(value, path)?.unwrap_or(false),
            "stream_options" => fields.stream_options = stream_options(value, path)?,
            "max_tokens" if value.is_null() => fields.max_tokens_null = Some(value.span()),
            "max_completion_tokens" if value.is_null() => {
                fields.max_completion_tokens_null = Some(value.span())
            }
            "max_tokens" => fields.max_tokens = optional_integer(value, path)?.map(|n| (n, value.span())),
            "max_completion_tokens" => {
                fields.max_completion_tokens = optional_integer(value, path)?.map(|n| (n, value.span()));
            }
            "n" => fields.choices = choices(value, path)?,
            "store" => fields.store = Some((optional_bool(value, path)?.unwrap_or(true), value.span())),
            "user" => fields.user = optional_text(value, path)?.then(|| value.span()),
            _ => read_wish(key, value, path, &mut fields.needs)?,
        }
    }
    for (found, name) in [(model, "model"), (messages, "messages")] {
        if !found {
            return Err(missing(&Path::Root(name)));
        }
    }
    Ok(fields)
}

/// Fields that say what the model must be able to do.
fn read_wish(key: &str, value: Value<'_>, path: &Path<'_>, needs: &mut Needs) -> Result<(), RequestError> {
    match key {
        "tools" | "functions" => {
            let functions = optional(value, path, Kind::Array)?;
            needs.tools |= functions.is_some_and(|list| list.elements().next().is_some());
            for (index, tool) in value.elements().enumerate() {
                read_tool(tool, &Path::Item(path, index), key == "functions")?;
            }
        }
        "tool_choice" | "function_call" => one_of(value, path, &[Kind::Null, Kind::String, Kind::Object])?,
        "response_format" => {
            if let Some(format) = optional(value, path, Kind::Object)? {
                let kind = required(format, "type", path)?;
                text(kind, &Path::Member(path, "type"))?;
                needs.json_schema |= kind.is_text("json_schema");
            }
        }
        "metadata" => {
            optional(value, path, Kind::Object)?;
        }
        "prediction" => {
            optional(value, path, Kind::Object)?;
        }
        "modalities" => {
            let list = optional(value, path, Kind::Array)?;
            needs.audio_out |= list.is_some_and(|list| list.elements().any(|item| item.is_text("audio")));
        }
        "logprobs" => needs.logprobs |= optional_bool(value, path)?.unwrap_or(false),
        "parallel_tool_calls" => needs.parallel_tools |= optional_bool(value, path)?.unwrap_or(false),
        "reasoning_effort" => needs.reasoning |= optional_text(value, path)? && !value.is_text("none"),
        "prompt_cache_key" => needs.prompt_cache |= optional_text(value, path)?,
        _ => distinct(key, BODY_FIELDS, path)?,
    }
    Ok(())
}

fn model_name(value: Value<'_>, path: &Path<'_>) -> Result<String, RequestError> {
    let name = text(value, path)?;
    if name.is_empty() || name.len() > MAX_MODEL_BYTES || name.chars().any(char::is_control) {
        return Err(invalid(
            path,
            format!("must be 1 to {MAX_MODEL_BYTES} bytes without control characters"),
        ));
    }
    Ok(name.into_owned())
}

fn choices(value: Value<'_>, path: &Path<'_>) -> Result<u64, RequestError> {
    let choices = optional_integer(value, path)?.unwrap_or(1);
    if !(1..=MAX_CHOICES).contains(&choices) {
        return Err(invalid(path, format!("must be between 1 and {MAX_CHOICES}")));
    }
    Ok(choices)
}

fn stream_options(value: Value<'_>, path: &Path<'_>) -> Result<StreamOptions, RequestError> {
    let Some(options) = optional(value, path, Kind::Object)? else {
        return Ok(StreamOptions::Null(value.span()));
    };
    let mut found = StreamOptions::Open(options.span().start + 1, options.members_raw().next().is_some());
    for (key, value) in options.members() {
        let path = &Path::Member(path, &key);
        if key == "include_usage" {
            let on = optional_bool(value, path)?.unwrap_or(false);
            found = if on { StreamOptions::On } else { StreamOptions::Off(value.span()) };
        } else {
            distinct(&key, STREAM_FIELDS, path)?;
        }
    }
    Ok(found)
}

fn read_messages(value: Value<'_>, path: &Path<'_>, fields: &mut Fields) -> Result<(), RequestError> {
    one_of(value, path, &[Kind::Array])?;
    fields.messages = value.span();
    let mut count = 0;
    for (index, message) in value.elements().enumerate() {
        read_message(message, &Path::Item(path, index), fields)?;
        count += 1;
    }
    if count == 0 {
        return Err(invalid(path, "must hold at least one message"));
    }
    Ok(())
}

fn read_message(message: Value<'_>, path: &Path<'_>, fields: &mut Fields) -> Result<(), RequestError> {
    one_of(message, path, &[Kind::Object])?;
    let mut role = false;
    for (key, value) in message.members() {
        let path = &Path::Member(path, &key);
        match key.as_ref() {
            "role" => {
                if Role::parse(&text(value, path)?).is_none() {
                    return Err(invalid(path, format!("must be one of {}", Role::NAMES.join(", "))));
                }
                role = true;
            }
            "content" => read_content(value, path, fields)?,
            "name" | "tool_call_id" | "refusal" | "reasoning_content" => {
                optional_text(value, path)?;
            }
            "tool_calls" => {
                optional(value, path, Kind::Array)?;
                for (index, call) in value.elements().enumerate() {
                    read_call(call, &Path::Item(path, index))?;
                }
            }
            "function_call" => {
                if let Some(call) = optional(value, path, Kind::Object)? {
                    read_function(call, path)?;
                }
            }
            other => distinct(other, MESSAGE_FIELDS, path)?,
        }
    }
    if role { Ok(()) } else { Err(missing(&Path::Member(path, "role"))) }
}

fn read_content(value: Value<'_>, path: &Path<'_>, fields: &mut Fields) -> Result<(), RequestError> {
    one_of(value, path, &[Kind::Null, Kind::String, Kind::Array])?;
    for (index, part) in value.elements().enumerate() {
        read_part(part, &Path::Item(path, index), fields)?;
    }
    Ok(())
}

fn read_part(part: Value<'_>, path: &Path<'_>, fields: &mut Fields) -> Result<(), RequestError> {
    one_of(part, path, &[Kind::Object])?;
    let mut typed = false;
    for (key, value) in part.members() {
        let path = &Path::Member(path, &key);
        match key.as_ref() {
            "type" => {
                text(value, path)?;
                typed = true;
            }
            "text" | "refusal" => {
                text(value, path)?;
            }
            "image_url" => {
                one_of(value, path, &[Kind::Object, Kind::String])?;
                if value.kind() == Kind::Object {
                    text(required(value, "url", path)?, &Path::Member(path, "url"))?;
                }
                fields.needs.vision = true;
                fields.media = true;
            }
            "input_audio" => {
                one_of(value, path, &[Kind::Object])?;
                text(required(value, "data", path)?, &Path::Member(path, "data"))?;
                fields.needs.audio_in = true;
                fields.media = true;
            }
            "file" => {
                one_of(value, path, &[Kind::Object])?;
                fields.media = true;
            }
            other => distinct(other, PART_FIELDS, path)?,
        }
    }
    if typed { Ok(()) } else { Err(missing(&Path::Member(path, "type"))) }
}

fn read_call(call: Value<'_>, path: &Path<'_>) -> Result<(), RequestError> {
    one_of(call, path, &[Kind::Object])?;
    for (key, value) in call.members() {
        let path = &Path::Member(path, &key);
        match key.as_ref() {
            "id" | "type" => {
                optional_text(value, path)?;
            }
            "function" => {
                one_of(value, path, &[Kind::Object])?;
                read_function(value, path)?;
            }
            other => distinct(other, CALL_FIELDS, path)?,
        }
    }
    Ok(())
}

/// The function of a call: its name and its arguments, JSON in a string.
fn read_function(function: Value<'_>, path: &Path<'_>) -> Result<(), RequestError> {
    for (key, value) in function.members() {
        let path = &Path::Member(path, &key);
        match key.as_ref() {
            "name" | "arguments" => {
                text(value, path)?;
            }
            other => distinct(other, FUNCTION_FIELDS, path)?,
        }
    }
    Ok(())
}

/// The declaration of a tool, or of a legacy function.
fn read_tool(tool: Value<'_>, path: &Path<'_>, legacy: bool) -> Result<(), RequestError> {
    one_of(tool, path, &[Kind::Object])?;
    if legacy {
        return read_declaration(tool, path);
    }
    text(required(tool, "type", path)?, &Path::Member(path, "type"))?;
    for (key, value) in tool.members() {
        let path = &Path::Member(path, &key);
        if key == "function" {
            one_of(value, path, &[Kind::Object])?;
            read_declaration(value, path)?;
        } else {
            distinct(&key, CALL_FIELDS, path)?;
        }
    }
    Ok(())
}

fn read_declaration(function: Value<'_>, path: &Path<'_>) -> Result<(), RequestError> {
    text(required(function, "name", path)?, &Path::Member(path, "name"))?;
    for (key, value) in function.members() {
        let path = &Path::Member(path, &key);
        match key.as_ref() {
            "description" => {
                optional_text(value, path)?;
            }
            "parameters" => {
                optional(value, path, Kind::Object)?;
            }
            other => distinct(other, FUNCTION_FIELDS, path)?,
        }
    }
    Ok(())
}

/// Where a field stands; written out only in errors.
enum Path<'a> {
    Root(&'a str),
    Member(&'a Path<'a>, &'a str),
    Item(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(key) => f.write_str(key),
            Self::Member(parent, key) => write!(f, "{parent}.{key}"),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

fn one_of(value: Value<'_>, path: &Path<'_>, wanted: &[Kind]) -> Result<(), RequestError> {
    let kind = value.kind();
    if wanted.contains(&kind) {
        return Ok(());
    }
    let names: Vec<_> = wanted.iter().map(|kind| kind.with_article()).collect();
    Err(RequestError {
        message: format!("`{path}` must be {}, not {}.", names.join(" or "), kind.with_article()),
        param: Some(path.to_string()),
        code: "invalid_type",
    })
}

/// The value if it is of that kind, nothing if it is null.
fn optional<'a>(value: Value<'a>, path: &Path<'_>, wanted: Kind) -> Result<Option<Value<'a>>, RequestError> {
    one_of(value, path, &[wanted, Kind::Null])?;
    Ok((!value.is_null()).then_some(value))
}

fn optional_bool(value: Value<'_>, path: &Path<'_>) -> Result<Option<bool>, RequestError> {
    Ok(optional(value, path, Kind::Bool)?.and_then(|flag| flag.as_bool()))
}

/// Whether a text stands there rather than null.
fn optional_text(value: Value<'_>, path: &Path<'_>) -> Result<bool, RequestError> {
    Ok(optional(value, path, Kind::String)?.is_some())
}

fn text<'a>(value: Value<'a>, path: &Path<'_>) -> Result<Cow<'a, str>, RequestError> {
    one_of(value, path, &[Kind::String])?;
    Ok(value.as_str().unwrap_or_default())
}

fn optional_integer(value: Value<'_>, path: &Path<'_>) -> Result<Option<u64>, RequestError> {
    let Some(number) = optional(value, path, Kind::Number)? else { return Ok(None) };
    match number.as_u64() {
        Some(integer) if integer <= MAX_INTEGER => Ok(Some(integer)),
        _ => Err(invalid(
            path,
            "must be a plain integer, not negative, below 2^53, without fraction or exponent",
        )),
    }
}

fn required<'a>(object: Value<'a>, key: &str, path: &Path<'_>) -> Result<Value<'a>, RequestError> {
    object.get(key).ok_or_else(|| missing(&Path::Member(path, key)))
}

#[cold]
fn missing(path: &Path<'_>) -> RequestError {
    RequestError {
        message: format!("`{path}` is missing."),
        param: Some(path.to_string()),
        code: "missing_field",
    }
}

#[cold]
fn invalid(path: &Path<'_>, rule: impl fmt::Display) -> RequestError {
    RequestError {
        message: format!("`{path}` {rule}."),
        param: Some(path.to_string()),
        code: "invalid_value",
    }
}

/// Refuses an unknown key that a parser without regard to case would read as a known one.
fn distinct(key: &str, known: &[&str], path: &Path<'_>) -> Result<(), RequestError> {
    if key.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase()) {
        return Ok(());
    }
    // Go folds U+017F (long s) and U+212A (Kelvin sign) into ASCII too.
    let folded: String = key
        .chars()
        .map(|c| match c {
            '\u{17F}' => 's',
            '\u{212A}' => 'k',
            other => other.to_ascii_lowercase(),
        })
        .collect();
    match known.iter().find(|name| **name == folded) {
        None => Ok(()),
        Some(name) => Err(RequestError {
            message: format!(
                "`{path}` differs from `{name}` only in case: some providers would read it as that."
            ),
            param: Some(path.to_string()),
            code: "ambiguous_field",
        }),
    }
}
