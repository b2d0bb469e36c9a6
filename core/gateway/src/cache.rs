//! The response cache: complete, successful replies, in memory, bounded by bytes.
//!
//! # Layout
//!
//! - [`flight`]: one request at a time for one reply.

pub mod flight;

use flight::Flights;
use hmac::{Hmac, Mac};
use http::HeaderValue;
use moka::Expiry;
use moka::sync::Cache;
use sha2::Sha256;
use std::time::{Duration, Instant};
use weir_llm::json::{Kind, Value};
use weir_llm::payload::Payload;
use weir_llm::price::Nanos;
use weir_llm::usage::Usage;

/// What a reply is found by.
pub type Key = [u8; 32];

/// A reply that may be served again.
#[derive(Clone)]
pub struct Entry {
    /// The complete reply.
    pub body: Payload,
    /// Id of the target that gave it.
    pub target: std::sync::Arc<str>,
    /// The tokens that it took.
    pub usage: Usage,
    /// What the customer paid for it: what a hit saves.
    pub paid: Nanos,
    /// What the target could not be told, as the first caller was told.
    pub dropped: Option<HeaderValue>,
    /// How long it may be served.
    pub ttl: Duration,
}

/// Replies by key.
pub struct Replies {
    /// The replies that are being fetched.
    pub flights: Flights,
    entries: Cache<Key, Entry>,
    secret: Hmac<Sha256>,
}

/// What tells two requests apart, besides the body.
pub struct Scope<'a> {
    /// Organisation id: no tenant is ever served another's reply.
    pub tenant: &'a str,
    /// The API that the caller speaks.
    pub api: &'a str,
    /// The alias, or `provider/model`.
    pub alias: &'a str,
    /// What the request asks of whoever gets its content.
    pub terms: &'a str,
    /// Digest of the policies and config that can change content or route.
    pub digest: &'a [u8; 32],
    /// What the request's head asks for that changes the reply.
    pub asked: &'a str,
}

/// Each entry lives as long as its alias says.
struct PerEntry;

impl Expiry<Key, Entry> for PerEntry {
    fn expire_after_create(&self, _: &Key, entry: &Entry, _: Instant) -> Option<Duration> {
        Some(entry.ttl)
    }
}

/// What an entry weighs beside its body.
const OVERHEAD: usize = 256;

impl Replies {
    /// Holds at most so many bytes. Keys are made with a secret of this process, so that nobody can make one.
    ///
    /// # Errors
    /// The operating system has no random bytes to give.
    pub fn new(bytes: u64) -> Result<Self, getrandom::Error> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)?;
        let entries = Cache::builder()
            .max_capacity(bytes)
            .weigher(|_, entry: &Entry| u32::try_from(entry.body.len() + OVERHEAD).unwrap_or(u32::MAX))
            .expire_after(PerEntry)
            .build();
        Ok(Self { flights: Flights::default(), entries, secret: keyed(&secret) })
    }

    /// The key of a request. Two bodies that mean the same share it: member order, white space and string escapes do
    /// not count, nor whether a stream was asked for, since a reply is replayed either way.
    pub fn key(&self, scope: &Scope<'_>, body: Value<'_>) -> Key {
        let mut hash = self.secret.clone();
        for part in [scope.tenant, scope.api, scope.alias, scope.terms, scope.asked] {
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        hash.update(scope.digest);
        canonical(body, &mut hash, true);
        hash.finalize().into_bytes().into()
    }

    /// The reply for a key, if one is held.
    pub fn get(&self, key: &Key) -> Option<Entry> {
        self.entries.get(key)
    }

    /// Holds a reply.
    pub fn put(&self, key: Key, entry: Entry) {
        self.entries.insert(key, entry);
    }

    /// Bytes held now, as far as the cache has counted.
    pub fn bytes(&self) -> u64 {
        self.entries.weighted_size()
    }

    /// Replies held now, as far as the cache has counted.
    pub fn entries(&self) -> u64 {
        self.entries.entry_count()
    }
}

#[allow(clippy::expect_used, reason = "HMAC takes keys of every length")]
fn keyed(secret: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(secret).expect("HMAC takes keys of every length")
}

