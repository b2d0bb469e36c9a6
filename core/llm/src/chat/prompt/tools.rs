//! Tools, which of them to call, and the form of the answer.

use super::parts::cache;
use super::{flag, raw, text};
use crate::json::{Kind, Value, Writer};
use crate::neutral::{Format, Raw, Tool, ToolChoice};

/// A declaration in `tools`.
pub(super) fn tool(tool: Value<'_>) -> Option<Tool<'_>> {
    let kind = text(tool, "type")?;
    let inner = tool.get(&kind).filter(|inner| inner.kind() == Kind::Object);
    match (kind.as_ref(), inner) {
        ("function", Some(function)) => declared(function, tool),
        ("custom", Some(custom)) => Some(Tool::Custom {
            name: text(custom, "name")?,
            description: text(custom, "description"),
            format: custom.get("format").filter(|format| !format.is_null()).map(free_text),
        }),
        _ => Some(Tool::Hosted { json: raw(tool), kind }),
    }
}

/// The form of a custom tool's text. Chat nests the grammar that Responses has flat.
fn free_text(format: Value<'_>) -> Raw<'_> {
    let Some(grammar) = format.get("grammar").filter(|grammar| grammar.kind() == Kind::Object) else {
        return raw(format);
    };
    let mut json = Writer::new();
    json.begin_object().text("type", "grammar");
    for (key, value) in grammar.members() {
        json.key(&key).raw(&raw(value));
    }
    json.end_object();
    json.into_text().into()
}

/// A declaration in the legacy `functions`.
pub(super) fn function(function: Value<'_>) -> Option<Tool<'_>> {
    declared(function, function)
}

fn declared<'a>(function: Value<'a>, tool: Value<'a>) -> Option<Tool<'a>> {
    Some(Tool::Function {
        name: text(function, "name")?,
        description: text(function, "description"),
        parameters: function.get("parameters").filter(|schema| schema.kind() == Kind::Object).map(raw),
        strict: flag(function, "strict"),
        cache: cache(tool).or_else(|| cache(function)),
    })
}

/// `tool_choice`, or the legacy `function_call`.
pub(super) fn choice(value: Value<'_>) -> Option<ToolChoice<'_>> {
    if let Some(word) = value.as_str() {
        return match word.as_ref() {
            "auto" => Some(ToolChoice::Auto),
            "none" => Some(ToolChoice::None),
            // Mistral's word.
            "required" | "any" => Some(ToolChoice::Required),
            _ => None,
        };
    }
    if let Some(allowed) = value.get("allowed_tools") {
        let names = allowed.get("tools");
        let names = names.iter().flat_map(|tools| tools.elements()).filter_map(named);
        let required = allowed.get("mode").is_some_and(|mode| mode.is_text("required"));
        return Some(ToolChoice::Allowed { names: names.collect(), required });
    }
    named(value).map(ToolChoice::Tool)
}

/// The name in `{"type":"function","function":{"name":…}}`, in the same of a custom tool, or in the legacy `{"name":…}`.
fn named<'a>(tool: Value<'a>) -> Option<std::borrow::Cow<'a, str>> {
    let inner = tool.get("function").or_else(|| tool.get("custom")).unwrap_or(tool);
    text(inner, "name")
}

/// `response_format`.
pub(super) fn format(value: Value<'_>) -> Option<Format<'_>> {
    match text(value, "type")?.as_ref() {
        "text" => Some(Format::Text),
        "json_object" => Some(Format::JsonObject),
        "json_schema" => {
            let inner = value.get("json_schema")?;
            let schema = inner.get("schema").filter(|schema| !schema.is_null());
            Some(match schema {
                Some(schema) => Format::JsonSchema {
                    name: text(inner, "name"),
                    description: text(inner, "description"),
                    schema: raw(schema),
                    strict: flag(inner, "strict"),
                },
                // A schema that asks for nothing.
                None => Format::JsonObject,
            })
        }
        _ => None,
    }
}
