//! A version that was granted `http`: asynchronous, bounded in CPU and wall time, dropped with its future.

use crate::host::Host;
use crate::world::{built, engine, request};
use serde_json::{Value, json};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use weir_policy::{Admission, Answer, Capability, Fault, FaultKind, Guarded, Policy, Question};

const GRANTS: [Capability; 3] = [Capability::Http, Capability::Env, Capability::Telemetry];

fn load(host: &Arc<Host>, config: &Value) -> Arc<dyn Policy> {
    let policy = engine().compile("webhook", &built("webhook"), config, &host.grants(&GRANTS));
    policy.unwrap_or_else(|e| panic!("{e}"))
}

/// One worker, as a gateway's thread has.
fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime").block_on(work)
}

async fn guard(policy: &Arc<dyn Policy>) -> Result<String, Fault> {
    let answer = Arc::clone(policy).later(Question::Guard { view: request("a text") }).await?;
    match answer {
        Answer::Guard(verdict) => match verdict.outcome {
            Guarded::Answer(text) => Ok(text),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_webhook_is_asked_and_its_answer_comes_back() {
    let host = Arc::new(Host::default());
    let policy = load(&host, &Value::Null);
    assert!(policy.waits());
    assert_eq!(run(guard(&policy)).as_deref(), Ok("200 /0a text"));
    let call = host.calls.lock().expect("no panic")[0].clone();
    assert_eq!((call.method.as_str(), call.host_alias.as_str(), call.timeout_ms), ("POST", "moderation", 0));
    let origin = host.origins.lock().expect("no panic").last().cloned().expect("an origin");
    assert!(origin.tainted && &*origin.tenant == "acme", "the text was read");
    let admitted = run(Arc::clone(&policy).later(Question::Admit { view: request("x") }));
    let Ok(Answer::Admit(Admission::Allow(tags))) = admitted else { panic!("{admitted:?}") };
    assert_eq!(tags[0].1, "Ok(200)");
    assert_eq!(policy.guard(&request("x")).expect_err("it waits").kind, FaultKind::Missing);
}

#[test]
fn calls_start_together_and_are_counted() {
    let host = Arc::new(Host::default());
    *host.delay.lock().expect("no panic") = Duration::from_millis(60);
    let policy = load(&host, &json!({ "hook": "guard", "how": "many" }));
    let start = Instant::now();
    let said = run(guard(&policy)).expect("an answer");
    assert_eq!(said, "200 /0a text, 200 /1a text, 200 /2a text, budget");
    assert_eq!(host.most.load(Ordering::SeqCst), 3, "all at once");
    assert!(start.elapsed() >= Duration::from_millis(60));
}

#[test]
fn an_alias_that_the_manifest_does_not_name_is_not_granted() {
    let host = Arc::new(Host::default());
    let policy = load(&host, &json!({ "hook": "guard", "how": "elsewhere" }));
    assert_eq!(run(guard(&policy)).as_deref(), Ok("not-granted"));
    assert!(host.calls.lock().expect("no panic").is_empty(), "the host was not asked");
}

#[test]
fn a_slow_webhook_is_cut_at_the_wall() {
    let host = Arc::new(Host::default());
    *host.delay.lock().expect("no panic") = Duration::from_secs(3_600);
    let policy = load(&host, &Value::Null);
    let start = Instant::now();
    let fault = run(guard(&policy)).expect_err("a fault");
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Deadline, "more wall time than wall_ms"));
    assert!((Duration::from_millis(400)..Duration::from_secs(2)).contains(&start.elapsed()));
    assert_eq!(host.under_way(), 0, "the call went with it");
}

/// What a call may still take is what is left of the whole.
#[test]
fn a_timeout_is_no_longer_than_what_is_left() {
    let host = Arc::new(Host::default());
    *host.delay.lock().expect("no panic") = Duration::from_millis(100);
    let policy = load(&host, &json!({ "hook": "guard", "how": "twice" }));
    run(guard(&policy)).expect("an answer");
    let second = host.calls.lock().expect("no panic")[1].timeout_ms;
    assert!((1..=300).contains(&second), "{second} ms");
}

#[test]
fn an_endless_loop_is_cut_and_lets_others_run() {
    let policy = load(&Arc::new(Host::default()), &json!({ "hook": "guard", "how": "loop" }));
    let (fault, turns) = run(async {
        let cut = guard(&policy);
        let mut cut = std::pin::pin!(cut);
        let mut turns = 0;
        loop {
            tokio::select! {
                biased;
                fault = &mut cut => break (fault.expect_err("a fault"), turns),
                () = tokio::task::yield_now() => turns += 1,
            }
        }
    });
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Deadline, "more CPU time than cpu_us"));
    assert!(turns > 2, "the guest gave way {turns} times");
}

#[test]
fn a_panic_has_its_place_and_memory_its_bound() {
    let place = |how: &str| {
        let policy = load(&Arc::new(Host::default()), &json!({ "hook": "guard", "how": how }));
        run(guard(&policy)).expect_err("a fault")
    };
    let panicked = place("panic");
    assert_eq!(panicked.kind, FaultKind::Trap);
    assert!(panicked.place.unwrap_or_default().contains("misdeeds.rs:"));
    assert!(matches!(place("memory").kind, FaultKind::Memory | FaultKind::Deadline));
    assert!(matches!(place("recursion").kind, FaultKind::Memory | FaultKind::Trap));
}

/// Dropping the future ends the call, and gives its slot back.
#[test]
fn a_dropped_call_is_over() {
    let host = Arc::new(Host::default());
    *host.delay.lock().expect("no panic") = Duration::from_secs(3_600);
    let policy = load(&host, &Value::Null);
    run(async {
        for _ in 0..40 {
            let call = tokio::time::timeout(Duration::from_millis(5), guard(&policy)).await;
            assert!(call.is_err(), "{call:?}");
        }
    });
    assert_eq!(host.under_way(), 0);
    *host.delay.lock().expect("no panic") = Duration::ZERO;
    assert_eq!(run(guard(&policy)).as_deref(), Ok("200 /0a text"), "there is a slot");
}
