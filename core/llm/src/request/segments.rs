//! Every string that carries content to the model, in document order: what a guard sees.
//!
//! The rule has no holes to walk through: *every string in the body is a segment*, wherever it stands and whether we
//! know the field or not, but for the model's name, empty strings, and the protocol's own words in their own fields
//! (`"role":"user"`, `"type":"text"`, …). An object's key that is no known field name (the name of a schema's property,
//! a key of `metadata`) is a string too. Numbers and booleans are none; a policy reads them by JSON pointer.

use crate::api::Api;
use crate::json::{Kind, Value};
use crate::{anthropic, chat, responses};
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// Whose words they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the protocol's own words")]
pub enum Role {
    System,
    Developer,
    User,
    Assistant,
    Tool,
}

impl Role {
    /// The roles of a message on the wire; `function` is an old name for `tool`.
    pub(crate) const NAMES: [&'static str; 6] =
        ["system", "developer", "user", "assistant", "tool", "function"];

    /// A role by its name on the wire.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "system" => Self::System,
            "developer" => Self::Developer,
            "user" => Self::User,
            "assistant" => Self::Assistant,
            "tool" | "function" => Self::Tool,
            _ => return None,
        })
    }

    /// The name that policies use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Developer => "developer",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}

/// What kind of content a segment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SegmentKind {
    /// Plain text.
    Text,
    /// The address of an image.
    ImageUrl,
    /// An image in a `data:` URL.
    ImageBytes,
    /// Audio in base64.
    Audio,
    /// A file: its data, name or id.
    File,
    /// A call that the model made: name, arguments.
    ToolCall,
    /// What a tool answered.
    ToolResult,
    /// The declaration of a tool or of an output format: names, descriptions, schema.
    ToolSchema,
    /// What the model thought.
    Reasoning,
}

impl SegmentKind {
    /// The name that policies use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::ImageUrl => "image-url",
            Self::ImageBytes => "image-bytes",
            Self::Audio => "audio",
            Self::File => "file",
            Self::ToolCall => "tool-call",
            Self::ToolResult => "tool-result",
            Self::ToolSchema => "tool-schema",
            Self::Reasoning => "reasoning",
        }
    }
}

/// One string of the body.
#[derive(Clone, PartialEq, Eq)]
pub struct Segment {
    /// Whose words.
    pub role: Role,
    /// What kind of content.
    pub kind: SegmentKind,
    /// Where the JSON string stands in the body, with its quotes.
    pub span: Range<usize>,
    /// Length of the decoded text.
    pub bytes: u32,
    /// The function's name for calls and schemas, else the message's `name`.
    pub name: Option<String>,
}

impl fmt::Debug for Segment {
    /// Without the name: who speaks and what is called are content too.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { role, kind, span, bytes, name: _ } = self;
        write!(f, "Segment({role:?}, {kind:?}, {span:?}, {bytes} bytes)")
    }
}

/// What the strings below a point have in common.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) role: Role,
    pub(crate) kind: SegmentKind,
    pub(crate) name: Option<&'a str>,
}

impl Context<'_> {
    /// Plain words of a speaker.
    pub(crate) const fn of(role: Role) -> Self {
        Self { role, kind: SegmentKind::Text, name: None }
    }

    /// The declaration of a tool or of an output format.
    pub(crate) const SCHEMA: Self = Self { role: Role::System, kind: SegmentKind::ToolSchema, name: None };
}

/// Every segment of a body, in document order.
pub(super) fn collect(api: Api, root: Value<'_>) -> Vec<Segment> {
    let mut segments = Vec::with_capacity(16);
    match api {
        Api::Chat => chat::segments::collect(root, &mut segments),
        Api::Responses => responses::segments::collect(root, &mut segments),
        Api::Messages | Api::CountTokens => anthropic::segments::collect(root, &mut segments),
        _ => members(root, Context::of(Role::User), &["model"], &mut segments),
    }
    segments
}

/// All members of an object but some, which are the protocol's own or have been read already.
pub(crate) fn members(object: Value<'_>, context: Context<'_>, but: &[&str], segments: &mut Vec<Segment>) {
    for (key, value) in object.members_raw() {
        let name = key.as_str().unwrap_or_default();
        if !but.contains(&name.as_ref()) {
            member(key, &name, value, context, segments);
        }
    }
}

