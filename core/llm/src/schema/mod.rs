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

use serde_json::Value;
use std::borrow::Cow;
use walk::Schema;

/// The text of an adapted schema; the given text if nothing changed. What is no object stands for "anything".
fn adapted<'a>(schema: &'a str, adapt: impl FnOnce(Schema) -> Schema) -> Cow<'a, str> {
    // `true`, `null` and what is no JSON at all say nothing about the value.
    let given: Schema = serde_json::from_str(schema).unwrap_or_default();
    let adapted = adapt(given.clone());
    if adapted == given && schema.trim_start().starts_with('{') {
        return Cow::Borrowed(schema);
    }
    Cow::Owned(Value::Object(adapted).to_string())
}
