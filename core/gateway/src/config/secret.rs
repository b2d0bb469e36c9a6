//! A value that must not be seen.

use std::fmt;

/// A credential. Cannot be displayed or serialised, its debug form is masked, and its bytes are overwritten on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    pub(super) fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The value itself: for the header that carries it, and for comparing.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        // Without unsafe the bytes of a `str` cannot be written in place, so they are taken as a vector first; the
        // black box keeps the compiler from dropping stores that nobody reads.
        let mut bytes = std::mem::take(&mut self.0).into_string().into_bytes();
        bytes.fill(0);
        std::hint::black_box(&bytes);
    }
}
