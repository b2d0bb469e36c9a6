//! The commands of the binary `weir`.
//!
//! # Layout
//!
//! - [`author`]: `weir policy new`, `test`, `bench`, `run`.
//! - [`client`]: talks to the admin API of a running gateway.
//! - [`explain`]: `weir explain`.
//! - [`keys`]: `weir key …`.
//! - [`people`]: `weir organisation …`, `weir team …`.
//! - [`plugin`]: `weir plugin …`.
//! - [`policy`]: `weir policy …`.
//! - [`providers`]: `weir providers`.
//! - [`usage`]: `weir usage`.

pub mod author;
pub mod client;
pub mod explain;
pub mod keys;
pub mod people;
pub mod plugin;
pub mod policy;
pub mod providers;
pub mod usage;

use crate::config::{self, Config};
use crate::reload;
use crate::server::{self, Ready};
use crate::ship::{self, prove};
use crate::sim;
use clap::{CommandFactory, Parser, Subcommand};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

/// The config file that is read if there is one and none is named.
const DEFAULT_FILE: &str = "weir.yaml";

/// A programmable gateway for LLM APIs.
#[derive(Debug, Parser)]
#[command(name = "weir", version, about = "A programmable gateway for LLM APIs", max_term_width = 100)]
pub struct Cli {
    /// The config file [default: weir.yaml if it is there, else the built-in defaults]
    #[arg(short, long, global = true, env = "WEIR_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway
    Serve {
        /// Make a fresh API key and print it with a curl line that works
        #[arg(long)]
        new_key: bool,
    },
    /// Check the config and every policy in it, without starting anything
    Check,
    /// Make, list and revoke API keys
    #[command(subcommand)]
    Key(keys::Key),
    /// Make, list and change organisations, whose wishes hold for all their keys
    #[command(subcommand)]
    Organisation(people::Organisation),
    /// Make, list and change teams of an organisation
    #[command(subcommand)]
    Team(people::Team),
    /// Show what each provider does with content, and who says so
    Providers(providers::Providers),
    /// Show tokens by class, cost, and what caches saved
    Usage(usage::Usage),
    /// Work on Wasm plugins
    #[command(subcommand)]
    Plugin(plugin::Plugin),
    /// Work on the policies of a running gateway
    #[command(subcommand)]
    Policy(policy::Policy),
    /// Show who decided what about a recent request
    Explain(explain::Explain),
    /// Look after the ledger
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Make a running gateway read its config and policies anew
    Reload,
    /// Run the simulated provider by itself
    Sim {
        /// An address, or unix:/path/to/socket
        #[arg(long, default_value = "127.0.0.1:9090")]
        listen: sim::Listen,
    },
    /// Print the JSON Schema of weir.yaml, for editors
    Schema {
        /// The reference in Markdown instead
        #[arg(long)]
        markdown: bool,
    },
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the version
    Version,
}

#[derive(Debug, Subcommand)]
enum LedgerCommand {
    /// Check the invariants of the ledger (also while a gateway runs)
    Check,
}

/// Why a command failed, for a person.
#[derive(Debug)]
pub struct Failed(pub String);

impl<E: std::error::Error> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// What a command prints.
type Printed = Result<String, Failed>;

