//! `generationConfig`: how to answer.

use super::family::{Family, Said, Thinks};
use crate::json::Writer;
use crate::neutral::{Body, Format, Param, Prompt, Target};
use crate::schema::for_gemini;

/// Most stop texts that are taken.
const MAX_STOPS: usize = 5;

/// Writes `generationConfig`. `formatted`: whether a form of the answer can be asked for.
pub(super) fn write(
    prompt: &Prompt<'_>,
    target: &Target<'_>,
    formatted: bool,
    body: &mut Body,
    json: &mut Writer,
) {
    let most = most_output(prompt, target);
    json.key("generationConfig").begin_object();
    if let Some(most) = most {
        json.key("maxOutputTokens").number(most);
    }
    sampling(prompt, body, json);
    stops(prompt, body, json);
    if prompt.choices > 1 {
        json.key("candidateCount").number(prompt.choices);
    }
    if let Some(alternatives) = prompt.logprobs {
        json.key("responseLogprobs").bool(true);
        if alternatives > 0 {
            json.key("logprobs").number(alternatives);
        }
    }
    if formatted {
        format(prompt, json);
    } else if !matches!(prompt.format, None | Some(Format::Text)) {
        body.drop_param(Param::Format);
    }
    thinking(prompt, Family::of(target.model), most, body, json);
    json.end_object();
}

fn most_output(prompt: &Prompt<'_>, target: &Target<'_>) -> Option<u64> {
    let asked = [prompt.max_output, target.cap].into_iter().flatten().min()?;
    Some(if target.output_limit > 0 { asked.min(target.output_limit) } else { asked })
}

fn sampling(prompt: &Prompt<'_>, body: &mut Body, json: &mut Writer) {
    json.maybe_raw("temperature", prompt.temperature.as_deref());
    json.maybe_raw("topP", prompt.top_p.as_deref());
    json.maybe_raw("topK", prompt.top_k.as_deref());
    match prompt.seed.as_deref().map(str::parse::<i32>) {
        Some(Ok(_)) => {
            json.maybe_raw("seed", prompt.seed.as_deref());
        }
        Some(Err(_)) => body.drop_param(Param::Seed),
        None => {}
    }
    for (key, penalty) in
        [("presencePenalty", &prompt.presence_penalty), ("frequencyPenalty", &prompt.frequency_penalty)]
    {
        // Many clients send 0, which says nothing; some models refuse any penalty.
        let penalty = penalty.as_deref().filter(|number| number.parse::<f64>() != Ok(0.0));
        json.maybe_raw(key, penalty);
    }
}

fn stops(prompt: &Prompt<'_>, body: &mut Body, json: &mut Writer) {
    let kept: Vec<&str> =
        prompt.stop.iter().map(AsRef::as_ref).filter(|stop: &&str| !stop.trim().is_empty()).collect();
    let taken = kept.iter().take(MAX_STOPS);
    if taken.len() < prompt.stop.len() {
        body.drop_param(Param::Stop);
    }
    if taken.len() > 0 {
        json.key("stopSequences").begin_array();
        taken.for_each(|stop| {
            json.string(stop);
        });
        json.end_array();
    }
}

/// `responseSchema` and not `responseJsonSchema`: every model since 1.5 and every endpoint knows it, while the newer
/// field takes JSON Schema only on some models and drops or refuses keywords differently on each.
fn format(prompt: &Prompt<'_>, json: &mut Writer) {
    match &prompt.format {
        None | Some(Format::Text) => {}
        Some(Format::JsonObject) => {
            json.text("responseMimeType", "application/json");
        }
        Some(Format::JsonSchema { schema, .. }) => {
            json.text("responseMimeType", "application/json").key("responseSchema").raw(&for_gemini(schema));
        }
    }
}

fn thinking(prompt: &Prompt<'_>, family: Family, most: Option<u64>, body: &mut Body, json: &mut Writer) {
    let Some(asked) = &prompt.reasoning else { return };
    if family.thinks == Thinks::No {
        // What does not think need not be told not to.
        if asked.on() {
            body.drop_param(Param::Reasoning);
        }
        return;
    }
    json.key("thinkingConfig").begin_object();
    match family.said(asked, most) {
        Said::Budget(tokens) => {
            json.key("thinkingBudget").number(tokens);
        }
        Said::Level(level) => {
            json.text("thinkingLevel", level);
        }
        Said::Nothing => {}
    }
    if asked.on() {
        json.key("includeThoughts").bool(true);
    }
    json.end_object();
}
