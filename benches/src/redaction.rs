//! How good the detector of personal data is, by its own corpora and by an outside judge, and how fast it reads.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::failure::{Context, Failure, Result};
use crate::figures::Series;
use crate::process::{SYSTEM_CORE, output, pinned};
use crate::report::Report;

/// Precision and recall by class, the worse of the two halves of the corpora; megabytes a second.
pub fn quality(program: &Path, report: &mut Report) -> Result<()> {
    let said = output(&mut pinned(SYSTEM_CORE, program))?;
    let last = said.lines().next_back().unwrap_or_default();
    let figures: Value = serde_json::from_str(last).context(program.display())?;
    let rows = figures["classes"].as_array().ok_or_else(|| Failure::new("no classes were scored"))?;
    let mut classes: Vec<&str> = rows.iter().filter_map(|row| row["class"].as_str()).collect();
    classes.sort_unstable();
    classes.dedup();
    for class in classes {
        for figure in ["precision", "recall"] {
            let of = rows.iter().filter(|row| row["class"] == class).filter_map(|row| row[figure].as_f64());
            let worse = of.fold(f64::INFINITY, f64::min);
            report.at_least(
                format!("redact_{figure}_{}", class.replace('-', "_")),
                Series(vec![worse]),
                0.98,
            );
        }
    }
    report.at_least("redact_scan_mb_s", Series(vec![number(&figures, "/mb_per_s")?]), 100.0);
    report.once("redact_scan_mb_s_dense", number(&figures, "/mb_per_s_dense")?);
    Ok(())
}

/// PyPI's `pii-leak-benchmark`: every cut of every value, as streams and whole.
pub fn judge(script: &Path, work: &Path, report: &mut Report) -> Result<()> {
    let said = output(Command::new(script).arg(work.join("pii-judge")))?;
    let figures: Value = serde_json::from_str(said.trim()).context(script.display())?;
    for (name, pointer) in [
        ("pii_leak_single_chunk", "/v2/leak_single_chunk"),
        ("pii_leak_adversarial", "/v2/leak_adversarial"),
        ("pii_delta_fragments", "/v2/delta_frag"),
        ("pii_partial_emission", "/partial/partial_emission_rate/overall"),
    ] {
        report.against(name, Series(vec![number(&figures, pointer)?]), 0.0);
    }
    report.at_least("pii_fidelity", Series(vec![number(&figures, "/v2/fidelity_rate")?]), 1.0);
    let verdict = figures.pointer("/ci/verdict").and_then(Value::as_str).unwrap_or("none");
    report.note(format!("pii-leak-benchmark ci: {verdict}"));
    Ok(())
}

fn number(figures: &Value, pointer: &str) -> Result<f64> {
    let figure = figures.pointer(pointer).and_then(Value::as_f64);
    figure.ok_or_else(|| Failure::new(format!("{pointer} is missing in {figures}")))
}