/// Parses the command line and runs it; the exit code of the process.
pub fn main() -> std::process::ExitCode {
    match run(Cli::parse()) {
        Ok(text) => {
            // A reader that has gone has seen enough.
            let _ = std::io::stdout().write_all(text.as_bytes());
            std::process::ExitCode::SUCCESS
        }
        Err(Failed(why)) => {
            let _ = writeln!(std::io::stderr(), "weir: {why}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Printed {
    let file = cli.config.or_else(|| Some(PathBuf::from(DEFAULT_FILE)).filter(|file| file.exists()));
    match cli.command {
        Command::Serve { new_key } => serve(file, new_key),
        Command::Check => check(file.as_ref()),
        Command::Key(command) => keys::run(&read(file.as_ref())?, command),
        Command::Organisation(command) => people::organisation(&read(file.as_ref())?, command),
        Command::Team(command) => people::team(&read(file.as_ref())?, command),
        Command::Providers(command) => providers::run(&read(file.as_ref())?, &command),
        Command::Usage(command) => usage::run(&read(file.as_ref())?, &command),
        Command::Plugin(command) => plugin::run(&command),
        Command::Policy(command) => policy::run(file.as_ref(), command),
        Command::Explain(command) => explain::run(&read(file.as_ref())?, &command),
        Command::Ledger(LedgerCommand::Check) => ledger_check(&read(file.as_ref())?),
        Command::Reload => {
            shown(client::Client::of(&read(file.as_ref())?)?.call("POST", "/admin/v1/reload", None))
        }
        Command::Sim { listen } => simulate(&listen),
        Command::Schema { markdown: true } => Ok(config::reference_markdown()),
        Command::Schema { markdown: false } => Ok(format!("{:#}\n", config::schema())),
        Command::Completions { shell } => Ok(completions(shell)),
        Command::Version => Ok(format!("weir {}\n", env!("CARGO_PKG_VERSION"))),
    }
}

fn read(file: Option<&PathBuf>) -> Result<Config, Failed> {
    Ok(reload::read(file)?)
}

fn shown(answer: Result<serde_json::Value, client::ClientError>) -> Printed {
    Ok(format!("{:#}\n", answer?))
}

fn serve(file: Option<PathBuf>, new_key: bool) -> Printed {
    let named = file.clone();
    server::serve(file, |ready| {
        // Whoever closed standard error does not want to read it.
        let _ = std::io::stderr().write_all(banner(ready, named.as_ref(), new_key).as_bytes());
    })?;
    Ok(String::new())
}

fn banner(ready: &Ready<'_>, file: Option<&PathBuf>, new_key: bool) -> String {
    let config = ready.config;
    let scheme = if config.server.tls.is_some() { "https" } else { "http" };
    let base = format!("{scheme}://{}/v1", config.server.listen);
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "\nWeir {} listens on {base}", env!("CARGO_PKG_VERSION"));
    let _ = writeln!(
        text,
        "  config   {}",
        file.map_or_else(|| "built-in defaults".into(), |f| f.display().to_string())
    );
    let _ = writeln!(text, "  data     {}", config.data.display());
    let _ = writeln!(text, "  metrics  http://{}/metrics", config.server.admin);
    for warning in &config.warnings {
        let _ = writeln!(text, "  warning  {}", warning.message);
    }
    if !new_key {
        let _ = writeln!(text, "  keys     `weir key create NAME` makes one\n");
        return text;
    }
    let new = weir_ledger::NewKey {
        name: "weir serve --new-key".into(),
        scopes: vec!["explain".into()],
        ..Default::default()
    };
    match ready.ledger.create_key(new) {
        Ok((_, secret)) => {
            let key = secret.expose();
            let model = config.models.first().map_or("sim/sim-small", |alias| alias.name.as_str());
            let _ = writeln!(text, "  key      {key}  (shown once)\n\nTry it:\n");
            let _ = writeln!(
                text,
                "curl -s {base}/chat/completions -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\\n  -d '{{\"model\":\"{model}\",\"messages\":[{{\"role\":\"user\",\"content\":\"Hello, who are you?\"}}]}}'\n"
            );
        }
        Err(error) => {
            let _ = writeln!(text, "  key      could not be made: {error}\n");
        }
    }
    text
}

/// Reads, compiles and proves everything as a start would, and throws it away.
fn check(file: Option<&PathBuf>) -> Printed {
    let config = read(file)?;
    let mut compiled = reload::policies::Compiled::new(wasm_engine()?);
    compiled.list(&config.http);
    let by_file = ship::bind::by_file(&config);
    let (mut names, mut errors): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for bindings in &by_file {
        match prove::rehearse(&mut compiled, &config, bindings) {
            Ok(name) if names.contains(&name) => errors.push(format!("two policies are called `{name}`")),
            Ok(name) => names.push(name),
            Err(why) => errors.push(why),
        }
    }
    if !errors.is_empty() {
        return Err(Failed(errors.join("\n")));
    }
    let mut text = String::new();
    for warning in &config.warnings {
        let _ = writeln!(text, "{}", warning.in_file(&config.path.display()));
    }
    let _ = writeln!(
        text,
        "{}: good ({} providers, {} models, {} policies)",
        config.path.display(),
        config.providers.len(),
        config.models.len(),
        config.policies.len()
    );
    Ok(text)
}

fn wasm_engine() -> Result<weir_wasm::Engine, Failed> {
    let options = weir_wasm::Options { cache_dir: None, mac_key: [0; 32], max_instances: 16 };
    Ok(weir_wasm::Engine::new(options)?)
}

fn ledger_check(config: &Config) -> Printed {
    let report = weir_ledger::check(&config.data)?;
    if report.is_clean() { Ok(report.to_string()) } else { Err(Failed(report.to_string())) }
}

fn simulate(listen: &sim::Listen) -> Printed {
    use pingora::services::Service as _;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut service = sim::service(sim::App::default(), listen);
    // Pingora panics where it cannot listen.
    listen.try_out().map_err(|error| Failed(format!("cannot listen on {listen}: {error}")))?;
    let (_stop, stopping) = tokio::sync::watch::channel(false);
    let _ = writeln!(std::io::stderr(), "The simulated provider listens on {listen}.");
    runtime.block_on(async {
        tokio::select! {
            () = service.start_service(None, stopping, 1) => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    });
    Ok(String::new())
}

fn completions(shell: clap_complete::Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "weir", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
