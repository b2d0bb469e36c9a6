//! The functions that a component may call. Each spends one host call; each that reads content taints the call.

use crate::lower;
use crate::state::{State, View};
use crate::telemetry::Record;
use crate::wit::weir::policy::{env, fault, request, targets, telemetry, types};
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use wasmtime::Result;
use wasmtime::component::Resource;
use weir_policy::manifest::Reads;
use weir_policy::{AccessError, RequestView};

const UNDECLARED: &str = "undeclared";
const MAX_PLACE_BYTES: usize = 256;

/// A handle was used while no request is at hand: at load, where there is none.
#[derive(Debug, thiserror::Error)]
#[error("there is no request at hand")]
struct NoRequest;

type Access<T> = std::result::Result<T, request::AccessError>;

impl State {
    fn view(&self) -> Result<Arc<RequestView>> {
        Ok(Arc::clone(self.call.view.as_ref().ok_or(NoRequest)?))
    }

    /// A read of what the head does not say.
    fn taint(&mut self) -> Result<Arc<RequestView>> {
        self.budget.host_call()?;
        self.call.tainted = true;
        self.view()
    }

    /// A read of content, if the manifest asks for it.
    fn content(&mut self) -> Result<std::result::Result<Arc<RequestView>, AccessError>> {
        let view = self.taint()?;
        Ok(match self.constants.manifest.reads {
            Reads::Content => Ok(view),
            Reads::Head => Err(AccessError::NotGranted),
        })
    }

    /// A text on its way out: once content was read, only what the manifest declares.
    fn outgoing(&self, mut text: String) -> String {
        if !self.call.tainted || text.is_empty() {
            return text;
        }
        let declares = &self.constants.manifest.declares;
        let mut tags = declares.tags.iter().flat_map(|(name, values)| values.iter().chain([name]));
        let mut others = declares.rules.iter().chain(&declares.reasons).chain(&declares.codes);
        if !others.any(|known| *known == text) && !tags.any(|known| *known == text) {
            UNDECLARED.clone_into(&mut text);
        }
        text
    }

    fn outgoing_pairs(&self, pairs: Vec<(String, String)>) -> Vec<(String, String)> {
        pairs.into_iter().map(|(name, value)| (self.outgoing(name), self.outgoing(value))).collect()
    }

    fn record(&self, record: Record<'_>) {
        let id = self.call.view.as_ref().map_or("", |view| &view.head().request_id);
        self.constants.sink.record(&self.constants.manifest.name, id, record);
    }
}

fn access<T>(result: std::result::Result<T, AccessError>) -> Access<T> {
    result.map_err(lower::access_error)
}

impl types::Host for State {}
impl request::Host for State {}

impl request::HostRequestView for State {
    fn head(&mut self, _: Resource<View>) -> Result<types::Head> {
        self.budget.host_call()?;
        Ok(lower::head(self.view()?.head(), self.constants.manifest.shared))
    }

    /// Names of tools and speakers are content, so this taints as well.
    fn segments(&mut self, _: Resource<View>, first: u32, max: u32) -> Result<Vec<types::SegInfo>> {
        Ok(match self.content()? {
            Ok(view) => view.segments(first, max).into_iter().map(lower::segment).collect(),
            Err(_) => Vec::new(),
        })
    }

    fn text(&mut self, _: Resource<View>, segment: u32, start: u32, end: u32) -> Result<Access<String>> {
        Ok(access(self.content()?.and_then(|view| view.text(segment, start, end))))
    }

    fn bytes(&mut self, _: Resource<View>, segment: u32, start: u32, end: u32) -> Result<Access<Vec<u8>>> {
        Ok(access(self.content()?.and_then(|view| view.bytes(segment, start, end))))
    }

    fn header(&mut self, _: Resource<View>, name: String) -> Result<Option<String>> {
        Ok(self.taint()?.header(&name).map(str::to_owned))
    }

    fn json(&mut self, _: Resource<View>, pointer: String, max_bytes: u32) -> Result<Access<Option<String>>> {
        Ok(access(self.content()?.and_then(|view| view.json(&pointer, max_bytes))))
    }

    /// The first scan with each matcher is not the guest's CPU time; further ones with the same are.
    fn scan(&mut self, _: Resource<View>, matcher: String) -> Result<Access<Vec<request::Hit>>> {
        let view = match self.content()? {
            Ok(view) => view,
            Err(error) => return Ok(Err(lower::access_error(error))),
        };
        let matchers = &self.constants.matchers;
        let hits = if self.call.scanned.contains(&matcher) {
            view.scan(matchers, &matcher)
        } else {
            self.budget.excuse(|| view.scan(matchers, &matcher))
        };
        if hits.is_ok() && !self.call.scanned.contains(&matcher) {
            self.call.scanned.push(matcher);
        }
        Ok(access(hits.map(|hits| hits.iter().map(lower::hit).collect())))
    }

