//! What the model may call, and what it must.

use super::pen::Pen;
use super::turns::{Kind, Talk};
use crate::json::Json;
use crate::neutral::{Body, CacheTtl, Param, Prompt, Tool, ToolChoice};
use crate::schema::{strict_tool_input, tool_input};
use std::borrow::Cow;
use std::collections::HashSet;

/// Most tools of a request that may be `strict`.
const MOST_STRICT: usize = 20;
/// The schema of a tool that takes nothing.
const NOTHING: &str = r#"{"type":"object","properties":{}}"#;
/// The schema of a tool of which only old calls are known.
const ANYTHING: &str = r#"{"type":"object"}"#;
/// The schema of a custom tool, whose one argument is free text.
const FREE_TEXT: &str = r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}"#;

/// The tools of a request.
pub(super) struct Tools<'p> {
    list: Vec<Declared<'p>>,
    choice: Choice<'p>,
    single: bool,
}

enum Declared<'p> {
    Function {
        name: &'p str,
        description: Option<Cow<'p, str>>,
        schema: Cow<'p, str>,
        strict: bool,
        cache: Option<CacheTtl>,
    },
    /// One of Anthropic's own.
    Hosted(&'p str),
}

/// Whether and what the model must call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Choice<'p> {
    Unsaid,
    Auto,
    None,
    Any,
    Tool(&'p str),
}

/// The tools of a prompt. `strict`: whether the model knows strict ones.
pub(super) fn tools<'p>(prompt: &'p Prompt<'p>, talk: &Talk<'p>, strict: bool, body: &mut Body) -> Tools<'p> {
    let allowed = |tool: &&Tool<'_>| match &prompt.tool_choice {
        Some(ToolChoice::Allowed { names, .. }) => {
            tool.name().is_some_and(|name| names.iter().any(|allowed| allowed == name))
        }
        _ => true,
    };
    let chosen: Vec<_> = prompt.tools.iter().filter(allowed).collect();
    let strict = strict && chosen.iter().filter(|tool| is_strict(tool)).count() <= MOST_STRICT;
    let mut list: Vec<_> = chosen.into_iter().filter_map(|tool| declared(tool, strict, body)).collect();
    if list.is_empty() {
        list = called(talk);
        let choice = if list.is_empty() { Choice::Unsaid } else { Choice::None };
        if matches!(prompt.tool_choice, Some(ToolChoice::Required | ToolChoice::Tool(_))) {
            body.drop_param(Param::ToolChoice);
        }
        return Tools { list, choice, single: false };
    }
    let choice = choice(prompt, &list, body);
    Tools { list, choice, single: prompt.parallel_tools == Some(false) }
}

const fn is_strict(tool: &Tool<'_>) -> bool {
    matches!(tool, Tool::Function { strict: Some(true), .. })
}

fn declared<'p>(tool: &'p Tool<'p>, strict: bool, body: &mut Body) -> Option<Declared<'p>> {
    let described =
        |text: &'p Option<Cow<'p, str>>| text.as_deref().filter(|text| !text.is_empty()).map(Cow::Borrowed);
    if is_strict(tool) && !strict {
        body.drop_named("tools.strict");
    }
    match tool {
        Tool::Function { name, description, parameters, cache, .. } => Some(Declared::Function {
            name,
            description: described(description),
            schema: object_schema(parameters.as_deref().unwrap_or(NOTHING), strict && is_strict(tool)),
            strict: strict && is_strict(tool),
            cache: *cache,
        }),
        Tool::Custom { name, description, format } => Some(Declared::Function {
            name,
            description: with_grammar(described(description), format.as_deref()),
            schema: Cow::Borrowed(FREE_TEXT),
            strict: false,
            cache: None,
        }),
        Tool::Hosted { kind, json } if is_own(kind) => Some(Declared::Hosted(json)),
        Tool::Hosted { kind, .. } => {
            body.drop_named(format!("tools[{kind}]"));
            None
        }
    }
}

/// Anthropic's own tools end in the date of their version: `web_search_20250305`.
fn is_own(kind: &str) -> bool {
    let date = kind.rsplit_once('_').map(|(_, date)| date);
    kind == "mcp_toolset"
        || date.is_some_and(|date| date.len() == 8 && date.bytes().all(|b| b.is_ascii_digit()))
}

/// A custom tool's grammar cannot be enforced here, but the model can be told of it.
fn with_grammar<'p>(description: Option<Cow<'p, str>>, format: Option<&str>) -> Option<Cow<'p, str>> {
    let format =
        format.and_then(|format| Json::parse_lenient(bytes::Bytes::copy_from_slice(format.as_bytes())).ok());
    let root = format.as_ref().map(Json::root);
    let Some(grammar) = root.and_then(|root| super::text(root, "definition")) else { return description };
    let about = description.unwrap_or_default();
    Some(Cow::Owned(
        format!("{about}\n\n`input` must match this grammar:\n{grammar}").trim_start().to_owned(),
    ))
}

