//! Streams past policies: whatever the split, what leaves is the same; nothing held leaves early; failures end as declared.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod fake;

use fake::{Fake, Hands, head, view, view_of};
use proptest::prelude::*;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use weir_llm::usage::Usage;
use weir_policy::pipeline::{
    Bound, BreakerSettings, Passed, Pipeline, Refused, Shadow, Streams, Trace, replayed,
};
use weir_policy::verdict::{
    Closing, DeltaKind, Deny, Finding, Lane, Next, RedactStep, Redaction, Replacement, Severity, Span,
    StreamStep, TextEdit,
};
use weir_policy::{Answer, Fault, FaultKind, Head, Hook, Question, StreamGuard, StreamRedactor};

const WORD: &str = "secret";
const CONTENT: Lane = Lane { choice: 0, kind: DeltaKind::Content, index: 0 };

/// Finds a word; holds back what may be its beginning.
fn found(text: &str, last: bool) -> (Vec<(usize, usize)>, usize) {
    let hits: Vec<_> = text.match_indices(WORD).map(|(at, hit)| (at, at + hit.len())).collect();
    let after = hits.last().map_or(0, |hit| hit.1);
    let tail = (1..WORD.len()).rev().find(|n| text[after..].ends_with(&WORD[..*n])).unwrap_or(0);
    (hits, if last { 0 } else { tail })
}

struct Masks;

impl StreamGuard for Masks {
    fn push(&mut self, _: Lane, text: &str, last: bool) -> Result<StreamStep, Fault> {
        let (hits, hold) = found(text, last);
        let edit = |(start, end): (usize, usize)| TextEdit {
            start: start as u32,
            end: end as u32,
            replace: Replacement::Text("***".into()),
        };
        Ok(StreamStep { edits: hits.into_iter().map(edit).collect(), hold: hold as u32, next: Next::More })
    }

    fn finish(&mut self, usage: &Usage) -> Result<Closing, Fault> {
        assert_eq!(usage.output, 7);
        let finding = Finding {
            rule: "word".into(),
            severity: Severity::Low,
            segment: None,
            start: 0,
            end: 0,
            score: 1.0,
        };
        Ok(Closing { findings: vec![finding], tags: vec![("seen".into(), "yes".into())] })
    }
}

struct Redacts;

impl StreamRedactor for Redacts {
    fn push(&mut self, _: Lane, text: &str, last: bool) -> Result<RedactStep, Fault> {
        let (hits, hold) = found(text, last);
        let span = |(start, end): (usize, usize)| Span {
            segment: 0,
            start: start as u32,
            end: end as u32,
            rule: 0,
            severity: Severity::High,
            replace: Redaction::Mask(0),
        };
        Ok(RedactStep { spans: hits.into_iter().map(span).collect(), hold: hold as u32, next: Next::More })
    }
}

/// Answers each window with the next of these.
struct Script(Vec<Result<StreamStep, Fault>>);

impl StreamGuard for Script {
    fn push(&mut self, _: Lane, _: &str, _: bool) -> Result<StreamStep, Fault> {
        if self.0.is_empty() { Ok(StreamStep::pass()) } else { self.0.remove(0) }
    }

    fn finish(&mut self, _: &Usage) -> Result<Closing, Fault> {
        Ok(Closing::default())
    }
}

fn masks(windows: &str) -> Bound {
    let yaml = format!(
        "hooks: [stream, guard-response]\nreads: content\ndeclares: {{ rules: [word], tags: {{ seen: ['yes'] }} }}\nstream: {windows}"
    );
    Fake::new("masks", &yaml).stream(|| Box::new(Masks)).bind()
}

fn redacts(mask: &str) -> Bound {
    let yaml = format!(
        "hooks: [redact]\nreads: content\ndeclares: {{ rules: [word] }}\nredact: {{ masks: ['{mask}'] }}\nstream: {{ bytes: 1 }}"
    );
    Fake::new("redacts", &yaml).redactor(|| Box::new(Redacts)).bind()
}

fn scripted(yaml: &str, steps: impl Fn() -> Vec<Result<StreamStep, Fault>> + Send + Sync + 'static) -> Bound {
    let yaml = format!("hooks: [stream, guard-response]\nstream: {{ bytes: 1, max_hold: 8 }}\n{yaml}");
    Fake::new("scripted", &yaml).stream(move || Box::new(Script(steps()))).bind()
}

