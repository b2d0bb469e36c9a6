//! One entry of `http:`, ready to be called.

use super::ask::Ask;
use crate::config::HttpAlias;
use crate::terms::lies_in_each;
use crate::upstream::{Address, DialKey, Dialer, Failure, Patience, Request, Response, Upstreams};
use bytes::{Bytes, BytesMut};
use http::HeaderName;
use std::sync::Arc;
use std::time::Duration;
use weir_policy::services::Origin;
use weir_policy::{Demands, Retention};

/// Until connected; a call's own time may be shorter.
const CONNECT: Duration = Duration::from_secs(5);

/// Holds the operator's secrets: there is no way to print it.
pub(super) struct Alias {
    pub(super) name: Box<str>,
    retention: Retention,
    trains: bool,
    region: Box<str>,
    pub(super) timeout: Duration,
    pub(super) max_reply: usize,
    /// Headers that the operator sets: no policy can replace or repeat them.
    pub(super) owned: Box<[HeaderName]>,
    /// Whether it is told of the trace; then no policy makes one up.
    pub(super) propagate: bool,
    prefix: Box<str>,
    /// The header lines of every call, ready for the wire.
    lines: Bytes,
    dialer: Arc<Dialer>,
}

impl Alias {
    pub(super) fn new(alias: &HttpAlias, upstreams: &Upstreams) -> Self {
        let at = &alias.endpoint;
        let address = Address::Host { host: at.host.clone(), port: at.port, tls: at.tls };
        let key = DialKey::plain(address, CONNECT.min(alias.timeout), alias.allow_private);
        let traced = ["traceparent", "tracestate"].map(HeaderName::from_static);
        let traced = traced.into_iter().filter(|_| alias.propagate);
        let owned = alias.headers.iter().map(|(name, _)| name.clone()).chain(traced);
        Self {
            name: alias.name.as_str().into(),
            retention: alias.retention,
            trains: alias.trains,
            region: alias.region.as_str().into(),
            timeout: alias.timeout,
            max_reply: alias.max_reply,
            owned: owned.collect(),
            propagate: alias.propagate,
            prefix: at.prefix.as_str().into(),
            lines: lines(alias),
            dialer: upstreams.dialer(&key),
        }
    }

    /// Whether it may have what an exchange has shown to a policy.
    pub(super) fn may_have(&self, origin: &Origin) -> bool {
        let fits = |demands: &Demands| {
            !(demands.no_training && self.trains) && lies_in_each(&self.region, &demands.regions)
        };
        self.retention.satisfies(origin.retention) && origin.demands.as_deref().is_none_or(fits)
    }

    /// Sends a call and waits for the head of the reply.
    pub(super) async fn send(&self, ask: &Ask, timeout: Duration) -> Result<Response, Failure> {
        let mut head = BytesMut::with_capacity(self.lines.len() + ask.body.len() + ask.path.len() + 512);
        for part in [ask.method.as_str(), " ", &self.prefix, &ask.path, " HTTP/1.1\r\n"] {
            head.extend_from_slice(part.as_bytes());
        }
        head.extend_from_slice(&self.lines);
        for (name, value) in &ask.headers {
            line(&mut head, name.as_str(), value.as_bytes());
        }
        if ask.has_length() {
            line(&mut head, "content-length", itoa::Buffer::new().format(ask.body.len()).as_bytes());
        }
        head.extend_from_slice(b"\r\n");
        let request = Request::new(head, &ask.body);
        self.dialer.send(&request, Patience { first_byte: timeout, idle: timeout }).await
    }
}

fn lines(alias: &HttpAlias) -> Bytes {
    let mut lines = BytesMut::new();
    line(&mut lines, "host", alias.endpoint.authority().as_bytes());
    line(&mut lines, "user-agent", concat!("weir/", env!("CARGO_PKG_VERSION")).as_bytes());
    // A policy that wants to read a reply should not have to unpack it.
    line(&mut lines, "accept-encoding", b"identity");
    for (name, value) in &alias.headers {
        line(&mut lines, name.as_str(), value.as_bytes());
    }
    lines.freeze()
}

fn line(head: &mut BytesMut, name: &str, value: &[u8]) {
    for part in [name.as_bytes(), b": ", value, b"\r\n"] {
        head.extend_from_slice(part);
    }
}
