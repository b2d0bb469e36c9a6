//! How much of `limits.operations` a pricer burns: fuel of a component, operations of a script. The same in every run and on
//! every machine, so that it can be compared from version to version.
//!
//! Engines say only whether it was enough: the least that is enough for every case is searched by halving.

use super::subject::Subject;
use crate::cli::Failed;
use weir_policy::Hook;
use weir_policy::cases::{Probe, Suite};

/// The least `limits.operations` under which every case of `price` is answered; `None` if there is no such case.
///
/// # Errors
/// The policy's manifest cannot be changed.
pub fn burnt(subject: &Subject, suite: &Suite) -> Result<Option<u64>, Failed> {
    let limit = subject.manifest()?.limits.operations;
    let asked = |probe: &&Probe| probe.hook == Hook::Price;
    let priced = |probes: &[Probe]| probes.iter().filter(asked).map(answers).collect::<Vec<bool>>();
    // Cases that fail under the policy's own limit are about something else.
    let known = priced(&suite.probes(&|config, grants| subject.compile(config, grants))?);
    if !known.contains(&true) {
        return Ok(None);
    }
    let enough = |operations: u64| -> Result<bool, Failed> {
        let subject = subject.with_operations(operations)?;
        // What is too little for a self-test is too little.
        let probes = suite.probes(&|config, grants| subject.compile(config, grants));
        Ok(probes.is_ok_and(|probes| priced(&probes) == known))
    };
    least(limit, enough).map(Some)
}

fn answers(probe: &Probe) -> bool {
    probe.ready();
    probe.ask(false).is_ok()
}

/// The least number up to `most` that is enough; `most` is.
fn least(most: u64, mut enough: impl FnMut(u64) -> Result<bool, Failed>) -> Result<u64, Failed> {
    let (mut below, mut found) = (0, most);
    while found - below > 1 {
        let middle = below + (found - below) / 2;
        if enough(middle)? {
            found = middle;
        } else {
            below = middle;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_that_is_enough_is_found() {
        for needed in [1, 2, 999, 1_000] {
            let found = least(1_000, |n| Ok(n >= needed));
            assert!(found.is_ok_and(|found| found == needed), "{needed}");
        }
    }
}
