//! Where log lines go: a bounded buffer that one thread writes out in batches.
//!
//! A line costs its sender one short lock and one copy. The writer looks once in a moment and writes all there is with one
//! call; only when it found nothing it sleeps until somebody wakes it. So under load nobody does, but for a full batch: a
//! wake-up and the change of context after it cost more than a hundred lines. If whoever reads our output is slower than we are, lines are dropped and counted; no request waits for a log.

use prometheus::IntCounter;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long the writer lets lines gather.
const GATHER: Duration = Duration::from_millis(20);
/// Lines beyond this many waiting bytes are dropped.
const CAPACITY: usize = 4 << 20;
/// So many bytes wait for no more company: what is written out soon is in the processor's cache still.
const BATCH: usize = 64 << 10;

/// The log's one way out; a cheap clone.
#[derive(Clone)]
pub struct Sink(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Told when `pending` ceases to be empty while the writer is idle, when it has become a batch, when somebody is in a
    /// hurry, and on closing.
    filled: Condvar,
    /// Told when a batch has been written.
    written: Condvar,
    dropped: IntCounter,
}

#[derive(Default)]
struct State {
    pending: Vec<u8>,
    /// The writer has found nothing to write, and waits to be told.
    idle: bool,
    writing: bool,
    hurry: bool,
    closed: bool,
}

/// The thread that writes.
pub struct Writer {
    sink: Sink,
    thread: JoinHandle<()>,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(out: impl Write + Send + 'static, dropped: IntCounter) -> io::Result<Self> {
        let shared =
            Shared { state: Mutex::default(), filled: Condvar::new(), written: Condvar::new(), dropped };
        let sink = Sink(Arc::new(shared));
        let shared = Arc::clone(&sink.0);
        let thread =
            std::thread::Builder::new().name("weir-log".into()).spawn(move || shared.write_to(out))?;
        Ok(Self { sink, thread })
    }

    /// Where to send lines.
    #[must_use]
    pub fn sink(&self) -> Sink {
        self.sink.clone()
    }

    /// Writes what is waiting and ends the thread. Later lines are dropped.
    pub fn close(self) {
        self.sink.0.lock().closed = true;
        self.sink.0.filled.notify_all();
        // The thread ends on its own; had it panicked there would be nobody left to tell.
        self.thread.join().ok();
    }
}

impl Sink {
    /// Queues one line, which ends in a newline. Never waits for the reader.
    pub fn line(&self, line: &[u8]) {
        let mut state = self.0.lock();
        if state.closed || state.pending.len() + line.len() > CAPACITY {
            drop(state);
            self.0.dropped.inc();
            return;
        }
        let before = state.pending.len();
        state.pending.extend_from_slice(line);
        // One is enough.
        let wake = std::mem::take(&mut state.idle) || (before < BATCH && state.pending.len() >= BATCH);
        drop(state);
        if wake {
            self.0.filled.notify_one();
        }
    }

    /// Bytes that wait to be written.
    pub fn waiting(&self) -> usize {
        self.0.lock().pending.len()
    }

    /// Returns when everything queued so far has been handed to the operating system.
    pub fn flush(&self) {
        let mut state = self.0.lock();
        state.hurry = true;
        self.0.filled.notify_one();
        while !state.closed && (state.writing || !state.pending.is_empty()) {
            state = self.0.written.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_to(&self, mut out: impl Write) {
        let mut batch = Vec::new();
        while self.next(&mut batch) {
            // Nobody to tell if our own output is gone; metrics say what was lost.
            if out.write_all(&batch).and_then(|()| out.flush()).is_err() {
                self.dropped.inc_by(batch.iter().filter(|byte| **byte == b'\n').count() as u64);
            }
            batch.clear();
            self.lock().writing = false;
            self.written.notify_all();
        }
    }

    /// Waits for lines and their company; swaps them into `batch`. False when closed and empty.
    fn next(&self, batch: &mut Vec<u8>) -> bool {
        let gathering = |state: &mut State| !state.hurry && !state.closed && state.pending.len() < BATCH;
        let nothing = |state: &mut State| state.pending.is_empty() && !state.closed;
        let mut state = self.lock();
        loop {
            let gathered = self.filled.wait_timeout_while(state, GATHER, gathering);
            state = gathered.unwrap_or_else(PoisonError::into_inner).0;
            state.hurry = false;
            if !nothing(&mut state) {
                break;
            }
            state.idle = true;
            state = self.filled.wait_while(state, nothing).unwrap_or_else(PoisonError::into_inner);
            state.idle = false;
        }
        state.writing = !state.pending.is_empty();
        std::mem::swap(&mut state.pending, batch);
        state.writing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};

    /// Hands each write on, and waits for leave before it returns.
    struct Gate(Sender<Vec<u8>>, Receiver<()>);

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).unwrap();
            self.1.recv().ok();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn counter() -> IntCounter {
        IntCounter::new("dropped", "d").unwrap()
    }

    #[test]
    fn lines_arrive_whole_in_order_and_close_writes_the_rest() {
        let (tx, rx) = channel();
        let (leave, wait) = channel();
        drop(leave);
        let writer = Writer::start(Gate(tx, wait), counter()).unwrap();
        let sink = writer.sink();
        for i in 0..1000 {
            sink.line(format!("line {i}\n").as_bytes());
        }
        sink.flush();
        let so_far: Vec<u8> = rx.try_iter().flatten().collect();
        assert!(so_far.ends_with(b"line 999\n"), "flush returned before the last line was out");
        sink.line(b"last\n");
        writer.close();
        let all = so_far.into_iter().chain(rx.try_iter().flatten()).collect();
        let all = String::from_utf8(all).unwrap();
        let wanted = (0..1000).map(|i| format!("line {i}\n")).collect::<String>() + "last\n";
        assert_eq!(all, wanted);
    }

    #[test]
    fn a_reader_that_stands_still_costs_lines_not_memory() {
        let (tx, rx) = channel();
        let (leave, wait) = channel();
        let dropped = counter();
        let writer = Writer::start(Gate(tx, wait), dropped.clone()).unwrap();
        let sink = writer.sink();
        sink.line(b"first\n");
        assert_eq!(rx.recv().unwrap(), b"first\n", "the writer is now held in its first write");
        let line = [b'x'; 1 << 20];
        for _ in 0..6 {
            sink.line(&line);
        }
        assert_eq!(dropped.get(), 2, "four fit");
        drop(leave);
        writer.close();
        assert_eq!(rx.try_iter().map(|batch| batch.len()).sum::<usize>(), 4 << 20);
    }
}
