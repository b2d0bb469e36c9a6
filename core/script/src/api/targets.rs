//! The list of targets: filters and ways to combine lists. Every function answers with a new list.

use super::errors::Errors;
use super::facts::Facts;
use super::target::TargetHandle;
use crate::api::registrar::Api;
use crate::fault::misuse;
use rhai::{Dynamic, EvalAltResult, FLOAT, FnPtr, INT, ImmutableString, NativeCallContext};
use smallvec::SmallVec;
use std::sync::Arc;
use weir_policy::{Candidates, Head, Live, Target};

/// Candidates by their positions. As many as an alias usually has stand in the list itself, which scripts copy a lot.
pub(crate) type Positions = SmallVec<[u16; 16]>;

/// Some of the candidates, in some order.
pub(crate) struct Targets {
    pub(super) facts: Arc<Facts>,
    pub(crate) positions: Positions,
}

impl Clone for Targets {
    /// Positions are copied as one run of memory, not one by one.
    fn clone(&self) -> Self {
        self.with(Positions::from_slice(&self.positions))
    }
}

impl Targets {
    /// All candidates in the operator's order.
    pub(crate) fn all(candidates: &Arc<Candidates>, head: &Head) -> Self {
        let facts = Arc::new(Facts::new(candidates, head));
        let positions = (0..facts.len()).map_while(|n| u16::try_from(n).ok()).collect();
        Self { facts, positions }
    }

    pub(crate) fn with(&self, positions: Positions) -> Self {
        Self { facts: self.facts.clone(), positions }
    }

    /// The candidate with this index into the target table.
    pub(super) fn of_index(&self, index: u16) -> Option<TargetHandle> {
        let found = self.positions.iter().find(|position| self.facts.index(**position) == index);
        found.map(|position| self.handle(*position))
    }

    pub(crate) fn handle(&self, position: u16) -> TargetHandle {
        TargetHandle { facts: self.facts.clone(), position }
    }

    fn keep(&self, keep: impl Fn(&Target, &Facts, u16) -> bool) -> Self {
        let wanted = |p: &u16| self.facts.target(*p).is_some_and(|target| keep(target, &self.facts, *p));
        self.with(self.positions.iter().copied().filter(wanted).collect())
    }

    fn keep_live(&self, keep: impl Fn(Live) -> bool) -> Self {
        self.with(self.positions.iter().copied().filter(|p| keep(self.facts.live(*p))).collect())
    }

    fn at(&self, index: INT) -> Result<TargetHandle, Box<EvalAltResult>> {
        let position = usize::try_from(index).ok().and_then(|n| self.positions.get(n));
        position.map(|p| self.handle(*p)).ok_or_else(|| misuse(format!("no target at {index}")))
    }
}

impl IntoIterator for Targets {
    type Item = TargetHandle;
    type IntoIter = std::vec::IntoIter<TargetHandle>;

    fn into_iter(self) -> Self::IntoIter {
        let handles: Vec<_> = self.positions.iter().map(|p| self.handle(*p)).collect();
        handles.into_iter()
    }
}

pub(super) fn register(api: &mut Api<'_>) {
    api.custom_type::<Targets>("Targets");
    api.iterable::<Targets>();
    access(api);
    fixed_filters(api);
    live_filters(api);
    combinations(api);
}

fn access(api: &mut Api<'_>) {
    api.tells_and_has("len", |list: &Targets| Ok(list.positions.len() as INT));
    api.tells_and_has("is_empty", |list: &Targets| Ok(list.positions.is_empty()));
    api.list_indexer(|list, index: INT| list.at(index));
    api.tells("first", |list: &Targets| list.at(0));
    api.tells_with("find", |list: &Targets, id: ImmutableString| {
        let named = |p: &&u16| list.facts.target(**p).is_some_and(|target| *target.id == *id);
        Ok(list.positions.iter().find(named).map_or(Dynamic::UNIT, |p| Dynamic::from(list.handle(*p))))
    });
}

