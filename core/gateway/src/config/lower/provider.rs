//! `providers`.

use super::Lower;
use crate::config::endpoint::{self, Endpoint};
use crate::config::file::{ProviderFile, ProviderTimeoutsFile, default};
use crate::config::place::{At, Table};
use crate::config::problem::did_you_mean;
use crate::config::program::{
    DrainBounds, OnDisconnect, Provider, ProviderKind, ProviderTerms, ProviderTimeouts, Speaks,
};
use crate::config::scalar::{Hidden, Name, Span};
use http::{HeaderName, HeaderValue};
use std::time::Duration;
use weir_llm::terms::{self, Feature, Terms};
use weir_llm::vendor::{self, Vendor};
use weir_policy::Retention;

/// Headers that the gateway itself writes, or that belong to one connection.
const OWN_HEADERS: [&str; 11] = [
    "host",
    "content-length",
    "content-type",
    "content-encoding",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "expect",
];

/// A vendor's own dialect. OpenAI itself has two; who only copied it may not.
fn spoken_by(vendor: &Vendor, kind: Option<&ProviderKind>) -> Speaks {
    let host = match kind {
        Some(ProviderKind::Http(at)) => Some(at.host.as_str()),
        _ => None,
    };
    if host.and_then(vendor::by_host).is_some_and(|known| known.name == "openai") {
        return Speaks::OpenAi;
    }
    Speaks::One(vendor.dialect)
}

