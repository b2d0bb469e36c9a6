//! Prices of what is not counted in tokens. Which one holds depends on the request: an image's on its size and quality.

use crate::api::Api;
use crate::usage::Class;
use serde::Deserialize;

/// What is counted where it is not tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// An image that was made, of a size and a quality.
    Image,
    /// A second of audio that was heard.
    Second,
    /// A character that was spoken.
    Character,
    /// A web search that the model ran on its own; `size` is how much context it read.
    Search,
    /// What Cohere bills reranking by: a query with up to a hundred documents.
    SearchUnit,
    /// A request, whatever is in it.
    Request,
}

/// The price of one unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitPrice {
    /// What is counted.
    pub unit: Unit,
    /// Pico-dollars (10⁻¹² USD) for each.
    pub pico_per_unit: u64,
    /// `1024x1024` of an image, `low`, `medium` or `high` of a search; `None` if it is the same for all.
    pub size: Option<String>,
    /// `low`, `medium`, `high`, `standard`; `None` if it is the same for all.
    pub quality: Option<String>,
}

impl Unit {
    /// What providers count on an API where they do not count tokens; `None`: they always do.
    #[must_use]
    pub const fn of(api: Api) -> Option<Self> {
        match api {
            Api::Images => Some(Self::Image),
            Api::Speech => Some(Self::Character),
            Api::Transcription => Some(Self::Second),
            Api::Rerank => Some(Self::SearchUnit),
            _ => None,
        }
    }

    /// The class of usage that counts it; `None` for what nobody counts yet: a search that a model ran is no part of
    /// any reply that passes through, and a request needs no counting.
    #[must_use]
    pub const fn class(self) -> Option<Class> {
        match self {
            Self::Image => Some(Class::Images),
            Self::Second => Some(Class::Seconds),
            Self::Character => Some(Class::Characters),
            Self::SearchUnit => Some(Class::SearchUnits),
            Self::Search | Self::Request => None,
        }
    }
}

/// Pico-dollars for one unit. A price for any size or quality answers for a particular one that has none of its own. Who
/// does not say which it is has a price only if all that it can be cost the same.
#[must_use]
pub fn unit_price(
    prices: &[UnitPrice],
    unit: Unit,
    size: Option<&str>,
    quality: Option<&str>,
) -> Option<u64> {
    let of_unit = || prices.iter().filter(|price| price.unit == unit);
    let holds = |said: &Option<String>, asked: Option<&str>| said.is_none() || said.as_deref() == asked;
    let particular = of_unit()
        .filter(|price| holds(&price.size, size) && holds(&price.quality, quality))
        .max_by_key(|price| (price.size.is_some(), price.quality.is_some()));
    if let Some(price) = particular {
        return Some(price.pico_per_unit);
    }
    let can = |said: &Option<String>, asked: Option<&str>| asked.is_none() || holds(said, asked);
    let mut possible = of_unit()
        .filter(|price| can(&price.size, size) && can(&price.quality, quality))
        .map(|price| price.pico_per_unit);
    let first = possible.next()?;
    possible.all(|other| other == first).then_some(first)
}

/// As [`unit_price`]; the dearest of the unit where the request does not tell which it is.
#[must_use]
pub fn unit_price_bound(
    prices: &[UnitPrice],
    unit: Unit,
    size: Option<&str>,
    quality: Option<&str>,
) -> Option<u64> {
    let dearest = || prices.iter().filter(|price| price.unit == unit).map(|price| price.pico_per_unit).max();
    unit_price(prices, unit, size, quality).or_else(dearest)
}
