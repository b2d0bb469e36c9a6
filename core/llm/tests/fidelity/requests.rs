//! Requests on their way out: goldens, and what became of each feature.

use crate::aspects::{self, Aspects};
use crate::fixture::{CALLERS, Fixture, pairs, parse, target};
use crate::gemini;
use serde_json::{Map, Value, json};
use weir_llm::api::{Api, Dialect};
use weir_llm::neutral::{Param, Prompt};
use weir_llm::request::Request;
use weir_llm::translate::{dialect_of, translate};

/// What became of a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    Kept,
    Adapted,
    Dropped,
    Refused,
}

/// What may be left out without a word in the list of what was dropped: the feature, the targets, and why.
pub(crate) const HARMLESS: &[(&str, &[Dialect], &str)] = &[
    (
        "image_detail",
        &[Dialect::Anthropic, Dialect::Gemini],
        "A hint how closely to look: Anthropic and Gemini scale every image by rules of their own.",
    ),
    (
        "format_name",
        &[Dialect::Anthropic, Dialect::Gemini],
        "The name of a schema: OpenAI demands one, the others have none.",
    ),
    (
        "reasoning_summary",
        &[Dialect::OpenAiChat],
        "Chat Completions tells nothing of OpenAI's thinking; who serves other models there tells it unasked.",
    ),
    ("reasoning_on", &[Dialect::OpenAiChat], "To think as the model sees fit is what models do unasked."),
    (
        "thinking",
        &Dialect::ALL,
        "Only its maker can use a proof of thinking, and refuses any other (case 24).",
    ),
    ("call_seals", &Dialect::ALL, "As with thinking: a signature is of use to Gemini only."),
    (
        "citations",
        &Dialect::ALL,
        "Where an earlier answer found its words: the words themselves stay. The forms need proofs of their makers.",
    ),
    (
        "cache",
        &[Dialect::OpenAiChat, Dialect::OpenAiResponses, Dialect::Gemini],
        "A mark changes the price, not the answer; these providers keep beginnings of prompts unasked.",
    ),
];

/// What a target is sent, read again.
pub(crate) struct Sent {
    pub(crate) body: Value,
    pub(crate) dropped: Vec<String>,
    pub(crate) aspects: Aspects,
}

/// Sends a request; the message if it cannot be said.
pub(crate) fn send(request: &Request, dialect: Dialect, model: &str) -> Result<Sent, String> {
    let out = translate(request, dialect, &target(dialect, model)).map_err(|no| no.message)?;
    let body: Value = serde_json::from_slice(&out.body).expect("JSON");
    let aspects = if dialect == Dialect::Gemini {
        // Whether the answer is streamed is said by the path.
        aspects::of(&Prompt { stream: request.stream(), ..gemini::prompt(&body) })
    } else {
        aspects::of(&parse(caller_of(dialect), &body).prompt().unwrap())
    };
    Ok(Sent { body, dropped: out.dropped, aspects })
}

/// The API whose callers speak a dialect.
pub(crate) fn caller_of(dialect: Dialect) -> Api {
    CALLERS.into_iter().find(|api| dialect_of(*api) == Some(dialect)).unwrap()
}

/// The request of a fixture, if the API has words for the feature.
pub(crate) fn request(fixture: &Fixture, api: Api) -> Option<Request> {
    Some(parse(api, fixture.json["calls"].get(api.as_str())?))
}

/// What becomes of each aspect of a request: `Err` names what is lost without a word.
pub(crate) fn fates(request: &Request, sent: &Sent, dialect: Dialect) -> Vec<(String, Result<Fate, String>)> {
    let given = aspects::of(&request.prompt().unwrap());
    let api = request.api();
    given.iter().map(|(name, value)| (name.clone(), fate(api, dialect, &given, name, value, sent))).collect()
}

