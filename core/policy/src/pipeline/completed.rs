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

    /// Tells a policy once more. A later pipeline may have a version of it that can be told; if it has none of that name,
    /// nobody is left to be told.
    pub async fn complete_again(&self, untold: Untold) -> Option<Untold> {
        let stage = self.of(Hook::Complete).iter().find(|stage| stage.name == untold.policy)?;
        let version = stage.version(&untold.batch.first()?.head);
        self.tell(stage, Part { version, batch: untold.batch }).await
    }

    /// What follows a failure of a hook that only counts is that it has not counted yet; the observer says so.
    async fn tell(&self, stage: &Stage, Part { version, batch }: Part<'_>) -> Option<Untold> {
        let context = Checked::new(version, None);
        let make = || Question::Complete { batch: Arc::clone(&batch) };
        let told = self.put(stage, &mut Trace::new(), &context, make, checked::counted).await;
        told.is_err().then(|| Untold { policy: Arc::clone(&stage.name), batch })
    }
}
