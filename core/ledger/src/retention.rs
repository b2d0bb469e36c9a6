//! Retention wishes of organisation, team and key, and the strictest of them.
//!
//! The names are those of the policy contract (`zero`, `zero-except-safety`, `days-N`, `unknown`); this crate stands
//! below it, so it knows only their order.

/// No wish at all.
pub const NONE: &str = "unknown";

/// Whether `name` is one that can be stored.
#[must_use]
pub fn is_valid(name: &str) -> bool {
    rank(name).is_some()
}

/// The strictest of some wishes. What cannot be read counts as `zero`: the safe side.
pub(crate) fn strictest<'a>(wishes: impl IntoIterator<Item = Option<&'a str>>) -> String {
    let wishes = wishes.into_iter().flatten();
    let strict = wishes.map(|name| rank(name).map_or((0, "zero"), |rank| (rank, name))).min();
    strict.map_or(NONE, |(_, name)| name).to_owned()
}

fn rank(name: &str) -> Option<u32> {
    match name {
        "zero" => Some(0),
        "zero-except-safety" => Some(1),
        NONE => Some(u32::MAX),
        _ => {
            let days = name.strip_prefix("days-")?;
            let plain = !days.is_empty() && days.bytes().all(|b| b.is_ascii_digit());
            days.parse::<u16>().ok().filter(|_| plain).map(|days| 2 + u32::from(days))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strictest_wish_holds() {
        assert_eq!(strictest([None, None, None]), "unknown");
        assert_eq!(strictest([Some("days-30"), None, Some("days-7")]), "days-7");
        assert_eq!(strictest([Some("zero-except-safety"), Some("days-0"), None]), "zero-except-safety");
        assert_eq!(strictest([Some("unknown"), Some("zero"), Some("days-1")]), "zero");
        assert_eq!(strictest([Some("nonsense"), Some("days-1")]), "zero");
        assert!(!is_valid("days-+3") && !is_valid("days-") && !is_valid("Zero") && is_valid("days-365"));
    }
}
