//! Replies on their way back: goldens, and what became of each feature.

use crate::aspects::{Aspects, object, parsed, place, seal};
use crate::fixture::{Fixture, ask, pairs, parse, plain, target};
use crate::requests::Fate;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use weir_llm::api::{Api, Dialect};
use weir_llm::neutral::seal::split_id;
use weir_llm::neutral::{Broken, Choice, Citation, Content, Reply, Seal};
use weir_llm::translate::{Back, dialect_of, translate};
use weir_llm::usage::Class;
use weir_llm::{anthropic, chat, gemini, responses};

/// What an API has no place for: the feature, the APIs, and why.
pub(crate) const PLACELESS: &[(&str, &[Api], &str)] = &[
    ("logprobs", &[Api::Messages], "Messages has no log probabilities, and does not take the wish for them."),
    ("images", &[Api::Chat, Api::Messages], "Neither has a place for an image that the model made."),
    (
        "other",
        &[Api::Chat, Api::Responses, Api::Messages],
        "Calls that a provider answers itself: the answer holds what came of them.",
    ),
    (
        "citations",
        &[Api::Messages],
        "Messages cites pages with a proof (`encrypted_index`) that only Anthropic can make.",
    ),
    (
        "citations",
        &[Api::Chat, Api::Responses],
        "A place in a document of the caller's: OpenAI's forms cite addresses and its own files.",
    ),
    ("stop_sequence", &[Api::Chat, Api::Responses], "OpenAI does not tell which stop text was met."),
];

/// Reads a reply as its dialect has it.
pub(crate) fn read(dialect: Dialect, body: &Bytes) -> Result<Reply, Broken> {
    match dialect {
        Dialect::OpenAiChat => chat::read_reply(body),
        Dialect::OpenAiResponses => responses::read_reply(body),
        Dialect::Anthropic => anthropic::read_reply(body),
        Dialect::Gemini => gemini::read_reply(body),
    }
}

/// What a reply says, feature by feature.
pub(crate) fn aspects(reply: &Reply) -> Aspects {
    let mut all = Aspects::new();
    let mut add = |name: &str, value: Value| {
        if let Some(list) = all.entry(name.to_owned()).or_insert_with(|| json!([])).as_array_mut() {
            list.push(value);
        }
    };
    for choice in &reply.choices {
        let mut text = String::new();
        for part in &choice.parts {
            match part {
                Content::Text { text: more, citations } => {
                    text.push_str(more);
                    citations.iter().for_each(|one| add("citations", cited(one)));
                }
                Content::Refusal(text) => add("refusals", json!(text)),
                Content::Thinking(block)
                    if block.seal.as_ref().is_some_and(|seal| seal.of_call().is_some()) =>
                {
                    let proof = block.seal.as_ref().and_then(|seal| seal.of_call());
                    proof.iter().for_each(|(_, proof)| add("call_seals", seal(proof)));
                }
                Content::Thinking(block) => {
                    add("thinking", json!({"text": block.text, "seal": block.seal.as_ref().map(proof)}));
                }
                Content::Call(call) => {
                    let (id, in_id) = split_id(&call.id);
                    let arguments = if call.custom { json!(call.arguments) } else { object(&call.arguments) };
                    let name = &call.name;
                    add(
                        "calls",
                        json!({"id": id, "name": name, "arguments": arguments, "custom": call.custom}),
                    );
                    if let Some(proof) = call.seal.as_ref().or(in_id.as_ref()) {
                        add("call_seals", seal(proof));
                    }
                }
                Content::Media(media) => add("images", place(media)),
                Content::Other { kind, json } if kind == "image_generation_call" => {
                    add("images", json!({"base64": parsed(json)["result"], "mime": "image/png"}));
                }
                Content::Other { kind, .. } => add("other", json!(kind)),
                Content::Result(_) => {}
            }
        }
        if !text.is_empty() {
            add("text", json!(text));
        }
        endings(choice, &mut add);
    }
    whole(reply, &mut all);
    all
}

/// A proof; another maker's comes in the envelope that a caller carries it in.
fn proof(found: &Seal<'_>) -> Value {
    seal(Seal::unwrap(&found.data).map(|(inner, _)| inner).as_ref().unwrap_or(found))
}

