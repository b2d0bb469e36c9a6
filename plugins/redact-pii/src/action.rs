//! What is done with what was found.

use crate::class::Class;
use serde::Deserialize;
use weir_sdk::{Direction, Redaction};

/// What comes in place of a value, or happens because of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// A token that the host gives the value back for; in replies a report.
    Vault,
    /// A hash, the same for the same value within an organisation.
    Hash,
    /// The class in brackets.
    Mask,
    /// Nothing.
    Drop,
    /// The request or reply is refused.
    Refuse,
    /// The value stays, the finding is noted.
    Report,
    /// The value stays.
    Off,
}

impl Action {
    /// What is done with the rest of a value too long to be found as one: its beginning stands for all of it.
    #[must_use]
    pub const fn on_rest(self) -> Self {
        match self {
            Self::Vault | Self::Hash | Self::Mask | Self::Drop => Self::Drop,
            Self::Refuse | Self::Report | Self::Off => self,
        }
    }
}

/// The action in the words of the contract; none if nothing is said of the value. What a model says is hidden from nobody
/// who could give it back later: in replies `vault` is a report.
#[must_use]
pub const fn to_redaction(action: Action, class: Class, direction: Direction) -> Option<Redaction> {
    let index = class.index();
    match (action, direction) {
        (Action::Vault, Direction::Request) => Some(Redaction::Vault(index)),
        (Action::Hash, _) => Some(Redaction::Hash(index)),
        (Action::Mask, _) => Some(Redaction::Mask(index)),
        (Action::Drop, _) => Some(Redaction::Drop),
        (Action::Refuse, _) => Some(Redaction::Refuse),
        (Action::Report, _) | (Action::Vault, Direction::Reply) => Some(Redaction::Report),
        (Action::Off, _) => None,
    }
}
