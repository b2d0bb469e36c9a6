//! What a host resolves to: judged before it is dialled, and looked up again in the background so that no request waits.

use super::failure::unresolved;
use super::{Address, DialKey, Failure};
use crate::config::{is_metadata, is_public};
use arc_swap::ArcSwapOption;
use futures::future::BoxFuture;
use pingora::time::tokio_timeout as timeout;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A name that was looked up so long ago is looked up again, while requests go where it led.
const FRESH: Duration = Duration::from_secs(20);
/// One that nobody asked for so long is looked up before the next request goes out.
const STALE: Duration = Duration::from_secs(300);
/// An address that did not answer comes after all others for so long.
const ASIDE: Duration = Duration::from_secs(30);
/// What is wrong with an address that leads into the operator's own networks.
const PRIVATE: &str = "it is a private one, which is not allowed here";
/// What is wrong with a name that leads to where clouds hand out credentials.
const METADATA: &str = "it is one of a cloud's metadata service, to which no name may lead";

/// Asks for the addresses of a name.
pub(super) type Lookup =
    Arc<dyn Fn(String, u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// The system's resolver.
pub(super) fn system() -> Lookup {
    Arc::new(|host, port| {
        Box::pin(async move { Ok(tokio::net::lookup_host((host.as_str(), port)).await?.collect()) })
    })
}

/// The addresses of one host.
pub(super) struct Names {
    host: String,
    port: u16,
    /// Whether an address may lead into the operator's own networks.
    private: bool,
    patience: Duration,
    lookup: Lookup,
    known: ArcSwapOption<Known>,
    looking: AtomicBool,
    turn: AtomicUsize,
    epoch: AtomicU64,
    aside: Mutex<HashMap<SocketAddr, Instant>>,
}

/// What a name resolved to.
struct Known {
    addresses: Vec<SocketAddr>,
    /// When; `None`: it is no name but an address.
    at: Option<Instant>,
}

impl Names {
    /// What has to be resolved to reach an endpoint: its host, or the proxy's. Nothing for a socket.
    pub(super) fn of(key: &DialKey, lookup: Lookup) -> Option<Self> {
        let (host, port, private) = match (&key.proxy, &key.address) {
            (_, Address::Socket(_)) => return None,
            // The operator's own word leads there.
            (Some(proxy), _) => (&proxy.host, proxy.port, true),
            (None, Address::Host { host, port, .. }) => (host, *port, key.private),
        };
        Some(Self {
            host: host.clone(),
            port,
            private,
            patience: key.connect,
            lookup,
            known: ArcSwapOption::empty(),
            looking: AtomicBool::new(false),
            turn: AtomicUsize::new(0),
            epoch: AtomicU64::new(0),
            aside: Mutex::default(),
        })
    }

    /// Counts how often all addresses were replaced: connections to the old ones are not used again.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Relaxed)
    }

    /// Returns once there are addresses to dial: at once, if there were any lately.
    ///
    /// # Errors
    /// There are none, or none that may be dialled.
    pub(super) async fn ready(self: &Arc<Self>) -> Result<(), Failure> {
        let age = match &*self.known.load() {
            None => None,
            Some(known) => match known.at.map(|at| at.elapsed()) {
                None => return Ok(()),
                Some(age) if age < FRESH => return Ok(()),
                Some(age) => Some(age),
            },
        };
        if age.is_some_and(|age| age < STALE) {
            self.refresh();
            return Ok(());
        }
        match self.look().await {
            // A name server that is down does not take down providers whose address was known.
            Err(_) if age.is_some() => Ok(()),
            looked => looked,
        }
    }

    /// Looks again in the background, unless somebody is at it.
    fn refresh(self: &Arc<Self>) {
        if self.looking.swap(true, Relaxed) {
            return;
        }
        let names = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(failure) = names.look().await {
                tracing::warn!(
                    host = names.host,
                    why = failure.message,
                    "a provider's name was not looked up again; its last addresses are used"
                );
                names.keep();
            }
            names.looking.store(false, Relaxed);
        });
    }

    /// What is known is believed for a while longer.
    fn keep(&self) {
        if let Some(known) = &*self.known.load() {
            let addresses = known.addresses.clone();
            self.known.store(Some(Arc::new(Known { addresses, at: Some(Instant::now()) })));
        }
    }

    pub(super) async fn look(&self) -> Result<(), Failure> {
        if let Ok(ip) = self.host.parse::<IpAddr>() {
            return self.learn(vec![SocketAddr::new(ip, self.port)], None);
        }
        let addresses = timeout(self.patience, (self.lookup)(self.host.clone(), self.port))
            .await
            .map_err(|_| unresolved("the name server did not answer in time"))?
            .map_err(|_| unresolved("the name does not resolve"))?;
        self.learn(addresses, Some(Instant::now()))
    }

    /// What is dialled is what was judged here: nobody looks the name up again to connect. An address that stands in the
    /// config is the operator's word; a name's addresses are its owner's.
    fn learn(&self, addresses: Vec<SocketAddr>, at: Option<Instant>) -> Result<(), Failure> {
        let named = at.is_some();
        let wrong = |ip| match () {
            () if named && is_metadata(ip) => Some(METADATA),
            () if !self.private && !is_public(ip) => Some(PRIVATE),
            () => None,
        };
        let why = addresses.iter().find_map(|at| wrong(at.ip())).unwrap_or("it has no address");
        let allowed: Vec<_> = addresses.into_iter().filter(|at| wrong(at.ip()).is_none()).collect();
        if allowed.is_empty() {
            return Err(unresolved(why));
        }
        let old = self.known.swap(Some(Arc::new(Known { addresses: allowed.clone(), at })));
        if old.is_some_and(|old| !old.addresses.iter().any(|at| allowed.contains(at))) {
            self.epoch.fetch_add(1, Relaxed);
        }
        Ok(())
    }

    /// The addresses in the order in which to try them: the two families by turns, beginning with another one each time;
    /// what did not answer of late comes last.
    pub(super) fn order(&self) -> Vec<SocketAddr> {
        let Some(known) = &*self.known.load() else { return Vec::new() };
        let mut order = interleaved(&known.addresses);
        if order.len() < 2 {
            return order;
        }
        let turn = self.turn.fetch_add(1, Relaxed) % order.len();
        order.rotate_left(turn);
        let mut aside = self.aside.lock().unwrap_or_else(PoisonError::into_inner);
        aside.retain(|_, since| since.elapsed() < ASIDE);
        order.sort_by_key(|at| aside.contains_key(at));
        order
    }

    /// An address did not answer, or not in time.
    pub(super) fn set_aside(&self, at: SocketAddr) {
        self.aside.lock().unwrap_or_else(PoisonError::into_inner).insert(at, Instant::now());
    }
}

