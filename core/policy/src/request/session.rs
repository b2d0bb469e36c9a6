//! Which conversation a request belongs to, as a keyed hash: policies keep conversations together without reading them.

use super::RequestView;
use sha2::{Digest, Sha256};
use weir_llm::request::{Role, SegmentKind};

/// Fields of a body that name a conversation or who has it, best first.
const NAMED: [&str; 6] =
    ["/session_id", "/prompt_cache_key", "/conversation/id", "/conversation", "/metadata/user_id", "/user"];

/// The hash, 16 bytes in hex; `None` if nothing tells one conversation from another.
pub(super) fn hash(view: &RequestView, key: &[u8; 32]) -> Option<Box<str>> {
    let mut hash = Sha256::new();
    hash.update(key);
    put(&mut hash, view.head.tenant.as_bytes());
    named(view, &mut hash).or_else(|| opening(view, &mut hash))?;
    Some(hex::encode(&hash.finalize()[..16]).into())
}

fn named(view: &RequestView, hash: &mut Sha256) -> Option<()> {
    let header = view.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("x-session-id"));
    if let Some((_, value)) = header.filter(|(_, value)| !value.is_empty()) {
        put(hash, value.as_bytes());
        return Some(());
    }
    let root = view.request().json().root();
    let texts = NAMED.iter().filter_map(|pointer| root.pointer(pointer)?.as_str());
    let text = texts.into_iter().find(|text| !text.is_empty())?;
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
