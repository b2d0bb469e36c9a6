//! How a provider is connected to: `client_cert`, `proxy`, `http`, `streams`.

use super::Lower;
use crate::config::file::{ProviderFile, ProxyFile, default};
use crate::config::program::{Http, Proxy, Tls};
use crate::config::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

impl Lower<'_> {
    pub(super) fn connection(
        &mut self,
        file: &ProviderFile,
    ) -> Option<(Option<Tls>, Option<Proxy>, Http, usize)> {
        let cert = file.client_cert.as_ref().map(|tls| self.tls(tls));
        let proxy = file.proxy.as_ref().map(|proxy| self.proxy(proxy));
        let http = self.or(file.http, default::HTTP);
        let streams = self.or(file.streams, default::STREAMS);
        if let (Some(at), Some(Http::One)) = (file.streams, http) {
            self.warn(at.id, "HTTP/1.1 has one request at a time on a connection: this changes nothing");
        }
        // `?` on the inner one: what was said must be good, what was not said need not be.
        let cert = match cert {
            None => None,
            Some(cert) => Some(cert?),
        };
        let proxy = match proxy {
            None => None,
            Some(proxy) => Some(proxy?),
        };
        Some((cert, proxy, http?, usize::try_from(streams?).unwrap_or(usize::MAX)))
    }

    fn proxy(&mut self, file: &ProxyFile) -> Option<Proxy> {
        let (url, user) = (self.value(file.url), self.maybe(file.user));
        let password = file.password.map(|at| self.secret(at, "password"));
        let url = url?;
        if url.tls || !url.prefix.is_empty() {
            self.error(file.url.id, "a proxy is `http://HOST:PORT`: no TLS to the proxy itself, and no path");
        }
        let authorization = match (user, password) {
            (None, None) => None,
            (Some(user), password) => {
                let password = match password {
                    None => None,
                    Some(password) => Some(password?),
                };
                let both = format!("{user}:{}", password.as_ref().map_or("", Secret::expose));
                Some(Secret::new(&format!("Basic {}", STANDARD.encode(both))))
            }
            (None, Some(_)) => {
                let id = file.password.map_or(file.url.id, |at| at.id);
                self.error(id, "a password is somebody's: say `user` beside it");
                None
            }
        };
        Some(Proxy { host: url.host, port: url.port, authorization })
    }
}
