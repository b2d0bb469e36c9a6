//! Scripts that wait for `http`: on a thread of their own, while the exchange's task does the calls.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod bench;

use bench::desk::{Desk, all};
use bench::{policy, request};
use futures::channel::oneshot;
use futures::future::{FutureExt, join_all, pending};
use serde_json::Value;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{Thread, current, park};
use std::time::{Duration, Instant};
use weir_policy::services::{HttpError, Inbound, Outbound};
use weir_policy::{Answer, Fault, FaultKind, Guarded, Policy, Question};

const HEADER: &str = "hooks: [guard]\nreads: content\ncapabilities: [http, kv]\nhttp: [moderation]\n\
    limits: { http_calls: 3, wall_ms: 300, operations: 10000000, cpu_us: 20000 }";

fn load(desk: &Arc<Desk>, body: &str) -> Arc<dyn Policy> {
    let source = policy(HEADER, &format!("fn guard(request, config) {{\n{body}\n}}"));
    weir_script::compile("waits.rhai", &source, &Value::Null, &all(desk)).unwrap()
}

fn guard(policy: &Arc<dyn Policy>) -> Result<Answer, Fault> {
    block_on(Arc::clone(policy).later(Question::Guard { view: request() }))
}

/// The exchange's task, as far as a script notices.
fn block_on<T>(work: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(current())));
    let mut work = std::pin::pin!(work);
    loop {
        match work.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(done) => return done,
            Poll::Pending => park(),
        }
    }
}

fn inbound(body: &str) -> Inbound {
    Inbound {
        status: 200,
        headers: vec![("content-type".into(), "application/json".into())],
        body: body.as_bytes().to_vec(),
        truncated: false,
    }
}

