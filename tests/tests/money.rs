//! Money is exact: held before the call, posted after it, never overspent, and only for what was had.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use std::sync::Arc;
use weir_tests::{Act, Gate, Setup, Upstream, reply, soon};

fn ask(stream: bool) -> Value {
    json!({ "model": "m", "stream": stream, "max_tokens": 10, "messages": [{ "role": "user", "content": "hi" }] })
}

/// 60 tokens in, 40 cached, 10 out at 1, 0.5 and 10 dollars a million.
const CHARGE: i64 = 180_000;

#[tokio::test]
async fn a_hard_budget_that_fits_exactly_k_calls_lets_exactly_k_through() {
    const CLIENTS: usize = 64;
    const K: usize = 17;
    let gate = Gate::new();
    let held = gate.clone();
    let upstream = Upstream::start(move |call| {
        // As dear as the hold: every byte of the body a token at the dearest rate, and all of max_tokens.
        let length = call.get("content-length").unwrap().parse().unwrap();
        let body = reply::completion("x", length, 0, 10);
        Act::new().wait(&held).then(Act::json(200, &body))
    })
    .await;
    let one =
        format!("providers:\n  one: {{ base_url: 'http://{}/v1', keys: [sk-one] }}\n", upstream.address);
    let setup = Setup::new(
        one + "models:\n  m: { targets: [{ target: one/m, prices: { input: 1, output: 10 } }] }\n",
    );
    let gateway = Arc::new(setup.start().await);
    let body = ask(false);
    // The alias and the model are of one length, so the body that goes up is as long as the one that came.
    let hold = i64::try_from(body.to_string().len()).unwrap() * 1_000 + 10 * 10_000;
    let limit = hold * i64::try_from(K).unwrap() + hold - 1;
    let key = gateway.key(&["--budget", &format!("{}.{:09}", limit / 1_000_000_000, limit % 1_000_000_000)]);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..CLIENTS {
        let (gateway, key, body) = (Arc::clone(&gateway), key.clone(), body.clone());
        tasks.spawn(async move { gateway.chat(&key, &body).await });
    }
    let mut refused = 0;
    while refused < CLIENTS - K {
        let reply = soon("a refusal", tasks.join_next()).await.unwrap().unwrap();
        assert_eq!(reply.refused(402), "budget_exceeded", "{reply:?}");
        refused += 1;
    }
    assert_eq!(upstream.call(K - 1).await.index, K - 1, "all that fit are under way");
    gate.open();
    while let Some(reply) = tasks.join_next().await {
        assert_eq!(reply.unwrap().status(), 200);
    }
    assert_eq!(upstream.count(), K);
    let postings = gateway.postings();
    assert_eq!(postings.iter().filter(|posting| posting.outcome == "ok").count(), K);
    assert_eq!(postings.iter().map(|posting| posting.charged).sum::<i64>(), hold * i64::try_from(K).unwrap());
    gateway.ledger_check();
    // What is left does not cover one more.
    assert_eq!(gateway.chat(&key, &body).await.refused(402), "budget_exceeded");
}

#[tokio::test]
async fn what_was_held_and_not_spent_can_be_spent_later() {
    let upstream = Upstream::start(|call| {
        if call.json()["seed"] == 1 { Act::reply(500, &[], "") } else { Act::answers(call, "fine") }
    })
    .await;
    let gateway =
        Setup::pair(upstream.address, Upstream::refusing(), "retries: 0, max_attempts: 1", "").start().await;
    // The hold of one call (at the dearer target) fits, that of two does not.
    let key = gateway.key(&["--budget", "0.000700000"]);
    let mut failing = ask(false);
    failing["seed"] = json!(1);
    for _ in 0..3 {
        assert_eq!(gateway.chat(&key, &failing).await.status(), 500, "a failed call gives its hold back");
    }
    assert_eq!(gateway.chat(&key, &ask(false)).await.status(), 200);
    assert_eq!(gateway.chat(&key, &ask(true)).await.status(), 200, "180 of 700 were spent");
    let reply = gateway.chat(&key, &ask(false)).await;
    assert_eq!(reply.status(), 402, "and now 340 are left: {reply:?}");
    gateway.ledger_check();
}

