//! What a caller may not do is told it in its own envelope, and costs nobody anything.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use weir_tests::{Act, Gateway, Reply, Setup, Upstream, reply, soon};

const SERVER: &str = "  limits: { body: 64KiB, header: 8KiB }
  timeouts: { header: 700ms, body: 500ms }";

struct House {
    gateway: Gateway,
    upstream: Upstream,
    key: String,
}

async fn house() -> House {
    let upstream = Upstream::saying("fine").await;
    let gateway = Setup::pair(upstream.address, upstream.address, "", "").server(SERVER).start().await;
    let key = gateway.key(&[]);
    House { gateway, upstream, key }
}

impl House {
    fn bearer(&self) -> String {
        format!("Bearer {}", self.key)
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut client = self.gateway.client().await;
        client.send(method, path, headers, body).await.unwrap();
        soon("a reply", client.reply()).await.unwrap()
    }

    /// Sends bytes as they are; the one reply, after which the gateway must close the connection.
    async fn raw(&self, request: &str) -> Reply {
        let mut client = self.gateway.client().await;
        client.write(request.as_bytes()).await.unwrap();
        let reply =
            soon("a reply", client.reply()).await.unwrap_or_else(|error| panic!("{error}: {request:?}"));
        soon("the end of the connection", client.closed()).await;
        reply
    }

    /// Nothing went upstream, and nothing was posted; the gateway still serves.
    async fn untouched(&self) {
        assert_eq!((self.upstream.count(), self.gateway.postings().len()), (0, 0));
        let reply = self.gateway.chat(&self.key, &ask()).await;
        assert_eq!((reply.status(), reply.answer().as_str()), (200, "fine"));
        self.gateway.ledger_check();
    }
}

fn ask() -> Value {
    json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] })
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_announced_or_not() {
    let house = house().await;
    let large =
        json!({ "model": "m", "messages": [{ "role": "user", "content": "x".repeat(70_000) }] }).to_string();
    let head =
        format!("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: {}\r\n", house.bearer());

    // Told by its head alone: the body is not waited for.
    let announced = format!("{head}Content-Length: 70000\r\n\r\n");
    assert_eq!(house.raw(&announced).await.refused(413), "request_too_large");

    let mut chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n");
    for piece in large.as_bytes().chunks(8192) {
        chunked.push_str(&format!("{:x}\r\n{}\r\n", piece.len(), std::str::from_utf8(piece).unwrap()));
    }
    chunked.push_str("0\r\n\r\n");
    let mut client = house.gateway.client().await;
    // The gateway may answer and close while we still write.
    let _ = client.write(chunked.as_bytes()).await;
    let reply = soon("a reply", client.reply()).await.unwrap();
    assert_eq!(reply.refused(413), "request_too_large");
    house.untouched().await;
}

#[tokio::test]
async fn a_body_at_the_limit_passes_chunked_too() {
    let house = house().await;
    let mut body = ask();
    let room = 65_536 - body.to_string().len();
    body["messages"][0]["content"] = json!(format!("hi{}", "x".repeat(room)));
    let body = body.to_string();
    assert_eq!(body.len(), 65_536);
    let head =
        format!("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: {}\r\n", house.bearer());
    let (one, two) = body.split_at(30_000);
    let request = format!(
        "{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{one}\r\n{:x}\r\n{two}\r\n0\r\n\r\n",
        one.len(),
        two.len()
    );
    let mut client = house.gateway.client().await;
    client.write(request.as_bytes()).await.unwrap();
    let reply = soon("a reply", client.reply()).await.unwrap();
    assert_eq!(reply.answer(), "fine", "{reply:?}");
    let sent = house.upstream.calls()[0].json();
    assert_eq!(sent["messages"], serde_json::from_str::<Value>(&body).unwrap()["messages"]);
}

#[tokio::test]
async fn a_header_over_the_limit_is_431() {
    let house = house().await;
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: {}\r\nX-Large: {}\r\nContent-Length: 0\r\n\r\n",
        house.bearer(),
        "x".repeat(9000)
    );
    assert_eq!(house.raw(&request).await.refused(431), "headers_too_large");
    house.untouched().await;
}

