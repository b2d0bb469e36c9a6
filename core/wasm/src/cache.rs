//! Compiled code on disk. Deserialising trusts its input as native code, so a file counts only with a MAC of ours over
//! the engine's settings, the component's hash and the code; anything else is ignored and compiled anew.

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use wasmtime::component::Component;

const MAC_BYTES: usize = 32;

pub(crate) struct Cache {
    dir: PathBuf,
    mac_key: [u8; 32],
    /// Changes with wasmtime's version and every setting that shapes the code.
    engine: u64,
}

impl Cache {
    pub(crate) fn new(dir: PathBuf, mac_key: [u8; 32], engine: &wasmtime::Engine) -> Self {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Self { dir, mac_key, engine: hasher.finish() }
    }

    /// The code of a component, from disk or compiled now. A cache that cannot be written is no error.
    pub(crate) fn load(&self, engine: &wasmtime::Engine, component: &[u8]) -> wasmtime::Result<Component> {
        let hash: [u8; 32] = Sha256::digest(component).into();
        let path = self.dir.join(format!("{}-{:016x}.cwasm", hex::encode(hash), self.engine));
        if let Some(loaded) = self.read(engine, &path, &hash) {
            return Ok(loaded);
        }
        let compiled = Component::new(engine, component)?;
        if let Err(error) = self.write(&path, &hash, &compiled.serialize()?) {
            tracing::warn!(path = %path.display(), %error, "compiled code was not cached");
        }
        Ok(compiled)
    }

    fn read(&self, engine: &wasmtime::Engine, path: &Path, hash: &[u8; 32]) -> Option<Component> {
        let file = std::fs::read(path).ok()?;
        let (mac, code) = file.split_at_checked(MAC_BYTES)?;
        if self.mac(hash, code).verify_slice(mac).is_err() {
            tracing::warn!(path = %path.display(), "compiled code with a wrong MAC was ignored");
            return None;
        }
        // SAFETY: `deserialize` wants bytes that `serialize` made. The MAC, checked in constant time just above over
        // these same bytes in memory (no second read of the file), says that this process or an earlier one with the
        // same secret key wrote them for this component and these engine settings.
        #[allow(unsafe_code, reason = "see SAFETY")]
        let loaded = unsafe { Component::deserialize(engine, code) };
        loaded.ok()
    }

    /// Written beside its place and moved there: a reader never sees half a file.
    fn write(&self, path: &Path, hash: &[u8; 32], code: &[u8]) -> std::io::Result<()> {
        std::fs::create_dir_all(&self.dir)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
        file.write_all(&self.mac(hash, code).finalize().into_bytes())?;
        file.write_all(code)?;
        file.persist(path).map_err(|e| e.error)?;
        Ok(())
    }

    #[allow(clippy::expect_used, reason = "HMAC takes keys of any length")]
    fn mac(&self, hash: &[u8; 32], code: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.mac_key).expect("any length");
        mac.update(b"weir compiled component 1");
        mac.update(&self.engine.to_le_bytes());
        mac.update(hash);
        mac.update(code);
        mac
    }
}