fn cited(citation: &Citation<'_>) -> Value {
    json!({"url": citation.url, "title": citation.title})
}

fn endings(choice: &Choice, add: &mut impl FnMut(&str, Value)) {
    add("finish", json!(choice.finish.map(|finish| format!("{finish:?}"))));
    if let Some(text) = &choice.stop_sequence {
        add("stop_sequence", json!(text));
    }
    if let Some(logprobs) = &choice.logprobs {
        add("logprobs", parsed(logprobs));
    }
}

fn whole(reply: &Reply, all: &mut Aspects) {
    all.insert("choices".to_owned(), json!(reply.choices.len()));
    if let Some(usage) = reply.usage {
        let lines: Map<String, Value> =
            usage.lines().map(|(class, units)| (Class::as_str(class).to_owned(), json!(units))).collect();
        all.insert("usage".to_owned(), Value::Object(lines));
    }
    if let Some(tier) = reply.service_tier.as_ref().filter(|tier| *tier != "default") {
        all.insert("service_tier".to_owned(), json!(tier));
    }
}

/// The way back of a plain request, or of the fixture's own.
pub(crate) fn back(fixture: &Fixture, api: Api, dialect: Dialect) -> (Value, Back) {
    let call = fixture.json["calls"].get(api.as_str()).cloned().unwrap_or_else(|| plain(api));
    let request = parse(api, &call);
    let back = translate(&request, dialect, &target(dialect, fixture.model(dialect))).unwrap().back;
    (call, back)
}

/// The reply of a fixture as an API's callers get it.
pub(crate) fn turned(fixture: &Fixture, api: Api, dialect: Dialect) -> Option<(Bytes, Bytes)> {
    let reply = Bytes::from(fixture.json["replies"].get(dialect.as_str())?.to_string());
    if fixture.json.get("calls").is_some_and(|calls| calls.get(api.as_str()).is_none()) {
        // Callers of this API cannot ask for it.
        return None;
    }
    let (call, back) = back(fixture, api, dialect);
    let request = parse(api, &call);
    let turned = back.whole(&reply, &ask(&request));
    let turned = turned.unwrap_or_else(|error| panic!("{}, {}: {error}", fixture.name, dialect.as_str()));
    Some((reply, turned.body.expose().clone()))
}

/// What becomes of each aspect of a reply.
fn fates(fixture: &Fixture, api: Api, dialect: Dialect) -> Option<Vec<(String, Result<Fate, String>)>> {
    let (reply, turned) = turned(fixture, api, dialect)?;
    let mut given = aspects(&read(dialect, &reply).unwrap());
    let found = aspects(&read(dialect_of(api).unwrap(), &turned).unwrap());
    if fixture.json["calls"].get(api.as_str()).is_some() {
        unwrap_custom(&mut given);
    }
    Some(given.iter().map(|(name, value)| (name.clone(), fate(api, name, value, &found))).collect())
}

/// A custom tool that its caller declared is one at every target, whatever it is called there.
fn unwrap_custom(given: &mut Aspects) {
    for call in given.get_mut("calls").and_then(Value::as_array_mut).into_iter().flatten() {
        let text = call["arguments"]["input"].as_str().map(str::to_owned);
        if let Some(text) = text {
            call["arguments"] = json!(text);
            call["custom"] = json!(true);
        }
    }
}

fn fate(api: Api, name: &str, value: &Value, found: &Aspects) -> Result<Fate, String> {
    let refused = found.contains_key("refusals");
    let placeless = PLACELESS.iter().any(|(aspect, apis, _)| *aspect == name && apis.contains(&api));
    match found.get(name) {
        Some(found) if found == value => Ok(Fate::Kept),
        None if in_other_place(name, value, found) => Ok(Fate::Adapted),
        None if placeless => Ok(Fate::Dropped),
        None => Err(format!("{name} = {value} is lost")),
        Some(other) => {
            let fewer = match (value, other) {
                (Value::Array(given), Value::Array(found)) => found.len() < given.len(),
                _ => false,
            };
            let elsewhere =
                in_other_place(name, value, found) || (name == "text" && refused && begins(value, other));
            let bad = !elsewhere && (fewer || broken(name, value, other));
            if bad { Err(format!("{name} = {value} became {other}")) } else { Ok(Fate::Adapted) }
        }
    }
}

