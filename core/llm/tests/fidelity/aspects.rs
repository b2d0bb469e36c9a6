//! What a request says, feature by feature, whatever the dialect.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use weir_llm::neutral::seal::split_id;
use weir_llm::neutral::{
    By, Content, Format, Media, MediaKind, Part, Prompt, Reasoning, Role, Seal, Source, Tool, ToolChoice,
    ToolResult,
};

/// What is said under each name; what is not said, or says what is the default anyway, is not there.
pub(crate) type Aspects = BTreeMap<String, Value>;

/// The aspects of a request.
pub(crate) fn of(prompt: &Prompt<'_>) -> Aspects {
    let mut all = Aspects::new();
    conversation(prompt, &mut all);
    tools(prompt, &mut all);
    wishes(prompt, &mut all);
    for (key, value) in &prompt.rest {
        // It only says how the caller's own stream looks.
        if key != "stream_options" {
            note(&mut all, &format!("rest.{key}"), parsed(value));
        }
    }
    all
}

/// Adds to a list, or sets a value.
fn note(all: &mut Aspects, name: &str, value: Value) {
    all.insert(name.to_owned(), value);
}

fn add(all: &mut Aspects, name: &str, value: Value) {
    if let Some(list) = all.entry(name.to_owned()).or_insert_with(|| json!([])).as_array_mut() {
        list.push(value);
    }
}

pub(crate) fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| json!(text))
}

fn role(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::Developer => "developer",
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}

fn conversation(prompt: &Prompt<'_>, all: &mut Aspects) {
    let mut said: Vec<(Role, String)> = Vec::new();
    let mut steps = 0;
    for turn in &prompt.turns {
        let instructs = matches!(turn.role, Role::System | Role::Developer);
        if let Some(name) = &turn.name {
            add(all, "names", json!(name));
        }
        for part in &turn.parts {
            steps += usize::from(!instructs);
            let text = match &part.content {
                Content::Text { text, citations } => {
                    for citation in citations {
                        add(all, "citations", json!({"url": citation.url, "title": citation.title}));
                    }
                    text
                }
                _ => {
                    content(&part.content, all);
                    continue;
                }
            };
            if let Some(ttl) = part.cache {
                add(all, "cache", json!({"behind": text, "ttl": ttl.as_str()}));
            }
            if instructs {
                let at = if steps == 0 { "start" } else { "middle" };
                add(all, "instructions", json!({"role": role(turn.role), "text": text, "at": at}));
                continue;
            }
            match said.last_mut() {
                Some((last, words)) if *last == turn.role => *words = format!("{words}\n{text}"),
                _ => said.push((turn.role, text.to_string())),
            }
        }
    }
    let said = said.into_iter().map(|(who, text)| json!({"role": role(who), "text": text}));
    let said: Vec<Value> = said.collect();
    if !said.is_empty() {
        note(all, "said", json!(said));
    }
}

fn content(content: &Content<'_>, all: &mut Aspects) {
    match content {
        Content::Text { .. } => {}
        Content::Media(found) => media(found, all),
        Content::Call(call) => {
            // A proof may travel at the end of the id.
            let (id, in_id) = split_id(&call.id);
            let arguments = if call.custom { json!(call.arguments) } else { object(&call.arguments) };
            add(
                all,
                "calls",
                json!({"id": id, "name": call.name, "arguments": arguments, "custom": call.custom}),
            );
            if let Some(proof) = call.seal.as_ref().or(in_id.as_ref()) {
                add(all, "call_seals", seal(proof));
            }
        }
        Content::Result(answer) => result(answer, all),
        // A call's proof may also travel before the call.
        Content::Thinking(block) if block.seal.as_ref().is_some_and(|seal| seal.of_call().is_some()) => {
            let proof = block.seal.as_ref().and_then(|seal| seal.of_call());
            proof.iter().for_each(|(_, proof)| add(all, "call_seals", seal(proof)));
        }
        Content::Thinking(block) => {
            add(all, "thinking", json!({"text": block.text, "seal": block.seal.as_ref().map(seal)}));
        }
        Content::Refusal(text) => add(all, "refusals", json!(text)),
        Content::Other { kind, json } => add(all, "other", json!({"kind": kind, "json": parsed(json)})),
    }
}

fn result(answer: &ToolResult<'_>, all: &mut Aspects) {
    let (id, _) = split_id(&answer.id);
    let texts: Vec<&str> = answer.parts.iter().filter_map(text_of).collect();
    add(all, "results", json!({"id": id, "text": texts.join("\n"), "custom": answer.custom}));
    if answer.is_error {
        add(all, "result_errors", json!({"id": id, "text": texts.join("\n")}));
    }
    for part in &answer.parts {
        if let Content::Media(found) = &part.content {
            add(all, "result_media", place(found));
        }
    }
}

fn text_of<'p>(part: &'p Part<'_>) -> Option<&'p str> {
    match &part.content {
        Content::Text { text, .. } => Some(text),
        _ => None,
    }
}

/// No arguments are an empty object of them.
pub(crate) fn object(arguments: &str) -> Value {
    if arguments.is_empty() { json!({}) } else { parsed(arguments) }
}

pub(crate) fn seal(seal: &Seal<'_>) -> Value {
    let by = match seal.by {
        By::Anthropic => "anthropic",
        By::OpenAi => "openai",
        By::Gemini => "gemini",
    };
    json!({"by": by, "data": seal.data, "hidden": seal.hidden})
}

