//! Status and history for people.

use serde_json::Value;
use std::fmt::Write;
use std::time::{Duration, SystemTime};

/// Enough of a digest.
pub fn short(digest: &str) -> &str {
    digest.get(..8).unwrap_or(digest)
}

/// How far a version is, in a sentence.
pub fn stage(stage: &str) -> &str {
    match stage {
        "shadow" => "in shadow: asked, and not heard",
        "canary" => "a canary: it decides for some keys",
        stage => stage,
    }
}

/// The steps of a push.
pub fn steps(answer: &Value) -> String {
    let mut out = String::new();
    for step in items(answer, "/steps") {
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "  {:<13} {} ({} ms)",
            text(step, "/step"),
            text(step, "/said"),
            number(step, "/ms")
        );
    }
    out
}

/// A line for each policy.
pub fn list(status: &Value) -> String {
    let mut out =
        format!("{:<24} {:<10} {:<10} {:<8} {}\n", "POLICY", "VERSION", "DIGEST", "SOURCE", "ON ITS WAY");
    for policy in items(status, "/policies") {
        let candidate = match policy.get("candidate").filter(|candidate| candidate.is_object()) {
            None => "-".to_owned(),
            Some(candidate) => format!(
                "{} ({}): {}{}",
                text(candidate, "/version"),
                short(text(candidate, "/digest")),
                text(candidate, "/stage"),
                waits(candidate)
            ),
        };
        let _ = writeln!(
            out,
            "{:<24} {:<10} {:<10} {:<8} {candidate}",
            text(policy, "/name"),
            text(policy, "/live/version"),
            short(text(policy, "/live/digest")),
            text(policy, "/live/source"),
        );
    }
    out
}

/// Everything that is known of one policy.
pub fn status(status: &Value) -> String {
    let mut out = format!("{}  (generation {})\n", text(status, "/policy"), number(status, "/generation"));
    let mut line = |name: &str, value: String| {
        let _ = writeln!(out, "  {name:<12} {value}");
    };
    line("live", version(status, "/live"));
    line("since", ago(number(status, "/live_since_ms")));
    line("calls", tally(status, "/calls"));
    if status["before"].is_object() {
        line("before", version(status, "/before"));
    }
    line("compiled", format!("{} versions held", number(status, "/compiled_versions")));
    line("file", text(status, "/file").to_owned());
    if status["candidate"].is_object() {
        line("on its way", version(status, "/candidate"));
        line("stage", progress(status));
        if status.pointer("/candidate/canary").is_some_and(Value::is_object) {
            line("  canary", tally(status, "/candidate/canary/candidate"));
            line("  live", tally(status, "/candidate/canary/live"));
        }
    }
    let shadow = &status["candidate"]["shadow"];
    match shadow.get("bindings").and_then(Value::as_array) {
        Some(bindings) => bindings.iter().for_each(|shadow| report(&mut out, shadow)),
        None if shadow.is_object() => report(&mut out, shadow),
        None => {}
    }
    out
}

/// How far the version on its way is.
pub fn progress(status: &Value) -> String {
    let candidate = &status["candidate"];
    let asked = match text(candidate, "/stage") {
        "shadow" => {
            let shadow = &candidate["shadow"];
            format!(", {} asked, {} changed", number(shadow, "/asked"), text(shadow, "/changed_percent"))
        }
        _ => format!(
            " at {}, {} calls, {} faults",
            text(candidate, "/canary/share"),
            number(candidate, "/canary/candidate/calls"),
            number(candidate, "/canary/candidate/faults")
        ),
    };
    format!("{}{asked}{}", text(candidate, "/stage"), waits(candidate))
}

/// How a version ended.
pub fn ended(history: &Value, content: &str) -> String {
    let entry = items(history, "/history").find(|entry| text(entry, "/version/content") == content);
    entry.map_or_else(
        || "it is gone, and not in the history any more".to_owned(),
        |entry| format!("{}: {}", text(entry, "/how"), text(entry, "/why")),
    )
}

/// The versions of a policy.
pub fn history(history: &Value) -> String {
    let mut out =
        format!("{:<16} {:<12} {:<10} {:<10} {:<6} {}\n", "WHEN", "HOW", "VERSION", "DIGEST", "FROM", "WHY");
    for entry in items(history, "/history") {
        let _ = writeln!(
            out,
            "{:<16} {:<12} {:<10} {:<10} {:<6} {}",
            ago(number(entry, "/at_ms")),
            text(entry, "/how"),
            text(entry, "/version/version"),
            short(text(entry, "/version/digest")),
            text(entry, "/version/source"),
            text(entry, "/why").lines().next().unwrap_or_default()
        );
    }
    out
}

fn report(out: &mut String, report: &Value) {
    let n = |pointer: &str| number(report, pointer);
    let _ = writeln!(
        out,
        "\n  shadow: {} asked, {} not asked for want of time; {} decisions changed ({})",
        n("/asked"),
        n("/dropped"),
        n("/changed"),
        text(report, "/changed_percent")
    );
    let _ = writeln!(
        out,
        "    faults       live {}, candidate {}\n    refusals     {} new, {} lifted",
        n("/faults/live"),
        n("/faults/candidate"),
        n("/new_refusals"),
        n("/lifted_refusals")
    );
    let us = |pointer: &str| report.pointer(pointer).and_then(Value::as_f64).unwrap_or_default();
    let _ = writeln!(
        out,
        "    mean         live {} µs, candidate {} µs",
        us("/mean_us/live"),
        us("/mean_us/candidate")
    );
    if n("/cost/compared") > 0 {
        let _ = writeln!(
            out,
            "    cost         live ${}, candidate ${}: {}",
            text(report, "/cost/live_usd"),
            text(report, "/cost/candidate_usd"),
            report.pointer("/cost/difference_percent").and_then(Value::as_str).unwrap_or("no price")
        );
    }
    for change in items(report, "/changes") {
        let _ = writeln!(out, "    {:>6} ×     {}", number(change, "/count"), text(change, "/kind"));
        if change["example"].is_object() {
            let _ = writeln!(out, "               such as {}", change["example"]);
        }
    }
    let _ = writeln!(out, "    unseen       {}", text(report, "/unseen"));
}

fn version(value: &Value, pointer: &str) -> String {
    let at = |name: &str| text(value, &format!("{pointer}/{name}"));
    format!("{} ({}), {}, from {}", at("version"), short(at("digest")), at("engine"), at("source"))
}

fn tally(value: &Value, pointer: &str) -> String {
    let at = |name: &str| format!("{pointer}/{name}");
    format!(
        "{} calls, {} faults ({}), {} refusals ({}), {} µs each",
        number(value, &at("calls")),
        number(value, &at("faults")),
        text(value, &at("faults_percent")),
        number(value, &at("refusals")),
        text(value, &at("refusals_percent")),
        value.pointer(&at("mean_us")).and_then(Value::as_f64).unwrap_or_default()
    )
}

fn waits(candidate: &Value) -> String {
    let why = candidate.get("waits").and_then(Value::as_str);
    why.map(|why| format!("; waits for promote or abort: {why}")).unwrap_or_default()
}

/// Times of a gateway elsewhere are told by the clock here.
fn ago(unix_ms: u64) -> String {
    let then = SystemTime::UNIX_EPOCH + Duration::from_millis(unix_ms);
    let seconds = SystemTime::now().duration_since(then).unwrap_or_default().as_secs();
    match seconds {
        0..60 => format!("{seconds} s ago"),
        60..3_600 => format!("{} min ago", seconds / 60),
        3_600..172_800 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

fn items<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn number(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}
