//! The pipeline with fake policies: order, failure modes, breaker, what may leave.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod fake;

use fake::{Fake, Hands, Now, candidates, guarded, head, replace, texts, view, view_of};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use weir_policy::manifest::Hook;
use weir_policy::pipeline::{
    Bound, BreakerSettings, Call, Canary, GuardEnd, Observer, Pipeline, Routed, Seat, Seated, Shadow,
};
use weir_policy::verdict::{
    Decision, Deny, Edit, ErrorClass, Finding, GuardVerdict, Guarded, Plan, Recovery, Replacement, Severity,
    Step, Strategy,
};
use weir_policy::{Answer, AttemptError, DataClass, Fault, FaultKind, Policy, Question};

fn deny(status: u16, code: &str) -> Deny {
    Deny { status, code: code.into(), message: "no".into(), retry_after_ms: None }
}

fn trap() -> Fault {
    Fault::new(FaultKind::Trap, "it broke").at("p.rhai:3:1")
}

fn guard_of(outcome: Guarded) -> Fake {
    Fake::new("g", "hooks: [guard]\nreads: content").guard(move |_| Ok(guarded(outcome.clone())))
}

fn router(name: &str, decision: Decision) -> Bound {
    Fake::new(name, "hooks: [route]").route(move |_, _| Ok(decision.clone())).bind()
}

fn fault_of(fake: Fake) -> FaultKind {
    let outcome = Pipeline::new(vec![fake.bind()]).unwrap().guard_now(&view(&["héllo", "x"]));
    let GuardEnd::Blocked(refused) = &outcome.end else { panic!("{:?}", outcome.end) };
    assert_eq!((refused.deny.status, refused.deny.code.as_str()), (503, "policy_failed"));
    assert!(refused.failed && refused.deny.message.contains("`g`"), "{refused:?}");
    outcome.trace[0].fault.as_ref().unwrap().kind
}

fn plan_of(plan: Plan) -> Routed {
    let pipeline = Pipeline::new(vec![router("r", Decision::Plan(plan))]).unwrap();
    pipeline.route_now(&view(&["x"]), &candidates()).decision
}

