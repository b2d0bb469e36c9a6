//! The engine from outside: hostile components, what an instance may carry on, the compile cache, the shipped plugins.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod cache;
mod grants;
mod guest;
mod hostile;
mod isolation;
mod plugins;
mod world;
