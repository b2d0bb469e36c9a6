//! `weir policy new`, `weir plugin new`: something that builds and passes its cases at once.

use crate::cli::{Failed, Printed};
use clap::Args;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use weir_policy::Hook;
use weir_templates::{Place, sdk};

/// A new script.
#[derive(Debug, Args)]
pub struct NewPolicy {
    /// Its name: a-z, 0-9 and -
    name: String,
    /// What it is asked
    #[arg(long, default_value = "route")]
    hook: String,
    /// The folder to write into
    #[arg(long, default_value = ".", value_name = "FOLDER")]
    dir: PathBuf,
}

/// A new plugin.
#[derive(Debug, Args)]
pub struct NewPlugin {
    /// Its name: a-z, 0-9 and -
    name: String,
    /// The language
    #[arg(long, default_value = "rust")]
    lang: String,
    /// What it is asked; several with commas
    #[arg(long, default_value = "guard", value_delimiter = ',')]
    hook: Vec<String>,
    /// Where weir-sdk is [default: sdk/rust of the Weir checkout around the folder, else a copy in the plugin's folder]
    #[arg(long, value_name = "FOLDER")]
    sdk: Option<PathBuf>,
    /// The folder to write into
    #[arg(long, default_value = ".", value_name = "FOLDER")]
    dir: PathBuf,
}

/// Writes a script and its cases.
///
/// # Errors
/// The name or hook is none, or a file is there already.
pub fn policy(new: &NewPolicy) -> Printed {
    check_name(&new.name)?;
    let Some(script) = weir_templates::script(&new.hook) else {
        let hooks = Hook::ALL.map(Hook::as_str).join(", ");
        return Err(Failed(format!("`{}` is no hook: {hooks}", new.hook)));
    };
    let file = new.dir.join(format!("{}.rhai", new.name));
    let text = written(&new.dir, &script.files(&new.name))?;
    Ok(format!("{text}\nNext:\n  weir policy test {}\n", file.display()))
}

/// Writes a plugin's folder.
///
/// # Errors
/// The name, hooks or language are none of those that there are, or a file is there already.
pub fn plugin(new: &NewPlugin) -> Printed {
    check_name(&new.name)?;
    check_language(&new.lang)?;
    let hooks: Vec<&str> = new.hook.iter().map(|hook| hook.trim()).collect();
    let Some(plugin) = weir_templates::plugin(&hooks) else { return Err(no_plugin(&hooks)) };
    let folder = new.dir.join(&new.name);
    let place = place(&new.dir, new.sdk.as_deref())?;
    let text = written(&folder, &plugin.files(&new.name, &place))?;
    let folder = folder.display();
    Ok(format!(
        "{text}\nNext:\n  weir plugin test {folder}\n  weir plugin build {folder} --out {}.wasm\n",
        new.name
    ))
}

fn check_name(name: &str) -> Result<(), Failed> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    // A crate's name begins with a letter.
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase());
    if begins && name.len() <= 64 && name.chars().all(plain) {
        return Ok(());
    }
    Err(Failed(format!("`{name}` is no name: a letter, then a-z, 0-9 and -, at most 64 in all")))
}

fn check_language(language: &str) -> Result<(), Failed> {
    match language {
        "rust" => Ok(()),
        other => Err(Failed(format!(
            "there is no scaffold for `{other}` yet: TypeScript and Python come next, on the same contract ({}, sdk/wit/policy.wit); today it is `--lang rust`",
            contract()
        ))),
    }
}

/// `weir:policy@0.3.1`
pub fn contract() -> &'static str {
    let named = weir_wasm::CONTRACT.lines().find_map(|line| line.strip_prefix("package "));
    named.unwrap_or_default().trim_end_matches(';')
}

fn no_plugin(hooks: &[&str]) -> Failed {
    let known: Vec<String> = weir_templates::PLUGINS.iter().map(|plugin| plugin.hooks.join(",")).collect();
    Failed(format!(
        "there is no scaffold with the hooks {}: there are {}. Begin with one of them; more hooks are a line in `hooks` of manifest.yaml, a name in `export!` and a trait",
        hooks.join(","),
        known.join(" · ")
    ))
}

/// Where the new crate finds the SDK.
fn place(dir: &Path, sdk: Option<&Path>) -> Result<Place, Failed> {
    let failed = |path: &Path, error| Failed(format!("{}: {error}", path.display()));
    if let Some(sdk) = sdk {
        let sdk = sdk.canonicalize().map_err(|error| failed(sdk, error))?;
        if !is_sdk(&sdk) {
            return Err(Failed(format!("{}: is not the crate weir-sdk", sdk.display())));
        }
        return Ok(Place::Beside { sdk: sdk.display().to_string(), member: false });
    }
    // The folder may be yet to be made.
    let around = dir.ancestors().find_map(|existing| {
        let path = if existing.as_os_str().is_empty() { Path::new(".") } else { existing };
        path.canonicalize().ok().map(|found| (found, existing))
    });
    let Some((around, existing)) = around else {
        return Err(failed(dir, std::io::Error::from(ErrorKind::NotFound)));
    };
    let missing = dir.strip_prefix(existing).map_or(0, |rest| rest.components().count());
    Ok(match around.ancestors().position(|root| is_sdk(&root.join("sdk/rust"))) {
        None => Place::Alone,
        Some(up) => {
            let sdk = "../".repeat(up + missing + 1) + "sdk/rust";
            // The checkout's workspace has its plugins as members.
            let member = up == 1 && missing == 0 && around.ends_with("plugins");
            Place::Beside { sdk, member }
        }
    })
}

fn is_sdk(folder: &Path) -> bool {
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
    manifest.lines().any(|line| line.trim() == r#"name = "weir-sdk""#)
}

/// Writes files that are not there yet; all or none, as far as can be told before.
fn written(folder: &Path, files: &[(String, String)]) -> Result<String, Failed> {
    let there = |path: &Path| Failed(format!("{}: is there already; nothing was written", path.display()));
    let paths: Vec<PathBuf> = files.iter().map(|(name, _)| folder.join(name)).collect();
    if let Some(path) = paths.iter().find(|path| path.symlink_metadata().is_ok()) {
        return Err(there(path));
    }
    let mut said = String::new();
    for (path, (_, text)) in paths.iter().zip(files) {
        let failed = |error: std::io::Error| match error.kind() {
            ErrorKind::AlreadyExists => there(path),
            _ => Failed(format!("{}: {error}", path.display())),
        };
        std::fs::create_dir_all(path.parent().unwrap_or(folder)).map_err(failed)?;
        File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes())).map_err(failed)?;
        // Writing to a string cannot fail. The SDK is named once, by its last file.
        let _ = match path.strip_prefix(folder.join(sdk::FOLDER)) {
            Ok(file) if file != Path::new("rust/Cargo.toml") => Ok(()),
            Ok(_) => writeln!(said, "wrote {} (the SDK)", folder.join(sdk::FOLDER).display()),
            Err(_) => writeln!(said, "wrote {}", path.display()),
        };
    }
    Ok(said)
}
