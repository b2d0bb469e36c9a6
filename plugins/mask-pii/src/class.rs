//! What there is to mask, and which pattern finds it.

use serde::Deserialize;
use weir_sdk::Severity;

/// A class of personal or secret data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Class {
    Email,
    Card,
    Iban,
    Ssn,
    Phone,
    Ip,
    Key,
}

impl Class {
    /// What is masked unless the config says otherwise.
    pub const DEFAULT: [Self; 5] = [Self::Email, Self::Card, Self::Iban, Self::Ssn, Self::Key];

    /// The class of the pattern at this place of the manifest's list.
    #[must_use]
    pub const fn of_pattern(index: u32) -> Self {
        match index {
            0 => Self::Email,
            1 => Self::Card,
            2 => Self::Iban,
            3 => Self::Ssn,
            4 => Self::Phone,
            5 => Self::Ip,
            _ => Self::Key,
        }
    }

    /// The name in config, masks and findings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Card => "card",
            Self::Iban => "iban",
            Self::Ssn => "ssn",
            Self::Phone => "phone",
            Self::Ip => "ip",
            Self::Key => "key",
        }
    }

    /// How bad it is to send one.
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self {
            Self::Ip => Severity::Low,
            Self::Email | Self::Phone => Severity::Medium,
            Self::Card | Self::Iban | Self::Ssn => Severity::High,
            Self::Key => Severity::Critical,
        }
    }
}
