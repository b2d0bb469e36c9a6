//! An endpoint as Pingora's connector sees it.

use super::dial::Dial;
use super::failure::unresolved;
use super::names::Names;
use super::{Address, DialKey, Failure};
use crate::config::Http;
use pingora::connectors::L4Connect;
use pingora::protocols::ALPN;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::upstreams::peer::{Peer, PeerOptions};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr as Inet};
use std::os::unix::net::SocketAddr as Unix;
use std::sync::Arc;

/// An endpoint, for the connector: one thing however many addresses it has.
#[derive(Clone)]
pub(super) struct Place(Arc<Inner>);

struct Inner {
    address: SocketAddr,
    tls: bool,
    sni: String,
    group: u64,
    names: Option<Arc<Names>>,
    options: PeerOptions,
}

impl Place {
    pub(super) fn new(key: &DialKey, group: u64, names: Option<Arc<Names>>) -> Result<Self, Failure> {
        let (address, tls, sni) = match &key.address {
            Address::Socket(path) => {
                let path =
                    Unix::from_pathname(path).map_err(|_| unresolved("its socket path is not usable"))?;
                (SocketAddr::Unix(path), false, String::new())
            }
            // Which address it is, `Dial` decides.
            Address::Host { host, port, tls } => {
                (SocketAddr::Inet(Inet::from((Ipv4Addr::UNSPECIFIED, *port))), *tls, host.clone())
            }
        };
        let mut options = PeerOptions::new();
        options.connection_timeout = Some(key.connect);
        options.total_connection_timeout = Some(key.connect);
        options.alpn = match key.http {
            Http::Auto => ALPN::H2H1,
            Http::One => ALPN::H1,
            Http::Two => ALPN::H2,
        };
        options.custom_l4 = names.as_ref().map(|names| {
            let dial: Arc<dyn L4Connect + Send + Sync> = Arc::new(Dial::new(key, Arc::clone(names)));
            dial
        });
        Ok(Self(Arc::new(Inner { address, tls, sni, group, names, options })))
    }

    /// Changes when none of the known addresses is one of those before.
    pub(super) fn epoch(&self) -> u64 {
        self.0.names.as_ref().map_or(0, |names| names.epoch())
    }

    pub(super) fn is_tls(&self) -> bool {
        self.0.tls
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0.sni, self.0.address)
    }
}

impl Peer for Place {
    fn address(&self) -> &SocketAddr {
        &self.0.address
    }

    fn tls(&self) -> bool {
        self.0.tls
    }

    fn sni(&self) -> &str {
        &self.0.sni
    }

    fn reuse_hash(&self) -> u64 {
        self.0.group
    }

    fn get_peer_options(&self) -> Option<&PeerOptions> {
        Some(&self.0.options)
    }
}
