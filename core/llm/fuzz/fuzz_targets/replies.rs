//! Whatever a provider answers: no reader panics, and what the caller gets is JSON.
#![no_main]

#[allow(dead_code)]
mod grown;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use weir_llm::api::{Api, Dialect};
use weir_llm::json::Json;
use weir_llm::neutral::{Ask, Target};
use weir_llm::request::Request;
use weir_llm::translate::{replay, summary, translate};
use weir_llm::vendor::UNKNOWN;

fuzz_target!(|data: &[u8]| {
    let Some((&pair, rest)) = data.split_first() else { return };
    let body = Bytes::from(grown::document(rest));
    let (api, asked) = [
        (Api::Chat, r#"{"model":"m","messages":[{"role":"user","content":"a"}]}"#),
        (Api::Responses, r#"{"model":"m","input":"a","tools":[{"type":"custom","name":"get_weather"}]}"#),
        (Api::Messages, r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"a"}]}"#),
    ][usize::from(pair) % 3];
    let request = Request::parse(api, Bytes::from_static(asked.as_bytes())).unwrap();
    let root = request.json().root();
    let ask = Ask { root, include_usage: true, request_id: "r", now: 1, model: "m" };
    let target = Target { model: "m", cap: None, output_limit: 0, vendor: &UNKNOWN };
    for dialect in [Dialect::OpenAiChat, Dialect::OpenAiResponses, Dialect::Anthropic, Dialect::Gemini] {
        let back = translate(&request, dialect, &target).unwrap().back;
        let Ok(turned) = back.whole(&body, &ask) else { continue };
        let turned = turned.body.expose();
        let json = Json::parse(turned.clone());
        assert!(json.is_ok(), "{dialect:?}: {:?} in {}", json.err(), String::from_utf8_lossy(turned));
        // What we say in an API's form we can read as one.
        summary(api, turned).expect("our own reply");
        for frame in replay(api, turned, &ask) {
            assert!(frame.ends_with(b"\n\n"));
        }
    }
    let _ = (summary(api, &body), replay(api, &body, &ask));
});
