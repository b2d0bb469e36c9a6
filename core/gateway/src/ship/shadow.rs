//! A candidate in shadow: told of every question that the live version is asked, on a thread of its own, and heard by
//! nobody but a report.

use super::diff::Said;
use super::report::{self, Pair, Report};
use super::{diff, frozen, minimise};
use serde_json::Value;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use weir_policy::pipeline::{Shadow, replayed};
use weir_policy::{Answer, Fault, FaultKind, Policy, Question};

/// Questions that wait for the candidate; what comes while they are so many is not asked, and counted.
const QUEUE: usize = 256;
/// Bytes of bodies that wait: they stay in memory when their exchange has gone.
const HELD: usize = 64 << 20;
/// How often the thread looks whether it is to end.
const LOOK: Duration = Duration::from_millis(100);

/// A shadow that runs.
pub struct Shadowing {
    shared: Arc<Shared>,
    reads_headers: bool,
    reads_warmth: bool,
    queue: SyncSender<Asked>,
    worker: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    report: Mutex<Report>,
    dropped: AtomicU64,
    held: AtomicUsize,
    ended: AtomicBool,
}

struct Asked {
    question: Question,
    live: Result<Answer, Fault>,
    took: Duration,
    /// Whether the live version had read content, a header or an attribute.
    tainted: bool,
    bytes: usize,
}

/// Both versions, each without a mark on the world.
pub struct Versions {
    /// What decides.
    pub live: Arc<dyn Policy>,
    /// What might.
    pub candidate: Arc<dyn Policy>,
}

impl Shadowing {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives none.
    pub fn start(versions: Versions) -> io::Result<Arc<Self>> {
        let (queue, asked) = sync_channel(QUEUE);
        let shared = Arc::new(Shared {
            report: Mutex::default(),
            dropped: AtomicU64::new(0),
            held: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
        });
        let (reads_headers, reads_warmth) =
            (versions.candidate.reads_headers(), versions.candidate.reads_warmth());
        // A policy that was granted `http` may keep time while it waits, even for a host that answers at once.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let worker = Worker { versions, runtime, shared: Arc::clone(&shared) };
        let thread = std::thread::Builder::new().name("weir-shadow".into());
        let handle = thread.spawn(move || worker.run(&asked))?;
        Ok(Arc::new(Self { shared, reads_headers, reads_warmth, queue, worker: Mutex::new(Some(handle)) }))
    }

    /// Ends the thread, and waits for the question that it is at.
    pub fn end(&self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        let worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if worker.is_some_and(|worker| worker.join().is_err()) {
            tracing::error!("the thread of a shadow ended by a panic");
        }
    }

    /// What it has found so far.
    pub fn report(&self) -> MutexGuard<'_, Report> {
        self.shared.report()
    }

    /// The same for the admin API.
    pub fn json(&self) -> Value {
        self.report().json(self.shared.dropped.load(Ordering::Relaxed))
    }
}

impl Shadow for Shadowing {
    fn reads_headers(&self) -> bool {
        self.reads_headers
    }

    fn reads_warmth(&self) -> bool {
        self.reads_warmth
    }

    fn asked(&self, question: Question, live: &Result<Answer, Fault>, took: Duration) {
        if self.shared.ended.load(Ordering::Relaxed) {
            return;
        }
        let bytes = frozen::bytes(&question);
        let held = self.shared.held.fetch_add(bytes, Ordering::Relaxed);
        let tainted = frozen::view(&question).is_some_and(|view| view.tainted());
        let asked =
            || Asked { question: frozen::frozen(&question), live: live.clone(), took, tainted, bytes };
        if held.saturating_add(bytes) > HELD || self.queue.try_send(asked()).is_err() {
            self.shared.held.fetch_sub(bytes, Ordering::Relaxed);
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Shared {
    fn report(&self) -> MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Worker {
    versions: Versions,
    runtime: tokio::runtime::Runtime,
    shared: Arc<Shared>,
}

impl Worker {
    fn run(self, asked: &Receiver<Asked>) {
        while !self.shared.ended.load(Ordering::Relaxed) {
            match asked.recv_timeout(LOOK) {
                Ok(asked) => {
                    self.compare(&asked);
                    self.shared.held.fetch_sub(asked.bytes, Ordering::Relaxed);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn compare(&self, asked: &Asked) {
        let question = &asked.question;
        let Versions { live, candidate } = &self.versions;
        // Neither would be asked: there is nothing to compare.
        if [live, candidate].iter().all(|version| question.spared(&***version).is_some()) {
            return;
        }
        let said = diff::said(question, &asked.live, &live.manifest().declares, asked.tainted);
        let live = Told { answer: asked.live.clone(), said };
        let began = Instant::now();
        let told = self.ask(candidate, question);
        let took = began.elapsed();
        let kind = diff::kind(question, live.parts(), told.parts());
        let pair = Pair {
            live: &live.said,
            candidate: &told.said,
            kind: kind.as_deref(),
            nanos: (diff::estimate(question, &live.answer), diff::estimate(question, &told.answer)),
            took: (asked.took, took),
        };
        let first = self.shared.report().count(&pair);
        if let (true, Some(kind)) = (first, kind) {
            let shown = self.example(question, &kind, (&live.said, &told.said));
            self.shared.report().show(&kind, shown);
        }
    }

    /// The smallest question of a kind. If the versions do not differ in this way when they are asked again, as versions
    /// do that draw lots or remember, the question is shown as it came.
    fn example(&self, question: &Question, kind: &str, said: (&Said, &Said)) -> Value {
        if self.again(question).as_deref() != Some(kind) {
            return report::example(question, said.0, said.1, false);
        }
        let again = &mut |smaller: &Question| {
            if self.shared.ended.load(Ordering::Relaxed) { None } else { self.again(smaller) }
        };
        let (smallest, complete) = minimise::minimise(question.clone(), kind, again);
        report::example(&smallest, said.0, said.1, complete)
    }

    /// Asks both versions.
    fn again(&self, question: &Question) -> Option<String> {
        let live = self.ask(&self.versions.live, question);
        let candidate = self.ask(&self.versions.candidate, question);
        diff::kind(question, live.parts(), candidate.parts())
    }

    /// Asks a version, on this thread, with a view of its own.
    fn ask(&self, policy: &Arc<dyn Policy>, question: &Question) -> Told {
        let manifest = policy.manifest();
        if !diff::concerns(manifest, question) {
            let answer = Err(Fault::new(FaultKind::Missing, "not asked"));
            return Told { answer, said: diff::not_asked(question) };
        }
        let shown = if manifest.shared { frozen::anonymous(question) } else { frozen::frozen(question) };
        let answer = match (&shown, shown.spared(&**policy)) {
            (_, Some(pass)) => Ok(pass),
            (Question::Stream { view, heard }, None) => replayed(policy, view, heard).map(Answer::Stream),
            _ if policy.waits() => self.runtime.block_on(Arc::clone(policy).later(shown.clone())),
            _ => shown.ask(&**policy),
        };
        let answer = diff::checked(&shown, answer);
        let tainted = frozen::view(&shown).is_some_and(|view| view.tainted());
        let said = diff::said(&shown, &answer, &manifest.declares, tainted);
        Told { answer, said }
    }
}

/// What a version said, and what may be shown of it.
struct Told {
    answer: Result<Answer, Fault>,
    said: Said,
}

impl Told {
    const fn parts(&self) -> (&Result<Answer, Fault>, &Said) {
        (&self.answer, &self.said)
    }
}
