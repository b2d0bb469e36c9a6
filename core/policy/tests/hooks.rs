//! The hooks that steer, count and price: order, what adds up, what may leave, who is asked.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod fake;

use bytes::Bytes;
use fake::{Fake, Now, candidates, chat, guarded, head, replace, texts, view, view_of};
use futures::executor::block_on;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use weir_llm::price::Nanos;
use weir_llm::reply::Reply;
use weir_llm::usage::{Source, Usage};
use weir_policy::pipeline::{Bound, Canary, GuardEnd, Pipeline, Shadow, Trace, Untold};
use weir_policy::verdict::{
    Admission, AttemptFacts, Base, CacheState, Changes, Charge, Deny, Direction, GuardVerdict, Guarded,
    Outcome, Preparation, Redaction, ReplyMeta, Severity, Span, Summary,
};
use weir_policy::{Answer, Api, Fault, FaultKind, Head, Hook, Policy, Question, RequestView};

fn deny(code: &str) -> Deny {
    Deny { status: 403, code: code.into(), message: "no".into(), retry_after_ms: None }
}

fn trap() -> Fault {
    Fault::new(FaultKind::Trap, "it broke")
}

fn says(name: &str, hooks: &str, answer: Answer) -> Bound {
    Fake::new(name, hooks).any(move |_| Ok(answer.clone())).bind()
}

fn base() -> Arc<Base> {
    Arc::new(Base {
        target_id: "a".into(),
        usage: Usage { input: 10, output: 5, ..Usage::default() },
        rates: Arc::default(),
        list_price: Nanos(1_000),
    })
}

#[test]
fn the_first_that_denies_keeps_out_and_tags_are_notes() {
    let allow =
        says("a", "hooks: [admit]", Answer::Admit(Admission::Allow(vec![("plan".into(), "gold".into())])));
    let no = says("b", "hooks: [admit]", Answer::Admit(Admission::Deny(deny("closed"))));
    let never = Fake::new("c", "hooks: [admit]").any(|_| panic!("asked")).bind();
    let (seen, mut trace) = (view(&["x"]), Trace::new());
    let refused =
        block_on(Pipeline::new(vec![allow, no, never]).unwrap().admit(&seen, &mut trace)).unwrap_err();
    assert_eq!((refused.deny.code.as_str(), refused.failed), ("closed", false));
    assert_eq!(seen.attr("plan").as_deref(), Some("gold"));
    assert_eq!(trace.iter().map(|line| line.verdict.as_str()).collect::<Vec<_>>(), ["allow", "deny"]);
    let broken = |mode: &str| {
        let fake = Fake::new("x", &format!("hooks: [admit]{mode}")).any(|_| Err(trap())).bind();
        block_on(Pipeline::new(vec![fake]).unwrap().admit(&view(&["x"]), &mut Trace::new()))
    };
    assert!(broken("").is_err_and(|refused| refused.failed));
    assert!(broken("\non_failure: open").is_ok());
}

fn redactor(name: &str, from: &'static str, replace: Redaction) -> Bound {
    let yaml = "hooks: [redact]\nreads: content\nredact: { masks: ['[m]'], classes: [name] }\ndeclares: { rules: [r] }";
    let find = move |view: &RequestView| {
        let mut spans = Vec::new();
        for (segment, text) in texts(view).iter().enumerate() {
            if let Some(at) = text.find(from) {
                let (start, end) = (at as u32, (at + from.len()) as u32);
                spans.push(Span {
                    segment: segment as u32,
                    start,
                    end,
                    rule: 0,
                    severity: Severity::High,
                    replace,
                });
            }
        }
        spans
    };
    Fake::new(name, yaml)
        .any(move |question| match question {
            Question::Redact { view, .. } => Ok(Answer::Redact(find(view))),
            _ => panic!(),
        })
        .bind()
}

