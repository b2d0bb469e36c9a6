//! What of content a crash may leave behind: nothing. Panics say where, never what; the process writes no core.

use crate::config::Config;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use std::io;

/// Sets it up for the whole process; to be called before the first request.
///
/// # Errors
/// The system lets nobody forbid core dumps.
pub fn apply(config: &Config) -> io::Result<()> {
    quiet_panics();
    if config.core_dumps {
        return Ok(());
    }
    // Both: a pipe in `core_pattern` ignores the limit, and nobody may attach to what is not dumpable.
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none)?;
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// A panic's message may hold content; its place does not.
fn quiet_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "a panic: please report it");
    }));
}
