//! What the model may call.

use super::family::Family;
use crate::json::{Json, Writer};
use crate::neutral::names::{fitted, fnv};
use crate::neutral::{Body, Names, Param, Prompt, Tool, ToolChoice};
use crate::schema::parameters_for_gemini;
use std::borrow::Cow;

/// Longest name that every model takes.
const LONGEST: usize = 64;

/// A name as Gemini takes it: it begins with a letter or `_`.
pub(super) fn fitted_name(name: &str) -> Cow<'_, str> {
    if name.starts_with(|first: char| first.is_ascii_digit() || first == '-') {
        let hash = format!("_{:012x}", fnv(name.as_bytes()) & 0xFFFF_FFFF_FFFF);
        return Cow::Owned(format!("_{}{hash}", fitted(name, LONGEST - 1 - hash.len())));
    }
    fitted(name, LONGEST)
}

/// How a tool is called at the target, declared or not.
pub(super) fn at_target<'a>(names: &'a Names, name: &'a str) -> Cow<'a, str> {
    match names.at_target(name) {
        same if same == name => fitted_name(name),
        other => Cow::Borrowed(other),
    }
}

/// Writes `tools` and `toolConfig`; whether there are any tools.
pub(super) fn write(prompt: &Prompt<'_>, names: &Names, body: &mut Body, json: &mut Writer) -> bool {
    let declared: Vec<&Tool<'_>> = prompt.tools.iter().filter(|tool| is_callable(tool, prompt)).collect();
    let searches = declared.is_empty() && prompt.tools.iter().any(is_search);
    for tool in &prompt.tools {
        // Search beside functions is refused by most models, and an agent needs its functions more.
        if let Tool::Hosted { kind, .. } = tool
            && !(searches && is_search(tool))
        {
            body.drop_named(format!("tools[{kind}]"));
        }
    }
    if declared.iter().any(|tool| matches!(tool, Tool::Function { strict: Some(true), .. })) {
        body.drop_named("tools.strict");
    }
    if declared.is_empty() && !searches {
        return false;
    }
    json.key("tools").begin_array();
    if searches {
        json.begin_object().key("googleSearch").begin_object().end_object().end_object();
    } else {
        json.begin_object().key("functionDeclarations").begin_array();
        for tool in &declared {
            declare(tool, names, json);
        }
        json.end_array().end_object();
    }
    json.end_array();
    if !declared.is_empty() {
        choose(prompt, names, &declared, json);
    }
    if prompt.parallel_tools == Some(false) {
        body.drop_param(Param::ParallelTools);
    }
    true
}

fn is_search(tool: &Tool<'_>) -> bool {
    matches!(tool, Tool::Hosted { kind, .. } if kind.starts_with("web_search") || kind == "google_search")
}

/// Whether a tool is declared: a subset that the model may but need not call is told by leaving out the others.
fn is_callable(tool: &Tool<'_>, prompt: &Prompt<'_>) -> bool {
    let Some(name) = tool.name() else { return false };
    match &prompt.tool_choice {
        Some(ToolChoice::Allowed { names, required: false }) => names.iter().any(|allowed| allowed == name),
        _ => true,
    }
}

fn declare(tool: &Tool<'_>, names: &Names, json: &mut Writer) {
    let Some(name) = tool.name() else { return };
    json.begin_object().text("name", names.at_target(name));
    match tool {
        Tool::Function { description, parameters, .. } => {
            json.maybe_text("description", description.as_deref());
            let parameters = parameters.as_deref().and_then(parameters_for_gemini);
            json.maybe_raw("parameters", parameters.as_deref());
        }
        Tool::Custom { description, format, .. } => {
            json.maybe_text(
                "description",
                description_with(description.as_deref(), format.as_deref()).as_deref(),
            );
            json.key("parameters")
                .raw(r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}"#);
        }
        Tool::Hosted { .. } => {}
    }
    json.end_object();
}

/// The model learns of a grammar by reading it: nothing else would tell it.
fn description_with<'a>(description: Option<&'a str>, format: Option<&str>) -> Option<Cow<'a, str>> {
    let grammar = format.and_then(|format| {
        let json = Json::parse_lenient(bytes::Bytes::copy_from_slice(format.as_bytes())).ok()?;
        Some(json.root().get("definition")?.as_str()?.into_owned())
    });
    match (description, grammar) {
        (description, None) => description.map(Cow::Borrowed),
        (description, Some(grammar)) => {
            let before = description.map(|text| format!("{text}\n\n")).unwrap_or_default();
            Some(Cow::Owned(format!("{before}The input must follow this grammar:\n{grammar}")))
        }
    }
}

fn choose(prompt: &Prompt<'_>, names: &Names, declared: &[&Tool<'_>], json: &mut Writer) {
    let (mode, only): (&str, &[Cow<'_, str>]) = match &prompt.tool_choice {
        None => return,
        Some(ToolChoice::Auto | ToolChoice::Allowed { required: false, .. }) => ("AUTO", &[]),
        Some(ToolChoice::None) => ("NONE", &[]),
        Some(ToolChoice::Required) => ("ANY", &[]),
        Some(ToolChoice::Tool(name)) => ("ANY", std::slice::from_ref(name)),
        Some(ToolChoice::Allowed { names, required: true }) => ("ANY", names),
    };
    json.key("toolConfig").begin_object().key("functionCallingConfig").begin_object().text("mode", mode);
    let mut known =
        only.iter().filter(|name| declared.iter().any(|tool| tool.name() == Some(name))).peekable();
    if known.peek().is_some() {
        json.key("allowedFunctionNames").begin_array();
        for name in known {
            json.string(names.at_target(name));
        }
        json.end_array();
    }
    json.end_object().end_object();
}

/// The names of a prompt's tools at the target, custom tools noted as wrapped.
pub(super) fn names(prompt: &Prompt<'_>) -> Names {
    let mut names = Names::fitted_by(&prompt.tools, fitted_name);
    for tool in &prompt.tools {
        if let Tool::Custom { name, .. } = tool {
            names.wrap(name);
        }
    }
    names
}

/// Whether a form of the answer can be asked for beside tools.
pub(super) fn leave_room_for_format(family: Family, has_tools: bool) -> bool {
    !has_tools || family.is_third()
}
