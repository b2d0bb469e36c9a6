//! What an exchange asks of whoever gets its content, and which targets may have it.
//!
//! Organisation, team, key, headers and body each wish; every wish only tightens, and all hold at once. The same
//! question is asked before routing and again before each attempt, so that no plan, fallback or retry leads past it.

use crate::ingress::headers::Wishes;
use std::fmt;
use std::sync::Arc;
use weir_ledger::Principal;
use weir_llm::request::{DataWishes, Hosted, MaxPrice};
use weir_llm::terms::Feature;
use weir_policy::{Demands, Retention, Target};

/// The wishes of an exchange taken together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Terms {
    /// How long content may be kept at most.
    pub retention: Retention,
    /// Nobody may train on content.
    pub no_training: bool,
    /// Lists of regions (`eu,ch`): a target must lie in one of each.
    pub regions: Vec<Arc<str>>,
    /// What a target may cost.
    pub max_price: MaxPrice,
}

/// Why a target may not have the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfit {
    /// It keeps content for longer.
    Keeps,
    /// It may train on content.
    Trains,
    /// It lies elsewhere, or nobody says where.
    Elsewhere,
    /// It costs more, or nobody says what.
    Dear,
}

impl Terms {
    /// Nothing is asked; as the default, for what is known at compile time.
    pub const NONE: Self = Self {
        retention: Retention::Unknown,
        no_training: false,
        regions: Vec::new(),
        max_price: MaxPrice { input: None, output: None },
    };

    /// The strictest of what a key's owners and the request itself ask for.
    #[must_use]
    pub fn of(principal: &Principal, wishes: &Wishes) -> Self {
        // What cannot be read counts as the strictest.
        let stored = Retention::parse(&principal.retention).unwrap_or(Retention::Zero);
        let mut regions: Vec<Arc<str>> = principal.regions.iter().map(|list| list.as_str().into()).collect();
        regions.extend(wishes.region.clone());
        Self {
            retention: wishes.retention.map_or(stored, |wished| wished.min(stored)),
            no_training: principal.no_training || wishes.no_training,
            regions,
            max_price: wishes.max_price,
        }
    }

    /// Whether a target may have the content, by what is known of it.
    ///
    /// # Errors
    /// The first reason why not.
    pub fn fits(&self, target: &Target) -> Result<(), Misfit> {
        if !target.retention.satisfies(self.retention) {
            return Err(Misfit::Keeps);
        }
        if self.no_training && target.trains {
            return Err(Misfit::Trains);
        }
        if !self.reaches(&target.region) {
            return Err(Misfit::Elsewhere);
        }
        self.max_price.covers(&target.rates).then_some(()).ok_or(Misfit::Dear)
    }

    /// Whether a place lies in a region of each list.
    #[must_use]
    pub fn reaches(&self, place: &str) -> bool {
        lies_in_each(place, &self.regions)
    }

    /// What is asked beside the retention, for the services of policies; nothing most of the time.
    #[must_use]
    pub fn demands(&self) -> Option<Arc<Demands>> {
        let any = self.no_training || !self.regions.is_empty();
        any.then(|| {
            Arc::new(Demands { no_training: self.no_training, regions: self.regions.as_slice().into() })
        })
    }

    /// The first of a request's uses of a feature that a target's terms do not extend to; `None`: nothing stands in the
    /// way.
    #[must_use]
    pub fn uncovered<'a>(&self, hosted: &'a [Hosted], excluded: &[Feature]) -> Option<&'a Hosted> {
        if !self.retention.is_zero() {
            return None;
        }
        hosted.iter().find(|hosted| excluded.contains(&hosted.feature))
    }

    /// What a target that chooses providers itself is to be told.
    #[must_use]
    pub fn to_hand_on(&self) -> DataWishes {
        DataWishes {
            zero: self.retention == Retention::Zero,
            no_training: self.no_training,
            max_price: self.max_price,
        }
    }
}

