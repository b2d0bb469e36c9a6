//! `weir organisation create` and `weir team create`: who keys belong to, and what holds for all of them.

use super::keys::either;
use super::{Failed, Printed};
use crate::admin::people::{self, Wanted};
use crate::config::Config;
use clap::{Args, Subcommand};

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
}

/// Makes an organisation.
///
/// # Errors
/// What the gateway or the ledger says.
pub fn organisation(config: &Config, command: Organisation) -> Printed {
    let Organisation::Create { name, wishes } = command;
    made(config, "/admin/v1/organisations", &wanted(name, None, wishes), people::organisation)
}

/// Makes a team.
///
/// # Errors
/// What the gateway or the ledger says.
pub fn team(config: &Config, command: Team) -> Printed {
    let Team::Create { name, organisation, wishes } = command;
    made(config, "/admin/v1/teams", &wanted(name, organisation, wishes), people::team)
}

fn wanted(name: String, organisation: Option<String>, wishes: Terms) -> Wanted {
    let Terms { retention, region, no_training } = wishes;
    Wanted { name, organisation, retention, region, no_training }
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