/// A call or declaration: its segments carry the function's name.
pub(crate) fn read_named(value: Value<'_>, context: Context<'_>, key: &str, segments: &mut Vec<Segment>) {
    let name = value.get("function").and_then(|function| function.get("name")).or_else(|| value.get("name"));
    let name = name.and_then(|name| name.as_str());
    walk(value, key, Context { name: name.as_deref().or(context.name), ..context }, segments);
}

pub(crate) fn member(
    key: Value<'_>,
    name: &str,
    value: Value<'_>,
    context: Context<'_>,
    segments: &mut Vec<Segment>,
) {
    if KEYS.binary_search(&name).is_err() {
        push(key, context, segments);
    }
    walk(value, name, context, segments);
}

/// All strings at or below `value`, which stands under `key` (elements of an array keep the array's key).
pub(crate) fn walk(value: Value<'_>, key: &str, context: Context<'_>, segments: &mut Vec<Segment>) {
    match value.kind() {
        Kind::String => {
            if !is_word(key, value) {
                push(value, Context { kind: media_kind(key, value, context.kind), ..context }, segments);
            }
        }
        Kind::Array => value.elements().for_each(|item| walk(item, key, context, segments)),
        Kind::Object => {
            for (name, inner) in value.members_raw() {
                let text = name.as_str().unwrap_or_default();
                member(name, &scoped(key, text), inner, context, segments);
            }
        }
        Kind::Null | Kind::Bool | Kind::Number => {}
    }
}

pub(crate) fn push(value: Value<'_>, context: Context<'_>, segments: &mut Vec<Segment>) {
    let bytes = value.text_len();
    if bytes > 0 {
        segments.push(Segment {
            role: context.role,
            kind: context.kind,
            span: value.span(),
            bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
            name: context.name.map(str::to_owned),
        });
    }
}

/// The members that hold media are named with their parent, so that only they get a kind of their own.
fn scoped<'a>(parent: &str, key: Cow<'a, str>) -> Cow<'a, str> {
    match (parent, key.as_ref()) {
        ("image_url", "url") => Cow::Borrowed("image_url.url"),
        ("input_audio", "data") => Cow::Borrowed("input_audio.data"),
        ("file", "file_data") => Cow::Borrowed("file.file_data"),
        ("file", "file_id") => Cow::Borrowed("file.file_id"),
        // Responses has them on the part itself.
        ("content" | "output", "file_data") => Cow::Borrowed("file.file_data"),
        ("content" | "output", "file_id" | "file_url") => Cow::Borrowed("file.file_id"),
        _ => key,
    }
}

fn media_kind(key: &str, value: Value<'_>, kind: SegmentKind) -> SegmentKind {
    match key {
        "image_url" | "image_url.url" if value.raw().starts_with(b"\"data:") => SegmentKind::ImageBytes,
        "image_url" | "image_url.url" => SegmentKind::ImageUrl,
        "input_audio.data" => SegmentKind::Audio,
        "file.file_data" | "file.file_id" => SegmentKind::File,
        _ => kind,
    }
}

/// Whether a string is one of the protocol's own words in its own field: it carries nothing.
fn is_word(key: &str, value: Value<'_>) -> bool {
    let words: &[&str] = match key {
        "role" => &Role::NAMES,
        "type" => &[
            "text",
            "image_url",
            "input_audio",
            "file",
            "refusal",
            "function",
            "custom",
            "json_schema",
            "json_object",
            "content",
            "object",
            "string",
            "number",
            "integer",
            "boolean",
            "array",
            "null",
            "ephemeral",
            "grammar",
            "allowed_tools",
            "approximate",
            "thinking",
            "input_text",
            "output_text",
            "input_image",
            "input_file",
            "summary_text",
            "reasoning",
            "message",
            "base64",
            "url",
            "image",
            "document",
            "tool_use",
            "tool_result",
            "enabled",
            "disabled",
            "adaptive",
            "auto",
            "any",
            "tool",
            "none",
        ],
        "detail" => &["auto", "low", "high", "original"],
        "format" => &[
            "wav",
            "mp3",
            "flac",
            "opus",
            "pcm16",
            "aac",
            "date-time",
            "date",
            "time",
            "email",
            "uri",
            "uuid",
            "ipv4",
            "ipv6",
            "hostname",
        ],
        "tool_choice" | "function_call" => &["auto", "none", "required", "any"],
        "mode" => &["auto", "required"],
        "modalities" => &["text", "audio"],
        "reasoning_effort" | "effort" => &["none", "minimal", "low", "medium", "high", "xhigh", "max"],
        "verbosity" | "search_context_size" => &["low", "medium", "high"],
        "service_tier" => &["auto", "default", "flex", "scale", "priority", "standard_only"],
        "syntax" => &["lark", "regex"],
        "ttl" => &["5m", "1h", "24h"],
        _ => return false,
    };
    words.iter().any(|word| value.is_text(word))
}

