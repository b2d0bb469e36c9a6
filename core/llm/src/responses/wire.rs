//! Words of the wire format, and members that several files read.

use crate::json::{Kind, Value};
use crate::neutral::seal::{By, Seal};
use crate::neutral::{Citation, Raw, Thinking};
use std::borrow::Cow;

/// Tools that the provider runs or that only this dialect knows. Callers' declarations of them are repeated in replies;
/// what is not in this list the SDK's types do not know either.
pub(super) const HOSTED_TOOLS: &[&str] = &[
    "file_search",
    "computer",
    "computer_use_preview",
    "web_search",
    "web_search_2025_08_26",
    "web_search_preview",
    "web_search_preview_2025_03_11",
    "mcp",
    "code_interpreter",
    "programmatic_tool_calling",
    "image_generation",
    "local_shell",
    "shell",
    "namespace",
    "tool_search",
    "apply_patch",
];

/// Items that only this dialect knows, as they occur in input and output.
pub(super) const HOSTED_ITEMS: &[&str] = &[
    "file_search_call",
    "computer_call",
    "computer_call_output",
    "web_search_call",
    "image_generation_call",
    "code_interpreter_call",
    "local_shell_call",
    "local_shell_call_output",
    "shell_call",
    "shell_call_output",
    "apply_patch_call",
    "apply_patch_call_output",
    "mcp_list_tools",
    "mcp_approval_request",
    "mcp_approval_response",
    "mcp_call",
    "tool_search_call",
    "tool_search_output",
    "program",
    "program_output",
    "additional_tools",
];

/// Whether an item of the output is one that only this dialect knows. In prompts a compacted context is not: Anthropic has
/// a block of the same name.
pub(crate) fn is_own(kind: &str) -> bool {
    HOSTED_ITEMS.contains(&kind) || kind == "compaction"
}

/// A string member.
pub(super) fn text<'a>(object: Value<'a>, key: &str) -> Option<Cow<'a, str>> {
    object.get(key)?.as_str()
}

/// A string member that says something.
pub(super) fn filled<'a>(object: Value<'a>, key: &str) -> Option<Cow<'a, str>> {
    text(object, key).filter(|text| !text.is_empty())
}

/// The object's `type`; empty if it has none.
pub(super) fn kind<'a>(object: Value<'a>) -> Cow<'a, str> {
    text(object, "type").unwrap_or_default()
}

/// The elements of an array member.
pub(super) fn list<'a>(object: Value<'a>, key: &str) -> impl Iterator<Item = Value<'a>> + use<'a> {
    object.get(key).into_iter().flat_map(|list| list.elements())
}

/// A value as JSON text.
pub(super) fn raw<'a>(value: Value<'a>) -> Raw<'a> {
    Cow::Borrowed(std::str::from_utf8(value.raw()).unwrap_or("null"))
}

/// A member that is a number, as JSON text.
pub(super) fn number<'a>(object: Value<'a>, key: &str) -> Option<Raw<'a>> {
    object.get(key).filter(|value| value.kind() == Kind::Number).map(raw)
}

/// A copy that owns its text.
pub(super) fn own(text: Cow<'_, str>) -> Cow<'static, str> {
    Cow::Owned(text.into_owned())
}

/// What a reasoning item says: its summary, then its text; each part is a paragraph.
fn thought(item: Value<'_>) -> String {
    let parts = ["summary", "content"].into_iter().flat_map(|key| list(item, key));
    let texts: Vec<_> = parts.filter_map(|part| filled(part, "text")).collect();
    texts.join("\n\n")
}

/// A reasoning item; nothing if it holds nothing. Proofs of other makers come back in the envelope that we gave them.
pub(super) fn thinking(item: Value<'_>) -> Option<Thinking<'static>> {
    let Some(data) = filled(item, "encrypted_content") else {
        let text = thought(item);
        return (!text.is_empty()).then_some(Thinking { text: text.into(), seal: None });
    };
    Some(match Seal::unwrap(&data) {
        Some((seal, text)) => Thinking { text: text.into(), seal: Some(seal) },
        None => Thinking {
            text: thought(item).into(),
            seal: Some(Seal { by: By::OpenAi, data: own(data), hidden: true }),
        },
    })
}

/// An annotation of a text. Those without an address (files) keep their own object only.
pub(super) fn citation(annotation: Value<'_>) -> Citation<'_> {
    let at = |key: &str| annotation.get(key).and_then(|index| index.as_u64());
    Citation {
        url: text(annotation, "url"),
        title: text(annotation, "title").or_else(|| text(annotation, "filename")),
        cited: None,
        range: at("start_index").zip(at("end_index")),
        json: Some(raw(annotation)),
    }
}
