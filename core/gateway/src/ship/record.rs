//! What is remembered of a policy: the shape of `index.json` in its folder.

use crate::config::{Engine, ShipOptions};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::{SystemTime, UNIX_EPOCH};

/// Entries of a history; what is forgotten is forgotten with its bytes.
pub const HISTORY: usize = 20;
/// What stands before the reason of a version that is live again.
pub const BROUGHT_BACK: &str = "brought back: ";

/// Everything that outlives the process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Index {
    /// The shape: 1.
    pub format: u32,
    /// The policy's name.
    pub policy: String,
    /// The file that config names.
    pub file: String,
    /// Content of that file when it was last looked at.
    pub seen: String,
    /// What decides.
    pub live: Version,
    /// Since when, in Unix milliseconds.
    pub live_since_ms: u64,
    /// What is on its way.
    pub candidate: Option<Pending>,
    /// How versions ended, the latest last.
    pub history: VecDeque<Entry>,
}

/// One version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Version {
    /// SHA-256 of its bytes, hex: names its file in the store.
    pub content: String,
    /// The engine's digest of bytes and config: what metrics and logs say.
    pub digest: String,
    /// The author's version.
    pub version: String,
    /// What compiles it.
    pub engine: Kind,
    /// Where it came from.
    pub source: Source,
    /// Unix milliseconds at which it came.
    pub came_ms: u64,
    /// Its signature, which is checked whenever it is loaded: config may ask for another by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

/// What compiles a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "as in config")]
pub enum Kind {
    Rhai,
    Wasm,
}

/// Where a version came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Pushed.
    Push,
    /// The file that config names.
    File,
}

/// A version on its way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pending {
    /// Which.
    pub version: Version,
    /// How far it is.
    pub stage: Stage,
    /// What is asked of it.
    pub options: ShipOptions,
    /// Why it waits for a word, if it does.
    pub waits: Option<String>,
    /// What its shadow found, when that is over.
    pub shadowed: Option<serde_json::Value>,
}

/// How far a version is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Asked, but not heard.
    Shadow,
    /// Decides for some keys.
    Canary,
    /// Decides.
    Live,
}

/// How a version ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Which; `None`: it got no further than its bytes.
    pub version: Option<Version>,
    /// Unix milliseconds.
    pub at_ms: u64,
    /// What became of it.
    pub how: Ended,
    /// Why, in a sentence.
    pub why: String,
}

/// What became of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// It went live; the version before it is not.
    Live,
    /// A step refused it.
    Refused,
    /// Taken back by a person before it was live.
    Aborted,
    /// Taken back by a gate.
    Failed,
    /// A newer candidate came.
    Replaced,
    /// Taken back after it was live.
    RolledBack,
}

impl Kind {
    /// What the bytes look like.
    pub fn of(bytes: &[u8]) -> Self {
        if bytes.starts_with(b"\0asm") { Self::Wasm } else { Self::Rhai }
    }

    /// The engine of config.
    pub const fn engine(self) -> Engine {
        match self {
            Self::Rhai => Engine::Rhai,
            Self::Wasm => Engine::Wasm,
        }
    }

    /// The end of a file's name.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Rhai => "rhai",
            Self::Wasm => "wasm",
        }
    }
}

impl Stage {
    /// The label of metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Shadow => "shadow",
            Self::Canary => "canary",
            Self::Live => "live",
        }
    }
}

impl Ended {
    /// As the history says it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Refused => "refused",
            Self::Aborted => "aborted",
            Self::Failed => "failed",
            Self::Replaced => "replaced",
            Self::RolledBack => "rolled-back",
        }
    }
}

impl Index {
    /// Notes how a version ended.
    pub fn note(&mut self, version: Option<Version>, how: Ended, why: impl Into<String>) {
        self.history.push_back(Entry { version, at_ms: now_ms(), how, why: why.into() });
        while self.history.len() > HISTORY
            && let Some(at) = self.forgettable()
        {
            self.history.remove(at);
        }
    }

    /// The entry to forget, never the latest: the oldest that names no version, for no way leads back to it; else the
    /// oldest but for those by which the live version and the one to go back to went live.
    fn forgettable(&self) -> Option<usize> {
        let went_live = |version: &Version| {
            let of = |entry: &Entry| entry.version.as_ref().is_some_and(|it| it.content == version.content);
            self.history.iter().rposition(|entry| entry.how == Ended::Live && of(entry))
        };
        let kept = [went_live(&self.live), self.before().and_then(went_live)];
        let nameless = self.history.iter().take(HISTORY).position(|entry| entry.version.is_none());
        nameless.or_else(|| (0..HISTORY).find(|at| !kept.contains(&Some(*at))))
    }

    /// Every version that is named here: their bytes are kept.
    pub fn versions(&self) -> impl Iterator<Item = &Version> {
        let pending = self.candidate.as_ref().map(|pending| &pending.version);
        let past = self.history.iter().filter_map(|entry| entry.version.as_ref());
        std::iter::once(&self.live).chain(pending).chain(past)
    }

    /// The version to go back to: the latest one that was live before the live one, and was not taken back since. One
    /// that gave way to a version that a person named was not taken back.
    pub fn before(&self) -> Option<&Version> {
        let mut taken_back: Vec<&str> = vec![&self.live.content];
        for entry in self.history.iter().rev() {
            let Some(version) = &entry.version else { continue };
            match entry.how {
                Ended::RolledBack => taken_back.push(&version.content),
                Ended::Live if !taken_back.contains(&version.content.as_str()) => return Some(version),
                _ => {}
            }
        }
        None
    }

    /// Whether the live version was brought back by its digest: what it took the place of is no way back by itself.
    pub fn was_named(&self) -> bool {
        let mut past = self.history.iter().rev().filter(|entry| entry.version.is_some());
        let live = past.next().filter(|entry| entry.how == Ended::Live);
        let before = past.next().map(|entry| entry.how);
        live.is_some_and(|entry| entry.why.starts_with(BROUGHT_BACK)) && before != Some(Ended::RolledBack)
    }

    /// The version that a digest, or the beginning of one, names; the latest if several do.
    pub fn find(&self, digest: &str) -> Option<&Version> {
        let meant = |version: &&Version| {
            digest.len() >= 6 && (version.digest.starts_with(digest) || version.content.starts_with(digest))
        };
        self.versions().filter(meant).last()
    }
}

/// Unix milliseconds.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
