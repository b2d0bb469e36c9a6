//! Which imports a component may have, and the linker for a set of grants.

use crate::state::State;
use crate::wit::weir::policy as wit;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use wasmtime::component::{Component, HasSelf, Linker};
use weir_policy::{Capability, LoadError, Manifest};

/// The version of the contract that this host speaks.
const VERSION: &str = "0.2.0";
/// What every component may import: types, the request by reference, the place of a panic.
pub(crate) const ALWAYS: [&str; 3] = ["types", "request", "fault"];

/// The linkers made so far, by the grants they link.
pub(crate) struct Linkers {
    engine: wasmtime::Engine,
    by_grants: Mutex<BTreeMap<BTreeSet<Capability>, Arc<Linker<State>>>>,
}

impl Linkers {
    pub(crate) fn new(engine: &wasmtime::Engine) -> Self {
        Self { engine: engine.clone(), by_grants: Mutex::default() }
    }

    /// The linker that links exactly these grants.
    pub(crate) fn of(&self, grants: &BTreeSet<Capability>) -> wasmtime::Result<Arc<Linker<State>>> {
        let mut known = self.by_grants.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(linker) = known.get(grants) {
            return Ok(Arc::clone(linker));
        }
        let linker = Arc::new(linker(&self.engine, grants)?);
        known.insert(grants.clone(), Arc::clone(&linker));
        Ok(linker)
    }
}

/// What a component's imports need, each asked for by its manifest and granted by the operator; else the error names the
/// first that is not, and how to mend it.
pub(crate) fn check(
    file: &str,
    component: &Component,
    manifest: &Manifest,
    grants: &[Capability],
) -> Result<BTreeSet<Capability>, LoadError> {
    let mut needed = BTreeSet::new();
    for (name, _) in component.component_type().imports(component.engine()) {
        let Some(capability) = capability(file, name)? else { continue };
        if !manifest.capabilities.contains(&capability) {
            return Err(not_asked(file, capability));
        }
        if !grants.contains(&capability) {
            return Err(not_granted(file, &manifest.name, capability));
        }
        needed.insert(capability);
    }
    Ok(needed)
}

/// The interface and version of an import of ours: `weir:policy/kv@0.2.0` → `kv`, `0.2.0`.
pub(crate) fn ours(import: &str) -> Option<(&str, &str)> {
    import.strip_prefix("weir:policy/")?.split_once('@')
}

/// The capability that an import needs; `None` if everyone may have it.
fn capability(file: &str, import: &str) -> Result<Option<Capability>, LoadError> {
    let Some((interface, version)) = ours(import) else {
        return Err(LoadError::new(
            file,
            format!("the component imports `{import}`, which Weir does not link"),
        )
        .hint("a plugin imports only weir:policy interfaces; build it with `weir plugin build`"));
    };
    if version != VERSION {
        return Err(LoadError::new(
            file,
            format!("the component imports `{import}`; this host speaks {VERSION}"),
        )
        .hint("rebuild it with this version's `weir plugin build`"));
    }
    if ALWAYS.contains(&interface) {
        return Ok(None);
    }
    let known = Capability::ALL.iter().find(|c| c.as_str() == interface);
    known.copied().map(Some).ok_or_else(|| {
        LoadError::new(file, format!("the component imports `{import}`, an interface that is no capability"))
    })
}

fn not_asked(file: &str, capability: Capability) -> LoadError {
    let name = capability.as_str();
    LoadError::new(
        file,
        format!("the component imports `weir:policy/{name}`, which its manifest does not ask for"),
    )
    .hint(format!("add `{name}` to `capabilities` in manifest.yaml and rebuild"))
}

fn not_granted(file: &str, policy: &str, capability: Capability) -> LoadError {
    let name = capability.as_str();
    LoadError::new(file, format!("`{policy}` imports `weir:policy/{name}`, which is not granted"))
        .hint(format!("add `grants: [{name}]` to this policy in weir.yaml"))
}

fn linker(engine: &wasmtime::Engine, grants: &BTreeSet<Capability>) -> wasmtime::Result<Linker<State>> {
    type Same = HasSelf<State>;
    let mut linker = Linker::new(engine);
    wit::types::add_to_linker::<_, Same>(&mut linker, |state| state)?;
    wit::request::add_to_linker::<_, Same>(&mut linker, |state| state)?;
    wit::fault::add_to_linker::<_, Same>(&mut linker, |state| state)?;
    for grant in grants {
        match grant {
            Capability::Targets => wit::targets::add_to_linker::<_, Same>(&mut linker, |state| state)?,
            Capability::Env => wit::env::add_to_linker::<_, Same>(&mut linker, |state| state)?,
            Capability::Telemetry => wit::telemetry::add_to_linker::<_, Same>(&mut linker, |state| state)?,
            // The manifest is refused before it comes to this; without a link the component would be, too.
            Capability::Annotate | Capability::Tokens | Capability::Kv | Capability::Http => {}
        }
    }
    Ok(linker)
}
