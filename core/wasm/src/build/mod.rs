//! From a crate and its manifest to a component: what `weir plugin build` does.
//!
//! - `cargo`: compiles the crate for wasm32 and finds the module.
//! - `world`: writes the world from the manifest, and checks the module against it.
//! - `encode`: makes a component of the module.

mod cargo;
mod encode;
mod world;

use crate::section;
use std::io::Write;
use std::path::{Path, PathBuf};
use weir_policy::{LoadError, Manifest};

/// A built plugin.
#[derive(Debug, Clone)]
pub struct Built {
    /// Where the component lies.
    pub path: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
    /// Length of the component.
    pub bytes: u64,
}

/// A plugin that could not be built: what is wrong, and how to mend it.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The manifest is wrong.
    #[error(transparent)]
    Manifest(#[from] LoadError),
    /// A file could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// cargo could not be started.
    #[error("cargo does not start: {0} (install Rust from https://rustup.rs)")]
    NoCargo(std::io::Error),
    /// The standard library for wasm32 is not installed.
    #[error(
        "the target wasm32-unknown-unknown is not installed (run `rustup target add wasm32-unknown-unknown`)"
    )]
    NoTarget,
    /// The crate does not compile; the compiler's own words.
    #[error("the plugin does not compile:\n{0}")]
    Compile(String),
    /// cargo made no module of the crate.
    #[error("cargo made no .wasm of the library in {0} (a plugin is a library crate)")]
    NoModule(PathBuf),
    /// The module imports something that the manifest does not ask for.
    #[error("the plugin imports `{import}`, which its manifest does not ask for ({hint})")]
    Import {
        /// The import.
        import: String,
        /// How to mend it.
        hint: String,
    },
    /// The manifest names a hook that the module does not export.
    #[error(
        "the manifest names the hook `{hook}`, but the plugin does not export it (name it in `weir_sdk::export!`)"
    )]
    HookMissing {
        /// The hook.
        hook: String,
    },
    /// The module exports a hook that the manifest does not name.
    #[error("the plugin exports the hook `{hook}`, which its manifest does not name (add it to `hooks`)")]
    HookUnnamed {
        /// The hook.
        hook: String,
    },
    /// The module could not be made a component.
    #[error("the module does not fit the contract: {0}")]
    Component(String),
}

/// Builds the plugin in `dir` (a crate with a `manifest.yaml`) into `out`, or into `target/weir-plugins/NAME.wasm` of
/// the crate's target directory. The file is replaced in one step: a gateway that watches it never sees half of it.
///
/// # Errors
/// [`BuildError`] says what is wrong and how to mend it.
pub fn plugin(dir: &Path, out: Option<&Path>) -> Result<Built, BuildError> {
    let (text, manifest) = read_manifest(dir)?;
    let module = cargo::module(dir)?;
    let component = encode(&file(&module.path)?, &text, &manifest)?;
    let default = || module.target_dir.join("weir-plugins").join(format!("{}.wasm", manifest.name));
    let path = out.map_or_else(default, Path::to_path_buf);
    write(&path, &component)?;
    Ok(Built { path, manifest, bytes: component.len() as u64 })
}

/// Makes a component of a core module that was built against `sdk/wit` by other means, with the manifest inside.
///
/// # Errors
/// As [`plugin`].
pub fn component(module: &[u8], manifest: &str) -> Result<Vec<u8>, BuildError> {
    encode(module, manifest, &Manifest::parse_yaml(manifest, "manifest.yaml")?)
}

/// The manifest of a component as it was written.
///
/// # Errors
/// It has none.
pub fn manifest_text(component: &[u8]) -> Result<&str, BuildError> {
    section::manifest(component).map_err(|error| BuildError::Component(error.to_string()))
}

/// The same component with another manifest: for tools that ask how it would do under other limits. Nothing is checked;
/// loading does that.
///
/// # Errors
/// It has none to replace.
pub fn with_manifest(component: &[u8], manifest: &str) -> Result<Vec<u8>, BuildError> {
    let bare = section::without_manifest(component);
    let mut component = bare.map_err(|error| BuildError::Component(error.to_string()))?;
    section::append_manifest(&mut component, manifest);
    Ok(component)
}

fn encode(module: &[u8], text: &str, manifest: &Manifest) -> Result<Vec<u8>, BuildError> {
    world::check(module, manifest)?;
    let mut component = encode::component(module, &world::text(manifest))?;
    section::append_manifest(&mut component, text);
    Ok(component)
}

fn read_manifest(dir: &Path) -> Result<(String, Manifest), BuildError> {
    let path = dir.join("manifest.yaml");
    let text = file(&path)?;
    let text = String::from_utf8(text)
        .map_err(|e| BuildError::File { path: path.clone(), source: std::io::Error::other(e) })?;
    let manifest = Manifest::parse_yaml(&text, &path.display().to_string())?;
    Ok((text, manifest))
}

fn file(path: &Path) -> Result<Vec<u8>, BuildError> {
    std::fs::read(path).map_err(|source| BuildError::File { path: path.into(), source })
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), BuildError> {
    let failed = |source| BuildError::File { path: path.into(), source };
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(dir).map_err(failed)?;
    let mut file = tempfile::NamedTempFile::new_in(dir).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    share(file.as_file()).map_err(failed)?;
    file.persist(path).map_err(|e| failed(e.error))?;
    Ok(())
}

/// A temporary file is the owner's alone; a plugin is no secret.
fn share(file: &std::fs::File) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(std::fs::Permissions::from_mode(0o644))?;
    }
    file.sync_all()
}