#[test]
fn redactors_leave_masks_and_keyed_hashes_and_nothing_of_their_own() {
    let chain = vec![redactor("one", "ada", Redaction::Mask(0)), redactor("two", "eve", Redaction::Hash(0))];
    let secret = |tenant: &str, secret: u8| {
        let view =
            RequestView::new(Head { tenant: tenant.into(), ..head() }, chat(&["ada and eve"]), Vec::new());
        let view = Arc::new(view.with_secret([secret; 32]));
        let pipeline = Pipeline::new(vec![redactor("two", "eve", Redaction::Hash(0))]).unwrap();
        let left = block_on(pipeline.redact(&view, Direction::Request, &mut Trace::new())).unwrap();
        texts(&left.view)[0].clone()
    };
    let view = Arc::new(RequestView::new(head(), chat(&["ada and eve"]), Vec::new()).with_secret([7; 32]));
    let mut trace = Trace::new();
    let left = block_on(Pipeline::new(chain).unwrap().redact(&view, Direction::Request, &mut trace)).unwrap();
    let text = texts(&left.view)[0].clone();
    assert!(left.edited && text.starts_with("[m] and [name:") && !text.contains("eve"), "{text}");
    assert_eq!(trace[1].findings[0].rule, "r");
    assert_eq!(secret("a", 1), secret("a", 1));
    assert_ne!(secret("a", 1), secret("b", 1), "another organisation's hash tells nothing");
    assert_ne!(secret("a", 1), secret("a", 2));
    for wrong in [Redaction::Mask(1), Redaction::Hash(1), Redaction::Vault(1)] {
        let pipeline = Pipeline::new(vec![redactor("w", "ada", wrong)]).unwrap();
        assert!(block_on(pipeline.redact(&view, Direction::Request, &mut Trace::new())).is_err());
    }
}

fn reply(text: &str) -> Arc<Reply> {
    let body =
        serde_json::json!({ "choices": [{ "message": { "content": text }, "finish_reason": "stop" }] });
    Arc::new(Reply::parse(Api::Chat, Bytes::from(body.to_string())).unwrap())
}

fn meta() -> Arc<ReplyMeta> {
    Arc::new(ReplyMeta {
        target: 0,
        target_id: "a".into(),
        finish_reason: "stop".into(),
        usage: Usage::default(),
        source: Source::Provider,
        ttft_ms: 1,
        total_ms: 2,
        attempts: 1,
    })
}

#[test]
fn a_reply_is_guarded_as_a_request_is() {
    let mask = Fake::new("m", "hooks: [guard-response, stream]\nreads: content").any(|question| {
        let Question::GuardResponse { reply, .. } = question else { panic!() };
        let text = reply.text(0, 0, u32::MAX).unwrap();
        let at = text.find("ada").unwrap();
        Ok(Answer::GuardResponse(guarded(Guarded::Edit(vec![replace(0, at, at + 3, "\"x\"")]))))
    });
    let answers = says(
        "a",
        "hooks: [guard-response, stream]",
        Answer::GuardResponse(guarded(Guarded::Answer("hush".into()))),
    );
    let request = view(&["hi"]);
    let shown = Arc::new(request.of_reply(reply("dear ada")));
    assert_eq!((&*shown.finish_reason(), shown.head().segment_count), ("stop", 1));
    let mut trace = Trace::new();
    let pipeline = Pipeline::new(vec![mask.bind(), answers]).unwrap();
    let outcome = block_on(pipeline.guard_response(&request, &shown, &meta(), &mut trace));
    assert_eq!(texts(&outcome.view), ["dear \"x\""]);
    assert!(matches!(outcome.end, GuardEnd::Answered { text, .. } if text == "hush"));
    assert_eq!(trace.iter().map(|line| line.verdict.as_str()).collect::<Vec<_>>(), ["edit", "answer"]);
}