#[tokio::test]
async fn usage_is_asked_for_and_hidden_unless_the_caller_asked() {
    let upstream = Upstream::saying("a few words").await;
    let gateway = Setup::pair(upstream.address, Upstream::refusing(), "", "").start().await;
    let key = gateway.key(&[]);
    let with_usage = |reply: &weir_tests::Reply| {
        reply.events().iter().filter(|event| event.contains("\"usage\":{")).count()
    };

    let hidden = gateway.chat(&key, &ask(true)).await;
    assert_eq!((with_usage(&hidden), hidden.answer().as_str()), (0, "a few words"), "{hidden:?}");
    assert_eq!(upstream.calls()[0].json()["stream_options"]["include_usage"], true);
    assert_eq!(gateway.posting(hidden.id()).charged, CHARGE);

    let mut body = ask(true);
    body["stream_options"] = json!({ "include_usage": true });
    let shown = gateway.chat(&key, &body).await;
    assert_eq!(with_usage(&shown), 1, "{shown:?}");
    assert_eq!(upstream.calls()[1].json()["stream_options"], body["stream_options"]);

    body["stream_options"] = json!({ "include_usage": false, "other": 1 });
    let hidden = gateway.chat(&key, &body).await;
    assert_eq!(with_usage(&hidden), 0, "{hidden:?}");
    assert_eq!(upstream.calls()[2].json()["stream_options"], json!({ "include_usage": true, "other": 1 }));
    gateway.ledger_check();
}

#[tokio::test]
async fn cached_input_is_priced_at_its_discount() {
    let upstream = Upstream::saying("fine").await;
    let gateway = Setup::pair(upstream.address, Upstream::refusing(), "", "").start().await;
    let key = gateway.key(&[]);
    let reply = gateway.chat(&key, &ask(false)).await;
    assert_eq!(reply.get("x-weir-cost"), Some("0.000180000"));
    let posting = gateway.posting(reply.id());
    assert_eq!((posting.input, posting.cached_input, posting.output), (60, 40, 10));
    assert_eq!(
        (posting.charged, posting.provider_cost, posting.saved_cached),
        (CHARGE, Some(CHARGE), 20_000)
    );
    assert!(posting.counted);
    let usage = gateway.usage("model");
    assert_eq!(usage["rows"][0]["group"], "m1");
    assert_eq!(usage["rows"][0]["charged_usd"], "0.000180000");
    assert_eq!(usage["rows"][0]["saved_by_cached_input_usd"], "0.000020000");
}

#[tokio::test]
async fn a_cache_hit_costs_nothing_and_records_what_it_saved() {
    let upstream = Upstream::saying("said once").await;
    let gateway =
        Setup::pair(upstream.address, Upstream::refusing(), "cache: { ttl: 60s }", "").start().await;
    let (key, other) = (gateway.key(&[]), gateway.key(&["--budget", "1"]));
    let miss = gateway.chat(&key, &ask(false)).await;
    assert_eq!(miss.get("x-weir-cache"), Some("miss"));
    for key in [&key, &other] {
        let hit = gateway.chat(key, &ask(false)).await;
        assert_eq!((hit.get("x-weir-cache"), hit.answer()), (Some("hit"), miss.answer()), "{hit:?}");
        assert_eq!((hit.get("x-weir-cost"), hit.get("x-weir-target")), (Some("0.000000000"), Some("one/m1")));
        let posting = gateway.posting(hit.id());
        let money = (posting.charged, posting.provider_cost, posting.saved_cache, posting.attempts);
        assert_eq!((posting.outcome, money), ("cache-hit", (0, Some(0), CHARGE, 0)), "{posting:?}");
    }
    // A stream is another request; once complete, it is replayed as one.
    let streamed = gateway.chat(&key, &ask(true)).await;
    let again = gateway.chat(&key, &ask(true)).await;
    assert_eq!((again.get("x-weir-cache"), again.answer()), (Some("hit"), streamed.answer()), "{again:?}");
    assert_eq!(again.events().last().map(String::as_str), Some("[DONE]"));

    let off = gateway.chat_with(&key, &ask(false), &[("x-weir-cache", "off")]).await;
    assert_eq!(off.get("x-weir-cache"), Some("bypass"));
    let refresh = gateway.chat_with(&key, &ask(false), &[("x-weir-cache", "refresh")]).await;
    assert_eq!(refresh.get("x-weir-cache"), Some("miss"));
    let zero = gateway.chat_with(&gateway.key(&[]), &ask(false), &[("x-weir-cache", "on")]).await;
    assert_eq!(zero.get("x-weir-cache"), Some("hit"), "one organisation shares its cache");
    gateway.ledger_check();
}

