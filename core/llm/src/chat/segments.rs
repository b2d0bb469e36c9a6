//! Whose words stand where in a chat request.

use crate::json::Value;
use crate::request::segments::{Context, member, read_named, walk};
use crate::request::{Role, Segment, SegmentKind};

/// Every segment of a body, in document order.
pub(crate) fn collect(root: Value<'_>, segments: &mut Vec<Segment>) {
    for (key, value) in root.members_raw() {
        let name = key.as_str().unwrap_or_default();
        let plain = Context::of(Role::User);
        match name.as_ref() {
            "model" => {}
            "messages" => value.elements().for_each(|message| read_message(message, segments)),
            "tools" | "functions" => {
                value.elements().for_each(|tool| read_named(tool, Context::SCHEMA, "", segments));
            }
            "response_format" => {
                walk(value, "response_format", Context::SCHEMA, segments);
            }
            "prediction" => walk(value, "prediction", Context { role: Role::Assistant, ..plain }, segments),
            other => member(key, other, value, plain, segments),
        }
    }
}

fn read_message(message: Value<'_>, segments: &mut Vec<Segment>) {
    let (mut role, mut name) = (None, None);
    for (key, value) in message.members_raw() {
        if key.is_text("role") {
            role = value.as_str();
        } else if key.is_text("name") {
            name = value.as_str();
        }
    }
    let role = role.and_then(|name| Role::parse(&name)).unwrap_or(Role::User);
    let kind = if role == Role::Tool { SegmentKind::ToolResult } else { SegmentKind::Text };
    let context = Context { role, kind, name: name.as_deref() };
    for (key, value) in message.members_raw() {
        // What most messages have, and nothing else.
        if key.is_text("role") {
            continue;
        }
        if key.is_text("content") {
            walk(value, "content", context, segments);
            continue;
        }
        let name = key.as_str().unwrap_or_default();
        match name.as_ref() {
            "name" => walk(value, "name", context, segments),
            "tool_calls" => {
                let context = Context { kind: SegmentKind::ToolCall, ..context };
                value.elements().for_each(|call| read_named(call, context, "", segments));
            }
            "function_call" => {
                read_named(
                    value,
                    Context { kind: SegmentKind::ToolCall, ..context },
                    "function_call",
                    segments,
                );
            }
            "reasoning_content" | "reasoning" | "reasoning_details" | "thinking" => {
                walk(value, &name, Context { kind: SegmentKind::Reasoning, ..context }, segments);
            }
            other => member(key, other, value, context, segments),
        }
    }
}