#[test]
fn each_guard_sees_the_edits_and_tags_of_those_before_it() {
    let first = Fake::new("mask", "hooks: [guard]\nreads: content\ndeclares: { tags: { pii: [found] } }")
        .guard(|v| {
            let text = v.text(0, 0, u32::MAX).unwrap();
            let at = text.find("ada").unwrap();
            let tags = vec![("pii".to_owned(), "found".to_owned()), ("leak".to_owned(), text)];
            Ok(GuardVerdict { tags, ..guarded(Guarded::Edit(vec![replace(0, at, at + 3, "\"ü\"")])) })
        });
    let second = Fake::new("count", "hooks: [guard]\nreads: content").guard(|v| {
        assert_eq!(v.text(0, 0, u32::MAX).unwrap(), "to \"ü\"");
        assert_eq!(v.json("/messages/0/content", 99).unwrap().unwrap(), r#""to \"ü\"""#);
        assert_eq!(v.attr("pii").as_deref(), Some("found"));
        assert_eq!(v.attr("leak"), None, "an undeclared tag keeps neither name nor value");
        Ok(guarded(Guarded::Edit(vec![replace(0, 0, 2, "for")])))
    });
    let before = view(&["to ada", "untouched"]);
    let outcome = Pipeline::new(vec![first.bind(), second.bind()]).unwrap().guard_now(&before);
    assert_eq!(outcome.end, GuardEnd::Pass);
    assert!(outcome.edited);
    assert_eq!(texts(&outcome.view), ["for \"ü\"", "untouched"]);
    assert_eq!(texts(&before), ["to ada", "untouched"], "the view before stays as it was");
    let body = String::from_utf8(outcome.view.body().to_vec()).unwrap();
    assert!(
        body.starts_with(r#"{ "model":"fast", "temperature":0.70,"#),
        "the rest stays byte for byte: {body}"
    );
    assert_eq!(before.notes()[1], ("undeclared".to_owned(), "undeclared".to_owned()));
}

#[test]
fn the_first_guard_that_refuses_or_answers_ends_the_round() {
    let end = |outcome: Guarded| {
        let never = Fake::new("never", "hooks: [guard]").guard(|_| panic!("asked"));
        let bound = vec![guard_of(Guarded::Pass).bind(), guard_of(outcome).bind(), never.bind()];
        Pipeline::new(bound).unwrap().guard_now(&view(&["x"])).end
    };
    let GuardEnd::Blocked(refused) = end(Guarded::Block(deny(422, "no_pii"))) else { panic!() };
    assert_eq!((refused.deny.status, refused.failed), (422, false));
    assert!(matches!(end(Guarded::Answer("hi".into())), GuardEnd::Answered { text, .. } if text == "hi"));
}

#[test]
fn a_refusal_with_an_odd_status_or_code_is_still_a_refusal() {
    for status in [0, 200, 399, 600] {
        let odd = guard_of(Guarded::Block(deny(status, "Not A Code")));
        let outcome = Pipeline::new(vec![odd.bind()]).unwrap().guard_now(&view(&["x"]));
        let GuardEnd::Blocked(refused) = outcome.end else { panic!() };
        assert_eq!((refused.deny.status, refused.deny.code.as_str()), (403, "policy_denied"));
    }
}

#[test]
fn edits_that_the_contract_does_not_allow_are_a_fault() {
    let vault = Edit { replace: Replacement::Vault("an e-mail".into()), ..replace(0, 0, 1, "") };
    let wrong = [
        ("no segment", vec![replace(2, 0, 0, "")]),
        ("beyond the end", vec![replace(0, 0, 7, "")]),
        ("end before start", vec![replace(0, 3, 1, "")]),
        ("inside a character", vec![replace(0, 0, 2, "")]),
        ("overlap", vec![replace(0, 3, 5, ""), replace(0, 0, 4, "")]),
        ("too much", vec![replace(0, 0, 1, &"x".repeat(1 << 20)), replace(1, 0, 1, "x")]),
        ("a class that cannot stand in a token", vec![vault]),
    ];
    for (what, edits) in wrong {
        assert_eq!(fault_of(guard_of(Guarded::Edit(edits))), FaultKind::BadAnswer, "{what}");
    }
    let long = guard_of(Guarded::Answer("x".repeat((1 << 20) + 1)));
    assert_eq!(fault_of(long), FaultKind::BadAnswer);
}

#[test]
fn content_is_read_only_by_those_who_said_so() {
    let sly = Fake::new("g", "hooks: [guard]").guard(|v| {
        let _ = v.text(0, 0, 1);
        Ok(GuardVerdict::pass())
    });
    assert_eq!(fault_of(sly), FaultKind::BadAnswer);
}

#[test]
fn after_a_read_only_declared_strings_reach_the_trace() {
    let finding = |rule: &str| Finding {
        rule: rule.into(),
        severity: Severity::High,
        segment: None,
        start: 0,
        end: 0,
        score: f32::NAN,
    };
    let run = |read: bool| {
        let yaml = "hooks: [guard]\nreads: content\ndeclares: { rules: [email], codes: [pii] }";
        let guard = Fake::new("g", yaml).guard(move |v| {
            let said = if read { v.text(0, 0, u32::MAX).unwrap() } else { "free".into() };
            let outcome = Guarded::Block(deny(403, "secret"));
            Ok(GuardVerdict { findings: vec![finding("email"), finding(&said)], ..guarded(outcome) })
        });
        let outcome = Pipeline::new(vec![guard.bind()]).unwrap().guard_now(&view(&["secret"]));
        let GuardEnd::Blocked(refused) = outcome.end else { panic!() };
        assert_eq!(refused.deny.code, "secret", "the caller is told");
        let line = &outcome.trace[0];
        assert!(line.findings.iter().all(|f| f.score == 0.0));
        (line.findings[0].rule.clone(), line.findings[1].rule.clone(), line.reason.clone().unwrap())
    };
    assert_eq!(run(false), ("email".into(), "free".into(), "secret".into()));
    assert_eq!(run(true), ("email".into(), "undeclared".into(), "undeclared".into()));
}

#[test]
fn the_first_route_that_does_not_abstain_decides() {
    let bound = vec![
        router("a", Decision::Abstain),
        router("b", Decision::Plan(Plan::ordered([3, 0], "why"))),
        router("c", Decision::Deny(deny(403, "never"))),
    ];
    let outcome = Pipeline::new(bound).unwrap().route_now(&view(&["x"]), &candidates());
    let Routed::Plan(plan) = outcome.decision else { panic!() };
    assert_eq!(plan.steps.iter().map(|s| s.target).collect::<Vec<_>>(), [3, 0]);
    assert_eq!(outcome.trace.iter().map(|t| t.verdict.as_str()).collect::<Vec<_>>(), ["abstain", "plan"]);
    let silent = Pipeline::new(vec![router("a", Decision::Abstain)]).unwrap();
    assert_eq!(silent.route_now(&view(&["x"]), &candidates()).decision, Routed::Static);
}

#[test]
fn a_plan_is_checked_and_clamped() {
    assert_eq!(
        plan_of(Plan::ordered([], "")),
        Routed::Static,
        "empty: a fault, and its mode is the static plan"
    );
    assert_eq!(plan_of(Plan::ordered([0, 1], "")), Routed::Static, "1 is in the table but no candidate");
    assert_eq!(plan_of(Plan { budget_nanos: Some(-1), ..Plan::ordered([0], "") }), Routed::Static);
    let mut wild = Plan::ordered([2, 2, 0, 2], "r");
    wild.strategy = Strategy::Hedge(50);
    wild.steps[0].max_retries = 255;
    wild.steps[0].timeout_total_ms = u32::MAX;
    let Routed::Plan(plan) = plan_of(wild) else { panic!() };
    assert_eq!(plan.steps.iter().map(|s| s.target).collect::<Vec<_>>(), [2, 0]);
    assert_eq!((plan.steps[0].max_retries, plan.steps[0].timeout_total_ms), (5, 3_600_000));
    assert_eq!(plan.strategy, Strategy::Hedge(50));
    let lonely = Plan { strategy: Strategy::Hedge(50), ..Plan::ordered([0], "") };
    assert!(matches!(plan_of(lonely), Routed::Plan(p) if p.strategy == Strategy::Ordered));
    let mut weightless = Plan { strategy: Strategy::Weighted, ..Plan::ordered([0], "") };
    weightless.steps[0].weight = 0;
    assert!(matches!(plan_of(weightless), Routed::Plan(p) if p.strategy == Strategy::Ordered));
}

#[test]
fn a_failed_call_ends_as_the_policy_declares() {
    let guard = |mode: &str| {
        let yaml = format!("hooks: [guard]\nreads: content{mode}");
        let broken = Fake::new("g", &yaml).guard(|_| Err(trap())).bind();
        Pipeline::new(vec![broken]).unwrap().guard_now(&view(&["x"])).end
    };
    assert!(matches!(guard(""), GuardEnd::Blocked(refused) if refused.deny.status == 503));
    assert_eq!(guard("\non_failure: open"), GuardEnd::Pass);

    let route = |mode: &str| {
        let broken = Fake::new("r", &format!("hooks: [route]{mode}")).route(|_, _| Err(trap())).bind();
        let next = router("next", Decision::Plan(Plan::ordered([0], "")));
        Pipeline::new(vec![broken, next]).unwrap().route_now(&view(&["x"]), &candidates()).decision
    };
    assert_eq!(route(""), Routed::Static, "the next policy is not asked");
    assert!(matches!(route("\non_failure: open"), Routed::Plan(_)), "the next policy is asked");
    assert!(matches!(route("\non_failure: closed"), Routed::Refused(refused) if refused.failed));

    let recover = |mode: &str| {
        let broken = Fake::new("e", &format!("hooks: [on-error]{mode}")).on_error(|_| Err(trap())).bind();
        let pipeline = Pipeline::new(vec![broken]).unwrap();
        pipeline.on_error_now(&view(&["x"]), &candidates(), &Vec::new().into(), None).0
    };
    assert_eq!(recover(""), Recovery::FollowPlan);
    assert!(matches!(recover("\non_failure: closed"), Recovery::Fail(deny) if deny.code == "policy_failed"));
}

#[test]
fn want_of_a_slot_never_opens_a_way_past_a_guard_nor_the_breaker() {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let full = Fake::new("g", "hooks: [guard]\non_failure: open").guard(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        Err(Fault::new(FaultKind::NoSlot, "no slot"))
    });
    let pipeline = Pipeline::new(vec![full.bind()]).unwrap();
    for _ in 0..20 {
        assert!(matches!(pipeline.guard_now(&view(&["x"])).end, GuardEnd::Blocked(_)));
    }
    assert_eq!(calls.load(Ordering::Relaxed), 20);
}

#[test]
fn on_error_asks_the_planner_first_and_checks_the_answer() {
    let says = |name: &str, recovery: Recovery| {
        let yaml = "hooks: [route, on-error]";
        let plan = Decision::Plan(Plan::ordered([0], name));
        let fake = Fake::new(name, yaml).route(move |_, _| Ok(plan.clone()));
        fake.on_error(move |_| Ok(recovery.clone())).bind()
    };
    let switch = |target: u16| Recovery::Switch(Step::to(target));
    let bound = vec![
        Fake::new("first", "hooks: [on-error]").on_error(|_| Ok(Recovery::RetryAfter(u32::MAX))).bind(),
        says("planner", switch(2)),
    ];
    let pipeline = Pipeline::new(bound).unwrap();
    let (view, candidates) = (view(&["x"]), candidates());
    let errors: Arc<[AttemptError]> = vec![AttemptError {
        target: 0,
        target_id: "a".into(),
        class: ErrorClass::Overloaded,
        status: Some(529),
        provider_code: None,
        retry_after_ms: None,
        elapsed_ms: 3,
    }]
    .into();
    let planner = pipeline.route_now(&view, &candidates).by;
    assert_eq!(pipeline.on_error_now(&view, &candidates, &errors, planner).0, switch(2));
    let unplanned = pipeline.on_error_now(&view, &candidates, &errors, None).0;
    assert_eq!(unplanned, Recovery::RetryAfter(60_000), "in order, clamped");
    let wrong = Pipeline::new(vec![says("p", switch(1))]).unwrap();
    let (recovery, trace) = wrong.on_error_now(&view, &candidates, &errors, None);
    assert_eq!(recovery, Recovery::FollowPlan);
    assert_eq!(trace[0].fault.as_ref().unwrap().kind, FaultKind::BadAnswer);
}

#[test]
fn a_policy_that_keeps_failing_is_left_alone_for_a_while() {
    let (hands, clock) = Hands::clock();
    let failing = Arc::new(Fake::new("g", "hooks: [guard]").guard(|v| match v.head().attempt {
        0 => Err(trap()),
        _ => Ok(GuardVerdict::pass()),
    }));
    let bound = || vec![Bound::everywhere(Arc::clone(&failing) as Arc<dyn Policy>)];
    let pipeline = Pipeline::with(bound(), BreakerSettings::default(), Arc::clone(&clock)).unwrap();
    let asked = || failing.calls.load(Ordering::Relaxed);
    let bad = view(&["x"]);
    let good = view_of(weir_policy::Head { attempt: 1, ..head() }, &["x"]);
    for _ in 0..8 {
        assert!(matches!(pipeline.guard_now(&bad).end, GuardEnd::Blocked(_)));
    }
    assert_eq!(asked(), 5, "after five faults in a row the mode applies without a call");
    assert_eq!(pipeline.guard_now(&bad).trace[0].verdict.as_str(), "breaker-open");
    assert_eq!(pipeline.open_breakers().collect::<Vec<_>>(), [("g", Hook::Guard)]);

    let reloaded =
        Pipeline::with(bound(), BreakerSettings::default(), clock).unwrap().keep_breakers_of(&pipeline);
    assert!(matches!(reloaded.guard_now(&good).end, GuardEnd::Blocked(_)), "a reload does not close it");
    hands.advance(10_000);
    assert!(matches!(reloaded.guard_now(&bad).end, GuardEnd::Blocked(_)), "the probe fails");
    assert!(matches!(pipeline.guard_now(&good).end, GuardEnd::Blocked(_)), "open again, in both");
    hands.advance(10_000);
    assert_eq!(reloaded.guard_now(&good).end, GuardEnd::Pass);
    assert_eq!(pipeline.guard_now(&good).end, GuardEnd::Pass, "closed");
    assert_eq!(asked(), 8);
}

#[test]
fn bindings_and_when_are_decided_before_the_call() {
    let yaml = "hooks: [route]\nreads: content\nwhen: { tenants: [acme], classes: [public, internal], tags: { tier: gold }, min_body_bytes: 100 }";
    let fake = Fake::new("r", yaml).route(|_, _| Ok(Decision::Deny(deny(403, "x"))));
    let bound = Bound { models: Some(vec!["fa*".into()]), ..fake.bind() };
    let pipeline = Pipeline::new(vec![bound]).unwrap();
    let (fast, slow) = (pipeline.asked("fast"), pipeline.asked("slow"));
    assert!(fast.content() && !slow.content());
    assert!(fast.has(Hook::Route) && !slow.has(Hook::Route) && !fast.has(Hook::Guard));
    let asked = |change: &dyn Fn(&mut weir_policy::Head)| {
        let mut head = head();
        change(&mut head);
        !pipeline.route_now(&view_of(head, &["x"]), &candidates()).trace.is_empty()
    };
    assert!(asked(&|_| {}));
    assert!(!asked(&|head| head.requested_model = "slow".into()));
    assert!(!asked(&|head| head.tenant = "other".into()));
    assert!(asked(&|head| head.class = DataClass::Public));
    assert!(!asked(&|head| head.class = DataClass::Restricted));
    assert!(!asked(&|head| head.tags = Arc::default()));
    assert!(!asked(&|head| head.body_bytes = 99));
}

/// What the host cannot look at, the guard must see; what an earlier guard has taken out is not there to be found.
#[test]
fn a_guard_that_says_what_it_looks_for_is_asked_where_that_is() {
    let yaml = "hooks: [guard]\nreads: content\nwhen: { finds: [names, digits] }\nmatchers: [{ name: names, literals: [ada] }, { name: digits, patterns: ['[0-9]{3}'] }, { name: other, literals: [zoe] }]";
    let seeker = || Fake::new("g", yaml).guard(|_| Ok(guarded(Guarded::Block(deny(400, "found")))));
    let pipeline = Pipeline::new(vec![seeker().bind()]).unwrap();
    let outcome = pipeline.guard_now(&view(&["hello", "my name is zoe, 12"]));
    assert_eq!(outcome.end, GuardEnd::Pass);
    assert_eq!((outcome.trace.len(), outcome.trace[0].verdict.as_str()), (1, "nothing-found"));
    for texts in [["x", "ada"], ["ada", "x"], ["x", "call 123"], ["\"ada\"", "x"]] {
        let outcome = pipeline.guard_now(&view(&texts));
        let GuardEnd::Blocked(refused) = &outcome.end else { panic!("{texts:?}: {:?}", outcome.end) };
        assert_eq!(refused.deny.code, "found");
    }
    let eraser = Fake::new("e", "hooks: [guard]\nreads: content")
        .guard(|_| Ok(guarded(Guarded::Edit(vec![replace(0, 0, 3, "***")]))));
    let pipeline = Pipeline::new(vec![eraser.bind(), seeker().bind()]).unwrap();
    assert_eq!(pipeline.guard_now(&view(&["ada"])).end, GuardEnd::Pass);
}

/// A mask may be longer than what it stands for: a guard that bounds bodies sees what the guards before it left.
#[test]
fn a_guard_is_asked_about_a_body_that_edits_have_made_large_enough() {
    let bounds = || {
        Fake::new("b", "hooks: [guard]\nreads: content\nwhen: { min_body_bytes: 200 }")
            .guard(|_| Ok(guarded(Guarded::Block(deny(413, "large")))))
    };
    let pads = Fake::new("e", "hooks: [guard]\nreads: content")
        .guard(|_| Ok(guarded(Guarded::Edit(vec![replace(0, 0, 1, &"*".repeat(200))]))));
    let small = view(&["x"]);
    assert!(small.body_bytes() < 200);
    let pipeline = Pipeline::new(vec![bounds().bind()]).unwrap();
    assert_eq!(pipeline.guard_now(&small).end, GuardEnd::Pass);
    let pipeline = Pipeline::new(vec![pads.bind(), bounds().bind()]).unwrap();
    let GuardEnd::Blocked(refused) = pipeline.guard_now(&small).end else { panic!("it was not asked") };
    assert_eq!(refused.deny.code, "large");
}

/// Nobody was tried: the breaker of a guard that fails neither bars such a request nor closes for it, and a shadow hears
/// of it, since another version may look for more.
#[test]
fn a_spared_guard_is_not_tried() {
    struct Ears(Mutex<Vec<Answer>>);
    impl Shadow for Ears {
        fn asked(&self, question: Question, live: &Result<Answer, Fault>, _: Duration) {
            assert_eq!(question.hook(), Hook::Guard);
            self.0.lock().unwrap().extend(live.clone());
        }
    }
    let yaml = "hooks: [guard]\nreads: content\nwhen: { finds: [names] }\nmatchers: [{ name: names, literals: [ada] }]";
    let ears = Arc::new(Ears(Mutex::default()));
    let shadow: Arc<dyn Shadow> = ears.clone();
    let failing = Fake::new("g", yaml).guard(|_| Err(trap()));
    let settings = BreakerSettings { faults: 1, ..BreakerSettings::default() };
    let (hands, clock) = Hands::clock();
    let bound = Bound { shadow: Some(shadow), ..failing.bind() };
    let pipeline = Pipeline::with(vec![bound], settings, clock).unwrap();
    let blocked = |text| matches!(pipeline.guard_now(&view(&[text])).end, GuardEnd::Blocked(_));
    assert!(blocked("ada") && pipeline.open_breakers().count() == 1);
    assert!(!blocked("zoe"), "nothing is found in it");
    hands.advance(60_000);
    assert!(!blocked("zoe") && pipeline.open_breakers().count() == 1, "no probe");
    assert!(blocked("ada"), "the probe");
    let pass = Answer::Guard(GuardVerdict::pass());
    assert_eq!(*ears.0.lock().unwrap(), [pass.clone(), pass]);
}

#[test]
fn who_may_read_headers_or_warmth_is_known_without_a_request() {
    struct Deaf(bool);
    impl Shadow for Deaf {
        fn reads_headers(&self) -> bool {
            self.0
        }

        fn reads_warmth(&self) -> bool {
            self.0
        }

        fn asked(&self, _: Question, _: &Result<Answer, Fault>, _: Duration) {}
    }
    let asks = |bound: Bound| {
        let bound = Bound { models: Some(vec!["fast".into()]), ..bound };
        let pipeline = Pipeline::new(vec![bound]).unwrap();
        let read = |model| (pipeline.asked(model).headers(), pipeline.asked(model).warmth());
        assert_eq!(read("slow"), (false, false));
        read("fast")
    };
    let (none, both) = ((false, false), (true, true));
    let router = || Fake::new("r", "hooks: [route]");
    assert_eq!(asks(router().bind()), both);
    assert_eq!(asks(Fake::new("e", "hooks: [on-error]").bind()), (false, true), "it sees no headers");
    assert_eq!(asks(Fake::new("g", "hooks: [guard]").bind()), (true, false), "a guard sees no targets");
    let cold = || router().incurious().bind();
    assert_eq!(asks(cold()), none);
    assert_eq!(asks(Bound { shadow: Some(Arc::new(Deaf(false))), ..cold() }), none);
    let compared = asks(Bound { shadow: Some(Arc::new(Deaf(true))), ..cold() });
    assert_eq!(compared, both, "what is compared sees the same facts");
    let canary = Some(Canary { policy: Arc::new(router().digest("new")), share: 100 });
    assert_eq!(asks(Bound { canary, ..cold() }), both);
}

#[test]
fn a_guard_that_leaves_a_surface_out_is_refused() {
    for yaml in ["surfaces: [chat]", "when: { stream: false }", "when: { apis: [chat], stream: false }"] {
        let fake = Fake::new("g", &format!("hooks: [guard]\n{yaml}"));
        let error = Pipeline::new(vec![fake.bind()]).err().unwrap();
        assert!(error.message.contains("chat-stream × input"), "{error}");
    }
    assert!(Pipeline::new(vec![Fake::new("r", "hooks: [route]\nwhen: { stream: true }").bind()]).is_ok());
}

#[test]
fn a_shared_policy_never_learns_who_asks() {
    let fake = Fake::new("g", "hooks: [guard]\nreads: content\nshared: true").guard(|v| {
        let head = v.head();
        assert_eq!((&*head.tenant, &*head.project, &*head.key_id, &head.user_hash), ("", "", "", &None));
        Ok(guarded(Guarded::Edit(vec![replace(0, 0, 1, "y")])))
    });
    let outcome = Pipeline::new(vec![fake.bind()]).unwrap().guard_now(&view(&["x"]));
    assert_eq!(&*outcome.view.head().tenant, "acme", "those after it do");
    assert_eq!(texts(&outcome.view), ["y"]);
}

#[test]
fn the_digest_tells_order_and_bindings_apart() {
    let digest = |list: &[(&str, Option<&str>)]| {
        let bound = list.iter().map(|(name, model)| Bound {
            models: model.map(|model| vec![model.to_owned()]),
            ..router(name, Decision::Abstain)
        });
        Pipeline::new(bound.collect()).unwrap().digest().to_owned()
    };
    let all = [
        digest(&[]),
        digest(&[("a", None)]),
        digest(&[("a", Some("m"))]),
        digest(&[("a", None), ("b", None)]),
        digest(&[("b", None), ("a", None)]),
    ];
    let distinct: std::collections::HashSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), all.len());
    assert_eq!(digest(&[("a", None)]), all[1]);
    assert_eq!(Pipeline::default().digest(), all[0]);
    assert!(Pipeline::default().asked("m").is_empty());
}

