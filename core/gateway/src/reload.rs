//! Reload: a new snapshot is built off the request path, on one thread, and swapped in whole; or refused, and the
//! running one goes on.
//!
//! # Layout
//!
//! - [`build`]: from a config to a snapshot.
//! - [`policies`]: compiles what is new, keeps what is not.
//! - [`watch`]: notices changed files.

pub mod build;
pub mod policies;
pub mod watch;

use crate::config::Config;
use crate::gateway::Gateway;
use build::{Builder, Refused};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;
use tokio::sync::oneshot;
use watch::Watch;

/// How often files are looked at.
const POLL: Duration = Duration::from_millis(250);

/// What a reload came to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Swapped {
    /// The generation that serves now.
    pub generation: u64,
    /// Changed keys that only a restart puts into force.
    pub needs_restart: Vec<&'static str>,
    /// What is allowed but doubtful.
    pub warnings: Vec<String>,
}

/// What the reload thread is asked to do.
enum Order {
    Reload(oneshot::Sender<Result<Swapped, Refused>>),
    Rollback(oneshot::Sender<Result<Swapped, Refused>>),
    Stop,
}

/// Asks the reload thread.
#[derive(Clone)]
pub struct Reloader(Sender<Order>);

impl Reloader {
    /// Reads the config and its files anew and swaps them in.
    ///
    /// # Errors
    /// Everything that is wrong with them; the running snapshot goes on.
    pub async fn reload(&self) -> Result<Swapped, Refused> {
        self.ask(Order::Reload).await
    }

    /// Brings the snapshot before this one back, under a new generation.
    ///
    /// # Errors
    /// There is none.
    pub async fn rollback(&self) -> Result<Swapped, Refused> {
        self.ask(Order::Rollback).await
    }

    /// Ends the thread.
    pub fn stop(&self) {
        // A thread that has ended needs no order.
        let _ = self.0.send(Order::Stop);
    }

    async fn ask(
        &self,
        order: impl FnOnce(oneshot::Sender<Result<Swapped, Refused>>) -> Order,
    ) -> Result<Swapped, Refused> {
        let (answer, answered) = oneshot::channel();
        let stopped = || Refused::because("the gateway is shutting down");
        self.0.send(order(answer)).map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }
}

/// The reload thread's own.
struct Thread {
    gateway: Arc<Gateway>,
    builder: Builder,
    file: Option<PathBuf>,
    watch: Watch,
    generation: u64,
    /// What was swapped out last, to roll back to.
    before: Option<Arc<crate::snapshot::Snapshot>>,
}

/// Starts the thread that reloads; `file` is the config file, `None` for the embedded defaults.
///
/// # Errors
/// The system gives no thread.
pub fn start(gateway: Arc<Gateway>, builder: Builder, file: Option<PathBuf>) -> std::io::Result<Reloader> {
    let (orders, incoming) = channel();
    let config = Arc::clone(&gateway.snapshot.load().config);
    let generation = gateway.snapshot.load().generation;
    let watch = Watch::new(watched(file.as_ref(), &config));
    let thread = Thread { gateway, builder, file, watch, generation, before: None };
    std::thread::Builder::new().name("weir-reload".into()).spawn(move || thread.run(&incoming))?;
    Ok(Reloader(orders))
}

/// Reads the config file, or the embedded defaults.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read(file: Option<&PathBuf>) -> Result<Config, Refused> {
    match file {
        Some(path) => Config::load(path),
        None => Config::embedded(),
    }
    .map_err(|errors| Refused { errors: errors.to_string().lines().map(str::to_owned).collect() })
}

fn watched(file: Option<&PathBuf>, config: &Config) -> Vec<PathBuf> {
    file.into_iter().chain(&config.watched).cloned().collect()
}

impl Thread {
    fn run(mut self, incoming: &Receiver<Order>) {
        loop {
            // Nobody waits for an answer that cannot be delivered: its exchange has gone.
            match incoming.recv_timeout(POLL) {
                Ok(Order::Reload(answer)) => drop(answer.send(self.reload())),
                Ok(Order::Rollback(answer)) => drop(answer.send(self.rollback())),
                Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    if self.watch.changed() {
                        drop(self.reload());
                    }
                }
            }
        }
    }

    fn reload(&mut self) -> Result<Swapped, Refused> {
        // Noted before the files are read: a change while they are read is noticed at the next look.
        self.watch.note();
        let result = self.build();
        self.gateway.telemetry.metrics().reload(result.is_ok());
        match &result {
            Ok(swapped) => tracing::info!(generation = swapped.generation, "reloaded"),
            Err(refused) => tracing::error!(
                generation = self.generation,
                errors = %refused,
                "reload refused; the running version goes on"
            ),
        }
        result
    }

    fn build(&mut self) -> Result<Swapped, Refused> {
        let config = read(self.file.as_ref())?;
        let old = self.gateway.snapshot.load_full();
        let needs_restart = Config::needs_restart(&self.builder.started, &config);
        let warnings = config.warnings.iter().map(|problem| problem.message.clone()).collect();
        self.watch.extend(watched(self.file.as_ref(), &config));
        let snapshot = self.builder.build(config, self.generation + 1, Some(&old))?;
        self.watch.replace(watched(self.file.as_ref(), &snapshot.config));
        Ok(self.swap(snapshot, needs_restart, warnings))
    }

    fn rollback(&mut self) -> Result<Swapped, Refused> {
        let Some(before) = self.before.clone() else {
            return Err(Refused::because("there is no version before this one to roll back to"));
        };
        let snapshot = before.as_generation(self.generation + 1);
        let swapped = self.swap(snapshot, Vec::new(), Vec::new());
        tracing::warn!(generation = swapped.generation, "rolled back");
        Ok(swapped)
    }

    fn swap(
        &mut self,
        snapshot: crate::snapshot::Snapshot,
        needs_restart: Vec<&'static str>,
        warnings: Vec<String>,
    ) -> Swapped {
        self.generation = snapshot.generation;
        self.gateway.ledger.set_hold_timeout(crate::server::hold_timeout(&snapshot.config));
        self.gateway.services.configure(&snapshot.config);
        self.gateway.telemetry.metrics().generation.set(i64::try_from(self.generation).unwrap_or(i64::MAX));
        let digest = snapshot.digest;
        let old = self.gateway.snapshot.swap(Arc::new(snapshot));
        // A reload that changed nothing is no version: the way back to the one before it stays open.
        if old.digest != digest {
            self.before = Some(old);
        }
        Swapped { generation: self.generation, needs_restart, warnings }
    }
}
