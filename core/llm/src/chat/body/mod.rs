//! The body for a chat target, whoever speaks to us.
//!
//! - `messages`: turns as messages; results stand right behind the calls that they answer.
//! - `parts`: what messages are made of.
//! - `tools`: tools, which of them to call, and the form of the answer.

mod messages;
mod parts;
mod tools;

use crate::json::Writer;
use crate::neutral::names::fitted;
use crate::neutral::{Body, Effort, Names, Param, Prompt, Reasoning, Target, Untranslatable};
use crate::vendor::{Quirks, Sampling, Thinks};

/// Longest `user` and `prompt_cache_key` that OpenAI takes, in bytes.
const MAX_KEY_BYTES: usize = 64;
/// Longest tool name, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// The body being written, and for whom.
struct Draft<'a> {
    json: Writer,
    quirks: &'a Quirks,
    names: Names,
    noted: Body,
}

/// Writes the body for a target of this dialect.
///
/// # Errors
/// [`Untranslatable`] if the request holds what chat has no words for and what must not be left out.
pub fn body(prompt: &Prompt<'_>, target: &Target<'_>) -> Result<Body, Untranslatable> {
    let quirks = &target.vendor.quirks;
    let mut names = Names::fitting(&prompt.tools, MAX_NAME_BYTES);
    tools::wrap_custom(prompt, quirks, &mut names);
    let mut draft = Draft { json: Writer::with_capacity(4096), quirks, names, noted: Body::default() };
    draft.json.begin_object().text("model", target.model);
    messages::write(&mut draft, prompt)?;
    tools::write(&mut draft, prompt);
    tools::write_format(&mut draft, prompt);
    several(&mut draft, prompt)?;
    limits(&mut draft, prompt, target);
    sampling(&mut draft, prompt, target);
    if let Some(reasoning) = &prompt.reasoning {
        think(&mut draft, reasoning);
    }
    labels(&mut draft, prompt, target);
    rest(&mut draft, prompt);
    if prompt.stream {
        draft.json.key("stream").bool(true);
        if quirks.stream_usage {
            draft.json.key("stream_options").begin_object().key("include_usage").bool(true).end_object();
        }
    }
    draft.json.end_object();
    Ok(Body { json: draft.json.finish(), names: draft.names, ..draft.noted })
}

impl Draft<'_> {
    /// Whether the target takes an optional field; notes it if not.
    fn takes(&mut self, param: Param) -> bool {
        let takes = self.quirks.takes(param);
        if !takes {
            self.noted.drop_param(param);
        }
        takes
    }

    fn optional_raw(&mut self, param: Param, key: &str, value: Option<&str>) {
        if value.is_some() && self.takes(param) {
            self.json.maybe_raw(key, value);
        }
    }

    fn optional_text(&mut self, param: Param, key: &str, value: Option<&str>) {
        if value.is_some() && self.takes(param) {
            self.json.maybe_text(key, value);
        }
    }
}

fn several(draft: &mut Draft<'_>, prompt: &Prompt<'_>) -> Result<(), Untranslatable> {
    if prompt.choices <= 1 {
        return Ok(());
    }
    if !draft.quirks.takes(Param::Choices) {
        return Err(Untranslatable {
            message: "This model's provider gives one answer a request: ask for one, several times.".into(),
            param: Param::Choices,
        });
    }
    draft.json.key("n").number(prompt.choices);
    Ok(())
}

fn limits(draft: &mut Draft<'_>, prompt: &Prompt<'_>, target: &Target<'_>) {
    let limit = Some(target.output_limit).filter(|limit| *limit > 0);
    let wanted = prompt.max_output.map(|wanted| wanted.min(limit.unwrap_or(u64::MAX)));
    if let Some(most) = [wanted, target.cap].into_iter().flatten().min() {
        let key = if draft.quirks.completion_tokens { "max_completion_tokens" } else { "max_tokens" };
        draft.json.key(key).number(most);
    }
    let texts: Vec<_> = prompt.stop.iter().filter(|text| !text.trim().is_empty()).collect();
    if texts.len() < prompt.stop.len() || texts.len() > draft.quirks.max_stop {
        draft.noted.drop_param(Param::Stop);
    }
    if !texts.is_empty() {
        draft.json.key("stop").begin_array();
        for text in texts.into_iter().take(draft.quirks.max_stop) {
            draft.json.string(text);
        }
        draft.json.end_array();
    }
}

