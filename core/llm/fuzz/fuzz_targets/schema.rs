//! Whatever schema a caller declares: each dialect's form of it is JSON, and not much larger. How long it takes is
//! bounded by libFuzzer's `-timeout`.
#![no_main]

#[allow(dead_code)]
mod grown;

use libfuzzer_sys::fuzz_target;
use weir_llm::json::{Json, Kind};
use weir_llm::schema;

fuzz_target!(|data: &[u8]| {
    let document = grown::document(data);
    let Ok(text) = std::str::from_utf8(&document) else { return };
    let adapted = [
        Some(schema::for_openai(text)),
        schema::for_openai_strict(text),
        Some(schema::for_anthropic(text)),
        Some(schema::tool_input(text)),
        Some(schema::for_gemini(text)),
        schema::parameters_for_gemini(text),
    ];
    for adapted in adapted.into_iter().flatten() {
        let bound = (1 << 20) + 64 * text.len();
        assert!(adapted.len() <= bound, "{} bytes became {}", text.len(), adapted.len());
        // What needs no change is lent as it came, with whatever its keys are.
        let json = Json::parse_lenient(adapted.into_owned().into()).ok().filter(|json| json.root().kind() == Kind::Object);
        assert!(json.is_some(), "{text}");
    }
});
