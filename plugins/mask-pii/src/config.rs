//! Which classes, and what comes in their place.

use crate::class::Class;
use serde::Deserialize;

/// The operator's config.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    classes: Vec<Class>,
    mask: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self { classes: Class::DEFAULT.to_vec(), mask: "[{class}]".into() }
    }
}

impl Settings {
    pub(crate) fn wants(&self, class: Class) -> bool {
        self.classes.contains(&class)
    }

    /// What comes in place of a span of this class.
    pub(crate) fn mask(&self, class: Class) -> String {
        self.mask.replace("{class}", class.as_str())
    }
}
