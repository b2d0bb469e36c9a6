//! `tokens`: close estimates of token counts by model family.

use super::Answer;
use crate::api::registrar::Api;
use crate::api::request::offset;
use crate::call;
use rhai::{INT, ImmutableString};
use weir_policy::Capability;

pub(super) fn register(api: &mut Api<'_>) {
    api.function("count", |model: ImmutableString, text: ImmutableString| {
        call::with(Capability::Tokens, |call| Ok(INT::from(call.services().tokens(&model, &text))))
    });
    api.function("count_segment", |model: ImmutableString, segment: INT| count_segment(&model, segment));
}

/// Of a whole segment, without reading it: does not taint. 0 if there is no such segment.
fn count_segment(model: &str, segment: INT) -> Answer<INT> {
    let segment = offset(segment)?;
    call::with(Capability::Tokens, |call| {
        let Some(view) = call.content() else { return Ok(0) };
        let count = view.peek(segment, |text| call.services().tokens(model, text));
        Ok(count.map_or(0, INT::from))
    })
}
