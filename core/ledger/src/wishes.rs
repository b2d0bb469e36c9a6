//! What an organisation, a team and a key ask of whoever gets their content, and what they say of it; all three hold
//! together.

use weir_llm::terms::DataClass;

use crate::retention;

/// What one of them asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// How long content may be kept: `zero`, `zero-except-safety`, `days-N`; `None`: no wish.
    pub retention: Option<String>,
    /// Where content may go: names of regions with commas between them, such as `eu,ch`; `None`: anywhere.
    pub region: Option<String>,
    /// Nobody may train on content.
    pub no_training: bool,
    /// How sensitive content is; `None`: not said. The most sensitive holds.
    pub class: Option<DataClass>,
}

/// Longest list of regions, in bytes.
const MAX_REGIONS: usize = 256;

impl Wishes {
    /// Only a retention.
    #[must_use]
    pub fn retention(name: &str) -> Self {
        Self { retention: Some(name.to_owned()), ..Self::default() }
    }

    /// What is wrong with them, if something is.
    pub(crate) fn problem(&self) -> Option<String> {
        let name = self.retention.as_deref().filter(|name| !retention::is_valid(name));
        let region = self.region.as_deref().filter(|list| !is_region_list(list));
        match (name, region) {
            (Some(name), _) => {
                Some(format!("retention {name:?} is none of zero, zero-except-safety, days-N"))
            }
            (None, Some(list)) => {
                Some(format!("region {list:?} is no list of names (a-z, 0-9, -) with commas between them"))
            }
            (None, None) => None,
        }
    }
}

/// Whether a text names regions: lower-case letters, digits and hyphens, with commas between them.
#[must_use]
pub fn is_region_list(list: &str) -> bool {
    let name = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    list.len() <= MAX_REGIONS && list.split(',').all(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_valid_or_say_which_is_not() {
        let region = |list: &str| Wishes { region: Some(list.into()), ..Wishes::default() }.problem();
        assert_eq!(Wishes::default().problem(), None);
        assert_eq!(Wishes::retention("days-7").problem(), None);
        assert!(Wishes::retention("week").problem().unwrap().contains("week"));
        for good in ["eu", "eu-west-1,ch", "2"] {
            assert_eq!(region(good), None, "{good}");
        }
        for bad in ["", "EU", "eu, ch", "eu,,ch", "e u", &"a".repeat(257)] {
            assert!(region(bad).is_some(), "{bad}");
        }
    }
}
