//! A compiled script: what happens once per version, and what happens per request.

use crate::api::config::Config;
use crate::api::errors::Errors;
use crate::api::head::HeadHandle;
use crate::api::request::RequestHandle;
use crate::api::targets::Targets;
use crate::api::{plan, recovery, verdict};
use crate::check::{self, Found, SELF_TEST};
use crate::{api, engine, fault, header, meter, warm};
use rhai::{AST, Caches, Dynamic, Engine, EvalAltResult, EvalContext, Scope};
use sha2::{Digest, Sha256};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use weir_policy::manifest::Reads;
use weir_policy::matcher::Matchers;
use weir_policy::{
    AttemptError, Candidates, Decision, Fault, FaultKind, GuardVerdict, Hook, LoadError, Manifest, Policy,
    Recovery, RequestView, Step,
};

/// Longest source. Scripts are read by people.
const MAX_SOURCE: usize = 256 * 1024;

/// Compiles a script; `file` names it in errors.
///
/// # Errors
/// With line and column wherever there is one: a manifest that does not parse, a config that does not fit its schema,
/// a syntax error, an unknown variable or function, a hook that is missing, unnamed or has the wrong parameters, a
/// `self_test` that throws.
pub fn compile(file: &str, source: &str, config: &serde_json::Value) -> Result<Arc<dyn Policy>, LoadError> {
    if source.len() > MAX_SOURCE {
        return Err(LoadError::new(file, format!("the script is longer than {MAX_SOURCE} bytes")));
    }
    let manifest = header::manifest(file, source)?;
    manifest.check_config(file, config)?;
    let matchers = Matchers::compile(&manifest.matchers).map_err(|error| error.in_file(file))?;
    let mut engine = engine::bounded(&manifest.limits);
    let ast = engine.compile(source).map_err(|error| fault::of_parse(file, &error))?;
    let hooks = check::script(file, &manifest, &ast).map_err(|error| header::placed(error, source))?;
    api::config::fields(&mut engine, check::properties(&ast));
    let script = Script {
        id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
        file: file.to_owned(),
        digest: digest(source, config),
        config: Config::new(config),
        matchers: Arc::new(matchers),
        manifest,
        hooks,
        engine,
        ast,
    };
    script.self_test()?;
    Ok(Arc::new(script))
}

/// Tells the compiled versions of this process apart.
static NEXT_ID: AtomicU64 = AtomicU64::new(0);

struct Script {
    id: u64,
    file: String,
    digest: String,
    manifest: Manifest,
    config: Config,
    matchers: Arc<Matchers>,
    hooks: Vec<(Hook, Found)>,
    engine: Engine,
    ast: AST,
}

impl Policy for Script {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn digest(&self) -> &str {
        &self.digest
    }

    fn guard(&self, request: &Arc<RequestView>) -> Result<GuardVerdict, Fault> {
        let found = self.found(Hook::Guard)?;
        let mut arguments = [Dynamic::from(self.request(request)), Dynamic::from(self.config.clone())];
        let value = self.call("guard", found, &mut arguments)?;
        verdict::verdict(value).map_err(|message| self.bad(found, message))
    }

    fn route(&self, request: &Arc<RequestView>, candidates: &Arc<Candidates>) -> Result<Decision, Fault> {
        let found = self.found(Hook::Route)?;
        let head = Dynamic::from(HeadHandle(request.clone()));
        let targets = Dynamic::from(Targets::all(candidates, request.head()));
        let config = Dynamic::from(self.config.clone());
        let value = match found.parameters {
            3 => self.call("route", found, &mut [head, targets, config]),
            _ => {
                self.call("route", found, &mut [head, targets, config, Dynamic::from(self.request(request))])
            }
        }?;
        let decision = plan::decision(value).map_err(|message| self.bad(found, message))?;
        if let Decision::Plan(plan) = &decision {
            self.known_targets(found, &plan.steps, candidates)?;
        }
        Ok(decision)
    }

    fn on_error(
        &self,
        request: &Arc<RequestView>,
        candidates: &Arc<Candidates>,
        errors: &Arc<[AttemptError]>,
    ) -> Result<Recovery, Fault> {
        let found = self.found(Hook::OnError)?;
        let mut arguments = [
            Dynamic::from(HeadHandle(request.clone())),
            Dynamic::from(Errors(errors.clone())),
            Dynamic::from(Targets::all(candidates, request.head())),
            Dynamic::from(self.config.clone()),
        ];
        let value = self.call("on_error", found, &mut arguments)?;
        let recovery = recovery::recovery(value).map_err(|message| self.bad(found, message))?;
        if let Recovery::Switch(step) = &recovery {
            self.known_targets(found, std::slice::from_ref(step), candidates)?;
        }
        Ok(recovery)
    }
}

impl Script {
    fn found(&self, hook: Hook) -> Result<Found, Fault> {
        let found = self.hooks.iter().find(|(known, _)| *known == hook).map(|(_, found)| *found);
        found.ok_or_else(|| {
            Fault::new(FaultKind::Missing, format!("the script has no hook {}", hook.as_str()))
        })
    }

    fn request(&self, view: &Arc<RequestView>) -> RequestHandle {
        RequestHandle {
            view: view.clone(),
            matchers: self.matchers.clone(),
            reads_content: self.manifest.reads == Reads::Content,
        }
    }

    fn call(&self, name: &str, found: Found, arguments: &mut [Dynamic]) -> Result<Dynamic, Fault> {
        self.run(name, arguments).map_err(|error| fault::of_eval(&self.file, found.position, &error))
    }

    /// A scope of its own for each call: nothing is shared between calls but what cannot change. A panic inside Rhai
    /// would be a bug of Rhai's; it costs this call, not the worker.
    fn run(&self, name: &str, arguments: &mut [Dynamic]) -> Result<Dynamic, Box<EvalAltResult>> {
        meter::start(&self.manifest.limits);
        let run = || warm::with(self.id, |caches| self.evaluate(caches, name, arguments));
        catch_unwind(AssertUnwindSafe(run))
            .unwrap_or_else(|_| Err(fault::misuse("the script engine panicked")))
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
        if !check::has_self_test(&self.ast) {
            return Ok(());
        }
        match self.run(SELF_TEST, &mut [Dynamic::from(self.config.clone())]) {
            Ok(_) => Ok(()),
            Err(error) => Err(fault::of_self_test(&self.file, &error)),
        }
    }

    /// The pipeline checks this too; here it also says in which file.
    fn known_targets(&self, found: Found, steps: &[Step], candidates: &Candidates) -> Result<(), Fault> {
        if steps.is_empty() {
            return Err(
                self.bad(found, "the plan names no target; write targets.healthy().or(targets)".into())
            );
        }
        match steps.iter().find(|step| !candidates.allowed.contains(&step.target)) {
            Some(step) => Err(self.bad(found, format!("target {} is not a candidate", step.target))),
            None => Ok(()),
        }
    }

    fn bad(&self, found: Found, message: String) -> Fault {
        Fault::new(FaultKind::BadAnswer, message).at(fault::place(&self.file, found.position))
    }
}

fn digest(source: &str, config: &serde_json::Value) -> String {
    let mut hash = Sha256::new();
    hash.update((source.len() as u64).to_le_bytes());
    hash.update(source);
    hash.update(config.to_string());
    hex::encode(hash.finalize())
}