fn open(pipeline: &Pipeline) -> Streams {
    let head = Head { stream: true, ..head() };
    pipeline.stream(&view_of(head, &["x"]), &mut Trace::new()).unwrap().unwrap()
}

/// What left when all had come.
fn pushed(streams: &mut Streams, parts: &[&str]) -> Result<String, (String, Refused)> {
    let mut out = String::new();
    for (at, part) in parts.iter().enumerate() {
        let pushed = streams.push(CONTENT, part, at + 1 == parts.len(), &mut |text| out.push_str(text));
        if let Err(refused) = pushed {
            return Err((out, refused));
        }
    }
    Ok(out)
}

fn passed(bound: Vec<Bound>, parts: &[&str]) -> Result<String, (String, Refused)> {
    pushed(&mut open(&Pipeline::new(bound).unwrap()), parts)
}

fn step(edits: Vec<TextEdit>, hold: u32, next: Next) -> Result<StreamStep, Fault> {
    Ok(StreamStep { edits, hold, next })
}

fn replace(start: u32, end: u32) -> TextEdit {
    TextEdit { start, end, replace: Replacement::Text("#".into()) }
}

proptest! {
    #[test]
    fn any_split_leaves_the_same(
        words in prop::collection::vec("(secret|sec|ret|é|😀| |s|x){1,3}", 1..12),
        cuts in prop::collection::vec(0usize..60, 0..8),
        bytes in 1u32..20,
    ) {
        let text = words.concat();
        let mut at: Vec<usize> = cuts.into_iter().filter(|cut| *cut <= text.len() && text.is_char_boundary(*cut)).collect();
        at.push(0);
        at.push(text.len());
        at.sort_unstable();
        at.dedup();
        let parts: Vec<&str> = at.windows(2).map(|pair| &text[pair[0]..pair[1]]).chain([""]).collect();
        let chain = || vec![redacts("[r]"), masks(&format!("{{ bytes: {bytes} }}"))];
        prop_assert_eq!(passed(chain(), &parts).unwrap(), text.replace(WORD, "[r]"));
        prop_assert_eq!(passed(vec![masks(&format!("{{ bytes: {bytes} }}"))], &parts).unwrap(), text.replace(WORD, "***"));
    }
}

#[test]
fn a_redactors_mask_stays_json_in_a_tools_arguments() {
    let mut streams = open(&Pipeline::new(vec![redacts("say \"no\"")]).unwrap());
    let lane = Lane { kind: DeltaKind::ToolArgs, ..CONTENT };
    let mut out = String::new();
    streams.push(lane, "{\"q\":\"secret\"}", true, &mut |text| out.push_str(text)).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&out).unwrap()["q"], "say \"no\"");
}

#[test]
fn lanes_do_not_mix() {
    let mut streams = open(&Pipeline::new(vec![masks("{ bytes: 1 }")]).unwrap());
    let other = Lane { index: 1, ..CONTENT };
    let (mut one, mut two) = (String::new(), String::new());
    streams.push(CONTENT, "a sec", false, &mut |text| one.push_str(text)).unwrap();
    streams.push(other, "ret", true, &mut |text| two.push_str(text)).unwrap();
    streams.push(CONTENT, "ret", true, &mut |text| one.push_str(text)).unwrap();
    assert_eq!((one.as_str(), two.as_str()), ("a ***", "ret"));
}

#[test]
fn a_window_waits_for_bytes_or_for_time() {
    let (hands, clock) = Hands::clock();
    let bound = vec![masks("{ bytes: 100, ms: 40 }")];
    let pipeline = Pipeline::with(bound, BreakerSettings::default(), clock).unwrap();
    let mut streams = open(&pipeline);
    let mut out = String::new();
    streams.push(CONTENT, "hello sec", false, &mut |text| out.push_str(text)).unwrap();
    assert_eq!(out, "");
    assert!(streams.due().is_some());
    hands.advance(39);
    streams.poke(&mut |_, text| out.push_str(text)).unwrap();
    assert_eq!(out, "", "not yet");
    hands.advance(1);
    streams
        .poke(&mut |lane, text| {
            assert_eq!(lane, CONTENT);
            out.push_str(text);
        })
        .unwrap();
    assert_eq!(out, "hello ", "what may be the word's beginning stays");
    assert_eq!(streams.due(), None, "what is held waits for more text, not for time");
    streams.push(CONTENT, "ond", true, &mut |text| out.push_str(text)).unwrap();
    assert_eq!(out, "hello second");
}

