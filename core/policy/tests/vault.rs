//! What is hidden from a model and given back: minted by any hook that edits requests, restored behind every policy that sees
//! a reply; and edits of JSON that leave JSON.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod fake;

use bytes::Bytes;
use fake::{Fake, Now, guarded, head, texts, view, view_of};
use futures::executor::block_on;
use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use std::sync::Arc;
use weir_llm::reply::Reply;
use weir_llm::request::Request;
use weir_policy::pipeline::{Bound, GuardEnd, Pipeline, Streams, Trace};
use weir_policy::vault::{MAX_TOKENS, Restorer, Vault};
use weir_policy::verdict::{
    DeltaKind, Direction, Edit, Guarded, Lane, Next, RedactStep, Redaction, Replacement, Severity, Span,
    StreamStep, TextEdit,
};
use weir_policy::{
    Answer, Api, Fault, Head, Question, RequestView, SegmentKind, StreamGuard, StreamRedactor,
};

const CONTENT: Lane = Lane { choice: 0, kind: DeltaKind::Content, index: 0 };
const ARGS: Lane = Lane { kind: DeltaKind::ToolArgs, ..CONTENT };
const YAML: &str = "hooks: [redact]\nreads: content\nredact: { masks: ['\"[m]\"'], classes: [email] }\ndeclares: { rules: [word] }";

fn span(segment: u32, (start, end): (usize, usize), replace: Redaction) -> Span {
    Span { segment, start: start as u32, end: end as u32, rule: 0, severity: Severity::High, replace }
}

/// A redactor of requests and replies that finds a word.
fn redactor(word: &'static str, replace: Redaction) -> Bound {
    let find = move |view: &RequestView| {
        let mut spans = Vec::new();
        for (segment, text) in texts(view).iter().enumerate() {
            let hits = text.match_indices(word).map(|(at, hit)| (at, at + hit.len()));
            spans.extend(hits.map(|hit| span(segment as u32, hit, replace)));
        }
        spans
    };
    let fake = Fake::new("hides", YAML).any(move |question| match question {
        Question::Redact { view, .. } => Ok(Answer::Redact(find(view))),
        _ => panic!(),
    });
    fake.bind()
}

fn redacted(view: &Arc<RequestView>, bound: Bound) -> (Arc<RequestView>, Trace) {
    let mut trace = Trace::new();
    let left = block_on(Pipeline::new(vec![bound]).unwrap().redact(view, Direction::Request, &mut trace));
    (left.unwrap().view, trace)
}

fn of_cases(view: RequestView) -> Arc<RequestView> {
    Arc::new(view.with_secret([7; 32]).with_vault(Vault::for_cases()))
}

/// A chat in which a tool was called with these arguments.
fn calling(arguments: &str) -> Arc<RequestView> {
    let body = json!({ "model": "fast", "messages": [
        { "role": "user", "content": "do it" },
        { "role": "assistant", "tool_calls": [{ "id": "c", "type": "function",
            "function": { "name": "f", "arguments": arguments } }] },
        { "role": "tool", "tool_call_id": "c", "content": "done" },
    ] });
    let request = Request::parse(Api::Chat, Bytes::from(body.to_string())).unwrap();
    of_cases(RequestView::new(head(), Arc::new(request), Vec::new()))
}

/// The segment of the arguments, and their text.
fn arguments(view: &RequestView) -> (u32, String) {
    let calls =
        view.segments(0, u32::MAX).into_iter().filter(|segment| segment.kind == SegmentKind::ToolCall);
    let all = calls.map(|segment| (segment.index, view.text(segment.index, 0, u32::MAX).unwrap()));
    all.max_by_key(|(_, text)| (text.starts_with(['{', '[']), text.len())).unwrap()
}

/// The arguments after a guard's edits; `None`: they were refused.
fn edited(given: &str, edits: &[(usize, usize, Replacement)]) -> Option<(String, Arc<RequestView>)> {
    let view = calling(given);
    let (segment, _) = arguments(&view);
    let edit = |(start, end, replace): &(usize, usize, Replacement)| Edit {
        segment,
        start: *start as u32,
        end: *end as u32,
        replace: replace.clone(),
    };
    let edits: Vec<Edit> = edits.iter().map(edit).collect();
    let guard = Fake::new("g", "hooks: [guard]\nreads: content");
    let guard = guard.guard(move |_| Ok(guarded(Guarded::Edit(edits.clone()))));
    let told = Pipeline::new(vec![guard.bind()]).unwrap().guard_now(&view);
    match told.end {
        GuardEnd::Pass => Some((arguments(&told.view).1, told.view)),
        _ => None,
    }
}

