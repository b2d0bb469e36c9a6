//! Settled exchanges, as `complete` gets them: `for s in batch { … }`.

use super::head::HeadHandle;
use super::usage::UsageHandle;
use super::{int, option, text};
use crate::api::registrar::Api;
use crate::fault::misuse;
use rhai::{Array, Dynamic, EvalAltResult, INT, ImmutableString, Map};
use std::sync::Arc;
use weir_policy::Summary;

/// All of a batch.
#[derive(Clone)]
pub(crate) struct Batch(pub(crate) Arc<[Summary]>);

/// One of them.
#[derive(Clone)]
pub(crate) struct SummaryHandle {
    batch: Arc<[Summary]>,
    position: usize,
}

impl SummaryHandle {
    fn read<T: Into<Dynamic>>(&self, read: impl FnOnce(&Summary) -> T) -> Dynamic {
        self.batch.get(self.position).map_or(Dynamic::UNIT, |summary| read(summary).into())
    }
}

impl Batch {
    fn at(&self, index: INT) -> Result<SummaryHandle, Box<EvalAltResult>> {
        match usize::try_from(index).ok().filter(|position| *position < self.0.len()) {
            Some(position) => Ok(SummaryHandle { batch: Arc::clone(&self.0), position }),
            None => Err(misuse("no such exchange")),
        }
    }
}

impl IntoIterator for Batch {
    type Item = SummaryHandle;
    type IntoIter = std::vec::IntoIter<SummaryHandle>;

    fn into_iter(self) -> Self::IntoIter {
        let all = (0..self.0.len()).map(|position| SummaryHandle { batch: Arc::clone(&self.0), position });
        all.collect::<Vec<_>>().into_iter()
    }
}

pub(super) fn register(api: &mut Api<'_>) {
    api.custom_type::<Batch>("Batch");
    api.custom_type::<SummaryHandle>("Summary");
    api.iterable::<Batch>();
    api.function("len", |batch: &mut Batch| Ok(batch.0.len() as INT));
    api.getter("len", |batch: &mut Batch| Ok(batch.0.len() as INT));
    api.indexer(|batch: &mut Batch, index: INT| batch.at(index));
    ending(api);
    money(api);
    notes(api);
}

fn ending(api: &mut Api<'_>) {
    api.getter("head", |s: &mut SummaryHandle| {
        Ok(s.read(|summary| Dynamic::from(HeadHandle::Settled(Arc::clone(&summary.head)))))
    });
    api.getter("outcome", |s: &mut SummaryHandle| Ok(s.read(|s| text(s.outcome.as_str()))));
    api.getter("target", |s: &mut SummaryHandle| Ok(s.read(|s| option(s.target_id.as_deref().map(text)))));
    api.getter("status", |s: &mut SummaryHandle| Ok(s.read(|s| int(s.status))));
    api.getter("ttft_ms", |s: &mut SummaryHandle| Ok(s.read(|s| option(s.ttft_ms.map(int)))));
    api.getter("total_ms", |s: &mut SummaryHandle| Ok(s.read(|s| int(s.total_ms))));
    api.getter("attempts", |s: &mut SummaryHandle| Ok(s.read(|s| int(s.attempts))));
    api.getter("errors", |s: &mut SummaryHandle| {
        Ok(s.read(|s| s.errors.iter().map(|class| text(class.as_str())).collect::<Array>()))
    });
    api.getter("cache", |s: &mut SummaryHandle| Ok(s.read(|s| text(s.cache.as_str()))));
}

fn money(api: &mut Api<'_>) {
    api.getter("usage", |s: &mut SummaryHandle| {
        let usage = |s: &Summary| Dynamic::from(UsageHandle { usage: s.usage, source: Some(s.source) });
        Ok(s.read(usage))
    });
    api.getter("charged", |s: &mut SummaryHandle| Ok(s.read(|s| s.charged.0)));
    api.getter("provider_cost", |s: &mut SummaryHandle| {
        Ok(s.read(|s| option(s.provider_cost.map(|cost| cost.0))))
    });
}

fn notes(api: &mut Api<'_>) {
    api.getter("tags", |s: &mut SummaryHandle| {
        let tags = |s: &Summary| {
            s.tags.iter().map(|(name, value)| (name.as_str().into(), text(value))).collect::<Map>()
        };
        Ok(s.read(tags))
    });
    api.function("tag", |s: &mut SummaryHandle, name: ImmutableString| {
        let tag = |s: &Summary| {
            let found = s.tags.iter().find(|(known, _)| *known == *name);
            option(found.map(|(_, value)| text(value)))
        };
        Ok(s.read(tag))
    });
}
