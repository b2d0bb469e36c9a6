//! A Responses stream that passes through: its error has two events, and who ends it does so in its own name.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests, outside test functions"
)]

use serde_json::{Value, json};
use weir_llm::api::Api;
use weir_llm::fault::Said;
use weir_llm::json::Json;
use weir_llm::neutral::Ask;
use weir_llm::responses::Track;
use weir_llm::sse;
use weir_llm::translate::{Scan, Seen};

const SAID: Said<'static> = Said {
    status: 502,
    kind: "server_error",
    code: Some("upstream_failed"),
    param: None,
    message: "The stream was cut.",
    request_id: "req-1",
};

fn frame(name: &str, data: &Value) -> String {
    let name = if name.is_empty() { String::new() } else { format!("event: {name}\n") };
    format!("{name}data: {data}\n\n")
}

fn created(number: u64) -> Value {
    json!({"type": "response.created", "sequence_number": number, "response": {"id": "resp_own", "object": "response",
        "status": "in_progress", "error": null, "output": [], "model": "gpt", "metadata": {"sequence_number": "x"}}})
}

fn delta(number: u64) -> Value {
    json!({"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0,
        "delta": "say \"sequence_number\":99", "sequence_number": number})
}

fn error(number: u64) -> Value {
    json!({"type": "error", "sequence_number": number,
        "error": {"type": "server_error", "code": "server_error", "message": "Down.", "param": null}})
}

fn failed(number: u64) -> Value {
    json!({"type": "response.failed", "sequence_number": number, "response": {"id": "resp_own", "status": "failed",
        "error": {"code": "server_error", "message": "Down."}, "output": []}})
}

fn events(bytes: &[u8]) -> Vec<Value> {
    let mut all = Vec::new();
    sse::Parser::new(1 << 20)
        .push(bytes, &mut |event| {
            let data: Value = serde_json::from_slice(event.data).unwrap();
            assert_eq!(data["type"], event.name);
            all.push(data);
        })
        .unwrap();
    all
}

fn tracked(stream: &str) -> Option<Vec<Value>> {
    let mut track = Track::new();
    sse::Parser::new(1 << 20).push(stream.as_bytes(), &mut |event| track.feed(&event)).unwrap();
    track.fail(&SAID).map(|bytes| events(&bytes))
}

fn scanned(scan: &mut Scan, events: &[Value]) -> Vec<Seen> {
    let mut seen = Vec::new();
    for data in events {
        let frame = frame(data["type"].as_str().unwrap(), data);
        sse::Parser::new(1 << 20).push(frame.as_bytes(), &mut |event| seen.push(scan.feed(&event))).unwrap();
    }
    seen
}

#[test]
fn case_32_a_cut_stream_ends_in_its_own_name() {
    for name in [true, false] {
        let named = |data: &Value| frame(if name { data["type"].as_str().unwrap() } else { "" }, data);
        let ends = tracked(&(named(&created(0)) + &named(&delta(4)))).unwrap();
        let [error, failed] = ends.as_slice() else { panic!("{ends:?}") };
        assert_eq!((&error["type"], &error["sequence_number"]), (&json!("error"), &json!(5)));
        assert_eq!(
            (&error["error"]["message"], &error["message"]),
            (&json!(SAID.message), &json!(SAID.message))
        );
        assert_eq!((&failed["type"], &failed["sequence_number"]), (&json!("response.failed"), &json!(6)));
        let want = json!({"id": "resp_own", "object": "response", "status": "failed", "model": "gpt", "output": [],
            "error": {"code": "server_error", "message": SAID.message}, "metadata": {"sequence_number": "x"}});
        assert_eq!(failed["response"], want);
    }
}

#[test]
fn what_has_not_begun_has_no_name() {
    assert_eq!(tracked(""), None);
    assert_eq!(tracked(&frame("response.output_text.delta", &delta(1))), None);
    assert_eq!(tracked("event: response.created\ndata: {\"response\":\n\n"), None);
    assert_eq!(tracked("event: response.created\ndata: {\"response\":null}\n\n"), None);
}

#[test]
fn numbers_that_are_none_are_counted() {
    let mut stream =
        frame("response.created", &created(0)).replace("\"sequence_number\":0", "\"sequence_number\":null");
    stream += "event: response.in_progress\ndata: {}\n\n";
    assert_eq!(tracked(&stream).unwrap()[0]["sequence_number"], 2);
    let most = frame("response.created", &created(u64::MAX));
    assert_eq!(tracked(&most).unwrap()[0]["sequence_number"], 1);
}

#[test]
fn an_event_that_is_replaced_leaves_its_number() {
    let last = json!({"type": "response.completed", "sequence_number": 7, "response": {"id": "resp_own"}});
    let stream = frame("response.created", &created(6)) + &frame("response.completed", &last);
    assert_eq!(tracked(&stream).unwrap()[0]["sequence_number"], 7);
}

#[test]
fn case_33_an_error_waits_for_its_failed_response() {
    let mut scan = Scan::new(Api::Responses, false);
    let seen = scanned(&mut scan, &[created(0), delta(1), error(2)]);
    assert_eq!(seen, [Seen::Piece, Seen::Piece, Seen::Piece]);
    assert_eq!(scan.error().unwrap().message, "Down.");
    assert_eq!(scanned(&mut scan, &[delta(3), failed(4)]), [Seen::Nothing, Seen::Error]);

    // Cut between the two: only what is missing is added.
    let mut cut = Scan::new(Api::Responses, false);
    scanned(&mut cut, &[created(0), error(1)]);
    let json = Json::parse("{}".into()).unwrap();
    let ask = Ask { root: json.root(), include_usage: false, request_id: "req-1", now: 1, model: "m" };
    let ends = events(&cut.fail(Api::Responses, &SAID, &ask));
    assert_eq!(ends.len(), 1);
    assert_eq!((&ends[0]["type"], &ends[0]["sequence_number"]), (&json!("response.failed"), &json!(2)));
    assert_eq!(ends[0]["response"]["id"], "resp_own");

    // A failed response alone, and streams of other APIs, end at once.
    let mut bare = Scan::new(Api::Responses, false);
    assert_eq!(scanned(&mut bare, &[created(0), failed(1)]), [Seen::Piece, Seen::Error]);
    let mut messages = Scan::new(Api::Messages, false);
    assert_eq!(scanned(&mut messages, &[error(0)]), [Seen::Error]);
    let ends = messages.fail(Api::Messages, &SAID, &ask);
    assert_eq!(events(&ends)[0]["type"], "error");
}

#[test]
fn a_stream_that_said_nothing_is_ended_all_the_same() {
    let json = Json::parse("{}".into()).unwrap();
    let ask = Ask { root: json.root(), include_usage: false, request_id: "req-1", now: 1, model: "m" };
    for api in [Api::Chat, Api::Responses, Api::Messages] {
        assert!(!Scan::new(api, false).fail(api, &SAID, &ask).is_empty());
    }
    let ends = events(&Scan::new(Api::Responses, false).fail(Api::Responses, &SAID, &ask));
    assert_eq!(ends.last().unwrap()["response"]["id"], "resp_req-1");
}
