//! What `admit` answers: `allow()`, with tags, or `deny(…)`.

use super::plan::kind;
use crate::api::registrar::Api;
use crate::fault::misuse;
use crate::meter;
use rhai::{Dynamic, ImmutableString};
use weir_policy::{Admission, Deny};

/// What an `admit` function returned. There is no default: a branch that forgets to answer must not let a request in.
pub(crate) fn admission(value: Dynamic) -> Result<Admission, String> {
    match value.try_cast_result::<Admission>() {
        Ok(admission) => Ok(admission),
        Err(value) => value
            .try_cast_result::<Deny>()
            .map(Admission::Deny)
            .map_err(|value| format!("`admit` answered with {}; say allow() or deny(…)", kind(&value))),
    }
}

pub(super) fn register(api: &mut Api<'_>) {
    api.custom_type::<Admission>("Admission");
    api.function("allow", || Ok(Admission::Allow(Vec::new())));
    api.function("tag", |admission: &mut Admission, name: ImmutableString, value: ImmutableString| {
        meter::keep(name.len() + value.len())?;
        let Admission::Allow(tags) = admission else { return Err(misuse("a refusal has no tags")) };
        tags.push((name.as_str().to_owned(), value.as_str().to_owned()));
        Ok(admission.clone())
    });
}
