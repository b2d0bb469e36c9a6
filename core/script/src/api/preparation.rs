//! What `attempt` is told and answers: `pass()`, `edit([…])`, `set_header(name, value)`, `skip(reason)`.

use super::plan::{change, kind};
use super::target::TargetHandle;
use super::targets::Targets;
use super::text;
use crate::api::registrar::Api;
use crate::fault::misuse;
use crate::meter;
use rhai::{Dynamic, EvalAltResult, INT, ImmutableString};
use std::sync::Arc;
use weir_policy::{AttemptFacts, Changes, GuardVerdict, Guarded, Preparation};

/// Which attempt it is, at which target.
#[derive(Clone)]
pub(crate) struct AttemptHandle {
    facts: Arc<AttemptFacts>,
    targets: Targets,
}

impl AttemptHandle {
    pub(crate) fn new(facts: &Arc<AttemptFacts>, targets: Targets) -> Self {
        Self { facts: Arc::clone(facts), targets }
    }

    fn known(&self) -> Option<TargetHandle> {
        self.targets.of_index(self.facts.target)
    }
}

/// What an `attempt` function returned.
pub(crate) fn preparation(value: Dynamic) -> Result<Preparation, String> {
    let value = match value.try_cast_result::<Preparation>() {
        Ok(preparation) => return Ok(preparation),
        Err(value) => value,
    };
    match value.try_cast_result::<GuardVerdict>() {
        Ok(verdict) => of_verdict(verdict),
        Err(value) => Err(format!(
            "`attempt` answered with {}; say pass(), edit(…), set_header(name, value) or skip(reason)",
            kind(&value)
        )),
    }
}

/// `pass()` and `edit([…])` are words of the guards too; what only a guard may say is refused.
fn of_verdict(verdict: GuardVerdict) -> Result<Preparation, String> {
    if !verdict.findings.is_empty() || !verdict.tags.is_empty() {
        return Err("`attempt` has no findings and no tags".into());
    }
    match verdict.outcome {
        Guarded::Pass => Ok(Preparation::Pass),
        Guarded::Edit(edits) => Ok(Preparation::Edit(Changes { edits, headers: Vec::new() })),
        Guarded::Block(_) | Guarded::Answer(_) => {
            Err("`attempt` cannot refuse the request; skip(reason) refuses this target".into())
        }
    }
}

pub(super) fn register(api: &mut Api<'_>) {
    api.custom_type::<AttemptHandle>("Attempt");
    api.custom_type::<Preparation>("Preparation");
    api.getter("index", |a: &mut AttemptHandle| Ok(INT::from(a.facts.target)));
    api.getter("target", |a: &mut AttemptHandle| Ok(text(&a.facts.target_id)));
    api.getter("number", |a: &mut AttemptHandle| Ok(INT::from(a.facts.number)));
    api.getter("facts", |a: &mut AttemptHandle| Ok(a.known().map_or(Dynamic::UNIT, Dynamic::from)));
    api.function("skip", |reason: ImmutableString| Ok(Preparation::Skip(reason.as_str().to_owned())));
    headers(api);
}

fn headers(api: &mut Api<'_>) {
    api.function("set_header", |name: ImmutableString, value: ImmutableString| {
        with_header(&mut Preparation::Pass, &name, &value)
    });
    api.function(
        "set_header",
        |preparation: &mut Preparation, name: ImmutableString, value: ImmutableString| {
            with_header(preparation, &name, &value)
        },
    );
    api.function(
        "set_header",
        |verdict: &mut GuardVerdict, name: ImmutableString, value: ImmutableString| {
            let mut preparation = of_verdict(verdict.clone()).map_err(misuse)?;
            with_header(&mut preparation, &name, &value)
        },
    );
}

/// An empty value removes a header that Weir would send.
fn with_header(
    preparation: &mut Preparation,
    name: &str,
    value: &str,
) -> Result<Preparation, Box<EvalAltResult>> {
    if let Preparation::Skip(_) = preparation {
        return Err(misuse("a target that is skipped gets no headers"));
    }
    meter::keep(name.len() + value.len())?;
    Ok(change(preparation, |preparation| {
        let mut changes = match std::mem::replace(preparation, Preparation::Pass) {
            Preparation::Edit(changes) => changes,
            Preparation::Pass | Preparation::Skip(_) => Changes::default(),
        };
        changes.headers.push((name.to_owned(), value.to_owned()));
        *preparation = Preparation::Edit(changes);
    }))
}
