//! Replies that are no conversation: embeddings, images, sound, transcripts, scores. What a provider says went wrong is no
//! success, however good its status is, and what policies read they read under any name.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use weir_tests::{Act, Call, Client, Gateway, Reply, Setup, Upstream, reply, soon};

const FORM: &str = "multipart/form-data; boundary=b";

/// Two providers; `m` is served by both, `alone` by the first.
async fn house(one: &Upstream, two: &Upstream, more: &str) -> (Gateway, String) {
    let at = |name: &str, upstream: &Upstream| {
        format!("  {name}: {{ base_url: \"http://{}\", keys: [sk-provider-secret] }}\n", upstream.address)
    };
    let target = |name| format!("{{ target: {name}, max_output: 10, prices: {{ input: 1, output: 10 }} }}");
    let (one, two) = (at("one", one) + &at("two", two), [target("one/m1"), target("two/m2")]);
    let setup = Setup::new(format!(
        "providers:\n{one}models:\n  m: {{ targets: [{}], retries: 0 }}\n  alone: {{ targets: [{}], retries: 0 }}\n{more}",
        two.join(", "),
        two[0]
    ));
    let gateway = setup.server("  timeouts: { grace: 300ms }").start().await;
    let key = gateway.key(&["--budget", "1"]);
    (gateway, key)
}

