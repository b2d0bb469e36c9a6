//! The gateway: Pingora server, the way of a request, config, admin API, telemetry, CLI.

pub mod sim;
pub mod telemetry;
