//! Compiles a crate for wasm32 and finds the module.

use super::BuildError;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const TARGET: &str = "wasm32-unknown-unknown";
/// The guest's own stack. The default of 1 MiB would be touched, and so cleared, page by page for each fresh instance.
const GUEST_STACK: &str = "-Clink-arg=-zstack-size=65536";

/// A compiled module.
pub(super) struct Module {
    pub(super) path: PathBuf,
    /// cargo's target directory, whatever decided on it.
    pub(super) target_dir: PathBuf,
}

/// Compiles the library of the crate in `dir` with the workspace's profile `plugin`, or `release` where there is none.
pub(super) fn module(dir: &Path) -> Result<Module, BuildError> {
    let metadata = metadata(dir)?;
    let profile = if has_plugin_profile(&metadata.workspace_root) { "plugin" } else { "release" };
    let output = command(dir)
        .args(["rustc", "--lib", "--crate-type", "cdylib", "--target", TARGET, "--profile", profile])
        .args(["--message-format", "json-render-diagnostics", "--", GUEST_STACK])
        .output()
        .map_err(BuildError::NoCargo)?;
    if !output.status.success() {
        return Err(failure(&String::from_utf8_lossy(&output.stderr)));
    }
    let path = artifact(&output.stdout, dir).ok_or_else(|| BuildError::NoModule(dir.into()))?;
    Ok(Module { path, target_dir: metadata.target_directory })
}

#[derive(Deserialize)]
struct Metadata {
    target_directory: PathBuf,
    workspace_root: PathBuf,
}

fn metadata(dir: &Path) -> Result<Metadata, BuildError> {
    let output = command(dir)
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .output()
        .map_err(BuildError::NoCargo)?;
    let broken = || BuildError::Compile(String::from_utf8_lossy(&output.stderr).into_owned());
    if !output.status.success() {
        return Err(broken());
    }
    serde_json::from_slice(&output.stdout).map_err(|_| broken())
}

/// The plugin's folder decides on toolchain and config, so cargo runs there. What the calling build set for its own
/// crate (a test under cargo, say) is not for the guest: wrappers and flags for the host would break it.
fn command(dir: &Path) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(dir).stdin(Stdio::null());
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET", "CARGO_MANIFEST_DIR"] {
        command.env_remove(name);
    }
    command
}

/// A plugin of our workspace finds `[profile.plugin]` there; a stranger's crate need not have one.
fn has_plugin_profile(root: &Path) -> bool {
    let text = std::fs::read_to_string(root.join("Cargo.toml")).unwrap_or_default();
    text.lines().any(|line| line.trim() == "[profile.plugin]")
}

fn failure(stderr: &str) -> BuildError {
    let no_std =
        stderr.contains("can't find crate for `core`") || stderr.contains("can't find crate for `std`");
    if no_std && stderr.contains(TARGET) {
        return BuildError::NoTarget;
    }
    BuildError::Compile(stderr.trim().to_owned())
}

#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// The `.wasm` of the crate in `dir` among all that cargo reports.
fn artifact(stdout: &[u8], dir: &Path) -> Option<PathBuf> {
    let own = dir.canonicalize().ok()?.join("Cargo.toml");
    let messages =
        stdout.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice::<Message>(line).ok());
    messages
        .filter(|message| message.reason == "compiler-artifact")
        .filter(|message| message.manifest_path.canonicalize().is_ok_and(|path| path == own))
        .flat_map(|message| message.filenames)
        .find(|path| path.extension().is_some_and(|extension| extension == "wasm"))
}
