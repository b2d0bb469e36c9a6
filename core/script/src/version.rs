//! A compiled script: what happens once per version, and how one of its functions is called.

use crate::api::config::Config;
use crate::call::{self, Call, Host, Seen};
use crate::paths::value::Value;
use crate::paths::{Panicked, Paths};
use crate::shapes::{self, Found, SELF_TEST};
use crate::source::Source;
use crate::{api, check, engine, fault, header, meter, warm};
use rhai::{AST, Caches, Dynamic, Engine, EvalAltResult, EvalContext, Position, Scope};
use sha2::{Digest, Sha256};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use weir_policy::manifest::Limits;
use weir_policy::matcher::Matchers;
use weir_policy::{Fault, FaultKind, Grants, LoadError, Manifest};

/// Longest source. Scripts are read by people.
const MAX_SOURCE: usize = 256 * 1024;

/// The fact of a target that costs the host something for each request.
const WARMTH: &str = "prompt_cache_warm";

/// What a script says that reads headers: their getter, and the conversation, which one of them may name. Nothing in a
/// script is called by a name that is not written in it.
const HEADERS: [&str; 2] = ["header", "session"];

/// Tells the compiled versions of this process apart.
static NEXT_ID: AtomicU64 = AtomicU64::new(0);

/// A script with its config and what it was granted.
pub(crate) struct Version {
    pub(crate) host: Arc<Host>,
    pub(crate) digest: String,
    pub(crate) config: Config,
    /// Whether the script or its config names the fact.
    pub(crate) reads_warmth: bool,
    /// Whether the script may ask for headers.
    pub(crate) reads_headers: bool,
    id: u64,
    source: Source,
    functions: Vec<Found>,
    engine: Engine,
    ast: AST,
    /// Of `route`: the head and the candidates.
    pub(crate) routes: Paths,
    /// Of `price`: the head, the target and what was used.
    pub(crate) prices: Paths,
}

/// What happens once per version.
pub(crate) fn load(
    file: &str,
    source: &str,
    config: &serde_json::Value,
    grants: &Grants,
) -> Result<Version, LoadError> {
    if source.len() > MAX_SOURCE {
        return Err(LoadError::new(file, format!("the script is longer than {MAX_SOURCE} bytes")));
    }
    let shown = Source::new(file, source);
    let manifest = header::manifest(file, source).map_err(|error| shown.show(error))?;
    check::granted(file, &manifest, grants)
        .map_err(|error| shown.show(header::placed(error, source, "capabilities")))?;
    compiled(shown, source, config, manifest, grants)
}

fn compiled(
    shown: Source,
    source: &str,
    config: &serde_json::Value,
    manifest: Manifest,
    grants: &Grants,
) -> Result<Version, LoadError> {
    let file = &shown.file;
    let manifest = manifest.with_config(file, config)?;
    let matchers = Matchers::compile(&manifest.matchers).map_err(|error| error.in_file(file))?;
    let mut engine = engine::bounded(&manifest.limits);
    let ast = engine.compile(source).map_err(|error| shown.show(fault::of_parse(file, &error)))?;
    let functions = check::script(file, &manifest, &ast)
        .map_err(|error| shown.show(header::placed(error, source, "hooks")))?;
    api::config::fields(&mut engine, check::properties(&ast));
    let version = Version {
        id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
        digest: digest(source, config),
        config: Config::new(config),
        reads_warmth: source.contains(WARMTH) || config.to_string().contains(WARMTH),
        reads_headers: HEADERS.iter().any(|name| source.contains(name)),
        host: Arc::new(Host::new(manifest, matchers, grants)),
        source: shown,
        functions,
        engine,
        ast,
        routes: Paths::new(),
        prices: Paths::new(),
    };
    version.self_test()?;
    Ok(version)
}

impl Version {
    pub(crate) fn manifest(&self) -> &Manifest {
        &self.host.manifest
    }

    /// The function of this name that belongs to a hook.
    pub(crate) fn function(&self, name: &str) -> Option<Found> {
        self.functions.iter().find(|function| function.name == name).copied()
    }

    /// As [`Version::function`], of a function that must be there.
    pub(crate) fn found(&self, name: &str) -> Result<Found, Fault> {
        self.function(name)
            .ok_or_else(|| Fault::new(FaultKind::Missing, format!("the script has no hook `{name}`")))
    }

