//! Requests on their way out: goldens, and what became of each feature.

use crate::aspects::{self, Aspects};
use crate::fixture::{CALLERS, Fixture, pairs, parse, target};
use crate::gemini;
use serde_json::{Map, Value, json};
use weir_llm::api::{Api, Dialect};
use weir_llm::neutral::Param;
use weir_llm::request::Request;
use weir_llm::translate::{dialect_of, translate};

/// What became of a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    Kept,
    Adapted,
    Dropped,
    Refused,
}

/// What may be left out without a word in the list of what was dropped: the feature, the targets, and why.
pub const HARMLESS: &[(&str, &[Dialect], &str)] = &[];

/// What a target is sent, read again.
pub struct Sent {
    pub body: Value,
    pub dropped: Vec<String>,
    pub aspects: Aspects,
}

/// Sends a request; the message if it cannot be said.
pub fn send(request: &Request, dialect: Dialect, model: &str) -> Result<Sent, String> {
    let out = translate(request, dialect, &target(dialect, model)).map_err(|no| no.message)?;
    let body: Value = serde_json::from_slice(&out.body).expect("JSON");
    let aspects = if dialect == Dialect::Gemini {
        aspects::of(&gemini::prompt(&body))
    } else {
        aspects::of(&parse(caller_of(dialect), &body).prompt().unwrap())
    };
    Ok(Sent { body, dropped: out.dropped, aspects })
}

/// The API whose callers speak a dialect.
pub fn caller_of(dialect: Dialect) -> Api {
    CALLERS.into_iter().find(|api| dialect_of(*api) == Some(dialect)).unwrap()
}

/// The request of a fixture, if the API has words for the feature.
pub fn request(fixture: &Fixture, api: Api) -> Option<Request> {
    Some(parse(api, fixture.json["calls"].get(api.as_str())?))
}

/// What becomes of each aspect of a request: `Err` names what is lost without a word.
pub fn fates(request: &Request, sent: &Sent, dialect: Dialect) -> Vec<(String, Result<Fate, String>)> {
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
    let fewer = match (value, found) {
        (Value::Array(given), Some(Value::Array(found))) => found.len() < given.len(),
        _ => false,
    };
    match found {
        Some(_) if !fewer || told => Ok(Fate::Adapted),
        None if told => Ok(Fate::Dropped),
        _ if in_other_words(name, value, sent) || narrowed(name, given, sent) => Ok(Fate::Adapted),
        _ if is_harmless(name, dialect) => Ok(Fate::Dropped),
        _ => Err(format!("{name} = {value} is lost without a word")),
    }
}

pub fn is_harmless(name: &str, dialect: Dialect) -> bool {
    HARMLESS.iter().any(|(aspect, dialects, _)| *aspect == name && dialects.contains(&dialect))
}

/// Whether an entry of what was dropped speaks of an aspect.
fn explains(dropped: &str, aspect: &str, api: Api) -> bool {
    let param = |param: Param| dropped == param.name(api);
    match aspect {
        "said" | "instructions" | "images" | "documents" | "audio" | "other" | "result_media" | "results"
        | "calls" => dropped.starts_with("messages") || dropped.starts_with("input"),
        "names" => matches!(dropped, "name" | "messages.name" | "messages[].name"),
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
        "instructions" | "results" | "result_errors" | "said" => &["text"],
        "documents" => &["text", "base64"],
        "result_media" => &["base64", "url"],
        "calls" | "custom_tools" => &["name"],
        "refusals" | "file_names" | "names" => &[],
        _ => return false,
    };
    let all = strings(&sent.body).join("\n");
    let entries = value.as_array().into_iter().flatten();
    let mut needles = entries.flat_map(|entry| match entry.as_str() {
        Some(text) => vec![text],
        None => keys.iter().filter_map(|key| entry[*key].as_str()).filter(|text| !text.is_empty()).collect(),
    });
    needles.all(|needle| all.contains(needle))
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
pub fn cell(fixture: &Fixture, api: Api, dialect: Dialect) -> Option<Fate> {
    let request = request(fixture, api)?;
    // The gateway refuses what asks for state before it translates.
    if request.state().is_some() {
        return Some(Fate::Refused);
    }
    let Ok(sent) = send(&request, dialect, fixture.model(dialect)) else { return Some(Fate::Refused) };
    let fates = fates(&request, &sent, dialect);
    let of = |name: &str| fates.iter().find(|(aspect, _)| aspect == name).map(|(_, fate)| fate.clone());
    let mut wanted = fixture.list("aspects").into_iter().map(|name| {
        of(name).unwrap_or_else(|| panic!("{}: the reader of {} does not see {name}", fixture.name, api.as_str()))
    });
    let first = wanted.next().expect("an aspect").ok()?;
    let same = wanted.all(|fate| fate == Ok(first));
    Some(if same { first } else { Fate::Adapted })
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
