//! The smallest question of the same kind: what a change does not depend on is left out, one thing at a time, and both
//! versions are asked again whether they still differ in the same way.

use super::frozen;
use std::sync::Arc;
use weir_policy::{Candidates, DataClass, Head, Live, Needs, Question, Retention};

/// Most times that both versions are asked for one example.
const TRIES: usize = 200;

/// Leaves out what does not matter; `kind` asks both versions and says in what way they differ. Answers the question and
/// whether all was tried.
pub fn minimise(
    question: Question,
    wanted: &str,
    kind: &mut dyn FnMut(&Question) -> Option<String>,
) -> (Question, bool) {
    let mut state = State { question, tries: 0 };
    let mut still = |question: &Question| kind(question).as_deref() == Some(wanted);
    state.candidates(&mut still);
    state.facts(&mut still);
    state.head(&mut still);
    (state.question, state.tries < TRIES)
}

struct State {
    question: Question,
    tries: usize,
}

type Still<'a> = dyn FnMut(&Question) -> bool + 'a;

impl State {
    fn attempt(&mut self, smaller: Question, still: &mut Still<'_>) {
        if self.tries < TRIES {
            self.tries += 1;
            if still(&smaller) {
                self.question = smaller;
            }
        }
    }

    /// One target fewer, as long as there is one.
    fn candidates(&mut self, still: &mut Still<'_>) {
        let Some(all) = frozen::candidates(&self.question).map(Arc::clone) else { return };
        for target in all.allowed.iter().rev() {
            let Some(now) = frozen::candidates(&self.question).map(Arc::clone) else { return };
            let fewer: Vec<u16> = now.allowed.iter().copied().filter(|known| known != target).collect();
            if !fewer.is_empty() {
                self.attempt(self.among(fewer, &now, |_, live| live), still);
            }
        }
    }

    /// One target that is healthy, idle and was never measured.
    fn facts(&mut self, still: &mut Still<'_>) {
        let Some(all) = frozen::candidates(&self.question).map(Arc::clone) else { return };
        for &target in &*all.allowed {
            let Some(now) = frozen::candidates(&self.question).map(Arc::clone) else { return };
            let idle = Live { target, healthy: true, headroom: 1.0, ..Live::default() };
            if now.live(target) != idle {
                let calm = |known: u16, live: Live| if known == target { idle } else { live };
                self.attempt(self.among(now.allowed.to_vec(), &now, calm), still);
            }
        }
    }

    fn among(&self, allowed: Vec<u16>, now: &Candidates, of: impl Fn(u16, Live) -> Live) -> Question {
        let facts = allowed.iter().map(|target| (*target, of(*target, now.live(*target)))).collect();
        frozen::with_candidates(&self.question, &Arc::new(frozen::fixed(now, allowed, facts)))
    }

    /// One fact less of the request.
    fn head(&mut self, still: &mut Still<'_>) {
        let Some(head) = frozen::view(&self.question).map(|view| view.head().clone()) else { return };
        for tag in head.tags.iter() {
            self.without(still, |head| {
                head.tags = head.tags.iter().filter(|known| *known != tag).cloned().collect()
            });
        }
        for drop in DROPS {
            self.without(still, drop);
        }
    }

    fn without(&mut self, still: &mut Still<'_>, change: impl Fn(&mut Head)) {
        let Some(before) = frozen::view(&self.question).map(|view| view.head().clone()) else { return };
        let mut head = before.clone();
        change(&mut head);
        if head != before {
            self.attempt(frozen::with_head(&self.question, &head), still);
        }
    }
}

/// What a head may do without.
const DROPS: [fn(&mut Head); 12] = [
    |head| head.user_hash = None,
    |head| head.budget = None,
    |head| head.project = "".into(),
    |head| head.key_id = "".into(),
    |head| head.tenant = "".into(),
    |head| head.region = "".into(),
    |head| head.max_output_tokens = None,
    |head| head.class = DataClass::Internal,
    |head| head.retention = Retention::Unknown,
    |head| head.needs = Needs::default(),
    |head| head.attempt = 0,
    |head| head.est_input_tokens = 0,
];
