//! The gateway driven over its sockets, as a user would.
//!
//! # Layout
//!
//! - [`gateway`]: a running `weir serve` in a folder of its own, and the commands beside it.
//! - [`client`]: a caller: HTTP/1.1 by hand, so that it can also do what no library would.
//! - [`frames`]: HTTP/2 by hand.
//! - [`streams`]: a provider that speaks HTTP/2.
//! - [`tls`]: certificates of our own, and TLS in front of an upstream.
//! - [`minisign`]: signatures of policies.
//! - [`upstream`]: a provider that does what its script says, and remembers what it was sent.
//! - [`reply`]: chat completions and streams as a provider writes them.
//! - [`dialect`]: answers as providers of every dialect write them.
//! - [`ledger`]: the postings, read from outside.
//! - [`traffic`]: requests and replies with such a text in every field.
//! - [`canary`]: texts that stand in for content, and the search for them.
//! - [`collector`]: where traces, metrics and logs go.
//! - [`drill`]: what takes longer than a test may.
//!
//! Nothing here sleeps to wait: what is waited for is an event, and [`soon`] is only how long it may take to come.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a harness fails its test by panicking"
)]

pub mod canary;
pub mod client;
pub mod collector;
pub mod dialect;
pub mod drill;
pub mod frames;
pub mod gateway;
pub mod ledger;
pub mod minisign;
pub mod reply;
pub mod streams;
pub mod tls;
pub mod traffic;
pub mod upstream;

pub use canary::{Mint, Search};
pub use client::{Client, Head, Reply};
pub use collector::Collector;
pub use dialect::{Answer, Dialect, Tool};
pub use gateway::{Gateway, Setup};
pub use ledger::Posting;
pub use upstream::{Act, Call, Gate, Silent, Upstream};

use std::future::Future;
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up on it: far more than it ever does.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The result of `work`, which must come within [`PATIENCE`].
pub async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(done) => done,
        Err(_) => panic!("waited {PATIENCE:?} in vain: {what}"),
    }
}

/// Asks until there is an answer: for what another process does without telling.
pub async fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(began.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
