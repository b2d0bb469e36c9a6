//! What `guard` and `guard_response` answer: `pass()`, `edit([…])`, `block(deny)`, `answer(text)`, with findings and tags.

use super::plan::{change, kind};
use super::request::offset;
use crate::api::registrar::Api;
use crate::fault::misuse;
use crate::meter;
use rhai::{Array, Dynamic, EvalAltResult, FLOAT, INT, ImmutableString};
use weir_policy::{Closing, Deny, Edit, Finding, GuardVerdict, Guarded, Hit, Replacement, Severity};

type Answer<T> = Result<T, Box<EvalAltResult>>;

/// What a `guard` or `guard_response` function returned. There is no default: a branch that forgets to answer must not let a request pass.
pub(crate) fn verdict(hook: &str, value: Dynamic) -> Result<GuardVerdict, String> {
    value.try_cast_result::<GuardVerdict>().map_err(|value| {
        format!("`{hook}` answered with {}; say pass(), edit(…), block(deny) or answer(text)", kind(&value))
    })
}

pub(super) fn register(api: &mut Api<'_>) {
    api.custom_type::<GuardVerdict>("Verdict");
    api.custom_type::<Edit>("Edit");
    api.custom_type::<Replacement>("Replacement");
    outcomes(api);
    replacements(api);
    edits(api);
    notes::<GuardVerdict>(api);
    notes::<Closing>(api);
}

fn outcomes(api: &mut Api<'_>) {
    api.function("pass", || Ok(GuardVerdict::pass()));
    api.function("block", |deny: Deny| Ok(of(Guarded::Block(deny))));
    api.function("answer", |text: ImmutableString| {
        meter::keep(text.len())?;
        Ok(of(Guarded::Answer(text.as_str().to_owned())))
    });
    api.function("edit", |edits: Array| {
        let edits = edits.into_iter().map(|value| {
            value
                .try_cast_result::<Edit>()
                .map_err(|value| misuse(format!("{} where an edit is needed", kind(&value))))
        });
        edits.collect::<Answer<Vec<_>>>().map(|edits| of(Guarded::Edit(edits)))
    });
}

fn of(outcome: Guarded) -> GuardVerdict {
    GuardVerdict { outcome, ..GuardVerdict::pass() }
}

fn replacements(api: &mut Api<'_>) {
    api.function("text", |text: ImmutableString| {
        meter::keep(text.len())?;
        Ok(Replacement::Text(text.as_str().to_owned()))
    });
    api.function("drop", || Ok(Replacement::Drop));
    api.function("vault", |class: ImmutableString| Ok(Replacement::Vault(class.as_str().to_owned())));
    api.function("hash", |class: ImmutableString| Ok(Replacement::Hash(class.as_str().to_owned())));
}

fn edits(api: &mut Api<'_>) {
    api.function("edit", |segment: INT, start: INT, end: INT, replace: Replacement| {
        meter::keep(bytes(&replace))?;
        Ok(Edit { segment: offset(segment)?, start: offset(start)?, end: offset(end)?, replace })
    });
    api.function("edit", |hit: Hit, replace: Replacement| {
        meter::keep(bytes(&replace))?;
        Ok(at(&hit, replace))
    });
    // In a stream there is one text.
    api.function("edit", |start: INT, end: INT, replace: Replacement| {
        meter::keep(bytes(&replace))?;
        Ok(Edit { segment: 0, start: offset(start)?, end: offset(end)?, replace })
    });
    api.function("edits", |hits: Array, replace: Replacement| {
        let hits = joined(hits)?;
        meter::keep(hits.len().saturating_mul(bytes(&replace)))?;
        Ok(hits.iter().map(|hit| Dynamic::from(at(hit, replace.clone()))).collect::<Array>())
    });
}

