//! `weir key create | list | revoke`: through the admin API of a running gateway, or on the ledger itself when none runs.

use super::client::Client;
use super::people::Terms;
use super::{Failed, Printed};
use crate::admin::keys::{self, KeyError, Wanted};
use crate::config::Config;
use crate::server;
use clap::{Args, Subcommand};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::Write as _;
use weir_ledger::{Ledger, OpenError};

/// `weir key …`
#[derive(Debug, Subcommand)]
pub enum Key {
    /// Make a key; it is shown once
    Create(Box<Create>),
    /// List the keys, without their text
    List,
    /// Take a key back
    Revoke {
        /// Its id, `key_…`
        id: String,
    },
}

/// `weir key create`
#[derive(Debug, Args)]
pub struct Create {
    /// A name, for people
    name: String,
    /// Requests a minute
    #[arg(long)]
    rpm: Option<u32>,
    /// Requests at one time; `server.limits.per_key` unless named
    #[arg(long, value_name = "N")]
    concurrency: Option<u32>,
    /// Dollars that the key may spend, such as 12.50; never overspent
    #[arg(long, value_name = "USD")]
    budget: Option<String>,
    /// When the budget begins anew: none, day or month
    #[arg(long, value_name = "PERIOD", requires = "budget")]
    budget_period: Option<String>,
    /// Do not refuse what goes over the budget
    #[arg(long, requires = "budget")]
    soft: bool,
    /// Id of its team, `team_…`; the default one unless named
    #[arg(long, value_name = "ID")]
    team: Option<String>,
    #[command(flatten)]
    wishes: Terms,
    /// A tag for policies, NAME=VALUE; may be repeated
    #[arg(long = "tag", value_name = "NAME=VALUE", value_parser = tag)]
    tags: Vec<(String, String)>,
    /// A model it may ask for; may be repeated; all if none is named
    #[arg(long = "model", value_name = "MODEL")]
    models: Vec<String>,
    /// What it may do beyond making requests: `explain` lets it send x-weir-explain; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Print nothing but the key
    #[arg(short, long)]
    quiet: bool,
}

fn tag(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((pair.0.to_owned(), pair.1.to_owned()))
}

/// Runs it.
///
/// # Errors
/// What the gateway or the ledger says.
pub fn run(config: &Config, command: Key) -> Printed {
    match command {
        Key::Create(create) => {
            let quiet = create.quiet;
            let wanted = serde_json::to_value(create.wanted())?;
            let made = either(
                config,
                |client| Ok(client.call("POST", "/admin/v1/keys", Some(&wanted))?),
                |ledger| keys::create(ledger, wanted.to_string().as_bytes()),
            )?;
            Ok(created(&made, quiet))
        }
        Key::List => {
            let listed =
                either(config, |client| Ok(client.call("GET", "/admin/v1/keys", None)?), keys::list)?;
            Ok(table(&listed))
        }
        Key::Revoke { id } => {
            let path = format!("/admin/v1/keys/{id}");
            either(
                config,
                |client| Ok(client.call("DELETE", &path, None)?),
                |ledger| keys::revoke(ledger, &id),
            )?;
            Ok(format!("{id} is revoked.\n"))
        }
    }
}

/// On the ledger itself, or through the process that has it.
pub(super) fn either(
    config: &Config,
    remote: impl FnOnce(Client) -> Result<Value, Failed>,
    local: impl FnOnce(&Ledger) -> Result<Value, KeyError>,
) -> Result<Value, Failed> {
    match server::open_ledger(config) {
        Ok(ledger) => {
            if ledger.was_made() {
                let data = config.data.canonicalize().unwrap_or_else(|_| config.data.clone());
                let _ = writeln!(
                    std::io::stderr(),
                    "weir: {} had no ledger: it has a new one. A gateway that runs elsewhere knows nothing of it; its \
                     keys are made with its --config, or in its folder.",
                    data.display()
                );
            }
            // It is told of once, to whoever opens the ledger first.
            for damage in ledger.damage() {
                let _ = writeln!(std::io::stderr(), "weir: {damage}");
            }
            let answer = local(&ledger);
            ledger.close();
            Ok(answer?)
        }
        Err(OpenError::Locked { .. }) => remote(Client::of(config)?),
        Err(error) => Err(error.into()),
    }
}

impl Create {
    fn wanted(self) -> Wanted {
        Wanted {
            name: self.name,
            team: self.team,
            rpm: self.rpm,
            concurrency: self.concurrency,
            budget_usd: self.budget,
            budget_period: self.budget_period,
            soft: self.soft,
            retention: self.wishes.retention,
            region: self.wishes.region,
            no_training: self.wishes.no_training,
            class: self.wishes.class,
            tags: self.tags,
            scopes: self.scopes,
            models: self.models,
            expires_ms: None,
        }
    }
}

fn created(made: &Value, quiet: bool) -> String {
    let text = |name: &str| made.get(name).and_then(Value::as_str).unwrap_or_default();
    if quiet {
        return format!("{}\n", text("key"));
    }
    format!("{}\n\nThis is the only time that the key is shown. Its id is {}.\n", text("key"), text("id"))
}

fn table(listed: &Value) -> String {
    let mut out = format!(
        "{:<22} {:<24} {:>8} {:>18} {:<20} {:<12} {:<12} {}\n",
        "ID", "NAME", "RPM", "BUDGET USD", "RETENTION", "REGION", "CLASS", "STATE"
    );
    for key in listed.get("keys").and_then(Value::as_array).into_iter().flatten() {
        let text = |name: &str| key.get(name).and_then(Value::as_str).unwrap_or_default();
        let rpm =
            key.get("rpm").and_then(Value::as_u64).map_or_else(|| "-".to_owned(), |rpm| rpm.to_string());
        let budget = key.pointer("/budget/limit_usd").and_then(Value::as_str).unwrap_or("-");
        let revoked = key.get("revoked_ms").is_some_and(|at| !at.is_null());
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "{:<22} {:<24} {:>8} {:>18} {:<20} {:<12} {:<12} {}",
            text("id"),
            text("name"),
            rpm,
            budget,
            text("retention"),
            regions(key),
            key.get("class").and_then(Value::as_str).unwrap_or("-"),
            if revoked { "revoked" } else { "active" }
        );
    }
    out
}

/// Lists that all hold, with `+` between them.
fn regions(key: &Value) -> String {
    let lists: Vec<&str> = key
        .get("regions")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if lists.is_empty() { "-".to_owned() } else { lists.join("+") }
}
