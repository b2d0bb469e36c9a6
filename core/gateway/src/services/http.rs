//! Calls of policies to the aliases that the operator lists.
//!
//! The policy chooses method, path, body and plain headers; the host chooses where, with which secret and on which terms.
//! Redirects are answers like any other, and a name's addresses are judged before one of them is dialled.
//!
//! # Layout
//!
//! - `alias`: one entry of `http:`, ready to be called.
//! - `ask`: what a policy may ask for.
//! - `parents`: the trace that it belongs to.

mod alias;
mod ask;
mod parents;

#[cfg(test)]
mod tests;

use crate::config::Config;
use crate::telemetry::trace::Trace;
use crate::upstream::{Failure, Response, Upstreams};
use alias::Alias;
use arc_swap::ArcSwap;
use ask::Ask;
use http::HeaderName;
use http::response::Parts;
use parents::Parents;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use weir_policy::ErrorClass;
use weir_policy::services::{HttpError, Inbound, Later, Origin, Outbound};

/// Headers of a reply that a policy sees, and the bytes of all of them.
const MAX_REPLY_HEADERS: usize = 64;
const MAX_REPLY_HEADER_BYTES: usize = 16 << 10;

/// Headers of a reply that are no policy's business: cookies, and what concerns the connection.
const HIDDEN: [&str; 9] = [
    "set-cookie",
    "set-cookie2",
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "te",
];

/// The aliases of the config in force.
#[derive(Default)]
pub struct Aliases {
    ready: ArcSwap<HashMap<Box<str>, Arc<Alias>>>,
    parents: Parents,
}

impl Aliases {
    /// Puts a config's aliases in the place of what there was. Calls under way go on as they began.
    pub fn replace(&self, config: &Config, upstreams: &Upstreams) {
        let ready = |alias| Arc::new(Alias::new(alias, upstreams));
        let aliases = config.http.iter().map(|alias| (alias.name.as_str().into(), ready(alias))).collect();
        self.ready.store(Arc::new(aliases));
        self.parents.want(config.http.iter().any(|alias| alias.propagate));
    }

    /// Remembers which trace an exchange belongs to, if anybody is told.
    pub fn begin(&self, request_id: &Arc<str>, trace: &Trace) {
        self.parents.begin(request_id, trace);
    }

    /// Forgets it.
    pub fn end(&self, request_id: &str) {
        self.parents.end(request_id);
    }

    /// One call.
    pub fn call(&self, origin: &Origin, outbound: Outbound) -> Later<Result<Inbound, HttpError>> {
        let Some(alias) = self.ready.load().get(&*outbound.host_alias).cloned() else {
            return refused(HttpError::NotGranted);
        };
        // What has read nothing has nothing to keep from anybody.
        if origin.tainted && !alias.may_have(origin) {
            return refused(HttpError::NotGranted);
        }
        let mut ask = match Ask::check(outbound, &alias.owned) {
            Ok(ask) => ask,
            Err(error) => return refused(error),
        };
        if alias.propagate
            && let Some(parent) = self.parents.of(&origin.request_id)
        {
            ask.headers.push((HeaderName::from_static("traceparent"), parent));
        }
        let (policy, id) = (Arc::clone(&origin.policy), Arc::clone(&origin.request_id));
        Box::pin(async move { call(&alias, &ask, (&policy, &id)).await })
    }
}

fn refused(error: HttpError) -> Later<Result<Inbound, HttpError>> {
    Box::pin(std::future::ready(Err(error)))
}

async fn call(alias: &Alias, ask: &Ask, (policy, request_id): (&str, &str)) -> Result<Inbound, HttpError> {
    let timeout = ask.timeout.map_or(alias.timeout, |asked| asked.min(alias.timeout));
    match tokio::time::timeout(timeout, exchange(alias, ask, timeout)).await {
        Err(_) => Err(HttpError::Timeout),
        Ok(Ok(reply)) => Ok(reply),
        Ok(Err(failure)) => {
            tracing::warn!(target: "weir::policy", policy, request_id, alias = &*alias.name, why = failure.message, "a call of a policy failed");
            Err(kind(&failure))
        }
    }
}

async fn exchange(alias: &Alias, ask: &Ask, timeout: Duration) -> Result<Inbound, Failure> {
    let mut response = alias.send(ask, timeout).await?;
    let status = response.status();
    let headers = response.head().map(visible).unwrap_or_default();
    // The session does not know what was asked, and would wait for a body that never comes.
    if ask.method == http::Method::HEAD {
        response.release().await;
        return Ok(Inbound { status, headers, body: Vec::new(), truncated: false });
    }
    let (body, truncated) = read(&mut response, alias.max_reply).await?;
    response.release().await;
    Ok(Inbound { status, headers, body, truncated })
}

/// The beginning of a body, and whether there was more.
async fn read(response: &mut Response, most: usize) -> Result<(Vec<u8>, bool), Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let chunk = chunk.into_bytes();
        let room = most - body.len();
        if chunk.len() > room {
            body.extend_from_slice(&chunk[..room]);
            return Ok((body, true));
        }
        body.extend_from_slice(&chunk);
    }
    Ok((body, false))
}

fn visible(head: &Parts) -> Vec<(String, String)> {
    let mut bytes = 0;
    let shown = head.headers.iter().filter(|(name, _)| !HIDDEN.contains(&name.as_str()));
    let texts =
        shown.filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())));
    let bounded = texts.take(MAX_REPLY_HEADERS).take_while(|(name, value)| {
        bytes += name.len() + value.len();
        bytes <= MAX_REPLY_HEADER_BYTES
    });
    bounded.collect()
}

const fn kind(failure: &Failure) -> HttpError {
    match failure.class {
        _ if failure.tls => HttpError::Tls,
        ErrorClass::TimeoutConnect | ErrorClass::TimeoutFirstToken | ErrorClass::TimeoutIdle => {
            HttpError::Timeout
        }
        _ => HttpError::Connect,
    }
}
