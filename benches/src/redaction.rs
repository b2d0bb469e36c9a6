//! How good redaction is: the detector by its own corpora, Weir with it by an outside judge; and what streams wait for it.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::failure::{Context, Failure, Result};
use crate::figures::Series;
use crate::first_text;
use crate::memory::first_key;
use crate::process::{SYSTEM_CORE, free_address, output, pinned};
use crate::report::Report;
use crate::round::Bench;
use crate::system::System;
use crate::weir::{Shipped, Site, Variant};

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

/// PyPI's `pii-leak-benchmark` on Weir with the redactor: every cut of every value, as streams and whole. The judge is its
/// own caller and its own provider.
pub fn judge(script: &Path, bench: &Bench, shipped: &Shipped, report: &mut Report) -> Result<()> {
    let work = bench.work.join("judge");
    let upstream = free_address()?;
    let system = System::Weir(Site::lay_out(Variant::Redacted, shipped, &upstream, &work)?);
    let running = system.start(&upstream, &work)?;
    let port = upstream.rsplit(':').next().unwrap_or_default();
    let mut command = Command::new(script);
    command.arg(work.join("out")).arg(format!("http://{}/v1", running.address)).arg(port);
    command.env("MODEL", "chat").env("CONFORMANCE_TARGET_API_KEY", first_key(bench, &system)?);
    let said = output(&mut command)?;
    running.stop()?;
    let figures: Value = serde_json::from_str(said.trim()).context(script.display())?;
    for (name, pointer) in [
        ("pii_leak_single_chunk", "/v2/leak_single_chunk"),
        ("pii_leak_adversarial", "/v2/leak_adversarial"),
        ("pii_delta_fragments", "/v2/delta_frag"),
        ("pii_partial_emission", "/partial/partial_emission_rate/overall"),
        ("pii_inconclusive", "/v2/inconclusive"),
    ] {
        report.against(name, Series(vec![number(&figures, pointer)?]), 0.0);
    }
    report.at_least("pii_fidelity", Series(vec![number(&figures, "/v2/fidelity_rate")?]), 1.0);
    let said = |pointer| figures.pointer(pointer).and_then(Value::as_str).unwrap_or("none");
    let (verdict, outcome) = (said("/ci/verdict"), said("/v2/outcome"));
    let cases = number(&figures, "/v2/cases_applicable")?;
    report.note(format!(
        "pii_*: pii-leak-benchmark on Weir itself with redact-pii: ci: {verdict}; v2: {outcome}, {cases} cases"
    ));
    Ok(())
}

/// How much later the first text of a stream comes with the redactor on its way, in milliseconds.
pub fn first_text(bench: &Bench, plain: &System, shipped: &Shipped, report: &mut Report) -> Result<()> {
    let site = Site::lay_out(Variant::Redacted, shipped, &bench.upstream, &bench.work)?;
    let (without, with) = first_text::measure(bench, [plain, &System::Weir(site)])?;
    let grows = with.0.iter().zip(&without.0).map(|(with, without)| with - without).collect();
    report.series("first_text_ms_weir", without);
    report.series("first_text_ms_weir_redacted", with);
    report.against("redact_first_text_grows_ms", Series(grows), WINDOW_MS + OWN_MS);
    report.note(
        "first_text_ms: to the first text of a stream whose model then says nothing; grows: pair by pair, by one \
         coalescing window of 50 ms, a tick of the timer and the redactor's reading of the request at most",
    );
    Ok(())
}

/// `stream.ms` of the redactor's manifest.
const WINDOW_MS: f64 = 50.0;
/// A tick of the timer, and the redactor's reading of the request.
const OWN_MS: f64 = 2.0;

fn number(figures: &Value, pointer: &str) -> Result<f64> {
    let figure = figures.pointer(pointer).and_then(Value::as_f64);
    figure.ok_or_else(|| Failure::new(format!("{pointer} is missing in {figures}")))
}
