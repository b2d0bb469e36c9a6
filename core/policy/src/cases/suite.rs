//! The cases of a file, read and ready to be put to a policy.

use super::Compile;
use super::file::{self, Case, Cases};
use super::host::Host;
use super::play::Stage;
use super::probe::Probe;
use super::report::{Failure, Report};
use super::run;
use super::told::Told;
use super::world::{self, Place};
use crate::manifest::Capability;
use crate::policy::LoadError;
use crate::services::{Grants, Services};
use crate::target::{Target, TargetTable};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

/// The cases of a file.
pub struct Suite {
    pub(super) file: String,
    cases: Cases,
    pub(super) table: TargetTable,
}

impl Suite {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read or is no cases file, with the line.
    pub fn read(path: &Path) -> Result<Self, LoadError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| LoadError::new(&file, format!("cannot be read: {error}")))?;
        Self::parse(&file, &text)
    }

    /// Reads a text; `file` names it in errors.
    ///
    /// # Errors
    /// It is no cases file, with the line.
    pub fn parse(file: &str, text: &str) -> Result<Self, LoadError> {
        let cases = file::parse(file, text)?;
        let table = world::table(file, &cases)?;
        Ok(Self { file: file.to_owned(), cases, table })
    }

    /// The same config and targets with one case in place of all, given as JSON; it need not expect anything.
    ///
    /// # Errors
    /// It is no case.
    pub fn with_case(mut self, case: &Value) -> Result<Self, LoadError> {
        self.cases.cases = vec![file::parse_case(&self.file, &case.to_string())?];
        Ok(self)
    }

    /// The same with only the case of this name.
    ///
    /// # Errors
    /// There is none.
    pub fn only(mut self, name: &str) -> Result<Self, LoadError> {
        let known: Vec<String> = self.names().map(str::to_owned).collect();
        self.cases.cases.retain(|case| case.name.value == name);
        if self.cases.cases.is_empty() {
            let known = known.iter().map(String::as_str);
            return Err(Place::file(&self.file).unknown("case", name, known));
        }
        Ok(self)
    }

    /// With these targets more, of which nothing is known, unless they are there.
    #[must_use]
    pub fn with_targets(mut self, ids: &[String]) -> Self {
        let new = |id: &&String| self.table.iter().all(|target| *target.id != ***id);
        let new: Vec<_> = ids.iter().filter(new).map(|id| Target::bare(id)).collect();
        self.table = self.table.iter().cloned().chain(new).collect();
        self
    }

    /// The names of the cases, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.cases.cases.iter().map(|case| case.name.value.as_str())
    }

    /// Puts every case to the policy.
    ///
    /// # Errors
    /// The policy does not compile, or a case cannot be asked, with the line.
    pub fn run(&self, compile: &Compile<'_>) -> Result<Report, LoadError> {
        let mut report = Report { file: self.file.clone(), passed: 0, failures: Vec::new() };
        self.each(compile, |case, stage, host| {
            match run::check(self, case, stage, host)? {
                None => report.passed += 1,
                Some(message) => report.failures.push(Failure {
                    line: u32::try_from(case.name.referenced.line()).unwrap_or(0),
                    name: case.name.value.clone(),
                    message,
                }),
            }
            Ok(())
        })?;
        Ok(report)
    }

    /// Asks every case, and tells what came of it, whatever it expects.
    ///
    /// # Errors
    /// As [`Suite::run`].
    pub fn tell(&self, compile: &Compile<'_>) -> Result<Vec<Told>, LoadError> {
        let mut told = Vec::new();
        self.each(compile, |case, stage, host| {
            told.push(run::tell(self, case, stage, host)?);
            Ok(())
        })?;
        Ok(told)
    }

    /// The calls that the cases make of the policy, to be made again and again.
    ///
    /// # Errors
    /// As [`Suite::run`].
    pub fn probes(&self, compile: &Compile<'_>) -> Result<Vec<Probe>, LoadError> {
        let mut probes = Vec::new();
        self.each(compile, |case, stage, host| {
            probes.push(Probe::new(self, case, &stage.policy, host)?);
            Ok(())
        })?;
        Ok(probes)
    }

    /// A policy that is compiled already has a host of its own.
    pub(super) fn needs_no_host(&self) -> Result<(), LoadError> {
        match self.cases.cases.iter().find(|case| case.has_services()) {
            Some(case) => Err(Place::case(&self.file, case)
                .error("the case speaks of the host but the policy is already compiled")),
            None => Ok(()),
        }
    }

    /// Each case with its policy: one for all that bring no config of their own.
    fn each(
        &self,
        compile: &Compile<'_>,
        mut f: impl FnMut(&Case, &Stage, &Arc<Host>) -> Result<(), LoadError>,
    ) -> Result<(), LoadError> {
        let host = Arc::new(Host::default());
        let services: Arc<dyn Services> = Arc::<Host>::clone(&host);
        let grants = Grants { capabilities: Capability::ALL.to_vec(), services };
        let shared = Stage::new(compile(&self.cases.config, &grants)?)?;
        for case in &self.cases.cases {
            let own = match &case.config {
                Some(config) => Some(Stage::new(compile(config, &grants)?)?),
                None => None,
            };
            f(case, own.as_ref().unwrap_or(&shared), &host)?;
        }
        Ok(())
    }
}
