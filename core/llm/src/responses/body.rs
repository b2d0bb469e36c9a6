//! A prompt as a body for a provider of this dialect, when the caller speaks another one.

use super::{input, tools};
use crate::json::Writer;
use crate::neutral::names::fitted;
use crate::neutral::{Body, Effort, Format, Names, Param, Prompt, Reasoning, Target, Untranslatable};
use crate::schema::format_for_openai;
use crate::vendor::Sampling;

/// Longest name of a tool.
pub(super) const MAX_NAME: usize = 128;
/// Longest `user` and `prompt_cache_key`.
const MAX_KEY: usize = 64;
/// The provider refuses a lower limit.
const MIN_OUTPUT: u64 = 16;
/// Fields of `rest` that mean the same in every API of OpenAI's.
const SHARED: &[&str] = &["max_tool_calls", "prompt_cache_retention", "prompt_cache_options"];

/// The body. It always says `store: false`: the gateway holds no state at the provider, and the caller whose API knows
/// nothing of that could not use it.
///
/// # Errors
/// [`Untranslatable`] for several answers at once and for audio, which this API does not take.
pub fn body(prompt: &Prompt<'_>, target: &Target<'_>) -> Result<Body, Untranslatable> {
    if prompt.choices > 1 {
        let message = "The Responses API gives one answer a request; ask for n: 1.".to_owned();
        return Err(Untranslatable { message, param: Param::Choices });
    }
    let mut body = Body { names: Names::fitting(&prompt.tools, MAX_NAME), ..Body::default() };
    let mut json = Writer::with_capacity(1024);
    json.begin_object().text("model", target.model);
    input::write(&mut json, prompt, &mut body)?;
    tools::write(&mut json, prompt, &mut body);
    format(&mut json, prompt, &mut body);
    let choice = Sampling::of(prompt, target, &mut body);
    reasoning(&mut json, prompt, choice.logprobs.is_some());
    limits(&mut json, prompt, target);
    sampling(&mut json, &choice);
    labels(&mut json, prompt, &mut body);
    for (key, value) in &prompt.rest {
        if SHARED.contains(&key.as_ref()) {
            json.key(key).raw(value);
        } else {
            body.drop_named(key.as_ref());
        }
    }
    unknown(prompt, &mut body);
    json.end_object();
    body.json = json.finish();
    Ok(body)
}

fn format(json: &mut Writer, prompt: &Prompt<'_>, body: &mut Body) {
    if prompt.format.is_none() && prompt.verbosity.is_none() {
        return;
    }
    json.key("text").begin_object();
    match &prompt.format {
        Some(Format::Text) => {
            json.key("format").begin_object().text("type", "text").end_object();
        }
        Some(Format::JsonObject) => {
            json.key("format").begin_object().text("type", "json_object").end_object();
        }
        Some(Format::JsonSchema { name, description, schema, strict }) => {
            let name = fitted(name.as_deref().unwrap_or("response"), 64);
            json.key("format").begin_object().text("type", "json_schema").text("name", &name);
            // The provider refuses a strict schema that breaks its rules; other providers' rules are laxer.
            let (schema, sent) = format_for_openai(schema, *strict == Some(true));
            json.maybe_text("description", description.as_deref()).key("schema").raw(&schema);
            if let Some(strict) = strict {
                json.key("strict").bool(sent);
                if sent != *strict {
                    body.drop_named("text.format.strict");
                }
            }
            json.end_object();
        }
        None => {}
    }
    json.maybe_text("verbosity", prompt.verbosity.as_deref()).end_object();
}

/// Thinking comes back encrypted when it is asked for: without state it is the only form that can be sent again.
fn reasoning(json: &mut Writer, prompt: &Prompt<'_>, logprobs: bool) {
    let on = prompt.reasoning.as_ref().is_some_and(Reasoning::on);
    if let Some(wish) = &prompt.reasoning {
        let effort = wish.word();
        let summary = wish.summary.as_deref().filter(|_| on);
        if effort.is_some() || summary.is_some() {
            json.key("reasoning").begin_object();
            json.maybe_text("effort", effort.map(Effort::as_str)).maybe_text("summary", summary).end_object();
        }
    }
    if on || logprobs {
        json.key("include").begin_array();
        if on {
            json.string("reasoning.encrypted_content");
        }
        if logprobs {
            json.string("message.output_text.logprobs");
        }
        json.end_array();
    }
}

fn limits(json: &mut Writer, prompt: &Prompt<'_>, target: &Target<'_>) {
    let known = Some(target.output_limit).filter(|&limit| limit > 0);
    let wish = prompt.max_output.map(|wish| wish.min(known.unwrap_or(wish)));
    if let Some(limit) = wish.into_iter().chain(target.cap).min() {
        json.key("max_output_tokens").number(limit.max(MIN_OUTPUT));
    }
}

fn sampling(json: &mut Writer, choice: &Sampling<'_>) {
    json.maybe_raw("temperature", choice.temperature);
    json.maybe_raw("top_p", choice.top_p);
    if let Some(top) = choice.logprobs {
        json.key("top_logprobs").number(top);
    }
}

fn labels(json: &mut Writer, prompt: &Prompt<'_>, body: &mut Body) {
    if let Some(user) = &prompt.user {
        json.text("user", &fitted_key(user));
    }
    if let Some(key) = &prompt.cache_key {
        json.text("prompt_cache_key", &fitted_key(key));
    }
    match prompt.service_tier.as_deref() {
        None => {}
        Some(tier @ ("auto" | "default" | "flex" | "scale" | "priority" | "fast" | "ultrafast")) => {
            json.text("service_tier", tier);
        }
        // Anthropic's word for: no other tier than the usual one.
        Some("standard_only") => {
            json.text("service_tier", "default");
        }
        Some(_) => body.drop_param(Param::ServiceTier),
    }
    json.maybe_raw("metadata", prompt.metadata.as_deref()).key("store").bool(false);
    if prompt.stream {
        json.key("stream").bool(true);
    }
}

/// The key itself, or one that fits: the same key always becomes the same.
fn fitted_key(key: &str) -> std::borrow::Cow<'_, str> {
    if key.len() <= MAX_KEY { key.into() } else { fitted(key, MAX_KEY) }
}

/// What this API has no field for.
fn unknown(prompt: &Prompt<'_>, body: &mut Body) {
    let asked = [
        (Param::Stop, !prompt.stop.is_empty()),
        (Param::TopK, prompt.top_k.is_some()),
        (Param::Seed, prompt.seed.is_some()),
        (Param::FrequencyPenalty, prompt.frequency_penalty.is_some()),
        (Param::PresencePenalty, prompt.presence_penalty.is_some()),
        (Param::Store, prompt.store == Some(true)),
    ];
    asked.into_iter().filter(|(_, asked)| *asked).for_each(|(param, _)| body.drop_param(param));
}
