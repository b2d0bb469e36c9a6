//! The Response object, and what of the request it repeats.

use super::part::array;
use super::usage;
use super::wire::{HOSTED_TOOLS, kind, list, number, raw, text};
use crate::fault::Said;
use crate::json::{Kind, Value, Writer};
use crate::neutral::names::fitted;
use crate::neutral::{Ask, Finish};
use crate::usage::Usage;

/// What every Response object of an exchange has in common, besides its head.
#[derive(Clone)]
pub(super) struct Echo {
    /// The gateway's id of the exchange.
    request_id: String,
    /// The model for replies that name none.
    model: String,
    /// Seconds since 1970.
    now: u64,
    /// Members and their values as JSON.
    members: Vec<(&'static str, String)>,
    service_tier: String,
}

/// What of it the provider says first.
#[derive(Debug, Clone, Default)]
pub(super) struct Head {
    pub(super) id: String,
    pub(super) model: String,
    pub(super) created: u64,
}

/// How a reply stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Status<'a> {
    InProgress,
    Completed,
    /// Cut: `max_output_tokens` or `content_filter`.
    Incomplete(&'static str),
    Failed {
        code: &'static str,
        message: &'a str,
    },
}

/// What changes from one Response object of an exchange to the next.
#[derive(Clone, Copy)]
pub(super) struct State<'a> {
    pub(super) status: Status<'a>,
    /// Items as JSON.
    pub(super) output: &'a [String],
    pub(super) usage: Option<&'a Usage>,
    pub(super) service_tier: Option<&'a str>,
}

impl<'a> Status<'a> {
    pub(super) const fn failed(said: &Said<'a>) -> Self {
        let code = if said.status == 429 { "rate_limit_exceeded" } else { "server_error" };
        Self::Failed { code, message: said.message }
    }

    /// The value of `error`.
    pub(super) fn write_error(self, json: &mut Writer) {
        match self {
            Self::Failed { code, message } => {
                json.begin_object().text("code", code).text("message", message).end_object()
            }
            _ => json.null(),
        };
    }

    /// How a reply ended. A refusal has a part of its own; a provider that only said so, or put it in the text, leaves
    /// an answer that is cut by a filter.
    pub(super) const fn of(finish: Option<Finish>, refused: bool) -> Status<'static> {
        match finish {
            Some(Finish::Length | Finish::ContextWindow) => Status::Incomplete("max_output_tokens"),
            Some(Finish::Filter) => Status::Incomplete("content_filter"),
            Some(Finish::Refusal) if !refused => Status::Incomplete("content_filter"),
            _ => Status::Completed,
        }
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete(_) => "incomplete",
            Self::Failed { .. } => "failed",
        }
    }
}

