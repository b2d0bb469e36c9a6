//! Replies that are no conversation: embeddings, images, sound, transcripts, scores. What a provider says went wrong is no
//! success, however good its status is, and what policies read they read under any name.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use weir_tests::frames::{self, END_HEADERS, END_STREAM, frame, kind, literal};
use weir_tests::{Act, Call, Client, Gateway, Reply, Setup, Upstream, reply, soon};

const FORM: &str = "multipart/form-data; boundary=b";

/// Two providers; `m` is served by both, `alone` by the first.
async fn house(one: &Upstream, two: &Upstream, policy: &str) -> (Gateway, String) {
    let at = |name: &str, upstream: &Upstream| {
        format!("  {name}: {{ base_url: \"http://{}\", keys: [sk-provider-secret] }}\n", upstream.address)
    };
    let target = |name| format!("{{ target: {name}, max_output: 10, prices: {{ input: 1, output: 10 }} }}");
    let (one, two) = (at("one", one) + &at("two", two), [target("one/m1"), target("two/m2")]);
    let setup = Setup::new(format!(
        "providers:\n{one}models:\n  m: {{ targets: [{}], retries: 0 }}\n  alone: {{ targets: [{}], retries: 0 }}\n",
        two.join(", "),
        two[0]
    ));
    let setup = match policy {
        "" => setup,
        _ => setup.also("policies:\n  - { file: p.rhai }").file("p.rhai", policy),
    };
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

/// Nobody hears of the river, and the mill is called by another name.
const GUARD: &str = r#"//! name: mouth
//! version: 1.0.0
//! hooks: [guard-response]
//! reads: content
//! buffer_streams: true
//! matchers:
//!   - { name: river, literals: [river] }
//!   - { name: mill, literals: [mill] }
//! declares: { codes: [rivers] }

fn guard_response(head, meta, reply, config) {
    if !reply.scan("river").is_empty() { return block(deny(451, "rivers", "No rivers, please.")); }
    edit(edits(reply.scan("mill"), text("XXXX")))
}
"#;

/// Hides e-mail addresses, and watches no reply.
const HIDES: &str = r#"//! name: hide
//! version: 1.0.0
//! hooks: [guard]
//! reads: content
//! matchers:
//!   - { name: email, patterns: ['[a-z]+@[a-z.]*[a-z]'] }

fn guard(request, config) { edit(edits(request.scan("email"), vault("email"))) }
"#;

/// Refuses what it is asked about.
const BOUNDS: &str = r#"//! name: bounds
//! version: 1.0.0
//! hooks: [guard]
//! config_schema: { type: object, properties: { most: { type: integer, default: 200 } } }
//! when: { config: { most: larger-body } }

fn guard(request, config) { block(deny(413, "too_large", `${request.head.body_bytes} bytes`)) }
"#;

/// What a provider may call its JSON.
const KINDS: [&[(&str, &str)]; 5] = [
    &[("Content-Type", "application/json")],
    &[("Content-Type", "Application/JSON; charset=utf-8")],
    &[("Content-Type", "text/plain")],
    &[("Content-Type", "text/event-stream")],
    &[],
];

#[tokio::test]
async fn a_transcript_is_guarded_whatever_its_provider_calls_it() {
    let path = "/v1/audio/transcriptions";
    for kind in KINDS {
        let one = Upstream::start(move |call| {
            let text = ["a mill by a river", "a mill by the sea"][call.index];
            Act::reply(200, kind, json!({ "text": text }).to_string())
        })
        .await;
        let (gateway, key) = house(&one, &one, GUARD).await;
        let body = json!({ "response_format": "json" });
        let blocked = ask(&gateway, &key, "alone", path, &body).await;
        assert_eq!(blocked.refused(451), "rivers", "{kind:?}: {blocked:?}");
        let posting = gateway.posting(blocked.id());
        assert_eq!((posting.outcome, posting.charged), ("refused", 0), "{kind:?}: {posting:?}");
        let edited = ask(&gateway, &key, "alone", path, &body).await;
        assert_eq!(
            (edited.status(), edited.json()),
            (200, json!({ "text": "a XXXX by the sea" })),
            "{kind:?}"
        );
    }
}

#[tokio::test]
async fn an_upload_counts_as_it_came_and_what_keeps_a_bound_is_not_asked_about() {
    let one = Upstream::start(|_| Act::reply(200, KINDS[0], json!({ "text": "a mill" }).to_string())).await;
    let (gateway, key) = house(&one, &one, BOUNDS).await;
    let path = "/v1/audio/transcriptions";
    let refused = ask(&gateway, &key, "alone", path, &json!({ "response_format": "json" })).await;
    assert_eq!(refused.refused(413), "too_large", "the form has more than 200 bytes, its fields have not");
    let embedded = json!({ "input": "a river" });
    let kept = ask(&gateway, &key, "alone", "/v1/embeddings", &embedded).await;
    assert_ne!(kept.status(), 413, "{kept:?}");
    let large = json!({ "input": "a river ".repeat(40) });
    let refused = ask(&gateway, &key, "alone", "/v1/embeddings", &large).await;
    assert_eq!(refused.refused(413), "too_large");
    assert!(refused.text().contains(" bytes"), "{refused:?}");
}

#[tokio::test]
async fn a_transcript_that_a_guard_cannot_read_does_not_pass_it() {
    let one =
        Upstream::start(|_| Act::reply(200, &[("Content-Type", "text/plain")], "a mill by a river")).await;
    let (gateway, key) = house(&one, &one, GUARD).await;
    let path = "/v1/audio/transcriptions";
    let refused = ask(&gateway, &key, "alone", path, &json!({ "response_format": "json" })).await;
    assert_eq!(refused.refused(502), "upstream_failed", "{refused:?}");
    assert!(!refused.text().contains("river"), "{refused:?}");
    let spoken = json!({ "input": "a river", "voice": "alloy" });
    let sound = ask(&gateway, &key, "alone", "/v1/audio/speech", &spoken).await;
    assert_eq!(sound.text(), "a mill by a river", "nobody reads sound");
}

#[tokio::test]
async fn what_was_hidden_is_given_back_in_a_transcript_under_any_name() {
    let path = "/v1/audio/transcriptions";
    for kind in KINDS {
        let one = Upstream::start(move |call| {
            let form = String::from_utf8_lossy(&call.body);
            let prompt = form.split("name=\"prompt\"\r\n\r\n").nth(1).unwrap();
            let said = prompt.split("\r\n").next().unwrap();
            assert!(!said.contains("ada@"), "{said}");
            Act::reply(200, kind, json!({ "text": said }).to_string())
        })
        .await;
        let (gateway, key) = house(&one, &one, HIDES).await;
        let body = json!({ "response_format": "json", "prompt": "by ada@example.org" });
        let heard = ask(&gateway, &key, "alone", path, &body).await;
        assert_eq!(heard.json(), json!({ "text": "by ada@example.org" }), "{kind:?}");
    }
}

#[tokio::test]
async fn a_reply_that_outlasts_the_grace_period_is_cut_and_settled() {
    let speech = ("/v1/audio/speech", json!({ "input": "a river", "voice": "alloy" }));
    let head = "HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nTransfer-Encoding: chunked\r\n\r\n";
    for act in [
        Act::new().send(head).chunk("ID3").hang(),
        Act::new().send(head).chunk("ID3").flood("more of it"),
        Act::stream().chunk(reply::event(&streams()[1].2[0])).hang(),
    ] {
        let one = Upstream::start(move |_| act.clone()).await;
        let (mut gateway, key) = house(&one, &one, "").await;
        let mut client = send(&gateway, &key, "alone", speech.0, &speech.1).await;
        assert_eq!(soon("a head", client.head()).await.unwrap().status, 200);
        soon("a piece", client.piece()).await.unwrap().unwrap();
        gateway.terminate();
        assert!(soon("the rest", client.rest()).await.is_err(), "it does not end as a whole one does");
        assert!(gateway.ended().await.success());
        let postings = gateway.postings();
        let posted: Vec<_> = postings.iter().map(|posting| (posting.outcome, posting.charged)).collect();
        assert_eq!(posted, [("upstream-cut", 0)]);
        assert!(gateway.stdout().contains(r#""outcome":"upstream_cut""#), "{}", gateway.stdout());
        gateway.ledger_check();
    }
}

#[tokio::test]
async fn json_that_outlasts_the_grace_period_is_refused() {
    let one = Upstream::start(|_| {
        Act::new()
            .send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{")
            .hang()
    })
    .await;
    let (mut gateway, key) = house(&one, &one, "").await;
    let (path, body, _) = apis()[1].clone();
    let mut client = send(&gateway, &key, "alone", path, &body).await;
    one.call(0).await;
    gateway.terminate();
    assert_eq!(soon("a refusal", client.reply()).await.unwrap().refused(503), "shutting_down");
    assert!(gateway.ended().await.success());
    assert_eq!(gateway.postings().remove(0).outcome, "failed");
}

/// Sound that breaks off.
fn broken(_: &Call) -> Act {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nTransfer-Encoding: chunked\r\n\r\n";
    Act::new().send(head).chunk("ID3").close()
}

#[tokio::test]
async fn what_a_provider_breaks_off_is_no_callers_leaving() {
    let one = Upstream::start(broken).await;
    let (gateway, key) = house(&one, &one, "").await;
    let body = json!({ "input": "a river", "voice": "alloy" });
    let mut client = send(&gateway, &key, "alone", "/v1/audio/speech", &body).await;
    assert_eq!(soon("a head", client.head()).await.unwrap().status, 200);
    assert!(soon("the rest", client.rest()).await.is_err());
    assert_eq!(gateway.posted(1).await.remove(0).outcome, "upstream-cut");
    let counted = r#"weir_requests_total{alias="alone",api="speech",outcome="upstream_cut",status="2xx"} 1"#;
    gateway.metrics_with(&[counted]).await;
}

#[tokio::test]
async fn a_connection_whose_streams_providers_break_off_stays() {
    let one = Upstream::start(broken).await;
    let (gateway, key) = house(&one, &one, "").await;
    let (mut reader, mut writer) = frames::connect(gateway.address).await.unwrap();
    let head = [
        literal(":method", "POST"),
        literal(":scheme", "http"),
        literal(":authority", "weir.test"),
        literal(":path", "/v1/audio/speech"),
        literal("authorization", &format!("Bearer {key}")),
        literal("content-type", "application/json"),
    ]
    .concat();
    let body = json!({ "model": "alone", "input": "a river", "voice": "alloy" }).to_string();
    // More than a caller may break off by itself.
    for turn in 0..120 {
        let stream = 2 * turn + 1;
        let asked = [
            frame(kind::HEADERS, END_HEADERS, stream, &head),
            frame(kind::DATA, END_STREAM, stream, body.as_bytes()),
        ];
        writer.write_all(&asked.concat()).await.unwrap();
        loop {
            let came = soon("a frame", reader.next()).await.unwrap();
            let ended = came.kind <= kind::HEADERS && came.flags & END_STREAM != 0;
            assert!(!ended || came.stream != stream, "it ends as a whole one does");
            if (came.kind, came.stream) == (kind::RESET, stream) {
                break;
            }
        }
    }
}
