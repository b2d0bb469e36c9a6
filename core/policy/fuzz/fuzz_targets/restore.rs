//! What was hidden comes back, however the stream is cut and whatever stands around it; JSON stays JSON; nothing is made up.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use weir_policy::vault::{Restorer, Vault};
use weir_policy::{DeltaKind, Lane};

fuzz_target!(|data: &[u8]| {
    let Some((&[split, cut, kind], rest)) = data.split_first_chunk::<3>() else { return };
    let text = &*String::from_utf8_lossy(rest);
    let at = |share: u8, text: &str| text.floor_char_boundary(usize::from(share) * text.len() / 255);
    let (hidden, around) = text.split_at(at(split, text));
    let arguments = kind & 1 == 1;
    let vault = Vault::for_cases();
    // Only what is a number or a literal of JSON is said to have stood without quotes.
    let bare = hidden.trim() == hidden && !hidden.starts_with(['"', '[', '{']);
    let number = kind & 2 == 2 && bare && serde_json::from_str::<Value>(hidden).is_ok();
    let token = vault.mint("email", hidden, number).expect("it has room");
    let mut restorer = Restorer::new(&vault).expect("something is hidden");

    // Control characters stand for what models make of a token; a fuzzer seldom guesses one.
    let written = token.replace('[', "\\[").replace(']', "\\]");
    let said = around
        .replace('\u{1}', &token)
        .replace('\u{2}', &written)
        .replace('\u{3}', &token[1..token.len() - 1]);
    let whole = restorer.text(&said, arguments);
    let kind = if arguments { DeltaKind::ToolArgs } else { DeltaKind::Content };
    let lane = Lane { choice: 0, kind, index: 0 };
    let mut pushed = |pieces: &[&str]| {
        let mut left = String::new();
        for (at, piece) in pieces.iter().enumerate() {
            restorer.push(lane, piece, at + 1 == pieces.len(), &mut |text| left.push_str(text));
        }
        left
    };
    let (one, two) = said.split_at(at(cut, &said));
    assert_eq!(pushed(&[one, two]), whole);
    let single: Vec<String> = said.chars().map(String::from).collect();
    let single: Vec<&str> = single.iter().map(String::as_str).chain([""]).collect();
    assert_eq!(pushed(&single), whole);

    if !said.to_ascii_lowercase().contains("case00") {
        assert_eq!(whole, said, "nothing is made up");
    }
    if serde_json::from_str::<Value>(&said).is_ok_and(|said| said.is_object() || said.is_array()) {
        assert!(serde_json::from_str::<Value>(&whole).is_ok(), "{said} became {whole}");
    }
    let inside = serde_json::json!({ "k": [token] }).to_string();
    let back: Value = serde_json::from_str(&restorer.text(&inside, false)).expect("it stays JSON");
    assert_eq!(back["k"][0], hidden);
});
