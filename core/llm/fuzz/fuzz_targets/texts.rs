//! Arguments become objects, and envelopes and ids come back as they went in.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_llm::json::{Json, Kind};
use weir_llm::neutral::arguments::{as_object, is_object, unwrapped, wrapped_text};
use weir_llm::neutral::names::{fitted, fitted_id, nine};
use weir_llm::neutral::seal::{By, Seal, split_id};

fuzz_target!(|data: &[u8]| {
    let text = &*String::from_utf8_lossy(data);
    let object = as_object(text);
    let json = Json::parse_lenient(object.to_string().into()).expect("arguments are JSON");
    assert_eq!(json.root().kind(), Kind::Object);
    assert!(is_object(&object));
    assert_eq!(as_object(&object), object, "an object stays as it is");
    let _ = unwrapped(text);
    assert_eq!(unwrapped(&wrapped_text(text)), text);
    let _ = (Seal::unwrap(text), split_id(text));
    let _ = (Seal::unwrap(&format!("weir1_{text}")), split_id(&format!("call_weir1_{text}")));
    let middle = text.floor_char_boundary(text.len() / 2);
    let (proof, shown) = text.split_at(middle);
    for by in [By::Anthropic, By::OpenAi, By::Gemini] {
        let seal = Seal { by, data: proof.into(), hidden: middle % 2 == 0 };
        let (back, said) = Seal::unwrap(&seal.wrap(shown)).expect("our own envelope");
        assert!(back == seal && said == shown);
        let id = seal.into_id("call_1");
        let (own, back) = split_id(&id);
        assert_eq!(own, "call_1");
        assert!(back.is_some_and(|back| back.by == by && back.data == proof));
    }
    let fits = |name: &str, longest: usize| {
        !name.is_empty() && name.len() <= longest && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
    };
    assert!(fits(&fitted(text, 64), 64) && fits(&fitted_id(text), 64) && fits(&nine(text), 9));
});
