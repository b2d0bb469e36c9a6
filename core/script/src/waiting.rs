//! Calls that wait: a policy with `http`.
//!
//! Rhai cannot suspend, so such a call runs on a thread of the crate's pool. Its outbound calls are handed to the
//! exchange's own task, which polls them while the thread is parked. Waiting is not CPU time; `limits.wall_ms` bounds the
//! whole. If the task goes away, its ends of the channels go with it: the thread wakes up and the script ends.

use crate::meter::{self, Excess};
use crate::pool;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures::future::{Either, join_all, select};
use futures::stream::StreamExt;
use rhai::EvalAltResult;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};
use weir_policy::services::{HttpError, Inbound, Origin, Outbound, Services};
use weir_policy::{Answer, Fault, FaultKind};

/// What came of each of some outbound calls.
pub(crate) type Replies = Vec<Result<Inbound, HttpError>>;

thread_local! {
    static LINK: RefCell<Option<Link>> = const { RefCell::new(None) };
}

/// What a script's thread has of the task that waits for it.
struct Link {
    task: UnboundedSender<ToTask>,
    until: Instant,
}

enum ToTask {
    Send(Vec<(Origin, Outbound)>, SyncSender<Replies>),
    Done(Result<Answer, Fault>),
}

/// Runs `work` on a thread of the pool and does its outbound calls meanwhile.
pub(crate) async fn answer(
    services: Arc<dyn Services>,
    wall: Duration,
    work: impl FnOnce() -> Result<Answer, Fault> + Send + 'static,
) -> Result<Answer, Fault> {
    let (task, mut script) = unbounded();
    let link = Link { task: task.clone(), until: Instant::now() + wall };
    let started = pool::run(Box::new(move || {
        LINK.set(Some(link));
        let done = work();
        LINK.set(None);
        // A task that is gone wants no answer.
        let _ = task.unbounded_send(ToTask::Done(done));
    }));
    if !started {
        return Err(Fault::new(FaultKind::NoSlot, "every thread for scripts that wait is taken"));
    }
    serve(&*services, &mut script).await
}

async fn serve(services: &dyn Services, script: &mut UnboundedReceiver<ToTask>) -> Result<Answer, Fault> {
    loop {
        let (calls, reply) = match script.next().await {
            Some(ToTask::Send(calls, reply)) => (calls, reply),
            Some(ToTask::Done(done)) => return done,
            None => return Err(vanished()),
        };
        let sent = join_all(calls.into_iter().map(|(origin, call)| services.http(&origin, call)));
        // While it waits a script says nothing but that its time is over.
        match select(sent, script.next()).await {
            // A script that does not wait any more ends by itself.
            Either::Left((replies, _)) => drop(reply.send(replies)),
            Either::Right((Some(ToTask::Done(done)), _)) => return done,
            Either::Right(_) => return Err(vanished()),
        }
    }
}

fn vanished() -> Fault {
    Fault::new(FaultKind::Trap, "the script's thread went away")
}

/// Hands outbound calls to the task and parks until all are back. `None`: this call cannot wait.
pub(crate) fn send(calls: Vec<(Origin, Outbound)>) -> Option<Result<Replies, Box<EvalAltResult>>> {
    let link = LINK.with_borrow(|link| link.as_ref().map(|link| (link.task.clone(), link.until)));
    link.map(|(task, until)| {
        let (reply, replies) = sync_channel(1);
        if task.unbounded_send(ToTask::Send(calls, reply)).is_err() {
            return Err(meter::stop(Excess::Abandoned));
        }
        replies.recv_timeout(until.saturating_duration_since(Instant::now())).map_err(|error| {
            meter::stop(match error {
                RecvTimeoutError::Timeout => Excess::Wall,
                RecvTimeoutError::Disconnected => Excess::Abandoned,
            })
        })
    })
}

/// Whether nobody waits for this thread's call any more.
pub(crate) fn abandoned() -> bool {
    LINK.with_borrow(|link| link.as_ref().is_some_and(|link| link.task.is_closed()))
}
