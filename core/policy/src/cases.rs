//! Golden cases: a request and facts in, the expected verdict out.
//!
//! A policy `route.rhai` has its cases beside it in `route.cases.yaml`. They go through a [`Pipeline`] of this one
//! policy, so `when`, the checks of answers and the limits hold as they do in the gateway.
//!
//! ```yaml
//! config: { strategy: cheapest }            # the policy's config; a case may bring its own
//! targets:                                  # the target table of all cases
//!   - id: sim/cheap                         # provider/model
//!     rates: { input: 0.10, output: 0.40 }  # USD per million tokens, by class
//!   - { id: sim/good, rates: { input: 2.5, output: 10 }, quality: 0.9, region: eu, retention: zero,
//!       context: 128000, max_output: 16384, trains: false, tags: [eu], weight: 1 }
//! cases:
//!   - name: the cheapest target comes first
//!     head: { model: fast, tenant: acme, tags: { tier: gold } }
//!     live: { sim/good: { ttft_p50_ms: 120, err_rate_1m: 0.02 } }   # default: healthy, idle, never measured
//!     expect: { plan: [sim/cheap, sim/good] }
//!     reason: cheapest                      # optional
//!   - name: a narrowed list is respected
//!     candidates: [sim/good]                # default: all targets
//!     config: { strategy: best }
//!     expect: { plan: [sim/good] }
//!   - name: an address is masked
//!     texts: ["write to ada@example.org"]   # one user message each; or `body: { model: …, messages: … }`,
//!     headers: { accept-language: de }      # or `body:` as a string, taken byte for byte
//!     expect: { texts: ["write to [email]"] }
//!     findings: [email]                     # optional: the rules, in order
//!   - name: an overload moves on at once
//!     errors: [{ target: sim/cheap, class: overloaded, status: 529, retry_after_ms: 9000 }]
//!     expect: { switch: sim/good }
//! ```
//!
//! | hook | `expect` |
//! |---|---|
//! | guard | `pass`, `{ texts: [...] }` (all segments after the edits; an empty text is none), `{ body: ... }`, `{ block: D }`, `{ answer: text }` |
//! | route | `{ plan: [ids] }`, `{ deny: D }`, `abstain` |
//! | on-error | `follow-plan`, `{ retry-after: ms }`, `{ switch: id }`, `{ fail: D }` |
//! | any | `{ fault: kind }` with `hook:` if the policy has several |
//!
//! `D` is any of `status`, `code`, `message`, `retry_after_ms`; what is left out may be anything.

mod build;
mod expect;
mod file;

use crate::pipeline::{Bound, Pipeline};
use crate::policy::{LoadError, Policy};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Compiles the policy under test with a config.
pub type Compile<'a> = dyn Fn(&serde_json::Value) -> Result<Arc<dyn Policy>, LoadError> + 'a;

/// How the cases of a file went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The file.
    pub file: String,
    /// How many did as expected.
    pub passed: usize,
    /// Those that did not.
    pub failures: Vec<Failure>,
}

/// A case that went otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Line of its name, 1-based.
    pub line: u32,
    /// Its name.
    pub name: String,
    /// What was expected, and what came.
    pub message: String,
}

impl Report {
    /// Whether every case did as expected.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.failures.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} of {} cases pass", self.file, self.passed, self.passed + self.failures.len())?;
        for failure in &self.failures {
            write!(f, "\n{}:{}: `{}`: {}", self.file, failure.line, failure.name, failure.message)?;
        }
        Ok(())
    }
}

/// Runs the cases of a file against a compiled policy; the file may not bring a config then.
///
/// # Errors
/// The file cannot be read or is no cases file, with the line.
pub fn run(path: &Path, policy: &Arc<dyn Policy>) -> Result<Report, LoadError> {
    let name = path.display().to_string();
    let compile = |config: &serde_json::Value| match config {
        serde_json::Value::Null => Ok(Arc::clone(policy)),
        _ => Err(LoadError::new(&name, "the cases bring a config but the policy is already compiled")),
    };
    run_with(path, &compile)
}

/// Runs the cases of a file; the policy is compiled for every config they bring (`null` if none).
///
/// # Errors
/// As [`run`], or the policy does not compile.
pub fn run_with(path: &Path, compile: &Compile<'_>) -> Result<Report, LoadError> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| LoadError::new(&file, format!("cannot be read: {error}")))?;
    let cases = file::parse(&file, &text)?;
    let table = build::table(&file, &cases)?;
    let shared = pipeline(compile(&cases.config)?)?;
    let mut report = Report { file, passed: 0, failures: Vec::new() };
    for case in &cases.cases {
        let own = match &case.config {
            Some(config) => Some(pipeline(compile(config)?)?),
            None => None,
        };
        let (policy, pipeline) = own.as_ref().unwrap_or(&shared);
        let seen = build::ask(&report.file, &table, case, policy.as_ref(), pipeline)?;
        match expect::mismatch(case, &seen) {
            None => report.passed += 1,
            Some(message) => report.failures.push(Failure {
                line: u32::try_from(case.name.referenced.line()).unwrap_or(0),
                name: case.name.value.clone(),
                message,
            }),
        }
    }
    Ok(report)
}

fn pipeline(policy: Arc<dyn Policy>) -> Result<(Arc<dyn Policy>, Pipeline), LoadError> {
    let bound = Bound::everywhere(Arc::clone(&policy));
    Ok((policy, Pipeline::new(vec![bound])?))
}