    fn attr(&mut self, _: Resource<View>, key: String) -> Result<Option<String>> {
        Ok(self.taint()?.attr(&key))
    }

    fn session(&mut self, _: Resource<View>) -> Result<Option<String>> {
        self.budget.host_call()?;
        Ok(self.view()?.session().map(str::to_owned))
    }

    /// A guest only ever borrows the view.
    fn drop(&mut self, _: Resource<View>) -> Result<()> {
        Ok(())
    }
}

impl fault::Host for State {
    /// Believed only if the component's own bytes contain the file's name: a panic must not carry content out.
    fn panicked(&mut self, file: String, line: u32, column: u32) -> Result<()> {
        self.budget.host_call()?;
        let known = !file.is_empty()
            && file.len() <= MAX_PLACE_BYTES
            && memchr::memmem::find(&self.constants.component, file.as_bytes()).is_some();
        self.call.panicked_at.get_or_insert_with(|| match known {
            true => format!("{file}:{}:{}", line.min(999_999), column.min(9_999)),
            false => UNDECLARED.into(),
        });
        Ok(())
    }
}

impl targets::Host for State {
    fn table(&mut self) -> Result<Vec<targets::Target>> {
        self.budget.host_call()?;
        let candidates = self.call.candidates.as_ref();
        Ok(candidates.map(|c| c.table.iter().map(lower::target).collect()).unwrap_or_default())
    }

    fn candidates(&mut self) -> Result<Vec<targets::Live>> {
        self.budget.host_call()?;
        let candidates = self.call.candidates.as_ref();
        Ok(candidates.map(|c| c.iter().map(|(i, _)| lower::live(&c.live(i))).collect()).unwrap_or_default())
    }
}

impl telemetry::Host for State {
    fn log(&mut self, level: telemetry::Level, message: String, fields: Vec<(String, String)>) -> Result<()> {
        self.budget.host_call()?;
        let level = match level {
            telemetry::Level::Trace => tracing::Level::TRACE,
            telemetry::Level::Debug => tracing::Level::DEBUG,
            telemetry::Level::Info => tracing::Level::INFO,
            telemetry::Level::Warn => tracing::Level::WARN,
            telemetry::Level::Error => tracing::Level::ERROR,
        };
        let (message, fields) = (self.outgoing(message), self.outgoing_pairs(fields));
        self.record(Record::Log { level, message: &message, fields: &fields });
        Ok(())
    }

    fn counter(&mut self, name: String, by: u64, labels: Vec<(String, String)>) -> Result<()> {
        self.budget.host_call()?;
        let (name, labels) = (self.outgoing(name), self.outgoing_pairs(labels));
        self.record(Record::Counter { name: &name, by, labels: &labels });
        Ok(())
    }

    fn observe(&mut self, name: String, value: f64, labels: Vec<(String, String)>) -> Result<()> {
        self.budget.host_call()?;
        let (name, labels) = (self.outgoing(name), self.outgoing_pairs(labels));
        self.record(Record::Observe { name: &name, value, labels: &labels });
        Ok(())
    }

    fn explain(&mut self, rule: String, because: String) -> Result<()> {
        self.budget.host_call()?;
        let (rule, because) = (self.outgoing(rule), self.outgoing(because));
        self.record(Record::Explain { rule: &rule, because: &because });
        Ok(())
    }
}

impl env::Host for State {
    fn config(&mut self) -> Result<String> {
        self.budget.host_call()?;
        Ok(self.constants.config.clone().unwrap_or_else(|| "{}".into()))
    }

    fn now_ms(&mut self) -> Result<u64> {
        self.budget.host_call()?;
        Ok(*self.call.now_ms.get_or_insert_with(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        }))
    }

    fn random(&mut self) -> Result<u64> {
        self.budget.host_call()?;
        Ok(std::hash::RandomState::new().build_hasher().finish())
    }

    fn bucket(&mut self, salt: String) -> Result<u32> {
        self.budget.host_call()?;
        let view = self.view()?;
        let head = view.head();
        Ok(bucket(&[&salt, &head.tenant, &head.key_id]))
    }
}

/// SHA-256, so that buckets are the same on every machine and in every version.
fn bucket(parts: &[&str]) -> u32 {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    let word = digest.iter().take(4).fold(0_u32, |word, &byte| word << 8 | u32::from(byte));
    word % 10_000
}