#[tokio::test]
async fn framing_that_two_parsers_could_read_differently_is_400_and_ends_the_connection() {
    let house = house().await;
    let body = ask().to_string();
    let n = body.len();
    let auth = house.bearer();
    let start = format!("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: {auth}\r\n");
    let chunked = format!("{n:x}\r\n{body}\r\n0\r\n\r\n");
    let smuggled = format!("GET /v1/models HTTP/1.1\r\nHost: a\r\nAuthorization: {auth}\r\n\r\n");
    for request in [
        format!("{start}Content-Length: {n}\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}{smuggled}"),
        format!("{start}Transfer-Encoding: chunked\r\nContent-Length: {n}\r\n\r\n{chunked}{smuggled}"),
        format!("{start}Content-Length: {n}\r\nContent-Length: {n}\r\n\r\n{body}{smuggled}"),
        format!("{start}Content-Length: {n}\r\nContent-Length: 0\r\n\r\n{body}{smuggled}"),
        format!("{start}Content-Length: {n}, {n}\r\n\r\n{body}{smuggled}"),
        format!("{start}Content-Length: +{n}\r\n\r\n{body}{smuggled}"),
        format!("{start}Content-Length: -1\r\n\r\n{body}{smuggled}"),
        format!("{start}Content-Length: 0x10\r\n\r\n{body}{smuggled}"),
        format!("{start}Transfer-Encoding: gzip, chunked\r\n\r\n{chunked}{smuggled}"),
        format!("{start}Transfer-Encoding: xchunked\r\n\r\n{chunked}{smuggled}"),
        format!(
            "{start}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n{chunked}{smuggled}"
        ),
        format!("{start}Transfer-Encoding : chunked\r\n\r\n{chunked}{smuggled}"),
        format!("{start}X: y\nTransfer-Encoding: chunked\r\n\r\n{chunked}{smuggled}"),
        format!("{start}X: y\r\n Transfer-Encoding: chunked\r\nContent-Length: {n}\r\n\r\n{body}{smuggled}"),
        format!("{start}Host: b\r\nContent-Length: {n}\r\n\r\n{body}{smuggled}"),
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nAuthorization: {auth}\r\nContent-Length: {n}\r\n\r\n{body}"
        ),
        format!(
            "POST /v1/chat/completions HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}{smuggled}"
        ),
        format!(
            "POST /v1/chat/completions HTTP/1.0\r\nAuthorization: {auth}\r\nContent-Length: {n}\r\n\r\n{body}{smuggled}"
        ),
        format!(
            "POST /v1/chat/completions HTTP/1.0\r\nHost: a\r\nAuthorization: {auth}\r\nConnection: keep-alive\r\nContent-Length: {n}\r\n\r\n{body}{smuggled}"
        ),
        "this is no request that anybody could mean\r\n\r\n".to_owned(),
        format!("POST /v1/chat/completions HTTP/9.9\r\nHost: a\r\n\r\n{smuggled}"),
    ] {
        let mut client = house.gateway.client().await;
        client.write(request.as_bytes()).await.unwrap();
        let reply =
            soon("a reply", client.reply()).await.unwrap_or_else(|error| panic!("{error}: {request:?}"));
        assert_eq!(reply.status(), 400, "{request:?}: {reply:?}");
        // A reset is as good an end as a close; a second reply is not.
        assert!(
            soon("the end of the connection", client.head()).await.is_err(),
            "a second reply to {request:?}"
        );
    }
    house.untouched().await;
}

#[tokio::test]
async fn chunks_that_lie_are_400() {
    let house = house().await;
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: {}\r\nTransfer-Encoding: chunked\r\n\r\n",
        house.bearer()
    );
    for body in [
        "zz\r\n{}\r\n0\r\n\r\n",
        "-1\r\n{}\r\n0\r\n\r\n",
        "1\r\n{}\r\n0\r\n\r\n",
        "ffffffffffffffffff\r\n{}\r\n",
    ] {
        let reply = house.raw(&format!("{head}{body}")).await;
        assert_eq!(reply.refused(400), "incomplete_body", "{body:?}");
    }
    house.untouched().await;
}

