//! The pipeline's calls, counted, and their faults logged.

use super::Telemetry;
use super::policies::CallName;
use weir_policy::pipeline::{Call, Observer};

impl Observer for Telemetry {
    fn asked(&self, call: &Call<'_>) {
        let name = CallName { policy: call.policy, version: call.digest, hook: call.hook.as_str() };
        self.policies().called(name, call.verdict, call.elapsed, call.fault.map(|fault| fault.kind));
        if let Some(fault) = call.fault {
            tracing::warn!(
                policy = call.policy,
                version = call.version,
                hook = call.hook.as_str(),
                breaker_opened = call.breaker_opened,
                %fault,
                "a policy failed; its failure mode applies"
            );
        }
    }
}