/// What an edit with it takes.
fn bytes(replace: &Replacement) -> usize {
    let text = match replace {
        Replacement::Text(text) | Replacement::Vault(text) | Replacement::Hash(text) => text.len(),
        Replacement::Drop => 0,
    };
    size_of::<Edit>() + text
}

fn at(hit: &Hit, replace: Replacement) -> Edit {
    Edit { segment: hit.segment, start: hit.start, end: hit.end, replace }
}

/// Hits in order; those that overlap become one, since edits must not.
pub(super) fn joined(hits: Array) -> Answer<Vec<Hit>> {
    let hits = hits.into_iter().map(|value| {
        value
            .try_cast_result::<Hit>()
            .map_err(|value| misuse(format!("{} where a hit is needed", kind(&value))))
    });
    let mut hits = hits.collect::<Answer<Vec<_>>>()?;
    hits.sort_by_key(|hit| (hit.segment, hit.start, hit.end));
    let mut spans: Vec<Hit> = Vec::with_capacity(hits.len());
    for hit in hits {
        match spans.last_mut() {
            Some(last) if last.segment == hit.segment && hit.start < last.end => {
                last.end = last.end.max(hit.end)
            }
            _ => spans.push(hit),
        }
    }
    Ok(spans)
}

/// What takes findings and tags: a verdict, and the end of a stream.
trait Noted: Clone + Send + Sync + 'static {
    fn findings(&mut self) -> &mut Vec<Finding>;
    fn tags(&mut self) -> &mut Vec<(String, String)>;
}

impl Noted for GuardVerdict {
    fn findings(&mut self) -> &mut Vec<Finding> {
        &mut self.findings
    }

    fn tags(&mut self) -> &mut Vec<(String, String)> {
        &mut self.tags
    }
}

impl Noted for Closing {
    fn findings(&mut self) -> &mut Vec<Finding> {
        &mut self.findings
    }

    fn tags(&mut self) -> &mut Vec<(String, String)> {
        &mut self.tags
    }
}

type Name = ImmutableString;

fn notes<T: Noted>(api: &mut Api<'_>) {
    api.function("finding", |noted: &mut T, rule: Name, how_bad: Name| {
        note(noted, &rule, &how_bad, None, 1.0)
    });
    api.function("finding", |noted: &mut T, rule: Name, how_bad: Name, hit: Hit| {
        note(noted, &rule, &how_bad, Some(hit), 1.0)
    });
    api.function("finding", |noted: &mut T, rule: Name, how_bad: Name, hit: Hit, score: FLOAT| {
        note(noted, &rule, &how_bad, Some(hit), score)
    });
    api.function("tag", |noted: &mut T, name: Name, value: Name| {
        meter::keep(name.len() + value.len())?;
        Ok(change(noted, |noted| noted.tags().push((name.as_str().to_owned(), value.as_str().to_owned()))))
    });
}

fn note<T: Noted>(noted: &mut T, rule: &str, how_bad: &str, hit: Option<Hit>, score: FLOAT) -> Answer<T> {
    meter::keep(size_of::<Finding>() + rule.len())?;
    let finding = Finding {
        rule: rule.to_owned(),
        severity: severity(how_bad)?,
        segment: hit.map(|hit| hit.segment),
        start: hit.map_or(0, |hit| hit.start),
        end: hit.map_or(0, |hit| hit.end),
        score: score as f32,
    };
    Ok(change(noted, |noted| noted.findings().push(finding)))
}

/// The WIT names.
pub(crate) const SEVERITIES: [(&str, Severity); 5] = [
    ("info", Severity::Info),
    ("low", Severity::Low),
    ("medium", Severity::Medium),
    ("high", Severity::High),
    ("critical", Severity::Critical),
];

/// How bad, by its WIT name.
pub(super) fn severity(name: &str) -> Answer<Severity> {
    let known = SEVERITIES.iter().find(|(known, _)| *known == name);
    known
        .map(|(_, severity)| *severity)
        .ok_or_else(|| misuse("a severity is info, low, medium, high or critical"))
}
