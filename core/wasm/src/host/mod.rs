//! The functions that a component may call. Each spends one host call; each that reads content taints the call.
//!
//! - this file: the request by reference, the place of a panic.
//! - `outgoing`: texts on their way out of a call.
//! - `targets`, `tokens`, `annotate`, `telemetry`, `env`, `kv`, `http`: a capability each.

mod annotate;
mod env;
mod http;
mod kv;
mod outgoing;
pub(crate) mod targets;
mod telemetry;
mod tokens;

use crate::lower;
use crate::state::{State, View};
use crate::wit::weir::policy::{fault, request, types};
use std::sync::Arc;
use wasmtime::Result;
use wasmtime::component::Resource;
use weir_policy::manifest::Reads;
use weir_policy::{AccessError, RequestView};

const MAX_PLACE_BYTES: usize = 256;

type Access<T> = std::result::Result<T, request::AccessError>;

impl State {
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

    /// The first scan with each matcher is not the guest's CPU time; further ones with the same are, and those with none.
    fn scan(&mut self, _: Resource<View>, matcher: String) -> Result<Access<Vec<request::Hit>>> {
        let view = match self.content()? {
            Ok(view) => view,
            Err(error) => return Ok(Err(lower::access_error(error))),
        };
        let matchers = &self.constants.matchers;
        let first = matchers.get(&matcher).is_some() && !self.call.scanned.contains(&matcher);
        let scan = || view.scan(matchers, &matcher);
        let hits = if first { self.budget.excuse(scan) } else { scan() };
        if first {
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
            false => outgoing::UNDECLARED.into(),
        });
        Ok(())
    }
}
