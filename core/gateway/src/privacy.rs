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

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{catch_unwind, panic_any};
    use std::process::Command;

    const WORDS: &str = "what the caller has said";
    /// Set in the process that panics.
    const PANICS: &str = "WEIR_TEST_PANICS";

    /// A process of its own, so that all that a panic prints is seen, and no other test loses its messages.
    #[test]
    fn a_panic_says_where_and_never_what() {
        if std::env::var_os(PANICS).is_some() {
            return every_way();
        }
        let name = "privacy::tests::a_panic_says_where_and_never_what";
        let mut again = Command::new(std::env::current_exe().unwrap());
        let output = again.args(["--exact", name, "--nocapture"]).env(PANICS, "1").output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(output.status.success(), "{said}");
        assert_eq!(said.matches("a panic: please report it").count(), 4, "{said}");
        assert!(said.contains("privacy.rs:"), "{said}");
        assert!(!said.contains("the caller"), "{said}");
    }

    /// What is asked for by us, and what libraries put into their messages.
    fn every_way() {
        quiet_panics();
        let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).finish();
        let ways: [fn(); 4] = [
            || panic!("{WORDS}"),
            || panic_any(WORDS.to_owned()),
            || WORDS.parse::<u8>().map(|_| ()).map_err(|_| WORDS).unwrap(),
            || assert_eq!(&WORDS[..=WORDS.len()], ""),
        ];
        tracing::subscriber::with_default(subscriber, || {
            assert!(ways.iter().all(|way| catch_unwind(way).is_err()), "each has panicked");
        });
    }
}
