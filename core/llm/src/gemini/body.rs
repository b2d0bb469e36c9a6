//! A request.

use super::family::Family;
use super::{config, endpoint, tools, turns};
use crate::json::Writer;
use crate::neutral::{Body, Param, Prompt, Target, Untranslatable};

/// The body of `generateContent` and `streamGenerateContent`; which of the two the path says.
///
/// # Errors
/// A file of another provider's.
pub fn body(prompt: &Prompt<'_>, target: &Target<'_>) -> Result<Body, Untranslatable> {
    let mut json = Writer::with_capacity(4096);
    json.begin_object();
    let mut body = members(prompt, target, &mut json)?;
    json.end_object();
    body.json = json.finish();
    Ok(body)
}

/// The body of `countTokens`.
///
/// # Errors
/// As [`body`].
pub fn count_body(prompt: &Prompt<'_>, target: &Target<'_>) -> Result<Body, Untranslatable> {
    let mut json = Writer::with_capacity(4096);
    json.begin_object().key("generateContentRequest").begin_object();
    json.text("model", &endpoint::resource(target.model));
    let mut body = members(prompt, target, &mut json)?;
    json.end_object().end_object();
    body.json = json.finish();
    Ok(body)
}

fn members(prompt: &Prompt<'_>, target: &Target<'_>, json: &mut Writer) -> Result<Body, Untranslatable> {
    let family = Family::of(target.model);
    let names = tools::names(prompt);
    let mut body = Body::default();
    turns::write(prompt, family, &names, &mut body, json)?;
    let has_tools = tools::write(prompt, &names, &mut body, json);
    let formatted = tools::leave_room_for_format(family, has_tools);
    config::write(prompt, target, formatted, &mut body, json);
    note_unknown(prompt, &mut body);
    body.names = names;
    Ok(body)
}

/// What Gemini cannot be told. What it does anyway (the usual service tier, keeping nothing) needs no telling.
fn note_unknown(prompt: &Prompt<'_>, body: &mut Body) {
    let tier = prompt.service_tier.as_deref().is_some_and(|tier| tier != "auto" && tier != "default");
    for (given, param) in [
        (prompt.user.is_some(), Param::User),
        (tier, Param::ServiceTier),
        (prompt.verbosity.is_some(), Param::Verbosity),
        (prompt.cache_key.is_some(), Param::CacheKey),
        (prompt.metadata.is_some(), Param::Metadata),
        (prompt.store == Some(true), Param::Store),
    ] {
        if given {
            body.drop_param(param);
        }
    }
    for (key, _) in &prompt.rest {
        // It only says how the caller's own stream looks.
        if key != "stream_options" {
            body.drop_named(key.as_ref());
        }
    }
}