fn fate(
    api: Api,
    dialect: Dialect,
    given: &Aspects,
    name: &str,
    value: &Value,
    sent: &Sent,
) -> Result<Fate, String> {
    let found = sent.aspects.get(name);
    if found == Some(value) {
        return Ok(Fate::Kept);
    }
    let told = sent.dropped.iter().any(|dropped| explains(dropped, name, api));
    let all_own =
        has_own(name, value, dialect) && own(value, dialect) == own(found.unwrap_or(&Value::Null), dialect);
    let fewer = match (value, found) {
        (Value::Array(given), Some(Value::Array(found))) => found.len() < given.len(),
        _ => false,
    };
    match found {
        Some(_) if !fewer || told || all_own => Ok(Fate::Adapted),
        None if told => Ok(Fate::Dropped),
        _ if in_other_words(name, value, sent) || narrowed(name, given, sent) => Ok(Fate::Adapted),
        _ if has_own(name, value, dialect) => Err(format!("{name}: the maker's own proof is lost: {value}")),
        _ if is_harmless(name, dialect) => Ok(Fate::Dropped),
        _ => Err(format!("{name} = {value} is lost without a word")),
    }
}

pub(crate) fn is_harmless(name: &str, dialect: Dialect) -> bool {
    HARMLESS.iter().any(|(aspect, dialects, _)| *aspect == name && dialects.contains(&dialect))
}

/// The proofs of a dialect's own maker.
fn own(value: &Value, dialect: Dialect) -> Vec<Value> {
    let maker = match dialect {
        Dialect::OpenAiChat => return Vec::new(),
        Dialect::OpenAiResponses => "openai",
        Dialect::Anthropic => "anthropic",
        Dialect::Gemini => "gemini",
    };
    let seals = value.as_array().into_iter().flatten().map(|one| one.get("seal").unwrap_or(one));
    seals.filter(|seal| seal["by"] == maker).cloned().collect()
}

fn has_own(name: &str, value: &Value, dialect: Dialect) -> bool {
    matches!(name, "thinking" | "call_seals") && !own(value, dialect).is_empty()
}

/// Whether an entry of what was dropped speaks of an aspect.
fn explains(dropped: &str, aspect: &str, api: Api) -> bool {
    let param = |param: Param| dropped == param.name(api);
    match aspect {
        "said" | "instructions" | "images" | "documents" | "audio" | "other" | "result_media" | "results"
        | "calls" => dropped.starts_with("messages") || dropped.starts_with("input"),
        "names" => dropped == "messages[].name",
        "tools" | "custom_tools" | "hosted_tools" => dropped.starts_with("tools["),
        "strict" => dropped == "tools.strict" || dropped.ends_with("].strict"),
        "tool_choice" => param(Param::ToolChoice),
        "parallel_tools" => param(Param::ParallelTools),
        "format" => param(Param::Format) || dropped == "text.format.strict",
        "reasoning" | "reasoning_on" | "reasoning_summary" => param(Param::Reasoning),
        "max_output" => param(Param::MaxOutput),
        "stop" => param(Param::Stop),
        "temperature" => param(Param::Temperature),
        "top_p" => param(Param::TopP),
        "top_k" => param(Param::TopK),
        "seed" => param(Param::Seed),
        "frequency_penalty" => param(Param::FrequencyPenalty),
        "presence_penalty" => param(Param::PresencePenalty),
        "logprobs" => param(Param::Logprobs),
        "user" => param(Param::User),
        "service_tier" => param(Param::ServiceTier),
        "verbosity" => param(Param::Verbosity),
        "cache_key" => param(Param::CacheKey),
        "metadata" => param(Param::Metadata),
        "store" => param(Param::Store),
        other => other.strip_prefix("rest.") == Some(dropped),
    }
}

/// Whether what an aspect says stands elsewhere in the body: a system message in the user's words, a document as text.
fn in_other_words(aspect: &str, value: &Value, sent: &Sent) -> bool {
    let keys: &[&str] = match aspect {
        "instructions" | "results" | "said" => &["text"],
        // That it is an error must be said in words then.
        "result_errors" => return said_as_error(value, sent),
        "documents" => &["text", "base64"],
        "result_media" => &["base64", "url"],
        "calls" => &["name"],
        "custom_tools" => &["name", "description", "definition"],
        "refusals" | "file_names" | "names" => &[],
        _ => return false,
    };
    let all = strings(&sent.body).join("\n");
    let entries = value.as_array().into_iter().flatten();
    let mut needles = entries.flat_map(|entry| match entry.as_str() {
        Some(text) => vec![text],
        None => {
            let found = keys.iter().filter_map(|key| entry[*key].as_str().or(entry["format"][*key].as_str()));
            found.filter(|text| !text.is_empty()).collect()
        }
    });
    needles.all(|needle| all.contains(needle))
}

