//! From a case to a question, and from a question to what came of it.

use super::file::Case;
use super::play::{Piece, Stage, pieces};
use super::seen::Seen;
use super::world::{self, Place};
use crate::manifest::{Hook, Manifest};
use crate::pipeline::{Pipeline, Trace};
use crate::policy::LoadError;
use crate::question::Question;
use crate::request::RequestView;
use crate::target::TargetTable;
use crate::verdict::Direction;
use futures::executor::block_on;
use std::sync::Arc;
use weir_llm::usage::Usage;

/// What a case asks.
pub(super) enum Asked {
    /// A call of one hook.
    Once(Box<Question>),
    /// A stream that the policy watches.
    Stream { hook: Hook, view: Arc<RequestView>, pieces: Vec<Piece>, usage: Usage },
}

impl Asked {
    pub(super) fn hook(&self) -> Hook {
        match self {
            Self::Once(question) => question.hook(),
            Self::Stream { hook, .. } => *hook,
        }
    }
}

/// What a case asks of a policy; everything in it is made afresh.
pub(super) fn read(
    file: &str,
    table: &TargetTable,
    case: &Case,
    manifest: &Manifest,
) -> Result<Asked, LoadError> {
    let hook = hook(file, case, manifest)?;
    let view = Arc::new(world::request(file, case)?);
    if let Some(deltas) = &case.stream {
        let usage = world::used(file, case)?;
        return Ok(Asked::Stream { hook, view, pieces: pieces(deltas), usage });
    }
    let question = match hook {
        Hook::Admit => Question::Admit { view },
        Hook::Guard => Question::Guard { view },
        Hook::Redact => match case.reply {
            Some(_) => {
                let view = Arc::new(world::reply(file, case, &view)?);
                Question::Redact { view, direction: Direction::Reply }
            }
            None => Question::Redact { view, direction: Direction::Request },
        },
        Hook::Route => Question::Route { view, candidates: Arc::new(world::candidates(file, table, case)?) },
        Hook::Attempt => Question::Attempt {
            view,
            candidates: Arc::new(world::candidates(file, table, case)?),
            facts: Arc::new(world::attempt(file, case, table)?),
        },
        Hook::OnError => Question::OnError {
            view,
            candidates: Arc::new(world::candidates(file, table, case)?),
            errors: world::errors(file, case, table)?.into(),
        },
        Hook::GuardResponse => {
            let reply = Arc::new(world::reply(file, case, &view)?);
            let meta = Arc::new(world::meta(file, case, table, &reply)?);
            Question::GuardResponse { request: view, reply, meta }
        }
        Hook::Price => {
            let base = Arc::new(world::base(file, case, table)?);
            match case.expect.as_ref().is_some_and(super::file::Expect::is_quote) {
                true => Question::Quote { view, bound: base },
                false => Question::Price { view, base },
            }
        }
        Hook::Complete => Question::Complete { batch: world::summaries(file, case, &view)?.into() },
        Hook::Stream => return Err(Place::case(file, case).error("the key `stream` is missing")),
    };
    Ok(Asked::Once(Box::new(question)))
}

/// Puts a question to the pipeline of one policy.
pub(super) fn put(question: &Question, stage: &Stage) -> Seen {
    let mut trace = Trace::new();
    let pipeline: &Pipeline = &stage.pipeline;
    let seen = match question {
        Question::Admit { view } => Seen::admitted(block_on(pipeline.admit(view, &mut trace))),
        Question::Guard { view } => Seen::guarded(block_on(pipeline.guard(view, &mut trace))),
        Question::Redact { view, direction } => {
            Seen::redacted(block_on(pipeline.redact(view, *direction, &mut trace)))
        }
        Question::Route { view, candidates } => {
            Seen::routed(block_on(pipeline.route(view, candidates, &mut trace)).decision, candidates)
        }
        Question::Attempt { view, candidates, facts } => {
            Seen::attempted(block_on(pipeline.attempt(view, candidates, facts, &mut trace)))
        }
        Question::OnError { view, candidates, errors } => {
            let recovery = block_on(pipeline.on_error(view, candidates, errors, None, &mut trace));
            Seen::recovered(recovery, candidates)
        }
        Question::GuardResponse { request, reply, meta } => {
            Seen::guarded(block_on(pipeline.guard_response(request, reply, meta, &mut trace)))
        }
        Question::Quote { view, bound } => Seen::quoted(block_on(pipeline.quote(view, bound, &mut trace))),
        Question::Price { view, base } => Seen::charged(block_on(pipeline.price(view, base, &mut trace))),
        Question::Complete { batch } => {
            block_on(pipeline.complete(batch));
            Seen::done(stage.faults.take())
        }
        // The stream of a case goes piece by piece, split everywhere: no case makes this question.
        Question::Stream { .. } => Seen::done(stage.faults.take()),
    };
    seen.with(trace, view(question))
}