#[test]
fn what_a_policy_wants_next_is_done() {
    let detach = || vec![step(vec![replace(0, 1)], 2, Next::Detach)];
    assert_eq!(passed(vec![scripted("", detach)], &["abcd", "ef", ""]).unwrap(), "#bcdef");
    let wider = || vec![step(vec![], 0, Next::Window(4)), step(vec![replace(0, 4)], 0, Next::More)];
    assert_eq!(passed(vec![scripted("", wider)], &["a", "bc", "de", ""]).unwrap(), "a#", "bc waited for de");
    let no = || Deny { status: 451, code: "no_go".into(), message: "no".into(), retry_after_ms: None };
    let stop = move || vec![step(vec![], 0, Next::More), step(vec![replace(0, 1)], 0, Next::Stop(no()))];
    let (left, refused) = passed(vec![scripted("", stop)], &["ab", "cd", "ef"]).unwrap_err();
    assert_eq!((left.as_str(), refused.deny.status, refused.failed), ("ab", 451, false));
}

#[test]
fn an_answer_that_the_contract_does_not_allow_is_a_fault() {
    let wrong: [fn() -> StreamStep; 5] = [
        || StreamStep { edits: vec![replace(0, 9)], ..StreamStep::pass() },
        || StreamStep { edits: vec![replace(2, 1)], ..StreamStep::pass() },
        || StreamStep { edits: vec![replace(0, 2), replace(1, 3)], ..StreamStep::pass() },
        || StreamStep { edits: vec![replace(2, 4)], hold: 1, next: Next::More },
        || StreamStep { hold: 9, ..StreamStep::pass() },
    ];
    for (at, wrong) in wrong.into_iter().enumerate() {
        let (left, refused) =
            passed(vec![scripted("", move || vec![Ok(wrong())])], &["abcd", ""]).unwrap_err();
        assert_eq!(
            (left.as_str(), refused.failed, refused.deny.code.as_str()),
            ("", true, "policy_failed"),
            "{at}"
        );
    }
}

#[test]
fn a_failed_window_ends_as_the_policy_declares() {
    let fails = || vec![step(vec![], 2, Next::More), Err(Fault::new(FaultKind::Trap, "it broke"))];
    let (left, refused) = passed(vec![scripted("", fails)], &["abcd", "ef", "gh"]).unwrap_err();
    assert_eq!((left.as_str(), refused.deny.status), ("ab", 503), "what was held does not leave");
    assert_eq!(passed(vec![scripted("on_failure: open", fails)], &["abcd", "ef", "gh"]).unwrap(), "abcdefgh");
    let full = || vec![Err(Fault::new(FaultKind::NoSlot, "none"))];
    assert!(passed(vec![scripted("on_failure: open", full)], &["ab", ""]).is_err(), "load opens no way past");
}

#[test]
fn the_trace_has_one_line_a_policy_and_the_breaker_learns() {
    let pipeline = Pipeline::new(vec![masks("{ bytes: 1 }")]).unwrap();
    let seen = view_of(Head { stream: true, ..head() }, &["x"]);
    let mut trace = Trace::new();
    let mut streams = pipeline.stream(&seen, &mut trace).unwrap().unwrap();
    pushed(&mut streams, &["a secret", "!", ""]).unwrap();
    let streamed = streams.finish(&Usage { output: 7, ..Usage::default() });
    assert!(streamed.stopped.is_none());
    pipeline.streamed(streamed, &mut trace);
    assert_eq!(trace.len(), 1);
    assert_eq!((trace[0].verdict.as_str(), trace[0].findings[0].rule.as_str()), ("edit", "word"));
    assert_eq!(seen.notes(), [("seen".to_owned(), "yes".to_owned())]);

    let fails = || vec![Err(Fault::new(FaultKind::Trap, "it broke"))];
    let broken = Pipeline::new(vec![scripted("", fails)]).unwrap();
    for _ in 0..5 {
        let mut streams = open(&broken);
        assert!(pushed(&mut streams, &["ab", ""]).is_err());
        broken.streamed(streams.finish(&Usage::default()), &mut trace);
    }
    assert_eq!(broken.open_breakers().count(), 1);
    let refused = broken.stream(&seen, &mut Trace::new()).err().unwrap();
    assert!(refused.failed, "an open breaker of what protects refuses");
}

