//! The floor and the service levels.

use serde::Deserialize;
use weir_sdk::{Live, Target};

/// The operator's config. Shares and rates are compared in the precision in which the host measures them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    min_quality: Option<f32>,
    below_floor: BelowFloor,
    slo_ttft_ms: Option<u32>,
    slo_tps: Option<f32>,
    slo_err_rate: Option<f32>,
}

/// What becomes of targets below the floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum BelowFloor {
    /// Never used.
    #[default]
    Refuse,
    /// Tried when all others failed.
    Last,
}

impl Settings {
    /// A target without a score is below any floor.
    pub(crate) fn is_good(&self, target: Option<&Target>) -> bool {
        let quality = target.and_then(|target| target.quality);
        self.min_quality.is_none_or(|floor| quality.is_some_and(|quality| quality >= floor))
    }

    pub(crate) fn uses_below_floor(&self) -> bool {
        self.below_floor == BelowFloor::Last
    }

    /// A figure that was never measured keeps its level: a new target gets its chance.
    pub(crate) fn keeps(&self, live: &Live) -> bool {
        self.slo_ttft_ms.is_none_or(|most| live.ttft_p95_ms <= most)
            && self.slo_err_rate.is_none_or(|most| live.err_rate1m <= most)
            && self.slo_tps.is_none_or(|least| live.tps_p50 == 0.0 || live.tps_p50 >= least)
    }
}
