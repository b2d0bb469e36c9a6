//! Notes on this exchange, which later policies read with [`Request::attr`](crate::Request::attr). Needs the capability
//! `annotate`; in host tests they are kept for [`testing::notes`](crate::testing::notes).
//!
//! Once content has been read, a value that the manifest does not declare for this tag becomes `undeclared`.

pub use crate::bindings::imports::weir::policy::annotate::AnnotateError;

/// Notes a value under a key.
///
/// # Errors
/// There are more than 32 notes, or one is longer than 128 bytes.
pub fn set(key: &str, value: &str) -> Result<(), AnnotateError> {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::imports::weir::policy::annotate::set(key, value);
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::host::note(key, value)
}
