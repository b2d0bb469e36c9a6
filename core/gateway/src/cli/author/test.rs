//! `weir policy test`, `weir plugin test`: golden cases.

use super::subject::Subject;
use crate::cli::{Failed, Printed};
use clap::Args;
use std::path::PathBuf;

/// Which policy, and which cases.
#[derive(Debug, Args)]
pub struct Test {
    /// A script, a component, or a plugin's folder
    policy: PathBuf,
    /// Its cases [default: NAME.cases.yaml beside a file, cases.yaml in a folder]
    cases: Option<PathBuf>,
    /// Only the case of this name
    #[arg(long, value_name = "NAME")]
    case: Option<String>,
}

/// Runs the cases.
///
/// # Errors
/// A case went otherwise, or could not be asked.
pub fn run(test: &Test) -> Printed {
    let subject = Subject::of(&test.policy, test.cases.as_deref())?;
    let suite = match &test.case {
        Some(name) => subject.suite()?.only(name)?,
        None => subject.suite()?,
    };
    let report = suite.run(&|config, grants| subject.compile(config, grants))?;
    if report.is_ok() { Ok(format!("{report}\n")) } else { Err(Failed(report.to_string())) }
}