#[test]
fn every_hook_of_a_request_hides_in_the_same_vault() {
    let view = of_cases(RequestView::new(head(), fake::chat(&["to ada, ada and eve"]), Vec::new()));
    let (left, trace) = redacted(&view, redactor("ada", Redaction::Vault(0)));
    assert_eq!(texts(&left), ["to [EMAIL-1-case00], [EMAIL-1-case00] and eve"]);
    assert_eq!((trace[0].verdict.as_str(), trace[0].findings.len()), ("edit", 2));
    let at = texts(&left)[0].find("eve").unwrap() as u32;
    let edit = Edit { segment: 0, start: at, end: at + 3, replace: Replacement::Vault("name".into()) };
    let guard = Fake::new("g", "hooks: [guard]\nreads: content");
    let guard = guard.guard(move |_| Ok(guarded(Guarded::Edit(vec![edit.clone()])))).bind();
    let told = Pipeline::new(vec![guard]).unwrap().guard_now(&left);
    assert_eq!(texts(&told.view), ["to [EMAIL-1-case00], [EMAIL-1-case00] and [NAME-2-case00]"]);
    let restorer = Restorer::new(view.vault()).unwrap();
    assert_eq!(restorer.text("[NAME-2-case00], not [EMAIL-1-case00]", false), "eve, not ada");
}

#[test]
fn who_is_asked_beside_the_exchange_hides_nothing_in_it() {
    let view = view(&["ada"]);
    let apart = Arc::new(view.apart());
    let (left, _) = redacted(&apart, redactor("ada", Redaction::Vault(0)));
    assert!(texts(&left)[0].starts_with("[EMAIL-1-"));
    assert!(view.vault().is_empty() && !apart.vault().is_empty());
}

#[test]
fn a_token_asked_for_in_a_reply_is_a_hash_there() {
    let request = of_cases(RequestView::new(head(), fake::chat(&["hi"]), Vec::new()));
    let body = json!({ "choices": [{ "message": { "content": "dear ada" } }] });
    let reply = Reply::parse(Api::Chat, Bytes::from(body.to_string())).unwrap();
    let reply = Arc::new(request.of_reply(Arc::new(reply)));
    let hash = texts(&redacted(&reply, redactor("ada", Redaction::Hash(0))).0);
    assert_eq!(texts(&redacted(&reply, redactor("ada", Redaction::Vault(0))).0), hash);
    assert!(hash[0].starts_with("dear [email:") && request.vault().is_empty(), "{hash:?}");
}

#[test]
fn a_redactor_refuses_by_rule_or_only_reports() {
    let seen = view(&["dear ada"]);
    let mut trace = Trace::new();
    let refuses = Pipeline::new(vec![redactor("ada", Redaction::Refuse)]).unwrap();
    let refused = block_on(refuses.redact(&seen, Direction::Request, &mut trace)).err().unwrap();
    assert_eq!(
        (refused.deny.status, refused.deny.code.as_str(), refused.failed),
        (403, "sensitive_content", false)
    );
    assert!(refused.deny.message.contains("`word`") && !refused.deny.message.contains("ada"));
    assert_eq!((trace[0].verdict.as_str(), trace[0].reason.as_deref()), ("block", Some("sensitive_content")));
    assert_eq!(trace[0].findings[0].rule, "word");
    let (left, trace) = redacted(&seen, redactor("ada", Redaction::Report));
    assert_eq!(
        (texts(&left), trace[0].verdict.as_str(), trace[0].findings.len()),
        (vec!["dear ada".into()], "pass", 1)
    );
}

