//! The head of a request is what `serde_json` reads in it, for each API; with another model in its place it is the same
//! request otherwise. The first byte says which API.
#![no_main]

#[allow(dead_code)]
mod grown;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use serde::de::Deserialize;
use serde_json::Value;
use weir_llm::api::Api;
use weir_llm::request::{Patch, Request};

/// The fuzzer's own bytes, or a document behind members that a head has; one key twice is refused, which is fine.
fn body(data: &[u8]) -> Vec<u8> {
    let Some((&[how, stream], rest)) = data.split_first_chunk::<2>() else { return data.to_vec() };
    if how % 3 == 0 {
        return data[1..].to_vec();
    }
    let grown = String::from_utf8_lossy(&grown::document(rest)).into_owned();
    let inner = grown.trim().strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or("");
    let comma = if inner.trim().is_empty() { "" } else { "," };
    let stream = ["true", "false", "null", "1", "\"true\""][usize::from(stream) % 5];
    let texts = r#""messages":[{"role":"user","content":"x"}],"input":"x","max_tokens":7,"prompt":"x","query":"x","documents":["x"]"#;
    format!("{{\"model\":\"m\\u0031\",{texts},\"stream\":{stream}{comma}{inner}}}").into_bytes()
}

fn value(bytes: &[u8]) -> Value {
    let mut theirs = serde_json::Deserializer::from_slice(bytes);
    theirs.disable_recursion_limit();
    Value::deserialize(&mut theirs).expect("we accept, serde_json does not")
}

fuzz_target!(|data: &[u8]| {
    let Some((&pick, rest)) = data.split_first() else { return };
    let api = Api::ALL[usize::from(pick) % Api::ALL.len()];
    let body = body(rest);
    let Ok(request) = Request::parse(api, Bytes::from(body.clone())) else { return };
    let theirs = value(&body);
    let named = theirs.get("model").is_some();
    // Only moderations may leave it out.
    assert!(named || api == Api::Moderations, "no model");
    assert_eq!(if named { theirs["model"].as_str() } else { Some("omni-moderation-latest") }, Some(request.model()));
    assert_eq!(theirs["stream"] == true, request.stream(), "{theirs}");
    let _ = (request.max_output_tokens(), request.user(), request.messages_span(), request.segments());
    let _ = (request.hosted(), request.data_wishes(), request.state());
    let sent = value(&request.patched(&Patch::model("another \"model\"")));
    assert_eq!(sent["model"], "another \"model\"");
    let mut theirs = theirs;
    theirs["model"] = sent["model"].clone();
    assert_eq!(sent, theirs, "nothing else has changed");
});
