//! A caller's request.

use super::blocks::{cache, parts};
use super::{kind, raw, text};
use crate::json::Value;
use crate::neutral::{Content, Effort, Format, Part, Prompt, Raw, Reasoning, Role, Tool, ToolChoice, Turn};
use std::borrow::Cow;

/// The request that a body holds. Its types were checked before: what is odd all the same is skipped.
#[must_use]
pub fn prompt(root: Value<'_>) -> Prompt<'_> {
    let mut prompt =
        Prompt { turns: turns(root), reasoning: reasoning(root), format: format(root), ..Prompt::default() };
    for (key, value) in root.members().filter(|(_, value)| !value.is_null()) {
        field(&mut prompt, key, value);
    }
    prompt
}

fn field<'a>(prompt: &mut Prompt<'a>, key: Cow<'a, str>, value: Value<'a>) {
    match key.as_ref() {
        "model" => prompt.model = value.as_str().unwrap_or_default(),
        "max_tokens" => prompt.max_output = value.as_u64(),
        "stream" => prompt.stream = value.as_bool() == Some(true),
        "stop_sequences" => prompt.stop = value.elements().filter_map(|stop| stop.as_str()).collect(),
        "temperature" => prompt.temperature = Some(raw(value)),
        "top_p" => prompt.top_p = Some(raw(value)),
        "top_k" => prompt.top_k = Some(raw(value)),
        "service_tier" => prompt.service_tier = value.as_str(),
        "tools" => prompt.tools = value.elements().map(tool).collect(),
        "tool_choice" => choose(prompt, value),
        "metadata" => user(prompt, value),
        "output_config" => {
            let more = value.members().filter(|(key, _)| !matches!(key.as_ref(), "effort" | "format"));
            prompt.rest.extend(more.map(|(key, value)| (format!("output_config.{key}").into(), raw(value))));
        }
        // Read as a whole.
        "system" | "messages" | "thinking" | "output_format" => {}
        _ => prompt.rest.push((key, raw(value))),
    }
}

fn user<'a>(prompt: &mut Prompt<'a>, metadata: Value<'a>) {
    for (key, value) in metadata.members().filter(|(_, value)| !value.is_null()) {
        match key.as_ref() {
            "user_id" => prompt.user = value.as_str(),
            _ => prompt.rest.push((format!("metadata.{key}").into(), raw(value))),
        }
    }
}

fn turns(root: Value<'_>) -> Vec<Turn<'_>> {
    let mut turns = Vec::new();
    if let Some(system) = root.get("system") {
        add(&mut turns, Role::System, parts(system));
    }
    for message in root.get("messages").into_iter().flat_map(|messages| messages.elements()) {
        let role = match text(message, "role").as_deref() {
            Some("assistant") => Role::Assistant,
            Some("system") => Role::System,
            _ => Role::User,
        };
        add(&mut turns, role, message.get("content").map(parts).unwrap_or_default());
    }
    turns
}

/// Adds a turn. Neighbours that only hold what tools answered are one.
fn add<'a>(turns: &mut Vec<Turn<'a>>, role: Role, parts: Vec<Part<'a>>) {
    if parts.is_empty() {
        return;
    }
    match turns.last_mut() {
        Some(last) if only_results(&last.parts) && only_results(&parts) => last.parts.extend(parts),
        _ => turns.push(Turn { role, parts, name: None }),
    }
}

fn only_results(parts: &[Part<'_>]) -> bool {
    parts.iter().all(|part| matches!(part.content, Content::Result(_)))
}

fn tool(value: Value<'_>) -> Tool<'_> {
    match kind(value) {
        kind if kind.is_empty() || kind == "custom" => Tool::Function {
            name: text(value, "name").unwrap_or_default(),
            description: text(value, "description"),
            parameters: value.get("input_schema").filter(|schema| !schema.is_null()).map(raw),
            strict: value.get("strict").and_then(|strict| strict.as_bool()),
            cache: cache(value),
        },
        kind => Tool::Hosted { kind, json: raw(value) },
    }
}

fn choose<'a>(prompt: &mut Prompt<'a>, choice: Value<'a>) {
    prompt.tool_choice = match kind(choice).as_ref() {
        "auto" => Some(ToolChoice::Auto),
        "any" => Some(ToolChoice::Required),
        "none" => Some(ToolChoice::None),
        "tool" => text(choice, "name").map(ToolChoice::Tool),
        _ => None,
    };
    let single = choice.get("disable_parallel_tool_use").and_then(|flag| flag.as_bool());
    prompt.parallel_tools = single.map(|single| !single);
}

/// `output_config.format`, or `output_format` as it was called before.
fn format(root: Value<'_>) -> Option<Format<'_>> {
    let format = root.get("output_config").and_then(|config| config.get("format"));
    let format = format.filter(|format| !format.is_null()).or_else(|| root.get("output_format"))?;
    let schema: Raw<'_> = raw(format.get("schema")?);
    (kind(format) == "json_schema").then_some(Format::JsonSchema {
        name: None,
        description: None,
        schema,
        strict: Some(true),
    })
}

fn reasoning(root: Value<'_>) -> Option<Reasoning<'_>> {
    let thinking = root.get("thinking").filter(|thinking| !thinking.is_null());
    let effort = root.get("output_config").and_then(|config| text(config, "effort"));
    let effort = effort.and_then(|word| Effort::parse(&word));
    let Some(thinking) = thinking else {
        return effort.map(|effort| Reasoning { effort: Some(effort), ..Reasoning::default() });
    };
    if kind(thinking) == "disabled" {
        return Some(Reasoning { off: true, ..Reasoning::default() });
    }
    let hidden = thinking.get("display").is_some_and(|display| display.is_text("omitted"));
    Some(Reasoning {
        effort,
        budget: thinking.get("budget_tokens").and_then(|tokens| tokens.as_u64()),
        off: false,
        summary: (!hidden).then_some("auto".into()),
    })
}
