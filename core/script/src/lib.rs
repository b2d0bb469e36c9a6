//! The Rhai engine: compiles scripts into policies.
