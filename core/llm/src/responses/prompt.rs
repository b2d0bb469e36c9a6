//! A caller's body as a prompt.

use super::parts::parts;
use super::spaces::{ADDITIONAL, Declared, Toolbox};
use super::wire::{filled, kind, list, number, raw, text, thinking};
use crate::json::{Kind, Value};
use crate::neutral::{
    Call, Content, Effort, Format, Part, Prompt, Reasoning, Role, Tool, ToolChoice, ToolResult, Turn,
};
use std::borrow::Cow;

/// Fields that [`prompt`] reads, or that mean nothing to another target: what more to send to the caller, how to pad a
/// stream.
const KNOWN: &[&str] = &[
    "model",
    "instructions",
    "input",
    "tools",
    "tool_choice",
    "text",
    "reasoning",
    "max_output_tokens",
    "parallel_tool_calls",
    "temperature",
    "top_p",
    "top_logprobs",
    "user",
    "safety_identifier",
    "service_tier",
    "prompt_cache_key",
    "metadata",
    "store",
    "stream",
    "include",
    "stream_options",
    "client_metadata",
];

/// Reads a body whose fields have the types that they should have. What is odd is skipped or kept in `rest`.
#[must_use]
pub fn prompt(root: Value<'_>) -> Prompt<'_> {
    let toolbox = Toolbox::of(root);
    let mut prompt = Prompt {
        model: text(root, "model").unwrap_or_default(),
        turns: turns(root, &toolbox),
        tools: toolbox.all.iter().filter_map(tool).collect(),
        parallel_tools: flag(root, "parallel_tool_calls"),
        max_output: root.get("max_output_tokens").and_then(|tokens| tokens.as_u64()),
        stream: flag(root, "stream") == Some(true),
        temperature: number(root, "temperature"),
        top_p: number(root, "top_p"),
        logprobs: logprobs(root),
        user: filled(root, "safety_identifier").or_else(|| filled(root, "user")),
        service_tier: filled(root, "service_tier"),
        cache_key: filled(root, "prompt_cache_key"),
        metadata: object(root, "metadata").map(raw),
        store: flag(root, "store"),
        ..Prompt::default()
    };
    tool_choice(root, &toolbox, &mut prompt);
    answer_form(root, &mut prompt);
    reasoning(root, &mut prompt);
    let unknown = root.members().filter(|(key, value)| {
        let idle = match key.as_ref() {
            "background" => value.as_bool() != Some(true),
            // Nobody else cuts a context that overflows.
            "truncation" => !value.is_text("auto"),
            _ => value.is_null(),
        };
        !idle && !KNOWN.contains(&key.as_ref())
    });
    prompt.rest.extend(unknown.map(|(key, value)| (key, raw(value))));
    prompt.rest.extend(toolbox.clashing.into_iter().map(|(path, tool)| (path.into(), raw(tool))));
    prompt
}

fn flag(root: Value<'_>, key: &str) -> Option<bool> {
    root.get(key)?.as_bool()
}

fn object<'a>(root: Value<'a>, key: &str) -> Option<Value<'a>> {
    root.get(key).filter(|value| value.kind() == Kind::Object)
}

/// Asked for by number, or by name in `include`.
fn logprobs(root: Value<'_>) -> Option<u64> {
    let asked = || list(root, "include").any(|wish| wish.is_text("message.output_text.logprobs"));
    let top = root.get("top_logprobs").and_then(|top| top.as_u64());
    top.filter(|&top| top > 0).or_else(|| asked().then_some(0))
}

fn turns<'a>(root: Value<'a>, toolbox: &Toolbox<'a>) -> Vec<Turn<'a>> {
    let mut turns = Turns { all: Vec::new(), takes: None, toolbox };
    if let Some(text) = filled(root, "instructions") {
        turns.open(Role::System).push(Part::text(text));
    }
    match root.get("input") {
        Some(input) if input.kind() == Kind::String => turns.message(Role::User, parts(input)),
        Some(input) => input.elements().for_each(|item| turns.item(item)),
        None => {}
    }
    turns.all
}

/// Turns as items come: what the model made in a row is one turn, and so is what tools answered in a row.
struct Turns<'t, 'a> {
    all: Vec<Turn<'a>>,
    /// What the last turn still takes.
    takes: Option<Side>,
    toolbox: &'t Toolbox<'a>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    /// What the model made.
    Model,
    /// What tools answered.
    Tools,
}