#[test]
fn a_full_vault_opens_no_way_past_and_is_no_fault_of_the_policy() {
    let words: Vec<String> = (0..=MAX_TOKENS).map(|n| format!("{n:06}")).collect();
    let text = words.join(" ");
    let fake = Fake::new("hides", &format!("{YAML}\non_failure: open\nlimits: {{ output_bytes: 8388608 }}"));
    let fake = fake.any(|question| match question {
        Question::Redact { .. } => {
            let spans = (0..=MAX_TOKENS).map(|n| span(0, (n * 7, n * 7 + 6), Redaction::Vault(0)));
            Ok(Answer::Redact(spans.collect()))
        }
        _ => panic!(),
    });
    let pipeline = Pipeline::new(vec![fake.bind()]).unwrap();
    for _ in 0..6 {
        let mut trace = Trace::new();
        let left = block_on(pipeline.redact(&view(&[&text]), Direction::Request, &mut trace));
        assert!(left.is_err_and(|refused| refused.failed), "it is closed, whatever the manifest says");
        assert_eq!(trace[0].fault.as_ref().unwrap().kind.as_str(), "vault_full");
    }
    assert_eq!(pipeline.open_breakers().count(), 0);
}

#[test]
fn edits_inside_of_json_leave_json() {
    let vault = || Replacement::Vault("card".into());
    let text = |text: &str| Replacement::Text(text.into());
    let given = r#"{"n": 4111, "s": "a\"bé\u00e9", "t": [true, null], "in": "{\"k\": 12, \"q\": \"x\"}"}"#;
    let at = |found: &str| (given.find(found).unwrap(), given.find(found).unwrap() + found.len());
    for (place, replace, wanted) in [
        (at("4111"), vault(), json!({ "n": "[CARD-1-case00]" })),
        (at("11,"), text("x\"y"), json!({ "n": 0 })),
        (at("4111"), Replacement::Drop, json!({ "n": null })),
        (at("11"), vault(), json!({ "n": "[CARD-1-case00]" })),
        (at("a\\\"b"), text("x\"y\\"), json!({ "s": "x\"y\\éé" })),
        (at("\\\"b"), vault(), json!({ "s": "a[CARD-1-case00]éé" })),
        (at("\"b"), vault(), json!({ "s": "a[CARD-1-case00]éé" })),
        (at("00e9"), text("-"), json!({ "s": "a\"bé-" })),
        (at("true"), text("no"), json!({ "t": ["no", null] })),
        (at("\"a\\\"bé\\u00e9\""), vault(), json!({ "s": "[CARD-1-case00]" })),
        (at("12"), vault(), json!({ "in": "{\"k\": \"[CARD-1-case00]\", \"q\": \"x\"}" })),
        (at("x\\\""), text("a\"b"), json!({})),
        ((at("x\\\"").0, at("x\\\"").0 + 1), text("a\"b"), json!({ "in": "{\"k\": 12, \"q\": \"a\\\"b\"}" })),
        (at("[true, null]"), text("{}"), json!({ "t": {} })),
        (at("[true"), text("x"), Value::Null),
        (at("\"t\": "), Replacement::Drop, Value::Null),
    ] {
        let left = edited(given, &[(place.0, place.1, replace.clone())]).map(|(text, _)| text);
        let case = format!("{:?} by {replace:?}", &given[place.0..place.1]);
        if wanted.is_null() || wanted == json!({ "n": 0 }) {
            assert_eq!(left, None, "{case}");
            continue;
        }
        let left: Value = serde_json::from_str(&left.unwrap_or_else(|| panic!("{case}"))).unwrap();
        let mut whole: Value = serde_json::from_str(given).unwrap();
        whole.as_object_mut().unwrap().extend(wanted.as_object().unwrap().clone());
        if wanted != json!({}) {
            assert_eq!(left, whole, "{case}");
        }
    }
}

#[test]
fn what_was_hidden_in_json_is_the_text_that_stood_there() {
    let given = r#"{"card": 4111, "name": "O\"Neil"}"#;
    let all = [(9, 13, Replacement::Vault("card".into())), (24, 31, Replacement::Vault("name".into()))];
    let (left, view) = edited(given, &all).unwrap();
    assert_eq!(left, r#"{"card": "[CARD-1-case00]", "name": "[NAME-2-case00]"}"#);
    let restorer = Restorer::new(view.vault()).unwrap();
    assert_eq!(restorer.text(&left, true), given, "a number is a number again");
    assert_eq!(restorer.text("[NAME-2-case00]: [CARD-1-case00]", false), "O\"Neil: 4111");
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |n| n.is_finite()).prop_map(Value::from),
        "[a-z\"\\\\\n é{}:,1]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z\"\\\\]{0,4}", inner.clone(), 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
            inner.prop_map(|inner| Value::from(json!({ "in": inner }).to_string())),
        ]
    })
}

