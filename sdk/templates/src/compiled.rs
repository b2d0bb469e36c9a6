//! Every plugin, compiled for the host, with its own tests.
#![allow(clippy::expect_used, clippy::panic, unreachable_pub, reason = "tests, and crates of their own")]

#[path = "../rust/admit/src/lib.rs"]
mod admit;
#[path = "../rust/attempt/src/lib.rs"]
mod attempt;
#[path = "../rust/complete/src/lib.rs"]
mod complete;
#[path = "../rust/guard/src/lib.rs"]
mod guard;
#[path = "../rust/guard-stream/src/lib.rs"]
mod guard_stream;
#[path = "../rust/on-error/src/lib.rs"]
mod on_error;
#[path = "../rust/price/src/lib.rs"]
mod price;
#[path = "../rust/redact/src/lib.rs"]
mod redact;
#[path = "../rust/route/src/lib.rs"]
mod route;
#[path = "../rust/stream/src/lib.rs"]
mod stream;
