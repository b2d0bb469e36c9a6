//! What `redact` answers: spans whose texts are the manifest's, by name or by index. Nothing that a redactor has read can
//! leave by them.

use super::plan::kind;
use super::request::offset;
use super::verdict::{joined, severity};
use crate::api::registrar::Api;
use crate::fault::misuse;
use crate::meter;
use rhai::{Array, Dynamic, EvalAltResult, INT, ImmutableString};
use weir_policy::{GuardVerdict, Guarded, Hit, Manifest, Redaction, Replacement, Severity, Span};

type Answer<T> = Result<T, Box<EvalAltResult>>;

/// An entry of a list of the manifest.
#[derive(Clone)]
pub(super) enum Entry {
    Index(u16),
    Name(ImmutableString),
}

/// What comes in place of a span.
#[derive(Clone)]
pub(super) enum Wanted {
    Mask(Entry),
    Vault(Entry),
    Hash(Entry),
    Drop,
    Refuse,
    Report,
}

/// A span before its names are looked up.
#[derive(Clone)]
pub(super) struct Draft {
    place: Hit,
    rule: Entry,
    severity: Severity,
    replace: Wanted,
}

/// What a `redact` function returned.
pub(crate) fn spans(value: Dynamic, manifest: &Manifest) -> Result<Vec<Span>, String> {
    if is_pass(&value) {
        return Ok(Vec::new());
    }
    match value.try_cast_result::<Array>() {
        Ok(list) => resolved(list, manifest),
        Err(value) => Err(format!("`redact` answered with {}; say pass() or [span(…), …]", kind(&value))),
    }
}

/// A list of spans with their names looked up.
pub(super) fn resolved(list: Array, manifest: &Manifest) -> Result<Vec<Span>, String> {
    let one = |value: Dynamic| match value.try_cast_result::<Draft>() {
        Ok(draft) => draft.resolve(manifest),
        Err(value) => Err(format!("{} where a span is needed; say span(…)", kind(&value))),
    };
    list.into_iter().map(one).collect()
}

/// Whether it is a plain `pass()`.
pub(super) fn is_pass(value: &Dynamic) -> bool {
    value.read_lock::<GuardVerdict>().is_some_and(|verdict| {
        matches!(verdict.outcome, Guarded::Pass) && verdict.findings.is_empty() && verdict.tags.is_empty()
    })
}

impl Draft {
    fn resolve(self, manifest: &Manifest) -> Result<Span, String> {
        let masks = &manifest.redact.masks;
        let classes = &manifest.redact.classes;
        let replace = match &self.replace {
            Wanted::Mask(entry) => Redaction::Mask(entry.index(masks, "redact.masks")?),
            Wanted::Vault(entry) => Redaction::Vault(entry.index(classes, "redact.classes")?),
            Wanted::Hash(entry) => Redaction::Hash(entry.index(classes, "redact.classes")?),
            Wanted::Drop => Redaction::Drop,
            Wanted::Refuse => Redaction::Refuse,
            Wanted::Report => Redaction::Report,
        };
        let Hit { segment, start, end, .. } = self.place;
        let rule = self.rule.index(&manifest.declares.rules, "declares.rules")?;
        Ok(Span { segment, start, end, rule, severity: self.severity, replace })
    }
}

impl Entry {
    /// The name is not shown: it may be what the redactor has read.
    fn index(&self, list: &[String], of: &str) -> Result<u16, String> {
        let at = match self {
            Self::Index(index) => Some(*index).filter(|index| usize::from(*index) < list.len()),
            Self::Name(name) => {
                let at = list.iter().position(|known| known.as_str() == name.as_str());
                at.and_then(|at| u16::try_from(at).ok())
            }
        };
        at.ok_or_else(|| format!("the manifest's `{of}` has no such entry"))
    }

    fn of(value: Dynamic, what: &str) -> Answer<Self> {
        match value.try_cast_result::<ImmutableString>() {
            Ok(name) => Ok(Self::Name(name)),
            Err(value) => {
                let index = value.as_int().ok().and_then(|index| u16::try_from(index).ok());
                index.map(Self::Index).ok_or_else(|| misuse(format!("{what} is a name or an index")))
            }
        }
    }
}

pub(super) fn register(api: &mut Api<'_>) {
    api.custom_type::<Draft>("Span");
    api.custom_type::<Wanted>("Redaction");
    api.function("mask", |entry: Dynamic| Entry::of(entry, "a mask").map(Wanted::Mask));
    api.function("hash", |index: INT| Entry::of(index.into(), "a class").map(Wanted::Hash));
    api.function("vault", |index: INT| Entry::of(index.into(), "a class").map(Wanted::Vault));
    api.function("refuse", || Ok(Wanted::Refuse));
    api.function("report", || Ok(Wanted::Report));
    api.function("span", |hit: Hit, rule: Dynamic, how_bad: ImmutableString, replace: Dynamic| {
        draft(hit, rule, &how_bad, replace)
    });
    api.function(
        "span",
        |start: INT, end: INT, rule: Dynamic, how_bad: ImmutableString, replace: Dynamic| {
            draft(hit(0, start, end)?, rule, &how_bad, replace)
        },
    );
    api.function(
        "span",
        |segment: INT, start: INT, end: INT, rule: Dynamic, how_bad: ImmutableString, replace: Dynamic| {
            draft(hit(segment, start, end)?, rule, &how_bad, replace)
        },
    );
    api.function("spans", |hits: Array, rule: Dynamic, how_bad: ImmutableString, replace: Dynamic| {
        let one = |hit: Hit| draft(hit, rule.clone(), &how_bad, replace.clone()).map(Dynamic::from);
        joined(hits)?.into_iter().map(one).collect::<Answer<Array>>()
    });
}

fn hit(segment: INT, start: INT, end: INT) -> Answer<Hit> {
    Ok(Hit { pattern: 0, segment: offset(segment)?, start: offset(start)?, end: offset(end)? })
}

fn draft(place: Hit, rule: Dynamic, how_bad: &str, replace: Dynamic) -> Answer<Draft> {
    meter::keep(size_of::<Draft>())?;
    let rule = Entry::of(rule, "a rule")?;
    Ok(Draft { place, rule, severity: severity(how_bad)?, replace: wanted(replace)? })
}

fn wanted(value: Dynamic) -> Answer<Wanted> {
    let value = match value.try_cast_result::<Wanted>() {
        Ok(wanted) => return Ok(wanted),
        Err(value) => value,
    };
    match value.try_cast_result::<Replacement>() {
        Ok(Replacement::Drop) => Ok(Wanted::Drop),
        Ok(Replacement::Hash(class)) => Ok(Wanted::Hash(Entry::Name(class.into()))),
        Ok(Replacement::Vault(class)) => Ok(Wanted::Vault(Entry::Name(class.into()))),
        Ok(Replacement::Text(_)) => {
            Err(misuse("a redactor writes no text of its own; mask(name) stands for one of the manifest's"))
        }
        Err(value) => Err(misuse(format!(
            "{} where mask(…), vault(…), hash(…), drop(), refuse() or report() is needed",
            kind(&value)
        ))),
    }
}
