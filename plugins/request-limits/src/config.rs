//! What the operator bounds.

use crate::names::Names;
use serde::Deserialize;
use weir_sdk::Role;

/// Where the operator says nothing.
const MOST_SEGMENTS: u32 = 16_384;

/// The operator's config.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    pub(crate) max_body_bytes: Option<u64>,
    pub(crate) max_text_bytes: Option<u64>,
    pub(crate) max_input_tokens: Option<u32>,
    max_segments: Option<u32>,
    pub(crate) max_tools: Option<usize>,
    pub(crate) allow_tools: Option<Names>,
    pub(crate) deny_tools: Names,
    system_prompts: Vec<Writer>,
}

/// A role that gives instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Writer {
    System,
    Developer,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_body_bytes: None,
            max_text_bytes: None,
            max_input_tokens: None,
            max_segments: None,
            max_tools: None,
            allow_tools: None,
            deny_tools: Names::default(),
            system_prompts: vec![Writer::System, Writer::Developer],
        }
    }
}

impl Settings {
    /// Whether a caller may bring content in this role.
    pub(crate) fn may_write(&self, role: Role) -> bool {
        match role {
            Role::System => self.system_prompts.contains(&Writer::System),
            Role::Developer => self.system_prompts.contains(&Writer::Developer),
            Role::User | Role::Assistant | Role::Tool => true,
        }
    }

    pub(crate) fn forbids_a_role(&self) -> bool {
        !self.may_write(Role::System) || !self.may_write(Role::Developer)
    }

    pub(crate) fn looks_at_segments(&self) -> bool {
        self.max_segments.is_some()
            || self.max_text_bytes.is_some()
            || self.max_input_tokens.is_some()
            || self.forbids_a_role()
    }

    /// How many it looks at, whichever rule wants it to.
    pub(crate) fn most_segments(&self) -> u32 {
        self.max_segments.unwrap_or(MOST_SEGMENTS)
    }

    pub(crate) fn judges_names(&self) -> bool {
        self.allow_tools.is_some() || !self.deny_tools.is_empty()
    }

    pub(crate) fn looks_at_tools(&self) -> bool {
        self.max_tools.is_some() || self.judges_names()
    }
}
