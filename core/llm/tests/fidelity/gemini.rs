//! Reads a Gemini body as a prompt, as far as the fixtures need: the crate itself never does.

use serde_json::Value;
use std::borrow::Cow;
use weir_llm::neutral::{
    By, Call, Content, Effort, Format, Media, MediaKind, Part, Prompt, Reasoning, Role, Seal, Source,
    Thinking, Tool, ToolChoice, ToolResult, Turn,
};

/// Google's own word for: there is no signature.
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// The prompt that a body says.
pub(crate) fn prompt(body: &Value) -> Prompt<'static> {
    let mut prompt = Prompt { turns: turns(body), tools: tools(body), ..Prompt::default() };
    prompt.tool_choice = choice(&body["toolConfig"]["functionCallingConfig"]);
    let config = &body["generationConfig"];
    prompt.max_output = config["maxOutputTokens"].as_u64();
    prompt.choices = config["candidateCount"].as_u64().unwrap_or(1);
    prompt.stop = list(&config["stopSequences"]).filter_map(own).collect();
    if config["responseLogprobs"] == true {
        prompt.logprobs = Some(config["logprobs"].as_u64().unwrap_or(0));
    }
    for (key, field) in [
        ("temperature", &mut prompt.temperature),
        ("topP", &mut prompt.top_p),
        ("topK", &mut prompt.top_k),
        ("seed", &mut prompt.seed),
        ("frequencyPenalty", &mut prompt.frequency_penalty),
        ("presencePenalty", &mut prompt.presence_penalty),
    ] {
        *field = config.get(key).map(|number| number.to_string().into());
    }
    prompt.format = match (config.get("responseSchema"), config.get("responseMimeType")) {
        (Some(schema), _) => Some(Format::JsonSchema {
            name: None,
            description: None,
            schema: schema.to_string().into(),
            strict: Some(true),
        }),
        (None, Some(_)) => Some(Format::JsonObject),
        (None, None) => None,
    };
    prompt.reasoning = config.get("thinkingConfig").map(reasoning);
    prompt
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn own(value: &Value) -> Option<Cow<'static, str>> {
    value.as_str().map(|text| text.to_owned().into())
}

fn reasoning(config: &Value) -> Reasoning<'static> {
    let budget = config["thinkingBudget"].as_u64();
    let shown = config["includeThoughts"] == true;
    Reasoning {
        effort: config["thinkingLevel"].as_str().and_then(Effort::parse),
        budget,
        off: budget == Some(0),
        summary: shown.then_some("auto".into()),
    }
}

fn turns(body: &Value) -> Vec<Turn<'static>> {
    let mut turns = Vec::new();
    let system: Vec<_> = list(&body["systemInstruction"]["parts"]).flat_map(plain).collect();
    if !system.is_empty() {
        turns.push(Turn { role: Role::System, parts: system, name: None });
    }
    let mut calls = Vec::new();
    for content in list(&body["contents"]) {
        let model = content["role"] == "model";
        if model {
            calls.clear();
        }
        let mut parts = Vec::new();
        for part in list(&content["parts"]) {
            parts.extend(read(part, &mut calls));
        }
        let role = if model { Role::Assistant } else { Role::User };
        turns.push(Turn { role, parts, name: None });
    }
    turns
}

fn plain(part: &Value) -> Vec<Part<'static>> {
    read(part, &mut Vec::new())
}

/// A part; `calls` are those that wait for a response.
fn read(part: &Value, calls: &mut Vec<String>) -> Vec<Part<'static>> {
    let proof = own(&part["thoughtSignature"]).filter(|proof| proof != NO_SIGNATURE);
    let proof = proof.map(|data| Seal { by: By::Gemini, data, hidden: false });
    if let Some(call) = part.get("functionCall") {
        let id = own(&call["id"]).unwrap_or_else(|| format!("made_{}", calls.len()).into());
        calls.push(id.to_string());
        return vec![Part::new(Content::Call(Call {
            id,
            name: own(&call["name"]).unwrap(),
            arguments: call["args"].to_string().into(),
            custom: false,
            seal: proof,
        }))];
    }
    let mut parts = Vec::new();
    if let Some(seal) = proof {
        parts.push(Part::new(Content::Thinking(Thinking { text: "".into(), seal: Some(seal) })));
    }
    if let Some(answer) = part.get("functionResponse") {
        parts.push(Part::new(Content::Result(response(answer, calls))));
    } else if let Some(media) = media(part) {
        parts.push(Part::new(Content::Media(media)));
    } else if let Some(text) = own(&part["text"]).filter(|text| !text.is_empty()) {
        parts.push(Part::text(text));
    }
    parts
}

fn response(answer: &Value, calls: &mut Vec<String>) -> ToolResult<'static> {
    let id = own(&answer["id"]).unwrap_or_else(|| calls.remove(0).into());
    let given = &answer["response"];
    let is_error = given.get("error").is_some();
    let text =
        own(&given["error"]).or_else(|| own(&given["output"])).unwrap_or_else(|| given.to_string().into());
    ToolResult { id, parts: vec![Part::text(text)], is_error, custom: false }
}

fn media(part: &Value) -> Option<Media<'static>> {
    let (place, source) = match (part.get("inlineData"), part.get("fileData")) {
        (Some(data), _) => (data, Source::Base64(own(&data["data"])?)),
        (_, Some(file)) => (file, Source::Url(own(&file["fileUri"])?)),
        _ => return None,
    };
    let mime = own(&place["mimeType"]);
    let kind = match mime.as_deref().and_then(|mime| mime.split('/').next()) {
        Some("image") => MediaKind::Image,
        Some("audio") => MediaKind::Audio,
        _ => MediaKind::Document,
    };
    Some(Media { kind, source, mime, name: None, detail: None })
}

fn tools(body: &Value) -> Vec<Tool<'static>> {
    let mut tools = Vec::new();
    for entry in list(&body["tools"]) {
        tools.extend(list(&entry["functionDeclarations"]).map(|function| Tool::Function {
            name: own(&function["name"]).unwrap(),
            description: own(&function["description"]),
            parameters: function.get("parameters").map(|schema| schema.to_string().into()),
            strict: None,
            cache: None,
        }));
        if let Some(search) = entry.get("googleSearch") {
            tools.push(Tool::Hosted { kind: "google_search".into(), json: search.to_string().into() });
        }
    }
    tools
}

fn choice(config: &Value) -> Option<ToolChoice<'static>> {
    let names: Vec<Cow<'static, str>> = list(&config["allowedFunctionNames"]).filter_map(own).collect();
    match (config["mode"].as_str()?, names.as_slice()) {
        ("NONE", _) => Some(ToolChoice::None),
        ("ANY", []) => Some(ToolChoice::Required),
        ("ANY", [one]) => Some(ToolChoice::Tool(one.clone())),
        ("ANY", _) => Some(ToolChoice::Allowed { names, required: true }),
        _ => Some(ToolChoice::Auto),
    }
}
