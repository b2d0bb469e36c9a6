//! Whose words stand where in a Responses request.

use crate::json::Value;
use crate::request::segments::{Context, members, read_named, walk};
use crate::request::{Role, Segment, SegmentKind};

/// Every segment of a body, in document order.
pub(crate) fn collect(root: Value<'_>, segments: &mut Vec<Segment>) {
    for (key, value) in root.members_raw() {
        let name = key.as_str().unwrap_or_default();
        match name.as_ref() {
            "model" => {}
            "instructions" => walk(value, &name, Context::of(Role::System), segments),
            "input" => {
                walk_text(value, segments);
                value.elements().for_each(|item| read_item(item, segments));
            }
            "tools" => value.elements().for_each(|tool| read_named(tool, Context::SCHEMA, "", segments)),
            "text" => walk(value, &name, Context::SCHEMA, segments),
            other => crate::request::segments::member(key, other, value, Context::of(Role::User), segments),
        }
    }
}

/// An input that is one text is the user's.
fn walk_text(value: Value<'_>, segments: &mut Vec<Segment>) {
    if value.as_str().is_some() {
        walk(value, "input", Context::of(Role::User), segments);
    }
}

fn read_item(item: Value<'_>, segments: &mut Vec<Segment>) {
    let kind = item.get("type").and_then(|kind| kind.as_str());
    if kind.as_deref() == Some("additional_tools") {
        return members(item, Context::SCHEMA, &["type"], segments);
    }
    let role = item.get("role").and_then(|role| Role::parse(&role.as_str()?));
    let (role, kind) = match kind.as_deref() {
        None | Some("message") => (role.unwrap_or(Role::User), SegmentKind::Text),
        Some("reasoning") => (Role::Assistant, SegmentKind::Reasoning),
        Some(kind) if kind.ends_with("_output") => (Role::Tool, SegmentKind::ToolResult),
        Some(_) => (Role::Assistant, SegmentKind::ToolCall),
    };
    let name = item.get("name").and_then(|name| name.as_str());
    // The kind of an item is the protocol's own word; a kind that we do not know is a string like any other.
    let known = item.get("type").is_some_and(|kind| ITEMS.iter().any(|known| kind.is_text(known)));
    // A role that is the protocol's own word is no segment anyway; any other string is.
    let but: &[&str] = if known { &["type"] } else { &[] };
    members(item, Context { role, kind, name: name.as_deref() }, but, segments);
}

/// Kinds of input items.
const ITEMS: [&str; 8] = [
    "message",
    "reasoning",
    "function_call",
    "function_call_output",
    "custom_tool_call",
    "custom_tool_call_output",
    "item_reference",
    "compaction",
];
