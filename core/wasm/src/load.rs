//! From bytes to a policy. Each step may refuse; the running version is not touched.

use crate::component::Loaded;
use crate::engine::{Inner, Realm};
use crate::exports::Exports;
use crate::imports::{self, Links};
use crate::inspect::{self, Borders};
use crate::instance::{Instance, Refused, StartError, Template};
use crate::meter::now;
use crate::state::Constants;
use crate::ticker::Pace;
use crate::{fault, section, snapshot};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;
use weir_policy::matcher::Matchers;
use weir_policy::{Grants, Hook, LoadError, Manifest};

/// Manifest → config → imports against grants → compile → configure and snapshot → hooks → self-test.
pub(crate) fn policy(
    engine: &Arc<Inner>,
    file: &str,
    bytes: &[u8],
    config: &Value,
    grants: &Grants,
) -> Result<Loaded, LoadError> {
    let manifest = manifest(file, bytes)?.with_config(file, config)?;
    alone(file, &manifest)?;
    let Borders { imports, exports, .. } = inspect::borders(file, bytes)?;
    imports::spoken(file, &exports)?;
    let links = imports::check(file, &imports, &manifest, &grants.capabilities)?;
    let fueled = manifest.has(Hook::Price);
    let loader = Loader {
        realm: if fueled { &engine.fueled } else { &engine.timed },
        file,
        fueled,
        constants: Arc::new(constants(file, bytes, manifest, config, grants, engine.ticker.pace())?),
        links,
    };
    if !fueled {
        engine.ticker.budget(Duration::from_micros(loader.constants.manifest.limits.cpu_us));
    }
    let _running = engine.ticker.enter();
    let (template, exports) = loader.template(bytes)?;
    Ok(Loaded {
        engine: Arc::clone(engine),
        constants: loader.constants,
        template,
        exports,
        fueled,
        kept: engine.kept.of_policy(engine.kept_per_policy),
        digest: digest(bytes, config),
        reads_headers: HEADERS.iter().any(|import| memchr::memmem::find(bytes, import).is_some()),
    })
}

/// The imports that read headers: their getter, and the conversation, which one of them may name. A component that does not
/// have the name of an import in it does not import it.
const HEADERS: [&[u8]; 2] = [b"request-view.header", b"request-view.session"];

/// The manifest that a component carries.
pub(crate) fn manifest(file: &str, bytes: &[u8]) -> Result<Manifest, LoadError> {
    let text = section::manifest(bytes)
        .map_err(|e| LoadError::new(file, e.to_string()).hint("build the plugin with `weir plugin build`"))?;
    Manifest::parse_yaml(text, &format!("{file}#manifest.yaml"))
}

/// A pricer runs on an engine of its own, with no imports: other hooks cannot share its component.
fn alone(file: &str, manifest: &Manifest) -> Result<(), LoadError> {
    if !manifest.has(Hook::Price) || manifest.hooks.len() == 1 {
        return Ok(());
    }
    Err(LoadError::new(file, "a component with the hook `price` has no other hooks")
        .hint("put `price` into a plugin of its own"))
}

fn constants(
    file: &str,
    bytes: &[u8],
    manifest: Manifest,
    config: &Value,
    grants: &Grants,
    pace: &Pace,
) -> Result<Constants, LoadError> {
    Ok(Constants {
        name: manifest.name.as_str().into(),
        matchers: Matchers::compile(&manifest.matchers).map_err(|e| e.in_file(file))?,
        manifest,
        config: if empty(config) { "{}".into() } else { config.to_string() },
        component: bytes.to_vec(),
        services: Arc::clone(&grants.services),
        pace: pace.clone(),
    })
}

/// What the steps of one load share.
struct Loader<'a> {
    realm: &'a Realm,
    file: &'a str,
    fueled: bool,
    constants: Arc<Constants>,
    links: Links,
}

