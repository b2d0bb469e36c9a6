//! What there is to find.

use serde::Deserialize;
use weir_sdk::Severity;

/// A class of personal or secret data. Its place in [`Class::ALL`] is its index in the manifest's `redact.classes`,
/// `redact.masks` and `declares.rules`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// An e-mail address.
    Email,
    /// A phone number.
    Phone,
    /// The number of a payment card.
    Card,
    /// An international bank account number.
    Iban,
    /// A US social security or taxpayer number.
    Ssn,
    /// An IPv4 or IPv6 address.
    Ip,
    /// A key or token of a provider.
    Key,
    /// A private key in PEM.
    PrivateKey,
    /// A JSON Web Token.
    Jwt,
}

impl Class {
    /// All of them, in the manifest's order.
    pub const ALL: [Self; 9] = [
        Self::Email,
        Self::Phone,
        Self::Card,
        Self::Iban,
        Self::Ssn,
        Self::Ip,
        Self::Key,
        Self::PrivateKey,
        Self::Jwt,
    ];

    /// The name in config, rules and tokens.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Card => "card",
            Self::Iban => "iban",
            Self::Ssn => "ssn",
            Self::Ip => "ip",
            Self::Key => "key",
            Self::PrivateKey => "private-key",
            Self::Jwt => "jwt",
        }
    }

    /// The place in [`Class::ALL`].
    #[must_use]
    pub const fn index(self) -> u16 {
        self as u16
    }

    /// How bad it is to send one.
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self {
            Self::Ip => Severity::Low,
            Self::Email | Self::Phone => Severity::Medium,
            Self::Card | Self::Iban | Self::Ssn => Severity::High,
            Self::Key | Self::PrivateKey | Self::Jwt => Severity::Critical,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_is_the_place() {
        for (place, class) in Class::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(class.index()), place);
        }
    }
}
