//! Tools and their choice in a body for a provider.

use super::wire::{HOSTED_TOOLS, list, raw};
use crate::json::{Json, Kind, Rules, Tape, Value, Writer};
use crate::neutral::{Body, Names, Prompt, Tool, ToolChoice};
use bytes::Bytes;
use std::borrow::Cow;
use std::collections::HashSet;

/// Writes `tools`, `tool_choice` and `parallel_tool_calls`. A choice without tools is refused by the provider and means
/// nothing, so it is left out.
pub(super) fn write(json: &mut Writer, prompt: &Prompt<'_>, body: &mut Body) {
    let (known, foreign): (Vec<&Tool<'_>>, Vec<_>) = prompt.tools.iter().partition(|tool| is_known(tool));
    for tool in foreign {
        if let Tool::Hosted { kind, .. } = tool {
            body.drop_named(format!("tools[{kind}]"));
        }
    }
    if known.is_empty() {
        return;
    }
    json.key("tools").begin_array();
    for tool in &known {
        declare(json, tool, &body.names);
    }
    json.end_array();
    if let Some(choice) = &prompt.tool_choice {
        choose(json, choice, &known, &body.names);
    }
    if let Some(parallel) = prompt.parallel_tools {
        json.key("parallel_tool_calls").bool(parallel);
    }
    for tool in known {
        if matches!(tool, Tool::Function { strict: Some(true), .. }) && !sent_strict(tool) {
            body.drop_named(format!("tools[{}].strict", tool.name().unwrap_or_default()));
        }
    }
}

fn is_known(tool: &Tool<'_>) -> bool {
    match tool {
        Tool::Function { .. } | Tool::Custom { .. } => true,
        Tool::Hosted { kind, .. } => HOSTED_TOOLS.contains(&kind.as_ref()) || is_anthropic_search(kind),
    }
}

/// `web_search_20250305` and its successors: Anthropic's dates have no underscores.
fn is_anthropic_search(kind: &str) -> bool {
    kind.strip_prefix("web_search_")
        .is_some_and(|date| date.len() == 8 && date.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether the provider's own rules for strict schemas hold; it refuses a strict tool that breaks them.
fn sent_strict(tool: &Tool<'_>) -> bool {
    match tool {
        Tool::Function { strict, parameters, .. } => {
            *strict == Some(true) && parameters.as_deref().is_some_and(is_strict_schema)
        }
        Tool::Custom { .. } | Tool::Hosted { .. } => false,
    }
}

/// Whether every object of a schema lists all of its properties as required and allows no others.
pub(super) fn is_strict_schema(schema: &str) -> bool {
    Tape::parse(schema.as_bytes(), Rules::Lenient).is_ok_and(|tape| is_closed(tape.root(schema.as_bytes())))
}

fn is_closed(schema: Value<'_>) -> bool {
    if schema.kind() != Kind::Object {
        return schema.elements().all(is_closed);
    }
    let (mut is_object, mut closed) = (false, false);
    let (mut properties, mut required) = (None, None);
    for (key, value) in schema.members() {
        let inside = match key.as_ref() {
            "type" => {
                is_object = value.is_text("object") || value.elements().any(|kind| kind.is_text("object"));
                true
            }
            "additionalProperties" => {
                closed = value.as_bool() == Some(false);
                is_closed(value)
            }
            // These hold data, not schemas.
            "required" => {
                required = Some(value);
                true
            }
            "enum" | "const" | "default" | "examples" => true,
            // These hold schemas by name.
            "properties" => {
                properties = Some(value);
                value.members_raw().all(|(_, schema)| is_closed(schema))
            }
            "$defs" | "definitions" => value.members_raw().all(|(_, schema)| is_closed(schema)),
            _ => is_closed(value),
        };
        if !inside {
            return false;
        }
    }
    !is_object || (closed && all_required(properties, required))
}

fn all_required(properties: Option<Value<'_>>, required: Option<Value<'_>>) -> bool {
    let named = required.iter().flat_map(Value::elements);
    let required: HashSet<Cow<'_, str>> = named.filter_map(|name| name.as_str()).collect();
    properties.iter().flat_map(Value::members).all(|(name, _)| required.contains(&name))
}

fn declare(json: &mut Writer, tool: &Tool<'_>, names: &Names) {
    match tool {
        Tool::Function { name, description, parameters, .. } => {
            json.begin_object().text("type", "function").text("name", names.at_target(name));
            json.maybe_text("description", description.as_deref());
            json.key("parameters").raw(&object_schema(parameters.as_deref().unwrap_or("{}")));
            // Without this word the provider would hold the model to the schema; no other API does so unasked.
            json.key("strict").bool(sent_strict(tool)).end_object();
        }
        Tool::Custom { name, description, format } => {
            json.begin_object().text("type", "custom").text("name", names.at_target(name));
            json.maybe_text("description", description.as_deref());
            json.maybe_raw("format", format.as_deref()).end_object();
        }
        Tool::Hosted { kind, json: declared } if is_anthropic_search(kind) => search(json, declared),
        Tool::Hosted { json: declared, .. } => {
            json.raw(declared);
        }
    }
}

/// A schema as it came, or with the two members that the provider demands at the top: that it is an object's, and its
/// properties, be there none.
fn object_schema(schema: &str) -> Cow<'_, str> {
    let Ok(tape) = Tape::parse(schema.as_bytes(), Rules::Lenient) else { return Cow::Borrowed(schema) };
    let root = tape.root(schema.as_bytes());
    let lacks = |key: &str| root.get(key).is_none();
    let mut missing = Vec::new();
    if lacks("type") {
        missing.push(r#""type":"object""#);
    }
    if lacks("properties") {
        missing.push(r#""properties":{}"#);
    }
    let inside = schema.get(root.span()).and_then(|object| object.strip_prefix('{')?.strip_suffix('}'));
    let Some(inside) = inside.filter(|_| !missing.is_empty()) else { return Cow::Borrowed(schema) };
    let comma = if inside.trim().is_empty() { "" } else { "," };
    Cow::Owned(format!("{{{}{comma}{inside}}}", missing.join(",")))
}

/// Anthropic's search tool in the provider's words: where to search and from where.
fn search(json: &mut Writer, declared: &str) {
    json.begin_object().text("type", "web_search");
    if let Ok(declared) = Json::parse_lenient(Bytes::copy_from_slice(declared.as_bytes())) {
        let root = declared.root();
        if list(root, "allowed_domains").next().is_some() {
            let domains = root.get("allowed_domains").map(raw);
            json.key("filters").begin_object().maybe_raw("allowed_domains", domains.as_deref()).end_object();
        }
        let place = root.get("user_location").filter(|place| !place.is_null()).map(raw);
        json.maybe_raw("user_location", place.as_deref());
    }
    json.end_object();
}

fn choose(json: &mut Writer, choice: &ToolChoice<'_>, tools: &[&Tool<'_>], names: &Names) {
    json.key("tool_choice");
    match choice {
        ToolChoice::Auto => json.string("auto"),
        ToolChoice::None => json.string("none"),
        ToolChoice::Required => json.string("required"),
        ToolChoice::Tool(name) => named(json, name, tools, names),
        ToolChoice::Allowed { names: allowed, required } => {
            json.begin_object().text("type", "allowed_tools");
            json.text("mode", if *required { "required" } else { "auto" }).key("tools").begin_array();
            for name in allowed {
                named(json, name, tools, names);
            }
            json.end_array().end_object()
        }
    };
}

fn named<'w>(json: &'w mut Writer, name: &str, tools: &[&Tool<'_>], names: &Names) -> &'w mut Writer {
    let custom = tools.iter().any(|tool| matches!(tool, Tool::Custom { name: own, .. } if own == name));
    json.begin_object().text("type", if custom { "custom" } else { "function" });
    json.text("name", names.at_target(name)).end_object()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_schemas_are_told_from_others() {
        for (schema, strict) in [
            (r#"{"type":"object","properties":{},"additionalProperties":false}"#, true),
            (
                r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}"#,
                true,
            ),
            (r#"{"type":"object","properties":{"a":{}},"required":[],"additionalProperties":false}"#, false),
            (
                r#"{"type":"object","properties":{"a":{"type":"object"}},"required":["a"],"additionalProperties":false}"#,
                false,
            ),
            (
                r#"{"type":"object","properties":{"type":{"enum":["object"]}},"required":["type"],"additionalProperties":false}"#,
                true,
            ),
            (r#"{"type":"object"}"#, false),
        ] {
            assert_eq!(is_strict_schema(schema), strict, "{schema}");
        }
    }
}
