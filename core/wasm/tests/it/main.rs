//! The engine from outside: hostile components, what an instance may carry on, the compile cache, the shipped plugins.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod authority;
mod cache;
mod grants;
mod guest;
mod hooks;
mod host;
mod hostile;
mod isolation;
mod malformed;
mod misdeeds;
mod plugins;
mod price;
mod snapshot;
mod stream;
mod waits;
mod world;
