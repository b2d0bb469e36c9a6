//! What authors do with a policy on their own machine: begin one, put its golden cases to it, measure it, ask it about a
//! request. The same for scripts and for plugins.
//!
//! # Layout
//!
//! - [`subject`]: the policy that is worked on.
//! - [`scaffold`]: the command `new`; [`sdk`]: the copy of the SDK in a plugin's folder.
//! - [`test`](mod@test): the command `test`.
//! - [`bench`](mod@bench): the command `bench`.
//! - [`fuel`]: what a pricer burns.
//! - [`ask`]: the command `run`.

pub mod ask;
pub mod bench;
pub mod fuel;
pub mod scaffold;
pub mod sdk;
pub mod subject;
pub mod test;

use super::Printed;
use clap::Subcommand;

/// `weir policy new`, `test`, `bench`, `run`.
#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "one is made, once a process")]
pub enum Author {
    /// Begin a policy: a script for a hook, and golden cases that it passes
    New(scaffold::NewPolicy),
    /// Run a policy's golden cases
    Test(test::Test),
    /// Measure what a policy's hooks cost, over its golden cases
    Bench(bench::Bench),
    /// Ask a policy about one request, and print what it says
    Run(ask::Run),
}

/// Runs it.
///
/// # Errors
/// What is wrong with the policy, its cases or the command.
pub fn run(command: &Author) -> Printed {
    match command {
        Author::New(new) => scaffold::policy(new),
        Author::Test(test) => test::run(test),
        Author::Bench(bench) => bench::run(bench),
        Author::Run(run) => ask::run(run),
    }
}