fn replacement() -> impl Strategy<Value = Replacement> {
    prop_oneof![
        "[a-z\"\\\\\n,:{}1]{0,6}".prop_map(Replacement::Text),
        Just(Replacement::Drop),
        Just(Replacement::Vault("email".into())),
        Just(Replacement::Hash("email".into())),
    ]
}

/// By its form; a number may be larger than any that is known.
fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Up to four places of a text, in order and apart.
fn places(text: &str, cuts: &[usize]) -> Vec<(usize, usize)> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (text.len() + 1)).collect();
    cuts.retain(|cut| text.is_char_boundary(*cut));
    cuts.sort_unstable();
    cuts.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
}

/// Replaces some ranges of what passes, whatever they are.
struct Anywhere(Vec<usize>, Replacement);

impl StreamGuard for Anywhere {
    fn push(&mut self, _: Lane, text: &str, _: bool) -> Result<StreamStep, Fault> {
        let edit = |(start, end): (usize, usize)| TextEdit {
            start: start as u32,
            end: end as u32,
            replace: self.1.clone(),
        };
        let edits = places(text, &self.0).into_iter().map(edit).collect();
        Ok(StreamStep { edits, ..StreamStep::pass() })
    }

    fn finish(&mut self, _: &weir_llm::usage::Usage) -> Result<weir_policy::verdict::Closing, Fault> {
        Ok(weir_policy::verdict::Closing::default())
    }
}

proptest! {
    #[test]
    fn no_edit_of_arguments_leaves_what_is_no_json(
        value in json_value(),
        cuts in prop::collection::vec(0_usize..400, 2..9),
        replace in prop::collection::vec(replacement(), 4),
    ) {
        let given = json!({ "a": value }).to_string();
        let edits: Vec<_> = places(&given, &cuts).into_iter().zip(replace).map(|((a, b), r)| (a, b, r)).collect();
        if let Some((left, view)) = edited(&given, &edits) {
            prop_assert!(is_json(&left), "{given} became {left} by {edits:?}");
            if let Some(restorer) = Restorer::new(view.vault()) {
                let back = restorer.text(&left, true);
                prop_assert!(is_json(&back), "{left} was restored as {back}");
            }
        }
    }

    #[test]
    fn what_only_hides_is_given_back_as_it_was(text in "[a-z\"\\\\\n é][a-z\"\\\\\n é{}]{0,12}", cuts in prop::array::uniform2(0_usize..24)) {
        let given = json!({ "k": [format!("{text}"), 1] }).to_string();
        let inside = 7..given.len() - 5;
        let mut at = cuts.map(|cut| inside.start + cut % (inside.len() + 1));
        at.sort_unstable();
        prop_assume!(at[0] < at[1] && at.iter().all(|at| given.is_char_boundary(*at)));
        let (left, view) = edited(&given, &[(at[0], at[1], Replacement::Vault("x".into()))]).unwrap();
        let back = Restorer::new(view.vault()).unwrap().text(&left, true);
        prop_assert_eq!(serde_json::from_str::<Value>(&back).unwrap(), serde_json::from_str::<Value>(&given).unwrap());
    }

    #[test]
    fn no_edit_of_streamed_arguments_leaves_what_is_no_json(
        value in json_value(),
        cuts in prop::collection::vec(0_usize..40, 2..5),
        pieces in prop::collection::vec(0_usize..200, 0..5),
        replace in replacement(),
    ) {
        let given = json!({ "a": value }).to_string();
        let mut at: Vec<usize> = pieces.into_iter().filter(|at| *at < given.len() && given.is_char_boundary(*at)).collect();
        at.extend([0, given.len()]);
        at.sort_unstable();
        let yaml = "hooks: [stream, guard-response]\nreads: content\nstream: { bytes: 1 }";
        let fake = Fake::new("any", yaml).stream(move || Box::new(Anywhere(cuts.clone(), replace.clone())));
        let pipeline = Pipeline::new(vec![fake.bind()]).unwrap();
        let view = of_cases(RequestView::new(Head { stream: true, ..head() }, fake::chat(&["x"]), Vec::new()));
        let mut streams = pipeline.stream(&view, &mut Trace::new()).unwrap().unwrap();
        let mut left = String::new();
        let whole = at.windows(2).all(|pair| {
            let last = pair[1] == given.len();
            streams.push(ARGS, &given[pair[0]..pair[1]], last, &mut |text| left.push_str(text)).is_ok()
        });
        if whole {
            prop_assert!(is_json(&left), "{given} became {left}");
        }
    }
}

