//! What the gateway reads of a Responses request, with the type of every field that it acts on.

use crate::json::{Kind, Value};
use crate::neutral::seal::{By, Seal};
use crate::request::read::{
    FLAG_OR_NULL, LIST_OR_NULL, NUMBER_OR_NULL, OBJECT_OR_NULL, Path, Row, TEXT, TEXT_OR_LIST,
    TEXT_OR_LIST_OR_NULL, TEXT_OR_NULL, TEXT_OR_OBJECT_OR_NULL, each, invalid, missing, model_name, one_of,
    optional_bool, optional_text, required, row, shape,
};
use crate::request::{Bound, Fields, RequestError};

const BODY: &[Row] = &[
    ("model", TEXT),
    ("input", TEXT_OR_LIST_OR_NULL),
    ("instructions", TEXT_OR_LIST_OR_NULL),
    ("stream", FLAG_OR_NULL),
    ("stream_options", OBJECT_OR_NULL),
    ("max_output_tokens", NUMBER_OR_NULL),
    ("max_tool_calls", NUMBER_OR_NULL),
    ("tools", LIST_OR_NULL),
    ("tool_choice", TEXT_OR_OBJECT_OR_NULL),
    ("parallel_tool_calls", FLAG_OR_NULL),
    ("text", OBJECT_OR_NULL),
    ("reasoning", OBJECT_OR_NULL),
    ("include", LIST_OR_NULL),
    ("metadata", OBJECT_OR_NULL),
    ("store", FLAG_OR_NULL),
    ("previous_response_id", TEXT_OR_NULL),
    ("conversation", TEXT_OR_OBJECT_OR_NULL),
    ("background", FLAG_OR_NULL),
    ("prompt", OBJECT_OR_NULL),
    ("user", TEXT_OR_NULL),
    ("safety_identifier", TEXT_OR_NULL),
    ("prompt_cache_key", TEXT_OR_NULL),
    ("service_tier", TEXT_OR_NULL),
    ("truncation", TEXT_OR_NULL),
    ("top_logprobs", NUMBER_OR_NULL),
    ("temperature", NUMBER_OR_NULL),
    ("top_p", NUMBER_OR_NULL),
];
const ITEM: &[Row] = &[
    ("type", TEXT),
    ("role", TEXT),
    ("content", TEXT_OR_LIST_OR_NULL),
    ("id", TEXT_OR_NULL),
    ("call_id", TEXT_OR_NULL),
    ("name", TEXT_OR_NULL),
    ("arguments", TEXT_OR_OBJECT_OR_NULL),
    ("input", TEXT_OR_NULL),
    ("output", &[Kind::String, Kind::Array, Kind::Object, Kind::Null]),
    ("summary", LIST_OR_NULL),
    ("encrypted_content", TEXT_OR_NULL),
];
const PART: &[Row] = &[
    ("type", TEXT),
    ("text", TEXT),
    ("refusal", TEXT),
    ("image_url", TEXT_OR_NULL),
    ("file_id", TEXT_OR_NULL),
    ("file_data", TEXT_OR_NULL),
    ("file_url", TEXT_OR_NULL),
    ("filename", TEXT_OR_NULL),
    ("input_audio", OBJECT_OR_NULL),
    ("detail", TEXT_OR_NULL),
];
const TOOL: &[Row] = &[
    ("type", TEXT),
    ("name", TEXT),
    ("description", TEXT_OR_NULL),
    ("parameters", OBJECT_OR_NULL),
    ("strict", FLAG_OR_NULL),
];
const ROLES: [&str; 4] = ["user", "assistant", "system", "developer"];

/// Reads the fields of a Responses request.
pub(crate) fn fields(root: Value<'_>) -> Result<Fields, RequestError> {
    let mut fields = Fields { choices: 1, ..Fields::default() };
    for (key, value) in root.members_raw() {
        let name = key.as_str().unwrap_or_default();
        let path = &Path::Root(&name);
        row(&name, value, path, BODY)?;
        match name.as_ref() {
            "model" => {
                fields.model = model_name(value, path)?;
                fields.model_span = value.span();
            }
            "input" => read_input(value, path, &mut fields)?,
            "stream" => fields.stream = optional_bool(value, path)?.unwrap_or(false),
            "max_output_tokens" => fields.bounds.push(Bound::read("max_output_tokens", key, value, path)?),
            "store" => fields.store = Some((optional_bool(value, path)?.unwrap_or(true), value.span())),
            "user" => fields.user = optional_text(value, path)?.then(|| value.span()),
            _ => read_wish(&name, value, path, &mut fields)?,
        }
    }
    if fields.model.is_empty() {
        return Err(missing(&Path::Root("model")));
    }
    // A stored prompt or conversation may stand for the input; only then nothing needs to be said here.
    if fields.messages.is_empty() && fields.state.is_none() {
        return Err(missing(&Path::Root("input")));
    }
    Ok(fields)
}

