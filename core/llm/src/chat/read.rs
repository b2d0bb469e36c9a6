//! What the gateway reads of a chat request.

use crate::json::{Kind, Value};
use crate::request::Needs;
use crate::request::read::{
    Path, choices, distinct, invalid, missing, model_name, one_of, optional, optional_bool, optional_text,
    required, text,
};
use crate::request::{Bound, Fields, RequestError, Role, StreamOptions};

/// Fields of the body that the gateway reads. A key that is one of these but for case is refused: parsers that match
/// keys without case (Go's `encoding/json`) would read it as the field, ours would not.
const BODY_FIELDS: &[&str] = &[
    "model",
    "messages",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "tools",
    "functions",
    "tool_choice",
    "function_call",
    "response_format",
    "user",
    "store",
    "metadata",
    "modalities",
    "logprobs",
    "reasoning_effort",
    "parallel_tool_calls",
    "prompt_cache_key",
    "prediction",
    "top_logprobs",
];
const MESSAGE_FIELDS: &[&str] = &[
    "role",
    "content",
    "name",
    "tool_calls",
    "tool_call_id",
    "function_call",
    "refusal",
    "reasoning_content",
];
const PART_FIELDS: &[&str] = &["type", "text", "image_url", "input_audio", "file", "refusal"];
const STREAM_FIELDS: &[&str] = &["include_usage"];
const CALL_FIELDS: &[&str] = &["id", "type", "function"];
const FUNCTION_FIELDS: &[&str] = &["name", "arguments", "description", "parameters"];

/// Reads the fields of a chat request.
pub(crate) fn fields(root: Value<'_>) -> Result<Fields, RequestError> {
    let mut fields = Fields { choices: 1, ..Fields::default() };
    let (mut model, mut messages) = (false, false);
    for (key, value) in root.members_raw() {
        let name = key.as_str().unwrap_or_default();
        let name = name.as_ref();
        let path = &Path::Root(name);
        match name {
            "model" => {
                fields.model = model_name(value, path)?;
                fields.model_span = value.span();
                model = true;
            }
            "messages" => {
                read_messages(value, path, &mut fields)?;
                messages = true;
            }
            "stream" => fields.stream = optional_bool(value, path)?.unwrap_or(false),
            "stream_options" => fields.stream_options = stream_options(value, path)?,
            "max_tokens" => fields.bounds.push(Bound::read("max_tokens", key, value, path)?),
            "max_completion_tokens" => {
                fields.bounds.push(Bound::read("max_completion_tokens", key, value, path)?)
            }
            "n" => fields.choices = choices(value, path)?,
            "store" => fields.store = Some((optional_bool(value, path)?.unwrap_or(true), value.span())),
            "user" => fields.user = optional_text(value, path)?.then(|| value.span()),
            _ => read_wish(name, value, path, &mut fields.needs)?,
        }
    }
    for (found, name) in [(model, "model"), (messages, "messages")] {
        if !found {
            return Err(missing(&Path::Root(name)));
        }
    }
    Ok(fields)
}

/// Fields that say what the model must be able to do.
fn read_wish(key: &str, value: Value<'_>, path: &Path<'_>, needs: &mut Needs) -> Result<(), RequestError> {
    match key {
        "tools" | "functions" => {
            let functions = optional(value, path, Kind::Array)?;
            needs.tools |= functions.is_some_and(|list| list.elements().next().is_some());
            for (index, tool) in value.elements().enumerate() {
                read_tool(tool, &Path::Item(path, index), key == "functions")?;
            }
        }
        "tool_choice" | "function_call" => one_of(value, path, &[Kind::Null, Kind::String, Kind::Object])?,
        "response_format" => {
            if let Some(format) = optional(value, path, Kind::Object)? {
                let kind = required(format, "type", path)?;
                text(kind, &Path::Member(path, "type"))?;
                needs.json_schema |= kind.is_text("json_schema");
            }
        }
        "metadata" => {
            optional(value, path, Kind::Object)?;
        }
        "prediction" => {
            optional(value, path, Kind::Object)?;
        }
        "modalities" => {
            let list = optional(value, path, Kind::Array)?;
            needs.audio_out |= list.is_some_and(|list| list.elements().any(|item| item.is_text("audio")));
        }
        "logprobs" => needs.logprobs |= optional_bool(value, path)?.unwrap_or(false),
        "parallel_tool_calls" => needs.parallel_tools |= optional_bool(value, path)?.unwrap_or(false),
        "reasoning_effort" => needs.reasoning |= optional_text(value, path)? && !value.is_text("none"),
        "prompt_cache_key" => needs.prompt_cache |= optional_text(value, path)?,
        _ => distinct(key, BODY_FIELDS, path)?,
    }
    Ok(())
}

fn stream_options(value: Value<'_>, path: &Path<'_>) -> Result<StreamOptions, RequestError> {
    let Some(options) = optional(value, path, Kind::Object)? else {
        return Ok(StreamOptions::Null(value.span()));
    };
    let mut found = StreamOptions::Open(options.span().start + 1, options.members_raw().next().is_some());
    for (key, value) in options.members() {
        let path = &Path::Member(path, &key);
        if key == "include_usage" {
            let on = optional_bool(value, path)?.unwrap_or(false);
            found = if on { StreamOptions::On } else { StreamOptions::Off(value.span()) };
        } else {
            distinct(&key, STREAM_FIELDS, path)?;
        }
    }
    Ok(found)
}

