//! What authors of Weir plugins in Rust use.
