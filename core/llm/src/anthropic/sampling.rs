//! Temperature and its kin. Written for version 2023-06-01; later versions refuse all of them, so that whoever sends
//! one must send that version with it.

use super::model::{Sampling, Traits};
use crate::json::Writer;
use crate::neutral::{Body, Param, Prompt};

/// Writes what the model takes and notes what it does not. `thinking`: whether the request thinks, which fixes them.
pub(super) fn write(prompt: &Prompt<'_>, traits: Traits, thinking: bool, json: &mut Writer, body: &mut Body) {
    // 1 is the default of both: leaving it out leaves nothing out.
    let set = |number: Option<&str>| number.filter(|number| value(number) != Some(1.0)).map(str::to_owned);
    let temperature = set(prompt.temperature.as_deref());
    let top_p = set(prompt.top_p.as_deref());
    let mut one = |param, key, number: Option<&str>, known: bool| match number {
        Some(number) if known => {
            json.key(key).raw(number);
        }
        Some(_) => body.drop_param(param),
        None => {}
    };
    let free = !thinking && traits.sampling != Sampling::Fixed;
    let hot = temperature.as_deref().and_then(value).is_some_and(|heat| heat > 1.0);
    // Chat's scale ends at 2, this one at 1.
    let warmth = if hot { Some("1") } else { temperature.as_deref() };
    let beside = traits.sampling == Sampling::One && warmth.is_some();
    let narrow = !thinking || top_p.as_deref().and_then(value).is_some_and(|p| (0.95..=1.0).contains(&p));
    one(Param::Temperature, "temperature", warmth, free);
    one(
        Param::TopP,
        "top_p",
        top_p.as_deref(),
        traits.sampling != Sampling::Fixed && narrow && (thinking || !beside),
    );
    one(Param::TopK, "top_k", prompt.top_k.as_deref(), free);
}

fn value(number: &str) -> Option<f64> {
    number.parse().ok()
}
