//! Which imports a component may have, and the linker for a set of grants.

use crate::state::State;
use crate::wit::weir::policy as wit;
use crate::{VERSION, host};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use wasmtime::component::{HasSelf, Linker};
use weir_policy::{Capability, Hook, LoadError, Manifest};

/// What a component may import without asking. A pricer has the types only, so that its charge depends on nothing else;
/// a redactor cannot even say where it panicked: line numbers can carry what it has read.
pub(crate) fn always(manifest: &Manifest) -> &'static [&'static str] {
    match manifest {
        _ if manifest.has(Hook::Price) => &["types"],
        _ if manifest.has(Hook::Redact) => &["types", "request"],
        _ => &["types", "request", "fault"],
    }
}

/// What a linker links.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Links {
    pub(crate) always: &'static [&'static str],
    pub(crate) capabilities: BTreeSet<Capability>,
    /// At load nothing waits, and nobody is called: `http` answers with an error.
    pub(crate) at_load: bool,
}

impl Links {
    /// Whether a call through it may wait.
    pub(crate) fn waits(&self) -> bool {
        !self.at_load && self.capabilities.contains(&Capability::Http)
    }
}

/// The linkers made so far.
pub(crate) struct Linkers {
    engine: wasmtime::Engine,
    known: Mutex<BTreeMap<Links, Arc<Linker<State>>>>,
}

impl Linkers {
    pub(crate) fn new(engine: &wasmtime::Engine) -> Self {
        Self { engine: engine.clone(), known: Mutex::default() }
    }

    /// The linker that links exactly this.
    pub(crate) fn of(&self, links: &Links) -> wasmtime::Result<Arc<Linker<State>>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(linker) = known.get(links) {
            return Ok(Arc::clone(linker));
        }
        let linker = Arc::new(linker(&self.engine, links)?);
        known.insert(links.clone(), Arc::clone(&linker));
        Ok(linker)
    }
}

/// What a component's imports need, each asked for by its manifest and granted by the operator; else the error names the
/// first that is not, and how to mend it.
pub(crate) fn check(
    file: &str,
    imports: &[String],
    manifest: &Manifest,
    granted: &[Capability],
) -> Result<Links, LoadError> {
    let always = always(manifest);
    let mut capabilities = BTreeSet::new();
    for name in imports {
        let interface = interface(file, name)?;
        if always.contains(&interface) {
            continue;
        }
        let capability = capability(file, name, interface, manifest)?;
        if !manifest.asks_for(capability) {
            return Err(not_asked(file, capability));
        }
        if !granted.contains(&capability) {
            return Err(not_granted(file, &manifest.name, capability));
        }
        capabilities.insert(capability);
    }
    Ok(Links { always, capabilities, at_load: false })
}

/// The interface and version of an import of ours: `weir:policy/kv@0.3.1` → `kv`, `0.3.1`.
pub(crate) fn ours(import: &str) -> Option<(&str, &str)> {
    import.strip_prefix("weir:policy/")?.split_once('@')
}

/// The interface of an import, which must be one of the contract that this host speaks.
fn interface<'a>(file: &str, import: &'a str) -> Result<&'a str, LoadError> {
    let Some((interface, version)) = ours(import) else {
        return Err(LoadError::new(
            file,
            format!("the component imports `{import}`, which Weir does not link"),
        )
        .hint("a plugin imports only weir:policy interfaces; build it with `weir plugin build`"));
    };
    match speaks(version) {
        true => Ok(interface),
        false => Err(of_another(file, &format!("imports `{import}`"))),
    }
}

/// What is exported of the contract must be of a version that this host speaks, too.
pub(crate) fn spoken(file: &str, exports: &[String]) -> Result<(), LoadError> {
    let other = |export: &&String| ours(export).is_some_and(|(_, version)| !speaks(version));
    let other = exports.iter().find(other);
    other.map_or(Ok(()), |export| Err(of_another(file, &format!("exports `{export}`"))))
}

fn of_another(file: &str, does: &str) -> LoadError {
    LoadError::new(file, format!("the component {does}; this host speaks {VERSION}"))
        .hint("rebuild it with this version's `weir plugin build`")
}

/// Whether a component of this version of the contract runs here: a patch only adds to those before it.
fn speaks(version: &str) -> bool {
    let ours = parts(VERSION);
    parts(version).zip(ours).is_some_and(|((minor, patch), ours)| minor == ours.0 && patch <= ours.1)
}