#[tokio::test]
async fn unknown_models_methods_and_paths() {
    let house = house().await;
    let auth = house.bearer();
    let auth = [("Authorization", auth.as_str())];
    let mut body = ask();
    for model in ["gpt-9", "one", "nobody/m1", "one/"] {
        body["model"] = json!(model);
        let reply = house.gateway.chat(&house.key, &body).await;
        assert_eq!(reply.refused(404), "model_not_found", "{model}");
        assert_eq!(reply.json()["error"]["param"], "model");
        assert!(reply.json()["error"]["message"].as_str().unwrap().contains(model));
    }
    for (method, path, allow) in [
        ("GET", "/v1/chat/completions", "POST"),
        ("DELETE", "/v1/chat/completions", "POST"),
        ("POST", "/v1/models", "GET"),
        ("PUT", "/v1/models/m", "GET"),
        ("GET", "/v1/embeddings", "POST"),
        ("DELETE", "/", "HEAD, GET"),
    ] {
        let reply = house.send(method, path, &auth, b"").await;
        assert_eq!(reply.refused(405), "method_not_allowed", "{method} {path}");
        assert_eq!(reply.get("allow"), Some(allow));
    }
    for path in [
        "/v1",
        "/v1/chat/completions/",
        "/v1/chat/../models",
        "/v1/embedding",
        "//v1/models",
        "/metrics",
        "/admin/v1/keys",
    ] {
        let reply = house.send("GET", path, &auth, b"").await;
        assert_eq!(reply.refused(404), "unknown_path", "{path}");
    }
    house.untouched().await;
}

/// Files, batches and what was kept of replies: refused by name, in the caller's words, and nobody is asked.
#[tokio::test]
async fn endpoints_that_keep_state_are_refused_as_such() {
    let house = house().await;
    let bearer = house.bearer();
    let auth = [("Authorization", bearer.as_str())];
    for (method, path) in [
        ("POST", "/v1/files"),
        ("GET", "/v1/files"),
        ("GET", "/v1/files/file-1/content"),
        ("POST", "/v1/uploads"),
        ("POST", "/v1/batches"),
        ("GET", "/v1/batches/batch_1"),
        ("POST", "/v1/batches/batch_1/cancel"),
        ("GET", "/v1/responses/resp_1"),
        ("DELETE", "/v1/responses/resp_1"),
        ("POST", "/v1/responses/resp_1/cancel"),
        ("GET", "/v1/responses/resp_1/input_items?limit=1"),
        ("GET", "/v1/chat/completions/chatcmpl-1/messages"),
        ("POST", "/v1/conversations"),
        ("POST", "/v1/threads/thread_1/runs"),
        ("POST", "/v1/vector_stores"),
        ("POST", "/v1/assistants"),
        ("POST", "/v1/fine_tuning/jobs"),
    ] {
        let reply = house.send(method, path, &auth, b"").await;
        assert_eq!(reply.refused(404), "stateful_endpoint", "{method} {path}");
        let said = reply.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(said.contains(path.split('?').next().unwrap()), "{said}");
    }
    let anthropic = [("x-api-key", house.key.as_str()), ("anthropic-version", "2023-06-01")];
    for (method, path) in
        [("POST", "/v1/messages/batches"), ("GET", "/v1/messages/batches/msgbatch_1"), ("POST", "/v1/files")]
    {
        let reply = house.send(method, path, &anthropic, b"{}").await;
        let body = reply.json();
        assert_eq!((reply.status(), &body["type"]), (404, &json!("error")), "{method} {path}");
        assert_eq!(body["error"]["type"], "not_found_error", "{method} {path}: {body}");
        assert!(body["error"]["message"].as_str().unwrap().contains("stateful endpoint"), "{body}");
    }
    house.untouched().await;
}

#[tokio::test]
async fn a_key_of_some_models_sees_and_uses_only_those() {
    let house = house().await;
    let key = house.gateway.key(&["--model", "other"]);
    assert_eq!(house.gateway.chat(&key, &ask()).await.refused(404), "model_not_found");
    let mut direct = ask();
    direct["model"] = json!("one/m1");
    assert_eq!(house.gateway.chat(&key, &direct).await.refused(404), "model_not_found", "nor past the alias");
    let bearer = format!("Bearer {key}");
    let list = house.send("GET", "/v1/models", &[("Authorization", &bearer)], b"").await;
    assert_eq!(list.json()["data"], json!([]));
    let list = house.send("GET", "/v1/models", &[("x-api-key", &house.key)], b"").await;
    assert_eq!(list.json()["data"][0]["id"], "m");
    house.untouched().await;
}

