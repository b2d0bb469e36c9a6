//! `weir policy …`: the policies of a running gateway, and the files that they come from.
//!
//! # Layout
//!
//! - [`push`]: a new version, and the way it goes.
//! - [`show`]: status and history for people.
//! - [`inspect`]: what a script or component says of itself.

pub mod inspect;
pub mod push;
pub mod show;

use super::client::Client;
use super::{Failed, Printed, author, read, shown};
use crate::admin::policies::Back;
use crate::config;
use clap::Subcommand;
use serde_json::Value;
use std::path::PathBuf;

/// `weir policy …`
#[derive(Debug, Subcommand)]
pub enum Policy {
    /// Ship a new version of a policy to the running gateway
    Push(push::Push),
    /// Show what runs, what is on its way, and what its shadow found
    Status {
        /// One policy, with everything that is known of it [default: a line for each]
        name: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Move the version that is on its way to its next stage now
    Promote {
        /// The policy
        name: String,
    },
    /// Take back the version that is on its way
    Abort {
        /// The policy
        name: String,
    },
    /// Bring the version before this one back: of one policy, or of config and all policies
    Rollback {
        /// The policy [default: config and all policies]
        name: Option<String>,
        /// A version's digest, or the beginning of it
        #[arg(long, value_name = "DIGEST", requires = "name")]
        to: Option<String>,
    },
    /// List the versions of a policy and how each ended
    History {
        /// The policy
        name: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Print everything that a script or component says of itself
    Inspect {
        /// The script or component
        file: PathBuf,
    },
    /// List the policies that run, as JSON
    List,
    #[command(flatten)]
    #[allow(missing_docs, reason = "each command says it")]
    Author(author::Author),
}

/// Runs it.
///
/// # Errors
/// What the gateway says.
pub fn run(config: Option<&PathBuf>, command: Policy) -> Printed {
    let client = || -> Result<Client, Failed> { Ok(Client::of(&read(config)?)?) };
    match command {
        Policy::Push(push) => push::run(&client()?, &push),
        Policy::Status { name, json } => status(&client()?, name.as_deref(), json),
        Policy::Promote { name } => moved(&client()?.call("POST", &path(&name, "promote"), None)?),
        Policy::Abort { name } => moved(&client()?.call("POST", &path(&name, "abort"), None)?),
        Policy::Rollback { name: None, .. } => shown(client()?.call("POST", "/admin/v1/rollback", None)),
        Policy::Rollback { name: Some(name), to } => {
            let back = serde_json::to_value(Back { to })?;
            moved(&client()?.call("POST", &path(&name, "rollback"), Some(&back))?)
        }
        Policy::History { name, json } => {
            let history = client()?.call("GET", &path(&name, "history"), None)?;
            Ok(if json { format!("{history:#}\n") } else { show::history(&history) })
        }
        Policy::Inspect { file } => inspect::print(&file),
        Policy::List => shown(client()?.call("GET", "/admin/v1/policies", None)),
        Policy::Author(command) => author::run(&command),
    }
}

fn path(name: &str, what: &str) -> String {
    format!("/admin/v1/policies/{name}/{what}")
}

fn status(client: &Client, name: Option<&str>, json: bool) -> Printed {
    let path =
        name.map_or_else(|| "/admin/v1/policies".to_owned(), |name| format!("/admin/v1/policies/{name}"));
    let status = client.call("GET", &path, None)?;
    Ok(match (json, name) {
        (true, _) => format!("{status:#}\n"),
        (false, Some(_)) => show::status(&status),
        (false, None) => show::list(&status),
    })
}

/// What an order came to, in one line.
#[allow(clippy::unnecessary_wraps, reason = "as every command")]
fn moved(answer: &Value) -> Printed {
    let text = |pointer: &str| answer.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    Ok(match answer.get("taken_back").and_then(Value::as_str) {
        Some(said) => format!("{}: taken back: {said}\n", text("/policy")),
        None => format!(
            "{}: version {} ({}) is {}; generation {}\n",
            text("/policy"),
            text("/version/version"),
            show::short(text("/version/digest")),
            show::stage(text("/stage")),
            answer.get("generation").and_then(Value::as_u64).unwrap_or_default()
        ),
    })
}

/// Checks a span of time on the command line, as config writes it.
fn span(text: &str) -> Result<String, String> {
    config::span(text).map(|_| text.to_owned())
}

/// Checks a share on the command line, as config writes it.
fn percent(text: &str) -> Result<String, String> {
    config::percent(text).map(|_| text.to_owned())
}
