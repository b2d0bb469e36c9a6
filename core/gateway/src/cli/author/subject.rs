//! The policy that an author works on: a script, a component, or a plugin's folder, which is built.

use crate::cli::policy::inspect;
use crate::cli::{Failed, wasm_engine};
use crate::reload::policies::{Compiled, Source};
use crate::ship::record::Kind;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use weir_policy::cases::Suite;
use weir_policy::{Grants, LoadError, Manifest, Policy};

/// The policy that an author works on.
pub struct Subject {
    /// As it is named in errors.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    bytes: Vec<u8>,
    cases: PathBuf,
    compiled: Rc<Compiled>,
}

impl Subject {
    /// Reads a file or builds a folder; `cases` if they are not beside it.
    ///
    /// # Errors
    /// It cannot be read, or does not build.
    pub fn of(path: &Path, cases: Option<&Path>) -> Result<Self, Failed> {
        let (file, beside) = if path.is_dir() {
            super::sdk::restore(path)?;
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
            compiled: Rc::new(Compiled::new(wasm_engine()?)),
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

    /// What it says of itself.
    ///
    /// # Errors
    /// It has no manifest, or a wrong one.
    pub fn manifest(&self) -> Result<Manifest, Failed> {
        Ok(inspect::manifest(Path::new(&self.name), &self.bytes)?)
    }

    /// The same with another `limits.operations` in its manifest.
    ///
    /// # Errors
    /// Its manifest cannot be read.
    pub fn with_operations(&self, operations: u64) -> Result<Self, Failed> {
        let bytes = match self.kind {
            Kind::Wasm => {
                let text = limited(weir_wasm::build::manifest_text(&self.bytes)?, operations)?;
                weir_wasm::build::with_manifest(&self.bytes, &text)?
            }
            Kind::Rhai => {
                let source = String::from_utf8_lossy(&self.bytes);
                let (header, rest) = split_header(&source);
                format!("//! {}\n{rest}", limited(&header, operations)?).into_bytes()
            }
        };
        let (name, cases) = (self.name.clone(), self.cases.clone());
        Ok(Self { name, kind: self.kind, bytes, cases, compiled: Rc::clone(&self.compiled) })
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

/// A manifest with another limit, in one line of JSON, which is YAML too.
fn limited(manifest: &str, operations: u64) -> Result<String, Failed> {
    let mut manifest: Value = serde_saphyr::from_str(manifest)?;
    manifest["limits"]["operations"] = json!(operations);
    Ok(manifest.to_string())
}

/// The manifest of a script without its marks, and what follows.
fn split_header(source: &str) -> (String, String) {
    let is_header = |line: &&str| line.starts_with("//!");
    let marked = source.lines().take_while(is_header).map(|line| line.trim_start_matches("//!"));
    // One space belongs to the mark.
    let header: Vec<&str> = marked.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    let rest: Vec<&str> = source.lines().skip_while(is_header).collect();
    (header.join("\n"), rest.join("\n"))
}
