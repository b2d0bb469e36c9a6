//! Tools, which of them to call, and the form of the answer.

use super::Draft;
use crate::json::Json;
use crate::neutral::names::fitted;
use crate::neutral::{CacheTtl, Format, Names, Param, Prompt, Tool, ToolChoice};
use crate::schema::{arguments_for_openai, format_for_openai};
use crate::vendor::Quirks;
use std::borrow::Cow;

/// The arguments of a custom tool that goes to the target as a function.
const WRAPPED: &str = r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}"#;

/// Notes which custom tools go to the target as functions.
pub(super) fn wrap_custom(prompt: &Prompt<'_>, quirks: &Quirks, names: &mut Names) {
    for tool in &prompt.tools {
        if let Tool::Custom { name, .. } = tool
            && !quirks.custom_tools
        {
            names.wrap(name);
        }
    }
}

/// Writes `tools`, and what speaks of them: without tools OpenAI refuses that.
pub(super) fn write(draft: &mut Draft<'_>, prompt: &Prompt<'_>) {
    for tool in &prompt.tools {
        if let Tool::Hosted { kind, .. } = tool {
            draft.noted.drop_named(format!("tools[{kind}]"));
        }
    }
    let sent: Vec<&Tool<'_>> = prompt.tools.iter().filter(|tool| allowed(draft, prompt, tool)).collect();
    if sent.is_empty() {
        if prompt.tool_choice.as_ref().is_some_and(forces) {
            draft.noted.drop_param(Param::ToolChoice);
        }
        return;
    }
    draft.json.key("tools").begin_array();
    sent.iter().for_each(|tool| write_tool(draft, tool));
    draft.json.end_array();
    if let Some(choice) = &prompt.tool_choice {
        write_choice(draft, choice, &sent);
    }
    match prompt.parallel_tools {
        Some(parallel) if draft.quirks.takes(Param::ParallelTools) => {
            draft.json.key("parallel_tool_calls").bool(parallel);
        }
        // Several at once is what models do unasked.
        Some(false) => draft.noted.drop_param(Param::ParallelTools),
        _ => {}
    }
}

/// Whether a choice asks for more than what a model without tools does anyway.
const fn forces(choice: &ToolChoice<'_>) -> bool {
    !matches!(choice, ToolChoice::Auto | ToolChoice::None)
}

/// Whether a tool is sent: where a subset cannot be told, only the subset is.
fn allowed(draft: &Draft<'_>, prompt: &Prompt<'_>, tool: &Tool<'_>) -> bool {
    let Some(name) = tool.name() else { return false };
    match &prompt.tool_choice {
        Some(ToolChoice::Allowed { names, .. }) if !draft.quirks.custom_tools => {
            names.iter().any(|known| known == name)
        }
        _ => true,
    }
}

fn write_tool(draft: &mut Draft<'_>, tool: &Tool<'_>) {
    let native = draft.quirks.custom_tools;
    let Some(name) = tool.name().map(|name| draft.names.at_target(name).to_owned()) else { return };
    let json = &mut draft.json;
    json.begin_object();
    match tool {
        Tool::Custom { description, format, .. } if native => {
            json.text("type", "custom").key("custom").begin_object().text("name", &name);
            json.maybe_text("description", description.as_deref());
            json.maybe_raw("format", format.as_deref().map(nested).as_deref()).end_object();
        }
        Tool::Custom { description, .. } => {
            json.text("type", "function").key("function").begin_object().text("name", &name);
            json.maybe_text("description", description.as_deref());
            json.key("parameters").raw(WRAPPED).end_object();
        }
        Tool::Function { description, parameters, strict, cache, .. } => {
            json.text("type", "function").key("function").begin_object().text("name", &name);
            json.maybe_text("description", description.as_deref());
            // Who takes no schema of an answer has no strict functions either, and no rules for them.
            let asked = *strict == Some(true) && draft.quirks.json_schema;
            let (schema, sent) = arguments_for_openai(parameters.as_deref(), asked);
            json.key("parameters").raw(&schema);
            if let Some(strict) = strict {
                json.key("strict").bool(if asked { sent } else { *strict });
            }
            if asked && !sent {
                draft.noted.drop_named(format!("tools[{}].strict", tool.name().unwrap_or_default()));
            }
            json.end_object();
            if let Some(ttl) = cache.filter(|_| draft.quirks.cache_marks) {
                write_mark(json, ttl);
            }
        }
        Tool::Hosted { .. } => {}
    }
    json.end_object();
}

