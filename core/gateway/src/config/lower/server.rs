//! `server`.

use super::Lower;
use crate::config::file::{LimitsFile, ServerFile, ServerTimeoutsFile, TlsFile, default};
use crate::config::place::At;
use crate::config::program::{Limits, Server, ServerTimeouts, Tls};
use crate::config::scalar::Size;
use std::num::NonZeroUsize;
use std::sync::LazyLock;

/// Smallest limit that lets ordinary requests through.
const MIN_BODY: usize = 1 << 10;
const MIN_HEADER: usize = 4 << 10;
/// A head longer than this is none, whoever wants it.
const MAX_HEADER: usize = 1 << 20;
/// Asked once: the answer is pieced together from files of the kernel, and a change of it needs a restart anyway.
static CORES: LazyLock<Option<NonZeroUsize>> = LazyLock::new(|| std::thread::available_parallelism().ok());

impl Lower<'_> {
    pub(super) fn server(&mut self, file: &ServerFile) -> Option<Server> {
        let listen = self.or(file.listen, default::LISTEN);
        let admin = self.or(file.admin, default::ADMIN);
        let tls = file.tls.as_ref().map(|tls| self.tls(tls));
        let workers = self.maybe(file.workers).map(|n| n as usize);
        let workers = workers.and_then(NonZeroUsize::new).or(*CORES);
        let region = self.or(file.region, "");
        let limits = self.limits(&file.limits);
        let timeouts = self.server_timeouts(&file.timeouts);
        let (listen, admin) = (listen?, admin?);
        if listen == admin && listen.port() != 0 {
            let place = file.admin.or(file.listen).map_or(0, |at| at.id);
            self.error(place, format!("callers and admins cannot share the address {listen}"));
        }
        if let Some(at) = file.listen.filter(|_| !listen.ip().is_loopback() && tls.is_none()) {
            self.warn(at.id, "callers' keys and prompts cross the network in clear text: set `server.tls`, or put TLS in front");
        }
        if let Some(at) = file.admin.filter(|_| !admin.ip().is_loopback()) {
            self.warn(at.id, "the admin API is open to the network, in clear text");
        }
        let tls = match tls {
            None => None,
            Some(tls) => Some(tls?),
        };
        let workers = workers.unwrap_or(NonZeroUsize::MIN);
        Some(Server { listen, tls, admin, workers, region: region?, limits: limits?, timeouts: timeouts? })
    }

    pub(super) fn tls(&mut self, file: &TlsFile) -> Option<Tls> {
        let (cert, key) = (self.file(file.cert), self.file(file.key));
        Some(Tls { cert: cert?, key: key? })
    }

    fn limits(&mut self, file: &LimitsFile) -> Option<Limits> {
        let body = self.bytes(file.body, default::BODY, MIN_BODY, usize::MAX);
        let buffered = self.bytes(file.buffered, default::BUFFERED, MIN_BODY, usize::MAX);
        let header = self.bytes(file.header, default::HEADER, MIN_HEADER, MAX_HEADER);
        let in_flight = self.or(file.in_flight, default::IN_FLIGHT);
        let per_key = self.maybe(file.per_key);
        let connections = self.or(file.connections, default::CONNECTIONS);
        let min_rate = self.or(file.min_rate, default::MIN_RATE);
        let lag = self.or(file.lag, default::LAG);
        let (body, buffered) = (body?, buffered?);
        if let Some(at) = file.buffered.or(file.body).filter(|_| buffered < body) {
            self.error(
                at.id,
                format!("all bodies together ({buffered} bytes) may hold less than one ({body} bytes)"),
            );
        }
        Some(Limits {
            body,
            buffered,
            header: header?,
            in_flight: in_flight?,
            per_key,
            connections: connections?,
            min_rate: min_rate?,
            lag: lag?,
        })
    }

    /// A size within bounds.
    pub(super) fn bytes(
        &mut self,
        at: Option<At<Size>>,
        default: &str,
        min: usize,
        max: usize,
    ) -> Option<usize> {
        let bytes = usize::try_from(self.or(at, default)?).unwrap_or(usize::MAX);
        let bound = match () {
            () if bytes < min => format!("is too small: at least {min} bytes"),
            () if bytes > max => format!("is too large: at most {max} bytes"),
            () => return Some(bytes),
        };
        let at = at?;
        let subject = self.subject::<Size>(at.id);
        self.error(at.id, format!("{subject} {bound}"));
        None
    }

    fn server_timeouts(&mut self, file: &ServerTimeoutsFile) -> Option<ServerTimeouts> {
        // A file from before there were two said both by one.
        let idle = self.or(file.idle.or(file.header), default::IDLE_TIME);
        let header = self.or(file.header, default::HEADER_TIME);
        let body = self.or(file.body, default::BODY_TIME);
        let write = self.or(file.write, default::WRITE_TIME);
        let stall = self.or(file.stall, default::STALL_TIME);
        let grace = self.or(file.grace, default::GRACE);
        let write = write?;
        Some(ServerTimeouts {
            idle: idle?,
            header: header?,
            body: body?,
            write,
            // Who has no more time for all has none for nothing.
            stall: stall?.min(write),
            grace: grace?,
        })
    }
}
