//! Gathers what a plugin needs of the SDK away from this checkout: its sources, the contract, and a `Cargo.toml` that
//! inherits nothing from our workspace. A new source file is in the list by being there.

use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let (sdk, root) = (here.join("../rust"), here.join("../.."));
    let (src, wit, license) = (sdk.join("src"), here.join("../wit"), root.join("LICENSE"));
    let (cargo, workspace) = (sdk.join("Cargo.toml"), root.join("Cargo.toml"));
    for path in [&src, &wit, &license, &cargo, &workspace] {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let alone = out.join("Cargo.toml");
    fs::write(&alone, standalone(&fs::read_to_string(cargo)?, &fs::read_to_string(workspace)?)?)?;

    let mut files = vec![("LICENSE".to_owned(), license), ("rust/Cargo.toml".to_owned(), alone)];
    gather(&src, "rust/src", &mut files)?;
    gather(&wit, "wit", &mut files)?;
    files.sort();
    let mut text = String::from("&[\n");
    for (name, path) in files {
        writeln!(text, "    ({name:?}, include_str!({:?})),", path.canonicalize()?.display().to_string())?;
    }
    text.push_str("]\n");
    Ok(fs::write(out.join("sdk.rs"), text)?)
}

fn gather(folder: &Path, name: &str, files: &mut Vec<(String, PathBuf)>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = format!("{name}/{}", path.file_name().unwrap_or_default().to_string_lossy());
        if path.is_dir() {
            gather(&path, &name, files)?;
        } else {
            files.push((name, path));
        }
    }
    Ok(())
}

/// The SDK's `Cargo.toml` with the workspace's own words in place of `workspace = true`, and without its lints.
fn standalone(cargo: &str, workspace: &str) -> Result<String> {
    let mut text = String::new();
    let kept = cargo.replace("[lints]\nworkspace = true\n\n", "");
    for line in kept.lines() {
        let line = match (line.split_once(".workspace = true"), line.split_once(" = { workspace = true")) {
            (Some((key, _)), _) => format!("{key} = {}", said(workspace, key)?),
            (_, Some((name, more))) => merged(name, said(workspace, name)?, more),
            _ => line.to_owned(),
        };
        writeln!(text, "{line}")?;
    }
    if text.contains("workspace") {
        return Err(format!(
            "sdk/rust/Cargo.toml inherits what sdk/templates/build.rs does not know:\n{text}"
        )
        .into());
    }
    Ok(text)
}

/// What the workspace says of a key.
fn said<'a>(workspace: &'a str, key: &str) -> Result<&'a str> {
    let start = format!("{key} = ");
    let found = workspace.lines().find_map(|line| line.strip_prefix(start.as_str()));
    found.ok_or_else(|| format!("Cargo.toml of the workspace says nothing of `{key}`").into())
}

/// A dependency of the workspace with what the crate adds to it: `, optional = true }`.
fn merged(name: &str, said: &str, more: &str) -> String {
    match said.strip_suffix(" }") {
        Some(table) => format!("{name} = {table}{more}"),
        None => format!("{name} = {{ version = {said}{more}"),
    }
}