#[tokio::test]
async fn keys_that_are_missing_garbled_unknown_or_revoked_are_401() {
    let house = house().await;
    let refused = async |headers: &[(&str, &str)]| {
        let reply = house.send("POST", "/v1/chat/completions", headers, ask().to_string().as_bytes()).await;
        assert_eq!(reply.json()["error"]["type"], "authentication_error");
        reply.refused(401)
    };
    assert_eq!(refused(&[]).await, "missing_api_key");
    assert_eq!(refused(&[("Authorization", "Basic d2VpcjpzZWNyZXQ=")]).await, "malformed_authorization");
    assert_eq!(refused(&[("Authorization", "Bearer ")]).await, "malformed_authorization");
    assert_eq!(refused(&[("Authorization", "Bearer sk-provider-one-secret")]).await, "malformed_api_key");

    let mut garbled = house.key.clone().into_bytes();
    let last = garbled.len() - 8;
    garbled[last] = if garbled[last] == b'a' { b'b' } else { b'a' };
    let garbled = format!("Bearer {}", String::from_utf8(garbled).unwrap());
    assert_eq!(refused(&[("Authorization", &garbled)]).await, "malformed_api_key", "the checksum tells");

    let other = house.gateway.key(&[]);
    assert_eq!(
        refused(&[("Authorization", &house.bearer()), ("x-api-key", &other)]).await,
        "ambiguous_api_key"
    );
    let id = house.gateway.print(&["key", "list"]);
    let id = id.lines().last().unwrap().split_whitespace().next().unwrap().to_owned();
    assert!(house.gateway.print(&["key", "revoke", &id]).contains(&id));
    assert_eq!(refused(&[("api-key", &other)]).await, "revoked_api_key");
    house.untouched().await;

    // A key of another installation is well-formed and unknown.
    let elsewhere = self::house().await;
    let reply = house.gateway.chat(&elsewhere.key, &ask()).await;
    assert_eq!(reply.refused(401), "invalid_api_key");
}

#[tokio::test]
async fn requests_over_the_keys_rate_are_429() {
    let house = house().await;
    let key = house.gateway.key(&["--rpm", "3"]);
    for _ in 0..3 {
        assert_eq!(house.gateway.chat(&key, &ask()).await.status(), 200);
    }
    let reply = house.gateway.chat(&key, &ask()).await;
    assert_eq!(reply.refused(429), "rate_limit_exceeded");
    let seconds: u64 = reply.get("retry-after").unwrap().parse().unwrap();
    let ms: u64 = reply.get("retry-after-ms").unwrap().parse().unwrap();
    assert!((1..=20).contains(&seconds) && ms.div_ceil(1000) == seconds, "{seconds} s, {ms} ms");
    assert_eq!(house.upstream.count(), 3);
    assert_eq!(house.gateway.postings().len(), 3, "what was not admitted is not posted");
    assert_eq!(house.gateway.chat(&house.key, &ask()).await.status(), 200, "other keys do not notice");
}

#[tokio::test]
async fn bodies_that_are_not_plain_json_are_415() {
    let house = house().await;
    let auth = house.bearer();
    for header in [
        ("Content-Encoding", "gzip"),
        ("Content-Encoding", "identity, br"),
        ("Content-Type", "application/json; charset=utf-16"),
        ("Content-Type", "multipart/form-data; boundary=x"),
    ] {
        let reply =
            house.send("POST", "/v1/chat/completions", &[("Authorization", &auth), header], b"{}").await;
        assert_eq!(reply.refused(415), "unsupported_media_type", "{header:?}");
    }
    house.untouched().await;
}

#[tokio::test]
async fn headers_of_ours_are_read_or_refused_by_name() {
    let house = house().await;
    for (name, value, code) in [
        ("x-weir-cash", "on", "unknown_header"),
        ("X-Weir-Whatever", "1", "unknown_header"),
        ("x-weir-explain", "1", "bad_header"),
        ("x-weir-cache", "maybe", "bad_header"),
        ("x-weir-retention", "never", "bad_header"),
        ("x-weir-tags", "no pairs", "bad_header"),
    ] {
        let reply = house.gateway.chat_with(&house.key, &ask(), &[(name, value)]).await;
        assert_eq!(reply.refused(400), code, "{name}");
        let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(&name.to_ascii_lowercase()), "{message}");
        assert!(
            !message.contains(value) || value == "on" || value == "1",
            "the value is not echoed: {message}"
        );
    }
    house.untouched().await;
}

