//! How sensitive content is, in the words of the policy contract.

use serde::{Deserialize, Serialize};

/// How sensitive the caller's data is; ordered from the least to the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DataClass {
    /// May be published.
    Public,
    /// What holds where nobody says anything.
    #[default]
    Internal,
    /// Need to know.
    Confidential,
    /// Regulated.
    Restricted,
}

impl DataClass {
    /// All of them, in their order.
    pub const ALL: [Self; 4] = [Self::Public, Self::Internal, Self::Confidential, Self::Restricted];

    /// `confidential`, as in the contract, in headers and in listings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Internal => "internal",
            Self::Confidential => "confidential",
            Self::Restricted => "restricted",
        }
    }

    /// The inverse of [`DataClass::name`].
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_the_order_is_that_of_sensitivity() {
        for class in DataClass::ALL {
            assert_eq!(DataClass::parse(class.name()), Some(class));
            assert_eq!(serde_json::to_value(class).unwrap(), class.name());
            assert_eq!(serde_json::from_value::<DataClass>(class.name().into()).unwrap(), class);
        }
        assert!(DataClass::ALL.is_sorted());
        assert_eq!((DataClass::parse("Public"), DataClass::parse("")), (None, None));
    }
}
