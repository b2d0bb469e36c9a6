//! Where in a cases file something is wrong.

use crate::cases::file::Case;
use crate::nearest::nearest;
use crate::policy::LoadError;
use crate::yaml;
use serde_saphyr::{Location, Spanned};

/// A place in a file.
#[derive(Clone, Copy)]
pub(in crate::cases) struct Place<'a> {
    pub(in crate::cases) file: &'a str,
    location: Option<Location>,
}

impl<'a> Place<'a> {
    /// The file as a whole.
    pub(in crate::cases) const fn file(file: &'a str) -> Self {
        Self { file, location: None }
    }

    /// A case: the place of its name.
    pub(in crate::cases) const fn case(file: &'a str, case: &Case) -> Self {
        Self { file, location: Some(case.name.referenced) }
    }

    /// A value of the same file.
    pub(in crate::cases) const fn of<T>(self, value: &Spanned<T>) -> Self {
        Self { location: Some(value.referenced), ..self }
    }

    /// What is wrong here.
    pub(in crate::cases) fn error(self, message: impl Into<String>) -> LoadError {
        let error = LoadError::new(self.file, message);
        match self.location {
            Some(location) => yaml::at(error, location),
            None => error,
        }
    }

    /// A name that is none of those that are known.
    pub(in crate::cases) fn unknown<'n>(
        self,
        what: &str,
        name: &str,
        known: impl IntoIterator<Item = &'n str>,
    ) -> LoadError {
        let known: Vec<&str> = known.into_iter().collect();
        let error = self.error(format!("unknown {what} `{name}`"));
        match nearest(name, known.iter().copied()) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None if known.is_empty() => error,
            None => error.hint(format!("known: {}", known.join(", "))),
        }
    }
}