fn parts(version: &str) -> Option<(&str, u32)> {
    let (minor, patch) = version.rsplit_once('.')?;
    Some((minor, patch.parse().ok()?))
}

/// The capability that an import needs, and that goes with the policy's hooks.
fn capability(
    file: &str,
    import: &str,
    interface: &str,
    manifest: &Manifest,
) -> Result<Capability, LoadError> {
    let known = Capability::ALL.into_iter().find(|c| c.as_str() == interface);
    let pure = manifest.hooks.iter().find(|hook| match known {
        Some(capability) => !hook.goes_with(capability),
        // `request` and `fault`, which everyone else may have.
        None => matches!(hook, Hook::Price | Hook::Redact),
    });
    if let Some(hook) = pure {
        let hook = hook.as_str();
        return Err(LoadError::new(
            file,
            format!("the component imports `{import}`, which a policy with the hook `{hook}` cannot have"),
        )
        .hint("put the hook into a policy of its own"));
    }
    known.ok_or_else(|| {
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

type Same = HasSelf<State>;

fn linker(engine: &wasmtime::Engine, links: &Links) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    for interface in links.always {
        match *interface {
            "request" => host::request::link(&mut linker)?,
            "fault" => wit::fault::add_to_linker::<_, Same>(&mut linker, |state| state)?,
            _ => wit::types::add_to_linker::<_, Same>(&mut linker, |state| state)?,
        }
    }
    for capability in &links.capabilities {
        link(&mut linker, *capability, links.at_load)?;
    }
    Ok(linker)
}

fn link(linker: &mut Linker<State>, capability: Capability, at_load: bool) -> wasmtime::Result<()> {
    match capability {
        Capability::Targets => host::targets::link(linker),
        Capability::Env => wit::env::add_to_linker::<_, Same>(linker, |state| state),
        Capability::Telemetry => wit::telemetry::add_to_linker::<_, Same>(linker, |state| state),
        Capability::Annotate => wit::annotate::add_to_linker::<_, Same>(linker, |state| state),
        Capability::Tokens => wit::tokens::add_to_linker::<_, Same>(linker, |state| state),
        Capability::Kv => wit::kv::add_to_linker::<_, Same>(linker, |state| state),
        Capability::Http if at_load => no_http(linker),
        Capability::Http => wit::http::add_to_linker::<_, Same>(linker, |state| state),
    }
}

/// `http` of `configure` and `self-test`: there is no request on whose account a call would go out.
fn no_http(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    use wit::http::{HttpError, Inbound, Outbound};
    let mut http = linker.instance(&format!("weir:policy/http@{VERSION}"))?;
    http.func_wrap("send", |_, (_,): (Outbound,)| Ok((Err::<Inbound, _>(HttpError::Budget),)))?;
    http.func_wrap("send-all", |_, (calls,): (Vec<Outbound>,)| {
        let none = |_| Err::<Inbound, _>(HttpError::Budget);
        Ok((calls.iter().map(none).collect::<Vec<_>>(),))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmtime::component::Component;
    use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
    use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve};

    /// A component that imports every function of the contract.
    fn importing(interfaces: &[&str]) -> Vec<u8> {
        let imports: String =
            interfaces.iter().map(|name| format!("import weir:policy/{name}@{VERSION};\n")).collect();
        let world = format!("package weir:plugin;\nworld plugin {{\n{imports}}}");
        let mut resolve = Resolve::default();
        resolve.push_source("policy.wit", crate::CONTRACT).expect("the contract");
        let package = resolve.push_source("world.wit", &world).expect("a world");
        let world = resolve.select_world(&[package], None).expect("one world");
        let mut module = dummy_module(&resolve, world, ManglingAndAbi::Legacy(LiftLowerAbi::Sync));
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("metadata");
        ComponentEncoder::default().module(&module).expect("a module").encode().expect("a component")
    }

    #[test]
    fn every_function_that_the_contract_offers_is_linked() {
        let engine = wasmtime::Engine::default();
        let always: &[&str] = &["types", "request", "fault"];
        let names: Vec<&str> =
            always.iter().copied().chain(Capability::ALL.iter().map(|c| c.as_str())).collect();
        let component = Component::new(&engine, importing(&names)).expect("it compiles");
        for at_load in [false, true] {
            let links = Links { always, capabilities: Capability::ALL.into_iter().collect(), at_load };
            let linked = linker(&engine, &links).and_then(|linker| linker.instantiate_pre(&component));
            assert!(linked.is_ok(), "{:?}", linked.err());
        }
    }
}
