//! `env`: a clock, chance, and stable buckets. `config` is a parameter of every hook.

use crate::api::registrar::Api;
use crate::call;
use crate::fault::misuse;
use rhai::{INT, ImmutableString};
use weir_policy::Capability;

pub(super) fn register(api: &mut Api<'_>) {
    api.function("now_ms", || {
        call::with(Capability::Env, |call| Ok(INT::try_from(call.now_ms()).unwrap_or(INT::MAX)))
    });
    // 63 bits, since scripts have no unsigned numbers and `random() % n` should not be negative.
    api.function("random", || {
        call::with(Capability::Env, |call| Ok((call.services().random() >> 1).cast_signed()))
    });
    api.function("bucket", |salt: ImmutableString| {
        call::with(Capability::Env, |call| {
            let view = call.view().ok_or_else(|| misuse("there is no request here, so no bucket"))?;
            Ok(INT::from(view.head().bucket(&salt)))
        })
    });
}
