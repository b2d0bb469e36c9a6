//! `weir providers`: what each provider does with content, and where that is written. Needs no running gateway.

use super::Printed;
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
    /// JSON, for machines
    #[arg(long)]
    json: bool,
}

/// Runs it.
///
/// # Errors
/// None of its own.
pub fn run(config: &Config, command: &Providers) -> Printed {
    let listed = terms::list(config);
    if command.json {
        return Ok(format!("{listed:#}\n"));
    }
    let (rows, name) = if command.known { ("known", "provider") } else { ("providers", "name") };
    Ok(table(&listed[rows], name))
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
        let shown = run(&config, &Providers { known: false, json: false }).unwrap();
        for line in [
            "sim            zero                no       -          it runs in this process",
            "ours           zero                no       -          our contract of 2026-05",
            "xai            days-30             no       2026-11-28 https://docs.x.ai/docs/faq/security",
            "other          unknown             yes      -          nobody: it counts as kept and trained on",
        ] {
            assert!(shown.lines().any(|found| found == line), "{line}\n{shown}");
        }
        let known = run(&config, &Providers { known: true, json: false }).unwrap();
        assert!(known.contains("bedrock") && known.contains("https://docs.aws.amazon.com"), "{known}");
        let json: Value =
            serde_json::from_str(&run(&config, &Providers { known: false, json: true }).unwrap()).unwrap();
        assert_eq!(json["providers"][1]["customer_attested"], true);
        assert_eq!(json["providers"][2]["source"], "public");
    }
}
