//! Streams: one instance from the first delta to the end.

use crate::hooks::GRANTS;
use crate::host::Host;
use crate::world::{built, engine, request, request_of};
use serde_json::Value;
use std::sync::Arc;
use weir_llm::usage::Usage;
use weir_policy::{DeltaKind, Lane, Next, Policy, Redaction, Replacement};

const LANE: Lane = Lane { choice: 0, kind: DeltaKind::Content, index: 0 };

fn load(name: &str) -> Arc<dyn Policy> {
    let grants = Arc::new(Host::default()).grants(&GRANTS);
    engine().compile(name, &built(name), &Value::Null, &grants).unwrap_or_else(|e| panic!("{e}"))
}

/// What comes out of a stream that comes in two pieces.
fn guarded(policy: &dyn Policy, pieces: [&str; 2]) -> String {
    let mut guard = policy.stream(&request("hello")).expect("a guard");
    let (mut out, mut held) = (String::new(), String::new());
    for (piece, last) in pieces.into_iter().zip([false, true]) {
        let window = std::mem::take(&mut held) + piece;
        let step = guard.push(LANE, &window, last).expect("a step");
        let free = window.len() - step.hold as usize;
        let mut at = 0;
        for edit in step.edits {
            out.push_str(&window[at..edit.start as usize]);
            let Replacement::Text(text) = edit.replace else { panic!("another replacement") };
            out.push_str(&text);
            at = edit.end as usize;
        }
        out.push_str(&window[at..free]);
        held.push_str(&window[free..]);
    }
    let closing = guard.finish(&Usage { input: 1, ..Usage::default() }).expect("a closing");
    assert_eq!(closing.tags, [("said".to_owned(), "1 in 1 lines for acme".to_owned())]);
    out
}

#[test]
fn a_stream_is_edited_wherever_it_is_cut() {
    let policy = load("every-hook");
    let text = "ä swordfish!";
    for (at, _) in text.char_indices() {
        assert_eq!(guarded(&*policy, [&text[..at], &text[at..]]), "ä [fish]!", "cut at {at}");
    }
}

#[test]
fn a_stream_can_be_stopped_and_streams_do_not_meet() {
    let policy = load("every-hook");
    let mut streams: Vec<_> = (0..3).map(|_| policy.stream(&request("hello")).expect("a guard")).collect();
    for (count, stream) in streams.iter_mut().enumerate() {
        for _ in 0..count {
            stream.push(LANE, "swordfish ", false).expect("a step");
        }
    }
    for (count, stream) in streams.iter_mut().enumerate() {
        let said = stream.finish(&Usage::default()).expect("a closing").tags[0].1.clone();
        assert_eq!(said, format!("{count} in 0 lines for acme"));
    }
    let step = policy.stream(&request("hello")).expect("a guard").push(LANE, "now STOP", false);
    assert!(matches!(step.expect("a step").next, Next::Stop(deny) if deny.status == 451));
}

#[test]
fn a_stream_is_redacted() {
    let policy = load("redactor");
    let mut redactor = policy.stream_redactor(&request("hello")).expect("a redactor");
    let first = redactor.push(LANE, "a sword", false).expect("a step");
    assert_eq!((first.spans.len(), first.hold), (0, 5));
    let last = redactor.push(LANE, "swordfish", true).expect("a step");
    assert_eq!((last.spans[0].start, last.spans[0].end), (0, 9));
    assert_eq!((last.spans[0].replace, last.hold), (Redaction::Mask(0), 0));
}

#[test]
fn a_streams_redactor_knows_who_asks_and_which_tool_is_called() {
    let policy = load("redactor");
    let farm = request_of("trout farm", weir_policy::Retention::Unknown, "hello");
    let mut redactor = policy.stream_redactor(&farm).expect("a redactor");
    assert_eq!(redactor.push(LANE, "swordfish ", false).expect("a step").spans.len(), 0);
    assert_eq!(redactor.push(LANE, "trout ", false).expect("a step").spans.len(), 1);
    let lane = Lane { kind: DeltaKind::ToolArgs, ..LANE };
    redactor.call(lane, "mail").expect("it listens");
    assert_eq!(redactor.push(lane, "by mail ", false).expect("a step").spans.len(), 1);
}

/// A stream holds a slot; its end gives it back.
#[test]
fn streams_give_their_slots_back() {
    let policy = load("every-hook");
    for _ in 0..3 {
        let streams: Vec<_> = (0..16).map(|_| policy.stream(&request("hello"))).collect();
        assert!(streams.iter().all(Result::is_ok));
        let none = policy.stream(&request("hello")).err().expect("no slot");
        assert_eq!(none.kind, weir_policy::FaultKind::NoSlot);
    }
}
