//! A question at rest: what was asked, with the facts as they were then, apart from the exchange that asked it. It can be
//! asked again, of another version or with something left out.

use std::sync::Arc;
use weir_policy::{Candidates, Head, Live, LiveFacts, Question, RequestView};

/// The question with views of its own and facts that stand still.
pub fn frozen(question: &Question) -> Question {
    map(question, &|view| Arc::new(view.apart()), &still)
}

/// As a policy sees it whose instances serve several organisations.
pub fn anonymous(question: &Question) -> Question {
    let Question::Complete { batch } = question else {
        return map(question, &|view| Arc::new(view.anonymous()), &Arc::clone);
    };
    let nobody = batch.iter().cloned().map(|mut summary| {
        summary.head = Arc::new(summary.head.anonymous());
        summary
    });
    Question::Complete { batch: nobody.collect() }
}

/// The same with another head.
pub fn with_head(question: &Question, head: &Head) -> Question {
    map(question, &|view| Arc::new(view.with_head(head.clone())), &Arc::clone)
}

/// The same with other candidates, and nothing read yet.
pub fn with_candidates(question: &Question, candidates: &Arc<Candidates>) -> Question {
    map(question, &|view| Arc::new(view.apart()), &|_| Arc::clone(candidates))
}

/// The request that is asked about; none with `complete`.
pub const fn view(question: &Question) -> Option<&Arc<RequestView>> {
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

/// The targets that an answer may name.
pub const fn candidates(question: &Question) -> Option<&Arc<Candidates>> {
    match question {
        Question::Route { candidates, .. }
        | Question::Attempt { candidates, .. }
        | Question::OnError { candidates, .. } => Some(candidates),
        _ => None,
    }
}

/// Bytes that the question keeps in memory when its exchange has gone.
pub fn bytes(question: &Question) -> usize {
    let reply = match question {
        Question::GuardResponse { request, .. } => request.body().len(),
        Question::Stream { heard, .. } => heard.bytes(),
        _ => 0,
    };
    view(question).map_or(0, |view| view.body().len()) + reply
}

type OfView<'a> = &'a dyn Fn(&Arc<RequestView>) -> Arc<RequestView>;
type OfCandidates<'a> = &'a dyn Fn(&Arc<Candidates>) -> Arc<Candidates>;

fn map(question: &Question, of: OfView<'_>, among: OfCandidates<'_>) -> Question {
    match question {
        Question::Admit { view } => Question::Admit { view: of(view) },
        Question::Guard { view } => Question::Guard { view: of(view) },
        Question::Redact { view, direction } => Question::Redact { view: of(view), direction: *direction },
        Question::Route { view, candidates } => {
            Question::Route { view: of(view), candidates: among(candidates) }
        }
        Question::Attempt { view, candidates, facts } => {
            Question::Attempt { view: of(view), candidates: among(candidates), facts: Arc::clone(facts) }
        }
        Question::OnError { view, candidates, errors } => {
            Question::OnError { view: of(view), candidates: among(candidates), errors: Arc::clone(errors) }
        }
        Question::GuardResponse { request, reply, meta } => {
            Question::GuardResponse { request: of(request), reply: of(reply), meta: Arc::clone(meta) }
        }
        Question::Stream { view, heard } => Question::Stream { view: of(view), heard: Arc::clone(heard) },
        Question::Quote { view, bound } => Question::Quote { view: of(view), bound: Arc::clone(bound) },
        Question::Price { view, base } => Question::Price { view: of(view), base: Arc::clone(base) },
        Question::Complete { batch } => Question::Complete { batch: Arc::clone(batch) },
    }
}

/// Live facts move on between two questions: what is compared must not.
fn still(candidates: &Arc<Candidates>) -> Arc<Candidates> {
    let facts = candidates.allowed.iter().copied().zip(candidates.all_live());
    Arc::new(fixed(candidates, candidates.allowed.to_vec(), facts.collect()))
}

/// These targets with these facts.
pub fn fixed(of: &Candidates, allowed: Vec<u16>, facts: Vec<(u16, Live)>) -> Candidates {
    Candidates { table: Arc::clone(&of.table), allowed: allowed.into(), facts: Arc::new(Fixed(facts)) }
}

struct Fixed(Vec<(u16, Live)>);

impl LiveFacts for Fixed {
    fn live(&self, target: u16) -> Live {
        let known = self.0.iter().find(|(known, _)| *known == target);
        known.map_or_else(|| Live { target, ..Live::default() }, |(_, live)| *live)
    }
}
