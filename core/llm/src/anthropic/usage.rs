//! What a reply used. Anthropic's `input_tokens` are without what the cache held or was given, its `output_tokens` with
//! thinking.

use crate::json::{Value, Writer};
use crate::neutral::Reply;
use crate::usage::{ServiceTier, Usage};

/// Counters as they came so far. A stream gives them twice: what the second time leaves out stands.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counters {
    input: Option<u64>,
    read: Option<u64>,
    written: Option<u64>,
    written_5m: Option<u64>,
    written_1h: Option<u64>,
    output: Option<u64>,
    thinking: Option<u64>,
    tier: ServiceTier,
    is_fast: bool,
    is_us: bool,
}

impl Counters {
    /// Takes a `usage` object.
    pub(super) fn merge(&mut self, usage: Value<'_>) {
        let written = usage.get("cache_creation");
        let thinking = usage.get("output_tokens_details");
        let count = |from: Option<Value<'_>>, key: &str| from.and_then(|from| from.get(key)?.as_u64());
        for (counter, found) in [
            (&mut self.input, count(Some(usage), "input_tokens")),
            (&mut self.read, count(Some(usage), "cache_read_input_tokens")),
            (&mut self.written, count(Some(usage), "cache_creation_input_tokens")),
            (&mut self.written_5m, count(written, "ephemeral_5m_input_tokens")),
            (&mut self.written_1h, count(written, "ephemeral_1h_input_tokens")),
            (&mut self.output, count(Some(usage), "output_tokens")),
            (&mut self.thinking, count(thinking, "thinking_tokens")),
        ] {
            *counter = found.or(*counter);
        }
        if usage.get("service_tier").is_some() {
            self.tier = ServiceTier::of(usage);
        }
        for (flag, key, word) in
            [(&mut self.is_fast, "speed", "fast"), (&mut self.is_us, "inference_geo", "us")]
        {
            if let Some(value) = usage.get(key) {
                *flag = value.as_str().is_some_and(|said| said == word);
            }
        }
    }

    /// By disjoint class. What is written to the cache for no known term is for five minutes, the default.
    pub(super) fn usage(&self) -> Usage {
        let hour = self.written_1h.unwrap_or(0);
        let parts = hour.saturating_add(self.written_5m.unwrap_or(0));
        let written = self.written.unwrap_or(parts);
        let output = self.output.unwrap_or(0);
        let reasoning = self.thinking.unwrap_or(0).min(output);
        Usage {
            input: self.input.unwrap_or(0),
            cached_input: self.read.unwrap_or(0),
            cache_write_5m: written.saturating_sub(hour),
            cache_write_1h: hour.min(written),
            output: output - reasoning,
            reasoning,
            tier: self.tier.at_anthropic(self.is_fast, self.is_us),
            ..Usage::default()
        }
    }
}

/// A reply's `usage`, every field.
pub(super) fn write(usage: Option<&Usage>, service_tier: Option<&str>, json: &mut Writer) {
    let known = usage.copied().unwrap_or_default();
    json.begin_object();
    json.key("cache_creation").begin_object();
    json.key("ephemeral_1h_input_tokens").number(known.cache_write_1h);
    json.key("ephemeral_5m_input_tokens").number(known.cache_write_5m).end_object();
    counts(&known, json);
    json.key("inference_geo").null().text_or_null("service_tier", service_tier.and_then(tier));
    json.key("speed").null().end_object();
}

/// A `message_delta`'s `usage`, every field.
pub(super) fn write_delta(usage: Option<&Usage>, json: &mut Writer) {
    json.begin_object();
    counts(&usage.copied().unwrap_or_default(), json);
    json.end_object();
}

fn counts(usage: &Usage, json: &mut Writer) {
    let written = usage.cache_write_5m.saturating_add(usage.cache_write_1h);
    let input = usage.total_input().saturating_sub(written).saturating_sub(usage.cached_input);
    json.key("cache_creation_input_tokens").number(written);
    json.key("cache_read_input_tokens").number(usage.cached_input);
    json.key("input_tokens").number(input);
    json.key("output_tokens").number(usage.total_output());
    json.key("output_tokens_details").begin_object();
    json.key("thinking_tokens").number(usage.reasoning).end_object();
    json.key("server_tool_use").null();
}

/// Anthropic's word for a tier, if it has one.
fn tier(tier: &str) -> Option<&'static str> {
    match tier {
        "default" | "standard" => Some("standard"),
        "priority" => Some("priority"),
        "batch" => Some("batch"),
        _ => None,
    }
}

/// Notes a whole reply's usage and tier.
pub(super) fn read(usage: Value<'_>, reply: &mut Reply) {
    let mut counters = Counters::default();
    counters.merge(usage);
    reply.usage = Some(counters.usage());
    let tier = super::text(usage, "service_tier");
    reply.service_tier =
        tier.map(|tier| if tier == "standard" { "default".into() } else { tier.into_owned() });
}