/// Whether a place lies in a region of each of some lists.
#[must_use]
pub fn lies_in_each(place: &str, lists: &[Arc<str>]) -> bool {
    lists.iter().all(|list| list.split(',').any(|region| lies_in(place, region)))
}

/// `eu` holds `eu`, `eu-west-1` and `EU-North`, and not `europe`; a place that is not known lies nowhere.
fn lies_in(place: &str, region: &str) -> bool {
    let place = place.to_ascii_lowercase();
    place.strip_prefix(region).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

impl fmt::Display for Terms {
    /// `zero, no training, in eu,ch`: for messages and as a part of keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.retention.name())?;
        if self.no_training {
            f.write_str(", no training")?;
        }
        self.regions.iter().try_for_each(|list| write!(f, ", in {list}"))?;
        match self.max_price == MaxPrice::default() {
            true => Ok(()),
            false => write!(f, ", at most {} (dollars a million tokens)", self.max_price),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn target(retention: Retention, trains: bool, region: &str) -> Target {
        Target { retention, trains, region: region.into(), ..Target::bare("a/b") }
    }

    #[test]
    fn the_first_reason_is_told() {
        let all = Terms {
            retention: Retention::Days(7),
            no_training: true,
            regions: vec!["eu,ch".into()],
            ..Terms::default()
        };
        for (keeps, trains, region, reason) in [
            (Retention::Zero, false, "eu-west-1", Ok(())),
            (Retention::Days(7), false, "CH", Ok(())),
            (Retention::Days(8), true, "us", Err(Misfit::Keeps)),
            (Retention::Unknown, false, "eu", Err(Misfit::Keeps)),
            (Retention::Zero, true, "us", Err(Misfit::Trains)),
            (Retention::Zero, false, "us", Err(Misfit::Elsewhere)),
            (Retention::Zero, false, "europe", Err(Misfit::Elsewhere)),
            (Retention::Zero, false, "", Err(Misfit::Elsewhere)),
        ] {
            assert_eq!(all.fits(&target(keeps, trains, region)), reason, "{keeps:?} {trains} {region}");
        }
        assert_eq!(Terms::default().fits(&target(Retention::Unknown, true, "")), Ok(()));
        let cheap = MaxPrice { input: Some(1), output: None };
        let unpriced = Terms { max_price: cheap, ..Terms::default() };
        assert_eq!(
            unpriced.fits(&target(Retention::Zero, false, "")),
            Err(Misfit::Dear),
            "its price is not known"
        );
    }

    fn retention() -> impl Strategy<Value = Retention> {
        prop_oneof![
            Just(Retention::Zero),
            Just(Retention::ZeroExceptSafety),
            (0..40_u16).prop_map(Retention::Days),
            Just(Retention::Unknown)
        ]
    }

    fn terms() -> impl Strategy<Value = Terms> {
        let list = proptest::sample::select(vec!["eu", "eu,ch", "us", "eu-west-1,us"]).prop_map(Arc::from);
        (retention(), any::<bool>(), proptest::collection::vec(list, 0..3)).prop_map(
            |(retention, no_training, regions)| Terms { retention, no_training, regions, ..Terms::default() },
        )
    }

    proptest! {
        /// A wish more never lets a target in that was kept out: tightening only tightens.
        #[test]
        fn one_more_wish_never_lets_anybody_in(
            one in terms(), two in terms(), keeps in retention(), trains in any::<bool>(),
            region in proptest::sample::select(vec!["", "eu", "eu-west-1", "us", "ch"]),
        ) {
            let both = Terms {
                retention: one.retention.min(two.retention),
                no_training: one.no_training || two.no_training,
                regions: one.regions.iter().chain(&two.regions).cloned().collect(),
                ..Terms::default()
            };
            let target = target(keeps, trains, region);
            let fits = |terms: &Terms| terms.fits(&target).is_ok();
            prop_assert_eq!(fits(&both), fits(&one) && fits(&two));
        }
    }
}