fn media(media: &Media<'_>, all: &mut Aspects) {
    let name = match media.kind {
        MediaKind::Image => "images",
        MediaKind::Document => "documents",
        MediaKind::Audio => "audio",
    };
    add(all, name, place(media));
    if let Some(name) = &media.name {
        add(all, "file_names", json!(name));
    }
    // `auto` is what everybody does.
    if let Some(detail) = media.detail.as_ref().filter(|detail| *detail != "auto") {
        add(all, "image_detail", json!(detail));
    }
}

pub(crate) fn place(media: &Media<'_>) -> Value {
    match &media.source {
        Source::Url(url) => json!({"url": url}),
        Source::Base64(data) => json!({"base64": data, "mime": media.mime}),
        Source::Text(text) => json!({"text": text}),
        Source::FileId(id) => json!({"file": id}),
    }
}

fn tools(prompt: &Prompt<'_>, all: &mut Aspects) {
    for tool in &prompt.tools {
        match tool {
            Tool::Function { name, description, parameters, strict, cache } => {
                let none = || json!({"type": "object", "properties": {}});
                let parameters = parameters.as_ref().map_or_else(none, |schema| parsed(schema));
                add(
                    all,
                    "tools",
                    json!({"name": name, "description": description, "parameters": parameters}),
                );
                if *strict == Some(true) {
                    add(all, "strict", json!(name));
                }
                if let Some(ttl) = cache {
                    add(all, "cache", json!({"behind": name, "ttl": ttl.as_str()}));
                }
            }
            Tool::Custom { name, description, format } => {
                let format = format.as_ref().map(|format| parsed(format));
                add(all, "custom_tools", json!({"name": name, "description": description, "format": format}));
            }
            Tool::Hosted { kind, json } => {
                add(all, "hosted_tools", json!({"kind": kind, "json": parsed(json)}));
            }
        }
    }
    match &prompt.tool_choice {
        // What models do unasked.
        None | Some(ToolChoice::Auto) => {}
        Some(ToolChoice::None) => note(all, "tool_choice", json!("none")),
        Some(ToolChoice::Required) => note(all, "tool_choice", json!("required")),
        Some(ToolChoice::Tool(name)) => note(all, "tool_choice", json!({"tool": name})),
        Some(ToolChoice::Allowed { names, required }) => {
            note(all, "tool_choice", json!({"allowed": names, "required": required}));
        }
    }
    if prompt.parallel_tools == Some(false) {
        note(all, "parallel_tools", json!(false));
    }
}

fn wishes(prompt: &Prompt<'_>, all: &mut Aspects) {
    match &prompt.format {
        None | Some(Format::Text) => {}
        Some(Format::JsonObject) => note(all, "format", json!("json_object")),
        Some(Format::JsonSchema { name, description, schema, strict }) => {
            note(all, "format", json!({"schema": parsed(schema), "strict": strict.unwrap_or(false)}));
            if let Some(name) = name {
                note(all, "format_name", json!(name));
            }
            if let Some(description) = description {
                note(all, "format_description", json!(description));
            }
        }
    }
    if let Some(reasoning) = &prompt.reasoning {
        let effort = reasoning.effort.filter(|_| reasoning.on()).map(|effort| effort.as_str());
        note(all, "reasoning_on", json!(reasoning.on()));
        if !reasoning.on() || effort.is_some() || reasoning.budget.is_some() {
            note(
                all,
                "reasoning",
                json!({"on": reasoning.on(), "effort": effort, "budget": reasoning.budget}),
            );
        }
        if let Some(summary) = reasoning.summary.as_ref().filter(|_| Reasoning::on(reasoning)) {
            note(all, "reasoning_summary", json!(summary));
        }
    }
    for (name, number) in [
        ("temperature", &prompt.temperature),
        ("top_p", &prompt.top_p),
        ("top_k", &prompt.top_k),
        ("seed", &prompt.seed),
        ("frequency_penalty", &prompt.frequency_penalty),
        ("presence_penalty", &prompt.presence_penalty),
        ("metadata", &prompt.metadata),
    ] {
        if let Some(number) = number {
            note(all, name, parsed(number));
        }
    }
    for (name, text) in [
        ("user", &prompt.user),
        ("service_tier", &prompt.service_tier),
        ("verbosity", &prompt.verbosity),
        ("cache_key", &prompt.cache_key),
    ] {
        // The usual tier is the usual tier.
        if let Some(text) = text.as_ref().filter(|text| name != "service_tier" || !is_usual(text)) {
            note(all, name, json!(text));
        }
    }
    if let Some(most) = prompt.max_output {
        note(all, "max_output", json!(most));
    }
    if !prompt.stop.is_empty() {
        note(all, "stop", json!(prompt.stop));
    }
    if prompt.choices > 1 {
        note(all, "choices", json!(prompt.choices));
    }
    if let Some(alternatives) = prompt.logprobs {
        note(all, "logprobs", json!(alternatives));
    }
    if prompt.stream {
        note(all, "stream", json!(true));
    }
    if prompt.store == Some(true) {
        note(all, "store", json!(true));
    }
}

fn is_usual(tier: &str) -> bool {
    tier == "auto"
}