/// The form of a custom tool's text with its grammar where chat has it.
fn nested(format: &str) -> Cow<'_, str> {
    let Ok(json) = Json::parse_lenient(format.to_owned().into()) else { return Cow::Borrowed(format) };
    let root = json.root();
    if !root.get("type").is_some_and(|kind| kind.is_text("grammar")) {
        return Cow::Borrowed(format);
    }
    let mut json = crate::json::Writer::with_capacity(format.len() + 16);
    json.begin_object().text("type", "grammar").key("grammar").begin_object();
    for (key, value) in root.members().filter(|(key, _)| key != "type") {
        json.key(&key).raw(&String::from_utf8_lossy(value.raw()));
    }
    json.end_object().end_object();
    Cow::Owned(json.into_text())
}

/// Anthropic's cache mark.
pub(super) fn write_mark(json: &mut crate::json::Writer, ttl: CacheTtl) {
    json.key("cache_control").begin_object().text("type", "ephemeral");
    if ttl == CacheTtl::OneHour {
        json.text("ttl", ttl.as_str());
    }
    json.end_object();
}

fn write_choice(draft: &mut Draft<'_>, choice: &ToolChoice<'_>, sent: &[&Tool<'_>]) {
    let required = if draft.quirks.tool_choice_any { "any" } else { "required" };
    let word = match choice {
        ToolChoice::Auto => "auto",
        ToolChoice::None => "none",
        ToolChoice::Required => required,
        ToolChoice::Tool(name) => return write_one(draft, name, sent),
        ToolChoice::Allowed { names, required } if draft.quirks.custom_tools => {
            return write_allowed(draft, names, *required, sent);
        }
        // Only the subset was sent.
        ToolChoice::Allowed { required: true, .. } => required,
        ToolChoice::Allowed { .. } => "auto",
    };
    draft.json.text("tool_choice", word);
}

fn write_one(draft: &mut Draft<'_>, name: &str, sent: &[&Tool<'_>]) {
    match sent.iter().find(|tool| tool.name() == Some(name)) {
        Some(tool) => {
            draft.json.key("tool_choice");
            write_named(draft, tool);
        }
        // It is one that the target does not have.
        None => draft.noted.drop_param(Param::ToolChoice),
    }
}

fn write_allowed(draft: &mut Draft<'_>, names: &[Cow<'_, str>], required: bool, sent: &[&Tool<'_>]) {
    let mode = if required { "required" } else { "auto" };
    draft.json.key("tool_choice").begin_object().text("type", "allowed_tools").key("allowed_tools");
    draft.json.begin_object().text("mode", mode).key("tools").begin_array();
    let named = |tool: &&&Tool<'_>| tool.name().is_some_and(|name| names.iter().any(|known| known == name));
    sent.iter().filter(named).for_each(|tool| write_named(draft, tool));
    draft.json.end_array().end_object().end_object();
}

fn write_named(draft: &mut Draft<'_>, tool: &Tool<'_>) {
    let custom = draft.quirks.custom_tools && matches!(tool, Tool::Custom { .. });
    let kind = if custom { "custom" } else { "function" };
    let name = draft.names.at_target(tool.name().unwrap_or_default());
    draft.json.begin_object().text("type", kind).key(kind).begin_object().text("name", name);
    draft.json.end_object().end_object();
}

/// Writes `response_format`. The instruction for who takes no schema stands among the messages.
pub(super) fn write_format(draft: &mut Draft<'_>, prompt: &Prompt<'_>) {
    let object = |draft: &mut Draft<'_>| {
        draft.json.key("response_format").begin_object().text("type", "json_object").end_object();
    };
    match &prompt.format {
        None | Some(Format::Text) => {}
        Some(Format::JsonObject) => object(draft),
        Some(Format::JsonSchema { .. }) if !draft.quirks.json_schema => object(draft),
        Some(Format::JsonSchema { name, description, schema, strict }) => {
            let name = fitted(name.as_deref().filter(|name| !name.is_empty()).unwrap_or("response"), 64);
            let json = &mut draft.json;
            json.key("response_format").begin_object().text("type", "json_schema").key("json_schema");
            json.begin_object().text("name", &name).maybe_text("description", description.as_deref());
            let (schema, sent) = format_for_openai(schema, *strict == Some(true));
            if strict.is_some() {
                json.key("strict").bool(sent);
            }
            json.key("schema").raw(&schema).end_object().end_object();
            if *strict == Some(true) && !sent {
                draft.noted.drop_named("response_format.strict");
            }
        }
    }
}

/// What the model is told in words where the provider takes no schema.
pub(super) fn instruction(prompt: &Prompt<'_>, quirks: &Quirks) -> Option<String> {
    match &prompt.format {
        Some(Format::JsonSchema { schema, .. }) if !quirks.json_schema => Some(format!(
            "Answer with one JSON object and nothing else. It must fit this JSON Schema:\n{schema}"
        )),
        _ => None,
    }
}
