//! The copy of the SDK in a plugin's own folder: written when the plugin is begun, written again where it is missing.

use super::scaffold::contract;
use crate::cli::Failed;
use std::path::Path;
use weir_templates::sdk;

/// Makes sure that a plugin which builds against a copy of its own has one, and that it is of this Weir's contract.
///
/// # Errors
/// It cannot be written, or speaks another version of the contract.
pub fn restore(plugin: &Path) -> Result<(), Failed> {
    let cargo = std::fs::read_to_string(plugin.join("Cargo.toml")).unwrap_or_default();
    if !cargo.lines().any(names_the_copy) {
        return Ok(());
    }
    let folder = plugin.join(sdk::FOLDER);
    // Written last: where it is, the others are.
    if !folder.join("rust/Cargo.toml").exists() {
        return write(&folder);
    }
    let text = std::fs::read_to_string(folder.join("wit/policy.wit")).unwrap_or_default();
    let theirs = text.lines().find_map(|line| line.strip_prefix("package ")).unwrap_or_default();
    match theirs.trim_end_matches(';') {
        same if same == contract() => Ok(()),
        other => Err(Failed(format!(
            "{} speaks `{other}`, and this Weir {}: remove that folder, and it is written anew for this Weir",
            folder.display(),
            contract()
        ))),
    }
}

fn names_the_copy(line: &str) -> bool {
    line.starts_with("weir-sdk") && line.contains(&format!("path = {:?}", sdk::PATH))
}

fn write(folder: &Path) -> Result<(), Failed> {
    for (name, text) in sdk::files() {
        let path = folder.join(name);
        let written = std::fs::create_dir_all(path.parent().unwrap_or(folder))
            .and_then(|()| std::fs::write(&path, text));
        written.map_err(|error| Failed(format!("{}: {error}", path.display())))?;
    }
    Ok(())
}
