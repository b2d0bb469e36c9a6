//! Token counts: close estimates by model family, for routing and limits; not for money. Needs the capability `tokens`;
//! in host tests a token is four bytes, and a segment has none.

/// The tokens of a text.
#[must_use]
pub fn count(model: &str, text: &str) -> u32 {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::imports::weir::policy::tokens::count(model, text);
    #[cfg(not(target_arch = "wasm32"))]
    {
        let _ = model;
        u32::try_from(text.len().div_ceil(4)).unwrap_or(u32::MAX)
    }
}

/// The tokens of a whole segment, without reading it. 0 if there is no such segment.
#[must_use]
pub fn count_segment(model: &str, segment: u32) -> u32 {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::imports::weir::policy::tokens::count_segment(model, segment);
    #[cfg(not(target_arch = "wasm32"))]
    {
        let _ = (model, segment);
        0
    }
}