fn sampling(draft: &mut Draft<'_>, prompt: &Prompt<'_>, target: &Target<'_>) {
    let choice = Sampling::of(prompt, target, &mut draft.noted);
    draft.json.maybe_raw("temperature", choice.temperature);
    draft.json.maybe_raw("top_p", choice.top_p);
    let seed = if draft.quirks.random_seed { "random_seed" } else { "seed" };
    for (param, key, value) in [
        (Param::TopK, "top_k", &prompt.top_k),
        (Param::Seed, seed, &prompt.seed),
        (Param::FrequencyPenalty, "frequency_penalty", &prompt.frequency_penalty),
        (Param::PresencePenalty, "presence_penalty", &prompt.presence_penalty),
    ] {
        draft.optional_raw(param, key, value.as_deref());
    }
    if let Some(alternatives) = choice.logprobs
        && draft.takes(Param::Logprobs)
    {
        draft.json.key("logprobs").bool(true);
        if alternatives > 0 {
            draft.json.key("top_logprobs").number(alternatives);
        }
    }
}

fn think(draft: &mut Draft<'_>, reasoning: &Reasoning<'_>) {
    let form = draft.quirks.reasoning;
    let on = reasoning.on();
    let effort = reasoning.word();
    let word = effort.and_then(|effort| form.word(effort));
    match form {
        Thinks::Effort(_) if word.is_some() => {}
        // What thinks by itself needs no word to do so.
        Thinks::Effort(_) if on && effort.is_none() => {}
        Thinks::Effort(_) | Thinks::Unasked => draft.noted.drop_param(Param::Reasoning),
        Thinks::Object => return think_object(draft, reasoning, on),
        Thinks::Switch(_) => {
            let state = if on { "enabled" } else { "disabled" };
            draft.json.key("thinking").begin_object().text("type", state).end_object();
        }
        Thinks::Template(_) => {
            draft
                .json
                .key("chat_template_kwargs")
                .begin_object()
                .key("enable_thinking")
                .bool(on)
                .end_object();
        }
    }
    let word = word.filter(|word| on || matches!(form, Thinks::Effort(_)) && *word == Effort::None);
    draft.json.maybe_text("reasoning_effort", word.map(Effort::as_str));
}

/// OpenRouter takes words or tokens, not both.
fn think_object(draft: &mut Draft<'_>, reasoning: &Reasoning<'_>, on: bool) {
    draft.json.key("reasoning").begin_object();
    match (on, reasoning.budget, reasoning.effort) {
        (true, Some(budget), _) => draft.json.key("max_tokens").number(budget),
        (true, None, Some(effort)) => draft.json.text("effort", effort.as_str()),
        (on, ..) => draft.json.key("enabled").bool(on),
    };
    draft.json.end_object();
}

/// Who asks, in which tier, and what the provider may keep.
fn labels(draft: &mut Draft<'_>, prompt: &Prompt<'_>, target: &Target<'_>) {
    // Nothing is lost to the answer without it.
    if let Some(user) = prompt.user.as_deref().filter(|_| draft.quirks.takes(Param::User)) {
        draft.json.text("user", short(user).as_ref());
    }
    let tier = prompt.service_tier.as_deref().map(|tier| match tier {
        // Anthropic's word for OpenAI's.
        "standard_only" => "default",
        other => other,
    });
    draft.optional_text(Param::ServiceTier, "service_tier", tier);
    draft.optional_text(Param::Verbosity, "verbosity", prompt.verbosity.as_deref());
    let key = prompt.cache_key.as_deref().map(short);
    draft.optional_text(Param::CacheKey, "prompt_cache_key", key.as_deref());
    match prompt.store {
        _ if prompt.unstored && target.vendor.may_store() => {
            draft.json.key("store").bool(false);
        }
        Some(store) if draft.quirks.takes(Param::Store) => {
            draft.json.key("store").bool(store);
        }
        // Who has no store keeps nothing.
        Some(true) => draft.noted.drop_param(Param::Store),
        _ => {}
    }
    // OpenAI refuses labels on what is not stored.
    match &prompt.metadata {
        Some(metadata) if prompt.store == Some(true) => {
            draft.optional_raw(Param::Metadata, "metadata", Some(metadata));
        }
        Some(_) => draft.noted.drop_param(Param::Metadata),
        None => {}
    }
}

/// A key that is too long as one that is as good as unique.
fn short(key: &str) -> std::borrow::Cow<'_, str> {
    if key.len() <= MAX_KEY_BYTES { key.into() } else { fitted(key, MAX_KEY_BYTES) }
}

fn rest(draft: &mut Draft<'_>, prompt: &Prompt<'_>) {
    for (key, value) in &prompt.rest {
        if draft.quirks.own.contains(&key.as_ref()) {
            draft.json.key(key).raw(value);
        } else {
            draft.noted.drop_named(key.as_ref());
        }
    }
}