fn answered(answer: Result<Answer, Fault>) -> String {
    match answer.unwrap() {
        Answer::Guard(verdict) => match verdict.outcome {
            Guarded::Answer(text) => text,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_call_goes_out_and_its_reply_comes_in() {
    let seen = Arc::new(Mutex::new(Vec::<Outbound>::new()));
    let desk = Desk::answering({
        let seen = Arc::clone(&seen);
        move |call| {
            seen.lock().unwrap().push(call);
            Box::pin(std::future::ready(Ok(inbound(r#"{"flagged":true,"score":0.5}"#))))
        }
    });
    let policy = load(
        &desk,
        r#"let r = http_send(#{ method: "POST", host_alias: "moderation", path: "/v1/check",
               headers: #{ accept: "application/json" }, body: #{ text: request.text(0) }, timeout_ms: 50 });
           let said = r.json();
           answer(`${r.status} ${said.flagged} ${r.header("Content-Type")} ${r.truncated} ${r.error == ()}`)"#,
    );
    assert!(policy.waits());
    assert_eq!(answered(guard(&policy)), "200 true application/json false true");
    let seen = seen.lock().unwrap();
    let Outbound { method, host_alias, path, headers, body, timeout_ms } = &seen[0];
    assert_eq!((method.as_str(), host_alias.as_str(), path.as_str()), ("POST", "moderation", "/v1/check"));
    assert_eq!(headers, &[("accept".to_owned(), "application/json".to_owned())]);
    assert_eq!((body.as_slice(), *timeout_ms), (br#"{"text":"Hello."}"#.as_slice(), 50));
}

/// As values a reply takes many times its bytes.
#[test]
fn a_reply_longer_than_a_text_may_be_is_no_value() {
    let body = format!("[1{}]", " ".repeat(300_000));
    let desk = Desk::answering(move |_| Box::pin(std::future::ready(Ok(inbound(&body)))));
    let policy = load(
        &desk,
        r#"let r = http_send(#{ host_alias: "moderation" });
           try { r.json(); } catch (e) { return answer(e); }
           pass()"#,
    );
    assert_eq!(answered(guard(&policy)), "too-large");
}

#[test]
fn several_calls_go_together_and_come_back_in_order() {
    let desk = Desk::answering(|call| {
        Box::pin(std::future::ready(match call.path.as_str() {
            "/bad" => Err(HttpError::Timeout),
            path => Ok(inbound(path)),
        }))
    });
    let policy = load(
        &desk,
        r#"let calls = ["/a", "/bad", "/c"].map(|path| #{ host_alias: "moderation", path: path });
           let replies = http_send_all(calls);
           let text = "";
           for r in replies { text += if r.error == () { r.body } else { r.error }; text += " "; }
           answer(text)"#,
    );
    assert_eq!(answered(guard(&policy)), "/a timeout /c ");
}

#[test]
fn what_goes_wrong_can_be_caught_and_names_itself_if_it_is_not() {
    let desk = Desk::answering(|_| Box::pin(std::future::ready(Err(HttpError::Tls))));
    let caught = load(
        &desk,
        r#"try { http_send(#{ host_alias: "moderation" }); } catch (e) { return answer(e); } pass()"#,
    );
    assert_eq!(answered(guard(&caught)), "tls");
    let fault = guard(&load(&desk, r#"http_send(#{ host_alias: "moderation" }); pass()"#)).unwrap_err();
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Trap, "`tls` was thrown and not caught"));
    let alias = guard(&load(&desk, r#"http_send(#{ host_alias: "elsewhere" }); pass()"#)).unwrap_err();
    assert!(alias.message.starts_with("not-granted"), "{alias}");
    let budget = load(
        &desk,
        r#"for i in 0..3 { try { http_send(#{ host_alias: "moderation" }); } catch { } }
           try { http_send(#{ host_alias: "moderation" }); } catch (e) { return answer(e); } pass()"#,
    );
    assert_eq!(answered(guard(&budget)), "budget");
}

#[test]
fn no_wait_is_longer_than_wall_ms() {
    let desk = Desk::answering(|_| Box::pin(pending()));
    let policy = load(&desk, r#"try { http_send(#{ host_alias: "moderation" }); } catch { loop {} } pass()"#);
    let started = Instant::now();
    let fault = guard(&policy).unwrap_err();
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Deadline, "out of time (limits.wall_ms)"));
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(300), "{took:?}");
    // Enough for a busy machine; without the bound it would be for ever.
    assert!(took < Duration::from_secs(30), "{took:?}");
}

/// The thread shows by what it does last that it has come to its end.
#[test]
fn a_dropped_call_ends_its_script() {
    let (asked, was_asked) = mpsc::channel();
    let (gone, is_gone) = mpsc::channel::<()>();
    let desk = Desk::answering(move |_| {
        asked.send(()).unwrap();
        // Dropped with the call: the other end of the channel notices.
        let gone = gone.clone();
        Box::pin(async move {
            let _gone = gone;
            pending().await
        })
    });
    let policy = load(
        &desk,
        r#"try { http_send(#{ host_alias: "moderation" }); } catch { }
           kv_put("request", "still", "alive"); pass()"#,
    );
    let mut call = Arc::clone(&policy).later(Question::Guard { view: request() });
    let mut context = Context::from_waker(Waker::noop());
    while was_asked.try_recv().is_err() {
        assert!(call.as_mut().poll(&mut context).is_pending());
    }
    drop((call, desk, policy));
    // The last owner of the desk is the script's thread: the channel closes when the script is over.
    assert!(
        is_gone
            .recv_timeout(Duration::from_secs(30))
            .is_err_and(|e| e == mpsc::RecvTimeoutError::Disconnected)
    );
}

/// Nobody is answered before all have asked, so it ends only if all of them wait at the same time.
#[test]
fn many_wait_at_once() {
    const MANY: usize = 64;
    let (release, released) = oneshot::channel::<()>();
    let (released, asked) = (released.shared(), Mutex::new((0, Some(release))));
    let desk = Desk::answering(move |_| {
        let mut asked = asked.lock().unwrap();
        asked.0 += 1;
        if asked.0 == MANY {
            asked.1.take().unwrap().send(()).unwrap();
        }
        let released = released.clone();
        Box::pin(async move {
            released.await.unwrap();
            Ok(inbound("ok"))
        })
    });
    let source = policy(
        &HEADER.replace("wall_ms: 300", "wall_ms: 30000"),
        r#"fn guard(request, config) { answer(http_send(#{ host_alias: "moderation" }).body) }"#,
    );
    let policy = weir_script::compile("waits.rhai", &source, &Value::Null, &all(&desk)).unwrap();
    let calls = (0..MANY).map(|_| Arc::clone(&policy).later(Question::Guard { view: request() }));
    assert!(block_on(join_all(calls)).into_iter().all(|answer| answered(answer) == "ok"));
}

#[test]
fn without_a_task_there_is_no_waiting() {
    let desk = Arc::new(Desk::default());
    let policy = load(&desk, r#"http_send(#{ host_alias: "moderation" }); pass()"#);
    let fault = policy.guard(&request()).unwrap_err();
    assert_eq!(fault.message, "this call cannot wait for an answer");
}