/// The view that a question is about.
pub(super) fn view(question: &Question) -> Option<&RequestView> {
    match question {
        Question::Admit { view }
        | Question::Guard { view }
        | Question::Redact { view, .. }
        | Question::Route { view, .. }
        | Question::Attempt { view, .. }
        | Question::OnError { view, .. }
        | Question::Stream { view, .. }
        | Question::Quote { view, .. }
        | Question::Price { view, .. }
        | Question::GuardResponse { reply: view, .. } => Some(view),
        Question::Complete { .. } => None,
    }
}

/// The hook that a case asks: the one that it names, else the only one that fits what it brings and what it expects.
fn hook(file: &str, case: &Case, manifest: &Manifest) -> Result<Hook, LoadError> {
    let place = Place::case(file, case);
    let name = &case.name.value;
    let answers = match &case.expect {
        Some(expect) => expect.hooks(case.stream.is_some()),
        None => &Hook::ALL,
    };
    let hook = match case.hook {
        Some(named) => named.0,
        None => fitting(case, answers, manifest)
            .map_err(|problem| place.error(format!("case `{name}` {problem}")))?,
    };
    if !answers.contains(&hook) {
        let hook = hook.as_str();
        return Err(place.error(format!("what case `{name}` expects is no answer of `{hook}`")));
    }
    if !manifest.has(hook) {
        let hook = hook.as_str();
        return Err(place.error(format!("case `{name}` asks `{hook}`, a hook that the policy has not")));
    }
    Ok(hook)
}

fn fitting(case: &Case, answers: &[Hook], manifest: &Manifest) -> Result<Hook, String> {
    let wanted: Vec<Hook> = brings(case).iter().copied().filter(|hook| answers.contains(hook)).collect();
    let has: Vec<Hook> = wanted.iter().copied().filter(|hook| manifest.has(*hook)).collect();
    match (has.as_slice(), wanted.as_slice(), manifest.hooks.as_slice()) {
        ([only], ..) => Ok(*only),
        // A stream passes redactors and guards alike.
        (several, ..) if several.contains(&Hook::Stream) && case.stream.is_some() => Ok(Hook::Stream),
        ([], [only], _) => Ok(*only),
        ([], _, [only]) => Ok(*only),
        ([], ..) => Err("brings and expects what no hook of the policy has".into()),
        _ => Err("does not say its `hook`".into()),
    }
}

/// The hooks that what a case brings is for.
fn brings(case: &Case) -> &'static [Hook] {
    if case.complete.is_some() {
        &[Hook::Complete]
    } else if case.stream.is_some() {
        &[Hook::Redact, Hook::Stream]
    } else if case.reply.is_some() {
        &[Hook::Redact, Hook::GuardResponse]
    } else if case.attempt.is_some() {
        &[Hook::Attempt]
    } else if !case.errors.is_empty() {
        &[Hook::OnError]
    } else if case.usage.is_some() || case.list_price.is_some() {
        &[Hook::Price]
    } else {
        &[Hook::Admit, Hook::Guard, Hook::Redact, Hook::Route, Hook::OnError, Hook::Attempt, Hook::Price]
    }
}