/// Fields that say what the model must be able to do, or that the provider is to keep state.
fn read_wish(key: &str, value: Value<'_>, path: &Path<'_>, fields: &mut Fields) -> Result<(), RequestError> {
    let needs = &mut fields.needs;
    match key {
        "previous_response_id" if !value.is_null() => state(fields, "previous_response_id"),
        "conversation" if !value.is_null() => state(fields, "conversation"),
        "prompt" if !value.is_null() => state(fields, "prompt"),
        "background" if value.as_bool() == Some(true) => state(fields, "background"),
        "tools" => {
            needs.tools |= value.elements().next().is_some();
            each(value, path, &mut |tool, path| {
                shape(tool, path, TOOL)?;
                required(tool, "type", path).map(|_| ())
            })?;
        }
        "text" => {
            let format = value.get("format").and_then(|format| format.get("type"));
            needs.json_schema |= format.is_some_and(|kind| kind.is_text("json_schema"));
        }
        "reasoning" => {
            let effort = value.get("effort");
            needs.reasoning |= effort.is_some_and(|effort| !effort.is_null() && !effort.is_text("none"));
        }
        "parallel_tool_calls" => needs.parallel_tools |= value.as_bool() == Some(true),
        "top_logprobs" => needs.logprobs |= value.as_u64().is_some_and(|top| top > 0),
        "prompt_cache_key" => needs.prompt_cache |= !value.is_null(),
        _ => {}
    }
    Ok(())
}

fn state(fields: &mut Fields, name: &'static str) {
    fields.state.get_or_insert(name);
}

fn read_input(value: Value<'_>, path: &Path<'_>, fields: &mut Fields) -> Result<(), RequestError> {
    if value.is_null() {
        return Ok(());
    }
    fields.messages = value.span();
    if value.kind() == Kind::Array && value.elements().next().is_none() {
        return Err(invalid(path, "must hold at least one item"));
    }
    each(value, path, &mut |item, path| read_item(item, path, fields))
}

fn read_item(item: Value<'_>, path: &Path<'_>, fields: &mut Fields) -> Result<(), RequestError> {
    shape(item, path, ITEM)?;
    let kind = item.get("type").and_then(|kind| kind.as_str());
    match kind.as_deref() {
        None | Some("message") => {
            let role = required(item, "role", path)?;
            if !ROLES.iter().any(|known| role.is_text(known)) {
                return Err(invalid(
                    &Path::Member(path, "role"),
                    format!("must be one of {}", ROLES.join(", ")),
                ));
            }
            let content = required(item, "content", path)?;
            let path = &Path::Member(path, "content");
            one_of(content, path, TEXT_OR_LIST)?;
            each(content, path, &mut |part, path| read_part(part, path, fields))
        }
        Some("function_call" | "custom_tool_call") => {
            let text = if kind.as_deref() == Some("function_call") { "arguments" } else { "input" };
            ["call_id", "name", text]
                .into_iter()
                .try_for_each(|key| one_of(required(item, key, path)?, &Path::Member(path, key), TEXT))
        }
        Some("function_call_output" | "custom_tool_call_output") => {
            one_of(required(item, "call_id", path)?, &Path::Member(path, "call_id"), TEXT)?;
            let output = required(item, "output", path)?;
            let path = &Path::Member(path, "output");
            each(output, path, &mut |part, path| read_part(part, path, fields))
        }
        Some("additional_tools") => {
            fields.needs.tools |= item.get("tools").is_some_and(|tools| tools.elements().next().is_some());
            Ok(())
        }
        Some("item_reference") => {
            state(fields, "item_reference");
            Ok(())
        }
        Some(_) => Ok(()),
    }
}

fn read_part(part: Value<'_>, path: &Path<'_>, fields: &mut Fields) -> Result<(), RequestError> {
    shape(part, path, PART)?;
    let kind = required(part, "type", path)?;
    if kind.is_text("input_image") {
        fields.needs.vision = true;
        fields.media = true;
    }
    if kind.is_text("input_audio") {
        fields.needs.audio_in = true;
        fields.media = true;
    }
    fields.media |= kind.is_text("input_file");
    Ok(())
}

/// Whether an input item is a proof that OpenAI did not make.
pub(crate) fn is_foreign(item: Value<'_>) -> bool {
    let sealed = item.get("encrypted_content").and_then(|sealed| sealed.as_str());
    sealed.and_then(|sealed| Seal::unwrap(&sealed)).is_some_and(|(seal, _)| seal.by != By::OpenAi)
}
