//! A question put to an instance, hook by hook.

use crate::exports::Exports;
use crate::instance::Instance;
use crate::state::{Call, View, Who};
use crate::{lift, lower};
use std::sync::Arc;
use wasmtime::component::Resource;
use weir_policy::{Answer, Candidates, Question, RequestView, Summary};

/// A hook that the manifest does not name.
#[derive(Debug, thiserror::Error)]
#[error("the policy has no such hook")]
pub(crate) struct NoHook;

/// Asks an armed instance.
pub(crate) async fn hook(
    instance: &mut Instance,
    exports: &Exports,
    question: &Question,
) -> wasmtime::Result<Answer> {
    let shared = instance.store.data().constants.manifest.shared;
    let head = |view: &Arc<RequestView>| lower::Head::of(view, shared);
    Ok(match question {
        Question::Admit { view } => {
            let (answer,) = instance.invoke(named(&exports.admit)?, (head(view),)).await?;
            Answer::Admit(lift::admission(answer))
        }
        Question::Guard { .. } => {
            let (answer,) = instance.invoke(named(&exports.guard)?, (handle(),)).await?;
            Answer::Guard(lift::verdict(answer))
        }
        Question::Redact { direction, .. } => {
            let params = (lower::direction(*direction), handle());
            let (answer,) = instance.invoke(&named(&exports.redact)?.redact, params).await?;
            Answer::Redact(answer.map_err(|_| OwnError)?.into_iter().map(lift::span).collect())
        }
        Question::Route { view, .. } => {
            let (answer,) = instance.invoke(named(&exports.route)?, (head(view), handle())).await?;
            Answer::Route(lift::decision(answer))
        }
        Question::Attempt { view, facts, .. } => {
            let params = (head(view), lower::attempt_facts(facts), handle());
            let (answer,) = instance.invoke(named(&exports.attempt)?, params).await?;
            Answer::Attempt(lift::preparation(answer))
        }
        Question::OnError { view, errors, .. } => {
            let errors = errors.iter().map(lower::attempt_error).collect();
            let (answer,) = instance.invoke(named(&exports.on_error)?, (head(view), errors)).await?;
            Answer::OnError(lift::recovery(answer))
        }
        Question::GuardResponse { request, meta, .. } => {
            let params = (head(request), lower::meta(meta), handle());
            let (answer,) = instance.invoke(named(&exports.guard_response)?, params).await?;
            Answer::GuardResponse(lift::verdict(answer))
        }
        // See `stream`.
        Question::Stream { .. } => return Err(NoHook.into()),
        Question::Quote { view, bound } => {
            let params = (head(view), bound.target_id.to_string(), lower::base(bound));
            let (answer,) = instance.invoke(&named(&exports.price)?.quote, params).await?;
            Answer::Quote(weir_llm::price::Nanos(answer))
        }
        Question::Price { view, base } => {
            let params = (head(view), base.target_id.to_string(), lower::base(base));
            let (answer,) = instance.invoke(&named(&exports.price)?.price, params).await?;
            Answer::Price(lift::charge(answer))
        }
        Question::Complete { batch } => {
            let batch = batch.iter().map(|summary| lower::summary(summary, shared)).collect();
            instance.invoke(named(&exports.complete)?, (batch,)).await?;
            Answer::Complete
        }
    })
}

/// What a guest's borrow of the view is: see [`View`].
pub(crate) fn handle() -> Resource<View> {
    Resource::new_borrow(0)
}

pub(crate) fn named<T>(hook: &Option<T>) -> Result<&T, NoHook> {
    hook.as_ref().ok_or(NoHook)
}

/// A redactor's own error code: small, and of the policy's making, so it goes nowhere.
#[derive(Debug, thiserror::Error)]
#[error("the redactor failed with a code of its own")]
pub(crate) struct OwnError;

/// The views of a call.
pub(crate) fn call(question: &Question, shared: bool) -> Call {
    let batch = match question {
        Question::Complete { batch } => of_batch(batch, shared),
        _ => None,
    };
    let (view, candidates) = (view(question).map(Arc::clone), candidates(question).map(Arc::clone));
    Call { view, candidates, batch, ..Call::default() }
}

/// A batch is of one organisation but of many exchanges: the strictest says what may be kept.
fn of_batch(batch: &[Summary], shared: bool) -> Option<Who> {
    let first = batch.first()?;
    let strictest = batch.iter().map(|summary| summary.head.retention).min().unwrap_or_default();
    Some(Who { request_id: Arc::default(), retention: strictest, ..Who::of(&first.head, shared) })
}

/// What the guest's handle shows.
fn view(question: &Question) -> Option<&Arc<RequestView>> {
    match question {
        Question::Admit { view }
        | Question::Guard { view }
        | Question::Redact { view, .. }
        | Question::Route { view, .. }
        | Question::Attempt { view, .. }
        | Question::OnError { view, .. }
        | Question::Stream { view, .. }
        | Question::Quote { view, .. }
        | Question::Price { view, .. } => Some(view),
        Question::GuardResponse { reply, .. } => Some(reply),
        Question::Complete { .. } => None,
    }
}

/// What routing sees, where the hook may see it.
pub(crate) fn candidates(question: &Question) -> Option<&Arc<Candidates>> {
    match question {
        Question::Route { candidates, .. }
        | Question::Attempt { candidates, .. }
        | Question::OnError { candidates, .. } => Some(candidates),
        _ => None,
    }
}
