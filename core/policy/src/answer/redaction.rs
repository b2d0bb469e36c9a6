//! What comes in place of a text: masks of the manifest, keyed hashes and vault tokens that are made here. The policy neither
//! chooses nor sees them.

use super::place::{Places, broken};
use super::{bad, edits};
use crate::manifest::Manifest;
use crate::policy::{Fault, FaultKind};
use crate::request::RequestView;
use crate::tracker::Tracker;
use crate::vault::{MAX_CLASS_BYTES, VaultError};
use crate::verdict::{
    DeltaKind, Deny, Direction, Edit, Finding, Lane, Redaction, Replacement, Span, TextEdit,
};
use weir_llm::request::SegmentKind;

/// The code of a refusal that a redactor asked for.
pub(crate) const SENSITIVE: &str = "sensitive_content";

/// What a redactor's spans come to.
pub(crate) struct Swaps<E> {
    pub(crate) edits: Vec<E>,
    pub(crate) findings: Vec<Finding>,
    /// It wants the content refused.
    pub(crate) refused: Option<Deny>,
}

/// A redactor's spans as edits: texts of the manifest, hashes and tokens, nothing of the redactor's own making.
pub(crate) fn redacted(
    spans: &[Span],
    manifest: &Manifest,
    view: &RequestView,
) -> Result<Swaps<Edit>, Fault> {
    let swaps = read(spans, manifest, |span, replace| {
        let Span { segment, start, end, .. } = *span;
        Edit { segment, start, end, replace }
    })?;
    match swaps.refused {
        Some(_) => Ok(swaps),
        None => Ok(Swaps { edits: edits(swaps.edits, view, &manifest.limits)?, ..swaps }),
    }
}

/// A redactor's spans of a window of a reply.
pub(crate) fn redacted_text(spans: &[Span], manifest: &Manifest) -> Result<Swaps<TextEdit>, Fault> {
    read(spans, manifest, |span, replace| TextEdit { start: span.start, end: span.end, replace })
}

fn read<E>(
    spans: &[Span],
    manifest: &Manifest,
    edit: impl Fn(&Span, Replacement) -> E,
) -> Result<Swaps<E>, Fault> {
    let mut swaps = Swaps { edits: Vec::with_capacity(spans.len()), findings: Vec::new(), refused: None };
    for span in spans {
        let found = finding(span, manifest)?;
        match wanted(span.replace, manifest)? {
            Wanted::Edit(replace) => swaps.edits.push(edit(span, replace)),
            Wanted::Refuse => {
                swaps.refused.get_or_insert_with(|| sensitive(&found.rule));
            }
            Wanted::Report => {}
        }
        swaps.findings.push(found);
    }
    Ok(swaps)
}

enum Wanted {
    Edit(Replacement),
    Refuse,
    Report,
}

/// What a redaction means by the manifest.
fn wanted(redaction: Redaction, manifest: &Manifest) -> Result<Wanted, Fault> {
    let entry = |list: &[String], index: u16, name: &str| {
        let entry = list.get(usize::from(index)).cloned();
        entry.ok_or_else(|| bad(format!("the manifest's `redact.{name}` has no entry {index}")))
    };
    let class = |index| entry(&manifest.redact.classes, index, "classes");
    Ok(match redaction {
        Redaction::Mask(index) => {
            Wanted::Edit(Replacement::Text(entry(&manifest.redact.masks, index, "masks")?))
        }
        Redaction::Hash(index) => Wanted::Edit(Replacement::Hash(class(index)?)),
        Redaction::Vault(index) => Wanted::Edit(Replacement::Vault(class(index)?)),
        Redaction::Drop => Wanted::Edit(Replacement::Drop),
        Redaction::Refuse => Wanted::Refuse,
        Redaction::Report => Wanted::Report,
    })
}

/// The rule is one of the manifest's, so it tells nothing of what was found.
fn sensitive(rule: &str) -> Deny {
    Deny {
        status: 403,
        code: SENSITIVE.into(),
        message: format!("This holds what may not pass here (rule `{rule}`)."),
        retry_after_ms: None,
    }
}

fn finding(span: &Span, manifest: &Manifest) -> Result<Finding, Fault> {
    let rule = manifest.declares.rules.get(usize::from(span.rule)).cloned();
    let rule =
        rule.ok_or_else(|| bad(format!("the manifest's `declares.rules` has no entry {}", span.rule)))?;
    let Span { segment, start, end, severity, .. } = *span;
    Ok(Finding { rule, severity, segment: Some(segment), start, end, score: 1.0 })
}

/// The edits of one segment as texts, at the places where they really go.
pub(super) fn swapped(group: &[Edit], view: &RequestView, made: &mut Vec<Edit>) -> Result<(), Fault> {
    let Some(segment) = group.first().map(|edit| edit.segment) else { return Ok(()) };
    let text = view.decoded(segment).map_err(|_| bad(format!("segment {segment} is no text")))?;
    let kind = view.kind(segment);
    let places = Places::whole(text);
    let direction = if view.shows_reply() { Direction::Reply } else { Direction::Request };
    let swaps = group.iter().map(|edit| (edit.start, edit.end, &edit.replace));
    let Swapped { swaps, tangled } = swap(text, &places, swaps, (view, direction))?;
    // Who replaces all of a text says what it is to be; a tool's arguments are JSON all the same.
    if !takes_all(text, &swaps) || kind == Some(SegmentKind::ToolCall) {
        if tangled && places.is_json() {
            return Err(broken());
        }
        places.check(&applied(text, &swaps))?;
    }
    made.extend(swaps.into_iter().map(|swap| Edit {
        segment,
        start: offset(swap.start),
        end: offset(swap.end),
        replace: swap.text.map_or(Replacement::Drop, Replacement::Text),
    }));
    Ok(())
}

