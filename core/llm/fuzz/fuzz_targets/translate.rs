//! Whatever request we accept: it can be said in each dialect or is refused in words, and what is sent is JSON.
#![no_main]

#[allow(dead_code)]
mod grown;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use weir_llm::api::{Api, Dialect};
use weir_llm::estimate;
use weir_llm::json::Json;
use weir_llm::neutral::Target;
use weir_llm::request::{Patch, Request};
use weir_llm::translate::translate;
use weir_llm::vendor::{self, UNKNOWN};

/// Grown members behind those that a body must have; a grown key counts where it is the same.
fn body(api: Api, data: &[u8]) -> Vec<u8> {
    let grown = grown::document(data);
    if data.first().is_none_or(|first| first % 4 == 0) {
        return grown;
    }
    let list = match api {
        Api::Responses => "input",
        _ => "messages",
    };
    let mut inner = String::new();
    let mut seed = grown::Seed(data);
    for at in 0..1 + seed.byte() % 6 {
        inner.push_str(if at > 0 { "," } else { "" });
        seed.object(2, &mut inner);
    }
    let mut tools = String::new();
    for at in 0..seed.byte() % 3 {
        tools.push_str(if at > 0 { "," } else { "" });
        seed.object(2, &mut tools);
    }
    let tools = if tools.is_empty() { String::new() } else { format!(r#","tools":[{tools}]"#) };
    format!(r#"{{"model":"m","max_tokens":9,"{list}":[{inner}]{tools}}}"#).into_bytes()
}

fuzz_target!(|data: &[u8]| {
    let Some((&[pick, model], rest)) = data.split_first_chunk::<2>() else { return };
    let api = [Api::Chat, Api::Responses, Api::Messages][usize::from(pick) % 3];
    let Ok(request) = Request::parse(api, Bytes::from(body(api, rest))) else { return };
    let _ = (request.segments(), estimate::input_bound(&request), request.state(), request.user());
    let sent = request.patched(&Patch::model("other"));
    assert!(Json::parse(sent.clone()).is_ok(), "patched: {}", String::from_utf8_lossy(&sent));
    let models = ["m", "gpt-5", "claude-sonnet-4-5", "claude-3-haiku", "gemini-2.5-flash", "gemini-3-pro", "o3"];
    let vendors = vendor::all();
    let vendor = vendors.get(usize::from(pick >> 2) % (vendors.len() + 1)).unwrap_or(&UNKNOWN);
    let target = Target {
        model: models[usize::from(model) % models.len()],
        cap: (model & 0x80 > 0).then_some(5),
        output_limit: if model & 0x40 > 0 { 4096 } else { 0 },
        vendor,
    };
    for dialect in [Dialect::OpenAiChat, Dialect::OpenAiResponses, Dialect::Anthropic, Dialect::Gemini] {
        if let Ok(outgoing) = translate(&request, dialect, &target) {
            let json = Json::parse(outgoing.body.clone());
            assert!(json.is_ok(), "{dialect:?}: {:?} in {}", json.err(), String::from_utf8_lossy(&outgoing.body));
        }
    }
});
