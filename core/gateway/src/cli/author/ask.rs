//! `weir policy run`, `weir plugin run`: one request from a file, and what the policy says to it.

use super::subject::Subject;
use crate::cli::{Failed, Printed};
use clap::Args;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use weir_policy::cases::Suite;

/// What the policy is asked.
#[derive(Debug, Args)]
pub struct Run {
    /// A script, a component, or a plugin's folder
    policy: PathBuf,
    /// The body of the request, in the form of its API
    #[arg(long, value_name = "FILE", required_unless_present = "case")]
    request: Option<PathBuf>,
    /// The golden case of this name in place of a request
    #[arg(long, value_name = "NAME", conflicts_with = "request")]
    case: Option<String>,
    /// Which hook is asked, if several would do
    #[arg(long)]
    hook: Option<String>,
    /// The API of the request
    #[arg(long, default_value = "chat")]
    api: String,
    /// The body of a whole reply: for guard-response and redact
    #[arg(long, value_name = "FILE", conflicts_with = "stream")]
    reply: Option<PathBuf>,
    /// The text of a streamed reply, a line a piece: for stream and redact
    #[arg(long, value_name = "FILE")]
    stream: Option<PathBuf>,
    /// A target, by its id: what may be chosen, or what is asked about [default: those of the cases]
    #[arg(long, value_name = "ID")]
    target: Vec<String>,
    /// A failed attempt at the first target, by its class: for on-error
    #[arg(long, value_name = "CLASS", requires = "target")]
    error: Vec<String>,
    /// What was used, as input=1000,output=50: for price and complete
    #[arg(long, value_name = "CLASS=UNITS", value_delimiter = ',')]
    usage: Vec<String>,
    /// The organisation that asks
    #[arg(long, default_value = "")]
    tenant: String,
    /// A tag of the request
    #[arg(long, value_name = "NAME=VALUE")]
    tag: Vec<String>,
    /// The policy's config, a JSON file [default: that of the cases]
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Where targets, config and cases are [default: NAME.cases.yaml beside a file, cases.yaml in a folder]
    #[arg(long, value_name = "FILE")]
    cases: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Asks.
///
/// # Errors
/// The policy fails, does not compile, or cannot be asked this.
pub fn run(run: &Run) -> Printed {
    let subject = Subject::of(&run.policy, run.cases.as_deref())?;
    let suite = suite(run, subject.suite_if_any()?)?;
    let mut told = suite.tell(&|config, grants| subject.compile(config, grants))?;
    let Some(told) = told.pop() else { return Err(Failed("nothing was asked".into())) };
    let text = if run.json { format!("{:#}\n", told.to_json()) } else { told.to_string() };
    if told.failed() { Err(Failed(text.trim_end().to_owned())) } else { Ok(text) }
}

fn suite(run: &Run, suite: Suite) -> Result<Suite, Failed> {
    if let Some(name) = &run.case {
        return Ok(suite.only(name)?);
    }
    let case = case(run)?;
    Ok(suite.with_targets(&run.target).with_case(&case)?)
}

/// The request as a golden case that expects nothing.
fn case(run: &Run) -> Result<Value, Failed> {
    let mut case = Map::new();
    let mut put = |key: &str, value: Value| drop(case.insert(key.to_owned(), value));
    put("name", json!("request"));
    put("api", json!(run.api));
    if let Some(request) = &run.request {
        put("body", json!(text(request)?));
    }
    if let Some(hook) = &run.hook {
        put("hook", json!(hook));
    }
    if let Some(reply) = &run.reply {
        put("reply", json!(text(reply)?));
    }
    if let Some(stream) = &run.stream {
        let text = text(stream)?;
        put("stream", json!(text.split_inclusive('\n').collect::<Vec<_>>()));
    }
    if let Some(settings) = &run.settings {
        put("config", serde_json::from_str(&text(settings)?)?);
    }
    put("head", json!({ "tenant": run.tenant, "tags": pairs(&run.tag, |value| Ok(json!(value)))? }));
    let usage = pairs(&run.usage, |units| Ok(json!(units.parse::<u64>()?)))?;
    targets(run, &usage, &mut put);
    if !usage.is_empty() && !complete(run) {
        put("usage", Value::Object(usage));
    }
    Ok(Value::Object(case))
}

/// What the targets on the command line are for follows from the hook.
fn targets(run: &Run, usage: &Map<String, Value>, put: &mut impl FnMut(&str, Value)) {
    if complete(run) {
        put("complete", json!([{ "target": run.target.first(), "usage": usage }]));
        return;
    }
    let Some(first) = run.target.first() else { return };
    put("candidates", json!(run.target));
    put("target", json!(first));
    let failed = |class: &String| json!({ "target": first, "class": class });
    put("errors", run.error.iter().map(failed).collect());
    if run.hook.as_deref() == Some("attempt") {
        put("attempt", json!({ "target": first }));
    }
}

fn complete(run: &Run) -> bool {
    run.hook.as_deref() == Some("complete")
}

fn pairs(
    written: &[String],
    value: impl Fn(&str) -> Result<Value, std::num::ParseIntError>,
) -> Result<Map<String, Value>, Failed> {
    let pair = |text: &String| {
        let split = text.split_once('=').ok_or_else(|| Failed(format!("`{text}` is not NAME=VALUE")))?;
        let value = value(split.1).map_err(|error| Failed(format!("`{text}`: {error}")))?;
        Ok((split.0.to_owned(), value))
    };
    written.iter().map(pair).collect()
}

fn text(path: &Path) -> Result<String, Failed> {
    std::fs::read_to_string(path).map_err(|error| Failed(format!("{}: {error}", path.display())))
}
