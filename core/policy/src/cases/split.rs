//! The same stream cut otherwise: a policy must not care how a provider cuts what the model says.

use super::host::mixed;
use super::play::Piece;

/// How many times a stream is cut at random, and into how many pieces at most.
const ROUNDS: u64 = 64;
const MOST_CUTS: u64 = 8;
/// How much text is shown on each side of a cut.
const SHOWN: usize = 24;

/// A way of cutting for which something does not hold: the first single cut if there is one, else one of several cuts none
/// of which can be left out. `holds` is told the pieces.
pub(super) fn counterexample(
    pieces: &[Piece],
    mut holds: impl FnMut(&[Piece]) -> bool,
) -> Option<(Vec<Piece>, String)> {
    let runs = runs(pieces);
    let places = places(&runs);
    let mut fails = |cuts: &[usize]| !holds(&cut(&runs, cuts));
    let found = ways(&places).find(|cuts| fails(cuts))?;
    let cuts = minimal(found, &mut fails);
    Some((cut(&runs, &cuts), shown(&runs, &cuts)))
}

/// Not cut at all; at each place; at every place; at some places, by chance that is the same in every run.
fn ways(places: &[usize]) -> impl Iterator<Item = Vec<usize>> {
    let single = places.iter().map(|&place| vec![place]);
    let some = (0..ROUNDS).map(|round| {
        let wanted = 2 + mixed(round) % (MOST_CUTS - 1);
        let draw = |n| mixed(round * 1_000 + n) as usize % places.len().max(1);
        let mut cuts: Vec<usize> = (0..wanted).filter_map(|n| places.get(draw(n)).copied()).collect();
        cuts.sort_unstable();
        cuts.dedup();
        cuts
    });
    std::iter::once(Vec::new()).chain(single).chain([places.to_vec()]).chain(some)
}

/// Leaves out cuts as long as it fails without them.
fn minimal(mut cuts: Vec<usize>, fails: &mut impl FnMut(&[usize]) -> bool) -> Vec<usize> {
    let mut at = 0;
    while cuts.len() > 1 && at < cuts.len() {
        let mut fewer = cuts.clone();
        fewer.remove(at);
        if fails(&fewer) {
            cuts = fewer;
        } else {
            at += 1;
        }
    }
    cuts
}

/// Neighbouring pieces of a lane, joined.
fn runs(pieces: &[Piece]) -> Vec<Piece> {
    let mut runs: Vec<Piece> = Vec::new();
    for piece in pieces {
        match runs.last_mut() {
            Some(run) if run.lane == piece.lane => run.text.push_str(&piece.text),
            _ => runs.push(piece.clone()),
        }
    }
    runs
}

/// Where the runs can be cut: offsets between two characters, counted over all of them.
fn places(runs: &[Piece]) -> Vec<usize> {
    let mut places = Vec::new();
    let mut start = 0;
    for run in runs {
        places.extend(run.text.char_indices().skip(1).map(|(at, _)| start + at));
        start += run.text.len();
    }
    places
}

fn cut(runs: &[Piece], cuts: &[usize]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut start = 0;
    for run in runs {
        let end = start + run.text.len();
        let (mut from, mut tool) = (start, run.tool.clone());
        for &at in cuts.iter().filter(|&&at| start < at && at < end) {
            pieces.push(Piece {
                lane: run.lane,
                tool: tool.take(),
                text: run.text[from - start..at - start].to_owned(),
            });
            from = at;
        }
        pieces.push(Piece { lane: run.lane, tool: tool.take(), text: run.text[from - start..].to_owned() });
        start = end;
    }
    pieces
}

/// `cut at byte 3 ("Hel" | "lo")`
fn shown(runs: &[Piece], cuts: &[usize]) -> String {
    let Some(&first) = cuts.first() else { return "in one piece".into() };
    let text: String = runs.iter().map(|run| run.text.as_str()).collect();
    let before = &text[text.floor_char_boundary(first.saturating_sub(SHOWN))..first];
    let after = &text[first..text.ceil_char_boundary((first + SHOWN).min(text.len()))];
    let list: Vec<String> = cuts.iter().map(ToString::to_string).collect();
    let bytes = if cuts.len() == 1 { "byte" } else { "bytes" };
    format!("cut at {bytes} {} ({before:?} | {after:?})", list.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::{DeltaKind, Lane};

    fn piece(index: u32, text: &str) -> Piece {
        Piece { lane: Lane { choice: 0, kind: DeltaKind::Content, index }, tool: None, text: text.into() }
    }

    fn texts(pieces: &[Piece]) -> Vec<&str> {
        pieces.iter().map(|piece| piece.text.as_str()).collect()
    }

    #[test]
    fn every_place_between_two_characters_is_tried_and_no_other() {
        let mut seen: Vec<Vec<String>> = Vec::new();
        let pieces = [piece(0, "h"), piece(0, "é"), piece(1, "x")];
        let none = counterexample(&pieces, |pieces| {
            seen.push(texts(pieces).into_iter().map(str::to_owned).collect());
            true
        });
        assert!(none.is_none());
        assert_eq!(seen[0], ["hé", "x"], "in one piece");
        assert_eq!(seen[1], ["h", "é", "x"]);
        assert!(seen.iter().all(|pieces| pieces.concat() == "héx"));
    }

    #[test]
    fn the_first_single_cut_is_found() {
        let fails = |pieces: &[Piece]| !pieces.iter().any(|piece| piece.text.contains("secret"));
        let (pieces, how) =
            counterexample(&[piece(0, "the secret is out")], |pieces| !fails(pieces)).unwrap_or_default();
        assert_eq!(texts(&pieces), ["the s", "ecret is out"]);
        assert_eq!(how, r#"cut at byte 5 ("the s" | "ecret is out")"#);
    }

    #[test]
    fn several_cuts_are_as_few_as_will_do() {
        let fails = |pieces: &[Piece]| pieces.len() > 3;
        let (pieces, how) =
            counterexample(&[piece(0, "abcdefgh")], |pieces| !fails(pieces)).unwrap_or_default();
        assert_eq!(pieces.len(), 4);
        assert!(how.starts_with("cut at bytes "), "{how}");
    }
}
