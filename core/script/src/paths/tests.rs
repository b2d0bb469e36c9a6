#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::value::Value as Walked;
use crate::script::Script;
use crate::version;
use proptest::prelude::*;
use rhai::Dynamic;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use weir_llm::request::Request;
use weir_llm::usage::Class;
use weir_policy::{
    Api, Breaker, Candidates, DataClass, Decision, Grants, Head, Live, LiveFacts, Needs, Policy, RequestView,
    Retention, Target,
};

/// A script of `route` with this body.
fn script(body: &str) -> Script {
    let source = format!("//! name: tested\n//! version: 1.0.0\n//! hooks: [route]\n{body}");
    compiled(&source, &Value::Null)
}

pub(super) fn compiled(source: &str, config: &Value) -> Script {
    let version = version::load("tested.rhai", source, config, &Grants::offline());
    Script(Arc::new(version.unwrap_or_else(|error| panic!("{error}"))))
}

#[derive(Debug)]
struct Facts(Mutex<Vec<Live>>);

impl LiveFacts for Facts {
    fn live(&self, target: u16) -> Live {
        self.0.lock().unwrap().get(usize::from(target)).copied().unwrap_or_default()
    }
}

/// One request and what there is to choose from.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) tenant: String,
    pub(super) tier: Option<String>,
    pub(super) tokens: u32,
    pub(super) retention: Retention,
    pub(super) targets: Vec<(Target, Live)>,
}

fn target(n: u16, price: u64, quality: Option<f32>, tag: &str) -> Target {
    let rate = |class, pico| weir_llm::price::Rate { class, pico_per_unit: pico };
    Target {
        id: format!("p{}/{n}", n % 3).into(),
        provider: format!("p{}", n % 3).into(),
        model: n.to_string().into(),
        region: if n.is_multiple_of(2) { "eu" } else { "us" }.into(),
        retention: Retention::Unknown,
        trains: false,
        ctx_tokens: u32::from(n) * 1000,
        max_output_tokens: 0,
        quality,
        rates: Arc::new([rate(Class::Input, price), rate(Class::Output, price * 4)]),
        tags: Arc::new([tag.into()]),
        weight: 1 + n,
    }
}

impl Asked {
    pub(super) fn plain() -> Self {
        let targets = (0..4u16).map(|n| {
            let live =
                Live { target: n, healthy: true, ttft_p50_ms: 100 * u32::from(n + 1), ..Live::default() };
            (target(n, 100 - u64::from(n), Some(0.2 * f32::from(n)), "gold"), live)
        });
        Self {
            tenant: "acme".into(),
            tier: None,
            tokens: 10,
            retention: Retention::Unknown,
            targets: targets.collect(),
        }
    }

    pub(super) fn view(&self) -> Arc<RequestView> {
        let body = r#"{"model":"fast","messages":[{"role":"user","content":"Hello."}]}"#;
        let head = Head {
            request_id: "req_1".into(),
            api: Api::Chat,
            requested_model: "fast".into(),
            stream: false,
            tenant: self.tenant.as_str().into(),
            project: "".into(),
            key_id: "key_1".into(),
            user_hash: None,
            region: "".into(),
            class: DataClass::Internal,
            retention: self.retention,
            tags: self.tier.iter().map(|tier| ("tier".to_owned(), tier.clone())).collect(),
            deadline_ms: 60_000,
            est_input_tokens: self.tokens,
            max_output_tokens: None,
            segment_count: 1,
            body_bytes: body.len() as u64,
            needs: Needs::default(),
            attempt: 0,
            budget: None,
            demands: None,
        };
        let chat = Request::parse(Api::Chat, bytes::Bytes::from_static(body.as_bytes())).unwrap();
        Arc::new(RequestView::new(head, Arc::new(chat), Vec::new()))
    }

    fn candidates(&self) -> Arc<Candidates> {
        let live = self.targets.iter().map(|(_, live)| *live).collect();
        Arc::new(Candidates {
            table: self.targets.iter().map(|(target, _)| target.clone()).collect(),
            allowed: (0..u16::try_from(self.targets.len()).unwrap()).collect(),
            facts: Arc::new(Facts(Mutex::new(live))),
        })
    }
}

fn ask(script: &Script, asked: &Asked) -> Result<Decision, String> {
    script.route(&asked.view(), &asked.candidates()).map_err(|fault| fault.message)
}

