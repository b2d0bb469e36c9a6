//! Hostile guards: how long after the end of its CPU budget each was stopped.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use weir_policy::{Limits, Policy, RequestView};

use super::{component, scripted};
use crate::failure::Result;
use crate::figures::Series;

/// What `tests/guests/every-hook` does, as its config says.
pub(crate) const WAYS: [&str; 6] = ["loop", "memory", "recursion", "panic", "huge", "calls"];

/// The same in scripts, as far as a script can: `fail` is its panic.
const SCRIPTS: [&str; 6] = [
    "let n = 0; while true { n += 1; }",
    "let hoard = []; while true { hoard.push(\"one more piece \" + hoard.len()); }",
    "fn deeper(n) { deeper(n + 1) } deeper(0)",
    "throw \"as it was told\"",
    "let text = \"x\"; while true { text += text; } block(403, \"huge\", text)",
    "while true { request.segments(); }",
];

const CALLS: usize = 15;

/// Milliseconds over the budget of the worst way: the median of some calls of each.
pub(super) fn of_components(
    engine: &weir_wasm::Engine,
    guest: &Path,
    request: &Arc<RequestView>,
) -> Result<Vec<f64>> {
    let of = |way: &&str| over(&*component(engine, guest, &json!({ "hook": "guard", "how": way }))?, request);
    worst(WAYS.iter().map(of))
}

/// As [`of_components`], of scripts.
pub(super) fn of_scripts(request: &Arc<RequestView>) -> Result<Vec<f64>> {
    let of = |body: &&str| {
        let (functions, body) = match body.split_once('}') {
            Some((function, rest)) if body.starts_with("fn ") => (format!("{function}}}\n"), rest),
            _ => (String::new(), *body),
        };
        let head = "//! name: hostile\n//! version: 1.0.0\n//! hooks: [guard]\n//! reads: content\n";
        let source = format!("{head}{functions}fn guard(request, config) {{ {body} }}\n");
        over(&*scripted(&source, &json!({}))?, request)
    };
    worst(SCRIPTS.iter().map(of))
}

fn worst(ways: impl Iterator<Item = Result<f64>>) -> Result<Vec<f64>> {
    let each = ways.collect::<Result<Vec<f64>>>()?;
    Ok(vec![each.into_iter().fold(0.0, f64::max)])
}

fn over(policy: &dyn Policy, request: &Arc<RequestView>) -> Result<f64> {
    let budget = Duration::from_micros(Limits::default().cpu_us);
    let call = |_| {
        let started = Instant::now();
        // Whether it is an answer (too long a one) or a fault: the time is what neighbours feel.
        let _ = std::hint::black_box(policy.guard(request));
        started.elapsed().saturating_sub(budget).as_secs_f64() * 1e3
    };
    Ok(Series((0..CALLS).map(call).collect()).median())
}