#[tokio::test]
async fn what_is_not_a_complete_success_is_not_cached() {
    let upstream = Upstream::start(|call| match call.index {
        0 => Act::reply(500, &[], ""),
        1 => Act::stream().chunk(reply::delta("half")).close(),
        _ => Act::answers(call, "whole"),
    })
    .await;
    let setup = Setup::pair(
        upstream.address,
        Upstream::refusing(),
        "retries: 0, max_attempts: 1, cache: { ttl: 60s }",
        "",
    );
    let gateway = setup.start().await;
    let key = gateway.key(&[]);
    assert_eq!(gateway.chat(&key, &ask(true)).await.status(), 500);
    assert_eq!(gateway.chat(&key, &ask(true)).await.answer(), "half");
    let whole = gateway.chat(&key, &ask(true)).await;
    assert_eq!((whole.get("x-weir-cache"), whole.answer().as_str()), (Some("miss"), "whole"));
    assert_eq!(gateway.chat(&key, &ask(true)).await.get("x-weir-cache"), Some("hit"));
}

#[tokio::test]
async fn missing_usage_is_an_estimate_and_says_so() {
    let upstream = Upstream::start(|call| {
        if call.stream() {
            let events = [reply::delta("twelve bytes"), reply::finish(), reply::done()];
            return events.into_iter().fold(Act::stream(), Act::chunk).end();
        }
        Act::json(200, &reply::uncounted("twelve bytes"))
    })
    .await;
    let gateway = Setup::pair(upstream.address, Upstream::refusing(), "", "").start().await;
    let key = gateway.key(&[]);
    for stream in [false, true] {
        let reply = gateway.chat(&key, &ask(stream)).await;
        assert_eq!(reply.answer(), "twelve bytes");
        let posting = gateway.posting(reply.id());
        assert!(!posting.counted && posting.input > 0 && posting.output > 0, "{posting:?}");
        assert_eq!(posting.charged, posting.input * 1_000 + posting.output * 10_000);
    }
}

#[tokio::test]
async fn an_unknown_price_is_unknown_and_not_zero() {
    let upstream = Upstream::saying("fine").await;
    let one =
        format!("providers:\n  one: {{ base_url: 'http://{}/v1', keys: [sk-one] }}\n", upstream.address);
    let gateway = Setup::new(one + "models:\n  m: { targets: [one/nobody-knows] }\n").start().await;
    let reply = gateway.chat(&gateway.key(&[]), &ask(false)).await;
    assert_eq!((reply.status(), reply.get("x-weir-cost")), (200, Some("unknown")));
    let posting = gateway.posting(reply.id());
    assert_eq!((posting.charged, posting.provider_cost), (0, None));
    assert_eq!(gateway.usage("model")["rows"][0]["unpriced"], 1);
    // A hard budget cannot be kept at an unknown price.
    let hard = gateway.key(&["--budget", "100"]);
    assert_eq!(gateway.chat(&hard, &ask(false)).await.refused(403), "no_priced_target");
    assert_eq!(upstream.count(), 1);
}

#[tokio::test]
async fn the_posting_is_there_before_the_caller_sees_the_end() {
    let upstream = Upstream::saying("one two three").await;
    let gateway = Setup::pair(upstream.address, Upstream::refusing(), "", "").start().await;
    let key = gateway.key(&[]);
    for _ in 0..30 {
        let mut client = gateway.client().await;
        client.chat(&key, &ask(true), &[]).await.unwrap();
        let head = soon("a head", client.head()).await.unwrap();
        while let Some(event) = soon("an event", client.event()).await.unwrap() {
            if event == "[DONE]" {
                assert_eq!(gateway.posting(head.id()).outcome, "ok");
            }
        }
        client.chat(&key, &ask(false), &[]).await.unwrap();
        let head = soon("a head", client.head()).await.unwrap();
        assert_eq!(gateway.posting(head.id()).outcome, "ok", "before the body of a whole reply");
    }
}

#[tokio::test]
async fn the_end_of_a_stream_is_held_back_until_the_provider_has_sent_it() {
    let gate = Gate::new();
    let held = gate.clone();
    let upstream = Upstream::start(move |_| {
        let act = Act::stream().chunk(reply::delta("now ")).chunk(reply::finish());
        act.wait(&held).chunk(reply::usage_event(100, 40, 10)).chunk(reply::done()).end()
    })
    .await;
    let gateway = Setup::pair(upstream.address, Upstream::refusing(), "", "").start().await;
    let mut client = gateway.client().await;
    client.chat(&gateway.key(&[]), &ask(true), &[]).await.unwrap();
    soon("a head", client.head()).await.unwrap();
    assert!(soon("the delta", client.event()).await.unwrap().unwrap().contains("now "));
    assert!(soon("the finish", client.event()).await.unwrap().unwrap().contains("stop"));
    assert!(gateway.postings().is_empty(), "nothing is posted while the stream runs");
    gate.open();
    assert_eq!(soon("the end", client.event()).await.unwrap().as_deref(), Some("[DONE]"));
    assert_eq!(gateway.postings()[0].charged, CHARGE);
}