fn read_messages(value: Value<'_>, path: &Path<'_>, fields: &mut Fields) -> Result<(), RequestError> {
    one_of(value, path, &[Kind::Array])?;
    fields.messages = value.span();
    let mut count = 0;
    for (index, message) in value.elements().enumerate() {
        read_message(message, &Path::Item(path, index), fields)?;
        count += 1;
    }
    if count == 0 {
        return Err(invalid(path, "must hold at least one message"));
    }
    Ok(())
}

fn read_message(message: Value<'_>, path: &Path<'_>, fields: &mut Fields) -> Result<(), RequestError> {
    one_of(message, path, &[Kind::Object])?;
    let mut role = false;
    for (key, value) in message.members() {
        let path = &Path::Member(path, &key);
        match key.as_ref() {
            "role" => {
                if Role::parse(&text(value, path)?).is_none() {
                    return Err(invalid(path, format!("must be one of {}", Role::NAMES.join(", "))));
                }
                role = true;
            }
            "content" => read_content(value, path, fields)?,
            "name" | "tool_call_id" | "refusal" | "reasoning_content" => {
                optional_text(value, path)?;
            }
            "tool_calls" => {
                optional(value, path, Kind::Array)?;
                for (index, call) in value.elements().enumerate() {
                    read_call(call, &Path::Item(path, index))?;
                }
            }
            "function_call" => {
                if let Some(call) = optional(value, path, Kind::Object)? {
                    read_function(call, path)?;
                }
            }
            other => distinct(other, MESSAGE_FIELDS, path)?,
        }
    }
    if role { Ok(()) } else { Err(missing(&Path::Member(path, "role"))) }
}

fn read_content(value: Value<'_>, path: &Path<'_>, fields: &mut Fields) -> Result<(), RequestError> {
    one_of(value, path, &[Kind::Null, Kind::String, Kind::Array])?;
    for (index, part) in value.elements().enumerate() {
        read_part(part, &Path::Item(path, index), fields)?;
    }
    Ok(())
}

fn read_part(part: Value<'_>, path: &Path<'_>, fields: &mut Fields) -> Result<(), RequestError> {
    one_of(part, path, &[Kind::Object])?;
    let mut typed = false;
    for (key, value) in part.members() {
        let path = &Path::Member(path, &key);
        match key.as_ref() {
            "type" => {
                text(value, path)?;
                typed = true;
            }
            "text" | "refusal" => {
                text(value, path)?;
            }
            "image_url" => {
                one_of(value, path, &[Kind::Object, Kind::String])?;
                if value.kind() == Kind::Object {
                    text(required(value, "url", path)?, &Path::Member(path, "url"))?;
                }
                fields.needs.vision = true;
                fields.media = true;
            }
            "input_audio" => {
                one_of(value, path, &[Kind::Object])?;
                text(required(value, "data", path)?, &Path::Member(path, "data"))?;
                fields.needs.audio_in = true;
                fields.media = true;
            }
            "file" => {
                one_of(value, path, &[Kind::Object])?;
                fields.media = true;
            }
            other => distinct(other, PART_FIELDS, path)?,
        }
    }
    if typed { Ok(()) } else { Err(missing(&Path::Member(path, "type"))) }
}

fn read_call(call: Value<'_>, path: &Path<'_>) -> Result<(), RequestError> {
    one_of(call, path, &[Kind::Object])?;
    for (key, value) in call.members() {
        let path = &Path::Member(path, &key);
        match key.as_ref() {
            "id" | "type" => {
                optional_text(value, path)?;
            }
            "function" => {
                one_of(value, path, &[Kind::Object])?;
                read_function(value, path)?;
            }
            other => distinct(other, CALL_FIELDS, path)?,
        }
    }
    Ok(())
}

/// The function of a call: its name and its arguments, JSON in a string.
fn read_function(function: Value<'_>, path: &Path<'_>) -> Result<(), RequestError> {
    for (key, value) in function.members() {
        let path = &Path::Member(path, &key);
        match key.as_ref() {
            "name" | "arguments" => {
                text(value, path)?;
            }
            other => distinct(other, FUNCTION_FIELDS, path)?,
        }
    }
    Ok(())
}

/// The declaration of a tool, or of a legacy function.
fn read_tool(tool: Value<'_>, path: &Path<'_>, legacy: bool) -> Result<(), RequestError> {
    one_of(tool, path, &[Kind::Object])?;
    if legacy {
        return read_declaration(tool, path);
    }
    text(required(tool, "type", path)?, &Path::Member(path, "type"))?;
    for (key, value) in tool.members() {
        let path = &Path::Member(path, &key);
        if key == "function" {
            one_of(value, path, &[Kind::Object])?;
            read_declaration(value, path)?;
        } else {
            distinct(&key, CALL_FIELDS, path)?;
        }
    }
    Ok(())
}

fn read_declaration(function: Value<'_>, path: &Path<'_>) -> Result<(), RequestError> {
    text(required(function, "name", path)?, &Path::Member(path, "name"))?;
    for (key, value) in function.members() {
        let path = &Path::Member(path, &key);
        match key.as_ref() {
            "description" => {
                optional_text(value, path)?;
            }
            "parameters" => {
                optional(value, path, Kind::Object)?;
            }
            other => distinct(other, FUNCTION_FIELDS, path)?,
        }
    }
    Ok(())
}
