//! Answers from the ledger's thread to those who wait, many at a time.
//!
//! Waking a task from another thread is a system call, and on a busy core the kernel then runs the woken thread at
//! once: it handles one task, finds no more, sleeps, and the ledger's thread wakes it for the next one: two context
//! switches a row. So the answers of a commit are all laid down first, one task is woken, and that one, on its own
//! runtime where it is cheap, wakes the others. Should it not come to that soon, the ledger's thread wakes them: no
//! answer depends on another's task.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

/// Where one answer is laid down. Dropped without one, the waiter gets `None`.
pub struct Answerer<T> {
    slot: Arc<Slot<T>>,
}

/// The waiting side: resolves to the answer, or to `None` if there will be none.
pub struct Answer<T> {
    slot: Arc<Slot<T>>,
}

/// The tasks that one commit has answered and nobody has woken yet.
#[derive(Default)]
pub(crate) struct Bell {
    sleepers: Mutex<Vec<Waker>>,
}

struct Slot<T>(Mutex<State<T>>);

enum State<T> {
    Waiting(Option<Waker>),
    There(T, Arc<Bell>),
    Never,
}

/// A new pair.
pub(crate) fn pair<T>() -> (Answerer<T>, Answer<T>) {
    let slot = Arc::new(Slot(Mutex::new(State::Waiting(None))));
    (Answerer { slot: Arc::clone(&slot) }, Answer { slot })
}

impl<T> Answerer<T> {
    /// Lays the answer down; its waiter sleeps until the bell is rung.
    pub(crate) fn put(self, value: T, bell: &Arc<Bell>) {
        let before = std::mem::replace(&mut *self.slot.lock(), State::There(value, Arc::clone(bell)));
        if let State::Waiting(Some(waker)) = before {
            lock(&bell.sleepers).push(waker);
        }
    }

    /// Answers one waiter alone.
    pub(crate) fn send(self, value: T) {
        let bell = Arc::new(Bell::default());
        self.put(value, &bell);
        bell.wake_all();
    }
}

impl<T> Drop for Answerer<T> {
    fn drop(&mut self) {
        let mut state = self.slot.lock();
        if let State::Waiting(waker) = &mut *state {
            let waker = waker.take();
            *state = State::Never;
            drop(state);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

impl<T> Answer<T> {
    /// Waits on this thread.
    pub(crate) fn wait(self) -> Option<T> {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut this = self;
        loop {
            if let Poll::Ready(answer) = Pin::new(&mut this).poll(&mut Context::from_waker(&waker)) {
                return answer;
            }
            thread::park();
        }
    }
}

impl<T> Future for Answer<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut state = self.slot.lock();
        if let State::Waiting(waker) = &mut *state {
            match waker {
                Some(known) => known.clone_from(cx.waker()),
                None => *waker = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        }
        let answer = std::mem::replace(&mut *state, State::Never);
        drop(state);
        let State::There(value, bell) = answer else { return Poll::Ready(None) };
        bell.wake_all();
        Poll::Ready(Some(value))
    }
}

/// Whoever goes away without looking may be the one who was to wake the others.
impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        let state = std::mem::replace(&mut *self.slot.lock(), State::Never);
        if let State::There(_, bell) = state {
            bell.wake_all();
        }
    }
}

impl Bell {
    /// Wakes one, gives it the core for a moment, and wakes whom it has not woken.
    pub(crate) fn ring(&self) {
        let first = lock(&self.sleepers).pop();
        if let Some(first) = first {
            first.wake();
            thread::yield_now();
            self.wake_all();
        }
    }

    fn wake_all(&self) {
        let sleepers = std::mem::take(&mut *lock(&self.sleepers));
        sleepers.into_iter().for_each(Waker::wake);
    }
}

impl<T> Slot<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        lock(&self.0)
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Nothing in here can panic halfway through a change.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn poll<T>(answer: &mut Answer<T>, count: &Arc<Count>) -> Poll<Option<T>> {
        let waker = Waker::from(Arc::clone(count));
        Pin::new(answer).poll(&mut Context::from_waker(&waker))
    }

    #[test]
    fn whoever_looks_first_wakes_the_others() {
        let count = Arc::new(Count::default());
        let bell = Arc::new(Bell::default());
        let mut answers = Vec::new();
        let mut answerers = Vec::new();
        for _ in 0..4 {
            let (answerer, mut answer) = pair();
            assert!(poll(&mut answer, &count).is_pending());
            answers.push(answer);
            answerers.push(answerer);
        }
        answerers.into_iter().enumerate().for_each(|(n, answerer)| answerer.put(n, &bell));
        let woken = || count.0.load(Ordering::SeqCst);
        assert_eq!(woken(), 0);
        assert_eq!(poll(&mut answers[2], &count), Poll::Ready(Some(2)));
        assert_eq!(woken(), 4);
        bell.ring();
        assert_eq!(woken(), 4, "nobody is woken twice");
        drop(answers.remove(0));
        assert_eq!(poll(&mut answers[0], &count), Poll::Ready(Some(1)));
    }

    #[test]
    fn nobody_depends_on_another_task() {
        for who in ["the first looks away", "the first never looks"] {
            let count = Arc::new(Count::default());
            let bell = Arc::new(Bell::default());
            let (one, mut first) = pair();
            let (two, mut second) = pair();
            assert!(poll(&mut first, &count).is_pending() && poll(&mut second, &count).is_pending());
            one.put((), &bell);
            two.put((), &bell);
            if who == "the first looks away" {
                drop(first);
            } else {
                bell.ring();
            }
            assert_eq!(count.0.load(Ordering::SeqCst), 2, "{who}");
        }
    }

    #[test]
    fn an_answerer_that_goes_away_is_an_answer() {
        let count = Arc::new(Count::default());
        let (answerer, mut answer) = pair::<()>();
        assert!(poll(&mut answer, &count).is_pending());
        drop(answerer);
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert_eq!(poll(&mut answer, &count), Poll::Ready(None));
        let (answerer, answer) = pair();
        let sender = thread::spawn(move || answerer.send(7));
        assert_eq!(answer.wait(), Some(7));
        sender.join().unwrap();
    }
}
