//! The callers' connections: how many there are, which of them wait for a request, and who has to make room.
//!
//! A connection that waits costs memory and a descriptor, so there is a bound. At the bound the ones that have waited
//! longest are closed, a few at a time, so that looking for them stays cheap under a flood; if nobody waits, the new one
//! has to go.

use futures::task::AtomicWaker;
use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Instant;

/// What part of all connections is closed at once when there are too many.
const SHARE: usize = 64;
/// Requests that a caller may break off on one HTTP/2 connection more than it lets end, one a second aside.
const BROKEN_OFF: i64 = 100;

/// The connections of the process.
pub struct Connections {
    limit: usize,
    start: Instant,
    open: AtomicUsize,
    all: Mutex<HashMap<usize, Arc<Connection>>>,
}

/// One connection.
pub struct Connection {
    /// Requests under way, and whether it is being closed.
    state: AtomicU32,
    /// When it last became idle, in milliseconds after the start.
    idle_since: AtomicU64,
    /// Whether a request has come.
    used: AtomicBool,
    /// What is left of [`BROKEN_OFF`], and when it was counted last, in seconds after the start.
    patience: AtomicI64,
    counted: AtomicU64,
    /// Who serves it, and waits to be told to close it.
    server: AtomicWaker,
}

/// The bit of [`Connection::state`] that says that it is being closed.
const CLOSING: u32 = 1 << 31;

/// An open connection; it is forgotten when this is dropped.
pub struct Open<'a> {
    all: &'a Connections,
    key: usize,
    /// Itself.
    pub connection: Arc<Connection>,
}

/// A request under way on a connection.
pub struct Busy<'a> {
    all: &'a Connections,
    connection: &'a Connection,
}

impl Connections {
    /// At most so many at one time.
    pub fn new(limit: usize) -> Self {
        Self { limit, start: Instant::now(), open: AtomicUsize::new(0), all: Mutex::default() }
    }

    /// How many there are.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Counts a connection in, under a key that is its own as long as it lives; `None`: there is no room.
    pub fn enter(&self, key: usize) -> Option<Open<'_>> {
        let connection = Arc::new(Connection {
            state: AtomicU32::new(0),
            idle_since: AtomicU64::new(self.now()),
            used: AtomicBool::new(false),
            patience: AtomicI64::new(BROKEN_OFF),
            counted: AtomicU64::new(self.now() / 1000),
            server: AtomicWaker::new(),
        });
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        // What has been told to close is still in the map; new ones need not wait for it.
        if self.open.load(Ordering::Relaxed) >= self.limit && make_room(&all, self.limit.div_ceil(SHARE)) == 0
        {
            return None;
        }
        self.open.fetch_add(1, Ordering::Relaxed);
        all.insert(key, Arc::clone(&connection));
        Some(Open { all: self, key, connection })
    }

    /// The connection of a key.
    pub fn find(&self, key: usize) -> Option<Arc<Connection>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }

    /// A request begins on a connection; `None`: that is being closed.
    pub fn busy<'a>(&'a self, connection: &'a Connection) -> Option<Busy<'a>> {
        connection.used.store(true, Ordering::Relaxed);
        let before = connection.state.fetch_add(1, Ordering::AcqRel);
        let busy = Busy { all: self, connection };
        (before & CLOSING == 0).then_some(busy)
    }

    /// The caller broke a request off, or let it end. One that does little else is told to go: breaking off is cheap for
    /// it and dear for us.
    pub fn ended(&self, connection: &Connection, broken_off: bool) {
        let now = self.now() / 1000;
        let passed = now.saturating_sub(connection.counted.swap(now, Ordering::Relaxed));
        let passed = i64::try_from(passed).unwrap_or(BROKEN_OFF);
        let change = passed.saturating_add(if broken_off { -1 } else { 1 });
        let left = connection.patience.load(Ordering::Relaxed).saturating_add(change).min(BROKEN_OFF);
        connection.patience.store(left, Ordering::Relaxed);
        if left < 0 {
            connection.tell();
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Tells the ones that have waited longest to close, `most` at most; how many there were.
fn make_room(all: &HashMap<usize, Arc<Connection>>, most: usize) -> usize {
    let mut idle: Vec<(u64, &Arc<Connection>)> = all
        .values()
        .filter(|connection| connection.state.load(Ordering::Acquire) == 0)
        .map(|connection| (connection.idle_since.load(Ordering::Relaxed), connection))
        .collect();
    if idle.len() > most {
        idle.select_nth_unstable_by_key(most, |(since, _)| *since);
        idle.truncate(most);
    }
    let closed = |(_, connection): &(u64, &Arc<Connection>)| {
        let closing = connection.state.compare_exchange(0, CLOSING, Ordering::AcqRel, Ordering::Acquire);
        closing.inspect(|_| connection.server.wake()).is_ok()
    };
    idle.iter().filter(|idle| closed(idle)).count()
}

impl Connection {
    /// Tells it to close, whatever is under way on it.
    fn tell(&self) {
        self.state.fetch_or(CLOSING, Ordering::AcqRel);
        self.server.wake();
    }

    /// Whether a request has come.
    pub fn is_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    /// Resolves when it is to be closed. One waits for it: whoever serves the connection.
    pub async fn told_to_close(&self) {
        poll_fn(|cx| {
            self.server.register(cx.waker());
            let closing = self.state.load(Ordering::Acquire) & CLOSING != 0;
            if closing { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.all.open.fetch_sub(1, Ordering::Relaxed);
        self.all.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.connection.idle_since.store(self.all.now(), Ordering::Relaxed);
        self.connection.state.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_that_has_waited_longest_makes_room_and_who_is_busy_never_does() {
        let all = Connections::new(2);
        let (one, two) = (all.enter(1).unwrap(), all.enter(2).unwrap());
        one.connection.idle_since.store(5, Ordering::Relaxed);
        two.connection.idle_since.store(3, Ordering::Relaxed);
        let three = all.enter(3).unwrap();
        assert!(all.busy(&two.connection).is_none(), "it is being closed");
        let (_first, _third) = (all.busy(&one.connection).unwrap(), all.busy(&three.connection).unwrap());
        assert!(all.enter(4).is_none(), "nobody waits");
        drop(two);
        assert_eq!(all.open(), 2);
        assert!(all.enter(5).is_none(), "full again");
        assert!(all.find(1).is_some() && all.find(2).is_none());
    }

    #[test]
    fn a_caller_that_only_breaks_off_is_told_to_go() {
        let all = Connections::new(2);
        let (one, two) = (all.enter(1).unwrap(), all.enter(2).unwrap());
        for _ in 0..=BROKEN_OFF {
            assert!(all.busy(&one.connection).is_some());
            all.ended(&one.connection, true);
            all.ended(&two.connection, true);
            all.ended(&two.connection, false);
        }
        assert!(all.busy(&one.connection).is_none());
        assert!(all.busy(&two.connection).is_some());
    }
}