fn said_as_error(value: &Value, sent: &Sent) -> bool {
    let all = strings(&sent.body);
    let mut texts = value.as_array().into_iter().flatten().filter_map(|entry| entry["text"].as_str());
    texts.all(|text| all.contains(&format!("Error: {text}").as_str()))
}

/// Every string of a document.
fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(list) => list.iter().flat_map(strings).collect(),
        Value::Object(members) => members.values().flat_map(strings).collect(),
        _ => Vec::new(),
    }
}

/// Whether a subset of the tools is told by sending only the subset.
fn narrowed(aspect: &str, given: &Aspects, sent: &Sent) -> bool {
    let names = |list: Option<&Value>| -> Vec<Value> {
        let entries = list.and_then(Value::as_array).into_iter().flatten();
        entries.map(|tool| tool["name"].clone()).collect()
    };
    let allowed = given.get("tool_choice").and_then(|choice| choice.get("allowed"));
    matches!(aspect, "tools" | "tool_choice")
        && allowed.is_some_and(|allowed| *allowed == json!(names(sent.aspects.get("tools"))))
}

/// What becomes of a fixture's feature: `None` if the API has no words for it.
pub(crate) fn cell(fixture: &Fixture, api: Api, dialect: Dialect) -> Option<Fate> {
    let request = request(fixture, api)?;
    // The gateway refuses what asks for state before it translates.
    if request.state().is_some() {
        return Some(Fate::Refused);
    }
    let Ok(sent) = send(&request, dialect, fixture.model(dialect)) else { return Some(Fate::Refused) };
    let fates = fates(&request, &sent, dialect);
    let of = |name: &str| fates.iter().find(|(aspect, _)| aspect == name).map(|(_, fate)| fate.clone());
    let mut wanted = fixture.list("aspects").into_iter().map(|name| {
        of(name)
            .unwrap_or_else(|| panic!("{}: the reader of {} does not see {name}", fixture.name, api.as_str()))
    });
    let first = wanted.next().expect("an aspect").ok()?;
    let same = wanted.all(|fate| fate == Ok(first));
    Some(if same { first } else { Fate::Adapted })
}

/// Whether an aspect is dropped.
pub(crate) fn loses(fixture: &Fixture, api: Api, dialect: Dialect, aspect: &str) -> bool {
    let Some(request) = request(fixture, api) else { return false };
    let Ok(sent) = send(&request, dialect, fixture.model(dialect)) else { return false };
    fates(&request, &sent, dialect).contains(&(aspect.to_owned(), Ok(Fate::Dropped)))
}

#[test]
fn fidelity_requests_are_as_expected() {
    for fixture in Fixture::all("requests") {
        let mut found = Map::new();
        for (api, dialect) in pairs() {
            let Some(request) = request(&fixture, api) else { continue };
            let one = match send(&request, dialect, fixture.model(dialect)) {
                Ok(sent) if sent.dropped.is_empty() => json!({"body": sent.body}),
                Ok(sent) => json!({"body": sent.body, "dropped": sent.dropped}),
                Err(message) => json!({"refused": message}),
            };
            let of_api = found.entry(api.as_str()).or_insert_with(|| json!({}));
            of_api[dialect.as_str()] = one;
        }
        fixture.settle(found);
    }
}

#[test]
fn fidelity_nothing_is_lost_without_a_word() {
    let mut lost = Vec::new();
    for fixture in Fixture::all("requests") {
        for (api, dialect) in pairs() {
            let Some(request) = request(&fixture, api) else { continue };
            let Ok(sent) = send(&request, dialect, fixture.model(dialect)) else { continue };
            for (_, fate) in fates(&request, &sent, dialect) {
                if let Err(why) = fate {
                    lost.push(format!("{}, {} to {}: {why}", fixture.name, api.as_str(), dialect.as_str()));
                }
            }
        }
    }
    assert!(lost.is_empty(), "{}", lost.join("\n"));
}
