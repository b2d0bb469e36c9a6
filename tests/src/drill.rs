//! Drills: what the gateway is put through that a test has no time for. `weir-drill` runs them, `make test` some of them
//! in small.
//!
//! # Layout
//!
//! - [`streams`], [`soak`], [`kill9`], [`disk`], [`overload`], [`slowloris`], [`slowhttp`], [`idle`], [`restart`],
//!   [`syn`]: one drill each.
//! - [`Outcome`]: what a drill did, what it measured, and what was wrong.
//! - [`mock`]: a provider whose replies can be known in advance, at any pace.
//! - [`ask`]: a caller that knows what it must get.
//! - [`measure`]: memory, descriptors, quantiles, slopes.

pub mod ask;
pub mod disk;
pub mod idle;
pub mod kill9;
pub mod measure;
pub mod mock;
pub mod overload;
pub mod restart;
pub mod slowhttp;
pub mod slowloris;
pub mod soak;
pub mod streams;
pub mod syn;

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;

/// What a drill came to.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// What was done, in a sentence.
    pub did: String,
    /// What was measured, by name.
    pub figures: Vec<(&'static str, f64)>,
    /// What must never be.
    pub broken: Vec<String>,
    /// What was too slow or too big: true of this machine at that moment, so no test asks for it.
    pub slow: Vec<String>,
}

/// A drill that was started.
pub type Running = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// A drill by its name: what it is to show, and how it is started in full or quickly.
pub struct Drill {
    /// As it is asked for.
    pub name: &'static str,
    /// What passes.
    pub shows: &'static str,
    /// Starts it; `true`: quickly.
    pub start: fn(bool) -> Running,
}

/// All drills, the short ones first.
pub const ALL: &[Drill] = &[
    Drill {
        name: "idle",
        shows: "an upstream that closes idle connections: no error, no fallback",
        start: |quick| Box::pin(idle::run(if quick { 2_000 } else { 10_000 })),
    },
    Drill {
        name: "syn",
        shows: "a network that loses 30 % of the SYNs: no error, nobody is asked twice",
        start: |quick| Box::pin(syn::run(if quick { 500 } else { 4_000 })),
    },
    Drill {
        name: "restart",
        shows: "restarts under load: no stream is cut, every finished one is settled",
        start: |quick| Box::pin(restart::run(if quick { 8 } else { 50 })),
    },
    Drill {
        name: "kill9",
        shows: "kill -9 under load: nothing acknowledged is lost, the invariants hold",
        start: |quick| Box::pin(kill9::run(if quick { 10 } else { 200 })),
    },
    Drill {
        name: "disk",
        shows: "disk full, EIO, read-only, a damaged log: closed, said aloud, recovered alone, nothing silently lost",
        start: |_| Box::pin(disk::run()),
    },
    Drill {
        name: "overload",
        shows: "three times the load: goodput >= 80 % of the peak, the rest refused within 50 ms, no growth",
        start: |quick| Box::pin(overload::run(if quick { overload::QUICK } else { overload::FULL })),
    },
    Drill {
        name: "slowloris",
        shows: "1,000 slow connections: the others see no failure and p99 <= 2x; the slow are gone in 15 s",
        start: |quick| Box::pin(slowloris::run(if quick { 1 } else { 3 })),
    },
    Drill {
        name: "slowhttp",
        shows: "slowhttptest in four modes, 1,000 connections: as slowloris",
        start: |quick| Box::pin(slowhttp::run(if quick { 26 } else { 35 })),
    },
    Drill {
        name: "streams",
        shows: "many streams with a Wasm and a Rhai policy: no byte lost or reordered, RSS <= 150 MiB",
        start: |quick| Box::pin(streams::run(if quick { streams::QUICK } else { streams::FULL })),
    },
    Drill {
        name: "soak",
        shows: "aborts and reloads for long: no error, memory and descriptors flat",
        start: |quick| Box::pin(soak::run(if quick { soak::QUICK } else { soak::FULL })),
    },
];

impl Outcome {
    /// Nothing is wrong yet.
    #[must_use]
    pub fn new(did: impl Into<String>) -> Self {
        Self { did: did.into(), ..Self::default() }
    }

    /// Notes a figure.
    pub fn figure(&mut self, name: &'static str, value: f64) {
        self.figures.push((name, value));
    }

    /// Notes a count.
    pub fn count(&mut self, name: &'static str, value: usize) {
        self.figure(name, value as f64);
    }

    /// What must hold anywhere.
    pub fn require(&mut self, holds: bool, otherwise: impl Into<String>) {
        if !holds {
            self.broken.push(otherwise.into());
        }
    }

    /// What is to hold on a machine that has nothing else to do.
    pub fn expect(&mut self, holds: bool, otherwise: impl Into<String>) {
        if !holds {
            self.slow.push(otherwise.into());
        }
    }

    /// Takes over what a part of the drill came to.
    pub fn include(&mut self, part: Self) {
        self.figures.extend(part.figures);
        self.broken.extend(part.broken);
        self.slow.extend(part.slow);
    }

    /// Whether nothing was wrong.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.broken.is_empty() && self.slow.is_empty()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.did)?;
        for (name, value) in &self.figures {
            let digits = if value.fract() == 0.0 { 0 } else { 2 };
            write!(f, "; {name} {value:.digits$}")?;
        }
        f.write_str(if self.passed() { ": PASS" } else { ": FAIL" })?;
        self.broken.iter().chain(&self.slow).try_for_each(|why| write!(f, "\n    {why}"))
    }
}

/// The config of most drills: model `m` at one provider, a dollar a million tokens in and ten out.
#[must_use]
pub fn config(upstream: SocketAddr) -> String {
    format!(
        "providers:
  one: {{ base_url: 'http://{upstream}/v1', keys: [sk-one], timeouts: {{ connect: 5s, first_byte: 60s, idle: 60s }} }}
models:
  m: {{ targets: [{{ target: one/m, max_output: 100000, prices: {{ input: 1, output: 10 }} }}] }}
"
    )
}

/// The same with a provider `two` behind it.
#[must_use]
pub fn with_second(one: SocketAddr, two: SocketAddr) -> String {
    let second = format!("  two: {{ base_url: 'http://{two}/v1', keys: [sk-two] }}\nmodels:");
    config(one)
        .replace(
            "10 } }]",
            "10 } }, { target: two/m, max_output: 100000, prices: { input: 1, output: 10 } }]",
        )
        .replace("models:", &second)
}