impl Echo {
    pub(super) fn of(ask: &Ask<'_>) -> Self {
        let root = ask.root;
        let or = |value: Option<String>, default: &str| value.unwrap_or_else(|| default.to_owned());
        let string = |key: &str| or(of_kind(root, key, Kind::String), "null");
        let count = |key: &str| or(of_kind(root, key, Kind::Number), "null");
        let members = vec![
            ("background", "false".to_owned()),
            ("instructions", string("instructions")),
            ("max_output_tokens", count("max_output_tokens")),
            ("max_tool_calls", count("max_tool_calls")),
            ("parallel_tool_calls", or(of_kind(root, "parallel_tool_calls", Kind::Bool), "true")),
            ("previous_response_id", "null".to_owned()),
            ("prompt_cache_key", string("prompt_cache_key")),
            ("prompt_cache_retention", retention(root)),
            ("reasoning", or(of_kind(root, "reasoning", Kind::Object), r#"{"effort":null,"summary":null}"#)),
            ("safety_identifier", string("safety_identifier")),
            // Nothing is kept here, whatever was asked for: a caller who comes back for it is told so.
            ("store", "false".to_owned()),
            ("temperature", or(number(root, "temperature").map(|n| n.into_owned()), "1.0")),
            ("text", answer_form(root)),
            ("tool_choice", tool_choice(root)),
            ("tools", tools(root)),
            ("top_logprobs", or(of_kind(root, "top_logprobs", Kind::Number), "0")),
            ("top_p", or(number(root, "top_p").map(|n| n.into_owned()), "1.0")),
            ("truncation", one_of(root, "truncation", &["auto", "disabled"], "\"disabled\"")),
            ("user", string("user")),
            ("metadata", or(of_kind(root, "metadata", Kind::Object), "{}")),
        ];
        Self {
            request_id: ask.request_id.to_owned(),
            model: ask.model.to_owned(),
            now: ask.now,
            members,
            service_tier: tier(text(root, "service_tier").as_deref()).unwrap_or("default").to_owned(),
        }
    }

    /// The head of a reply: its id in this API's form, and our own where the provider gave none.
    pub(super) fn head(&self, id: &str, model: &str, created: Option<u64>) -> Head {
        let id = if id.is_empty() { &self.request_id } else { id };
        let id = if id.starts_with("resp_") { id.to_owned() } else { format!("resp_{id}") };
        Head {
            id: fitted(&id, 64).into_owned(),
            model: if model.is_empty() { self.model.clone() } else { model.to_owned() },
            created: created.unwrap_or(self.now),
        }
    }

    /// Writes the Response object.
    pub(super) fn write(&self, json: &mut Writer, head: &Head, state: &State<'_>) {
        json.begin_object().text("id", &head.id).text("object", "response");
        json.key("created_at").number(head.created).text("status", state.status.as_str());
        json.key("completed_at");
        match state.status {
            Status::Completed => json.number(self.now.max(head.created)),
            _ => json.null(),
        };
        json.key("error");
        state.status.write_error(json);
        json.key("incomplete_details");
        match state.status {
            Status::Incomplete(reason) => json.begin_object().text("reason", reason).end_object(),
            _ => json.null(),
        };
        json.text("model", &head.model);
        array(json, "output", state.output);
        for (key, value) in &self.members {
            json.key(key).raw(value);
        }
        json.text("service_tier", tier(state.service_tier).unwrap_or(&self.service_tier));
        usage::write(json, state.usage);
        json.end_object();
    }
}

/// The tier in this API's words. `standard` is Anthropic's for the usual one.
fn tier(word: Option<&str>) -> Option<&'static str> {
    const TIERS: [&str; 7] = ["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"];
    match word? {
        "standard" | "standard_only" | "on_demand" => Some("default"),
        word => TIERS.into_iter().find(|tier| *tier == word),
    }
}

fn of_kind(root: Value<'_>, key: &str, kind: Kind) -> Option<String> {
    root.get(key).filter(|value| value.kind() == kind).map(|value| raw(value).into_owned())
}

fn one_of(root: Value<'_>, key: &str, words: &[&str], default: &str) -> String {
    let found = root.get(key).filter(|value| words.iter().any(|word| value.is_text(word)));
    found.map_or_else(|| default.to_owned(), |value| raw(value).into_owned())
}

fn retention(root: Value<'_>) -> String {
    one_of(root, "prompt_cache_retention", &["in_memory", "24h"], "null")
}

fn answer_form(root: Value<'_>) -> String {
    let config = root.get("text");
    let format = config.and_then(|config| of_kind(config, "format", Kind::Object));
    let verbosity =
        config.map(|config| one_of(config, "verbosity", &["low", "medium", "high"], "\"medium\""));
    let mut json = Writer::new();
    json.begin_object().key("format").raw(format.as_deref().unwrap_or(r#"{"type":"text"}"#));
    json.key("verbosity").raw(verbosity.as_deref().unwrap_or("\"medium\"")).end_object();
    json.into_text()
}

/// The caller's tools, without those that no SDK's type knows: one of them would make the whole reply unreadable to a
/// strict client.
fn tools(root: Value<'_>) -> String {
    let known = |tool: &Value<'_>| {
        let kind = kind(*tool);
        HOSTED_TOOLS.contains(&kind.as_ref())
            || (matches!(kind.as_ref(), "function" | "custom") && text(*tool, "name").is_some())
    };
    let tools: Vec<String> = list(root, "tools").filter(known).map(|tool| raw(tool).into_owned()).collect();
    format!("[{}]", tools.join(","))
}

/// The caller's choice, or `auto` if it is none that the SDK's types know.
fn tool_choice(root: Value<'_>) -> String {
    const KINDS: [&str; 11] = [
        "file_search",
        "web_search_preview",
        "web_search_preview_2025_03_11",
        "computer",
        "computer_use_preview",
        "computer_use",
        "image_generation",
        "code_interpreter",
        "programmatic_tool_calling",
        "apply_patch",
        "shell",
    ];
    let known = |choice: &Value<'_>| match kind(*choice).as_ref() {
        "" => ["none", "auto", "required"].iter().any(|word| choice.is_text(word)),
        "function" | "custom" => text(*choice, "name").is_some(),
        "mcp" => text(*choice, "server_label").is_some(),
        "allowed_tools" => text(*choice, "mode").is_some() && choice.get("tools").is_some(),
        kind => KINDS.contains(&kind),
    };
    let choice = root.get("tool_choice").filter(known);
    choice.map_or_else(|| "\"auto\"".to_owned(), |choice| raw(choice).into_owned())
}
