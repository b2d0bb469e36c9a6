//! Tools and their choice in a body for a provider.

use super::wire::{HOSTED_TOOLS, list, raw};
use crate::json::{Json, Writer};
use crate::neutral::{Body, Names, Prompt, Tool, ToolChoice};
use crate::schema::arguments_for_openai;
use bytes::Bytes;

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
        declare(json, tool, body);
    }
    json.end_array();
    if let Some(choice) = &prompt.tool_choice {
        choose(json, choice, &known, &body.names);
    }
    if let Some(parallel) = prompt.parallel_tools {
        json.key("parallel_tool_calls").bool(parallel);
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

fn declare(json: &mut Writer, tool: &Tool<'_>, body: &mut Body) {
    let names = &body.names;
    match tool {
        Tool::Function { name, description, parameters, strict, .. } => {
            json.begin_object().text("type", "function").text("name", names.at_target(name));
            json.maybe_text("description", description.as_deref());
            let asked = *strict == Some(true);
            let (schema, sent) = arguments_for_openai(parameters.as_deref(), asked);
            // Without this word the provider would hold the model to the schema; no other API does so unasked.
            json.key("parameters").raw(&schema).key("strict").bool(sent).end_object();
            if asked && !sent {
                body.drop_named(format!("tools[{name}].strict"));
            }
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
