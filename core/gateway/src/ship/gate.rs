//! Whether a candidate goes on by itself, waits for a word, or is taken back.

use super::record::Stage;
use super::report::percent_text;
use crate::config::ShipOptions;
use std::time::Duration;

/// What is known of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Known {
    /// How long it is at its stage.
    pub span: Duration,
    /// Questions that it was asked at this stage.
    pub asked: u64,
    /// The share of its decisions that are others, in parts of 10,000.
    pub changed: u64,
    /// Whether it fails more often than the live version on the same questions, or in a greater share of its calls.
    pub fails_more: bool,
    /// How often it failed.
    pub faults: u64,
}

/// What to do with a candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gate {
    /// Nothing yet.
    Stay,
    /// Nothing until somebody says so, for this reason.
    Wait(String),
    /// The next stage.
    GoOn,
    /// Back, for this reason.
    TakeBack(String),
}

/// The end of a reason to wait.
pub const NOTHING: &str = "nothing was asked of it";

/// Judges a candidate.
pub fn judge(stage: Stage, options: &ShipOptions, known: &Known) -> Gate {
    if known.fails_more {
        return Gate::TakeBack(format!(
            "it failed {} of {} times, more often than the live version",
            known.faults, known.asked
        ));
    }
    let over = match (stage, options.shadow, options.canary) {
        (Stage::Shadow, Some(shadow), _) => {
            shadow.requests.is_some_and(|wanted| known.asked >= u64::from(wanted))
                || shadow.span.is_some_and(|wanted| known.span >= wanted)
        }
        (Stage::Canary, _, Some(canary)) => canary.span.is_some_and(|wanted| known.span >= wanted),
        _ => false,
    };
    if !over {
        return Gate::Stay;
    }
    if known.asked == 0 {
        return Gate::Wait(format!("its time as a {} is over, but {NOTHING}", stage.as_str()));
    }
    if known.changed > u64::from(options.max_changed) {
        return Gate::Wait(format!(
            "{} of its decisions are others, more than max_changed, {}",
            percent_text(known.changed),
            percent_text(u64::from(options.max_changed))
        ));
    }
    Gate::GoOn
}

/// The stage after this one; before any stage, the first.
pub const fn next(stage: Option<Stage>, options: &ShipOptions) -> Stage {
    match stage {
        None if options.shadow.is_some() => Stage::Shadow,
        None | Some(Stage::Shadow) if options.canary.is_some() => Stage::Canary,
        _ => Stage::Live,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{CanaryOptions, ShadowOptions};

    const MINUTE: Duration = Duration::from_secs(60);

    fn options() -> ShipOptions {
        ShipOptions {
            shadow: Some(ShadowOptions { requests: Some(500), span: Some(10 * MINUTE) }),
            canary: Some(CanaryOptions { share: 500, span: Some(10 * MINUTE) }),
            ..ShipOptions::default()
        }
    }

    fn known(asked: u64, minutes: u32) -> Known {
        Known { asked, span: minutes * MINUTE, ..Known::default() }
    }

    #[test]
    fn stages_that_are_not_wanted_are_left_out() {
        let all = options();
        assert_eq!(next(None, &all), Stage::Shadow);
        assert_eq!(next(Some(Stage::Shadow), &all), Stage::Canary);
        assert_eq!(next(Some(Stage::Canary), &all), Stage::Live);
        let none = ShipOptions::default();
        assert_eq!(next(None, &none), Stage::Live);
        assert_eq!(next(None, &ShipOptions { shadow: None, ..all }), Stage::Canary);
        assert_eq!(next(Some(Stage::Shadow), &ShipOptions { canary: None, ..all }), Stage::Live);
    }

    #[test]
    fn a_shadow_ends_by_questions_or_by_time() {
        let judge = |known: Known| judge(Stage::Shadow, &options(), &known);
        assert_eq!(judge(known(499, 9)), Gate::Stay);
        assert_eq!(judge(known(500, 0)), Gate::GoOn);
        assert_eq!(judge(known(1, 10)), Gate::GoOn);
        assert!(matches!(judge(known(0, 10)), Gate::Wait(why) if why.contains("nothing was asked")));
    }

    #[test]
    fn what_decides_otherwise_too_often_waits_and_what_fails_is_taken_back() {
        let judge = |known: Known| judge(Stage::Shadow, &options(), &known);
        assert_eq!(judge(Known { changed: 2_000, ..known(500, 1) }), Gate::GoOn);
        assert!(
            matches!(judge(Known { changed: 2_001, ..known(500, 1) }), Gate::Wait(why) if why.contains("20.01%"))
        );
        let failing = Known { fails_more: true, faults: 1, ..known(3, 0) };
        assert!(matches!(judge(failing), Gate::TakeBack(why) if why.contains("1 of 3")));
    }

    #[test]
    fn a_stage_without_a_bound_waits_for_a_word() {
        let shadow = Some(ShadowOptions { requests: None, span: None });
        let open = ShipOptions { shadow, ..ShipOptions::default() };
        assert_eq!(judge(Stage::Shadow, &open, &known(1_000_000, 100_000)), Gate::Stay);
        let canary = Some(CanaryOptions { share: 1, span: None });
        let open = ShipOptions { canary, ..ShipOptions::default() };
        assert_eq!(judge(Stage::Canary, &open, &known(1_000_000, 100_000)), Gate::Stay);
    }
}