/// A request of each API whose reply is JSON, and a good reply.
fn apis() -> [(&'static str, Value, Value); 5] {
    [
        ("/v1/images/generations", json!({ "prompt": "a river", "n": 2 }), json!({ "data": [{}, {}] })),
        ("/v1/embeddings", json!({ "input": "a river" }), json!({ "data": [] })),
        ("/v1/moderations", json!({ "input": "a river" }), json!({ "results": [] })),
        ("/v1/rerank", json!({ "query": "q", "documents": ["a"] }), json!({ "results": [] })),
        ("/v1/audio/transcriptions", json!({ "response_format": "json" }), json!({ "text": "a river" })),
    ]
}

/// Requests of streams, and the events of each: a piece, and the last.
fn streams() -> [(&'static str, Value, [Value; 2]); 3] {
    let usage = json!({ "input_tokens": 14, "output_tokens": 3 });
    [
        (
            "/v1/images/generations",
            json!({ "prompt": "a river", "stream": true }),
            [
                json!({ "type": "image_generation.partial_image", "b64_json": "AA==" }),
                json!({ "type": "image_generation.completed", "b64_json": "AA==", "usage": usage }),
            ],
        ),
        (
            "/v1/audio/speech",
            json!({ "input": "a river", "voice": "alloy", "stream_format": "sse" }),
            [
                json!({ "type": "speech.audio.delta", "audio": "AA==" }),
                json!({ "type": "speech.audio.done", "usage": usage }),
            ],
        ),
        (
            "/v1/audio/transcriptions",
            json!({ "stream": "true" }),
            [
                json!({ "type": "transcript.text.delta", "delta": "a ri" }),
                json!({ "type": "transcript.text.done", "text": "a river", "usage": usage }),
            ],
        ),
    ]
}

/// Asks; a transcription by a form, which has the body's fields.
async fn send(gateway: &Gateway, key: &str, model: &str, path: &str, body: &Value) -> Client {
    let mut body = body.clone();
    body["model"] = json!(model);
    let bearer = format!("Bearer {key}");
    let (kind, bytes) = match path {
        "/v1/audio/transcriptions" => {
            let field = |(name, value): (&String, &Value)| {
                let value = value.as_str().unwrap();
                format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
            };
            let fields: String = body.as_object().unwrap().iter().map(field).collect();
            let file = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\nRIFF\r\n--b--\r\n";
            (FORM, fields + file)
        }
        _ => ("application/json", body.to_string()),
    };
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", kind)];
    let mut client = gateway.client().await;
    client.send("POST", path, &headers, bytes.as_bytes()).await.unwrap();
    client
}

async fn ask(gateway: &Gateway, key: &str, model: &str, path: &str, body: &Value) -> Reply {
    let mut client = send(gateway, key, model, path, body).await;
    soon("a reply", client.reply()).await.unwrap()
}

#[tokio::test]
async fn what_is_no_success_inside_is_a_failed_attempt() {
    let scripts: [fn(&Call) -> Act; 4] = [
        |_| Act::json(200, &reply::error("server_error", "as_scripted", "as scripted")),
        |_| Act::reply(200, &[("Content-Type", "application/json")], "{nonsense"),
        |_| Act::reply(200, &[("Content-Type", "application/json")], ""),
        |_| {
            Act::new()
                .send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{")
                .close()
        },
    ];
    for (script, code) in
        scripts.into_iter().zip(["as_scripted", "upstream_failed", "upstream_failed", "upstream_failed"])
    {
        for (path, body, good) in apis() {
            let said = good.clone();
            let one = Upstream::start(script).await;
            let two = Upstream::start(move |_| Act::json(200, &said)).await;
            let (gateway, key) = house(&one, &two, "").await;
            let refused = ask(&gateway, &key, "alone", path, &body).await;
            assert_eq!(refused.refused(502), code, "{path}: {refused:?}");
            let posting = gateway.posting(refused.id());
            assert_eq!(
                (posting.outcome, posting.charged, posting.units),
                ("failed", 0, [0; 4]),
                "{path}: {posting:?}"
            );
            let answered = ask(&gateway, &key, "m", path, &body).await;
            assert_eq!((answered.status(), answered.json()), (200, good), "{path}");
            let posting = gateway.posting(answered.id());
            assert_eq!(
                (posting.outcome, posting.attempts, &*posting.provider),
                ("ok", 2, "two"),
                "{path}: {posting:?}"
            );
            gateway.ledger_check();
        }
    }
}

#[tokio::test]
async fn a_page_where_json_belongs_is_a_failed_attempt_and_sound_is_not() {
    let one =
        Upstream::start(|_| Act::reply(200, &[("Content-Type", "text/html")], "<html>Sign in</html>")).await;
    let (gateway, key) = house(&one, &one, "").await;
    for (path, body, _) in apis().into_iter().take(4) {
        let refused = ask(&gateway, &key, "alone", path, &body).await;
        assert_eq!(refused.refused(502), "upstream_failed", "{path}: {refused:?}");
    }
    let (path, body, _) = apis()[4].clone();
    assert_eq!(ask(&gateway, &key, "alone", path, &body).await.text(), "<html>Sign in</html>");
}

#[tokio::test]
async fn a_stream_with_an_error_or_without_its_last_event_is_cut_and_not_billed() {
    let error = reply::event(&json!({ "type": "error", "error": { "message": "as scripted" } }));
    let named = b"event: error\ndata: it broke\n\n".to_vec();
    for (path, body, [piece, last]) in streams() {
        let (piece, last) = (reply::event(&piece), reply::event(&last));
        for (what, outcome, events) in [
            ("whole", "ok", vec![&piece, &last]),
            ("vllm", "ok", vec![&piece, &reply::done()]),
            ("no last event", "upstream-cut", vec![&piece]),
            ("no event", "upstream-cut", vec![]),
            ("an error", "upstream-cut", vec![&piece, &error]),
            ("an error by its name", "upstream-cut", vec![&piece, &named]),
            ("an error, then an end", "upstream-cut", vec![&error, &reply::done()]),
        ] {
            let act = events.iter().fold(Act::stream(), Act::chunk).end();
            let one = Upstream::start(move |_| act.clone()).await;
            let (gateway, key) = house(&one, &one, "").await;
            let mut client = send(&gateway, &key, "alone", path, &body).await;
            assert_eq!(soon("a head", client.head()).await.unwrap().status, 200);
            let rest = soon("the rest", client.rest()).await;
            assert_eq!(rest.is_ok(), outcome == "ok", "{path}, {what}: only a whole one ends well");
            let posting = gateway.posted(1).await.remove(0);
            assert_eq!(posting.outcome, outcome, "{path}, {what}: {posting:?}");
            assert_eq!(posting.charged > 0, outcome == "ok", "{path}, {what}: {posting:?}");
            gateway.ledger_check();
        }
    }
}
