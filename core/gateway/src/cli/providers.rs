//! `weir providers`: what each provider does with content, and where that is written; with `--live`, how each is doing in
//! a running gateway.

use super::Printed;
use super::client::Client;
use crate::admin::terms;
use crate::config::Config;
use clap::Args;
use serde_json::Value;
use std::fmt::Write;

/// `weir providers`
#[derive(Debug, Args)]
pub struct Providers {
    /// All providers whose public terms Weir knows, not only those of weir.yaml
    #[arg(long)]
    known: bool,
    /// How they are doing: keys, breakers, failures (asks the running gateway)
    #[arg(long, conflicts_with = "known")]
    live: bool,
    /// JSON, for machines
    #[arg(long)]
    json: bool,
}

/// Runs it.
///
/// # Errors
/// With `--live`: no gateway runs with this config.
pub fn run(config: &Config, command: &Providers) -> Printed {
    let listed = match command.live {
        true => Client::of(config)?.call("GET", "/admin/v1/providers", None)?,
        false => terms::list(config),
    };
    if command.json {
        return Ok(format!("{listed:#}\n"));
    }
    if command.live {
        return Ok(doing(&listed["providers"]));
    }
    let (rows, name) = if command.known { ("known", "provider") } else { ("providers", "name") };
    Ok(table(&listed[rows], name))
}

/// One line a key and a target.
fn doing(providers: &Value) -> String {
    let mut out =
        format!("{:<14} {:<40} {:<12} {:>9} {:>8}\n", "PROVIDER", "WHAT", "STATE", "IN FLIGHT", "FAILING");
    for provider in providers.as_array().into_iter().flatten() {
        let name = provider["name"].as_str().unwrap_or_default();
        let live = &provider["live"];
        for key in live["keys"].as_array().into_iter().flatten() {
            let what = format!("key {}", key["key"]);
            // Writing to a string cannot fail.
            let _ = writeln!(out, "{name:<14} {what:<40} {}", key["state"].as_str().unwrap_or_default());
        }
        for target in live["targets"].as_array().into_iter().flatten() {
            let breaker = target["breaker"].as_str().unwrap_or_default();
            let state = match breaker {
                "closed" if target["passed_over"] == true => "resting",
                "closed" if target["healthy"] == true => "healthy",
                "closed" => "failing",
                breaker => breaker,
            };
            let failing = target["err_rate_1m"].as_f64().unwrap_or_default() * 100.0;
            let id = target["target"].as_str().unwrap_or_default();
            let in_flight = &target["in_flight"];
            let _ = writeln!(out, "{name:<14} {id:<40} {state:<12} {in_flight:>9} {failing:>7.0}%");
        }
    }
    out
}

fn table(rows: &Value, name: &str) -> String {
    let mut out =
        format!("{:<14} {:<19} {:<8} {:<10} {}\n", "PROVIDER", "RETENTION", "TRAINS", "CHECKED", "SAYS WHO");
    for row in rows.as_array().into_iter().flatten() {
        let text = |key: &str| row[key].as_str().unwrap_or_default();
        let trains = match row["trains"].as_bool() {
            Some(true) => "yes",
            Some(false) => "no",
            None => "unknown",
        };
        let says = match (text("source"), text("evidence"), text("attested")) {
            ("operator", _, "") => "weir.yaml",
            ("operator", _, attested) => attested,
            ("builtin", ..) => "it runs in this process",
            (_, "", _) => "nobody: it counts as kept and trained on",
            (_, evidence, _) => evidence,
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "{:<14} {:<19} {:<8} {:<10} {says}",
            text(name),
            text("retention"),
            trains,
            row["checked"].as_str().unwrap_or("-")
        );
        if !text("note").is_empty() {
            let _ = writeln!(out, "{:<14} {}", "", text("note"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_listing_says_whose_word_each_row_is() {
        let yaml = "providers:
  sim: { builtin: sim }
  ours: { base_url: 'https://llm.example/v1', retention: zero, attested: our contract of 2026-05 }
  xai: {}
  other: { base_url: 'https://x.example/v1' }
";
        let config = Config::parse(yaml, Path::new("."), Path::new("weir.yaml"), &|_| None).unwrap();
        let shown = run(&config, &Providers { known: false, live: false, json: false }).unwrap();
        for line in [
            "sim            zero                no       -          it runs in this process",
            "ours           zero                no       -          our contract of 2026-05",
            "xai            days-30             no       2026-11-28 https://docs.x.ai/docs/faq/security",
            "other          unknown             yes      -          nobody: it counts as kept and trained on",
        ] {
            assert!(shown.lines().any(|found| found == line), "{line}\n{shown}");
        }
        let known = run(&config, &Providers { known: true, live: false, json: false }).unwrap();
        assert!(known.contains("bedrock") && known.contains("https://docs.aws.amazon.com"), "{known}");
        let json: Value = serde_json::from_str(
            &run(&config, &Providers { known: false, live: false, json: true }).unwrap(),
        )
        .unwrap();
        assert_eq!(json["providers"][1]["customer_attested"], true);
        assert_eq!(json["providers"][2]["source"], "public");
    }
}