/// A window's text after its edits; `None` if there are none. `text` is what of the lane's window leaves, `before` has followed
/// what left before it.
///
/// # Errors
/// An edit overlaps another, is out of range, held back or amid a character; or would break the JSON that it stands in.
pub(crate) fn edited_text(
    (lane, text): (Lane, &str),
    before: &Tracker,
    edits: &[TextEdit],
    (view, most): (&RequestView, u64),
) -> Result<Option<String>, Fault> {
    if edits.is_empty() {
        return Ok(None);
    }
    let mut order: Vec<&TextEdit> = edits.iter().collect();
    order.sort_by_key(|edit| (edit.start, edit.end));
    let apart = order.windows(2).all(|two| two[0].end <= two[1].start);
    let fits = |edit: &&TextEdit| text.get(edit.start as usize..edit.end as usize).is_some();
    if !apart || !order.iter().all(fits) {
        return Err(bad("an edit overlaps another, is out of range or held back, or cuts a character"));
    }
    let swaps = order.into_iter().map(|edit| (edit.start, edit.end, &edit.replace));
    let swaps = swap(text, &Places::window(text, before), swaps, (view, Direction::Reply))?.swaps;
    let written: u64 = swaps.iter().filter_map(|swap| swap.text.as_ref()).map(|text| text.len() as u64).sum();
    if written > most {
        return Err(bad("the edits are longer than output_bytes"));
    }
    let edited = applied(text, &swaps);
    if lane.kind != DeltaKind::ToolArgs && takes_all(text, &swaps) {
        return Ok(Some(edited));
    }
    let followed = |text: &str| {
        let mut tracker = before.clone();
        tracker.follow(text);
        tracker
    };
    let whole = followed(text);
    if whole.is_json() && !whole.is_where(&followed(&edited)) {
        return Err(broken());
    }
    Ok(Some(edited))
}

/// What comes in place of a range of bytes; `None`: nothing.
struct Swap {
    start: usize,
    end: usize,
    text: Option<String>,
}

/// The edits of one text.
struct Swapped {
    swaps: Vec<Swap>,
    /// Some change what JSON is made of and some hide: what is given back would not find the place that it was taken from.
    tangled: bool,
}

/// The edits are in order and apart. Where they go they may touch: what one takes is no longer there for the next.
fn swap<'a>(
    text: &str,
    places: &Places<'_>,
    edits: impl Iterator<Item = (u32, u32, &'a Replacement)>,
    (view, direction): (&RequestView, Direction),
) -> Result<Swapped, Fault> {
    let mut swaps: Vec<Swap> = Vec::new();
    let (mut structure, mut hides) = (false, false);
    for (start, end, replace) in edits {
        let mut spot = places.spot(start as usize, end as usize);
        let taken = swaps.last().map_or(0, |swap| swap.end);
        if spot.start < taken {
            if spot.end <= taken && start < end {
                continue;
            }
            spot.start = taken;
            spot.end = spot.end.max(taken);
        }
        structure |= spot.is_plain();
        hides |= matches!(replace, Replacement::Vault(_));
        let (original, number) = spot.original(text);
        let written = match replace {
            Replacement::Text(text) => Some(text.clone()),
            Replacement::Drop => None,
            Replacement::Vault(class) if direction == Direction::Request => {
                Some(minted(view, class, &original, number)?)
            }
            // Whoever gets a reply could not give a token back.
            Replacement::Hash(class) | Replacement::Vault(class) => Some(hashed(view, class, &original)?),
        };
        swaps.push(Swap { start: spot.start, end: spot.end, text: spot.written(written.as_deref()) });
    }
    Ok(Swapped { swaps, tangled: structure && hides })
}

fn takes_all(text: &str, swaps: &[Swap]) -> bool {
    matches!(swaps, [all] if all.start == 0 && all.end == text.len())
}

fn applied(text: &str, swaps: &[Swap]) -> String {
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    for swap in swaps {
        out.push_str(&text[at..swap.start]);
        out.push_str(swap.text.as_deref().unwrap_or_default());
        at = swap.end;
    }
    out.push_str(&text[at..]);
    out
}

/// The keyed hash that stands in place of a text.
fn hashed(view: &RequestView, class: &str, text: &str) -> Result<String, Fault> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if class.is_empty() || class.len() > MAX_CLASS_BYTES || !class.chars().all(plain) {
        return Err(bad("the class of a hash is not 1 to 32 of A-Z a-z 0-9 - _ ."));
    }
    view.hashed(class, text).ok_or_else(|| bad("this host has no key for hashes"))
}

/// The token that stands in place of a text. A full vault is no fault of the policy's, and opens no way past it.
fn minted(view: &RequestView, class: &str, text: &str, number: bool) -> Result<String, Fault> {
    view.vault().mint(class, text, number).map_err(|error| match error {
        VaultError::Class => bad(error.to_string()),
        VaultError::Full | VaultError::Random => Fault::new(FaultKind::VaultFull, error.to_string()),
    })
}

fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
