//! Whatever our strict parser accepts, `serde_json` accepts with an equal value.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use serde::de::Deserialize;
use weir_llm::json::{Json, Kind, Value};

fn to_serde(value: Value<'_>) -> serde_json::Value {
    match value.kind() {
        Kind::Null => serde_json::Value::Null,
        Kind::Bool => value.as_bool().unwrap().into(),
        Kind::Number => serde_json::from_slice(value.raw()).unwrap(),
        Kind::String => value.as_str().unwrap().into_owned().into(),
        Kind::Array => value.elements().map(to_serde).collect(),
        Kind::Object => value.members().map(|(key, value)| (key.into_owned(), to_serde(value))).collect(),
    }
}

fuzz_target!(|data: &[u8]| {
    let _ = Json::parse_lenient(Bytes::copy_from_slice(data));
    if let Ok(json) = Json::parse(Bytes::copy_from_slice(data)) {
        let mut theirs = serde_json::Deserializer::from_slice(data);
        theirs.disable_recursion_limit();
        let value = serde_json::Value::deserialize(&mut theirs).expect("we accept, serde_json does not");
        theirs.end().expect("trailing bytes");
        assert_eq!(to_serde(json.root()), value);
    }
});
