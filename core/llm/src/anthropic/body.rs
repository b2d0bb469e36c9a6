//! A prompt as the body of a request to Anthropic.

use super::pen::{LONGEST_NAME, Pen};
use super::thinking::{Plan, Thinking};
use super::tools::wrap_custom;
use super::turns::{Block, Kind, Talk};
use super::{model, sampling, thinking, tools, turns};
use crate::neutral::{Body, Format, Names, Param, Prompt, Target, Untranslatable};
use crate::schema::for_anthropic;

/// Asks for what `response_format: json_object` asks for: there is no switch for it here.
const JSON_ONLY: &str = "Answer with one JSON object and nothing else: no words around it, no code fence.";
/// Longest `metadata.user_id`.
const LONGEST_USER: usize = 256;
/// Fields of other dialects' callers that are Anthropic's own, by name and meaning. Those that begin with a brace here
/// have namesakes of another form elsewhere.
const SHARED: [(&str, &str); 7] = [
    ("cache_control", "{"),
    ("container", ""),
    ("context_management", "{"),
    ("diagnostics", "{"),
    ("inference_geo", ""),
    ("mcp_servers", "["),
    ("speed", ""),
];

/// The body of a request to a target of this dialect.
///
/// # Errors
/// What cannot be said: several answers, audio, another provider's files.
pub fn body(prompt: &Prompt<'_>, target: &Target<'_>) -> Result<Body, Untranslatable> {
    if prompt.choices > 1 {
        return Err(Untranslatable {
            message: "This model gives one answer a request. Leave `n` out or set it to 1.".to_owned(),
            param: Param::Choices,
        });
    }
    let mut body = Body { names: Names::fitting(&prompt.tools, LONGEST_NAME), ..Body::default() };
    wrap_custom(prompt, &mut body);
    let traits = model::of(target.model);
    let mut talk = turns::talk(prompt, traits.prefill, &mut body);
    if matches!(prompt.format, Some(Format::JsonObject)) {
        talk.system.push(Block { kind: Kind::Text(JSON_ONLY.into(), &[]), cache: None });
        body.drop_param(Param::Format);
    }
    let mut tools = tools::tools(prompt, &talk, traits.strict, &mut body);
    let plan = thinking::plan(prompt, target, traits, &talk, tools.forced(), &mut body);
    if plan.unforce {
        tools.unforce();
        body.drop_param(Param::ToolChoice);
    }
    let names = body.names.clone();
    let mut pen = Pen::new(&names, tools.marks() + marks(prompt, &talk));
    pen.json.begin_object().text("model", target.model).key("max_tokens").number(plan.max_tokens);
    tools.write(&mut pen);
    conversation(&talk, &mut pen)?;
    effort(prompt, plan, &mut pen);
    sampling::write(prompt, traits, plan.thinking.on(), &mut pen.json, &mut body);
    options(prompt, &mut pen, &mut body);
    pen.json.end_object();
    body.json = pen.json.finish();
    unsaid(prompt, &mut body);
    Ok(body)
}

/// Cache marks of the conversation and of the request as a whole.
fn marks(prompt: &Prompt<'_>, talk: &Talk<'_>) -> usize {
    let said = talk.messages.iter().flat_map(|message| &message.blocks);
    let marked = talk.system.iter().chain(said).filter(|block| block.mark().is_some()).count();
    marked + usize::from(prompt.rest.iter().any(|(key, _)| key == "cache_control"))
}

fn conversation(talk: &Talk<'_>, pen: &mut Pen<'_>) -> Result<(), Untranslatable> {
    if !talk.system.is_empty() {
        pen.json.key("system");
        pen.blocks(&talk.system)?;
    }
    pen.json.key("messages").begin_array();
    for message in &talk.messages {
        let role = if message.assistant { "assistant" } else { "user" };
        pen.json.begin_object().text("role", role).key("content");
        pen.blocks(&message.blocks)?;
        pen.json.end_object();
    }
    pen.json.end_array();
    Ok(())
}

/// `thinking` and `output_config`.
fn effort(prompt: &Prompt<'_>, plan: Plan, pen: &mut Pen<'_>) {
    let json = &mut pen.json;
    let mut effort = None;
    match plan.thinking {
        Thinking::Unsaid => {}
        Thinking::Disabled => {
            json.key("thinking").begin_object().text("type", "disabled").end_object();
        }
        Thinking::Budget(tokens) => {
            json.key("thinking").begin_object().text("type", "enabled");
            json.key("budget_tokens").number(tokens).end_object();
        }
        Thinking::Adaptive { effort: wanted, shown } => {
            effort = wanted;
            json.key("thinking").begin_object().text("type", "adaptive");
            json.maybe_text("display", shown.then_some("summarized")).end_object();
        }
    }
    let schema = match &prompt.format {
        Some(Format::JsonSchema { schema, .. }) => Some(for_anthropic(schema)),
        _ => None,
    };
    if effort.is_none() && schema.is_none() {
        return;
    }
    json.key("output_config").begin_object().maybe_text("effort", effort);
    if let Some(schema) = schema {
        json.key("format").begin_object().text("type", "json_schema");
        json.key("schema").raw(&schema).end_object();
    }
    json.end_object();
}

fn options(prompt: &Prompt<'_>, pen: &mut Pen<'_>, body: &mut Body) {
    let json = &mut pen.json;
    let (stop, blank): (Vec<_>, Vec<_>) = prompt.stop.iter().partition(|stop| !stop.trim().is_empty());
    if !blank.is_empty() {
        body.drop_param(Param::Stop);
    }
    if !stop.is_empty() {
        json.key("stop_sequences").begin_array();
        for stop in stop {
            json.string(stop);
        }
        json.end_array();
    }
    match prompt.user.as_deref() {
        Some(user) if user.len() <= LONGEST_USER => {
            json.key("metadata").begin_object().text("user_id", user).end_object();
        }
        Some(_) => body.drop_param(Param::User),
        None => {}
    }
    match prompt.service_tier.as_deref() {
        Some("auto" | "default") => {
            json.text("service_tier", "auto");
        }
        Some("standard_only") => {
            json.text("service_tier", "standard_only");
        }
        Some(_) => body.drop_param(Param::ServiceTier),
        None => {}
    }
    if prompt.stream {
        json.key("stream").bool(true);
    }
    for (key, value) in &prompt.rest {
        if SHARED.iter().any(|(shared, form)| shared == key && value.starts_with(form)) {
            json.key(key).raw(value);
        } else {
            body.drop_named(key.as_ref());
        }
    }
}

/// Notes what there are no words for.
fn unsaid(prompt: &Prompt<'_>, body: &mut Body) {
    let asked = [
        (Param::Seed, prompt.seed.is_some()),
        (Param::FrequencyPenalty, is_set(prompt.frequency_penalty.as_deref())),
        (Param::PresencePenalty, is_set(prompt.presence_penalty.as_deref())),
        (Param::Logprobs, prompt.logprobs.is_some()),
        (Param::Verbosity, prompt.verbosity.is_some()),
        (Param::CacheKey, prompt.cache_key.is_some()),
        (Param::Metadata, prompt.metadata.is_some()),
        // Nothing is kept here: who asks for that has it.
        (Param::Store, prompt.store == Some(true)),
    ];
    for (param, _) in asked.into_iter().filter(|(_, asked)| *asked) {
        body.drop_param(param);
    }
}

/// A penalty of 0 is none.
fn is_set(number: Option<&str>) -> bool {
    number.is_some_and(|number| number.parse::<f64>() != Ok(0.0))
}
