//! The caller's side: framing, headers, key, body; and how a reply or a refusal is written.
//!
//! # Layout
//!
//! - [`framing`]: HTTP/1 framing, decided on the raw header bytes.
//! - [`headers`]: the caller's key and the `x-weir-*` headers.
//! - [`body`]: the request body, bounded and timed.
//! - [`respond`]: whole replies and refusals.

pub mod body;
pub mod framing;
pub mod headers;
pub mod respond;

use crate::refusal::Refusal;
use http::Method;

/// What a method and path ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// `POST /v1/chat/completions`
    Chat,
    /// `GET /v1/models`
    Models,
    /// `GET /v1/models/{id}`
    Model(String),
}

/// Reads the method and path.
///
/// # Errors
/// 404 for an unknown path, 405 for a known one with another method.
pub fn endpoint(method: &Method, path: &str) -> Result<Endpoint, Refusal> {
    let (found, allow) = match path {
        "/v1/chat/completions" => (Endpoint::Chat, "POST"),
        "/v1/models" => (Endpoint::Models, "GET"),
        _ => match path.strip_prefix("/v1/models/") {
            Some(id) if !id.is_empty() => (Endpoint::Model(percent_decoded(id)), "GET"),
            _ => return Err(Refusal::unknown_path(path)),
        },
    };
    if method.as_str() == allow { Ok(found) } else { Err(Refusal::method(method.as_str(), path, allow)) }
}

/// Model ids hold slashes and question marks, which clients escape.
fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escaped = (byte == b'%').then(|| bytes.get(at + 1..at + 3)).flatten();
        let value = escaped.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        out.push(value.unwrap_or(byte));
        at += if value.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_methods() {
        assert_eq!(endpoint(&Method::POST, "/v1/chat/completions"), Ok(Endpoint::Chat));
        assert_eq!(
            endpoint(&Method::GET, "/v1/models/sim%2Fsim-small"),
            Ok(Endpoint::Model("sim/sim-small".into()))
        );
        assert_eq!(endpoint(&Method::GET, "/v1/chat/completions").unwrap_err().status, 405);
        assert_eq!(endpoint(&Method::POST, "/v1/chat/completions/").unwrap_err().status, 404);
        assert_eq!(endpoint(&Method::GET, "/v1/models/").unwrap_err().status, 404);
    }
}
