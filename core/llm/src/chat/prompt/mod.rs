//! A caller's body as a neutral request.
//!
//! - `messages`: who said what.
//! - `parts`: what messages are made of.
//! - `tools`: tools, which of them to call, and the form of the answer.

mod messages;
mod parts;
mod tools;

use crate::json::{Kind, Value};
use crate::neutral::{Effort, Prompt, Raw, Reasoning};
use std::borrow::Cow;

/// Reads a body whose types were checked before; what is odd all the same is skipped, what no other dialect knows is
/// kept in [`Prompt::rest`].
#[must_use]
pub fn prompt(root: Value<'_>) -> Prompt<'_> {
    let mut prompt = Prompt { choices: 1, ..Prompt::default() };
    let mut reasoning = Reasoning::default();
    for (key, value) in root.members().filter(|(_, value)| !value.is_null()) {
        if !read(&mut prompt, &mut reasoning, &key, value) {
            prompt.rest.push((key, raw(value)));
        }
    }
    prompt.reasoning = (reasoning != Reasoning::default()).then_some(reasoning);
    prompt.logprobs =
        flag(root, "logprobs").unwrap_or(false).then(|| number(root, "top_logprobs").unwrap_or(0));
    prompt.user = text(root, "safety_identifier").or_else(|| text(root, "user"));
    prompt
}

/// Takes a field; `false` if it stays with the rest.
fn read<'a>(prompt: &mut Prompt<'a>, reasoning: &mut Reasoning<'a>, key: &str, value: Value<'a>) -> bool {
    match key {
        "model" => prompt.model = value.as_str().unwrap_or_default(),
        "messages" => prompt.turns = messages::turns(value),
        "tools" => prompt.tools.extend(value.elements().filter_map(tools::tool)),
        "functions" => prompt.tools.extend(value.elements().filter_map(tools::function)),
        "tool_choice" | "function_call" => match tools::choice(value) {
            Some(choice) => prompt.tool_choice = Some(choice),
            None => return false,
        },
        "response_format" => match tools::format(value) {
            Some(format) => prompt.format = Some(format),
            None => return false,
        },
        "stop" => prompt.stop = stop(value),
        "parallel_tool_calls" => prompt.parallel_tools = value.as_bool(),
        "max_tokens" | "max_completion_tokens" => {
            let bounds = [prompt.max_output, value.as_u64()];
            prompt.max_output = bounds.into_iter().flatten().min();
        }
        "n" => prompt.choices = value.as_u64().unwrap_or(1),
        "stream" => prompt.stream = value.as_bool().unwrap_or(false),
        // The answer comes as a stream of our own making, and both are read where the whole body is at hand.
        "stream_options" | "logprobs" | "top_logprobs" | "user" | "safety_identifier" => {}
        "reasoning_effort" | "reasoning" | "thinking" => return think(reasoning, key, value),
        "service_tier" => prompt.service_tier = value.as_str(),
        "verbosity" => prompt.verbosity = value.as_str(),
        "prompt_cache_key" => prompt.cache_key = value.as_str(),
        "metadata" => prompt.metadata = Some(raw(value)),
        "store" => prompt.store = value.as_bool(),
        // Text is what every model answers in.
        "modalities" => return value.elements().all(|item| item.is_text("text")),
        _ => return sampling(prompt, key, value),
    }
    true
}

fn sampling<'a>(prompt: &mut Prompt<'a>, key: &str, value: Value<'a>) -> bool {
    let field = match key {
        "temperature" => &mut prompt.temperature,
        "top_p" => &mut prompt.top_p,
        "top_k" => &mut prompt.top_k,
        "seed" => &mut prompt.seed,
        "frequency_penalty" => &mut prompt.frequency_penalty,
        "presence_penalty" => &mut prompt.presence_penalty,
        _ => return false,
    };
    let fits = value.kind() == Kind::Number;
    if fits {
        *field = Some(raw(value));
    }
    fits
}

/// Reads one of the three ways in which callers say how hard to think: OpenAI's word, OpenRouter's object, Anthropic's
/// object as LiteLLM's users send it.
fn think<'a>(reasoning: &mut Reasoning<'a>, key: &str, value: Value<'a>) -> bool {
    let word = if key == "reasoning_effort" { Some(value) } else { value.get("effort") };
    let word = word.filter(|word| !word.is_null()).and_then(|word| word.as_str());
    match word.map(|word| Effort::parse(&word)) {
        Some(Some(effort)) => {
            reasoning.effort = Some(effort);
            reasoning.off |= effort == Effort::None;
        }
        Some(None) => return false,
        None => {}
    }
    if value.kind() != Kind::Object {
        return word_only(key, value);
    }
    let budget = number(value, "max_tokens").or_else(|| number(value, "budget_tokens"));
    reasoning.budget = budget.or(reasoning.budget);
    reasoning.off |=
        flag(value, "enabled") == Some(false) || value.get("type").is_some_and(|t| t.is_text("disabled"));
    if !reasoning.off && flag(value, "exclude") != Some(true) {
        reasoning.summary = text(value, "summary").or(Some(Cow::Borrowed("auto")));
    }
    true
}

/// A word that is none stays with the rest.
fn word_only(key: &str, value: Value<'_>) -> bool {
    key == "reasoning_effort" && value.kind() == Kind::String
}

fn stop(value: Value<'_>) -> Vec<Cow<'_, str>> {
    value.as_str().into_iter().chain(value.elements().filter_map(|text| text.as_str())).collect()
}

/// A value as JSON text.
fn raw(value: Value<'_>) -> Raw<'_> {
    String::from_utf8_lossy(value.raw())
}

fn text<'a>(object: Value<'a>, key: &str) -> Option<Cow<'a, str>> {
    object.get(key)?.as_str()
}

fn number(object: Value<'_>, key: &str) -> Option<u64> {
    object.get(key)?.as_u64()
}

fn flag(object: Value<'_>, key: &str) -> Option<bool> {
    object.get(key)?.as_bool()
}