/// A schema of arguments. Only strict tools are held to what structured outputs take.
fn object_schema(schema: &str, strict: bool) -> Cow<'_, str> {
    if strict { strict_tool_input(schema) } else { tool_input(schema) }
}

/// Tools that the conversation calls and the caller no longer declares: calls of unknown tools are refused.
fn called<'p>(talk: &Talk<'p>) -> Vec<Declared<'p>> {
    let mut known = HashSet::new();
    let called =
        talk.messages.iter().flat_map(|message| &message.blocks).filter_map(|block| match block.kind {
            Kind::Call(_, call) => Some(&*call.name),
            _ => None,
        });
    let names = called.filter(|name| known.insert(*name));
    let declared = |name| Declared::Function {
        name,
        description: None,
        schema: Cow::Borrowed(ANYTHING),
        strict: false,
        cache: None,
    };
    names.map(declared).collect()
}

fn choice<'p>(prompt: &'p Prompt<'p>, list: &[Declared<'_>], body: &mut Body) -> Choice<'p> {
    let known = |wanted: &str| {
        list.iter().any(|tool| match tool {
            Declared::Function { name, .. } => *name == wanted,
            Declared::Hosted(json) => hosted_name(json).as_deref() == Some(wanted),
        })
    };
    match &prompt.tool_choice {
        None => Choice::Unsaid,
        Some(ToolChoice::Auto | ToolChoice::Allowed { required: false, .. }) => Choice::Auto,
        Some(ToolChoice::None) => Choice::None,
        Some(ToolChoice::Required | ToolChoice::Allowed { required: true, .. }) => Choice::Any,
        Some(ToolChoice::Tool(name)) if known(name) => Choice::Tool(name),
        Some(ToolChoice::Tool(_)) => {
            body.drop_param(Param::ToolChoice);
            Choice::Unsaid
        }
    }
}

fn hosted_name(json: &str) -> Option<String> {
    let json = Json::parse_lenient(bytes::Bytes::copy_from_slice(json.as_bytes())).ok()?;
    super::text(json.root(), "name").map(Cow::into_owned)
}

impl Tools<'_> {
    /// Whether the model must call a tool.
    pub(super) const fn forced(&self) -> bool {
        matches!(self.choice, Choice::Any | Choice::Tool(_))
    }

    /// Lets the model call as it likes.
    pub(super) fn unforce(&mut self) {
        self.choice = Choice::Auto;
    }

    /// How many cache marks they have.
    pub(super) fn marks(&self) -> usize {
        let marked = |tool: &&Declared<'_>| matches!(tool, Declared::Function { cache: Some(_), .. });
        self.list.iter().filter(marked).count()
    }

    /// The members `tools` and `tool_choice`; none if there are no tools.
    pub(super) fn write(&self, pen: &mut Pen<'_>) {
        if self.list.is_empty() {
            return;
        }
        pen.json.key("tools").begin_array();
        for tool in &self.list {
            tool.write(pen);
        }
        pen.json.end_array();
        self.write_choice(pen);
    }

    fn write_choice(&self, pen: &mut Pen<'_>) {
        let kind = match self.choice {
            Choice::Unsaid if !self.single => return,
            Choice::Unsaid | Choice::Auto => "auto",
            Choice::None => "none",
            Choice::Any => "any",
            Choice::Tool(_) => "tool",
        };
        pen.json.key("tool_choice").begin_object().text("type", kind);
        if let Choice::Tool(name) = self.choice {
            let name = pen.name(name).into_owned();
            pen.json.text("name", &name);
        }
        if self.single && self.choice != Choice::None {
            pen.json.key("disable_parallel_tool_use").bool(true);
        }
        pen.json.end_object();
    }
}

impl Declared<'_> {
    fn write(&self, pen: &mut Pen<'_>) {
        let (name, description, schema, strict, cache) = match self {
            Self::Hosted(json) => {
                pen.json.raw(json);
                return;
            }
            Self::Function { name, description, schema, strict, cache } => {
                (pen.name(name).into_owned(), description, schema, *strict, *cache)
            }
        };
        pen.json.begin_object().text("name", &name).maybe_text("description", description.as_deref());
        pen.json.key("input_schema").raw(schema);
        if strict {
            pen.json.key("strict").bool(true);
        }
        pen.mark(cache);
        pen.json.end_object();
    }
}

/// Notes which tools of the caller's take free text, so that the way back can unwrap it.
pub(super) fn wrap_custom(prompt: &Prompt<'_>, body: &mut Body) {
    for tool in &prompt.tools {
        if let Tool::Custom { name, .. } = tool {
            body.names.wrap(name);
        }
    }
}
