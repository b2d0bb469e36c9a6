//! What `on_error` answers: `follow_plan()`, `retry_after(ms)`, `switch_to(target)`, `fail(deny)`.

use super::plan::{any_step, kind, ms_of};
use crate::api::registrar::Api;
use rhai::{Dynamic, INT};
use weir_policy::{Deny, Recovery};

/// What an `on_error` function returned.
pub(crate) fn recovery(value: Dynamic) -> Result<Recovery, String> {
    value.try_cast_result::<Recovery>().map_err(|value| {
        let found = kind(&value);
        format!("`on_error` answered with {found}; say follow_plan(), retry_after(ms), switch_to(target) or fail(deny)")
    })
}

pub(super) fn register(api: &mut Api<'_>) {
    api.custom_type::<Recovery>("Recovery");
    api.function("follow_plan", || Ok(Recovery::FollowPlan));
    api.function("retry_after", |ms: INT| ms_of(ms).map(Recovery::RetryAfter));
    // `switch` is a word of the language.
    api.function("switch_to", |to: Dynamic| any_step(to).map(Recovery::Switch));
    api.function("fail", |deny: Deny| Ok(Recovery::Fail(deny)));
}
