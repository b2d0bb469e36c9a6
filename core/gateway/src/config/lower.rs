//! From the file's shape to the program's: every value parsed, every name resolved, every problem noted on the way.
//!
//! A function that meets a problem notes it and answers `None`; its caller goes on with what stands beside it, so that
//! one run finds everything.

mod connection;
mod http;
mod model;
mod policy;
mod provider;
mod server;
mod telemetry;

use super::Config;
use super::file::{File, default};
use super::interpolate::{Read, Sources, interpolate};
use super::paths;
use super::place::At;
use super::problem::Problem;
use super::program::Log;
use super::scalar::{FilePath, Hidden, Scalar};
use super::secret::Secret;
use super::tree::{NodeId, Tree, Value};
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use weir_llm::catalogue::Catalogue;

/// Fewest characters of an admin token.
const MIN_TOKEN: usize = 16;

/// What lowering works on, and what it finds.
pub(super) struct Lower<'a> {
    tree: &'a Tree,
    from: Sources<'a>,
    read: Read,
    pub(super) problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl<'a> Lower<'a> {
    pub(super) fn new(tree: &'a Tree, from: Sources<'a>, problems: Vec<Problem>) -> Self {
        Self { tree, from, read: Read::default(), problems, warnings: Vec::new() }
    }

    /// The whole config, or `None` with at least one problem noted.
    pub(super) fn config(mut self, file: &File, path: &Path) -> Result<Config, Vec<Problem>> {
        let config = self.sections(file, path);
        match config {
            Some(mut config) if self.problems.is_empty() => {
                self.warnings.sort();
                self.read.files.sort();
                self.read.files.dedup();
                config.warnings = self.warnings;
                config.watched = self.read.files;
                Ok(config)
            }
            _ => Err(self.problems),
        }
    }

    fn sections(&mut self, file: &File, path: &Path) -> Option<Config> {
        let server = self.server(&file.server);
        let data = self.or(file.data, default::DATA);
        let ledger_sync = self.or(file.ledger.sync, default::SYNC);
        let direct = self.or(file.direct, default::DIRECT);
        let providers = self.providers(&file.providers);
        let models = self.models(&file.models, &file.providers);
        self.reachable(file, direct.unwrap_or(true));
        let policies = self.policies(&file.policies, file, direct.unwrap_or(true));
        let http = self.http(&file.http);
        let kv_bytes = self.or(file.kv.max_bytes, default::KV_BYTES);
        let explain_kept = self.or(file.telemetry.explain_kept, default::EXPLAIN_KEPT);
        let signing = self.signing(&file.signing);
        let catalogue = self.catalogue(file.catalogue);
        let cache_bytes = self.or(file.cache.max_bytes, default::CACHE_BYTES);
        let core_dumps = self.or(file.privacy.core_dumps, default::CORE_DUMPS);
        let level = self.or(file.telemetry.log.level, default::LEVEL);
        let access = self.or(file.telemetry.log.access, default::ACCESS);
        let otlp = file.telemetry.otlp.as_ref().and_then(|otlp| self.otlp(otlp));
        let genai = self.genai(&file.telemetry);
        let admin_token = file.admin.token.and_then(|token| self.token(token));
        Some(Config {
            path: path.to_owned(),
            server: server?,
            data: self.from.base.join(data?),
            ledger_sync: ledger_sync?,
            providers: providers?,
            models: models?,
            direct: direct?,
            policies,
            http: http?,
            kv_bytes: kv_bytes?,
            explain_kept: explain_kept?,
            signing: signing?,
            catalogue: catalogue?,
            cache_bytes: cache_bytes?,
            core_dumps: core_dumps?,
            log: Log { level: level?, access: access? },
            otlp,
            genai: genai?,
            admin_token,
            watched: Vec::new(),
            warnings: Vec::new(),
        })
    }

    fn catalogue(&mut self, at: Option<At<FilePath>>) -> Option<Cow<'static, Catalogue>> {
        let Some(at) = at else { return Some(Cow::Borrowed(Catalogue::embedded())) };
        let path = self.file(at)?;
        let parsed = std::fs::read(&path).map_err(|e| paths::reason(&e));
        let parsed = parsed.and_then(|json| Catalogue::parse(&json).map_err(|e| e.to_string()));
        let merged =
            parsed.and_then(|own| Catalogue::embedded().extended_by(&own).map_err(|e| e.to_string()));
        merged
            .map(Cow::Owned)
            .map_err(|why| self.error(at.id, format!("{}: {why}", self.file_name(at.id, &path))))
            .ok()
    }

    fn token(&mut self, at: At<Hidden>) -> Option<Secret> {
        let token = self.secret(at, "token")?;
        if token.expose().len() < MIN_TOKEN {
            self.error(
                at.id,
                format!("the value is shorter than {MIN_TOKEN} characters: it could be guessed"),
            );
        }
        Some(token)
    }

    /// A credential; one that stands in the file itself is worth a warning.
    fn secret(&mut self, at: At<Hidden>, what: &str) -> Option<Secret> {
        let text = self.value(at)?;
        if !self.is_interpolated(at.id) {
            self.warn(
                at.id,
                format!(
                    "this {what} stands in the file itself: `${{env:NAME}}` or `${{file:PATH}}` keeps it out"
                ),
            );
        }
        Some(Secret::new(&text))
    }

    /// The value, or the default where the file says nothing.
    fn or<K: Scalar>(&mut self, at: Option<At<K>>, default: &str) -> Option<K::Value> {
        match at {
            Some(at) => self.value(at),
            None => K::parse(default).ok(),
        }
    }

    /// The value where there is one.
    fn maybe<K: Scalar>(&mut self, at: Option<At<K>>) -> Option<K::Value> {
        at.and_then(|at| self.value(at))
    }

    /// A variable of the environment that no file names.
    fn env(&self, name: &str) -> Option<String> {
        (self.from.env)(name)
    }

    fn value<K: Scalar>(&mut self, at: At<K>) -> Option<K::Value> {
        let text = self.text(at.id)?;
        match K::parse(&text) {
            Ok(value) => Some(value),
            Err(why) => {
                let subject = self.subject::<K>(at.id);
                self.error(at.id, format!("{subject} {why}"));
                None
            }
        }
    }

    /// All values of a list; `None` if one of them is wrong.
    fn all<K: Scalar>(&mut self, list: &[At<K>]) -> Option<Vec<K::Value>> {
        let values: Vec<_> = list.iter().map(|at| self.value(*at)).collect();
        values.into_iter().collect()
    }

    /// How an error names a value: as written, and not at all where a secret belongs.
    fn subject<K: Scalar>(&self, id: NodeId) -> String {
        let written = self.written(id).unwrap_or_default();
        match K::hides(written) {
            true => "the value".to_owned(),
            false if self.is_interpolated(id) => format!("the value of `{written}`"),
            false => format!("`{written}`"),
        }
    }

    /// How an error names a file: where it is looked for, unless a part of that came from elsewhere and may be a secret.
    pub(super) fn file_name(&self, id: NodeId, path: &Path) -> String {
        match self.is_interpolated(id) {
            true => self.subject::<FilePath>(id),
            false => format!("`{}`", path.display()),
        }
    }

    /// The text of a value after interpolation, without a word if it cannot be had.
    fn quietly(&mut self, id: NodeId) -> Option<String> {
        let written = self.written(id)?.to_owned();
        interpolate(&written, &self.from, &mut self.read).ok()
    }

    /// The scalar after interpolation; `None` if that failed now or the node was reported before.
    fn text(&mut self, id: NodeId) -> Option<String> {
        let written = self.written(id)?.to_owned();
        match interpolate(&written, &self.from, &mut self.read) {
            Ok(text) => Some(text),
            Err(why) => {
                self.error(id, why);
                None
            }
        }
    }

    /// The scalar as it stands in the file.
    fn written(&self, id: NodeId) -> Option<&str> {
        match &self.tree.node(id).value {
            Value::Text(text) | Value::Number(text) => Some(text),
            Value::Bool(value) => Some(if *value { "true" } else { "false" }),
            _ => None,
        }
    }

    fn is_interpolated(&self, id: NodeId) -> bool {
        self.written(id).is_some_and(|text| text.replace("$${", "").contains("${"))
    }

    /// Whether something at or below this key was reported before: then what it lacks is no news, for a misspelt key
    /// would be told twice.
    fn is_reported(&self, id: NodeId) -> bool {
        let path = self.tree.path(id);
        let below =
            |p: &Problem| p.message.strip_prefix(&path).is_some_and(|rest| rest.starts_with([':', '.', '[']));
        self.problems.iter().any(below)
    }

    /// A path from the config's folder, to a file that must be there.
    fn file(&mut self, at: At<FilePath>) -> Option<PathBuf> {
        let path = self.from.base.join(self.value(at)?);
        self.read.files.push(path.clone());
        match paths::unusable(&path) {
            None => Some(path),
            Some(why) => {
                self.error(at.id, format!("{}: {why}", self.file_name(at.id, &path)));
                None
            }
        }
    }

    fn error(&mut self, id: NodeId, message: impl AsRef<str>) {
        let problem = self.problem(id, message.as_ref());
        self.problems.push(problem);
    }

    fn warn(&mut self, id: NodeId, message: impl AsRef<str>) {
        let problem = self.problem(id, message.as_ref());
        self.warnings.push(problem);
    }

    fn problem(&self, id: NodeId, message: &str) -> Problem {
        let path = self.tree.path(id);
        let message = self.read.hidden(message);
        let message = if path.is_empty() { message } else { format!("{path}: {message}") };
        Problem::new(self.tree.node(id).at, message)
    }
}
