//! Compiles the policies of a config. What has not changed is not compiled again: versions are known by the digest of
//! their bytes, config and grants, and the last few of each file are kept.

use crate::config::{Engine, PolicyBinding};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use weir_policy::{Grants, LoadError, Policy};

/// Compiled versions kept per file: the running one, the one to roll back to, and one more.
const VERSIONS: usize = 3;

/// Compiled policies by file.
pub struct Compiled {
    wasm: weir_wasm::Engine,
    known: HashMap<PathBuf, Vec<Version>>,
}

struct Version {
    digest: [u8; 32],
    policy: Arc<dyn Policy>,
}

impl Compiled {
    /// Nothing compiled yet.
    pub fn new(wasm: weir_wasm::Engine) -> Self {
        Self { wasm, known: HashMap::new() }
    }

    /// The policy of a binding.
    ///
    /// # Errors
    /// The file cannot be read or is no policy.
    pub fn policy(&mut self, binding: &PolicyBinding) -> Result<Arc<dyn Policy>, LoadError> {
        let file = binding.file.display().to_string();
        let bytes = std::fs::read(&binding.file)
            .map_err(|error| LoadError::new(&file, format!("cannot be read: {error}")))?;
        let digest = digest(binding, &bytes);
        let versions = self.known.entry(binding.file.clone()).or_default();
        if let Some(at) = versions.iter().position(|version| version.digest == digest) {
            // The latest used stands last.
            versions[at..].rotate_left(1);
            return Ok(Arc::clone(&versions[versions.len() - 1].policy));
        }
        let policy = match binding.engine {
            Engine::Rhai => {
                let source = String::from_utf8(bytes)
                    .map_err(|_| LoadError::new(&file, "is not UTF-8").hint("save the script as UTF-8"))?;
                weir_script::compile(&file, &source, &binding.config)?
            }
            Engine::Wasm => {
                let grants = Grants { capabilities: binding.grants.clone(), ..Grants::offline() };
                self.wasm.compile(&file, &bytes, &binding.config, &grants)?
            }
        };
        if versions.len() >= VERSIONS {
            versions.remove(0);
        }
        versions.push(Version { digest, policy: Arc::clone(&policy) });
        Ok(policy)
    }
}

fn digest(binding: &PolicyBinding, bytes: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    let config = binding.config.to_string();
    let grants = format!("{:?}", binding.grants);
    for part in [bytes, config.as_bytes(), grants.as_bytes()] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}
