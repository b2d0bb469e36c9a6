//! What the ledger's tests share.

use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use weir_ledger::{
    Clock, ExchangeId, Ledger, NewBudget, NewKey, Options, Outcome, Pepper, Period, Posting, Principal,
};
use weir_llm::price::Nanos;
use weir_llm::usage::{Source, Usage};

pub(crate) const NOON: i64 = 1_700_000_000_000;

pub(crate) fn open(dir: &Path, clock: &Clock) -> Ledger {
    let mut options = Options::new(Pepper::load_or_create(dir).unwrap());
    options.clock = clock.clone();
    Ledger::open(dir, options).unwrap()
}

pub(crate) fn budget(limit: i64, hard: bool, period: Period) -> Option<NewBudget> {
    Some(NewBudget { limit: Nanos(limit), hard, period })
}

/// A key and its principal.
pub(crate) fn key(ledger: &Ledger, new: NewKey) -> Arc<Principal> {
    let name = if new.name.is_empty() { "test".to_owned() } else { new.name.clone() };
    let (_, secret) = ledger.create_key(NewKey { name, ..new }).unwrap();
    ledger.identify(&secret.expose()).unwrap()
}

pub(crate) fn posting(charged: i64, at_ms: i64) -> Posting {
    Posting {
        request_id: None,
        at_ms,
        api: "chat".into(),
        alias: "fast".into(),
        provider: "sim".into(),
        model: "sim-small".into(),
        status: Outcome::Ok,
        attempts: 1,
        stream: false,
        usage: Usage { input: 10, cached_input: 3, output: 7, ..Usage::default() },
        usage_source: Source::Provider,
        charged: Nanos(charged),
        provider_cost: Some(Nanos(charged)),
        saved_by_cached_input: Nanos(2),
        saved_by_cache: Nanos(0),
        catalogue_version: "test".into(),
        generation: 1,
        ttft_ms: Some(3),
        total_ms: 9,
    }
}

/// Runs a future whose wakes come from another thread.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        std::thread::park();
    }
}

/// One poll.
pub(crate) fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// What `kill -9` would leave: the files as they are now. The journal comes first, since what leaves it goes into the
/// database.
pub(crate) fn crash_image(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for name in journal(from) {
        std::fs::copy(from.join(&name), to.join(&name)).unwrap();
    }
    for name in ["ledger.sqlite3", "ledger.sqlite3-wal", "pepper"] {
        if from.join(name).exists() {
            std::fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
}

/// The names of the journal's files.
pub(crate) fn journal(dir: &Path) -> Vec<String> {
    let names =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.starts_with("ledger.journal-")).collect();
    names.sort();
    names
}

/// An id that nobody has used before.
pub(crate) fn fresh() -> String {
    ExchangeId::fresh(NOON).unwrap().to_string()
}
