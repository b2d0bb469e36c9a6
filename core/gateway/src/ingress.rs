//! The caller's side: framing, headers, key, body; and how a reply or a refusal is written.
//!
//! # Layout
//!
//! - [`framing`]: HTTP/1 framing, decided on the raw header bytes.
//! - [`headers`]: the caller's key and the `x-weir-*` headers.
//! - [`body`]: the request body, bounded and timed.
//! - [`form`]: a body that is an upload.
//! - [`respond`]: whole replies and refusals.
//! - [`session`]: what all of it comes and goes by.

pub mod body;
pub mod form;
pub mod framing;
pub mod head;
pub mod headers;
pub mod respond;
pub mod session;

use crate::refusal::Refusal;
use http::{HeaderMap, Method};
use weir_llm::api::Api;

/// What a method and path ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// One of the APIs that models answer.
    Api(Api),
    /// `HEAD /`: whether anybody is there.
    Root,
    /// `GET /v1/models`
    Models,
    /// `GET /v1/models/{id}`
    Model(String),
}

/// Reads the method and path.
///
/// # Errors
/// 404 for an unknown path and for one at which providers keep state, 405 for a known one with another method.
pub fn endpoint(method: &Method, path: &str) -> Result<Endpoint, Refusal> {
    let (found, allow) = match path {
        "/v1/models" => (Endpoint::Models, "GET"),
        "/" => (Endpoint::Root, "HEAD, GET"),
        _ => match (api(path), path.strip_prefix("/v1/models/")) {
            (Some(api), _) => (Endpoint::Api(api), "POST"),
            (None, Some(id)) if !id.is_empty() => (Endpoint::Model(percent_decoded(id)), "GET"),
            _ if keeps_state(path) => return Err(Refusal::stateful_path(path)),
            _ => return Err(Refusal::unknown_path(path)),
        },
    };
    let allowed = allow.split(", ").any(|one| one == method.as_str());
    if allowed { Ok(found) } else { Err(Refusal::method(method.as_str(), path, allow)) }
}

/// The API of a path.
fn api(path: &str) -> Option<Api> {
    Some(match path {
        "/v1/chat/completions" => Api::Chat,
        "/v1/responses" => Api::Responses,
        "/v1/messages" => Api::Messages,
        "/v1/messages/count_tokens" => Api::CountTokens,
        "/v1/embeddings" => Api::Embeddings,
        "/v1/images/generations" => Api::Images,
        "/v1/audio/speech" => Api::Speech,
        "/v1/audio/transcriptions" => Api::Transcription,
        "/v1/moderations" => Api::Moderations,
        "/v1/rerank" => Api::Rerank,
        _ => return None,
    })
}

/// Where providers keep content for later requests; and all that stands below.
const STATE: [&str; 11] = [
    "/v1/assistants",
    "/v1/batches",
    "/v1/containers",
    "/v1/conversations",
    "/v1/files",
    "/v1/fine_tuning",
    "/v1/messages/batches",
    "/v1/threads",
    "/v1/uploads",
    "/v1/vector_stores",
    "/v1/videos",
];
/// Below these stand replies that were kept, by their ids.
const KEPT: [&str; 2] = ["/v1/responses/", "/v1/chat/completions/"];
/// What stands there and is no id.
const NO_IDS: [&str; 2] = ["input_tokens", "compact"];

/// Whether a path is one of an endpoint that is nothing without what a provider has kept.
fn keeps_state(path: &str) -> bool {
    let is_below =
        |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let id = KEPT.iter().find_map(|root| path.strip_prefix(root));
    STATE.into_iter().any(is_below) || id.is_some_and(|id| !id.is_empty() && !NO_IDS.contains(&id))
}

/// In whose words a request is answered before its path has said so, and for paths that both vendors have.
pub fn voice(path: &str, headers: &HeaderMap) -> Api {
    match api(path) {
        Some(api) => api,
        None if path.starts_with("/v1/messages") || headers.contains_key("anthropic-version") => {
            Api::Messages
        }
        None => Api::Chat,
    }
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
        assert_eq!(endpoint(&Method::POST, "/v1/chat/completions"), Ok(Endpoint::Api(Api::Chat)));
        assert_eq!(
            endpoint(&Method::GET, "/v1/models/sim%2Fsim-small"),
            Ok(Endpoint::Model("sim/sim-small".into()))
        );
        assert_eq!(endpoint(&Method::GET, "/v1/chat/completions").unwrap_err().status, 405);
        assert_eq!(endpoint(&Method::POST, "/v1/chat/completions/").unwrap_err().status, 404);
        assert_eq!(endpoint(&Method::GET, "/v1/models/").unwrap_err().status, 404);
    }

    #[test]
    fn what_keeps_state_is_told_from_what_does_not_exist() {
        let code = |path| endpoint(&Method::GET, path).unwrap_err().code;
        for path in
            ["/v1/files", "/v1/files/f_1/content", "/v1/responses/r_1", "/v1/messages/batches/b/results"]
        {
            assert_eq!(code(path), "stateful_endpoint", "{path}");
        }
        for path in ["/v1/filesystem", "/v1/responses/", "/v1/responses/input_tokens", "/v1/file", "/files"] {
            assert_eq!(code(path), "unknown_path", "{path}");
        }
    }
}
