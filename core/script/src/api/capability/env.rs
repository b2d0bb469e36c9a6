//! `env`: a clock, chance, and stable buckets. `config` is a parameter of every hook.

use crate::call;
use crate::fault::misuse;
use rhai::{INT, ImmutableString, Module};
use sha2::{Digest, Sha256};
use weir_policy::{Capability, Head};

/// Buckets of one salt.
const BUCKETS: u64 = 10_000;

pub(super) fn register(module: &mut Module) {
    module.set_native_fn("now_ms", || {
        call::with(Capability::Env, |call| Ok(INT::try_from(call.now_ms()).unwrap_or(INT::MAX)))
    });
    // 63 bits, since scripts have no unsigned numbers and `random() % n` should not be negative.
    module.set_native_fn("random", || {
        call::with(Capability::Env, |call| Ok((call.services().random() >> 1).cast_signed()))
    });
    module.set_native_fn("bucket", |salt: ImmutableString| {
        call::with(Capability::Env, |call| {
            let view = call.view().ok_or_else(|| misuse("there is no request here, so no bucket"))?;
            Ok(bucket(view.head(), &salt))
        })
    });
}

/// The same for all requests of one tenant and key; another salt shuffles anew.
fn bucket(head: &Head, salt: &str) -> INT {
    let mut hash = Sha256::new();
    for part in [salt, &head.tenant, &head.key_id] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let hash = hash.finalize();
    let first = hash.iter().take(8).rev().fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    (first % BUCKETS).cast_signed()
}