/// Neither of the reply nor of the request that it answers.
#[test]
fn a_shared_guard_of_replies_does_not_learn_who_asks() {
    let asked = |sharing: &str| {
        let yaml = format!("hooks: [guard-response, stream]\nreads: content\n{sharing}");
        let guard = Fake::new("g", &yaml).any(|question| {
            let Question::GuardResponse { request, reply, .. } = question else { panic!() };
            let said = format!("{}/{}", request.head().tenant, reply.head().tenant);
            Ok(Answer::GuardResponse(guarded(Guarded::Answer(said))))
        });
        let (request, pipeline) = (view(&["hi"]), Pipeline::new(vec![guard.bind()]).unwrap());
        let shown = Arc::new(request.of_reply(reply("dear ada")));
        match block_on(pipeline.guard_response(&request, &shown, &meta(), &mut Trace::new())).end {
            GuardEnd::Answered { text, .. } => text,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((asked("").as_str(), asked("shared: true").as_str()), ("acme/acme", "/"));
}

#[test]
fn what_differs_by_target_adds_up_until_one_skips() {
    let edit = |header: &str, value: &str, text: &str| {
        let changes = Changes {
            edits: vec![replace(0, 0, 1, text)],
            headers: vec![(header.to_owned(), value.to_owned())],
        };
        says("edits", "hooks: [attempt]\nreads: content", Answer::Attempt(Preparation::Edit(changes)))
    };
    let facts = Arc::new(AttemptFacts { target: 0, target_id: "a".into(), number: 1 });
    let ask = |bound: Vec<Bound>| {
        let (view, candidates) = (view(&["abc"]), candidates());
        block_on(Pipeline::new(bound).unwrap().attempt(&view, &candidates, &facts, &mut Trace::new()))
    };
    let made = ask(vec![edit("x-a", "1", "X"), edit("x-b", "2", "Y")]).unwrap();
    assert_eq!(texts(&made.view), ["Ybc"]);
    assert_eq!(made.headers, [("x-a".to_owned(), "1".to_owned()), ("x-b".to_owned(), "2".to_owned())]);
    let skip = says(
        "s",
        "hooks: [attempt]\ndeclares: { reasons: [night] }",
        Answer::Attempt(Preparation::Skip("night".into())),
    );
    assert_eq!(ask(vec![skip, edit("x-a", "1", "X")]).unwrap().skip.as_deref(), Some("night"));
    for (name, value) in [
        ("authorization", "x"),
        ("x-weir-tags", "x"),
        ("Host", "x"),
        ("x-a", "a\r\nb: c"),
        ("content-length", "1"),
    ] {
        let made = ask(vec![edit(name, value, "X")]).unwrap();
        assert!(!made.edited && made.headers.is_empty(), "{name}: a fault, and its mode is open");
    }
}

#[test]
fn money_is_never_less_than_nothing_and_one_policy_prices() {
    let charge = |total: i64| {
        Answer::Price(Charge {
            total: Nanos(total),
            items: Vec::new(),
            tags: vec![("deal".into(), "x".into())],
        })
    };
    let price = |bound: Vec<Bound>| {
        let seen = view(&["x"]);
        block_on(Pipeline::new(bound).unwrap().price(&seen, &base(), &mut Trace::new()))
    };
    let two = vec![says("a", "hooks: [price]", charge(7)), says("b", "hooks: [price]", charge(9))];
    assert_eq!(price(two).unwrap().total, Nanos(7));
    assert!(price(vec![says("a", "hooks: [price]", charge(-1))]).is_none(), "the list price holds");
    assert!(price(Vec::new()).is_none());
    let quote = |nanos: i64| {
        let bound = says("a", "hooks: [price]", Answer::Quote(Nanos(nanos)));
        block_on(Pipeline::new(vec![bound]).unwrap().quote(&view(&["x"]), &base(), &mut Trace::new()))
    };
    assert_eq!((quote(5), quote(-5)), (Some(Nanos(5)), None));
}

fn summary(tenant: &str) -> Summary {
    Summary {
        head: Arc::new(Head { tenant: tenant.into(), ..head() }),
        outcome: Outcome::Ok,
        target_id: Some("a".into()),
        status: 200,
        usage: Usage::default(),
        source: Source::Provider,
        charged: Nanos(1),
        provider_cost: None,
        ttft_ms: None,
        total_ms: 3,
        errors: Vec::new(),
        attempts: 1,
        tags: Vec::new(),
        cache: CacheState::Bypass,
    }
}

#[test]
fn summaries_of_two_organisations_are_never_in_one_call() {
    let told = |yaml: &str| {
        let calls: Arc<Mutex<Vec<Vec<String>>>> = Arc::default();
        let kept = Arc::clone(&calls);
        let fake = Fake::new("c", yaml).any(move |question| {
            let Question::Complete { batch } = question else { panic!() };
            let tenants = batch.iter().map(|summary| summary.head.tenant.to_string()).collect();
            kept.lock().unwrap().push(tenants);
            Ok(Answer::Complete)
        });
        let batch = [summary("a"), summary("b"), summary("a")];
        block_on(Pipeline::new(vec![fake.bind()]).unwrap().complete(&batch));
        calls.lock().unwrap().clone()
    };
    assert_eq!(told("hooks: [complete]"), [vec!["a", "a"], vec!["b"]]);
    assert_eq!(told("hooks: [complete]\nshared: true"), [vec!["", "", ""]]);
    assert_eq!(told("hooks: [complete]\nwhen: { tenants: [b] }"), [vec!["b"]]);
}

#[test]
fn a_policy_that_waits_is_awaited() {
    let waits = Fake::new("w", "hooks: [guard]\nreads: content").waiting().any(|question| {
        assert_eq!(question.hook(), Hook::Guard);
        Ok(Answer::Guard(guarded(Guarded::Block(deny("moderated")))))
    });
    let outcome = Pipeline::new(vec![waits.bind()]).unwrap().guard_now(&view(&["x"]));
    assert!(matches!(outcome.end, GuardEnd::Blocked(refused) if refused.deny.code == "moderated"));
}

#[test]
fn a_canary_is_met_by_a_stable_share_of_keys() {
    let guard = |name: &str, digest: &str| {
        let code = digest.to_owned();
        Fake::new(name, "hooks: [guard]")
            .digest(digest)
            .guard(move |_| Ok(guarded(Guarded::Block(deny(&code)))))
    };
    let canary: Arc<dyn Policy> = Arc::new(guard("g", "new"));
    let pipeline = |share: u16| {
        let canary = Some(Canary { policy: Arc::clone(&canary), share });
        Pipeline::new(vec![Bound { canary, ..guard("g", "old").bind() }]).unwrap()
    };
    let code = |pipeline: &Pipeline, key: usize| {
        let head = Head { key_id: format!("key_{key}").into(), ..head() };
        match pipeline.guard_now(&view_of(head, &["x"])).end {
            GuardEnd::Blocked(refused) => refused.deny.code,
            other => panic!("{other:?}"),
        }
    };
    let (none, some, all) = (pipeline(0), pipeline(2_000), pipeline(10_000));
    let met = (0..500).filter(|key| code(&some, *key) == "new").count();
    assert!((60..140).contains(&met), "{met} of 500");
    assert!((0..50).all(|key| code(&some, key) == code(&some, key)));
    assert!((0..50).all(|key| code(&none, key) == "old" && code(&all, key) == "new"));
    assert_ne!(none.digest(), some.digest());
}

#[test]
fn a_shadow_hears_every_question_and_decides_nothing() {
    #[derive(Default)]
    struct Heard(Mutex<Vec<(Hook, bool)>>);
    impl Shadow for Heard {
        fn asked(&self, question: Question, live: &Result<Answer, Fault>, _: Duration) {
            self.0.lock().unwrap().push((question.hook(), live.is_ok()));
        }
    }
    let heard = Arc::new(Heard::default());
    let shadow = Some(Arc::clone(&heard) as Arc<dyn Shadow>);
    let live = Fake::new("g", "hooks: [guard, admit]\non_failure: open")
        .guard(|_| Ok(GuardVerdict::pass()))
        .any(|_| Err(trap()));
    let pipeline = Pipeline::new(vec![Bound { shadow, ..live.bind() }]).unwrap();
    let seen = view(&["x"]);
    block_on(pipeline.admit(&seen, &mut Trace::new())).unwrap();
    assert_eq!(pipeline.guard_now(&seen).end, GuardEnd::Pass);
    assert_eq!(*heard.0.lock().unwrap(), [(Hook::Admit, false), (Hook::Guard, true)]);
}

#[test]
fn what_could_not_be_told_can_be_told_again_and_only_that() {
    let told: Arc<Mutex<Vec<(&str, usize)>>> = Arc::default();
    let says = |name: &'static str, failures: usize| {
        let (kept, left) = (Arc::clone(&told), Mutex::new(failures));
        Fake::new(name, "hooks: [complete]").any(move |question| {
            let Question::Complete { batch } = question else { panic!() };
            let mut left = left.lock().unwrap();
            if let Some(less) = left.checked_sub(1) {
                *left = less;
                return Err(Fault::new(FaultKind::Trap, "down"));
            }
            kept.lock().unwrap().push((name, batch.len()));
            Ok(Answer::Complete)
        })
    };
    let pipeline = Pipeline::new(vec![says("up", 0).bind(), says("down", 2).bind()]).unwrap();
    let mut untold = block_on(pipeline.complete(&[summary("a"), summary("a"), summary("b")]));
    // Both organisations' calls failed.
    assert_eq!(untold.iter().map(Untold::summaries).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(*told.lock().unwrap(), [("up", 2), ("up", 1)]);
    let second = untold.pop().unwrap();
    assert!(block_on(pipeline.complete_again(untold.pop().unwrap())).is_none());
    assert!(block_on(Pipeline::default().complete_again(second.clone())).is_none(), "nobody of that name");
    assert!(block_on(pipeline.complete_again(second)).is_none());
    assert_eq!(told.lock().unwrap()[2..], [("down", 2), ("down", 1)]);
}

#[test]
fn it_is_told_again_under_the_binding_that_could_not_be_told() {
    let told: Arc<Mutex<Vec<&str>>> = Arc::default();
    let bound = |digest: &'static str, model: &str, failures: usize| {
        let (kept, left) = (Arc::clone(&told), Mutex::new(failures));
        let fake = Fake::new("book", "hooks: [complete]").digest(digest).any(move |question| {
            let Question::Complete { .. } = question else { panic!() };
            let mut left = left.lock().unwrap();
            if let Some(less) = left.checked_sub(1) {
                *left = less;
                return Err(trap());
            }
            kept.lock().unwrap().push(digest);
            Ok(Answer::Complete)
        });
        Bound { models: Some(vec![model.to_owned()]), ..fake.bind() }
    };
    let of = |model: &str| {
        let head = Head { requested_model: model.into(), ..head() };
        Summary { head: Arc::new(head), ..summary("a") }
    };
    let pipeline = Pipeline::new(vec![bound("one", "m", 0), bound("two", "n", 1)]).unwrap();
    let mut untold = block_on(pipeline.complete(&[of("n")]));
    let untold = untold.pop().unwrap();
    assert!(block_on(pipeline.complete_again(untold.clone())).is_none());
    assert_eq!(*told.lock().unwrap(), ["two"]);
    // Another version stands in its place, and is told; a binding that is not concerned is not.
    let later = Pipeline::new(vec![bound("one", "m", 0), bound("three", "n", 0)]).unwrap();
    assert!(block_on(later.complete_again(untold.clone())).is_none());
    assert_eq!(*told.lock().unwrap(), ["two", "three"]);
    let gone = Pipeline::new(vec![bound("one", "m", 0)]).unwrap();
    assert!(block_on(gone.complete_again(untold)).is_none());
    assert_eq!(told.lock().unwrap().len(), 2);
}
