//! `weir organisation create | list | update`, and the same for teams: who keys belong to, and what holds for all of them.

use super::keys::either;
use super::{Failed, Printed};
use crate::admin::people::{self, Changes, Wanted};
use crate::config::Config;
use clap::{Args, Subcommand};
use serde_json::Value;
use std::fmt::Write;
use weir_ledger::Group;
use weir_policy::DataClass;

/// `weir organisation …`
#[derive(Debug, Subcommand)]
pub enum Organisation {
    /// Make an organisation; prints its id
    Create {
        /// A name, for people
        name: String,
        /// What is asked of whoever gets its content.
        #[command(flatten)]
        wishes: Terms,
    },
    /// List the organisations, and what each asks for
    List(List),
    /// Give one another name, or ask for something else; holds for all its keys at once
    Update(Box<Update>),
}

/// `weir team …`
#[derive(Debug, Subcommand)]
pub enum Team {
    /// Make a team; prints its id
    Create {
        /// A name, for people
        name: String,
        /// Id of its organisation, `org_…`; the default one unless named
        #[arg(long, value_name = "ID")]
        organisation: Option<String>,
        /// What is asked of whoever gets its content.
        #[command(flatten)]
        wishes: Terms,
    },
    /// List the teams, and what each asks for
    List(List),
    /// Give one another name, or ask for something else; holds for all its keys at once
    Update(Box<Update>),
}

/// How a list is printed.
#[derive(Debug, Clone, Copy, Args)]
pub struct List {
    /// JSON, for machines
    #[arg(long)]
    json: bool,
}

/// What is to be another.
#[derive(Debug, Clone, Args)]
pub struct Update {
    /// Its id, `org_…` or `team_…`
    id: String,
    /// Another name
    #[arg(long)]
    name: Option<String>,
    /// zero, zero-except-safety, days-N, or none: no wish any more
    #[arg(long)]
    retention: Option<String>,
    /// Regions such as eu or eu,ch, or none: anywhere
    #[arg(long, value_name = "REGIONS")]
    region: Option<String>,
    /// Whether providers may train on content
    #[arg(long, value_name = "yes|no", value_parser = ["yes", "no"])]
    training: Option<String>,
    /// How sensitive content is; none: not said any more
    #[arg(long, value_name = "NAME", value_parser = ["public", "internal", "confidential", "restricted", "none"])]
    class: Option<String>,
    /// Print what it is then as JSON
    #[arg(long)]
    json: bool,
}

/// What is asked of whoever gets content.
#[derive(Debug, Clone, Default, Args)]
pub struct Terms {
    /// zero, zero-except-safety or days-N: only providers that keep content for no longer
    #[arg(long)]
    pub retention: Option<String>,
    /// Only providers that lie in one of these regions, such as eu or eu,ch
    #[arg(long, value_name = "REGIONS")]
    pub region: Option<String>,
    /// Only providers that do not train on content
    #[arg(long)]
    pub no_training: bool,
    /// How sensitive content is, for policies: public, internal, confidential or restricted; the most sensitive holds
    #[arg(long, value_name = "NAME", value_parser = class)]
    pub class: Option<DataClass>,
}

fn class(name: &str) -> Result<DataClass, String> {
    let names = || DataClass::ALL.map(DataClass::name).join(", ");
    DataClass::parse(name).ok_or_else(|| format!("it is none of {}", names()))
}

/// Makes, lists or changes organisations.
///
/// # Errors
/// What the gateway or the ledger says.
pub fn organisation(config: &Config, command: Organisation) -> Printed {
    match command {
        Organisation::Create { name, wishes } => {
            made(config, "/admin/v1/organisations", &wanted(name, None, wishes), people::organisation)
        }
        Organisation::List(list) => listed(config, Group::Organisation, list),
        Organisation::Update(update) => updated(config, Group::Organisation, *update),
    }
}

/// Makes, lists or changes teams.
///
/// # Errors
/// What the gateway or the ledger says.
pub fn team(config: &Config, command: Team) -> Printed {
    match command {
        Team::Create { name, organisation, wishes } => {
            made(config, "/admin/v1/teams", &wanted(name, organisation, wishes), people::team)
        }
        Team::List(list) => listed(config, Group::Team, list),
        Team::Update(update) => updated(config, Group::Team, *update),
    }
}

/// What a group is called in a path and in an answer.
const fn word(group: Group) -> &'static str {
    match group {
        Group::Organisation => "organisations",
        Group::Team => "teams",
    }
}

fn listed(config: &Config, group: Group, list: List) -> Printed {
    let path = format!("/admin/v1/{}", word(group));
    let local = match group {
        Group::Organisation => people::organisations,
        Group::Team => people::teams,
    };
    let all = either(config, |client| Ok(client.call("GET", &path, None)?), local)?;
    if list.json {
        return Ok(format!("{all:#}\n"));
    }
    Ok(table(all[word(group)].as_array().map_or(&[][..], Vec::as_slice)))
}

fn updated(config: &Config, group: Group, update: Update) -> Printed {
    let Update { id, name, retention, region, training, class, json } = update;
    let wish = |value: Option<String>| value.map(|value| Some(value).filter(|value| value != "none"));
    let changes = Changes {
        name,
        retention: wish(retention),
        region: wish(region),
        no_training: training.map(|word| word == "no"),
        // `none` is no class, and so is read as one that is not said.
        class: class.map(|name| DataClass::parse(&name)),
    };
    let body = serde_json::to_value(changes)?;
    let path = format!("/admin/v1/{}/{id}", word(group));
    let now = either(
        config,
        |client| Ok(client.call("PATCH", &path, Some(&body))?),
        |ledger| people::edit(ledger, group, &id, body.to_string().as_bytes()),
    )?;
    Ok(if json { format!("{now:#}\n") } else { table(&[now]) })
}

fn table(rows: &[Value]) -> String {
    let mut out = format!(
        "{:<22} {:<24} {:<20} {:<12} {:<9} {:<12} {}\n",
        "ID", "NAME", "RETENTION", "REGION", "TRAINING", "CLASS", "ORGANISATION"
    );
    for row in rows {
        let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or("-");
        let training = if row["no_training"] == true { "no" } else { "-" };
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "{:<22} {:<24} {:<20} {:<12} {training:<9} {:<12} {}",
            text("id"),
            text("name"),
            text("retention"),
            text("region"),
            text("class"),
            text("organisation")
        );
    }
    out
}

fn wanted(name: String, organisation: Option<String>, wishes: Terms) -> Wanted {
    let Terms { retention, region, no_training, class } = wishes;
    Wanted { name, organisation, retention, region, no_training, class }
}

fn made(
    config: &Config,
    path: &str,
    wanted: &Wanted,
    local: impl FnOnce(&weir_ledger::Ledger, &[u8]) -> Result<serde_json::Value, crate::admin::keys::KeyError>,
) -> Printed {
    let body = serde_json::to_value(wanted)?;
    let made = either(
        config,
        |client| Ok(client.call("POST", path, Some(&body))?),
        |ledger| local(ledger, body.to_string().as_bytes()),
    )?;
    let id = made["id"].as_str().ok_or_else(|| Failed("the answer has no id".to_owned()))?;
    Ok(format!("{id}\n"))
}