/// Whether each text begins as it was given: a refusal follows it where refusals are text.
fn begins(given: &Value, found: &Value) -> bool {
    let texts = |list: &Value| -> Vec<String> {
        list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    texts(found).iter().zip(texts(given)).all(|(found, given)| found.starts_with(&given))
}

/// Whether what changed must not: what is billed in sum, and proofs.
fn broken(name: &str, given: &Value, found: &Value) -> bool {
    let sum =
        |usage: &Value| usage.as_object().map(|all| all.values().filter_map(Value::as_u64).sum::<u64>());
    match name {
        "usage" => sum(given) != sum(found),
        "thinking" => proofs(given) != proofs(found),
        "call_seals" | "text" => true,
        "calls" => {
            let ids = |list: &Value| -> Vec<Value> {
                list.as_array().into_iter().flatten().map(|call| json!([call["id"], call["name"]])).collect()
            };
            ids(given) != ids(found)
        }
        _ => false,
    }
}

fn proofs(thinking: &Value) -> Vec<Value> {
    let blocks = thinking.as_array().into_iter().flatten();
    blocks.map(|block| block["seal"].clone()).filter(|seal| !seal.is_null()).collect()
}

/// Whether it is told by other means: a refusal as text, several answers' text where there is room for one.
fn in_other_place(name: &str, value: &Value, found: &Aspects) -> bool {
    match name {
        "refusals" => {
            let text = found.get("text").map(Value::to_string).unwrap_or_default();
            let refused = value.as_array().into_iter().flatten().filter_map(Value::as_str);
            refused.clone().count() > 0 && refused.into_iter().all(|refusal| text.contains(refusal))
        }
        // An API with room for one answer gets the first; who asks for several is refused on the way out.
        "text" | "finish" => found.get("choices") == Some(&json!(1)),
        _ => false,
    }
}

/// What becomes of a fixture's feature: `None` if the dialect has no words for it.
pub(crate) fn cell(fixture: &Fixture, api: Api, dialect: Dialect) -> Option<Fate> {
    let fates = fates(fixture, api, dialect)?;
    let of = |name: &str| fates.iter().find(|(aspect, _)| aspect == name).map(|(_, fate)| fate.clone());
    let mut wanted = fixture.list("aspects").into_iter().map(|name| {
        of(name).unwrap_or_else(|| {
            panic!("{}: the reader of {} does not see {name}", fixture.name, dialect.as_str())
        })
    });
    let first = wanted.next().expect("an aspect").ok()?;
    let same = wanted.all(|fate| fate == Ok(first));
    Some(if same { first } else { Fate::Adapted })
}

/// Whether an aspect is dropped.
pub(crate) fn loses(fixture: &Fixture, api: Api, dialect: Dialect, aspect: &str) -> bool {
    let fates = fates(fixture, api, dialect).unwrap_or_default();
    fates.contains(&(aspect.to_owned(), Ok(Fate::Dropped)))
}

#[test]
fn fidelity_replies_are_as_expected() {
    for fixture in Fixture::all("replies") {
        let mut found = Map::new();
        for (api, dialect) in pairs() {
            let Some((_, body)) = turned(&fixture, api, dialect) else { continue };
            let of_dialect = found.entry(dialect.as_str()).or_insert_with(|| json!({}));
            of_dialect[api.as_str()] = serde_json::from_slice(&body).unwrap();
        }
        fixture.settle(found);
    }
}

#[test]
fn fidelity_nothing_is_lost_on_the_way_back() {
    let mut lost = Vec::new();
    for fixture in Fixture::all("replies") {
        for (api, dialect) in pairs() {
            for (_, fate) in fates(&fixture, api, dialect).into_iter().flatten() {
                if let Err(why) = fate {
                    lost.push(format!("{}, {} to {}: {why}", fixture.name, dialect.as_str(), api.as_str()));
                }
            }
        }
    }
    assert!(lost.is_empty(), "{}", lost.join("\n"));
}
