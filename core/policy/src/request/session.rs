//! Which conversation a request belongs to, as a keyed hash: policies keep conversations together without reading them.

use super::RequestView;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use weir_llm::request::{Role, SegmentKind};

/// The header that names a session, where the body's own field does not.
const HEADER: &str = "x-session-id";
/// The body's field that names a session.
const SESSION: &str = "/session_id";
/// Fields that name a conversation without meaning to, best first. Who asks (`user`, `metadata.user_id`) is no conversation:
/// it would keep all that one person says at one target.
const NAMED: [&str; 3] = ["/prompt_cache_key", "/conversation/id", "/conversation"];

/// The hash, 16 bytes in hex; `None` if nothing tells one conversation from another.
pub(super) fn hash(view: &RequestView, key: &[u8; 32]) -> Option<Box<str>> {
    let mut hash = Sha256::new();
    hash.update(key);
    put(&mut hash, view.head.tenant.as_bytes());
    named(view, &mut hash).or_else(|| opening(view, &mut hash))?;
    Some(hex::encode(&hash.finalize()[..16]).into())
}

/// OpenRouter's order, so that its clients stick here as they do there: the body's session, the header's, the cache key.
fn named(view: &RequestView, hash: &mut Sha256) -> Option<()> {
    let root = view.request().json().root();
    let field = |pointer: &&str| root.pointer(pointer)?.as_str();
    let header = view.headers.get(HEADER).map(Cow::from);
    let said = |text: &Cow<'_, str>| !text.is_empty();
    let text = field(&SESSION).filter(said).or_else(|| header.filter(said));
    let text = text.or_else(|| NAMED.iter().filter_map(field).find(said))?;
    put(hash, text.as_bytes());
    Some(())
}

/// What a conversation begins with stays the same in all its turns: the system prompt and the first thing that is said.
fn opening(view: &RequestView, hash: &mut Sha256) -> Option<()> {
    let request = view.request();
    let segments = request.segments();
    let said = |role| segments.iter().position(|s| s.role == role && s.kind == SegmentKind::Text);
    let system = said(Role::System).or_else(|| said(Role::Developer));
    let user = said(Role::User)?;
    for index in system.into_iter().chain([user]) {
        put(hash, request.text(index)?.as_bytes());
    }
    Some(())
}

fn put(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}