impl Lower<'_> {
    pub(super) fn providers(&mut self, table: &Table<ProviderFile>) -> Option<Vec<Provider>> {
        if table.0.is_empty() && self.problems.is_empty() {
            self.error(0, "`providers` is empty: at least one is needed, such as `sim: { builtin: sim }`");
        }
        let providers: Vec<_> = table.0.iter().map(|(key, file)| self.provider(*key, file)).collect();
        providers.into_iter().collect()
    }

    fn provider(&mut self, key: At<Name>, file: &ProviderFile) -> Option<Provider> {
        let name = self.value(key);
        let vendor = self.vendor(key, file);
        let kind = self.kind(key, file, vendor);
        let speaks = file.dialect.map(|at| self.value(at)).unwrap_or(Some(spoken_by(vendor, kind.as_ref())));
        let keys: Vec<_> = file.keys.iter().map(|at| self.secret(*at, "key")).collect();
        let headers: Vec<_> = file
            .headers
            .0
            .iter()
            .map(|(name, value)| self.header(*name, *value, !file.keys.is_empty()))
            .collect();
        let region = self.or(file.region, "");
        let terms = self.terms(file, kind.as_ref());
        let ca = file.ca.map(|at| self.file(at));
        let concurrency = self.maybe(file.concurrency);
        let drain = self.drain(file);
        let timeouts = self.provider_timeouts(&file.timeouts);
        let connection = self.connection(file);
        let propagate = self.or(file.propagate, default::PROPAGATE);
        let ca = match ca {
            None => None,
            Some(ca) => Some(ca?),
        };
        let (retention, trains, terms) = terms?;
        let (client_cert, proxy, http, streams) = connection?;
        Some(Provider {
            name: name?,
            kind: kind?,
            speaks: speaks?,
            vendor,
            keys: keys.into_iter().collect::<Option<_>>()?,
            headers: headers.into_iter().collect::<Option<_>>()?,
            region: region?,
            retention,
            trains,
            terms,
            concurrency,
            drain: drain?,
            ca,
            client_cert,
            proxy,
            http,
            streams,
            propagate: propagate?,
            timeouts: timeouts?,
        })
    }

    /// How long it keeps content, whether it trains on it, and who says so: the operator, else the public terms of the
    /// host, else nobody. A name proves nothing: whoever answers under another host has terms of its own.
    fn terms(
        &mut self,
        file: &ProviderFile,
        kind: Option<&ProviderKind>,
    ) -> Option<(Retention, bool, ProviderTerms)> {
        let public = match kind {
            Some(ProviderKind::Http(at)) => terms::of_host(&at.host),
            _ => None,
        };
        let builtin = matches!(kind, Some(ProviderKind::Sim));
        let retention = match file.retention {
            Some(at) => self.value(at)?,
            // It runs in this process and keeps nothing.
            None if builtin => Retention::Zero,
            None => public.map_or(Retention::Unknown, |terms| terms.retention),
        };
        let trains = match file.trains {
            Some(at) => self.value(at)?,
            None if retention == Retention::Zero => false,
            None => public.is_none_or(Terms::may_train),
        };
        if let (Retention::Zero, true, Some(at)) = (retention, trains, file.trains) {
            self.error(at.id, "who trains on content keeps it: this contradicts `retention: zero`");
        }
        let covers: Vec<Feature> = self.all(&file.covers)?.into_iter().map(|name| name.0).collect();
        let attested = self.maybe(file.attested);
        let operators = file.retention.is_some() || file.trains.is_some();
        if let Some(at) = file.attested.filter(|_| !operators && covers.is_empty()) {
            self.error(at.id, "there is nothing that it could attest: say `retention` or `trains` beside it");
        }
        let own: &[Feature] = match public.filter(|_| file.retention.is_none()) {
            Some(terms) => terms.excluded,
            None => &Feature::ALL,
        };
        let excluded = own.iter().copied().filter(|feature| !covers.contains(feature)).collect();
        let public = public.filter(|_| file.retention.is_none());
        Some((retention, trains, ProviderTerms { excluded, public, operators, attested }))
    }

    fn kind(&mut self, key: At<Name>, file: &ProviderFile, vendor: &Vendor) -> Option<ProviderKind> {
        match (file.builtin, file.base_url) {
            (Some(at), None) => {
                let builtin = self.value(at);
                self.no_network(file);
                builtin.map(|_| ProviderKind::Sim)
            }
            (Some(_), Some(at)) => {
                self.error(at.id, "a built-in provider has no `base_url`: leave one of the two out");
                None
            }
            (None, Some(at)) => {
                let endpoint = self.value(at)?;
                self.clear_text(at.id, &endpoint);
                Some(ProviderKind::Http(endpoint))
            }
            (None, None) if !vendor.base_url.is_empty() => {
                endpoint::parse(vendor.base_url).ok().map(ProviderKind::Http)
            }
            (None, None) => {
                if !self.is_reported(key.id) {
                    self.error(key.id, "`base_url` is missing (or `vendor`, or `builtin: sim`)");
                }
                None
            }
        }
    }

    /// The vendor that is named, else the one whose host or name the provider has.
    fn vendor(&mut self, key: At<Name>, file: &ProviderFile) -> &'static Vendor {
        if file.builtin.is_some() {
            return &vendor::UNKNOWN;
        }
        if let Some(at) = file.vendor {
            return self.value(at).unwrap_or(&vendor::UNKNOWN);
        }
        // What is wrong with the URL is said where it is read.
        let url = file.base_url.and_then(|at| self.quietly(at.id)).and_then(|url| endpoint::parse(&url).ok());
        let named = self.written(key.id).and_then(vendor::by_name);
        url.and_then(|at| vendor::by_host(&at.host)).or(named).unwrap_or(&vendor::UNKNOWN)
    }

    /// What only a provider on the network can have.
    fn no_network(&mut self, file: &ProviderFile) {
        let keys = file.keys.first().map(|at| (at.id, "keys"));
        let headers = file.headers.0.first().map(|(at, _)| (at.id, "headers"));
        let ca = file.ca.map(|at| (at.id, "ca"));
        let cert = file.client_cert.as_ref().map(|cert| (cert.cert.id, "client_cert"));
        let proxy = file.proxy.as_ref().map(|proxy| (proxy.url.id, "proxy"));
        let http = file.http.map(|at| (at.id, "http"));
        for (id, what) in [keys, headers, ca, cert, proxy, http].into_iter().flatten() {
            self.error(id, format!("a built-in provider has no `{what}`"));
        }
    }

    pub(super) fn clear_text(&mut self, id: usize, endpoint: &Endpoint) {
        if !endpoint.tls && !endpoint.is_loopback() {
            self.warn(id, "keys and prompts cross the network in clear text: `https://` protects them");
        }
    }

    /// A header for every request; `keyed`: whether the credential is written by other means.
    pub(super) fn header(
        &mut self,
        key: At<Name>,
        at: At<Hidden>,
        keyed: bool,
    ) -> Option<(HeaderName, HeaderValue)> {
        let value = self.value(at);
        let written = self.written(key.id)?.to_ascii_lowercase();
        let refused = match written.as_str() {
            name if OWN_HEADERS.contains(&name) => Some("Weir writes this header itself"),
            name if name.starts_with("x-weir-") => Some("no `x-weir-` header leaves Weir"),
            "authorization" if keyed => Some("`keys` already write this header"),
            _ => None,
        };
        let name = HeaderName::from_bytes(written.as_bytes());
        if let Some(why) = refused.or(name.is_err().then_some("this is no header name")) {
            self.error(key.id, why);
            return None;
        }
        let mut value = HeaderValue::from_str(&value?).ok()?;
        value.set_sensitive(true);
        Some((name.ok()?, value))
    }

    /// How far a stream is read on when its caller has left.
    #[allow(clippy::option_option, reason = "what is wrong, and what is not there")]
    fn drain(&mut self, file: &ProviderFile) -> Option<Option<DrainBounds>> {
        let policy = self.or(file.on_disconnect, default::ON_DISCONNECT);
        let max = self.or(file.drain.max, default::DRAIN_TIME);
        let bytes = self.or(file.drain.bytes, default::DRAIN_BYTES);
        let said = file.drain.max.map(|at| at.id).or(file.drain.bytes.map(|at| at.id));
        let policy = policy?;
        if let (OnDisconnect::Cancel, Some(id)) = (policy, said) {
            self.warn(id, "has no effect without `on_disconnect: drain`");
        }
        let bounds = DrainBounds { max: max?, bytes: bytes? };
        Some((policy == OnDisconnect::Drain).then_some(bounds))
    }

    fn provider_timeouts(&mut self, file: &ProviderTimeoutsFile) -> Option<ProviderTimeouts> {
        let connect = self.or(file.connect, default::CONNECT);
        let first_byte = self.or(file.first_byte, default::FIRST_BYTE);
        let idle = self.or(file.idle, default::IDLE);
        let total = self.or(file.total, default::TOTAL)?;
        let connect = self.within(file.connect, connect?, total);
        let first_byte = self.within(file.first_byte, first_byte?, total);
        let idle = self.within(file.idle, idle?, total);
        Some(ProviderTimeouts { connect, first_byte, idle, total })
    }

    /// No part waits longer than the whole.
    fn within(&mut self, at: Option<At<Span>>, part: Duration, total: Duration) -> Duration {
        if let Some(at) = at.filter(|_| part > total) {
            self.warn(at.id, "is longer than `total`, which ends the attempt first");
        }
        part.min(total)
    }

    /// The index of a provider; an unknown one is an error at `id`.
    pub(super) fn provider_index(
        &mut self,
        id: usize,
        name: &str,
        table: &Table<ProviderFile>,
    ) -> Option<usize> {
        let names: Vec<&str> = table.0.iter().filter_map(|(key, _)| self.written(key.id)).collect();
        let index = names.iter().position(|known| *known == name);
        if index.is_none() {
            let message = format!("there is no provider `{name}`{}", did_you_mean(name, names));
            self.error(id, message);
        }
        index
    }
}
