//! Whose words stand where in a Messages request.

use crate::json::{Kind, Value};
use crate::request::segments::{Context, member, members, read_named, walk};
use crate::request::{Role, Segment, SegmentKind};

/// Every segment of a body, in document order.
pub(crate) fn collect(root: Value<'_>, segments: &mut Vec<Segment>) {
    for (key, value) in root.members_raw() {
        let name = key.as_str().unwrap_or_default();
        match name.as_ref() {
            "model" => {}
            "system" => content(value, Context::of(Role::System), segments),
            "messages" => value.elements().for_each(|message| read_message(message, segments)),
            "tools" => value.elements().for_each(|tool| read_named(tool, Context::SCHEMA, "", segments)),
            "output_config" | "output_format" => walk(value, &name, Context::SCHEMA, segments),
            other => member(key, other, value, Context::of(Role::User), segments),
        }
    }
}

fn read_message(message: Value<'_>, segments: &mut Vec<Segment>) {
    let role = message.get("role").and_then(|role| Role::parse(&role.as_str()?)).unwrap_or(Role::User);
    for (key, value) in message.members_raw() {
        let name = key.as_str().unwrap_or_default();
        match name.as_ref() {
            "role" => {}
            "content" => content(value, Context::of(role), segments),
            other => member(key, other, value, Context::of(role), segments),
        }
    }
}

/// A text, or a list of blocks.
fn content(value: Value<'_>, context: Context<'_>, segments: &mut Vec<Segment>) {
    if value.kind() == Kind::Array {
        value.elements().for_each(|block| read_block(block, context, segments));
    } else {
        walk(value, "content", context, segments);
    }
}

fn read_block(block: Value<'_>, around: Context<'_>, segments: &mut Vec<Segment>) {
    let role = around.role;
    let kind = block.get("type").and_then(|kind| kind.as_str());
    let name = block.get("name").and_then(|name| name.as_str());
    let kind = kind.as_deref().unwrap_or_default();
    let (role, what) = match kind {
        "tool_use" => (role, SegmentKind::ToolCall),
        "tool_result" => (Role::Tool, SegmentKind::ToolResult),
        "thinking" | "redacted_thinking" => (role, SegmentKind::Reasoning),
        _ => (role, around.kind),
    };
    let context = Context { role, kind: what, name: name.as_deref() };
    let known = BLOCKS.contains(&kind);
    for (key, value) in block.members_raw() {
        let name = key.as_str().unwrap_or_default();
        match name.as_ref() {
            "type" if known => {}
            "source" if kind == "image" || kind == "document" => source(kind, value, context, segments),
            "content" if kind == "tool_result" => content(value, context, segments),
            other => member(key, other, value, context, segments),
        }
    }
}

/// Where an image or a document is: its data are media, its words are text.
fn source(kind: &str, value: Value<'_>, context: Context<'_>, segments: &mut Vec<Segment>) {
    let is = |name: &str| value.get("type").is_some_and(|kind| kind.is_text(name));
    let media = match (kind, is("base64"), is("url") || is("file")) {
        ("image", true, _) => SegmentKind::ImageBytes,
        ("image", _, true) => SegmentKind::ImageUrl,
        (_, true, _) | (_, _, true) => SegmentKind::File,
        _ => context.kind,
    };
    let but: &[&str] =
        if is("base64") || is("url") || is("file") || is("text") || is("content") { &["type"] } else { &[] };
    members(value, Context { kind: media, ..context }, but, segments);
}

/// Kinds of blocks.
const BLOCKS: [&str; 7] =
    ["text", "image", "document", "tool_use", "tool_result", "thinking", "redacted_thinking"];