/// Whether a path of the script fits this request.
fn follows(script: &Script, asked: &Asked) -> bool {
    let view = asked.view();
    let targets = crate::api::targets::Targets::all(&asked.candidates(), view.head());
    let head = crate::api::head::HeadHandle::View(view);
    let mut roots = vec![Walked::Head(head), Walked::List(targets)];
    crate::meter::start(&script.0.manifest().limits);
    matches!(script.0.routes.follow(&mut roots), Some(Ok(_)))
}

#[test]
fn the_second_request_follows_the_first() {
    let script = script(
        "fn route(head, targets, config) { plan(targets.healthy().or(targets).cheapest()).reason(\"x\") }",
    );
    let mut asked = Asked::plain();
    assert!(!follows(&script, &asked));
    let first = ask(&script, &asked).unwrap();
    assert!(follows(&script, &asked));
    assert_eq!(ask(&script, &asked).unwrap(), first);

    // Another price, another health: the path holds, the plan is another one.
    asked.targets[3].1.healthy = false;
    asked.targets.truncate(3);
    asked.targets[0].0 = target(0, 1, None, "gold");
    assert!(follows(&script, &asked));
    let Decision::Plan(plan) = ask(&script, &asked).unwrap() else { panic!("no plan") };
    assert_eq!(plan.steps.iter().map(|step| step.target).collect::<Vec<_>>(), [0, 2, 1]);
    assert_eq!(&*plan.reason, "x");
}

