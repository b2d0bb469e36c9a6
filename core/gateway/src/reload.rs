//! Reload: a new snapshot is built off the request path, on one thread, and swapped in whole; or refused, and the
//! running one goes on.
//!
//! # Layout
//!
//! - [`orders`]: what the thread is asked to do.
//! - [`build`]: from a config to a snapshot.
//! - [`policies`]: compiles what is new, keeps what is not.
//! - [`watch`]: notices changed files.

pub mod build;
pub mod orders;
pub mod policies;
pub mod watch;

pub use orders::{Reloader, Shown, Swapped};

use crate::config::Config;
use crate::gateway::Gateway;
use crate::ship::Units;
use crate::ship::order::{Change, No, Order};
use crate::ship::record::Version;
use crate::snapshot::Snapshot;
use build::{Builder, Refused};
use orders::Work;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use watch::Watch;

/// How often files, gates and breakers are looked at.
const POLL: Duration = Duration::from_millis(250);

/// The reload thread's own.
struct Thread {
    gateway: Arc<Gateway>,
    builder: Builder,
    file: Option<PathBuf>,
    watch: Watch,
    generation: u64,
    /// What was changed last, to roll back to.
    before: Option<Before>,
    /// A changed file for which there was no room yet.
    again: bool,
}

/// What ran before a change.
#[derive(Clone)]
struct Before {
    config: Arc<Config>,
    live: Vec<(String, Version)>,
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
    let thread = Thread { gateway, builder, file, watch, generation, before: None, again: false };
    thread.show();
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
    fn run(mut self, incoming: &Receiver<Work>) {
        let mut next = Instant::now() + POLL;
        loop {
            match incoming.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(Work::Stop(answer)) => {
                    self.builder.ship.stop();
                    let _ = answer.send(());
                    return;
                }
                Ok(work) => self.work(work),
                Err(RecvTimeoutError::Disconnected) => return self.builder.ship.stop(),
                Err(RecvTimeoutError::Timeout) => {}
            }
            // Whoever keeps asking does not keep files and gates from being looked at.
            if Instant::now() >= next {
                self.look();
                next = Instant::now() + POLL;
            }
        }
    }

    /// Nobody waits for an answer that cannot be delivered: its exchange has gone.
    fn work(&mut self, work: Work) {
        match work {
            Work::Reload(answer) => drop(answer.send(self.reload())),
            Work::Rollback(answer) => drop(answer.send(self.rollback())),
            Work::Ship { policy, order, answer } => drop(answer.send(self.follow(&policy, order))),
            Work::Show { what, answer } => drop(answer.send(self.shown(&what))),
            // Met where the thread ends.
            Work::Stop(answer) => drop(answer),
        }
    }

    fn reload(&mut self) -> Result<Swapped, Refused> {
        // Noted before the files are read: a change while they are read is noticed at the next look.
        self.watch.note();
        let result = self.build();
        self.again = result.is_err() && self.builder.ship.is_crowded();
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
        let (snapshot, units) = self.builder.build(config, self.generation + 1, Some(&old), &[])?;
        self.builder.remember(&units)?;
        self.watch.replace(watched(self.file.as_ref(), &snapshot.config));
        self.swap(snapshot, units, true);
        Ok(Swapped { generation: self.generation, needs_restart, warnings })
    }

    fn rollback(&mut self) -> Result<Swapped, Refused> {
        let Some(before) = self.before.clone() else {
            return Err(Refused::because("there is no version before this one to roll back to"));
        };
        let old = self.gateway.snapshot.load_full();
        let config = Config::clone(&before.config);
        let (snapshot, units) = self.builder.build(config, self.generation + 1, Some(&old), &before.live)?;
        self.builder.remember(&units)?;
        self.swap(snapshot, units, true);
        tracing::warn!(generation = self.generation, "rolled back");
        Ok(Swapped { generation: self.generation, needs_restart: Vec::new(), warnings: Vec::new() })
    }

    /// Follows an order about a policy: on copies first, then remembered, then in force.
    fn follow(&mut self, policy: &str, order: Order) -> Result<Value, No> {
        let pushed = matches!(order, Order::Push(_));
        let result = self.try_follow(policy, order);
        if let Err(No::Refused(why)) = &result {
            tracing::warn!(
                policy,
                reason = why,
                "an order about a policy is refused; the running version goes on"
            );
            if pushed {
                self.builder.ship.refused(policy, why);
                self.gateway.telemetry.metrics().policy_shipped(policy, "refused");
            }
        }
        result
    }

    fn try_follow(&mut self, policy: &str, order: Order) -> Result<Value, No> {
        let old = self.gateway.snapshot.load_full();
        let Change { units, pipeline, live, rollback, mut answer, said } =
            self.builder.ship.order(&old.config, policy, order)?;
        if pipeline {
            let built = self.builder.repolicy(&old, self.generation + 1, &units);
            let snapshot = built.map_err(|refused| No::Refused(refused.to_string()))?;
            self.builder.remember(&units).map_err(|refused| No::Refused(refused.to_string()))?;
            self.swap(snapshot, units, live);
        } else {
            self.builder.remember(&units).map_err(|refused| No::Refused(refused.to_string()))?;
            self.builder.ship.adopt(units);
        }
        tracing::info!(policy, generation = self.generation, "{said}");
        let metrics = self.gateway.telemetry.metrics();
        if let Some(why) = rollback {
            metrics.policy_rolled_back(policy, why);
        }
        if live {
            metrics.policy_shipped(policy, "live");
        }
        if answer.is_object() {
            answer["generation"] = self.generation.into();
        }
        Ok(answer)
    }

    /// Changed files, and what gates, breakers and candidates that were left behind ask for.
    fn look(&mut self) {
        if self.watch.changed() || self.again {
            drop(self.reload());
        }
        for (policy, order) in self.builder.ship.due() {
            let tripped = match &order {
                Order::Tripped { digest, .. } => Some(digest.clone()),
                _ => None,
            };
            match self.follow(&policy, order) {
                Ok(_) | Err(No::Busy(_) | No::Unknown(_)) => {}
                Err(No::Refused(why)) => {
                    tracing::debug!(policy, reason = why, "nothing was changed");
                    // Said once: it would be refused again at every look.
                    if let Some(digest) = tripped {
                        self.builder.ship.watcher().forget(&digest);
                    }
                }
            }
        }
    }

    fn shown(&self, what: &Shown) -> Result<Value, No> {
        let ship = &self.builder.ship;
        match what {
            Shown::All => Ok(json!({ "generation": self.generation, "policies": ship.list() })),
            Shown::Status(name) => {
                let mut status = ship.status(name).ok_or_else(|| No::Unknown(name.clone()))?;
                status["generation"] = self.generation.into();
                Ok(status)
            }
            Shown::History(name) => ship.history(name).ok_or_else(|| No::Unknown(name.clone())),
        }
    }

    /// `changed`: whether what ran until now is a version to roll back to.
    fn swap(&mut self, snapshot: Snapshot, units: Units, changed: bool) {
        self.generation = snapshot.generation;
        self.gateway.ledger.set_hold_timeout(crate::server::hold_timeout(&snapshot.config));
        self.gateway.services.configure(&snapshot.config);
        self.gateway.traces.resize(snapshot.config.explain_kept as usize);
        self.gateway.telemetry.metrics().generation.set(i64::try_from(self.generation).unwrap_or(i64::MAX));
        let digest = snapshot.digest;
        let old = self.gateway.snapshot.swap(Arc::new(snapshot));
        // A reload that changed nothing is no version: the way back to the one before it stays open.
        if changed && old.digest != digest {
            let live = self.builder.ship.units().iter();
            let live = live.map(|(name, unit)| (name.clone(), unit.live.version.clone())).collect();
            self.before = Some(Before { config: Arc::clone(&old.config), live });
        }
        // Let go before the candidates' threads are: they wait for what holds their versions.
        drop(old);
        self.builder.ship.adopt(units);
        self.show();
    }

    /// What runs, in metrics.
    fn show(&self) {
        let metrics = self.gateway.telemetry.metrics();
        metrics.policy_info.reset();
        for (name, unit) in self.builder.ship.units() {
            let show = |version: &Version, stage: &str| {
                let labels = [name.as_str(), version.version.as_str(), version.digest.as_str(), stage];
                metrics.policy_info.with_label_values(&labels).set(1);
            };
            show(&unit.live.version, "live");
            if let Some(pending) = &unit.index.candidate {
                show(&pending.version, pending.stage.as_str());
            }
        }
    }
}
