//! Shadows: what is compared, what is reported, how an example gets small.

use super::{Yard, script};
use crate::config::{ShadowOptions, ShipOptions};
use crate::ship::diff;
use crate::ship::order::Order;
use crate::ship::shadow::{Shadowing, Versions};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use weir_llm::request::Request;
use weir_llm::usage::Usage;
use weir_policy::matcher::Matchers;
use weir_policy::pipeline::{Heard, Passed, Piece, Shadow};
use weir_policy::verdict::{Closing, DeltaKind, Lane, Next, StreamStep};
use weir_policy::{
    Answer, Api, Candidates, DataClass, Decision, Deny, Fault, FaultKind, GuardVerdict, Guarded, Head, Hook,
    Live, LiveFacts, Manifest, Needs, Plan, Policy, Question, RequestView, Retention, StreamGuard, Target,
};

type Guard = dyn Fn(&RequestView) -> Result<GuardVerdict, Fault> + Send + Sync;
type Route = dyn Fn(&RequestView, &Candidates) -> Result<Decision, Fault> + Send + Sync;

/// A policy made of closures.
struct Fake {
    manifest: Manifest,
    matchers: Matchers,
    guard: Option<Box<Guard>>,
    route: Option<Box<Route>>,
    /// A word that ends a stream.
    word: &'static str,
}

fn fake(yaml: &str) -> Fake {
    let text = format!("name: p\nversion: '1'\n{yaml}\n");
    let manifest = Manifest::parse_yaml(&text, "p").unwrap();
    let matchers = Matchers::compile(&manifest.matchers).unwrap();
    Fake { manifest, matchers, guard: None, route: None, word: "" }
}

fn router(
    f: impl Fn(&RequestView, &Candidates) -> Result<Decision, Fault> + Send + Sync + 'static,
) -> Arc<dyn Policy> {
    Arc::new(Fake { route: Some(Box::new(f)), ..fake("hooks: [route]") })
}

fn guard(f: impl Fn(&RequestView) -> Result<GuardVerdict, Fault> + Send + Sync + 'static) -> Arc<dyn Policy> {
    let yaml = "hooks: [guard]\nreads: content\ndeclares: { codes: [pii_found] }";
    Arc::new(Fake { guard: Some(Box::new(f)), ..fake(yaml) })
}

impl Policy for Fake {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn digest(&self) -> &'static str {
        "fake"
    }

    fn matchers(&self) -> &Matchers {
        &self.matchers
    }

    fn guard(&self, request: &Arc<RequestView>) -> Result<GuardVerdict, Fault> {
        (self.guard.as_ref().unwrap())(request)
    }

    fn route(&self, request: &Arc<RequestView>, candidates: &Arc<Candidates>) -> Result<Decision, Fault> {
        (self.route.as_ref().unwrap())(request, candidates)
    }

    fn stream(&self, _: &Arc<RequestView>) -> Result<Box<dyn StreamGuard>, Fault> {
        Ok(Box::new(Stops(self.word)))
    }
}

