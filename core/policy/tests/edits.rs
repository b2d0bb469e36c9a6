//! Chains of guards: whatever they answer, the body that comes out is a request with just the edits that were right.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod fake;

use fake::{Fake, Now, guarded, replace, texts, view};
use proptest::prelude::*;
use weir_policy::pipeline::{GuardEnd, Pipeline};
use weir_policy::verdict::{Edit, Guarded};

type Wanted = (u32, usize, usize, String);

/// What the contract says of a list of edits, written the slow way. `None` is a fault.
fn model(texts: &[String], edits: &[Wanted]) -> Option<Vec<String>> {
    let mut sorted: Vec<_> = edits.iter().collect();
    sorted.sort_by_key(|(segment, start, end, _)| (*segment, *start, *end));
    let mut out = texts.to_vec();
    for pair in sorted.windows(2) {
        if pair[0].0 == pair[1].0 && pair[1].1 < pair[0].2 {
            return None;
        }
    }
    for (segment, start, end, text) in sorted.into_iter().rev() {
        let original = texts.get(*segment as usize)?;
        original.get(*start..*end)?;
        out[*segment as usize].replace_range(*start..*end, text);
    }
    out.retain(|text| !text.is_empty());
    Some(out)
}

fn edits(wanted: &[Wanted]) -> Vec<Edit> {
    wanted.iter().map(|(segment, start, end, text)| replace(*segment, *start, *end, text)).collect()
}

fn any_edit() -> impl Strategy<Value = Wanted> {
    (0u32..3, 0usize..8, 0usize..4, "[x\"\\\\\né😀]{0,3}")
        .prop_map(|(s, at, len, text)| (s, at, at + len, text))
}

proptest! {
    #[test]
    fn a_chain_of_guards_edits_as_the_model_says(
        before in prop::collection::vec("[ab\"\\\\\n\té😀]{0,6}", 1..3),
        rounds in prop::collection::vec(prop::collection::vec(any_edit(), 0..4), 1..4),
    ) {
        // An empty text is no segment.
        let mut expected: Vec<_> = before.iter().filter(|text| !text.is_empty()).cloned().collect();
        let mut refused = false;
        for round in &rounds {
            match model(&expected, round) {
                Some(after) => expected = after,
                None => { refused = true; break }
            }
        }
        let guards = rounds.iter().enumerate().map(|(n, round)| {
            let answer = guarded(Guarded::Edit(edits(round)));
            Fake::new(&format!("g{n}"), "hooks: [guard]\nreads: content").guard(move |_| Ok(answer.clone())).bind()
        });
        let refs: Vec<&str> = before.iter().map(String::as_str).collect();
        let outcome = Pipeline::new(guards.collect()).unwrap().guard_now(&view(&refs));
        prop_assert_eq!(matches!(outcome.end, GuardEnd::Blocked(_)), refused);
        prop_assert_eq!(texts(&outcome.view), expected);
        prop_assert_eq!(outcome.view.request().model(), "fast");
    }
}
