//! The request by reference.

use crate::VERSION;
use crate::lower;
use crate::state::{State, View};
use crate::wit::weir::policy::request::{self as wit, Hit, SegInfo};
use std::sync::Arc;
use wasmtime::component::{Linker, Resource, ResourceType};
use wasmtime::{Result, StoreContextMut};
use weir_policy::manifest::Reads;
use weir_policy::{AccessError, RequestView};

type Access<T> = std::result::Result<T, wit::AccessError>;
type Context<'a> = StoreContextMut<'a, State>;
type Handle = Resource<View>;

/// Links the interface by hand: a head is written in a way of ours (see [`lower::Head`]).
pub(crate) fn link(linker: &mut Linker<State>) -> Result<()> {
    let mut request = linker.instance(&format!("weir:policy/request@{VERSION}"))?;
    // A guest only ever borrows the view.
    request.resource("request-view", ResourceType::host::<View>(), |_, _| Ok(()))?;
    request.func_wrap("[method]request-view.head", |mut context: Context<'_>, (_,): (Handle,)| {
        Ok((context.data_mut().head()?,))
    })?;
    request.func_wrap("[method]request-view.size", |mut context: Context<'_>, (_,): (Handle,)| {
        Ok((context.data_mut().size()?,))
    })?;
    request.func_wrap(
        "[method]request-view.segments",
        |mut context: Context<'_>, (_, first, max): (Handle, u32, u32)| {
            Ok((context.data_mut().segments(first, max)?,))
        },
    )?;
    request.func_wrap(
        "[method]request-view.text",
        |mut context: Context<'_>, (_, segment, start, end): (Handle, u32, u32, u32)| {
            Ok((context.data_mut().text(segment, start, end)?,))
        },
    )?;
    request.func_wrap(
        "[method]request-view.bytes",
        |mut context: Context<'_>, (_, segment, start, end): (Handle, u32, u32, u32)| {
            Ok((context.data_mut().bytes(segment, start, end)?,))
        },
    )?;
    request.func_wrap(
        "[method]request-view.header",
        |mut context: Context<'_>, (_, name): (Handle, String)| Ok((context.data_mut().header(&name)?,)),
    )?;
    request.func_wrap(
        "[method]request-view.json",
        |mut context: Context<'_>, (_, pointer, most): (Handle, String, u32)| {
            Ok((context.data_mut().json(&pointer, most)?,))
        },
    )?;
    request.func_wrap(
        "[method]request-view.scan",
        |mut context: Context<'_>, (_, matcher): (Handle, String)| Ok((context.data_mut().scan(matcher)?,)),
    )?;
    request
        .func_wrap("[method]request-view.attr", |mut context: Context<'_>, (_, key): (Handle, String)| {
            Ok((context.data_mut().attr(&key)?,))
        })?;
    request.func_wrap("[method]request-view.session", |mut context: Context<'_>, (_,): (Handle,)| {
        Ok((context.data_mut().session()?,))
    })
}

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

    fn head(&mut self) -> Result<lower::Head> {
        self.budget.host_call()?;
        Ok(lower::Head::of(&self.view()?, self.constants.manifest.shared))
    }

    fn size(&mut self) -> Result<wit::Size> {
        self.budget.host_call()?;
        Ok(lower::size(self.view()?.head()))
    }

    /// Names of tools and speakers are content, so this taints as well.
    fn segments(&mut self, first: u32, max: u32) -> Result<Vec<SegInfo>> {
        Ok(match self.content()? {
            Ok(view) => view.segments(first, max).into_iter().map(lower::segment).collect(),
            Err(_) => Vec::new(),
        })
    }

    fn text(&mut self, segment: u32, start: u32, end: u32) -> Result<Access<String>> {
        Ok(access(self.content()?.and_then(|view| view.text(segment, start, end))))
    }

    fn bytes(&mut self, segment: u32, start: u32, end: u32) -> Result<Access<Vec<u8>>> {
        Ok(access(self.content()?.and_then(|view| view.bytes(segment, start, end))))
    }

    fn header(&mut self, name: &str) -> Result<Option<String>> {
        Ok(self.taint()?.header(name).map(str::to_owned))
    }

    fn json(&mut self, pointer: &str, max_bytes: u32) -> Result<Access<Option<String>>> {
        Ok(access(self.content()?.and_then(|view| view.json(pointer, max_bytes))))
    }

    /// The first scan with each matcher is not the guest's CPU time; further ones with the same are, and those with none.
    fn scan(&mut self, matcher: String) -> Result<Access<Vec<Hit>>> {
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

    fn attr(&mut self, key: &str) -> Result<Option<String>> {
        Ok(self.taint()?.attr(key))
    }

    fn session(&mut self) -> Result<Option<String>> {
        self.budget.host_call()?;
        Ok(self.view()?.session().map(str::to_owned))
    }
}

fn access<T>(result: std::result::Result<T, AccessError>) -> Access<T> {
    result.map_err(lower::access_error)
}
