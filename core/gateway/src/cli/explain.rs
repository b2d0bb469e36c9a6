//! `weir explain REQUEST_ID`: the decision tree of a recent exchange, for people.

use super::client::Client;
use super::{Failed, Printed};
use crate::config::Config;
use clap::Args;
use serde_json::Value;
use std::fmt::Write;

/// `weir explain`
#[derive(Debug, Args)]
pub struct Explain {
    /// The id that the reply carries in `x-weir-request-id`
    request_id: String,
    /// JSON instead
    #[arg(long)]
    json: bool,
}

/// Runs it.
///
/// # Errors
/// No gateway answers, or it keeps nothing of this request.
pub fn run(config: &Config, command: &Explain) -> Printed {
    let plain = command.request_id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !plain {
        return Err(Failed(format!("`{}` is no request id; they look like req_0123…", command.request_id)));
    }
    let path = format!("/admin/v1/explain/{}", command.request_id);
    let value = Client::of(config)?.call("GET", &path, None)?;
    if command.json { Ok(format!("{value:#}\n")) } else { Ok(tree(&value)) }
}

/// Every try in order, and between them the targets that were passed over.
fn attempts(out: &mut String, attempts: &[Value]) {
    if !attempts.is_empty() {
        let _ = writeln!(out, "attempts");
    }
    for line in attempts {
        let word = |key: &str| line[key].as_str().unwrap_or("?").to_owned();
        let _ = match line["attempt"].as_u64() {
            None => writeln!(out, "  - {}: {} ({})", word("target"), word("because"), word("passed_over")),
            Some(number) => {
                let status = line["status"].as_u64().map(|status| format!(" ({status})")).unwrap_or_default();
                writeln!(out, "  {number} {}: {}{status}  {} ms", word("target"), word("class"), line["ms"])
            }
        };
    }
}

fn tree(value: &Value) -> String {
    let mut out = String::new();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    // Writing to a string cannot fail.
    let refused = value["refused"].as_str().map(|code| format!(" {code}")).unwrap_or_default();
    let _ = writeln!(
        out,
        "{}  {}{}  generation {}  {} ({}){refused}",
        text(&value["request_id"]),
        text(&value["api"]),
        if value["stream"] == true { ", streamed" } else { "" },
        value["generation"],
        text(&value["outcome"]),
        value["status"],
    );
    if value["targets"].is_null() {
        let _ = writeln!(out, "targets: none; it ended before its model was known");
    } else {
        let _ = writeln!(out, "targets");
    }
    for target in value["targets"].as_array().into_iter().flatten() {
        let _ = match target["left_out"].as_str() {
            None => writeln!(out, "  + {}", text(&target["target"])),
            Some(why) => writeln!(out, "  - {}: {why}", text(&target["target"])),
        };
    }
    let _ = writeln!(out, "decisions");
    let decisions = value["decisions"].as_array().map(Vec::as_slice).unwrap_or_default();
    if decisions.is_empty() {
        let _ = writeln!(out, "  no policy was asked");
    }
    for line in decisions {
        let _ = write!(
            out,
            "  {:<15} {} {}  {}",
            text(&line["hook"]),
            text(&line["policy"]),
            text(&line["version"]),
            text(&line["verdict"])
        );
        for (key, sign) in [("reason", "because "), ("findings", "found ")] {
            if !line[key].is_null() {
                let _ = write!(out, "  {sign}{}", text(&line[key]));
            }
        }
        let fault = &line["fault"];
        if !fault.is_null() {
            let place = fault["place"].as_str().map(|place| format!(" at {place}")).unwrap_or_default();
            let _ = write!(out, "  {}{place}", text(&fault["message"]));
        }
        let _ = writeln!(out, "  {} us", line["us"]);
        for shown in fault["excerpt"].as_str().into_iter().flat_map(str::lines) {
            let _ = writeln!(out, "      {shown}");
        }
        if let Some(hint) = fault["hint"].as_str() {
            let _ = writeln!(out, "      hint: {hint}");
        }
    }
    for line in value["explanations"].as_array().into_iter().flatten() {
        let (policy, rule) = (text(&line["policy"]), text(&line["rule"]));
        let _ = writeln!(out, "  {policy} says: {rule}, because {}", text(&line["because"]));
    }
    if let Some(plan) = value["plan"].as_object() {
        let steps: Vec<String> = plan["steps"].as_array().into_iter().flatten().map(text).collect();
        let _ = writeln!(out, "plan ({})\n  {}", text(&plan["reason"]), steps.join(" -> "));
        let last: Vec<String> =
            plan.get("set_back").and_then(Value::as_array).into_iter().flatten().map(text).collect();
        if !last.is_empty() {
            let _ = writeln!(out, "  last, since they fail or asked to be left alone: {}", last.join(", "));
        }
    }
    attempts(&mut out, value["attempts"].as_array().map(Vec::as_slice).unwrap_or_default());
    let _ = writeln!(out, "served by {}", value["served_by"].as_str().unwrap_or("nobody"));
    out
}
