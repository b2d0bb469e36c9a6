//! What a reply or chunk says of usage and content.

use crate::json::{Kind, Value, Writer};
use crate::usage::{ServiceTier, Usage};

/// Keys of a message or delta whose text is the model's output.
pub(super) const TEXT_KEYS: [&str; 4] = ["content", "refusal", "reasoning_content", "reasoning"];

/// Reads a `usage` object into disjoint classes. On the wire `prompt_tokens` includes cached, cache-write, audio and
/// image tokens, and `completion_tokens` includes reasoning and audio. `None` if it does not say both how much went in
/// and how much came out: unknown is not zero, an explicit zero is.
pub(super) fn usage_of(usage: Value<'_>) -> Option<Usage> {
    if usage.kind() != Kind::Object {
        return None;
    }
    let number = |object: Option<Value<'_>>, key: &str| object.and_then(|o| o.get(key)).and_then(tokens);
    let top = Some(usage);
    let total = number(top, "total_tokens");
    let (prompt, completion) = match (number(top, "prompt_tokens"), number(top, "completion_tokens")) {
        (Some(prompt), Some(completion)) => (prompt, completion),
        (Some(prompt), None) => (prompt, total?.saturating_sub(prompt)),
        (None, Some(completion)) => (total?.saturating_sub(completion), completion),
        (None, None) => return None,
    };
    let details = usage.get("prompt_tokens_details");
    let mut split = Usage::default();
    let mut rest = prompt;
    // DeepSeek names its cache hits at the top level.
    let cached = number(details, "cached_tokens").or_else(|| number(top, "prompt_cache_hit_tokens"));
    split.cached_input = take(&mut rest, cached);
    split.cache_write_5m = take(&mut rest, number(details, "cache_write_tokens"));
    split.input_audio = take(&mut rest, number(details, "audio_tokens"));
    split.image = take(&mut rest, number(details, "image_tokens"));
    split.input = rest;
    let details = usage.get("completion_tokens_details");
    let reasoning = number(details, "reasoning_tokens");
    // xAI leaves reasoning out of completion_tokens; its total tells.
    let apart = reasoning
        .filter(|&r| r > 0 && total == prompt.checked_add(completion).and_then(|s| s.checked_add(r)));
    let mut rest = completion.saturating_add(apart.unwrap_or(0));
    split.reasoning = take(&mut rest, reasoning);
    split.output_audio = take(&mut rest, number(details, "audio_tokens"));
    split.output = rest;
    Some(split)
}

/// The usage that a reply or chunk reports: in its place, in Groq's own member, or in the first choice (Moonshot).
pub(super) fn usage_in(root: Value<'_>) -> Option<Usage> {
    let own = root.get("x_groq").and_then(|own| own.get("usage"));
    usage_from(root, [root.get("usage"), own], root.get("choices"))
}

/// As [`usage_in`], of members that were found before: the two places besides the choices, and those.
pub(super) fn usage_from(
    root: Value<'_>,
    places: [Option<Value<'_>>; 2],
    choices: Option<Value<'_>>,
) -> Option<Usage> {
    let first = || choices.and_then(|choices| choices.elements().next()?.get("usage"));
    let usage = places.into_iter().flatten().find_map(usage_of).or_else(|| first().and_then(usage_of))?;
    Some(Usage { tier: ServiceTier::of(root), ..usage })
}

/// Writes a `usage` object with both details.
pub(super) fn write_usage(json: &mut Writer, usage: &Usage) {
    let (input, output) = (usage.total_input(), usage.total_output());
    json.begin_object().key("prompt_tokens").number(input).key("completion_tokens").number(output);
    json.key("total_tokens").number(input.saturating_add(output));
    json.key("prompt_tokens_details").begin_object().key("cached_tokens").number(usage.cached_input);
    json.key("cache_write_tokens").number(usage.cache_write_5m.saturating_add(usage.cache_write_1h));
    json.key("audio_tokens").number(usage.input_audio);
    if usage.image > 0 {
        json.key("image_tokens").number(usage.image);
    }
    json.end_object().key("completion_tokens_details").begin_object();
    json.key("reasoning_tokens").number(usage.reasoning).key("audio_tokens").number(usage.output_audio);
    json.key("accepted_prediction_tokens").number(0).key("rejected_prediction_tokens").number(0);
    json.end_object().end_object();
}

/// A count of tokens; some providers write `12.0`.
fn tokens(value: Value<'_>) -> Option<u64> {
    value.as_u64().or_else(|| {
        let float = value.as_f64()?;
        let whole = float >= 0.0 && float <= (1u64 << 53) as f64 && float.fract() == 0.0;
        whole.then_some(float as u64)
    })
}

/// Moves a part out of the rest; never more than there is.
fn take(rest: &mut u64, part: Option<u64>) -> u64 {
    let part = part.unwrap_or(0).min(*rest);
    *rest -= part;
    part
}

/// Decoded bytes of what the model wrote in a message or delta: text, and names and arguments of calls.
pub(super) fn content_bytes(message: Value<'_>) -> u64 {
    let mut sum = 0;
    for (key, value) in message.members_raw() {
        if TEXT_KEYS.iter().any(|name| key.is_text(name)) {
            sum += text_bytes(value);
        } else if key.is_text("tool_calls") {
            sum += value.elements().filter_map(|call| call.get("function")).map(call_bytes).sum::<u64>();
        } else if key.is_text("function_call") {
            sum += call_bytes(value);
        }
    }
    sum
}

fn call_bytes(function: Value<'_>) -> u64 {
    ["name", "arguments"].iter().filter_map(|key| function.get(key)).map(text_bytes).sum()
}

/// A text, or the texts of a list of parts.
fn text_bytes(value: Value<'_>) -> u64 {
    match value.kind() {
        Kind::String => value.text_len() as u64,
        Kind::Array => value.elements().filter_map(|part| part.get("text")).map(text_bytes).sum(),
        _ => 0,
    }
}
