//! The three conversation APIs and the ones beside them, over the socket: what a provider of another dialect says
//! reaches the caller in its own words, and what must not cross does not.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::io::Write;
use weir_tests::{Act, Call, Gateway, Reply, Setup, Upstream, reply, soon};

/// The APIs, with a request of each for the model `m`.
fn apis(stream: bool) -> [(&'static str, Value); 3] {
    let said = json!([{ "role": "user", "content": "How deep is the river?" }]);
    [
        ("/v1/chat/completions", json!({ "model": "m", "stream": stream, "messages": said })),
        ("/v1/responses", json!({ "model": "m", "stream": stream, "input": said })),
        ("/v1/messages", json!({ "model": "m", "stream": stream, "max_tokens": 64, "messages": said })),
    ]
}

/// A gateway with one provider `up` of a dialect, which serves `m`.
async fn house(dialect: &str, upstream: &Upstream) -> (Gateway, String) {
    let gateway = Setup::new(format!(
        "providers:\n  up: {{ base_url: \"http://{}\", dialect: {dialect}, keys: [up-SECRET-key] }}\nmodels:\n  m: {{ targets: [up/m1], retries: 0 }}\n",
        upstream.address
    ))
    .start()
    .await;
    let key = gateway.key(&[]);
    (gateway, key)
}

async fn post(gateway: &Gateway, key: &str, path: &str, body: &[u8], more: &[(&str, &str)]) -> Reply {
    let bearer = format!("Bearer {key}");
    let mut headers = vec![("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    headers.extend_from_slice(more);
    let mut client = gateway.client().await;
    client.send("POST", path, &headers, body).await.unwrap();
    soon("a reply", client.reply()).await.unwrap()
}

/// The error's type in the caller's envelope; panics if it is another envelope.
fn error_type(path: &str, reply: &Reply) -> String {
    let body = reply.json();
    let error = &body["error"];
    assert!(error["message"].as_str().is_some_and(|text| !text.is_empty()), "{path}: {body}");
    if path == "/v1/messages" {
        assert_eq!(body["type"], "error", "{body}");
        assert_eq!(reply.get("request-id"), body["request_id"].as_str(), "{body}");
    } else {
        let keys: Vec<&String> = error.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["message", "type", "param", "code"], "{path}: {body}");
        assert!(reply.get("x-request-id").is_some());
    }
    error["type"].as_str().unwrap().to_owned()
}

/// The text of a whole reply of any API.
fn text(path: &str, body: &Value) -> String {
    let place = match path {
        "/v1/responses" => "/output/0/content/0/text",
        "/v1/messages" => "/content/0/text",
        _ => "/choices/0/message/content",
    };
    body.pointer(place).and_then(Value::as_str).unwrap_or_else(|| panic!("{path}: {body}")).to_owned()
}

#[tokio::test]
async fn one_provider_answers_all_three_apis_whole_and_streamed_and_each_is_billed_once() {
    let upstream = Upstream::saying("as deep as it is wide").await;
    let (gateway, key) = house("openai-chat", &upstream).await;
    for (path, body) in apis(false) {
        let reply = post(&gateway, &key, path, body.to_string().as_bytes(), &[]).await;
        assert_eq!(reply.status(), 200, "{path}: {}", reply.text());
        assert_eq!(text(path, &reply.json()), "as deep as it is wide");
    }
    for (path, body) in apis(true) {
        let reply = post(&gateway, &key, path, body.to_string().as_bytes(), &[]).await;
        assert_eq!(reply.status(), 200, "{path}: {}", reply.text());
        let last = match path {
            "/v1/responses" => "response.completed",
            "/v1/messages" => "message_stop",
            _ => "[DONE]",
        };
        assert!(reply.text().trim_end().lines().last().unwrap().contains(last), "{path}: {}", reply.text());
        assert!(reply.text().contains("wide"), "{path}");
    }
    let postings = gateway.posted(6).await;
    for posting in &postings {
        let usage = (posting.input, posting.cached_input, posting.output);
        assert_eq!(usage, (60, 40, 10), "{posting:?}");
    }
    gateway.ledger_check();
}

#[tokio::test]
async fn case_34_an_error_before_the_first_byte_has_its_own_status_even_with_stream_true() {
    for (status, shown, anthropic, openai_kind, anthropic_kind) in [
        (400, 400, 400, "invalid_request_error", "invalid_request_error"),
        (429, 429, 429, "rate_limit_error", "rate_limit_error"),
        (503, 503, 529, "server_error", "overloaded_error"),
        (529, 503, 529, "server_error", "overloaded_error"),
        (500, 500, 500, "server_error", "api_error"),
    ] {
        let upstream = Upstream::start(move |_| {
            let body = json!({ "error": { "message": "as scripted" } });
            Act::reply(
                status,
                &[("Content-Type", "application/json"), ("Retry-After", "7")],
                body.to_string(),
            )
        })
        .await;
        let (gateway, key) = house("openai-chat", &upstream).await;
        for (path, body) in apis(true) {
            let reply = post(&gateway, &key, path, body.to_string().as_bytes(), &[]).await;
            let (want, kind) =
                if path == "/v1/messages" { (anthropic, anthropic_kind) } else { (shown, openai_kind) };
            assert_eq!(
                (reply.status(), error_type(path, &reply).as_str()),
                (want, kind),
                "{status} on {path}"
            );
            assert_eq!(reply.get("retry-after"), Some("7"), "{status} on {path}");
        }
    }
}

#[tokio::test]
async fn case_36_what_is_no_reply_becomes_a_502_in_the_callers_shape() {
    let bodies = ["<html>Bad Gateway</html>", "", "{\"id\":\"x\",\"choi", "[]", "{}"];
    for dialect in ["openai-chat", "openai-responses", "anthropic", "gemini"] {
        let upstream = Upstream::start(move |call| {
            Act::reply(200, &[("Content-Type", "application/json")], bodies[call.index % 5])
        })
        .await;
        let (gateway, key) = house(dialect, &upstream).await;
        for (path, body) in apis(false) {
            for bad in bodies {
                let reply = post(&gateway, &key, path, body.to_string().as_bytes(), &[]).await;
                assert_eq!(reply.status(), 502, "{dialect} {path} {bad:?}: {}", reply.text());
                error_type(path, &reply);
            }
        }
        assert!(gateway.posted(15).await.iter().all(|posting| posting.charged == 0));
    }
}

#[tokio::test]
async fn case_37_compressed_replies_are_read_whole_and_streamed() {
    let zipped = |bytes: &[u8]| {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    };
    let upstream = Upstream::start(move |call| {
        if call.stream() {
            let events = zipped(&reply::events(&["zip", "ped"]).concat());
            let (one, two) = events.split_at(events.len() / 2);
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n";
            return Act::new().send(head).chunk(one).chunk(two).end();
        }
        let body = zipped(reply::completion("zipped", 100, 40, 10).to_string().as_bytes());
        Act::reply(200, &[("Content-Type", "application/json"), ("Content-Encoding", "gzip")], body)
    })
    .await;
    let (gateway, key) = house("openai-chat", &upstream).await;
    for stream in [false, true] {
        for (path, body) in apis(stream) {
            let reply = post(&gateway, &key, path, body.to_string().as_bytes(), &[]).await;
            assert_eq!((reply.status(), reply.get("content-encoding")), (200, None), "{path}");
            assert!(reply.text().contains("zip"), "{path}: {}", reply.text());
        }
    }
    assert!(gateway.posted(6).await.iter().all(|posting| posting.output == 10));
}

#[tokio::test]
async fn case_38_a_caller_that_leaves_cancels_a_provider_of_another_dialect() {
    for stream in [false, true] {
        let upstream = Upstream::start(|_| Act::new().hang()).await;
        let (gateway, key) = house("anthropic", &upstream).await;
        for (turn, (path, body)) in apis(stream).into_iter().enumerate() {
            let mut client = gateway.client().await;
            let headers = [("x-api-key", key.as_str()), ("Content-Type", "application/json")];
            client.send("POST", path, &headers, body.to_string().as_bytes()).await.unwrap();
            let call = upstream.call(turn).await;
            drop(client);
            upstream.ended(call.connection).await;
        }
        let postings = gateway.posted(3).await;
        assert!(postings.iter().all(|posting| posting.charged == 0), "{postings:?}");
    }
}

#[tokio::test]
async fn case_39_bad_bodies_are_400_in_the_callers_shape() {
    let upstream = Upstream::saying("never").await;
    let (gateway, key) = house("gemini", &upstream).await;
    for (path, good) in apis(false) {
        let twice = good.to_string().replacen('{', "{\"model\":\"m\",", 1);
        for bad in ["null", "[]", "", "{", "\"x\"", "{\"model\":7}", "{\"model\":\"m\"}", twice.as_str()] {
            let reply = post(&gateway, &key, path, bad.as_bytes(), &[]).await;
            assert_eq!(reply.status(), 400, "{path} {bad}: {}", reply.text());
            assert_eq!(error_type(path, &reply), "invalid_request_error", "{path} {bad}");
        }
    }
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn case_40_only_anthropic_gets_anthropics_headers_and_nobody_gets_the_callers_key() {
    let mine = [("anthropic-version", "2023-06-01"), ("anthropic-beta", "x-1,y-2"), ("x-claude", "mine")];
    for dialect in ["openai-chat", "openai-responses", "anthropic", "gemini"] {
        let upstream = Upstream::start(|_| Act::json(500, &json!({ "error": { "message": "seen" } }))).await;
        let (gateway, key) = house(dialect, &upstream).await;
        let (_, body) = apis(false)[2].clone();
        post(&gateway, &key, "/v1/messages?beta=true", body.to_string().as_bytes(), &mine).await;
        let call = upstream.call(0).await;
        let native = dialect == "anthropic";
        assert_eq!(call.get("anthropic-beta"), native.then_some("x-1,y-2"), "{dialect}");
        assert_eq!(call.get("anthropic-version"), native.then_some("2023-06-01"), "{dialect}");
        assert_eq!(call.line.contains("beta=true"), native, "{dialect}: {}", call.line);
        assert_eq!(call.get("x-claude"), None, "{dialect}");
        let (name, value) = match dialect {
            "anthropic" => ("x-api-key", "up-SECRET-key"),
            "gemini" => ("x-goog-api-key", "up-SECRET-key"),
            _ => ("authorization", "Bearer up-SECRET-key"),
        };
        assert_eq!(call.get(name), Some(value), "{dialect}");
        assert!(!format!("{:?}", call.headers).contains(&key), "{dialect}");
    }
}

#[tokio::test]
async fn state_at_another_provider_is_refused_and_not_ignored() {
    let upstream = Upstream::saying("never").await;
    let (gateway, key) = house("openai-chat", &upstream).await;
    for (field, value) in [
        ("previous_response_id", json!("resp_1")),
        ("conversation", json!("conv_1")),
        ("background", json!(true)),
    ] {
        let (path, mut body) = apis(false)[1].clone();
        body[field] = value;
        let reply = post(&gateway, &key, path, body.to_string().as_bytes(), &[]).await;
        assert_eq!(reply.status(), 400, "{field}: {}", reply.text());
        assert_eq!(reply.json()["error"]["param"], field);
    }
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn a_target_that_cannot_say_it_is_passed_over_for_one_that_can() {
    let plain = Upstream::start(|_| Act::json(500, &json!({ "error": { "message": "never asked" } }))).await;
    let chat = Upstream::saying("two of them").await;
    let gateway = Setup::new(format!(
        "providers:\n  a: {{ base_url: \"http://{}\", dialect: anthropic }}\n  b: {{ base_url: \"http://{}\" }}\nmodels:\n  m: {{ targets: [a/m1, b/m1] }}\n  only: {{ targets: [a/m1] }}\n",
        plain.address, chat.address
    ))
    .start()
    .await;
    let key = gateway.key(&[]);
    let (path, mut body) = apis(false)[0].clone();
    body["n"] = json!(2);
    let reply = post(&gateway, &key, path, body.to_string().as_bytes(), &[]).await;
    assert_eq!((reply.status(), plain.count(), chat.count()), (200, 0, 1), "{}", reply.text());
    body["model"] = json!("only");
    let reply = post(&gateway, &key, path, body.to_string().as_bytes(), &[]).await;
    assert_eq!((reply.status(), &reply.json()["error"]["param"]), (400, &json!("n")), "{}", reply.text());
}

#[tokio::test]
async fn counting_never_runs_a_model() {
    let counting = Upstream::start(|_| Act::json(529, &json!({ "error": { "message": "busy" } }))).await;
    let chat = Upstream::saying("never asked").await;
    let gateway = Setup::new(format!(
        "providers:\n  a: {{ base_url: \"http://{}\", dialect: anthropic }}\n  b: {{ base_url: \"http://{}\" }}\nmodels:\n  m: {{ targets: [a/m1, b/m1], retries: 0 }}\n",
        counting.address, chat.address
    ))
    .start()
    .await;
    let key = gateway.key(&[]);
    let body = json!({ "model": "m", "messages": [{ "role": "user", "content": "count me" }] }).to_string();
    let reply = post(&gateway, &key, "/v1/messages/count_tokens", body.as_bytes(), &[]).await;
    assert_eq!(
        (reply.status(), reply.get("x-weir-usage-source")),
        (200, Some("estimate")),
        "{}",
        reply.text()
    );
    assert!(reply.json()["input_tokens"].as_u64().unwrap() > 0);
    assert_eq!((counting.count(), chat.count()), (1, 0));
}

#[tokio::test]
async fn a_cut_off_anthropic_stream_is_billed_by_what_had_come() {
    let event = |kind: &str, data: Value| format!("event: {kind}\ndata: {data}\n\n").into_bytes();
    let upstream = Upstream::start(move |_| {
        let start = json!({ "type": "message_start", "message": { "id": "msg_1", "type": "message", "role": "assistant", "model": "m1", "content": [], "usage": { "input_tokens": 9, "output_tokens": 1 } } });
        let block = json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } });
        let delta = json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": "deep water ".repeat(40) } });
        Act::stream()
            .chunk(event("message_start", start))
            .chunk(event("content_block_start", block))
            .chunk(event("content_block_delta", delta))
            .hang()
    })
    .await;
    let (gateway, key) = house("anthropic", &upstream).await;
    for (path, body) in [apis(true)[0].clone(), apis(true)[2].clone()] {
        let mut client = gateway.client().await;
        let headers = [("x-api-key", key.as_str()), ("Content-Type", "application/json")];
        client.send("POST", path, &headers, body.to_string().as_bytes()).await.unwrap();
        assert_eq!(soon("a head", client.head()).await.unwrap().status, 200);
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains("deep water") {
            seen.extend(soon("a piece", client.piece()).await.unwrap().unwrap());
        }
        drop(client);
    }
    for posting in gateway.posted(2).await {
        assert_eq!(
            (posting.outcome, posting.input, posting.output, posting.counted),
            ("client-abort", 9, 110, false)
        );
    }
}

#[tokio::test]
async fn speech_that_is_not_heard_to_its_end_is_billed_all_the_same() {
    let upstream = Upstream::start(|_| {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nTransfer-Encoding: chunked\r\n\r\n";
        Act::new().send(head).chunk(b"ID3 nearly all of it").hang()
    })
    .await;
    let (gateway, key) = house("openai-chat", &upstream).await;
    let bearer = format!("Bearer {key}");
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    let body = json!({ "model": "m", "input": "a river runs", "voice": "alloy" }).to_string();
    let mut client = gateway.client().await;
    client.send("POST", "/v1/audio/speech", &headers, body.as_bytes()).await.unwrap();
    assert_eq!(soon("a head", client.head()).await.unwrap().status, 200);
    soon("a piece", client.piece()).await.unwrap();
    drop(client);
    let posting = gateway.posted(1).await.remove(0);
    assert_eq!(
        (posting.outcome, posting.provider.as_str(), posting.model.as_str()),
        ("client-abort", "up", "m1")
    );
    assert!(posting.provider_cost.is_none() || posting.input > 0, "{posting:?}");
}

#[tokio::test]
async fn a_hit_is_only_for_who_asked_the_same_and_says_what_was_left_out() {
    let upstream = Upstream::saying("kept").await;
    let (gateway, key) = house("openai-chat", &upstream).await;
    let (path, mut body) = apis(false)[2].clone();
    body["top_k"] = json!(5);
    let body = body.to_string();
    let on = ("x-weir-cache", "on");
    for cache in ["miss", "hit"] {
        let reply = post(&gateway, &key, path, body.as_bytes(), &[on]).await;
        assert_eq!(
            (reply.get("x-weir-cache"), reply.get("x-weir-dropped-params")),
            (Some(cache), Some("top_k"))
        );
    }
    let strict = post(&gateway, &key, path, body.as_bytes(), &[on, ("x-weir-strict", "true")]).await;
    assert_eq!(strict.status(), 400, "{}", strict.text());
}

#[tokio::test]
async fn a_refusals_rate_limits_and_its_date_reach_the_caller() {
    let upstream = Upstream::start(|_| {
        let headers = [
            ("Retry-After", "Wed, 25 Nov 2026 07:28:00 GMT"),
            ("anthropic-ratelimit-requests-remaining", "0"),
        ];
        Act::reply(429, &headers, r#"{"error":{"message":"slow down"}}"#)
    })
    .await;
    let (gateway, key) = house("anthropic", &upstream).await;
    let (path, body) = apis(false)[0].clone();
    let reply = post(&gateway, &key, path, body.to_string().as_bytes(), &[]).await;
    assert_eq!(reply.status(), 429);
    assert_eq!(reply.get("x-ratelimit-remaining-requests"), Some("0"));
    assert_eq!(reply.get("retry-after"), Some("Wed, 25 Nov 2026 07:28:00 GMT"), "what is past is passed on");
    // Measured from the reply's own date, whatever the time is here.
    let upstream = Upstream::start(|_| {
        let headers =
            [("Date", "Wed, 25 Nov 2026 07:28:00 GMT"), ("Retry-After", "Wed, 25 Nov 2026 07:28:31 GMT")];
        Act::reply(429, &headers, r#"{"error":{"message":"slow down"}}"#)
    })
    .await;
    let (gateway, key) = house("anthropic", &upstream).await;
    let reply = post(&gateway, &key, path, body.to_string().as_bytes(), &[]).await;
    assert_eq!(
        (reply.status(), reply.get("retry-after"), reply.get("retry-after-ms")),
        (429, Some("31"), Some("31000"))
    );
}

#[tokio::test]
async fn what_is_no_conversation_passes_with_its_usage() {
    let upstream = Upstream::start(|call: &Call| match call.line.as_str() {
        "POST /embeddings" => Act::json(200, &json!({ "object": "list", "data": [], "usage": { "prompt_tokens": 8, "total_tokens": 8 } })),
        "POST /audio/speech" => Act::reply(200, &[("Content-Type", "audio/mpeg")], b"ID3 sound"),
        "POST /audio/transcriptions" => Act::json(200, &json!({ "text": "hello", "usage": { "type": "tokens", "input_tokens": 14, "output_tokens": 3 } })),
        _ => Act::json(404, &json!({ "error": { "message": "no such path" } })),
    })
    .await;
    let (gateway, key) = house("openai-chat", &upstream).await;
    let body = json!({ "model": "m", "input": "a river" }).to_string();
    let embedded = post(&gateway, &key, "/v1/embeddings", body.as_bytes(), &[]).await;
    assert_eq!((embedded.status(), upstream.calls()[0].json()["model"].as_str()), (200, Some("m1")));
    let spoken = post(&gateway, &key, "/v1/audio/speech", body.as_bytes(), &[]).await;
    assert_eq!((spoken.get("content-type"), spoken.body.as_slice()), (Some("audio/mpeg"), &b"ID3 sound"[..]));

    let form = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\nRIFF\0\r\n--b--\r\n";
    let bearer = format!("Bearer {key}");
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "multipart/form-data; boundary=b")];
    let mut client = gateway.client().await;
    client.send("POST", "/v1/audio/transcriptions", &headers, form.as_bytes()).await.unwrap();
    let heard = soon("a reply", client.reply()).await.unwrap();
    assert_eq!(heard.status(), 200, "{}", heard.text());
    let call = upstream.calls()[2].clone();
    let boundary = "weir-form-0000000000000000";
    assert_eq!(call.get("content-type"), Some(format!("multipart/form-data; boundary={boundary}").as_str()));
    let written = form.replace("\r\n\r\nm\r\n", "\r\n\r\nm1\r\n").replace("--b", &format!("--{boundary}"));
    assert_eq!(String::from_utf8_lossy(&call.body), written, "written afresh, with the target's model");

    let postings = gateway.posted(3).await;
    let used: Vec<_> = postings.iter().map(|posting| (posting.input, posting.output)).collect();
    assert_eq!((used[0], used[2]), ((8, 0), (14, 3)));
    gateway.ledger_check();
}

/// A catalogue of one model per unit, and one that is billed by tokens.
const UNITS: &str = r#"{ "version": "units-1", "models": [
  { "provider": "up", "name": "picture", "mode": "image", "source": "test", "checked_on": "2026-11-24", "units": [
    { "unit": "image", "usd": "0.011", "size": "1024x1024", "quality": "low" },
    { "unit": "image", "usd": "0.167", "size": "1024x1024", "quality": "high" },
    { "unit": "image", "usd": "0.25", "size": "1536x1024", "quality": "high" } ] },
  { "provider": "up", "name": "ear", "mode": "transcription", "source": "test", "checked_on": "2026-11-24",
    "units": [{ "unit": "second", "usd": "0.000283333333" }] },
  { "provider": "up", "name": "mouth", "mode": "speech", "source": "test", "checked_on": "2026-11-24",
    "units": [{ "unit": "character", "usd": "0.000015" }] },
  { "provider": "up", "name": "judge", "mode": "rerank", "source": "test", "checked_on": "2026-11-24",
    "units": [{ "unit": "search-unit", "usd": "0.002" }] },
  { "provider": "up", "name": "vector", "mode": "embedding", "source": "test", "checked_on": "2026-11-24",
    "usd_per_mtok": { "input": "0.02" } } ] }"#;

