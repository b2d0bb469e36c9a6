//! `weir-bench`: the benchmark, and the parts of it that run as processes of their own.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use weir_benches::failure::Result;
use weir_benches::run::Plan;
use weir_benches::{hold, load, micro, mock, passthrough, relay, run, weir};

// The same allocator as Weir's, so that the baseline does not lose by its own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Weir beside a bare pingora-proxy and nginx.
#[derive(Parser)]
#[command(name = "weir-bench")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The whole benchmark: a table, and the figures in a file.
    Run(Plan),
    /// The loads of the benchmark without its figures: for a build that is to learn from them.
    Train(weir::Shipped),
    /// The upstream.
    Mock {
        #[arg(long)]
        listen: String,
        /// What a guard leaves where the address was.
        #[arg(long, default_value = "")]
        mask: String,
    },
    /// The baseline: pingora-proxy and nothing else.
    Passthrough {
        #[arg(long)]
        listen: String,
        #[arg(long)]
        upstream: String,
        #[arg(long, default_value_t = 1)]
        threads: usize,
    },
    /// The floor: the least that a relay can do for whole replies; not in the table.
    Relay {
        #[arg(long)]
        listen: String,
        #[arg(long)]
        upstream: String,
    },
    /// The load generator; its tally goes to standard output as JSON.
    Load(load::Shape),
    /// What one call of a policy costs, as JSON.
    Micro(micro::Policies),
    /// How far hostile policies get beyond their budget, as JSON.
    Misdeeds {
        /// `every-hook.wasm`, built.
        #[arg(long)]
        guest: std::path::PathBuf,
    },
    /// Streams held open.
    Hold {
        #[arg(long)]
        target: String,
        #[arg(long)]
        key: String,
        #[arg(long, default_value = "chat")]
        model: String,
        #[arg(long, default_value_t = 1000)]
        count: usize,
    },
}

#[expect(clippy::print_stderr, reason = "the one place that tells a person what went wrong")]
fn main() -> ExitCode {
    match carry_out(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("weir-bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the table and the tally are what the program is for")]
fn carry_out(command: Command) -> Result<()> {
    match command {
        Command::Run(plan) => {
            let report = run::run(&plan)?;
            println!("{}\n\nwritten to {}", report.table(), plan.out.display());
        }
        Command::Train(shipped) => run::train(&shipped)?,
        Command::Mock { listen, mask } => mock::serve(&listen, &mask)?,
        Command::Passthrough { listen, upstream, threads } => {
            passthrough::serve(&listen, &upstream, threads)?
        }
        Command::Relay { listen, upstream } => relay::serve(&listen, &upstream)?,
        Command::Micro(policies) => println!("{}", serde_json::to_string(&micro::measure(&policies)?)?),
        Command::Misdeeds { guest } => println!("{}", serde_json::to_string(&micro::misdeeds(&guest)?)?),
        Command::Load(shape) => println!("{}", serde_json::to_string(&load::run(&shape)?)?),
        Command::Hold { target, key, model, count } => hold::run(&target, &key, &model, count)?,
    }
    Ok(())
}
