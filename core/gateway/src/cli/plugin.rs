//! `weir plugin …`: from a folder to a component that is tested.

use super::author::{ask, bench, scaffold, sdk, test};
use super::{Printed, policy};
use clap::Subcommand;
use std::path::{Path, PathBuf};

/// `weir plugin …`
#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "one is made, once a process")]
pub enum Plugin {
    /// Begin a plugin: a crate for a hook, and golden cases that it passes
    New(scaffold::NewPlugin),
    /// Build a plugin's folder (manifest.yaml and a Rust crate) into a component
    Build {
        /// The plugin's folder
        folder: PathBuf,
        /// Where to write the component [default: target/weir-plugins/NAME.wasm]
        #[arg(short, long)]
        out: Option<PathBuf>,
    },
    /// Print what a component says of itself: manifest, hooks, imports
    Inspect {
        /// The component
        file: PathBuf,
    },
    /// Run a plugin's golden cases; a folder is built first
    Test(test::Test),
    /// Measure what a plugin's hooks cost, over its golden cases; a folder is built first
    Bench(bench::Bench),
    /// Ask a plugin about one request, and print what it says; a folder is built first
    Run(ask::Run),
}

/// Runs it.
///
/// # Errors
/// What is wrong with the plugin, its cases or the command.
pub fn run(command: &Plugin) -> Printed {
    match command {
        Plugin::New(new) => scaffold::plugin(new),
        Plugin::Build { folder, out } => build(folder, out.as_deref()),
        Plugin::Inspect { file } => policy::inspect::print(file),
        Plugin::Test(test) => test::run(test),
        Plugin::Bench(bench) => bench::run(bench),
        Plugin::Run(run) => ask::run(run),
    }
}

fn build(folder: &Path, out: Option<&Path>) -> Printed {
    sdk::restore(folder)?;
    let built = weir_wasm::build::plugin(folder, out)?;
    Ok(format!(
        "{} ({} {}, {} bytes)\n",
        built.path.display(),
        built.manifest.name,
        built.manifest.version,
        built.bytes
    ))
}
