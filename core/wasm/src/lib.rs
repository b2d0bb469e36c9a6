//! The wasmtime engine: compiles components into policies, builds plugins into components.
