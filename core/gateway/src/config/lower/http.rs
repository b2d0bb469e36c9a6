//! `http`: where policies may call.

use super::Lower;
use crate::config::file::{HttpFile, default};
use crate::config::place::{At, Table};
use crate::config::program::HttpAlias;
use crate::config::public::is_public;
use crate::config::scalar::Name;
use std::net::IpAddr;
use weir_policy::Retention;

/// Less would hold no answer.
const MIN_REPLY: usize = 1 << 10;
/// More would not pass into a policy's memory.
const MAX_REPLY: usize = 8 << 20;

impl Lower<'_> {
    pub(super) fn http(&mut self, table: &Table<HttpFile>) -> Option<Vec<HttpAlias>> {
        let aliases: Vec<_> = table.0.iter().map(|(key, file)| self.http_alias(*key, file)).collect();
        aliases.into_iter().collect()
    }

    fn http_alias(&mut self, key: At<Name>, file: &HttpFile) -> Option<HttpAlias> {
        let name = self.alias_name(key);
        let endpoint = self.value(file.base_url);
        let headers: Vec<_> =
            file.headers.0.iter().map(|(name, value)| self.header(*name, *value, false)).collect();
        let retention = self.or(file.retention, default::RETENTION);
        let trains = match file.trains {
            Some(at) => self.value(at),
            None => retention.map(|retention| retention != Retention::Zero),
        };
        if let (Some(Retention::Zero), Some(true), Some(at)) = (retention, trains, file.trains) {
            self.error(at.id, "who trains on content keeps it: this contradicts `retention: zero`");
        }
        let region = self.maybe(file.region);
        let timeout = self.or(file.timeout, default::CALL_TIME);
        let max_reply = self.bytes(file.max_reply, default::REPLY, MIN_REPLY, MAX_REPLY);
        let allow_private = self.or(file.allow_private, default::PRIVATE);
        let propagate = self.or(file.propagate, default::PROPAGATE);
        let (endpoint, allow_private) = (endpoint?, allow_private?);
        self.clear_text(file.base_url.id, &endpoint);
        // A name is looked up, and its addresses judged, when it is called.
        let inward = endpoint.host.parse::<IpAddr>().is_ok_and(|ip| !is_public(ip));
        if !allow_private && (inward || endpoint.host == "localhost") {
            self.error(
                file.base_url.id,
                "is a private address: if it is meant, say `allow_private: true` beside it",
            );
        }
        Some(HttpAlias {
            name: name?,
            endpoint,
            headers: headers.into_iter().collect::<Option<_>>()?,
            retention: retention?,
            trains: trains?,
            region: region.unwrap_or_default(),
            timeout: timeout?,
            max_reply: max_reply?,
            allow_private,
            propagate: propagate?,
        })
    }

    /// As a manifest may write it.
    fn alias_name(&mut self, key: At<Name>) -> Option<String> {
        let name = self.value(key)?;
        if name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') {
            return Some(name);
        }
        self.error(key.id, "an alias may hold only a-z, 0-9 and `-`");
        None
    }
}
