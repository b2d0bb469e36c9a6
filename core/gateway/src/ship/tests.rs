//! Shipping with real scripts and a real store; only the gateway around it is left out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod orders;
mod shadows;
mod signatures;

use super::order::{Change, No, Order, Push};
use super::tally::Watcher;
use super::{Ship, Units};
use crate::config::{Config, ShipOptions};
use crate::reload::policies::Compiled;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::policies::Policies;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use weir_policy::{Pipeline, Policy};

/// A folder with a policy, and a gateway's policies without the gateway.
struct Yard {
    folder: TempDir,
    ship: Ship,
    config: Config,
    /// What a snapshot would hold.
    pipeline: Pipeline,
}

/// A route policy; `body` is the function's.
fn script(version: &str, body: &str) -> String {
    format!(
        "//! name: p\n//! version: {version}\n//! hooks: [route]\n\nfn route(head, targets, config) {{\n    {body}\n}}\n"
    )
}

/// One that abstains; `note` makes it another.
fn good(note: &str) -> String {
    script("1.0.0", &format!("abstain() // {note}"))
}

fn yaml(ship: &str) -> String {
    format!(
        "providers: {{ sim: {{ builtin: sim }} }}\nmodels: {{ m: {{ targets: [sim/a] }} }}\npolicies: [{{ file: p.rhai{ship} }}]\n"
    )
}

impl Yard {
    fn new(ship: &str, first: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("p.rhai"), first).unwrap();
        Self::open(folder, ship)
    }

    /// As a process that starts with what is in the folder.
    fn open(folder: TempDir, ship: &str) -> Self {
        let config = Config::parse(&yaml(ship), folder.path(), Path::new("weir.yaml"), &|_| None).unwrap();
        let mut ship = fresh(folder.path());
        let units = ship.bind(&config).unwrap();
        ship.remember(&units).unwrap();
        let pipeline = Pipeline::new(super::bound(&config, &units)).unwrap();
        ship.adopt(units);
        Self { folder, ship, config, pipeline }
    }

    fn reopened(self, ship: &str) -> Self {
        let Self { folder, ship: old, pipeline, .. } = self;
        old.stop();
        drop((old, pipeline));
        Self::open(folder, ship)
    }

    fn write(&self, text: &str) {
        std::fs::write(self.folder.path().join("p.rhai"), text).unwrap();
    }

    /// What the reload thread does with changed files.
    fn reload(&mut self) -> Result<(), Vec<String>> {
        let units = self.ship.bind(&self.config)?;
        self.swap(units);
        Ok(())
    }

    /// What it does with an order.
    fn order(&mut self, order: Order) -> Result<serde_json::Value, No> {
        let pushed = matches!(order, Order::Push(_));
        let change = self.ship.order(&self.config, "p", order);
        if let (true, Err(No::Refused(why))) = (pushed, &change) {
            self.ship.refused("p", why);
        }
        let Change { units, answer, .. } = change?;
        self.swap(units);
        Ok(answer)
    }

    fn push(&mut self, text: &str, options: ShipOptions) -> Result<serde_json::Value, No> {
        self.order(push(text, options))
    }

    /// What it does at each look.
    fn look(&mut self) {
        for (_, order) in self.ship.due() {
            let _ = self.order(order);
        }
    }

    fn swap(&mut self, units: Units) {
        let pipeline = Pipeline::new(super::bound(&self.config, &units)).unwrap();
        self.ship.remember(&units).unwrap();
        self.pipeline =
            pipeline.observed_by(&(Arc::clone(self.ship.watcher()) as _)).keep_breakers_of(&self.pipeline);
        self.ship.adopt(units);
    }

    fn live(&self) -> String {
        self.ship.units()["p"].live.version.content.clone()
    }

    fn running(&self) -> Vec<String> {
        self.pipeline.policies().map(|policy: &dyn Policy| policy.digest().to_owned()).collect()
    }
}

fn fresh(data: &Path) -> Ship {
    let options = weir_wasm::Options { cache_dir: None, mac_key: [0; 32], max_instances: 4 };
    let compiled = Compiled::new(weir_wasm::Engine::new(options).unwrap());
    let metrics = Arc::new(Metrics::new().unwrap());
    Ship::new(data, compiled, Arc::new(Watcher::new(Policies::new(&metrics))))
}

fn push(text: &str, options: ShipOptions) -> Order {
    let bytes = text.as_bytes().to_vec();
    Order::Push(Box::new(Push { bytes, cases: None, signature: None, options: Some(options) }))
}

fn content(text: &str) -> String {
    super::store::content(text.as_bytes())
}