struct Stops(&'static str);

impl StreamGuard for Stops {
    fn push(&mut self, _: Lane, text: &str, _: bool) -> Result<StreamStep, Fault> {
        let next = if text.contains(self.0) { Next::Stop(deny("pii_found")) } else { Next::More };
        Ok(StreamStep { next, ..StreamStep::pass() })
    }

    fn finish(&mut self, _: &Usage) -> Result<Closing, Fault> {
        Ok(Closing::default())
    }
}

fn stops(word: &'static str) -> Arc<dyn Policy> {
    let yaml = "hooks: [stream]\nreads: content\ndeclares: { codes: [pii_found] }";
    Arc::new(Fake { word, ..fake(yaml) })
}

struct Facts(AtomicU32);

impl LiveFacts for Facts {
    fn live(&self, target: u16) -> Live {
        let in_flight = self.0.load(Ordering::Relaxed);
        Live { target, healthy: true, headroom: 1.0, in_flight, ttft_p50_ms: 100, ..Live::default() }
    }
}

fn target(id: &str, input: u64) -> Target {
    use weir_llm::price::Rate;
    use weir_llm::usage::Class;
    let rate = |class, pico_per_unit| Rate { class, pico_per_unit };
    let rates = [rate(Class::Input, input), rate(Class::Output, 0)].into();
    Target { provider: "sim".into(), model: id.into(), rates, ..Target::bare(id) }
}

fn candidates(ids: &[&str], facts: Arc<dyn LiveFacts>) -> Arc<Candidates> {
    let table: Vec<Target> = ids.iter().zip(1..).map(|(id, n)| target(id, n * 1_000_000)).collect();
    let allowed = (0..u16::try_from(ids.len()).unwrap()).collect();
    Arc::new(Candidates { table: table.into(), allowed, facts })
}

const SECRET: &str = "my-card-is-4111111111111111";

fn view() -> Arc<RequestView> {
    let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{SECRET}"}}]}}"#);
    let request = Arc::new(Request::parse(Api::Chat, body.into()).unwrap());
    let head = Head {
        request_id: "req_1".into(),
        api: Api::Chat,
        requested_model: "m".into(),
        stream: false,
        tenant: "acme".into(),
        project: "team".into(),
        key_id: "key_1".into(),
        user_hash: Some("u".into()),
        region: "eu".into(),
        class: DataClass::Restricted,
        retention: Retention::Unknown,
        demands: None,
        tags: [("tier".into(), "gold".into()), ("colour".into(), "red".into())].into(),
        deadline_ms: 1_000,
        est_input_tokens: 1_000,
        max_output_tokens: Some(10),
        segment_count: 1,
        body_bytes: request.body().len() as u64,
        needs: Needs::default(),
        attempt: 0,
        budget: None,
    };
    Arc::new(RequestView::new(head, request, Vec::new()))
}

/// A question for a route policy.
pub(super) fn question(ids: &[&str]) -> (Arc<RequestView>, Arc<Candidates>) {
    (view(), candidates(ids, Arc::new(Facts(AtomicU32::new(0)))))
}

/// Asks the live version and tells the shadow, as the pipeline does.
fn ask(shadow: &Shadowing, live: &Arc<dyn Policy>, question: &Question) {
    let answer = question.ask(&**live);
    shadow.asked(question.clone(), &answer, Duration::from_micros(5));
}

fn shadow(live: &Arc<dyn Policy>, candidate: &Arc<dyn Policy>) -> Arc<Shadowing> {
    Shadowing::start(Versions { live: Arc::clone(live), candidate: Arc::clone(candidate) }).unwrap()
}

/// Waits until so many questions were compared, and the examples are there.
pub(super) fn report(shadow: &Shadowing, asked: u64) -> Value {
    for _ in 0..2_000 {
        let report = shadow.json();
        let done = report["changes"].as_array().unwrap().iter().all(|change| change["example"].is_object());
        if report["asked"] == asked && done {
            shadow.end();
            return report;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    panic!("{}", shadow.json());
}

fn plan(target: u16) -> Result<Decision, Fault> {
    Ok(Decision::Plan(Plan::ordered([target], "test")))
}

fn deny(code: &str) -> Deny {
    Deny { status: 403, code: code.into(), message: SECRET.into(), retry_after_ms: None }
}

#[test]
fn a_change_of_plan_is_reported_with_its_cost_and_its_smallest_example() {
    let live = router(|_, _| plan(0));
    // Gold is sent elsewhere, as long as the other target is there.
    let candidate = router(|view, candidates| {
        let gold = view.head().tags.iter().any(|(name, value)| name == "tier" && value == "gold");
        if gold && candidates.allowed.contains(&1) { plan(1) } else { plan(0) }
    });
    let shadow = shadow(&live, &candidate);
    let (view, candidates) = question(&["sim/a", "sim/b", "sim/c"]);
    for _ in 0..4 {
        ask(
            &shadow,
            &live,
            &Question::Route { view: Arc::clone(&view), candidates: Arc::clone(&candidates) },
        );
    }
    let report = report(&shadow, 4);
    assert_eq!(report["changed_percent"], "100%");
    let change = &report["changes"][0];
    assert_eq!((&change["kind"], &change["count"]), (&"route: plan(sim/a) → plan(sim/b)".into(), &4.into()));
    // A thousand tokens at a millionth of a dollar, and at two.
    assert_eq!(report["cost"]["live_usd"], "0.004000000");
    assert_eq!(report["cost"]["difference_usd"], "0.004000000");
    assert_eq!(report["cost"]["difference_percent"], "100%");
    let example = &change["example"];
    assert_eq!(example["minimal"], true);
    let ids: Vec<_> = example["candidates"].as_array().unwrap().iter().map(|c| c["id"].clone()).collect();
    assert_eq!(ids, ["sim/a", "sim/b"], "both are named by the kind of change, the third one is not");
    assert_eq!(example["head"]["tags"], serde_json::json!([["tier", "gold"]]));
    for gone in ["tenant", "project", "key", "region", "max_output_tokens"] {
        assert!(example["head"].get(gone).is_none(), "{gone} does not matter: {example}");
    }
    assert_eq!(example["candidates"][0]["ttft_p50_ms"], 0, "nor does how fast it was");
}

/// What neither version would be asked about is no evidence that they agree.
#[test]
fn what_both_are_spared_is_not_counted() {
    let yaml = "hooks: [guard]\nreads: content\nwhen: { finds: [m] }\nmatchers: [{ name: m, literals: [";
    let seeker = |word: &str| -> Arc<dyn Policy> {
        let block = |_: &RequestView| {
            let outcome = Guarded::Block(deny("pii_found"));
            Ok(GuardVerdict { outcome, findings: Vec::new(), tags: Vec::new() })
        };
        Arc::new(Fake { guard: Some(Box::new(block)), ..fake(&format!("{yaml}{word}] }}]")) })
    };
    let (blind, keen) = (seeker("nowhere-to-be-found"), seeker("a"));
    assert_eq!(report(&guarded(&blind, &blind), 1)["changed_percent"], "100%", "the route alone");
    assert_eq!(report(&guarded(&blind, &keen), 2)["new_refusals"], 1);
}

#[test]
fn a_guard_that_is_not_asked_lets_pass() {
    let passes = |yaml: &str| -> Arc<dyn Policy> {
        let pass = |_: &RequestView| Ok(GuardVerdict::pass());
        Arc::new(Fake { guard: Some(Box::new(pass)), ..fake(yaml) })
    };
    let (all, large) =
        (passes("hooks: [guard]"), passes("hooks: [guard]\nwhen: { min_body_bytes: 1000000 }"));
    assert_eq!(report(&guarded(&all, &large), 2)["changed_percent"], "50%", "the route alone");
}

/// A guard is asked once.
fn guarded(live: &Arc<dyn Policy>, candidate: &Arc<dyn Policy>) -> Arc<Shadowing> {
    let (shadow, question) = (shadow(live, candidate), Question::Guard { view: view() });
    let pass = question.spared(&**live).map_or_else(|| question.ask(&**live), Ok);
    shadow.asked(question, &pass, Duration::from_micros(5));
    // The queue is in order: when this one is compared, so was the one before.
    let (view, candidates) = self::question(&["sim/a"]);
    shadow.asked(Question::Route { view, candidates }, &plan(0).map(Answer::Route), Duration::ZERO);
    shadow
}

#[test]
fn new_refusals_and_faults_are_counted_and_no_content_is_in_the_report() {
    let verdict = |outcome| Ok(GuardVerdict { outcome, findings: Vec::new(), tags: Vec::new() });
    let live = guard(move |_| verdict(Guarded::Pass));
    let candidate = guard(move |view| {
        let said = view.text(0, 0, 100).unwrap();
        match view.head().attempt {
            0 => verdict(Guarded::Block(deny("pii_found"))),
            1 => verdict(Guarded::Block(deny(&said))),
            2 => verdict(Guarded::Answer(said)),
            _ => Err(Fault::new(FaultKind::Trap, "x")),
        }
    });
    let shadow = shadow(&live, &candidate);
    for attempt in 0..4 {
        let view = view();
        let head = Head { attempt, ..view.head().clone() };
        ask(&shadow, &live, &Question::Guard { view: Arc::new(view.with_head(head)) });
    }
    let report = report(&shadow, 4);
    let kinds: Vec<_> = report["changes"].as_array().unwrap().iter().map(|change| &change["kind"]).collect();
    let wanted = ["block(pii_found)", "block(undeclared)", "answer", "fault(trap)"];
    assert_eq!(kinds, wanted.map(|said| serde_json::json!(format!("guard: pass → {said}"))).each_ref());
    assert_eq!((&report["new_refusals"], &report["faults"]["candidate"]), (&2.into(), &1.into()));
    assert!(!report.to_string().contains("4111"), "{report}");
}

#[test]
fn a_stream_is_told_to_the_candidate_when_it_is_over() {
    let live = stops("never said");
    let shadow = shadow(&live, &stops("card"));
    let lane = Lane { choice: 0, kind: DeltaKind::Content, index: 0 };
    let piece = |text: &str, last| Piece::Text { lane, text: text.into(), last };
    for text in ["my card is", "hello"] {
        let pieces = vec![piece(text, false), piece(SECRET, true)];
        let heard = Arc::new(Heard { hook: Hook::Stream, pieces, usage: Usage::default() });
        let passed = Passed { lanes: vec![(lane, format!("{text}{SECRET}"))], edited: false, stopped: None };
        let question = Question::Stream { view: view(), heard };
        shadow.asked(question, &Ok(Answer::Stream(passed)), Duration::from_micros(5));
    }
    let report = report(&shadow, 2);
    assert_eq!(report["changed"], 2, "the secret's own words hold a card: {report}");
    assert_eq!(report["changes"][0]["kind"], "stream: pass → stop(pii_found)");
    assert_eq!(report["new_refusals"], 2);
    assert!(!report.to_string().contains("4111"), "{report}");
}

#[test]
fn a_shadow_taints_no_call_of_the_exchange_and_leaves_no_note() {
    let live = guard(|_| Ok(GuardVerdict::pass()));
    let candidate = guard(|view| {
        let _ = view.text(0, 0, 10);
        view.annotate("seen", "yes").unwrap();
        Ok(GuardVerdict::pass())
    });
    let shadow = shadow(&live, &candidate);
    let view = view();
    ask(&shadow, &live, &Question::Guard { view: Arc::clone(&view) });
    let report = report(&shadow, 1);
    assert_eq!(report["changed"], 0);
    assert!(!view.tainted() && view.notes().is_empty());
}

#[test]
fn facts_stand_still_between_the_two_answers() {
    let least = |_: &RequestView, candidates: &Candidates| plan(u16::from(candidates.live(0).in_flight > 5));
    let (live, candidate) = (router(least), router(least));
    let shadow = shadow(&live, &candidate);
    let facts = Arc::new(Facts(AtomicU32::new(0)));
    let candidates = candidates(&["sim/a", "sim/b"], Arc::clone(&facts) as _);
    for _ in 0..20 {
        ask(&shadow, &live, &Question::Route { view: view(), candidates: Arc::clone(&candidates) });
        facts.0.store(10 - facts.0.load(Ordering::Relaxed), Ordering::Relaxed);
    }
    assert_eq!(report(&shadow, 20)["changed"], 0);
}

#[test]
fn what_comes_faster_than_the_candidate_answers_is_dropped_and_counted() {
    let live = router(|_, _| plan(0));
    let candidate = router(|_, _| {
        std::thread::sleep(Duration::from_millis(20));
        plan(0)
    });
    let shadow = shadow(&live, &candidate);
    let (view, candidates) = question(&["sim/a"]);
    for _ in 0..1_000 {
        ask(
            &shadow,
            &live,
            &Question::Route { view: Arc::clone(&view), candidates: Arc::clone(&candidates) },
        );
    }
    assert!(shadow.json()["dropped"].as_u64().unwrap() >= 700);
    shadow.end();
}

#[test]
fn reasons_and_messages_are_no_decisions() {
    let (view, candidates) = question(&["sim/a"]);
    let question = Question::Route { view, candidates };
    let said = |answer: &Result<Answer, Fault>| diff::said(&question, answer, &Default::default(), false);
    let one = Ok(Answer::Route(Decision::Plan(Plan::ordered([0], "one"))));
    let two = Ok(Answer::Route(Decision::Plan(Plan::ordered([0], "two"))));
    assert_eq!(diff::kind(&question, (&one, &said(&one)), (&two, &said(&two))), None);
    let mut other = Plan::ordered([0], "one");
    other.steps[0].max_retries = 3;
    let other = Ok(Answer::Route(Decision::Plan(other)));
    let kind = diff::kind(&question, (&one, &said(&one)), (&other, &said(&other)));
    assert_eq!(kind.as_deref(), Some("route: plan(sim/a), in its details"));
}

#[test]
fn a_plan_for_a_target_that_is_no_candidate_is_a_fault() {
    let (view, candidates) = question(&["sim/a"]);
    let question = Question::Route { view, candidates };
    let answer = diff::checked(&question, Ok(Answer::Route(Decision::Plan(Plan::ordered([7], "")))));
    assert_eq!(answer.unwrap_err().kind, FaultKind::BadAnswer);
}

/// Asks the pipeline of a yard so often.
fn route(yard: &Yard, times: u32) {
    let (view, candidates) = question(&["sim/a", "sim/b"]);
    for _ in 0..times {
        let mut trace = Vec::new();
        let routed = yard.pipeline.route(&view, &candidates, &mut trace);
        let _ = futures::executor::block_on(routed);
    }
}

fn staged(requests: u32) -> ShipOptions {
    let shadow = Some(ShadowOptions { requests: Some(requests), span: None });
    ShipOptions { shadow, ..ShipOptions::default() }
}

fn until(yard: &mut Yard, what: &str, done: impl Fn(&Yard) -> bool) {
    for _ in 0..2_000 {
        yard.look();
        if done(yard) {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    panic!("{what}: {}", yard.ship.status("p").unwrap());
}

#[test]
fn a_candidate_that_decides_the_same_goes_live_by_itself() {
    let mut yard = Yard::new("", &script("1.0.0", "plan(targets)"));
    let next = script("2.0.0", "plan(targets.filter(|t| true))");
    yard.push(&next, staged(10)).unwrap();
    route(&yard, 10);
    until(&mut yard, "it goes live", |yard| yard.live() == super::content(&next));
}

#[test]
fn a_candidate_that_decides_otherwise_waits_and_one_that_fails_is_taken_back() {
    let mut yard = Yard::new("", &script("1.0.0", "plan(targets)"));
    yard.push(&script("2.0.0", "abstain()"), staged(10)).unwrap();
    route(&yard, 10);
    until(&mut yard, "it waits", |yard| {
        yard.ship.status("p").unwrap()["candidate"]["waits"].as_str().is_some_and(|why| why.contains("100%"))
    });
    let status = yard.ship.status("p").unwrap();
    let kind = &status["candidate"]["shadow"]["changes"][0]["kind"];
    assert_eq!(kind, "route: plan(sim/a) → abstain");
    yard.order(Order::Promote).unwrap();
    assert_eq!(yard.live(), super::content(&script("2.0.0", "abstain()")));
    yard.push(&script("3.0.0", "throw \"no\""), staged(1_000)).unwrap();
    route(&yard, 3);
    until(&mut yard, "it is taken back", |yard| yard.ship.units()["p"].stage().is_none());
    let history = yard.ship.history("p").unwrap();
    assert_eq!(history["history"][0]["how"], "failed", "{history}");
}
