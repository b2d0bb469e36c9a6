//! A batch for `complete`, cut so that no instance sees two organisations.

use std::sync::Arc;
use weir_policy::Summary;

/// The batch by organisation, in order; whole for a `shared` policy, which does not learn who asks.
pub(crate) fn by_organisation(batch: &Arc<[Summary]>, shared: bool) -> Vec<Arc<[Summary]>> {
    let Some(first) = batch.first() else { return Vec::new() };
    if shared || batch.iter().all(|summary| summary.head.tenant == first.head.tenant) {
        return vec![Arc::clone(batch)];
    }
    let mut groups: Vec<Vec<Summary>> = Vec::new();
    for summary in batch.iter() {
        match groups.iter_mut().find(|group| group[0].head.tenant == summary.head.tenant) {
            Some(group) => group.push(summary.clone()),
            None => groups.push(vec![summary.clone()]),
        }
    }
    groups.into_iter().map(Arc::from).collect()
}
