//! The benchmark harness: Weir side by side with other proxies, on one core each, in interleaved rounds.
//!
//! # Layout
//!
//! - [`run`]: the whole benchmark, in the order of its table
//! - [`round`]: one system, started, warmed, loaded and stopped, with its CPU time
//! - [`system`]: what is measured, and how each is started: nginx, a bare `pingora-proxy`, Weir
//! - [`weir`]: Weir's config for the benchmark, its keys and its admin API
//! - [`audit`]: the ledger against what the clients and the upstream counted
//! - [`memory`], [`startup`], [`reload`], [`swap`], [`hostile`]: the figures beside CPU time
//! - [`redaction`]: how good the redaction of personal data is; [`first_text`]: how long a stream waits for it
//! - [`timing`]: whether the cache's times tell one organisation of another
//! - [`micro`]: what one call of a policy costs; [`translation`]: what turning requests, replies and deltas does
//! - [`process`]: pinned children, their CPU time and memory as the operating system says
//! - [`load`]: the load generator; [`hold`]: a thousand streams kept open
//! - [`mock`]: the upstream; [`passthrough`]: the baseline; [`relay`]: the floor, to be run by hand
//! - [`prompt`]: the bodies that the two agree on; [`reply`]: the right reply to each
//! - [`wire`]: as much HTTP/1.1 as both need
//! - [`figures`], [`report`]: medians and spreads; the table and the JSON file
//! - [`failure`]: one error, a sentence for a person

pub mod audit;
pub mod failure;
pub mod figures;
pub mod first_text;
pub mod hold;
pub mod hostile;
pub mod load;
pub mod memory;
pub mod micro;
pub mod mock;
pub mod passthrough;
pub mod process;
pub mod prompt;
pub mod redaction;
pub mod relay;
pub mod reload;
pub mod reply;
pub mod report;
pub mod round;
pub mod run;
pub mod startup;
pub mod swap;
pub mod system;
pub mod timing;
pub mod translation;
pub mod weir;
pub mod wire;
