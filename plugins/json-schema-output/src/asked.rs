//! The schema of a request, kept until the reply is there.

use crate::json;
use crate::schema::Schema;
use weir_sdk::kv::{self, Scope};
use weir_sdk::{AccessError, Api, Deny, Request};

/// What an entry of the host's store can hold.
const MAX_BYTES: u32 = 64 << 10;

const KEY: &str = "schema";

/// Keeps the schema that a request asks for, if it does and the schema can be checked.
pub(crate) fn keep(request: &dyn Request) -> Result<(), Deny> {
    let Some(text) = find(request)? else { return Ok(()) };
    compile(&text).map_err(|problem| unsupported(&problem))?;
    kv::put(Scope::Request, KEY, text.as_bytes(), None).map(|_| ()).map_err(|_| not_checked())
}

/// The schema that the request of this exchange asked for.
pub(crate) fn kept() -> Result<Option<Schema>, Deny> {
    let Some(entry) = kv::get(Scope::Request, KEY).map_err(|_| not_checked())? else { return Ok(None) };
    let text = std::str::from_utf8(&entry.value).map_err(|_| not_checked())?;
    compile(text).map(Some).map_err(|_| not_checked())
}

/// What could not be checked does not pass.
pub(crate) fn not_checked() -> Deny {
    Deny::new(
        503,
        "schema_not_checked",
        "The reply could not be checked against its schema. Try again later.",
    )
}

fn compile(text: &str) -> Result<Schema, String> {
    Schema::compile(&json::parse(text)?).map_err(|problem| problem.to_string())
}

fn find(request: &dyn Request) -> Result<Option<String>, Deny> {
    for pointer in places(&request.head().api) {
        match request.json(pointer, MAX_BYTES) {
            Ok(None) => {}
            Ok(Some(text)) if text == "null" => {}
            Ok(Some(text)) => return Ok(Some(text)),
            Err(AccessError::Budget) => {
                return Err(unsupported(&format!("it has more than {MAX_BYTES} bytes")));
            }
            Err(_) => return Err(not_checked()),
        }
    }
    Ok(None)
}

/// Where a request says what its reply must look like.
const fn places(api: &Api) -> &'static [&'static str] {
    match api {
        Api::Chat => &["/response_format/json_schema/schema"],
        Api::Responses => &["/text/format/schema"],
        Api::Messages => &["/output_config/format/schema", "/output_format/schema"],
        _ => &[],
    }
}

fn unsupported(problem: &str) -> Deny {
    let message = format!("The JSON schema of this request cannot be checked here: {problem}.");
    Deny::new(400, "schema_unsupported", message)
}
