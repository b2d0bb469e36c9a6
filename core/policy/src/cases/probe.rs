//! A case as a call that can be made again and again: for measuring.

use super::ask::{self, Asked};
use super::file::Case;
use super::host::{Host, Script};
use super::run;
use super::suite::Suite;
use crate::head::{Head, Retention};
use crate::manifest::Hook;
use crate::policy::{Fault, LoadError, Policy};
use crate::question::{Answer, Question};
use crate::request::RequestView;
use futures::executor::block_on;
use std::sync::Arc;

/// One call of one hook, as a case makes it. Unlike a case it goes to the policy itself, past the pipeline.
pub struct Probe {
    /// The case's name.
    pub name: String,
    /// The hook.
    pub hook: Hook,
    policy: Arc<dyn Policy>,
    host: Arc<Host>,
    script: Script,
    warm: Asked,
    fresh: Asked,
}

impl Probe {
    pub(super) fn new(
        suite: &Suite,
        case: &Case,
        policy: &Arc<dyn Policy>,
        host: &Arc<Host>,
    ) -> Result<Self, LoadError> {
        let manifest = policy.manifest();
        let warm = ask::read(&suite.file, &suite.table, case, manifest)?;
        let fresh = ask::read(&suite.file, &suite.table, case, manifest)?.zero_retention();
        Ok(Self {
            name: case.name.value.clone(),
            hook: warm.hook(),
            policy: Arc::clone(policy),
            host: Arc::clone(host),
            script: run::script(suite, case, manifest)?,
            warm,
            fresh,
        })
    }

    /// Whether the policy may wait for something outside of the process.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.policy.waits()
    }

    /// Brings the host back to where the case begins; not part of the call.
    pub fn ready(&self) {
        self.host.begin(&self.script);
    }

    /// Makes the call. `fresh`: under zero retention, where no instance is used twice.
    ///
    /// # Errors
    /// The policy failed.
    pub fn ask(&self, fresh: bool) -> Result<(), Fault> {
        match if fresh { &self.fresh } else { &self.warm } {
            Asked::Once(question) => self.put(question).map(drop),
            Asked::Stream { hook: Hook::Redact, view, pieces, .. } => {
                let mut redactor = self.policy.stream_redactor(view)?;
                for (at, piece) in pieces.iter().enumerate() {
                    redactor.push(piece.lane, &piece.text, at + 1 == pieces.len())?;
                }
                Ok(())
            }
            Asked::Stream { view, pieces, usage, .. } => {
                let mut guard = self.policy.stream(view)?;
                for (at, piece) in pieces.iter().enumerate() {
                    guard.push(piece.lane, &piece.text, at + 1 == pieces.len())?;
                }
                guard.finish(usage).map(drop)
            }
        }
    }

    fn put(&self, question: &Question) -> Result<Answer, Fault> {
        if let Some(pass) = question.spared(&*self.policy) {
            return Ok(pass);
        }
        match self.policy.waits() {
            true => block_on(Arc::clone(&self.policy).later(question.clone())),
            false => question.ask(&*self.policy),
        }
    }
}

impl Asked {
    /// The same question about an exchange that leaves nothing behind.
    fn zero_retention(self) -> Self {
        match self {
            Self::Stream { hook, view, pieces, usage } => {
                Self::Stream { hook, view: zero(&view), pieces, usage }
            }
            Self::Once(question) => Self::Once(Box::new(match *question {
                Question::Admit { view } => Question::Admit { view: zero(&view) },
                Question::Guard { view } => Question::Guard { view: zero(&view) },
                Question::Redact { view, direction } => Question::Redact { view: zero(&view), direction },
                Question::Route { view, candidates } => Question::Route { view: zero(&view), candidates },
                Question::Attempt { view, candidates, facts } => {
                    Question::Attempt { view: zero(&view), candidates, facts }
                }
                Question::OnError { view, candidates, errors } => {
                    Question::OnError { view: zero(&view), candidates, errors }
                }
                Question::GuardResponse { request, reply, meta } => {
                    Question::GuardResponse { request: zero(&request), reply: zero(&reply), meta }
                }
                Question::Stream { view, heard } => Question::Stream { view: zero(&view), heard },
                Question::Quote { view, bound } => Question::Quote { view: zero(&view), bound },
                Question::Price { view, base } => Question::Price { view: zero(&view), base },
                Question::Complete { batch } => Question::Complete { batch },
            })),
        }
    }
}

fn zero(view: &RequestView) -> Arc<RequestView> {
    Arc::new(view.with_head(Head { retention: Retention::Zero, ..view.head().clone() }))
}