/// Field names of the protocol and of JSON Schema, sorted: as keys they carry nothing.
const KEYS: &[&str] = &[
    "$defs",
    "$id",
    "$ref",
    "$schema",
    "additionalProperties",
    "allOf",
    "allowed_tools",
    "annotations",
    "anyOf",
    "arguments",
    "audio",
    "background",
    "betas",
    "budget_tokens",
    "cache_control",
    "call_id",
    "citations",
    "client_metadata",
    "const",
    "container",
    "content",
    "context",
    "context_management",
    "conversation",
    "custom",
    "data",
    "default",
    "defer_loading",
    "definitions",
    "description",
    "detail",
    "dimensions",
    "disable_parallel_tool_use",
    "display",
    "documents",
    "edits",
    "effort",
    "encoding_format",
    "encrypted_content",
    "enum",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "execution",
    "expires_at",
    "file",
    "file.file_data",
    "file.file_id",
    "file_data",
    "file_id",
    "filename",
    "format",
    "frequency_penalty",
    "function",
    "function_call",
    "functions",
    "generate_summary",
    "grammar",
    "id",
    "image_url",
    "image_url.url",
    "include",
    "include_usage",
    "index",
    "input",
    "input_audio",
    "input_audio.data",
    "input_schema",
    "input_text",
    "instructions",
    "is_error",
    "items",
    "json_schema",
    "keep",
    "language",
    "logit_bias",
    "logprobs",
    "maxItems",
    "maxLength",
    "max_completion_tokens",
    "max_output_tokens",
    "max_tokens",
    "max_tool_calls",
    "maximum",
    "mcp_servers",
    "media_type",
    "messages",
    "metadata",
    "minItems",
    "minLength",
    "minimum",
    "modalities",
    "mode",
    "model",
    "multipleOf",
    "n",
    "name",
    "namespace",
    "not",
    "nullable",
    "oneOf",
    "output",
    "output_config",
    "output_format",
    "output_text",
    "parallel_tool_calls",
    "parameters",
    "pattern",
    "prediction",
    "prefixItems",
    "presence_penalty",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_retention",
    "properties",
    "quality",
    "query",
    "reasoning",
    "reasoning_content",
    "reasoning_details",
    "reasoning_effort",
    "refusal",
    "required",
    "response_format",
    "role",
    "safety_identifier",
    "schema",
    "search_context_size",
    "seed",
    "service_tier",
    "signature",
    "size",
    "source",
    "speed",
    "status",
    "stop",
    "stop_sequences",
    "store",
    "stream",
    "stream_options",
    "strict",
    "summary",
    "syntax",
    "system",
    "temperature",
    "text",
    "thinking",
    "title",
    "tool_call_id",
    "tool_calls",
    "tool_choice",
    "tool_use_id",
    "tools",
    "top_k",
    "top_logprobs",
    "top_n",
    "top_p",
    "truncation",
    "ttl",
    "type",
    "uniqueItems",
    "url",
    "user",
    "user_id",
    "verbosity",
    "voice",
    "web_search_options",
];

#[cfg(test)]
mod tests {
    use super::KEYS;

    #[test]
    fn keys_are_sorted() {
        let mut sorted = KEYS.to_vec();
        sorted.sort_unstable();
        assert_eq!(KEYS, sorted);
    }
}
