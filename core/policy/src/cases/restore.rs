//! What a caller gets of what a model says about texts that were hidden from it: whole, and cut at every place.

use super::ask::{self, Asked};
use super::file::Case;
use crate::request::RequestView;
use crate::vault::Restorer;
use crate::verdict::{DeltaKind, Lane};

/// The first text that is restored in another way than the case says, if there is one.
pub(super) fn wrong(case: &Case, asked: &Asked) -> Option<String> {
    let wanted = case.restores.as_ref()?;
    let view = match asked {
        Asked::Once(question) => ask::view(question)?,
        Asked::Stream { view, .. } => view,
    };
    wanted.iter().find_map(|(said, wanted)| differs(view, said, wanted))
}

fn differs(view: &RequestView, said: &str, wanted: &str) -> Option<String> {
    let Some(mut restorer) = Restorer::new(view.vault()) else {
        return (said != wanted).then(|| format!("nothing was hidden, so {said:?} stays as it is"));
    };
    let kind = if said.trim_start().starts_with('{') { DeltaKind::ToolArgs } else { DeltaKind::Content };
    let lane = Lane { choice: 0, kind, index: 0 };
    let places = said.char_indices().map(|(at, _)| at);
    let cut = places.map(|at| (at, [&said[..at], &said[at..]])).find_map(|(at, pieces)| {
        let mut left = String::new();
        for (piece, last) in pieces.into_iter().zip([false, true]) {
            restorer.push(lane, piece, last, &mut |text| left.push_str(text));
        }
        (left != wanted).then_some((at, left))
    });
    cut.map(|(at, left)| format!("expected {wanted:?} of {said:?}, got {left:?} (cut at byte {at})"))
}