#[test]
fn the_observer_is_told_of_every_call() {
    #[derive(Default)]
    struct Notes(Mutex<Vec<String>>);
    struct Noted(Arc<Notes>, String);
    impl Observer for Notes {
        fn seat(self: Arc<Self>, of: Seated<'_>) -> Arc<dyn Seat> {
            Arc::new(Noted(self, format!("{}@{} {}", of.policy, of.version, of.hook.as_str())))
        }
    }
    impl Seat for Noted {
        fn asked(&self, call: &Call<'_>) {
            let fault = call.fault.map(|f| f.kind.as_str()).unwrap_or_default();
            self.0.0.lock().unwrap().push(format!("{} {} {fault}", self.1, call.verdict.as_str()));
        }
    }
    let notes = Arc::new(Notes::default());
    let broken = Fake::new("r", "hooks: [route]\non_failure: open").route(|_, _| Err(trap())).bind();
    let pipeline = Pipeline::new(vec![broken, router("s", Decision::Abstain)]).unwrap();
    let observer: Arc<dyn Observer> = notes.clone();
    let _ = pipeline.observed_by(&observer).route_now(&view(&["x"]), &candidates());
    assert_eq!(*notes.0.lock().unwrap(), ["r@1 route fault trap", "s@1 route abstain "]);
}
