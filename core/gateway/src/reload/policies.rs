//! Compiles policies. A version that somebody still holds is not compiled again, and those that are held are counted.

use crate::config::{Engine, HttpAlias, PolicyBinding};
use crate::services::check_aliases;
use sha2::{Digest, Sha256};
use std::sync::{Arc, Weak};
use weir_policy::services::Services;
use weir_policy::{Grants, LoadError, Manifest, Offline, Policy};

/// Compiles policies and knows those that are alive.
pub struct Compiled {
    wasm: weir_wasm::Engine,
    live: Arc<dyn Services>,
    quiet: Quiet,
    /// The aliases that policies may call; `None`: nobody said.
    aliases: Option<Vec<String>>,
    made: Vec<Made>,
}

/// Makes the services of one shadowed version.
pub type Quiet = Box<dyn Fn() -> Arc<dyn Services> + Send>;

/// The bytes of a version.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// What compiles them.
    pub engine: Engine,
    /// A script's text, or a component.
    pub bytes: &'a [u8],
}

/// Whether what a version does is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// It decides: what it does is done.
    Real,
    /// It is only asked: what it does leaves no mark.
    None,
}

struct Made {
    key: [u8; 32],
    name: String,
    policy: Weak<dyn Policy>,
}

impl Compiled {
    /// For tools and checks: policies have nothing to reach out to.
    pub fn new(wasm: weir_wasm::Engine) -> Self {
        Self {
            wasm,
            live: Arc::new(Offline),
            quiet: Box::new(|| Arc::new(Offline)),
            aliases: None,
            made: Vec::new(),
        }
    }

    /// With what policies reach out to; `quiet` makes what a shadowed version gets in its place.
    #[must_use]
    pub fn with(self, live: Arc<dyn Services>, quiet: Quiet) -> Self {
        Self { live, quiet, ..self }
    }

    /// Says which aliases there are: from now on a version that names another one is refused.
    pub fn list(&mut self, aliases: &[HttpAlias]) {
        self.aliases = Some(aliases.iter().map(|alias| alias.name.clone()).collect());
    }

    /// A version of a binding's policy.
    ///
    /// # Errors
    /// The bytes are no policy, or not with this config and these grants.
    pub fn version(
        &mut self,
        binding: &PolicyBinding,
        source: Source<'_>,
        mark: Mark,
    ) -> Result<Arc<dyn Policy>, LoadError> {
        let policy = self.compile(binding, source, mark)?;
        // Also of a version that has not changed: the config may have.
        if let Some(aliases) = &self.aliases {
            check_aliases(&binding.file.display().to_string(), policy.manifest(), aliases)?;
        }
        Ok(policy)
    }

    /// The version if somebody holds it, else a fresh one.
    fn compile(
        &mut self,
        binding: &PolicyBinding,
        source: Source<'_>,
        mark: Mark,
    ) -> Result<Arc<dyn Policy>, LoadError> {
        self.made.retain(|made| made.policy.strong_count() > 0);
        let key = key(binding, source, mark);
        let known = self.made.iter().find(|made| made.key == key);
        if let Some(policy) = known.and_then(|made| made.policy.upgrade()) {
            return Ok(policy);
        }
        let services = match mark {
            Mark::Real => Arc::clone(&self.live),
            Mark::None => (self.quiet)(),
        };
        let grants = Grants { capabilities: binding.grants.clone(), services };
        let policy = self.fresh(&binding.file.display().to_string(), source, &binding.config, &grants)?;
        let name = policy.manifest().name.clone();
        self.made.push(Made { key, name, policy: Arc::downgrade(&policy) });
        Ok(policy)
    }

    /// Compiles, and counts it nowhere.
    ///
    /// # Errors
    /// As [`Compiled::version`].
    pub fn fresh(
        &self,
        file: &str,
        source: Source<'_>,
        config: &serde_json::Value,
        grants: &Grants,
    ) -> Result<Arc<dyn Policy>, LoadError> {
        match source.engine {
            Engine::Rhai => {
                let text = std::str::from_utf8(source.bytes)
                    .map_err(|_| LoadError::new(file, "is not UTF-8").hint("save the script as UTF-8"))?;
                weir_script::compile(file, text, config, grants)
            }
            Engine::Wasm => self.wasm.compile(file, source.bytes, config, grants),
        }
    }

    /// How many versions of a policy are held by anybody: the running snapshot, exchanges that drain, a shadow.
    pub fn alive(&self, name: &str) -> usize {
        self.made.iter().filter(|made| made.name == name && made.policy.strong_count() > 0).count()
    }
}

/// The manifest of a version, without compiling it; `file` names it in errors.
///
/// # Errors
/// There is none, or it is wrong.
pub fn manifest(file: &str, source: Source<'_>) -> Result<Manifest, LoadError> {
    match source.engine {
        Engine::Wasm => Ok(weir_wasm::inspect(source.bytes)?.manifest),
        Engine::Rhai => {
            let text = std::str::from_utf8(source.bytes)
                .map_err(|_| LoadError::new(file, "is neither a script in UTF-8 nor a component"))?;
            weir_script::manifest(file, text)
        }
    }
}

/// The bytes of a binding's file.
///
/// # Errors
/// It cannot be read.
pub fn read(binding: &PolicyBinding) -> Result<Vec<u8>, LoadError> {
    let failed =
        |error| LoadError::new(binding.file.display().to_string(), format!("cannot be read: {error}"));
    std::fs::read(&binding.file).map_err(failed)
}

fn key(binding: &PolicyBinding, source: Source<'_>, mark: Mark) -> [u8; 32] {
    let mut hash = Sha256::new();
    let config = binding.config.to_string();
    let said = format!("{:?}", (&binding.file, source.engine, &binding.grants, mark));
    for part in [source.bytes, config.as_bytes(), said.as_bytes()] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}
