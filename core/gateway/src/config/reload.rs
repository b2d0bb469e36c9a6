//! What a running gateway cannot take over from a changed file.

use super::Config;

impl Config {
    /// The keys whose change only a restart puts into force; everything else is swapped in while requests flow.
    #[must_use]
    pub fn needs_restart(old: &Self, new: &Self) -> Vec<&'static str> {
        let changed = [
            ("server.listen", old.server.listen != new.server.listen),
            ("server.tls", old.server.tls != new.server.tls),
            ("server.admin", old.server.admin != new.server.admin),
            ("server.workers", old.server.workers != new.server.workers),
            ("server.timeouts.stall", old.server.timeouts.stall != new.server.timeouts.stall),
            ("data", old.data != new.data),
            ("ledger.sync", old.ledger_sync != new.ledger_sync),
            ("cache.max_bytes", old.cache_bytes != new.cache_bytes),
            ("privacy.core_dumps", old.core_dumps != new.core_dumps),
            ("telemetry.log.level", old.log.level != new.log.level),
            ("telemetry.otlp", old.otlp != new.otlp),
            ("telemetry.genai", old.genai != new.genai),
        ];
        changed.into_iter().filter_map(|(key, differs)| differs.then_some(key)).collect()
    }
}