    /// Calls a function of a hook.
    pub(crate) fn call(&self, found: Found, seen: Seen, arguments: &mut [Dynamic]) -> Result<Dynamic, Fault> {
        self.run(found.name, seen, arguments)
            .map_err(|error| fault::of_eval(&self.source, found.position, &error))
    }

    /// As [`Version::ask`], or follows the path that a request like this one went. `roots`: the arguments that differ from
    /// call to call; `rest`: those after them, and what the call is about.
    pub(crate) fn ask_on_a_path<T>(
        &self,
        paths: &Paths,
        found: Found,
        roots: Vec<Value>,
        rest: impl FnOnce() -> (Seen, Vec<Dynamic>),
        read: impl FnOnce(Value) -> Result<T, String>,
    ) -> Result<T, Fault> {
        let value = self.on_a_path(paths, found, roots, rest)?;
        read(value).map_err(|message| self.bad(found, message))
    }

    fn on_a_path(
        &self,
        paths: &Paths,
        found: Found,
        mut roots: Vec<Value>,
        rest: impl FnOnce() -> (Seen, Vec<Dynamic>),
    ) -> Result<Value, Fault> {
        meter::start(&self.host.manifest.limits);
        match paths.follow(&mut roots) {
            Some(Ok(answer)) => return Ok(answer),
            Some(Err(Panicked)) => {
                let error = fault::misuse("a function of the host panicked");
                return Err(fault::of_eval(&self.source, found.position, &error));
            }
            None => {}
        }
        let (seen, rest) = rest();
        let differing = roots.len();
        let mut arguments: Vec<_> = roots.into_iter().map(Value::into_dynamic).chain(rest).collect();
        let answer = match seen.keeps_nothing() || !paths.lesson() {
            true => self.call(found, seen, &mut arguments),
            false => paths.watch(differing, &mut arguments, |arguments| self.call(found, seen, arguments)),
        };
        answer.map(Value::of)
    }

    /// Calls it and reads its answer.
    pub(crate) fn ask<T>(
        &self,
        found: Found,
        seen: Seen,
        arguments: &mut [Dynamic],
        read: impl FnOnce(Dynamic) -> Result<T, String>,
    ) -> Result<T, Fault> {
        let value = self.call(found, seen, arguments)?;
        read(value).map_err(|message| self.bad(found, message))
    }

    /// An answer that the contract does not allow.
    pub(crate) fn bad(&self, found: Found, message: impl Into<String>) -> Fault {
        self.fault(FaultKind::BadAnswer, found.position, message)
    }

    pub(crate) fn fault(&self, kind: FaultKind, at: Position, message: impl Into<String>) -> Fault {
        self.source.fault(kind, message, at)
    }

    /// A scope of its own for each call: nothing is shared between calls but what cannot change. A panic inside Rhai
    /// would be a bug of Rhai's; it costs this call, not the worker.
    fn run(&self, name: &str, seen: Seen, arguments: &mut [Dynamic]) -> Result<Dynamic, Box<EvalAltResult>> {
        let limits: &Limits = &self.host.manifest.limits;
        meter::start(limits);
        let evaluate = || warm::with(self.id, |caches| self.evaluate(caches, name, arguments));
        call::during(Call::new(Arc::clone(&self.host), seen), || {
            catch_unwind(AssertUnwindSafe(evaluate))
                .unwrap_or_else(|_| Err(fault::misuse("the script engine panicked")))
        })
    }

    fn evaluate(
        &self,
        caches: &mut Caches,
        name: &str,
        arguments: &mut [Dynamic],
    ) -> Result<Dynamic, Box<EvalAltResult>> {
        let mut global = self.engine.new_global_runtime_state();
        global.lib.push(self.ast.shared_lib().clone());
        let mut scope = Scope::new();
        let mut context = EvalContext::new(&self.engine, &mut global, caches, &mut scope, None);
        let mut arguments: Vec<&mut Dynamic> = arguments.iter_mut().collect();
        context.call_fn_raw(name, false, false, &mut arguments)
    }

    fn self_test(&self) -> Result<(), LoadError> {
        if !shapes::has_self_test(&self.ast) {
            return Ok(());
        }
        match self.run(SELF_TEST, Seen::Nothing, &mut [Dynamic::from(self.config.clone())]) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.source.show(fault::of_self_test(&self.source.file, &error))),
        }
    }
}

fn digest(source: &str, config: &serde_json::Value) -> String {
    let mut hash = Sha256::new();
    hash.update((source.len() as u64).to_le_bytes());
    hash.update(source);
    hash.update(config.to_string());
    hex::encode(hash.finalize())
}
