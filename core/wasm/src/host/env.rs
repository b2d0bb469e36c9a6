//! The world outside of the request.

use crate::state::State;
use crate::wit::weir::policy::env::Host;
use wasmtime::Result;

impl Host for State {
    fn config(&mut self) -> Result<String> {
        self.budget.host_call()?;
        Ok(self.constants.config.clone())
    }

    fn now_ms(&mut self) -> Result<u64> {
        self.budget.host_call()?;
        Ok(*self.call.now_ms.get_or_insert_with(|| self.constants.services.now_ms()))
    }

    fn random(&mut self) -> Result<u64> {
        self.budget.host_call()?;
        Ok(self.constants.services.random())
    }

    fn bucket(&mut self, salt: String) -> Result<u32> {
        self.budget.host_call()?;
        let view = self.view()?;
        let head = view.head();
        Ok(bucket(&[&salt, &head.tenant, &head.key_id]))
    }
}

/// SHA-256, so that buckets are the same on every machine and in every version.
fn bucket(parts: &[&str]) -> u32 {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    let word = digest.iter().take(4).fold(0_u32, |word, &byte| word << 8 | u32::from(byte));
    word % 10_000
}