/// A gateway whose models are billed by units, and their provider.
async fn units() -> (Gateway, Upstream) {
    let upstream = Upstream::start(|call: &Call| match call.line.as_str() {
        "POST /images/generations" => Act::json(200, &json!({ "created": 1, "data": vec![json!({ "b64_json": "AA==" }); call.json()["n"].as_u64().unwrap_or(1) as usize] })),
        "POST /audio/speech" => Act::reply(200, &[("Content-Type", "audio/mpeg")], b"ID3 sound"),
        "POST /audio/transcriptions" => Act::json(200, &json!({ "text": "hello", "usage": { "type": "duration", "seconds": 60.2 } })),
        "POST /embeddings" => Act::json(200, &json!({ "data": [], "usage": { "prompt_tokens": 8, "total_tokens": 8 } })),
        "POST /rerank" => Act::json(200, &json!({ "results": [], "meta": { "billed_units": { "search_units": 2 } } })),
        _ => Act::json(404, &json!({ "error": { "message": "no such path" } })),
    })
    .await;
    let names = ["picture", "ear", "mouth", "judge", "vector"];
    let models: String =
        names.iter().map(|name| format!("  {name}: {{ targets: [up/{name}], retries: 0 }}\n")).collect();
    let gateway = Setup::new(format!(
        "catalogue: catalogue.json\nproviders:\n  up: {{ base_url: \"http://{}\" }}\nmodels:\n{models}",
        upstream.address
    ))
    .file("catalogue.json", UNITS)
    .start()
    .await;
    (gateway, upstream)
}