/// The families by turns, each in the resolver's order, the resolver's first choice first.
fn interleaved(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let first = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (one, two): (Vec<SocketAddr>, Vec<SocketAddr>) =
        addresses.iter().partition(|at| at.is_ipv6() == first);
    let longer = one.len().max(two.len());
    (0..longer).flat_map(|at| [one.get(at), two.get(at)]).flatten().copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn names(private: bool) -> Names {
        let address = Address::Host { host: "x.example".into(), port: 1, tls: false };
        Names::of(&DialKey::plain(address, Duration::from_secs(1), private), system()).unwrap()
    }

    #[test]
    fn families_take_turns() {
        let list = ["[2001:db8::1]:1", "[2001:db8::2]:1", "[2001:db8::3]:1", "1.1.1.1:1"].map(at);
        assert_eq!(interleaved(&list), [list[0], list[3], list[1], list[2]]);
        assert_eq!(interleaved(&[]), []);
    }

    #[test]
    fn what_did_not_answer_comes_last_and_everyone_comes_first_once() {
        let names = names(true);
        let list = ["1.0.0.1:1", "1.0.0.2:1", "1.0.0.3:1"].map(at);
        names.learn(list.to_vec(), None).unwrap();
        let firsts: Vec<_> = (0..3).map(|_| names.order()[0]).collect();
        assert_eq!(firsts, list);
        names.set_aside(list[1]);
        assert!((0..6).all(|_| names.order()[2] == list[1]));
    }

    #[test]
    fn every_address_is_judged_and_a_name_that_leads_inward_leads_nowhere() {
        let names = names(false);
        for inward in
            ["127.0.0.1:1", "10.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1", "[64:ff9b::a9fe:a9fe]:1"]
        {
            assert!(names.learn(vec![at(inward)], None).is_err(), "{inward}");
        }
        names.learn(["169.254.169.254:1", "1.1.1.1:1", "[2002:7f00:1::]:1"].map(at).to_vec(), None).unwrap();
        assert_eq!(names.order(), [at("1.1.1.1:1")]);
    }

    #[test]
    fn no_name_leads_to_where_clouds_hand_out_credentials_but_an_address_may_be_meant() {
        let names = names(true);
        let metadata = at("169.254.169.254:80");
        let refused = names.learn(vec![metadata], Some(Instant::now())).unwrap_err();
        assert!(refused.message.contains("metadata"), "{}", refused.message);
        names.learn(vec![metadata, at("10.0.0.1:80")], Some(Instant::now())).unwrap();
        assert_eq!(names.order(), [at("10.0.0.1:80")]);
        names.learn(vec![metadata], None).unwrap();
        assert_eq!(names.order(), [metadata]);
    }

    #[test]
    fn only_a_name_that_moved_altogether_begins_a_new_epoch() {
        let names = names(true);
        let learn = |list: &[&str]| names.learn(list.iter().map(|text| at(text)).collect(), None).unwrap();
        learn(&["1.0.0.1:1", "1.0.0.2:1"]);
        learn(&["1.0.0.2:1", "1.0.0.3:1"]);
        assert_eq!(names.epoch(), 0);
        learn(&["1.0.0.9:1"]);
        assert_eq!(names.epoch(), 1);
    }
}