#[test]
fn nobody_watches_a_stream_that_concerns_nobody() {
    let pipeline = Pipeline::new(vec![masks("{ bytes: 1 }")]).unwrap();
    assert!(Pipeline::default().stream(&view(&["x"]), &mut Trace::new()).unwrap().is_none());
    let bound = Bound { models: Some(vec!["other".into()]), ..masks("{ bytes: 1 }") };
    assert!(Pipeline::new(vec![bound]).unwrap().stream(&view(&["x"]), &mut Trace::new()).unwrap().is_none());
    assert!(pipeline.stream(&view(&["x"]), &mut Trace::new()).unwrap().is_some());
}

/// Keeps what a shadow is told.
#[derive(Default)]
struct Told(Mutex<Vec<(Question, Result<Answer, Fault>)>>);

impl Shadow for Told {
    fn asked(&self, question: Question, live: &Result<Answer, Fault>, _: Duration) {
        self.0.lock().unwrap().push((question, live.clone()));
    }
}

/// Runs a stream past one policy with a shadow; what the shadow was told.
fn shadowed(bound: Bound, parts: &[&str]) -> Vec<(Question, Result<Answer, Fault>)> {
    let told = Arc::new(Told::default());
    let pipeline = Pipeline::new(vec![Bound { shadow: Some(Arc::clone(&told) as _), ..bound }]).unwrap();
    let mut streams = open(&pipeline);
    let _ = pushed(&mut streams, parts);
    pipeline.streamed(streams.finish(&Usage { output: 7, ..Usage::default() }), &mut Trace::new());
    std::mem::take(&mut *told.0.lock().unwrap())
}

proptest! {
    #[test]
    fn a_stream_replayed_to_the_same_version_comes_to_the_same(
        words in prop::collection::vec("(secret|sec|ret|é|x){1,3}", 1..12), bytes in 1u32..20,
    ) {
        let parts: Vec<&str> = words.iter().map(String::as_str).chain([""]).collect();
        for bound in [masks(&format!("{{ bytes: {bytes} }}")), redacts("[r]")] {
            let policy = Arc::clone(&bound.policy);
            let told = shadowed(bound, &parts);
            let (Question::Stream { view, heard }, Ok(Answer::Stream(live))) = &told[0] else { panic!("{}", told.len()) };
            prop_assert_eq!(&replayed(&policy, view, heard).unwrap(), live);
            prop_assert_eq!(live.edited, words.concat().contains(WORD));
            if heard.hook == Hook::Stream {
                continue;
            }
            // Another version is told the same and makes something else of it.
            let other = replayed(&redacts("[other]").policy, view, heard).unwrap();
            prop_assert_eq!(&other.lanes[0].1, &words.concat().replace(WORD, "[other]"));
        }
    }
}

#[test]
fn a_shadow_learns_of_a_stream_that_was_stopped_or_failed_and_of_none_that_is_too_long() {
    let no = || Deny { status: 451, code: "no_go".into(), message: "no".into(), retry_after_ms: None };
    let stop = move || vec![step(vec![], 0, Next::More), step(vec![], 0, Next::Stop(no()))];
    let told = shadowed(scripted("", stop), &["ab", "cd", "ef"]);
    let Ok(Answer::Stream(Passed { stopped: Some(deny), lanes, .. })) = &told[0].1 else { panic!() };
    assert_eq!((deny.code.as_str(), lanes[0].1.as_str()), ("no_go", "ab"));

    let fails = || vec![Err(Fault::new(FaultKind::Trap, "it broke"))];
    let told = shadowed(scripted("", fails), &["ab", ""]);
    assert_eq!(told[0].1.as_ref().unwrap_err().kind, FaultKind::Trap);

    let long = "x".repeat(300 << 10);
    assert!(shadowed(masks("{ bytes: 1000 }"), &[&long, ""]).is_empty());
}
