//! The policy that an author works on: a script, a component, or a plugin's folder, which is built.

use crate::cli::{Failed, wasm_engine};
use crate::reload::policies::{Compiled, Source};
use crate::ship::record::Kind;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use weir_policy::cases::Suite;
use weir_policy::{Grants, LoadError, Policy};

/// The policy that an author works on.
pub struct Subject {
    /// As it is named in errors.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    bytes: Vec<u8>,
    cases: PathBuf,
    compiled: Compiled,
}

impl Subject {
    /// Reads a file or builds a folder; `cases` if they are not beside it.
    ///
    /// # Errors
    /// It cannot be read, or does not build.
    pub fn of(path: &Path, cases: Option<&Path>) -> Result<Self, Failed> {
        let (file, beside) = if path.is_dir() {
            (weir_wasm::build::plugin(path, None)?.path, path.join("cases.yaml"))
        } else {
            (path.to_owned(), path.with_extension("cases.yaml"))
        };
        let bytes = std::fs::read(&file).map_err(|error| Failed(format!("{}: {error}", file.display())))?;
        Ok(Self {
            name: file.display().to_string(),
            kind: Kind::of(&bytes),
            bytes,
            cases: cases.map_or(beside, Path::to_path_buf),
            compiled: Compiled::new(wasm_engine()?),
        })
    }

    /// Compiles it with a config and what the cases grant.
    ///
    /// # Errors
    /// It is no policy, or not with this config.
    pub fn compile(&self, config: &Value, grants: &Grants) -> Result<Arc<dyn Policy>, LoadError> {
        let config = if config.is_null() { json!({}) } else { config.clone() };
        let source = Source { engine: self.kind.engine(), bytes: &self.bytes };
        self.compiled.fresh(&self.name, source, &config, grants)
    }

    /// Its golden cases.
    ///
    /// # Errors
    /// There are none, or they cannot be read.
    pub fn suite(&self) -> Result<Suite, Failed> {
        Ok(Suite::read(&self.cases)?)
    }

    /// Its golden cases, or none if there is no such file.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn suite_if_any(&self) -> Result<Suite, Failed> {
        if self.cases.exists() { self.suite() } else { Ok(Suite::parse(&self.name, "cases: []")?) }
    }
}
