//! What the gateway reads of a Messages request, with the type of every field that it acts on.

use crate::json::{Kind, Value};
use crate::neutral::seal::{By, Seal};
use crate::request::read::{
    FLAG_OR_NULL, LIST_OR_NULL, NUMBER_OR_NULL, OBJECT_OR_NULL, Path, Row, TEXT, TEXT_OR_LIST,
    TEXT_OR_LIST_OR_NULL, TEXT_OR_NULL, each, invalid, missing, model_name, one_of, optional_bool,
    optional_text, required, row, shape,
};
use crate::request::{Bound, Fields, RequestError};

const BODY: &[Row] = &[
    ("model", TEXT),
    ("messages", &[Kind::Array]),
    ("system", TEXT_OR_LIST_OR_NULL),
    ("max_tokens", NUMBER_OR_NULL),
    ("stream", FLAG_OR_NULL),
    ("tools", LIST_OR_NULL),
    ("tool_choice", OBJECT_OR_NULL),
    ("thinking", OBJECT_OR_NULL),
    ("output_config", OBJECT_OR_NULL),
    ("stop_sequences", LIST_OR_NULL),
    ("temperature", NUMBER_OR_NULL),
    ("top_p", NUMBER_OR_NULL),
    ("top_k", NUMBER_OR_NULL),
    ("metadata", OBJECT_OR_NULL),
    ("service_tier", TEXT_OR_NULL),
];
const MESSAGE: &[Row] = &[("role", TEXT), ("content", TEXT_OR_LIST)];
const BLOCK: &[Row] = &[
    ("type", TEXT),
    ("text", TEXT),
    ("source", &[Kind::Object, Kind::String]),
    ("id", TEXT),
    ("name", TEXT),
    ("input", &[Kind::Object]),
    ("tool_use_id", TEXT),
    ("content", &[Kind::String, Kind::Array, Kind::Object, Kind::Null]),
    ("is_error", FLAG_OR_NULL),
    ("thinking", TEXT),
    ("signature", TEXT_OR_NULL),
    ("data", TEXT),
    ("cache_control", OBJECT_OR_NULL),
];
const TOOL: &[Row] = &[
    ("type", TEXT_OR_NULL),
    ("name", TEXT),
    ("description", TEXT_OR_NULL),
    ("input_schema", &[Kind::Object]),
    ("cache_control", OBJECT_OR_NULL),
];
const METADATA: &[Row] = &[("user_id", TEXT_OR_NULL)];
const ROLES: [&str; 3] = ["user", "assistant", "system"];

/// Reads the fields of a Messages request. `max_tokens` is checked by the caller of this: counting needs none.
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
            "messages" => {
                fields.messages = value.span();
                each(value, path, &mut |message, path| read_message(message, path, &mut fields))?;
                if value.elements().next().is_none() {
                    return Err(invalid(path, "must hold at least one message"));
                }
            }
            "system" => each(value, path, &mut |block, path| read_block(block, path, &mut fields))?,
            "stream" => fields.stream = optional_bool(value, path)?.unwrap_or(false),
            "max_tokens" => fields.bounds.push(Bound::read("max_tokens", key, value, path)?),
            _ => read_wish(&name, value, path, &mut fields)?,
        }
    }
    if fields.model.is_empty() {
        return Err(missing(&Path::Root("model")));
    }
    if fields.messages.is_empty() {
        return Err(missing(&Path::Root("messages")));
    }
    Ok(fields)
}

/// Fields that say what the model must be able to do.
fn read_wish(key: &str, value: Value<'_>, path: &Path<'_>, fields: &mut Fields) -> Result<(), RequestError> {
    let needs = &mut fields.needs;
    match key {
        "tools" => {
            needs.tools |= value.elements().next().is_some();
            each(value, path, &mut |tool, path| {
                shape(tool, path, TOOL)?;
                required(tool, "name", path).map(|_| ()).or_else(|error| {
                    // A toolset of an MCP server has no name of its own.
                    if tool.get("mcp_server_name").is_some() { Ok(()) } else { Err(error) }
                })
            })?;
        }
        "tool_choice" | "thinking" if !value.is_null() => {
            one_of(required(value, "type", path)?, &Path::Member(path, "type"), TEXT)?;
            needs.reasoning |=
                key == "thinking" && !value.get("type").is_some_and(|kind| kind.is_text("disabled"));
        }
        "output_config" => {
            let format = value.get("format").and_then(|format| format.get("type"));
            needs.json_schema |= format.is_some_and(|kind| kind.is_text("json_schema"));
        }
        "stop_sequences" => each(value, path, &mut |stop, path| one_of(stop, path, TEXT))?,
        "metadata" if !value.is_null() => {
            shape(value, path, METADATA)?;
            if let Some(user) = value.get("user_id") {
                fields.user = optional_text(user, path)?.then(|| user.span());
            }
        }
        _ => {}
    }
    Ok(())
}

fn read_message(message: Value<'_>, path: &Path<'_>, fields: &mut Fields) -> Result<(), RequestError> {
    shape(message, path, MESSAGE)?;
    let role = required(message, "role", path)?;
    if !ROLES.iter().any(|known| role.is_text(known)) {
        return Err(invalid(&Path::Member(path, "role"), format!("must be one of {}", ROLES.join(", "))));
    }
    let content = required(message, "content", path)?;
    let path = &Path::Member(path, "content");
    each(content, path, &mut |block, path| read_block(block, path, fields))
}

fn read_block(block: Value<'_>, path: &Path<'_>, fields: &mut Fields) -> Result<(), RequestError> {
    shape(block, path, BLOCK)?;
    let kind = required(block, "type", path)?.as_str().unwrap_or_default();
    fields.needs.prompt_cache |= block.get("cache_control").is_some_and(|mark| !mark.is_null());
    let needed: &[&str] = match kind.as_ref() {
        "text" => &["text"],
        "tool_use" => &["id", "name", "input"],
        "tool_result" => &["tool_use_id"],
        "image" | "document" => {
            fields.needs.vision |= kind == "image";
            fields.media = true;
            &["source"]
        }
        "thinking" => {
            fields.unsigned |= is_foreign(block);
            &["thinking"]
        }
        "redacted_thinking" => &["data"],
        _ => &[],
    };
    needed.iter().try_for_each(|key| required(block, key, path).map(|_| ()))?;
    let content = block.get("content").filter(|_| kind == "tool_result");
    content.map_or(Ok(()), |content| {
        one_of(content, &Path::Member(path, "content"), TEXT_OR_LIST_OR_NULL)?;
        each(content, &Path::Member(path, "content"), &mut |block, path| read_block(block, path, fields))
    })
}

/// Whether a block is thinking that Anthropic did not sign.
pub(crate) fn is_foreign(block: Value<'_>) -> bool {
    let kind = block.get("type").and_then(|kind| kind.as_str());
    let proof = match kind.as_deref() {
        Some("thinking") => {
            block.get("signature").and_then(|signature| signature.as_str()).unwrap_or_default()
        }
        Some("redacted_thinking") => block.get("data").and_then(|data| data.as_str()).unwrap_or_default(),
        _ => return false,
    };
    proof.is_empty() || Seal::unwrap(&proof).is_some_and(|(seal, _)| seal.by != By::Anthropic)
}