/// Hashes a value so that equal meanings hash alike and different ones do not: each part is tagged and counted.
fn canonical(value: Value<'_>, hash: &mut Hmac<Sha256>, root: bool) {
    match value.kind() {
        Kind::Object => {
            let mut members: Vec<_> = value
                .members()
                .filter(|(name, _)| !root || !matches!(&**name, "stream" | "stream_options"))
                .collect();
            members.sort_by(|a, b| a.0.cmp(&b.0));
            sized(hash, b'{', members.len());
            for (name, member) in members {
                sized(hash, b'"', name.len());
                hash.update(name.as_bytes());
                canonical(member, hash, false);
            }
        }
        Kind::Array => {
            sized(hash, b'[', value.elements().count());
            for element in value.elements() {
                canonical(element, hash, false);
            }
        }
        Kind::String => {
            let text = value.as_str().unwrap_or_default();
            sized(hash, b'"', text.len());
            hash.update(text.as_bytes());
        }
        Kind::Null | Kind::Bool | Kind::Number => {
            sized(hash, b'#', value.raw().len());
            hash.update(value.raw());
        }
    }
}

fn sized(hash: &mut Hmac<Sha256>, tag: u8, count: usize) {
    hash.update(&[tag]);
    hash.update(&(count as u64).to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use weir_llm::json::Json;

    fn key(replies: &Replies, tenant: &str, body: &str) -> Key {
        let json = Json::parse(Bytes::copy_from_slice(body.as_bytes())).unwrap();
        let scope =
            Scope { tenant, api: "chat", alias: "fast", terms: "unknown", digest: &[0; 32], asked: "" };
        replies.key(&scope, json.root())
    }

    #[test]
    fn what_means_the_same_shares_a_key_and_nothing_else_does() {
        let replies = Replies::new(1 << 20).unwrap();
        let first = key(&replies, "a", r#"{"model":"m","stream":true,"messages":["é"]}"#);
        assert_eq!(first, key(&replies, "a", r#"{ "messages": ["\u00e9"], "model":"m" }"#));
        for (tenant, body) in [
            ("b", r#"{"model":"m","messages":["é"]}"#),
            ("a", r#"{"model":"m","messages":["e"]}"#),
            ("a", r#"{"model":"m","messages":["é",null]}"#),
            ("a", r#"{"model":"m","messages":[["é"]]}"#),
            ("a", r#"{"model":"m","messages":["é"],"x":{"stream":true}}"#),
        ] {
            assert_ne!(first, key(&replies, tenant, body), "{tenant} {body}");
        }
    }

    /// What one organisation has asked is neither found nor waited for by another, so it takes another as long as what
    /// nobody has asked.
    #[test]
    fn another_organisation_finds_nothing_and_waits_for_nobody() {
        let replies = Replies::new(1 << 20).unwrap();
        let body = r#"{"model":"m","messages":["hi"]}"#;
        let keys = ["org_a", "org_b", "", "org_a\0chat"].map(|tenant| key(&replies, tenant, body));
        let leads = |key: &Key| match replies.flights.join(*key) {
            flight::Joined::Lead(flight) => Some(flight),
            flight::Joined::Follow(_) => None,
        };
        let flights: Vec<_> = keys.iter().map(leads).collect();
        assert!(flights.iter().all(Option::is_some), "each leads its own");
        assert!(keys.iter().all(|key| leads(key).is_none()), "and its own follow");
        for (at, key) in keys.iter().enumerate() {
            let found: Vec<_> = keys.iter().map(|key| replies.get(key).is_some()).collect();
            assert_eq!(found, (0..keys.len()).map(|other| other < at).collect::<Vec<_>>());
            replies.put(*key, entry(7));
        }
    }

    fn entry(bytes: usize) -> Entry {
        Entry {
            dropped: None,
            body: Payload::new(vec![0; bytes].into()),
            target: "t".into(),
            usage: Usage::default(),
            paid: Nanos(0),
            ttl: Duration::from_secs(60),
        }
    }

    #[test]
    fn the_cache_is_bounded_by_bytes() {
        let replies = Replies::new(10_000).unwrap();
        for n in 0..100_u8 {
            replies.put([n; 32], entry(1000));
        }
        replies.entries.run_pending_tasks();
        assert!(replies.bytes() <= 10_000, "{}", replies.bytes());
        assert!(replies.entries() >= 5);
    }
}
