//! Weir, the programmable gateway for LLM APIs: server, config, admin API, telemetry and command line.
//!
//! # Layout, outermost first
//!
//! - [`cli`]: the commands of the binary `weir`.
//! - [`server`]: listeners, start and stop.
//! - [`admin`]: the second listener: health, metrics, reload, policies, keys.
//! - [`gateway`]: what lives as long as the process.
//! - [`reload`]: builds a [`snapshot`] off the request path and swaps it in.
//! - [`ship`]: how a version of a policy goes live, and back.
//! - [`exchange`]: the way of a request, one sentence a step.
//! - [`completions`]: finished exchanges on their way to the policies that want to know of them.
//! - [`ingress`], [`egress`], [`cache`], [`upstream`]: the caller's side, the provider's side.
//! - [`door`]: the TLS of callers.
//! - [`overload`], [`connections`], [`buffered`], [`drain`], [`crowd`], [`slots`]: how much may be under way at one time.
//! - [`recover`]: what a process that was killed has left.
//! - [`readiness`]: what is wrong, if something is.
//! - [`warmth`]: how likely a provider's prompt cache knows the beginning of a request.
//! - [`terms`]: what an exchange asks of whoever gets its content, and who fits.
//! - [`privacy`]: no core dumps, no content in panics.
//! - [`services`]: what the gateway does for policies: keys, calls out, metrics, traces.
//! - [`collector`]: the way to an OpenTelemetry collector.
//! - [`sim`]: the built-in simulated provider.
//! - [`config`], [`telemetry`]: the file and the figures.

pub mod admin;
pub mod alarm;
pub mod buffered;
pub mod cache;
pub mod cli;
pub mod collector;
pub mod completions;
pub mod config;
pub mod connections;
pub mod crowd;
pub mod door;
pub mod drain;
pub mod egress;
pub mod exchange;
pub mod gateway;
pub mod ingress;
pub mod models;
pub mod overload;
pub mod privacy;
pub mod readiness;
pub mod recover;
pub mod refusal;
pub mod reload;
pub mod server;
pub mod services;
pub mod ship;
pub mod sim;
pub mod slots;
pub mod snapshot;
pub mod spare;
pub mod telemetry;
pub mod terms;
pub mod upstream;
pub mod warmth;
pub mod wire;