#[test]
fn paths_fork_where_a_plain_value_differs() {
    let script = script(
        "fn route(head, targets, config) {
            if head.tenant == \"acme\" { return plan(targets.take(1)); }
            if targets.with_tag(\"gold\").is_empty { return deny(403, \"none\", \"None.\"); }
            plan([step(targets.with_tag(\"gold\")[0]).weight(7), targets.reverse().first()]).weighted()
        }",
    );
    let acme = Asked::plain();
    let other = Asked { tenant: "other".into(), ..Asked::plain() };
    let mut none = other.clone();
    none.targets.iter_mut().for_each(|(target, _)| target.tags = Arc::new([]));
    for asked in [&acme, &other, &none] {
        assert!(!follows(&script, asked));
        ask(&script, asked).unwrap();
    }
    for asked in [&acme, &other, &none] {
        assert!(follows(&script, asked));
    }
    let Decision::Plan(plan) = ask(&script, &other).unwrap() else { panic!("no plan") };
    assert_eq!((plan.steps[0].weight, plan.steps[1].target), (7, 3));
    assert!(matches!(ask(&script, &none).unwrap(), Decision::Deny(_)));
}

/// A fact that differs from one request to the next, as the warmth of prompt caches does, is read for each.
#[test]
fn a_path_reads_the_facts_of_the_request_that_goes_it() {
    let script = script(
        "fn route(head, targets, config) {
            plan(targets.sort_by_desc(\"prompt_cache_warm\").take(1).then(targets)).reason(\"warm\")
        }",
    );
    let first = |warm: usize| {
        let mut asked = Asked::plain();
        asked.targets[warm].1.prompt_cache_warm = 0.75;
        let Decision::Plan(plan) = ask(&script, &asked).unwrap() else { panic!("no plan") };
        (plan.steps[0].target, follows(&script, &asked))
    };
    assert_eq!([first(2), first(1), first(3)], [(2, true), (1, true), (3, true)]);
}

#[test]
fn a_script_reads_warmth_if_it_or_its_config_names_it() {
    let reads = |body: &str, config: Value| {
        let header =
            "//! name: tested\n//! version: 1.0.0\n//! hooks: [route]\n//! config_schema: { type: object }";
        compiled(&format!("{header}\nfn route(head, targets, config) {{ {body} }}"), &config).reads_warmth()
    };
    assert!(!reads("plan(targets.healthy())", json!({})));
    assert!(reads("plan(targets.filter(|t| t.prompt_cache_warm > 0.5).or(targets))", json!({})));
    let by_config = "plan(targets.sort_by_desc(config.get(\"by\", \"headroom\")))";
    assert!(!reads(by_config, json!({})));
    assert!(reads(by_config, json!({ "by": "prompt_cache_warm" })));
}

#[test]
fn a_script_reads_headers_if_it_names_them_or_the_conversation() {
    let reads = |body: &str| {
        let header = "//! name: tested\n//! version: 1.0.0\n//! hooks: [guard]\n//! reads: content";
        compiled(&format!("{header}\nfn guard(request, config) {{ {body} }}"), &json!({})).reads_headers()
    };
    assert!(!reads("pass()"));
    assert!(reads("request.header(\"x-team\"); pass()"));
    assert!(reads("request.session(); pass()"));
}

/// What is changed in place keeps its earlier copies.
#[test]
fn a_copy_is_not_changed_with_the_original() {
    let script = script(
        "fn route(head, targets, config) {
            let a = plan(targets).reason(\"first\");
            let b = a;
            a.reason(\"second\");
            a.hedge(5);
            if targets.len == 4 { b } else { a }
        }",
    );
    let four = Asked::plain();
    let mut three = Asked::plain();
    three.targets.truncate(3);
    for asked in [&four, &three, &four, &three] {
        let Decision::Plan(plan) = ask(&script, asked).unwrap() else { panic!("no plan") };
        assert_eq!(&*plan.reason, if asked.targets.len() == 4 { "first" } else { "second" });
    }
    assert!(follows(&script, &four) && follows(&script, &three));
}

/// Loops and closures see single targets: the path holds for lists in which the same ones stand.
#[test]
fn loops_and_closures() {
    let script = script(
        "fn route(head, targets, config) {
            let good = targets.filter(|t| t.quality != () && t.quality > 0.3);
            let best = ();
            for t in good { if best == () || t.ctx_tokens > best.ctx_tokens { best = t; } }
            if best == () { return abstain(); }
            plan(best).reason(best.id)
        }",
    );
    let asked = Asked::plain();
    let first = ask(&script, &asked).unwrap();
    assert!(follows(&script, &asked));
    assert_eq!(ask(&script, &asked).unwrap(), first);
    let mut fewer = asked.clone();
    fewer.targets.truncate(3);
    assert!(!follows(&script, &fewer));
    let Decision::Plan(plan) = ask(&script, &fewer).unwrap() else { panic!("no plan") };
    assert_eq!(&*plan.reason, "p2/2");
}

#[test]
fn what_differs_each_time_is_interpreted() {
    for body in [
        "(head, targets, config) { plan(targets).reason(head.request_id) }",
        "(head, targets, config) { if head.deadline_ms > 5 { plan(targets) } else { abstain() } }",
        "(head, targets, config) { try { targets[99] } catch { } plan(targets) }",
        "(head, targets, config) { if head.tags.len() > 9 { abstain() } else { plan(targets) } }",
        "(head, targets, config, request) { if request.header(\"x\") == () { plan(targets) } else { abstain() } }",
    ] {
        let script = script(&format!("fn route{body}"));
        let asked = Asked::plain();
        ask(&script, &asked).unwrap();
        assert!(!follows(&script, &asked), "{body}");
    }
}

/// What a closure shares with the function around it may change after it was handed on.
#[test]
fn a_shared_variable_is_no_constant() {
    use super::tree::{Seen, seen};
    let shared = Dynamic::from("overloaded".to_owned()).into_shared();
    assert!(matches!(seen(&shared), Seen::Other));
    assert!(matches!(seen(&Dynamic::from(vec![shared])), Seen::Array));
    assert!(matches!(seen(&Dynamic::from(vec![Dynamic::from(1_i64)])), Seen::Plain));
}

/// What nobody foresaw: a script that does another thing after the same values has no paths any more.
#[test]
fn a_contradiction_ends_all_paths() {
    let script = script("fn route(head, targets, config) { plan(targets).reason(\"x\") }");
    ask(&script, &Asked::plain()).unwrap();
    let other = Script(Arc::new(
        version::load(
            "other.rhai",
            "//! name: other\n//! version: 1.0.0\n//! hooks: [route]\nfn route(head, targets, config) { plan(targets).sticky(\"x\") }",
            &Value::Null,
            &Grants::offline(),
        )
        .unwrap(),
    ));
    let asked = Asked::plain();
    let (view, candidates) = (asked.view(), asked.candidates());
    let targets = crate::api::targets::Targets::all(&candidates, view.head());
    let head = crate::api::head::HeadHandle::View(Arc::clone(&view));
    let mut arguments = [Dynamic::from(head), Dynamic::from(targets), Dynamic::UNIT];
    let found = other.0.found("route").unwrap();
    let call = |arguments: &mut [Dynamic]| other.0.call(found, crate::call::Seen::request(&view), arguments);
    let (answer, path) = super::watch::watch(&mut arguments, 2, call);
    assert!(answer.is_ok());
    script.0.routes.learn(path.unwrap());
    assert!(!follows(&script, &asked) && !script.0.routes.lesson());
}

#[test]
fn nothing_is_learned_from_zero_retention() {
    let script = script("fn route(head, targets, config) { plan(targets).reason(head.tenant) }");
    let zero = Asked { retention: Retention::Zero, ..Asked::plain() };
    ask(&script, &zero).unwrap();
    assert!(!follows(&script, &zero));
    ask(&script, &Asked::plain()).unwrap();
    assert!(follows(&script, &zero));
}

/// A script whose requests never repeat is left alone in the end.
#[test]
fn paths_that_nobody_goes_are_given_up() {
    let script =
        script("fn route(head, targets, config) { plan(targets).reason(`${head.est_input_tokens}`) }");
    for tokens in 0..1000 {
        let Decision::Plan(plan) = ask(&script, &Asked { tokens, ..Asked::plain() }).unwrap() else {
            panic!("no plan")
        };
        assert_eq!(&*plan.reason, tokens.to_string());
    }
    assert!(script.0.routes.tree.load().is_none());
}

fn live() -> impl Strategy<Value = Live> {
    (any::<bool>(), 0..3u8, 0..4u32, 0..5u32, 0..3u8, 0..3u8).prop_map(
        |(healthy, breaker, busy, slow, bad, warm)| Live {
            healthy,
            breaker: [Breaker::Closed, Breaker::HalfOpen, Breaker::Open][usize::from(breaker)],
            in_flight: busy * 20,
            ttft_p50_ms: slow * 100,
            ttft_p95_ms: slow * 250,
            err_rate_1m: f32::from(bad) * 0.1,
            prompt_cache_warm: f32::from(warm) * 0.5,
            ..Live::default()
        },
    )
}

fn asked() -> impl Strategy<Value = Asked> {
    let of_target = (0..4u64, proptest::option::of(0..4u8), 0..3usize, live());
    let targets = proptest::collection::vec(of_target, 1..6).prop_map(|targets| {
        let built = targets.into_iter().enumerate().map(|(n, (price, quality, tag, live))| {
            let n = u16::try_from(n).unwrap();
            let quality = quality.map(|quality| f32::from(quality) * 0.3);
            let tag = ["gold", "eu", "batch"][tag];
            (target(n, price * 1000, quality, tag), Live { target: n, ..live })
        });
        built.collect()
    });
    let tier = proptest::option::of(proptest::sample::select(vec!["gold", "free"]));
    (proptest::sample::select(vec!["acme", "other", "third"]), tier, 0..3u32, targets).prop_map(
        |(tenant, tier, tokens, targets)| Asked {
            tenant: tenant.into(),
            tier: tier.map(str::to_owned),
            tokens: tokens * 4000,
            retention: Retention::Unknown,
            targets,
        },
    )
}

/// What lists can do, with what `corpus` has of it besides.
const OF_LISTS: [&str; 3] = [
    "let x = targets.with_tag(\"gold\").then(targets.without_tag(\"eu\")).with_provider(\"p0\"); \
         plan(if x.is_empty() { targets.priced().fits(1500).max_in_flight(20).or(targets) } else { x })",
    "let x = targets.min_quality(0.5).max_err_rate(0.2).within_slo(500); \
         plan(if x.is_empty { targets.least_busy().largest_context() } else { x.min_quality(0).order(\"balanced\") })",
    "plan(targets.balanced().then(targets.filter(|t| t.healthy)).without(targets.first()).then(targets[0]))",
];

#[test]
fn what_lists_do_is_on_a_path() {
    for body in OF_LISTS {
        let script = script(&format!("fn route(head, targets, config) {{ {body} }}"));
        let asked = Asked::plain();
        ask(&script, &asked).unwrap();
        assert!(follows(&script, &asked), "{body}");
    }
}

/// Scripts that do with lists and plans all that can be done, and the one that is shipped, in several configs.
fn corpus() -> Vec<(String, Value)> {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies/route.rhai");
    let shipped = std::fs::read_to_string(shipped).unwrap();
    let mut all: Vec<(String, Value)> = [
        json!({}),
        json!({ "strategy": "balanced", "slo_ttft_ms": 400, "min_quality": 0.5 }),
        json!({ "strategy": "fastest", "prefer_tag": "tier", "tenant_tags": { "acme": "gold", "other": "eu" } }),
    ]
    .into_iter()
    .map(|config| (shipped.clone(), config))
    .collect();
    for body in [
        "let l = targets.sort_by(\"in_flight\"); if l[0].in_flight > 30 { l = l.reverse(); } plan(l)",
        "let a = targets.in_region(\"eu\"); let b = targets.without(a); plan(a.then(b)).retry_on([\"overloaded\"])",
        "let p = plan(targets.rotate(head.est_input_tokens)); if head.tag(\"tier\") == \"gold\" { p.hedge(5); } p",
        "let n = 0; for t in targets.healthy() { if t.has_tag(\"gold\") { n += 1; } } \
         if n == 0 { abstain() } else { plan(targets.take(n)).reason(`${n}`) }",
        "let all = []; for t in targets { all.push(step(t).weight(t.index + 1)); } all.reverse(); plan(all).weighted()",
        "let f = targets.find(\"p0/0\"); if f == () { return deny(403, \"x\", \"y\").retry_after_ms(7); } \
         plan(targets.without(f).then(f)).timeout_total_ms(9)",
        "let m = #{ a: targets.cheapest(), b: targets.fastest() }; \
         plan(if m.a[0].id == m.b[0].id { m.a } else { m.b.best_quality() })",
        "let x = targets.filter(|t| t.err_rate_1m < 0.15 && t.healthy); plan(x.or(targets).balanced(2.0, 1.0))",
        "let x = \"overloaded\"; let a = [0].map(|v| switch v { 0 => x, _ => x }); \
         let p = plan(targets).retry_on(a); x = \"network\"; p",
        "let good = targets.healthy(); let p = plan(good.or(targets)); \
         let n = [1, 2].map(|v| good.len + v); p.reason(`${n}`); p",
        "let c = []; for t in targets { if t.healthy { c.push(\"network\"); } } plan(targets).retry_on(c)",
        "if head.tags.tier == \"gold\" { plan(targets.cheapest()) } else { plan(targets.reverse()) }",
        "let p = plan(targets); let all = [p]; all[0].reason(\"in a list\"); if targets.len > 2 { p } else { all[0] }",
        "let warm = targets.filter(|t| t.prompt_cache_warm >= 0.5).sort_by_desc(\"prompt_cache_warm\"); \
         plan(warm.take(1).then(targets))",
        "let a = targets.cheapest(); let b = targets.healthy().then(a); \
         if head.tenant == \"acme\" { plan(b) } else { plan(b.take(1).then(a).without(b.without(a)).or(a)) }",
        "plan(targets.order(if targets.len() > 2 { \"nowhere\" } else { \"cheapest\" }))",
        "let q = 0.4; let x = targets.filter(|t| t.quality == () || t.quality > q); plan(x.or(targets))",
    ]
    .into_iter()
    .chain(OF_LISTS)
    {
        let header = "//! name: tested\n//! version: 1.0.0\n//! hooks: [route]\n";
        all.push((format!("{header}fn route(head, targets, config) {{ {body} }}"), Value::Null));
    }
    let changes = "//! name: tested\n//! version: 1.0.0\n//! hooks: [route]\n\
        fn named(p, why) { p.reason(why); p }\nfn own() { this.hedge(9); this }\n\
        fn route(head, targets, config) { let p = plan(targets); let q = named(p, head.tenant); \
        if targets.len > 3 { p.own() } else { q } }";
    all.push((changes.to_owned(), Value::Null));
    all
}

/// Each script answers the same whether it has paths or was never asked before.
pub(super) fn path_is_script<Q, A: Clone + PartialEq + std::fmt::Debug>(
    corpus: Vec<(String, Value)>,
    questions: &[Q],
    ask: impl Fn(&Script, &Q) -> A,
) -> Result<(), TestCaseError> {
    for (source, config) in corpus {
        let with_paths = compiled(&source, &config);
        for question in questions {
            let interpreted = ask(&compiled(&source, &config), question);
            prop_assert_eq!(ask(&with_paths, question), interpreted.clone(), "{}", source);
            prop_assert_eq!(ask(&with_paths, question), interpreted, "{}", source);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The invariant: a script with paths answers what the same script answers that was never asked before.
    #[test]
    fn a_path_answers_what_the_script_would(requests in proptest::collection::vec(asked(), 1..24)) {
        path_is_script(corpus(), &requests, ask)?;
    }
}
