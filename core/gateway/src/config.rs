//! `weir.yaml`: read, checked as a whole, and turned into what the program needs.
//!
//! Two shapes: the file's (private, serde, its doc comments are the reference) and the program's ([`Config`], ready).
//! All problems of a file are found in one run, each with line and column; no message holds a secret.
//!
//! # Layout
//!
//! - `tree`: YAML as a tree that knows the place of every key and value, and keeps numbers as written.
//! - `shape`: the tree against the JSON Schema: unknown, missing, repeated keys, wrong kinds.
//! - `decode`, `place`, `file`: from the tree to the file's shape, by serde.
//! - `scalar`, `choice`, `endpoint`, `public`: what a single value may be.
//! - `interpolate`, `paths`: `${env:NAME}`, `${file:PATH}`, and files that must be there.
//! - `lower`: from the file's shape to the program's; everything that needs more than one value to judge.
//! - `program`, `secret`: the program's shape.
//! - `problem`: what an error says.
//! - `reference`: JSON Schema and Markdown.
//! - `reload`: what needs a restart.

mod choice;
mod decode;
mod endpoint;
mod file;
mod interpolate;
mod lower;
mod paths;
mod place;
mod problem;
mod program;
mod public;
mod reference;
mod reload;
mod scalar;
mod secret;
mod shape;
mod tree;

#[cfg(test)]
mod tests;

pub use endpoint::Endpoint;
pub use problem::{ConfigErrors, Pos, Problem};
pub use program::{
    Alias, CanaryOptions, DrainBounds, Engine, GenAi, Http, HttpAlias, LedgerSync, Level, Limits, Log, Otlp,
    PolicyBinding, Provider, ProviderKind, ProviderTerms, ProviderTimeouts, Proxy, Server, ServerTimeouts,
    ShadowOptions, ShipOptions, Signing, Speaks, TargetRef, Tls,
};
pub use public::{is_metadata, is_public};
pub use reference::{reference_markdown, schema};
pub use secret::Secret;

use interpolate::Sources;
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use tree::Tree;
use weir_llm::catalogue::Catalogue;

/// The file that [`Config::embedded`] stands for; `weir init` may write it out.
pub const DEFAULT_YAML: &str = include_str!("config/default.yaml");

/// A checked configuration: everything in it parses, every name in it resolves.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it was read from, as it was named.
    pub path: PathBuf,
    /// How Weir listens.
    pub server: Server,
    /// Folder of the ledger, the pepper and the compiled plugins; may not exist yet.
    pub data: PathBuf,
    /// How postings are stored.
    pub ledger_sync: LedgerSync,
    /// Who serves models; names are unique.
    pub providers: Vec<Provider>,
    /// What callers may ask for; names are unique.
    pub models: Vec<Alias>,
    /// Whether callers may also name `provider/model`.
    pub direct: bool,
    /// The enabled policies, in the order in which they are asked.
    pub policies: Vec<PolicyBinding>,
    /// Where policies may call; names are unique.
    pub http: Vec<HttpAlias>,
    /// Bytes that the keys of one policy may take.
    pub kv_bytes: u64,
    /// Who may sign policies.
    pub signing: Signing,
    /// The embedded prices and limits, extended by the operator's.
    pub catalogue: Cow<'static, Catalogue>,
    /// Bytes that all kept replies together may take.
    pub cache_bytes: u64,
    /// Whether a crash may write memory to disk.
    pub core_dumps: bool,
    /// What is logged.
    pub log: Log,
    /// Where traces, metrics and logs go; `None`: nowhere.
    pub otlp: Option<Otlp>,
    /// Under which names they speak of generative AI.
    pub genai: GenAi,
    /// Decision traces that are kept.
    pub explain_kept: u32,
    /// The bearer token of the admin API; `None`: the one in the data folder.
    pub admin_token: Option<Secret>,
    /// Every other file that was read or named: a change of one is a change of the config. Sorted.
    pub watched: Vec<PathBuf>,
    /// What is allowed but doubtful.
    pub warnings: Vec<Problem>,
}

/// A span of time as the file writes it: `10m`.
///
/// # Errors
/// It is none; completes the sentence "`value` …".
pub fn span(text: &str) -> Result<std::time::Duration, String> {
    <scalar::Span as scalar::Scalar>::parse(text)
}

/// A share as the file writes it, `5%`, in parts of 10,000.
///
/// # Errors
/// As [`span`].
pub fn percent(text: &str) -> Result<u16, String> {
    <scalar::Percent as scalar::Scalar>::parse(text)
}

impl Config {
    /// Reads and checks a file; relative paths in it start at its folder.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        let refused = |why| ConfigErrors::one(path.to_owned(), Problem::new(Pos::default(), why));
        let text = std::fs::read_to_string(path).map_err(|e| refused(paths::reason(&e)))?;
        let base = path.parent().unwrap_or(Path::new(""));
        Self::parse(&text, base, path, &|name| std::env::var(name).ok())
    }

    /// The defaults that Weir runs with where there is no file; relative paths start at the working directory.
    ///
    /// # Errors
    /// None, unless a file that it names is there and broken.
    pub fn embedded() -> Result<Self, ConfigErrors> {
        Self::parse(DEFAULT_YAML, Path::new(""), Path::new("default.yaml"), &|name| std::env::var(name).ok())
    }

    /// Checks a text as if it stood at `path`; relative paths in it start at `base`, variables come from `env`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(
        text: &str,
        base: &Path,
        path: &Path,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigErrors> {
        let refused = |mut problems: Vec<Problem>| {
            problems.sort();
            problems.dedup();
            ConfigErrors { path: path.to_owned(), problems }
        };
        let mut tree = Tree::parse(text).map_err(|problem| refused(vec![problem]))?;
        let mut problems = shape::check(&mut tree, reference::shared_schema());
        let file = match decode::decode::<file::File>(&tree, tree::ROOT) {
            Ok(file) => file,
            // Unreachable as long as schema and shape come from the same types; still no reason to fall over.
            Err(mismatch) => {
                problems.push(Problem::new(Pos::default(), format!("does not fit: {mismatch}")));
                return Err(refused(problems));
            }
        };
        lower::Lower::new(&tree, Sources { base, env }, problems).config(&file, path).map_err(refused)
    }
}