async fn transcribe(gateway: &Gateway, key: &str) -> Reply {
    let form = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\near\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\nRIFF\0\r\n--b--\r\n";
    let bearer = format!("Bearer {key}");
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "multipart/form-data; boundary=b")];
    let mut client = gateway.client().await;
    client.send("POST", "/v1/audio/transcriptions", &headers, form.as_bytes()).await.unwrap();
    soon("a reply", client.reply()).await.unwrap()
}

#[tokio::test]
async fn images_seconds_characters_and_search_units_are_billed_to_the_nano_dollar() {
    let (gateway, _upstream) = units().await;
    let key = gateway.key(&[]);
    let picture = |size: Value, quality: &str| json!({ "model": "picture", "prompt": "a river", "n": 2, "size": size, "quality": quality });
    for (path, body) in [
        ("/v1/images/generations", picture(json!("1024x1024"), "low")),
        ("/v1/images/generations", picture(json!("1536x1024"), "high")),
        ("/v1/images/generations", picture(Value::Null, "high")),
        ("/v1/audio/speech", json!({ "model": "mouth", "input": "Straße 🎉", "voice": "alloy" })),
        ("/v1/rerank", json!({ "model": "judge", "query": "q", "documents": ["a", "b"] })),
    ] {
        let reply = post(&gateway, &key, path, body.to_string().as_bytes(), &[]).await;
        assert_eq!(reply.status(), 200, "{path}: {}", reply.text());
    }
    let heard = transcribe(&gateway, &key).await;
    assert_eq!(heard.status(), 200, "{}", heard.text());

    let postings = gateway.posted(6).await;
    let posted: Vec<_> = postings.iter().map(|p| (p.units, p.provider_cost, p.charged, p.input)).collect();
    let exactly = |units, nanos| (units, Some(nanos), nanos, 0);
    assert_eq!(
        posted,
        [
            exactly([2, 0, 0, 0], 22_000_000),
            exactly([2, 0, 0, 0], 500_000_000),
            ([2, 0, 0, 0], None, 0, 0),
            exactly([0, 0, 8, 0], 120_000),
            exactly([0, 0, 0, 2], 4_000_000),
            exactly([0, 61, 0, 0], 17_283_333),
        ]
    );
    let usage = gateway.usage("model");
    let row = usage["rows"].as_array().unwrap().iter().find(|row| row["group"] == "picture").unwrap();
    assert_eq!(
        (&row["units"], &row["tokens"], &row["unpriced"]),
        (&json!({ "images": 6 }), &json!({}), &json!(1))
    );
    assert!(gateway.print(&["usage"]).contains("  6 images  1 at an unknown price"));
    gateway.metrics_with(&[r#"weir_units_total{class="audio.seconds",model="ear",provider="up"} 61"#]).await;
    gateway.ledger_check();
}

#[tokio::test]
async fn a_hard_budget_holds_the_most_that_units_can_cost_and_is_not_overspent() {
    let (gateway, upstream) = units().await;
    let key = gateway.key(&["--budget", "0.03"]);
    let ask = async |body: Value| {
        post(&gateway, &key, "/v1/images/generations", body.to_string().as_bytes(), &[]).await.status()
    };
    let picture = json!({ "model": "picture", "prompt": "a river", "size": "1024x1024", "quality": "high" });
    assert_eq!((ask(picture).await, upstream.count()), (402, 0));
    let picture = json!({ "model": "picture", "prompt": "a river" });
    assert_eq!((ask(picture).await, upstream.count()), (402, 0), "it may come to the dearest");
    let picture =
        json!({ "model": "picture", "prompt": "a river", "size": "1024x1024", "quality": "low", "n": 2 });
    assert_eq!((ask(picture.clone()).await, ask(picture).await, upstream.count()), (200, 402, 1));
    let chat = json!({ "model": "picture", "messages": [{ "role": "user", "content": "hi" }] }).to_string();
    let refused = post(&gateway, &key, "/v1/chat/completions", chat.as_bytes(), &[]).await;
    assert_eq!((refused.status(), &refused.json()["error"]["code"]), (403, &json!("no_priced_target")));
    let ranked = json!({ "model": "judge", "query": "q", "documents": ["a", "b"] }).to_string();
    let ranked = post(&gateway, &key, "/v1/rerank", ranked.as_bytes(), &[]).await;
    assert_eq!(ranked.status(), 200, "{}", ranked.text());
    let embedded = json!({ "model": "vector", "input": "a river" }).to_string();
    let embedded = post(&gateway, &key, "/v1/embeddings", embedded.as_bytes(), &[]).await;
    assert_eq!(embedded.status(), 200, "{}", embedded.text());
    let charged: Vec<_> = gateway.posted(3).await.iter().map(|p| p.charged).collect();
    assert_eq!(charged, [22_000_000, 2_000_000, 160], "what exceeds the hold is cut");
    gateway.ledger_check();
}

#[tokio::test]
async fn a_guard_sees_the_content_of_every_api() {
    const GUARD: &str = r#"//! name: no-rivers
//! version: 1.0.0
//! hooks: [guard]
//! reads: content
//! matchers:
//!   - { name: river, patterns: ['river'] }
//! declares: { codes: [rivers] }
fn guard(request, config) {
    if request.scan("river").is_empty() { pass() } else { block(deny(403, "rivers", "No rivers, please.")) }
}
"#;
    let upstream = Upstream::saying("never").await;
    let setup = Setup::new(format!(
        "providers:\n  up: {{ base_url: \"http://{}\" }}\nmodels:\n  m: {{ targets: [up/m1] }}\npolicies:\n  - {{ file: guard.rhai }}\n",
        upstream.address
    ))
    .file("guard.rhai", GUARD);
    let gateway = setup.start().await;
    let key = gateway.key(&[]);
    for stream in [false, true] {
        for (path, body) in apis(stream) {
            let reply = post(&gateway, &key, path, body.to_string().as_bytes(), &[]).await;
            assert_eq!(reply.status(), 403, "{path}: {}", reply.text());
            error_type(path, &reply);
        }
    }
    for (path, body) in [
        ("/v1/embeddings", json!({ "model": "m", "input": ["a river"] })),
        (
            "/v1/messages/count_tokens",
            json!({ "model": "m", "messages": [{ "role": "user", "content": "river" }] }),
        ),
        ("/v1/images/generations", json!({ "model": "m", "prompt": "a river" })),
    ] {
        let reply = post(&gateway, &key, path, body.to_string().as_bytes(), &[]).await;
        assert_eq!(reply.status(), 403, "{path}: {}", reply.text());
    }
    assert_eq!(upstream.count(), 0);
}
