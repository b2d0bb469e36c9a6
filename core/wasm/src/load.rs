//! From bytes to a policy. Each step may refuse; the running version is not touched.

use crate::component::Component;
use crate::engine::Inner;
use crate::instance::{Instance, Refused, StartError, Template};
use crate::kept::Kept;
use crate::state::Constants;
use crate::{fault, imports, section};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use weir_policy::matcher::Matchers;
use weir_policy::{Capability, LoadError, Manifest};

/// Manifest → config → compile → imports against grants → hooks → self-test.
pub(crate) fn policy(
    engine: &Arc<Inner>,
    file: &str,
    bytes: &[u8],
    config: &Value,
    grants: &[Capability],
) -> Result<Component, LoadError> {
    let manifest = manifest(file, bytes)?;
    if !empty(config) || manifest.config_schema.is_some() {
        manifest.check_config(file, config)?;
    }
    let code = compile(engine, file, bytes)?;
    let needed = imports::check(file, &code, &manifest, grants)?;
    let linker = engine.linkers.of(&needed).map_err(|e| LoadError::new(file, format!("{e:#}")))?;
    let pre = linker.instantiate_pre(&code).map_err(|e| mismatch(file, &e))?;
    let template = Template::new(pre, &manifest.hooks).map_err(|e| mismatch(file, &e))?;
    let component = Component {
        engine: Arc::clone(engine),
        constants: Arc::new(constants(engine, file, bytes, manifest, config)?),
        template,
        kept: Kept::new(engine.kept_per_policy),
        digest: digest(bytes, config),
    };
    self_test(file, &component)?;
    Ok(component)
}

/// The manifest that a component carries.
pub(crate) fn manifest(file: &str, bytes: &[u8]) -> Result<Manifest, LoadError> {
    let text = section::manifest(bytes)
        .map_err(|e| LoadError::new(file, e.to_string()).hint("build the plugin with `weir plugin build`"))?;
    Manifest::parse_yaml(text, &format!("{file}#manifest.yaml"))
}

fn compile(engine: &Inner, file: &str, bytes: &[u8]) -> Result<wasmtime::component::Component, LoadError> {
    let compiled = match &engine.cache {
        Some(cache) => cache.load(&engine.wasm, bytes),
        None => wasmtime::component::Component::new(&engine.wasm, bytes),
    };
    compiled.map_err(|e| LoadError::new(file, format!("the component does not compile: {e:#}")))
}

fn constants(
    engine: &Inner,
    file: &str,
    bytes: &[u8],
    manifest: Manifest,
    config: &Value,
) -> Result<Constants, LoadError> {
    Ok(Constants {
        matchers: Matchers::compile(&manifest.matchers).map_err(|e| e.in_file(file))?,
        manifest,
        config: (!empty(config)).then(|| config.to_string()),
        component: bytes.to_vec(),
        sink: Arc::clone(&engine.sink),
    })
}

fn self_test(file: &str, component: &Component) -> Result<(), LoadError> {
    let _running = component.engine.ticker.enter();
    let failed = |what: &str, error: &wasmtime::Error, panicked_at| {
        let why = match error.downcast_ref::<Refused>() {
            Some(said) => said.to_string(),
            None => fault::of(error, panicked_at).to_string(),
        };
        LoadError::new(file, format!("{what}: {why}"))
    };
    let mut instance = Instance::start(&component.template, &component.constants).map_err(
        |StartError { error, panicked_at }| failed("the component does not start", &error, panicked_at),
    )?;
    let tested = instance.self_test(&component.template);
    let panicked_at = instance.store.data_mut().call.panicked_at.take();
    tested.map_err(|error| failed("the self-test failed", &error, panicked_at))
}

fn mismatch(file: &str, error: &wasmtime::Error) -> LoadError {
    LoadError::new(file, format!("the component does not fit the contract: {error:#}"))
        .hint("its exports must be the hooks that its manifest names; rebuild it with `weir plugin build`")
}

fn empty(config: &Value) -> bool {
    config.is_null() || config.as_object().is_some_and(serde_json::Map::is_empty)
}

/// Names the version: same bytes and same config, same digest.
fn digest(bytes: &[u8], config: &Value) -> String {
    let mut hash = Sha256::new();
    hash.update(Sha256::digest(bytes));
    if !empty(config) {
        hash.update(config.to_string());
    }
    hex::encode(hash.finalize())
}
