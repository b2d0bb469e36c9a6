//! A list of targets with live facts.

use crate::{Breaker, Live, Retention, Target, Targets};
use std::rc::Rc;

/// A list of targets with live facts.
pub struct FakeTargets {
    targets: Vec<(Target, Live)>,
}

impl FakeTargets {
    /// Healthy targets with these ids, all allowed.
    #[must_use]
    pub fn new(ids: &[&str]) -> Self {
        Self { targets: ids.iter().enumerate().map(|(index, id)| (target(id), live(index))).collect() }
    }

    /// With one target changed.
    #[must_use]
    pub fn with(mut self, index: usize, change: impl FnOnce(&mut Target, &mut Live)) -> Self {
        if let Some((target, live)) = self.targets.get_mut(index) {
            change(target, live);
        }
        self
    }
}

impl Targets for FakeTargets {
    fn table(&self) -> Rc<[Target]> {
        self.targets.iter().map(|(target, _)| target.clone()).collect()
    }
    fn candidates(&self) -> Vec<Live> {
        self.targets.iter().map(|(_, live)| *live).collect()
    }
}

fn target(id: &str) -> Target {
    let (provider, model) = id.split_once('/').unwrap_or(("", id));
    Target {
        id: id.into(),
        provider: provider.into(),
        model: model.into(),
        region: String::new(),
        retention: Retention::Unknown,
        trains: false,
        ctx_tokens: 0,
        max_output_tokens: 0,
        quality: None,
        rates: Vec::new(),
        tags: Vec::new(),
        weight: 1,
    }
}

fn live(index: usize) -> Live {
    Live {
        target: u16::try_from(index).unwrap_or(u16::MAX),
        healthy: true,
        in_flight: 0,
        ttft_p50_ms: 0,
        ttft_p95_ms: 0,
        tps_p50: 0.0,
        err_rate1m: 0.0,
        headroom: 1.0,
        breaker: Breaker::Closed,
        prompt_cache_warm: 0.0,
    }
}