impl<'a> Turns<'_, 'a> {
    fn item(&mut self, item: Value<'a>) {
        let kind = kind(item);
        match kind.as_ref() {
            "" | "message" => {
                let role = role(item);
                self.message(role, item.get("content").map(parts).unwrap_or_default());
            }
            "function_call" => self.call(item, "arguments"),
            "custom_tool_call" => self.call(item, "input"),
            "function_call_output" | "custom_tool_call_output" => {
                let custom = kind == "custom_tool_call_output";
                let id = filled(item, "call_id").or_else(|| text(item, "id")).unwrap_or_default();
                let parts = item.get("output").map(parts).unwrap_or_default();
                let is_error = false;
                self.add(Side::Tools, Content::Result(ToolResult { id, parts, is_error, custom }));
            }
            "reasoning" => {
                if let Some(thinking) = thinking(item) {
                    self.add(Side::Model, Content::Thinking(thinking));
                }
            }
            // They are among the tools.
            ADDITIONAL => {}
            other => {
                let answer = other.ends_with("_output") || other == "mcp_approval_response";
                let side = if answer { Side::Tools } else { Side::Model };
                self.add(side, Content::Other { kind: Cow::Owned(other.to_owned()), json: raw(item) });
            }
        }
    }

    fn message(&mut self, role: Role, parts: Vec<Part<'a>>) {
        if role == Role::Assistant {
            self.side(Side::Model).extend(parts);
        } else {
            self.open(role).extend(parts);
        }
    }

    fn call(&mut self, item: Value<'a>, key: &str) {
        let call = Call {
            id: filled(item, "call_id").or_else(|| text(item, "id")).unwrap_or_default(),
            name: self.toolbox.name_of(item).unwrap_or_default(),
            arguments: text(item, key).unwrap_or_default(),
            custom: key == "input",
            seal: None,
        };
        self.add(Side::Model, Content::Call(call));
    }

    fn add(&mut self, side: Side, content: Content<'a>) {
        self.side(side).push(Part::new(content));
    }

    /// The parts of the last turn if it is of this side, else of a new one.
    fn side(&mut self, side: Side) -> &mut Vec<Part<'a>> {
        if self.takes != Some(side) || self.all.is_empty() {
            self.open(if side == Side::Model { Role::Assistant } else { Role::User });
            self.takes = Some(side);
        }
        let last = self.all.len() - 1;
        &mut self.all[last].parts
    }

    /// The parts of a new turn that takes nothing more afterwards.
    fn open(&mut self, role: Role) -> &mut Vec<Part<'a>> {
        self.takes = None;
        self.all.push(Turn { role, parts: Vec::new(), name: None });
        let last = self.all.len() - 1;
        &mut self.all[last].parts
    }
}

fn role(item: Value<'_>) -> Role {
    match text(item, "role").as_deref() {
        Some("assistant") => Role::Assistant,
        Some("system") => Role::System,
        Some("developer") => Role::Developer,
        _ => Role::User,
    }
}

fn tool<'a>(declared: &Declared<'a>) -> Option<Tool<'a>> {
    let (name, tool) = (declared.name.clone(), declared.value);
    let description = filled(tool, "description");
    Some(match kind(tool).as_ref() {
        "function" => Tool::Function {
            name: name?,
            description,
            parameters: object(tool, "parameters").map(raw),
            strict: flag(tool, "strict"),
            cache: None,
        },
        "custom" => {
            let format = object(tool, "format").map(raw);
            Tool::Custom { name: name?, description, format }
        }
        other => Tool::Hosted { kind: Cow::Owned(other.to_owned()), json: raw(tool) },
    })
}

/// A choice of a tool that only this dialect knows is no choice elsewhere: it stays in `rest`, so that it is told.
fn tool_choice<'a>(root: Value<'a>, toolbox: &Toolbox<'a>, prompt: &mut Prompt<'a>) {
    let Some(choice) = root.get("tool_choice").filter(|choice| !choice.is_null()) else { return };
    let word = choice.as_str().unwrap_or_else(|| kind(choice));
    prompt.tool_choice = match word.as_ref() {
        "auto" => Some(ToolChoice::Auto),
        "none" => Some(ToolChoice::None),
        "required" => Some(ToolChoice::Required),
        "function" | "custom" => toolbox.name_of(choice).map(ToolChoice::Tool),
        "allowed_tools" => Some(ToolChoice::Allowed {
            names: list(choice, "tools").flat_map(|tool| toolbox.names_of(tool)).collect(),
            required: text(choice, "mode").as_deref() == Some("required"),
        }),
        _ => {
            prompt.rest.push(("tool_choice".into(), raw(choice)));
            Some(ToolChoice::Auto)
        }
    };
}

fn answer_form<'a>(root: Value<'a>, prompt: &mut Prompt<'a>) {
    let Some(config) = object(root, "text") else { return };
    prompt.verbosity = filled(config, "verbosity");
    let Some(format) = object(config, "format") else { return };
    prompt.format = match kind(format).as_ref() {
        "text" => Some(Format::Text),
        "json_object" => Some(Format::JsonObject),
        "json_schema" => object(format, "schema").map(|schema| Format::JsonSchema {
            name: filled(format, "name"),
            description: filled(format, "description"),
            schema: raw(schema),
            strict: flag(format, "strict"),
        }),
        _ => {
            prompt.rest.push(("text.format".into(), raw(format)));
            None
        }
    };
}

fn reasoning<'a>(root: Value<'a>, prompt: &mut Prompt<'a>) {
    let Some(wish) = object(root, "reasoning") else { return };
    let effort = text(wish, "effort").and_then(|word| Effort::parse(&word));
    let summary = filled(wish, "summary").or_else(|| filled(wish, "generate_summary"));
    let off = effort == Some(Effort::None);
    if effort.is_some() || summary.is_some() {
        prompt.reasoning = Some(Reasoning { effort, budget: None, off, summary });
    }
    for (key, value) in wish.members() {
        if !value.is_null() && !matches!(key.as_ref(), "effort" | "summary" | "generate_summary") {
            prompt.rest.push((format!("reasoning.{key}").into(), raw(value)));
        }
    }
}
