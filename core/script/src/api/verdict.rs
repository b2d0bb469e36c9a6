//! What `guard` answers: `pass()`, `edit([…])`, `block(deny)`, `answer(text)`, with findings and tags.

use super::plan::kind;
use super::request::offset;
use crate::fault::misuse;
use rhai::{Array, Dynamic, EvalAltResult, FLOAT, INT, ImmutableString, Module};
use weir_policy::{Deny, Edit, Finding, GuardVerdict, Guarded, Hit, Replacement, Severity};

type Answer<T> = Result<T, Box<EvalAltResult>>;

/// What a `guard` function returned. There is no default: a branch that forgets to answer must not let a request pass.
pub(crate) fn verdict(value: Dynamic) -> Result<GuardVerdict, String> {
    value.try_cast_result::<GuardVerdict>().map_err(|value| {
        format!("`guard` answered with {}; say pass(), edit(…), block(deny) or answer(text)", kind(&value))
    })
}

pub(super) fn register(module: &mut Module) {
    module.set_custom_type::<GuardVerdict>("Verdict");
    module.set_custom_type::<Edit>("Edit");
    module.set_custom_type::<Replacement>("Replacement");
    outcomes(module);
    replacements(module);
    edits(module);
    notes(module);
}

fn outcomes(module: &mut Module) {
    module.set_native_fn("pass", || Ok(GuardVerdict::pass()));
    module.set_native_fn("block", |deny: Deny| Ok(of(Guarded::Block(deny))));
    module.set_native_fn("answer", |text: ImmutableString| Ok(of(Guarded::Answer(text.as_str().to_owned()))));
    module.set_native_fn("edit", |edits: Array| {
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

fn replacements(module: &mut Module) {
    module.set_native_fn("text", |text: ImmutableString| Ok(Replacement::Text(text.as_str().to_owned())));
    module.set_native_fn("drop", || Ok(Replacement::Drop));
    module.set_native_fn("vault", |class: ImmutableString| Ok(Replacement::Vault(class.as_str().to_owned())));
    module.set_native_fn("hash", |class: ImmutableString| Ok(Replacement::Hash(class.as_str().to_owned())));
}

fn edits(module: &mut Module) {
    module.set_native_fn("edit", |segment: INT, start: INT, end: INT, replace: Replacement| {
        Ok(Edit { segment: offset(segment)?, start: offset(start)?, end: offset(end)?, replace })
    });
    module.set_native_fn("edit", |hit: Hit, replace: Replacement| Ok(at(&hit, replace)));
    module.set_native_fn("edits", |hits: Array, replace: Replacement| {
        let hits = hits.into_iter().map(|value| {
            value
                .try_cast_result::<Hit>()
                .map_err(|value| misuse(format!("{} where a hit is needed", kind(&value))))
        });
        Ok(joined(hits.collect::<Answer<Vec<_>>>()?, &replace))
    });
}

fn at(hit: &Hit, replace: Replacement) -> Edit {
    Edit { segment: hit.segment, start: hit.start, end: hit.end, replace }
}

/// One edit per hit; hits that overlap become one, since edits must not.
fn joined(mut hits: Vec<Hit>, replace: &Replacement) -> Array {
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
    spans.iter().map(|hit| Dynamic::from(at(hit, replace.clone()))).collect()
}

fn notes(module: &mut Module) {
    module.set_native_fn(
        "finding",
        |verdict: &mut GuardVerdict, rule: ImmutableString, how_bad: ImmutableString| {
            note(verdict, &rule, &how_bad, None, 1.0)
        },
    );
    module.set_native_fn(
        "finding",
        |verdict: &mut GuardVerdict, rule: ImmutableString, how_bad: ImmutableString, hit: Hit| {
            note(verdict, &rule, &how_bad, Some(hit), 1.0)
        },
    );
    module.set_native_fn(
        "finding",
        |verdict: &mut GuardVerdict,
         rule: ImmutableString,
         how_bad: ImmutableString,
         hit: Hit,
         score: FLOAT| { note(verdict, &rule, &how_bad, Some(hit), score) },
    );
    module.set_native_fn(
        "tag",
        |verdict: &mut GuardVerdict, name: ImmutableString, value: ImmutableString| {
            verdict.tags.push((name.as_str().to_owned(), value.as_str().to_owned()));
            Ok(verdict.clone())
        },
    );
}

fn note(
    verdict: &mut GuardVerdict,
    rule: &str,
    how_bad: &str,
    hit: Option<Hit>,
    score: FLOAT,
) -> Answer<GuardVerdict> {
    verdict.findings.push(Finding {
        rule: rule.to_owned(),
        severity: severity(how_bad)?,
        segment: hit.map(|hit| hit.segment),
        start: hit.map_or(0, |hit| hit.start),
        end: hit.map_or(0, |hit| hit.end),
        score: score as f32,
    });
    Ok(verdict.clone())
}

fn severity(name: &str) -> Answer<Severity> {
    match name {
        "info" => Ok(Severity::Info),
        "low" => Ok(Severity::Low),
        "medium" => Ok(Severity::Medium),
        "high" => Ok(Severity::High),
        "critical" => Ok(Severity::Critical),
        _ => Err(misuse("a severity is info, low, medium, high or critical")),
    }
}
