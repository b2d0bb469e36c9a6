//! `complete`: every policy is told of what concerns it, and what one could not be told is not forgotten.

use super::checked::{self, Checked};
use super::stage::{Part, Stage};
use super::{Pipeline, Trace};
use crate::manifest::Hook;
use crate::question::Question;
use crate::verdict::Summary;
use std::sync::Arc;

/// Summaries that a policy could not be told of: it failed, or its breaker is open.
#[derive(Debug, Clone)]
pub struct Untold {
    policy: Arc<str>,
    /// Which version of it, with which config.
    digest: Arc<str>,
    batch: Arc<[Summary]>,
}

impl Untold {
    /// How many.
    #[must_use]
    pub fn summaries(&self) -> usize {
        self.batch.len()
    }
}

impl Pipeline {
    /// Tells all policies of what concerns them, and answers with what some could not be told.
    pub async fn complete(&self, batch: &[Summary]) -> Vec<Untold> {
        let mut untold = Vec::new();
        for stage in self.of(Hook::Complete) {
            for part in stage.parts(batch) {
                untold.extend(self.tell(stage, part).await);
            }
        }
        untold
    }

    /// Tells a policy once more: the same version, or where a later pipeline has it no more, the one that stands in its
    /// place and is still concerned. If there is none, nobody is left to be told.
    pub async fn complete_again(&self, untold: Untold) -> Option<Untold> {
        let head = &untold.batch.first()?.head;
        let stages = || {
            let named = self.of(Hook::Complete).iter().filter(|stage| stage.name == untold.policy);
            named.filter(|stage| stage.bound_to(&head.requested_model))
        };
        let same = |stage: &'_ Stage| stage.versions().any(|v| v.policy.digest() == &*untold.digest);
        let same = stages().find(|stage| same(stage));
        let stage = same.or_else(|| stages().find(|stage| stage.applies(head)))?;
        let known = stage.versions().find(|version| version.policy.digest() == &*untold.digest);
        let version = known.unwrap_or_else(|| stage.version(head));
        let batch = match known.is_none() && version.policy.manifest().shared {
            true => untold.batch.iter().map(Summary::anonymous).collect(),
            false => Arc::clone(&untold.batch),
        };
        self.tell(stage, Part { version, batch }).await
    }

    /// What follows a failure of a hook that only counts is that it has not counted yet; the observer says so.
    async fn tell(&self, stage: &Stage, Part { version, batch }: Part<'_>) -> Option<Untold> {
        let context = Checked::new(version, None);
        let make = || Question::Complete { batch: Arc::clone(&batch) };
        let told = self.put(stage, &mut Trace::new(), &context, make, checked::counted).await;
        let digest = || version.policy.digest().into();
        told.is_err().then(|| Untold { policy: Arc::clone(&stage.name), digest: digest(), batch })
    }
}