impl Loader<'_> {
    /// The component that instances are made of, tested.
    fn template(&self, bytes: &[u8]) -> Result<(Template, Exports), LoadError> {
        let configured = self.snapshot(bytes)?;
        let linked = self.link(configured.as_deref().unwrap_or(bytes))?;
        let exports = self.exports(&linked)?;
        let configures = configured.is_none();
        self.self_test(&linked.at_load, &exports, configures)?;
        Ok((Template { configures, ..linked.template }, exports))
    }

    fn link(&self, bytes: &[u8]) -> Result<Linked, LoadError> {
        let code = self
            .realm
            .code(bytes)
            .map_err(|e| LoadError::new(self.file, format!("the component does not compile: {e:#}")))?;
        let template = |links: &Links| {
            let linker = self.realm.linkers.of(links)?;
            let pre = linker.instantiate_pre(&code)?;
            Ok(Template { pre, waits: links.waits(), configures: false })
        };
        let at_load = Links { at_load: true, ..self.links.clone() };
        Ok(Linked {
            template: template(&self.links).map_err(|e| self.mismatch(&e))?,
            at_load: template(&at_load).map_err(|e| self.mismatch(&e))?,
        })
    }

    fn exports(&self, linked: &Linked) -> Result<Exports, LoadError> {
        let mut instance = self.start(&linked.at_load)?;
        let instance = &mut instance;
        Exports::find(&mut instance.store, &instance.instance, &self.constants.manifest)
            .map_err(|e| self.mismatch(&e))
    }

    fn start(&self, template: &Template) -> Result<Instance, LoadError> {
        let started = now(Instance::at_load(template, &self.constants, self.fueled));
        started
            .unwrap_or_else(|| Err(StartError { error: Waited.into(), panicked_at: None }))
            .map_err(|failed| self.refused("the component does not start", failed))
    }

    /// The component with the state that `configure` left in it; `None` if it is one whose state cannot be taken.
    fn snapshot(&self, bytes: &[u8]) -> Result<Option<Vec<u8>>, LoadError> {
        let instrumented = match snapshot::Instrumented::new(bytes) {
            Ok(instrumented) => instrumented,
            Err(why) => {
                let file = self.file;
                tracing::info!(file, %why, "the state after configure is not snapshotted: each instance is configured");
                return Ok(None);
            }
        };
        let linked = self.link(&instrumented.component)?;
        let exports = self.exports(&linked)?;
        let mut instance = self.start(&linked.at_load)?;
        self.run("the component does not start", &mut instance, |i| now(i.configure(&exports)))?;
        instrumented.take(instance).map(Some).map_err(|e| {
            LoadError::new(self.file, format!("the component's state could not be taken: {e:#}"))
        })
    }

    fn self_test(&self, template: &Template, exports: &Exports, configure: bool) -> Result<(), LoadError> {
        let mut instance = self.start(template)?;
        if configure {
            self.run("the component does not start", &mut instance, |i| now(i.configure(exports)))?;
        }
        self.run("the self-test failed", &mut instance, |i| now(i.self_test(exports)))
    }

    fn run(
        &self,
        what: &str,
        instance: &mut Instance,
        call: impl FnOnce(&mut Instance) -> Option<wasmtime::Result<()>>,
    ) -> Result<(), LoadError> {
        let done = call(instance).unwrap_or_else(|| Err(Waited.into()));
        done.map_err(|error| self.refused(what, instance.failed(error)))
    }

    fn refused(&self, what: &str, failed: StartError) -> LoadError {
        let why = match failed.error.downcast_ref::<Refused>() {
            Some(said) => said.to_string(),
            None => fault::of(&failed.error, failed.panicked_at).to_string(),
        };
        LoadError::new(self.file, format!("{what}: {why}"))
    }

    fn mismatch(&self, error: &wasmtime::Error) -> LoadError {
        LoadError::new(self.file, format!("the component does not fit the contract: {error:#}")).hint(
            "its exports must be the hooks that its manifest names; rebuild it with `weir plugin build`",
        )
    }
}

/// A component linked for requests and for its own load.
struct Linked {
    template: Template,
    at_load: Template,
}

/// What is linked at load never waits.
#[derive(Debug, thiserror::Error)]
#[error("the component waits at load")]
struct Waited;

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
