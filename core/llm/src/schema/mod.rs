//! JSON Schemas as each dialect takes them.
//!
//! Callers write whatever JSON Schema their library makes; each provider takes a subset of its own and refuses the rest
//! with a 400. What a provider cannot be told is told to its model in words (the description) where that helps, and
//! left out where it does not. Texts in, texts out; a schema that needs no change is lent, not copied.
//!
//! # Layout
//!
//! - [`for_openai`], [`for_openai_strict`]: OpenAI's functions and structured outputs; [`arguments_for_openai`],
//!   [`format_for_openai`]: the two, as a request asks for them.
//! - [`for_anthropic`], [`tool_input`], [`strict_tool_input`]: Anthropic's structured outputs and tools.
//! - [`for_gemini`], [`parameters_for_gemini`]: Gemini's OpenAPI subset; `typed`: what each of its types knows.
//! - `reference`: `$ref` and recursion.
//! - `walk`: the schemas inside of a schema, merging, notes.

mod anthropic;
mod asked;
mod gemini;
mod openai;
mod reference;
mod typed;
mod walk;

pub use anthropic::{for_anthropic, strict_tool_input, tool_input};
pub use asked::{arguments_for_openai, format_for_openai};
pub use gemini::{for_gemini, parameters_for_gemini};
pub use openai::{for_openai, for_openai_strict};

use crate::json::{Rules, Tape};
use serde_json::Value;
use std::borrow::Cow;
use walk::Schema;

/// Whether a schema's root is an object's without alternatives: what every provider takes as a function's parameters. Most
/// tools are so, and need not be taken apart.
fn is_plain_object(schema: &str) -> bool {
    let Ok(tape) = Tape::parse(schema.as_bytes(), Rules::Strict) else { return false };
    let mut is_object = false;
    for (key, value) in tape.root(schema.as_bytes()).members_raw() {
        if ["allOf", "anyOf", "oneOf"].iter().any(|keyword| key.is_text(keyword)) {
            return false;
        }
        is_object |= key.is_text("type") && value.is_text("object");
    }
    is_object
}

/// The text of an adapted schema; the given text if nothing changed. What is no object stands for "anything".
fn adapted<'a>(schema: &'a str, adapt: impl FnOnce(Schema) -> Schema) -> Cow<'a, str> {
    // `true`, `null` and what is no JSON at all say nothing about the value.
    let given: Option<Schema> = serde_json::from_str(schema).ok();
    let adapted = adapt(given.clone().unwrap_or_default());
    if given.as_ref() == Some(&adapted) {
        return Cow::Borrowed(schema);
    }
    Cow::Owned(Value::Object(adapted).to_string())
}