#[tokio::test]
async fn a_slow_header_is_closed_and_a_slow_body_is_408() {
    let house = house().await;
    let mut slow = house.gateway.client().await;
    slow.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nX-Slow: ").await.unwrap();
    soon("the end of a connection with half a header", slow.closed()).await;

    // Shorter than what tells HTTP/2 from HTTP/1.
    let mut short = house.gateway.client().await;
    short.write(b"nonsense\r\n\r\n").await.unwrap();
    soon("the end of a connection with less than a request", short.closed()).await;

    let mut kept = house.gateway.client().await;
    kept.send("GET", "/v1/models", &[("api-key", &house.key)], b"").await.unwrap();
    assert_eq!(soon("a reply", kept.reply()).await.unwrap().status(), 200);
    soon("the end of a kept connection without a next request", kept.closed()).await;

    let mut idle = house.gateway.client().await;
    soon("the end of a connection without a request", idle.closed()).await;

    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: {}\r\nContent-Length: 100\r\n\r\n{{\"model\"",
        house.bearer()
    );
    assert_eq!(house.raw(&head).await.refused(408), "request_timeout");
    house.untouched().await;
}

#[tokio::test]
async fn a_header_has_a_deadline_of_its_own_and_who_only_waits_may_wait() {
    let upstream = Upstream::saying("fine").await;
    let server = "  timeouts: { idle: 10m, header: 400ms }";
    let gateway = Setup::pair(upstream.address, upstream.address, "", "").server(server).start().await;
    let key = gateway.key(&[]);
    let mut waits = gateway.client().await;
    let (mut fresh, mut kept) = (gateway.client().await, gateway.client().await);
    for client in [&mut waits, &mut kept] {
        client.chat(&key, &ask(), &[]).await.unwrap();
        assert_eq!(soon("a reply", client.reply()).await.unwrap().answer(), "fine");
    }
    fresh.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nX-Slow: ").await.unwrap();
    soon("the end of half a header", fresh.closed()).await;
    // A byte now and then, on a connection that has had a request.
    kept.write(b"GET /v1/models HTTP/1.1\r\nHost: a\r\nX-Slow: ").await.unwrap();
    let drip = async {
        while kept.write(b"a").await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(30)).await;
        }
    };
    soon("the end of a slow header", drip).await;
    waits.chat(&key, &ask(), &[]).await.unwrap();
    assert_eq!(soon("a reply", waits.reply()).await.unwrap().answer(), "fine");
}

#[tokio::test]
async fn expect_continue_is_answered_after_the_key_was_checked() {
    let house = house().await;
    let body = ask().to_string();
    let head = |auth: &str| {
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: {auth}\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
    };
    let mut client = house.gateway.client().await;
    client.write(head("Bearer weir_sk_wrong").as_bytes()).await.unwrap();
    let refused = soon("a head", client.any_head()).await.unwrap();
    assert_eq!((refused.status, refused.get("connection")), (401, Some("close")), "no body is asked for");
    // Whether what comes now is the body or a request, nobody can tell.
    let _ = client.write(body.as_bytes()).await;
    soon("the end of the connection", client.closed()).await;

    let mut client = house.gateway.client().await;
    client.write(head(&house.bearer()).as_bytes()).await.unwrap();
    assert_eq!(soon("a head", client.any_head()).await.unwrap().status, 100);
    client.write(body.as_bytes()).await.unwrap();
    assert_eq!(soon("a reply", client.reply()).await.unwrap().answer(), "fine");
}

