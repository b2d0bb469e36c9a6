//! A compiled script: what happens once per version, and what happens per request.

use crate::api::config::Config;
use crate::api::errors::Errors;
use crate::api::head::HeadHandle;
use crate::api::request::RequestHandle;
use crate::api::targets::Targets;
use crate::api::{plan, recovery, verdict};
use crate::check::{self, Found, SELF_TEST};
use crate::{engine, fault, header, meter};
use rhai::{AST, CallFnOptions, Dynamic, Engine, EvalAltResult, FuncArgs, Scope};
use sha2::{Digest, Sha256};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use weir_policy::manifest::Reads;
use weir_policy::matcher::Matchers;
use weir_policy::{
    AttemptError, Candidates, Decision, Fault, FaultKind, GuardVerdict, Hook, LoadError, Manifest, Policy, Recovery,
    RequestView, Step,
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
    let engine = engine::bounded(&manifest.limits);
    let ast = engine.compile(source).map_err(|error| fault::of_parse(file, &error))?;
    let hooks = check::script(file, &manifest, &ast)?;
    let script = Script {
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

struct Script {
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
        let value = self.call("guard", found, (self.request(request), self.config.clone()))?;
        verdict::verdict(value).map_err(|message| self.bad(found, message))
    }

    fn route(&self, request: &Arc<RequestView>, candidates: &Arc<Candidates>) -> Result<Decision, Fault> {
        let found = self.found(Hook::Route)?;
        let (head, config) = (HeadHandle(request.clone()), self.config.clone());
        let targets = Targets::all(candidates, request.head());
        let value = match found.parameters {
            3 => self.call("route", found, (head, targets, config)),
            _ => self.call("route", found, (head, targets, config, self.request(request))),
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
        let (head, targets) = (HeadHandle(request.clone()), Targets::all(candidates, request.head()));
        let value = self.call("on_error", found, (head, Errors(errors.clone()), targets, self.config.clone()))?;
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
        found.ok_or_else(|| Fault::new(FaultKind::Missing, format!("the script has no hook {}", hook.as_str())))
    }

    fn request(&self, view: &Arc<RequestView>) -> RequestHandle {
        RequestHandle {
            view: view.clone(),
            matchers: self.matchers.clone(),
            reads_content: self.manifest.reads == Reads::Content,
        }
    }

    fn call(&self, name: &str, found: Found, arguments: impl FuncArgs) -> Result<Dynamic, Fault> {
        self.run(name, arguments).map_err(|error| fault::of_eval(&self.file, found.position, &error))
    }

    /// A scope of its own for each call: nothing is shared between calls but what cannot change. A panic inside Rhai
    /// would be a bug of Rhai's; it costs this call, not the worker.
    fn run(&self, name: &str, arguments: impl FuncArgs) -> Result<Dynamic, Box<EvalAltResult>> {
        meter::start(&self.manifest.limits);
        let options = CallFnOptions::new().eval_ast(false).rewind_scope(false);
        catch_unwind(AssertUnwindSafe(|| {
            self.engine.call_fn_with_options(options, &mut Scope::new(), &self.ast, name, arguments)
        }))
        .unwrap_or_else(|_| Err(fault::misuse("the script engine panicked")))
    }

    fn self_test(&self) -> Result<(), LoadError> {
        if !check::has_self_test(&self.ast) {
            return Ok(());
        }
        match self.run(SELF_TEST, (self.config.clone(),)) {
            Ok(_) => Ok(()),
            Err(error) => Err(fault::of_self_test(&self.file, &error)),
        }
    }

    /// The pipeline checks this too; here it also says in which file.
    fn known_targets(&self, found: Found, steps: &[Step], candidates: &Candidates) -> Result<(), Fault> {
        if steps.is_empty() {
            return Err(self.bad(found, "the plan names no target; write targets.healthy().or(targets)".into()));
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