/// Stops a stream in which an original shows; refuses a word; is told of calls.
struct Watches(Arc<std::sync::Mutex<Vec<String>>>);

impl StreamRedactor for Watches {
    fn call(&mut self, lane: Lane, tool: &str) -> Result<(), Fault> {
        self.0.lock().unwrap().push(format!("{tool} {}", lane.index));
        Ok(())
    }

    fn push(&mut self, _: Lane, text: &str, _: bool) -> Result<RedactStep, Fault> {
        self.0.lock().unwrap().push(text.to_owned());
        let hits = text.match_indices("enough").map(|(at, hit)| (at, at + hit.len()));
        let spans = hits.map(|hit| span(0, hit, Redaction::Refuse)).collect();
        Ok(RedactStep { spans, hold: 0, next: Next::More })
    }
}

fn watched(heard: &Arc<std::sync::Mutex<Vec<String>>>, vault: Vault) -> Streams {
    let heard = Arc::clone(heard);
    let fake = Fake::new("watches", &format!("{YAML}\nstream: {{ bytes: 1 }}"));
    let bound = fake.redactor(move || Box::new(Watches(Arc::clone(&heard)))).bind();
    let view = RequestView::new(Head { stream: true, ..head() }, fake::chat(&["to ada"]), Vec::new());
    let view = Arc::new(view.with_vault(vault));
    let _ = redacted(&view, redactor("ada", Redaction::Vault(0)));
    Pipeline::new(vec![bound]).unwrap().stream(&view, &mut Trace::new()).unwrap().unwrap().restoring()
}

#[test]
fn who_watches_a_stream_sees_tokens_and_the_caller_gets_texts() {
    let heard = Arc::default();
    let mut streams = watched(&heard, Vault::for_cases());
    let mut out = String::new();
    for (piece, last) in [("to [EMA", false), ("IL-1-case00], ", false), ("and", true)] {
        streams.push(CONTENT, piece, last, &mut |text| out.push_str(text)).unwrap();
    }
    assert_eq!(out, "to ada, and");
    streams.called(ARGS, "mail");
    streams.push(ARGS, "{\"to\": \"[EMAIL-1-case00]\"}", true, &mut |text| out.push_str(text)).unwrap();
    assert!(out.ends_with("{\"to\": \"ada\"}"), "{out}");
    let heard = heard.lock().unwrap().clone();
    assert!(heard.iter().all(|text| !text.contains("ada")), "{heard:?}");
    assert_eq!(
        heard[3..],
        ["mail 0", "{\"to\": \"[EMAIL-1-case00]\"}"],
        "told of the call before its arguments"
    );
}

#[test]
fn a_redactor_that_refuses_ends_the_stream() {
    let mut streams = watched(&Arc::default(), Vault::for_cases());
    let mut out = String::new();
    streams.push(CONTENT, "it is ", false, &mut |text| out.push_str(text)).unwrap();
    let refused = streams.push(CONTENT, "enough", false, &mut |text| out.push_str(text)).unwrap_err();
    assert_eq!(
        (out.as_str(), refused.deny.code.as_str(), refused.deny.status),
        ("it is ", "sensitive_content", 403)
    );
    assert!(streams.push(CONTENT, "more", true, &mut |_| panic!("nothing more leaves")).is_err());
}

#[test]
fn a_stream_that_nobody_watches_is_restored_too() {
    let view =
        of_cases(RequestView::new(Head { stream: true, ..head() }, fake::chat(&["to ada"]), Vec::new()));
    let _ = redacted(&view, redactor("ada", Redaction::Vault(0)));
    let mut streams = Streams::unwatched(&view).restoring();
    let mut out = String::new();
    streams.push(CONTENT, "hi [EMAIL-1-case00", false, &mut |text| out.push_str(text)).unwrap();
    assert_eq!((out.as_str(), streams.due()), ("hi ", None));
    streams.push(CONTENT, "]", true, &mut |text| out.push_str(text)).unwrap();
    assert_eq!(out, "hi ada");
    assert!(
        Restorer::new(view_of(head(), &["x"]).vault()).is_none(),
        "where nothing was hidden nothing is looked at"
    );
}