#[tokio::test]
async fn ambiguous_bodies_are_400_before_anybody_sees_them() {
    let house = house().await;
    let auth = house.bearer();
    for (body, param) in [
        (r#"{"model":"m","model":"n","messages":[]}"#, None),
        (r#"{"model":"m","messages":[{"role":"user","role":"system","content":"x"}]}"#, None),
        (r#"{"model":"m","messages":[]}x"#, None),
        ("\u{feff}{\"model\":\"m\",\"messages\":[]}", None),
        (r#"{"model":"m","messages":[{"role":"user","content":"\ud800"}]}"#, None),
        (r#"{"model":7,"messages":[]}"#, Some("model")),
        (r#"{"model":"m","stream":"yes","messages":[]}"#, Some("stream")),
        (r#"[]"#, None),
        ("", None),
    ] {
        let reply =
            house.send("POST", "/v1/chat/completions", &[("Authorization", &auth)], body.as_bytes()).await;
        assert!(!reply.refused(400).is_empty(), "{body}");
        if let Some(param) = param {
            assert_eq!(reply.json()["error"]["param"], param, "{body}");
        }
    }
    let deep = format!(r#"{{"model":"m","messages":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    let reply =
        house.send("POST", "/v1/chat/completions", &[("Authorization", &auth)], deep.as_bytes()).await;
    assert!(!reply.refused(400).is_empty());
    house.untouched().await;
}

#[tokio::test]
async fn zero_retention_reaches_no_target_that_keeps_content() {
    let keeps = Upstream::saying("kept").await;
    let forgets = Upstream::start(|call| {
        if call.json()["seed"] == 1 {
            Act::json(500, &reply::error("server_error", "x", "x"))
        } else {
            Act::answers(call, "forgot")
        }
    })
    .await;
    let gateway = Setup::new(format!(
        "providers:
  keeps: {{ base_url: 'http://{}/v1', keys: [sk-k], retention: days-30 }}
  forgets: {{ base_url: 'http://{}/v1', keys: [sk-f], retention: zero }}
models:
  only-keeps: {{ targets: [keeps/a] }}
  both: {{ targets: [keeps/a, forgets/b], retries: 0 }}
  forgets-first: {{ targets: [forgets/b, keeps/a], retries: 0 }}
",
        keeps.address, forgets.address
    ))
    .start()
    .await;
    let chat = ask();
    let ask = |model: &str, seed: u64| json!({ "model": model, "seed": seed, "messages": chat["messages"] });
    let (any, zero) = (gateway.key(&[]), gateway.key(&["--retention", "zero"]));
    let tighten = [("x-weir-retention", "zero")];
    let loosen = [("x-weir-retention", "days-30")];

    assert_eq!(
        gateway.chat_with(&any, &ask("only-keeps", 0), &tighten).await.refused(403),
        "zdr_no_eligible_endpoint"
    );
    assert_eq!(gateway.chat(&zero, &ask("only-keeps", 0)).await.refused(403), "zdr_no_eligible_endpoint");
    assert_eq!(
        gateway.chat(&zero, &ask("keeps/a", 0)).await.refused(403),
        "zdr_no_eligible_endpoint",
        "nor directly"
    );
    let reply = gateway.chat_with(&zero, &ask("only-keeps", 0), &loosen).await;
    assert_eq!(reply.refused(403), "zdr_no_eligible_endpoint", "a request may not loosen");
    assert_eq!((keeps.count(), forgets.count()), (0, 0), "nothing was sent");

    assert_eq!(gateway.chat(&zero, &ask("both", 0)).await.answer(), "forgot");
    let reply = gateway.chat(&zero, &ask("forgets-first", 1)).await;
    assert_eq!(reply.status(), 500, "there is no fallback to a target that keeps: {reply:?}");
    assert_eq!(keeps.count(), 0, "nothing was sent to it");
    assert_eq!(gateway.chat(&any, &ask("both", 0)).await.answer(), "kept");
    gateway.ledger_check();
}

#[tokio::test]
async fn keep_alive_serves_many_and_a_refusal_does_not_end_it() {
    let house = house().await;
    let mut client = house.gateway.client().await;
    for n in 0..10 {
        let body =
            if n % 2 == 0 { ask() } else { json!({ "model": "gpt-9", "messages": ask()["messages"] }) };
        client.chat(&house.key, &body, &[]).await.unwrap();
        let reply = soon("a reply", client.reply()).await.unwrap();
        assert_eq!(reply.status(), if n % 2 == 0 { 200 } else { 404 }, "request {n}: {reply:?}");
    }
}