fn fixed_filters(api: &mut Api<'_>) {
    api.of_list_with("with_tag", |list, tag: ImmutableString| {
        Ok(list.keep(|target, _, _| target.tags.iter().any(|own| **own == *tag)))
    });
    api.of_list_with("without_tag", |list, tag: ImmutableString| {
        Ok(list.keep(|target, _, _| target.tags.iter().all(|own| **own != *tag)))
    });
    api.of_list_with("with_provider", |list, name: ImmutableString| {
        Ok(list.keep(|target, _, _| *target.provider == *name))
    });
    api.of_list_with("in_region", |list, name: ImmutableString| {
        Ok(list.keep(|target, _, _| *target.region == *name))
    });
    api.of_list_with("min_quality", |list, floor: FLOAT| {
        Ok(list.keep(|target, _, _| target.quality.is_some_and(|quality| quality >= floor as f32)))
    });
    api.of_list_with("min_quality", |list, floor: INT| {
        Ok(list.keep(|target, _, _| target.quality.is_some_and(|quality| quality >= floor as f32)))
    });
    // A context length of 0 is not known and may be long enough.
    api.of_list_with("fits", |list, tokens: INT| {
        Ok(list.keep(|target, _, _| target.ctx_tokens == 0 || INT::from(target.ctx_tokens) >= tokens))
    });
    api.of_list("priced", |list| list.keep(|_, facts, p| facts.cost(p).is_some()));
    api.function("filter", |context: NativeCallContext, list: &mut Targets, keep: FnPtr| {
        let mut positions = Positions::new();
        for &position in &list.positions {
            if keep.call_within_context::<bool>(&context, (list.handle(position),))? {
                positions.push(position);
            }
        }
        Ok(list.with(positions))
    });
}

/// Bounds are compared as the facts are kept, so that what is written 0.7 is 0.7.
fn live_filters(api: &mut Api<'_>) {
    api.of_list("healthy", |list| list.keep(|_, facts, p| facts.is_up(p)));
    // A target that was never measured gets its chance.
    api.of_list_with("within_slo", |list, ttft_ms: INT| {
        Ok(list.keep_live(|live| INT::from(live.ttft_p95_ms) <= ttft_ms))
    });
    api.of_list_with("max_in_flight", |list, most: INT| {
        Ok(list.keep_live(|live| INT::from(live.in_flight) <= most))
    });
    api.of_list_with("max_err_rate", |list, most: FLOAT| {
        Ok(list.keep_live(|live| live.err_rate_1m <= most as f32))
    });
}

fn combinations(api: &mut Api<'_>) {
    api.of_lists("or", |list, other| if list.positions.is_empty() { other.clone() } else { list.clone() });
    api.of_lists("then", |list, others| {
        if list.positions.is_empty() {
            return others.clone();
        }
        let (mut all, known) = (list.clone(), &*list.positions);
        all.positions.extend(others.positions.iter().copied().filter(|p| !known.contains(p)));
        all
    });
    api.of_list_with("then", |list, one: TargetHandle| {
        let mut all = list.clone();
        if !all.positions.contains(&one.position) {
            all.positions.push(one.position);
        }
        Ok(all)
    });
    api.of_lists("without", |list, others| match others.positions.is_empty() {
        true => list.clone(),
        false => {
            let others = &*others.positions;
            list.with(list.positions.iter().copied().filter(|p| !others.contains(p)).collect())
        }
    });
    api.of_list_with("without", |list, one: TargetHandle| Ok(list.keep(|_, _, p| one.position != p)));
    api.of_list_with("without", |list, tried: Errors| {
        Ok(list.keep(|_, facts, p| tried.0.iter().all(|error| error.target != facts.index(p))))
    });
    api.of_list_with("take", |list, most: INT| {
        let most = usize::try_from(most).unwrap_or(0);
        Ok(list.with(list.positions.iter().copied().take(most).collect()))
    });
}
