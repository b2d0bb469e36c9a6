use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

const CONTENT: Lane = Lane { choice: 0, kind: DeltaKind::Content, index: 0 };
const ARGS: Lane = Lane { kind: DeltaKind::ToolArgs, ..CONTENT };

/// A vault with the cases' nonce and these texts of the class `email`, from 1 on.
fn vault(texts: &[&str]) -> Vault {
    let vault = Vault::for_cases();
    for text in texts {
        vault.mint("email", text, false).unwrap();
    }
    vault
}

fn restorer(texts: &[&str]) -> Restorer {
    Restorer::new(&vault(texts)).unwrap()
}

/// What left after each piece; the lane ends with the last.
fn streamed(restorer: &mut Restorer, lane: Lane, pieces: &[&str]) -> Vec<String> {
    let left = pieces.iter().enumerate().map(|(at, piece)| {
        let mut left = String::new();
        restorer.push(lane, piece, at + 1 == pieces.len(), &mut |text| left.push_str(text));
        left
    });
    left.collect()
}

#[test]
fn a_token_is_found_in_what_models_make_of_it() {
    let restorer = restorer(&["a@b.c", "x y"]);
    for (said, wanted) in [
        ("To [EMAIL-1-case00].", "To a@b.c."),
        ("To [email-1-CASE00].", "To a@b.c."),
        ("To EMAIL-1-case00.", "To a@b.c."),
        ("To \\[EMAIL-1-case00\\].", "To a@b.c."),
        ("To \\[EMAIL\\-1\\-case00\\].", "To a@b.c."),
        ("To \\u005bEMAIL-1-case00\\u005D.", "To a@b.c."),
        ("To [EMAIL\u{2011}1\u{2011}case00].", "To a@b.c."),
        ("**[EMAIL-1-case00]**", "**a@b.c**"),
        ("_EMAIL-1-case00_", "_a@b.c_"),
        ("`[EMAIL-1-case00]`", "`a@b.c`"),
        ("[[EMAIL-1-case00]](mailto:[EMAIL-1-case00])", "[a@b.c](mailto:a@b.c)"),
        ("https://x.test/?q=%5BEMAIL-2-case00%5D&n=1", "https://x.test/?q=x%20y&n=1"),
        ("C:\\[EMAIL-1-case00]", "C:\\a@b.c"),
        ("[EMAIL-1-case00][EMAIL-2-case00]", "a@b.cx y"),
        ("[EMAIL-1-case00, EMAIL-2-case00]", "[a@b.c, x y]"),
        ("é[EMAIL-1-case00]é", "éa@b.cé"),
    ] {
        assert_eq!(restorer.text(said, false), wanted, "{said}");
    }
}

#[test]
fn what_nobody_minted_stays_as_it_is() {
    let restorer = restorer(&["a@b.c"]);
    for said in [
        "[EMAIL-2-case00]",
        "[EMAIL-0-case00]",
        "[EMAIL-01-case00]",
        "[EMAIL-1-case01]",
        "[PHONE-1-case00]",
        "[EMAI-1-case00]",
        "[EMAILS-1-case00]",
        "[EMAIL-1-case0]",
        "[EMAIL-1-case000]",
        "[EMAIL-1 case00]",
        "MYEMAIL-1-case00",
        "EMAIL-1-case00s",
        "[EMAIL-99999999999999999999-case00]",
        "[EMAIL-1-",
        "\\\\\\[",
        "",
    ] {
        assert_eq!(restorer.text(said, false), said);
        assert_eq!(restorer.text(said, true), said);
    }
}

#[test]
fn a_text_is_escaped_where_json_wants_it_and_nowhere_else() {
    let key = "-----BEGIN\n\"KEY\"\\";
    let restorer = restorer(&[key]);
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let one = restorer.text("{\"key\": \"[EMAIL-1-case00]\"}", true);
    assert_eq!(json(&one), json!({ "key": key }));
    let two = restorer.text(r#"{"body": "{\"key\": \"<[EMAIL-1-case00]>\"}"}"#, true);
    assert_eq!(json(json(&two)["body"].as_str().unwrap()), json!({ "key": format!("<{key}>") }));
    let unquoted = restorer.text("{\"key\": [EMAIL-1-case00], \"n\": 1}", true);
    assert_eq!(json(&unquoted), json!({ "key": key, "n": 1 }));
    let escaped =
        restorer.text(r#"{"key": "\\[EMAIL-1-case00\\]", "b": "\u005bEMAIL-1-case00\u005d"}"#, false);
    assert_eq!(json(&escaped), json!({ "key": key, "b": key }));
    assert_eq!(restorer.text("Dear [EMAIL-1-case00],", false), format!("Dear {key},"));
    let fenced =
        restorer.text("So:\n```json\n{\"key\": \"[EMAIL-1-case00]\"}\n```\nor [EMAIL-1-case00]", false);
    let block = fenced.split("```").nth(1).unwrap().trim_start_matches("json");
    assert_eq!(json(block), json!({ "key": key }));
    assert!(fenced.ends_with(&format!("or {key}")));
}

#[test]
fn a_number_of_a_tools_arguments_is_given_back_as_one() {
    let vault = Vault::for_cases();
    vault.mint("card", "4111111111111111", true).unwrap();
    vault.mint("card", "5500005555555559", true).unwrap();
    vault.mint("card", "5500005555555559", false).unwrap();
    let mut restorer = Restorer::new(&vault).unwrap();
    let said = r#"{"card": "[CARD-1-case00]", "note": "my [CARD-1-case00]", "other": "[CARD-2-case00]"}"#;
    let wanted = r#"{"card": 4111111111111111, "note": "my 4111111111111111", "other": "5500005555555559"}"#;
    assert_eq!(restorer.text(said, true), wanted, "the second stood as a text, too");
    assert_eq!(
        restorer.text(said, false),
        said.replace("[CARD-1-case00]", "4111111111111111").replace("[CARD-2-case00]", "5500005555555559")
    );
    for cut in 0..=said.len() {
        let left = streamed(&mut restorer, ARGS, &[&said[..cut], &said[cut..]]).concat();
        assert_eq!(left, wanted, "cut at {cut}");
    }
    assert_eq!(restorer.text("{\"card\": [CARD-1-case00]}", true), "{\"card\": 4111111111111111}");
}

#[test]
fn lanes_do_not_mix_and_what_is_held_is_let_go_at_the_end() {
    let mut restorer = restorer(&["a@b.c"]);
    let other = Lane { index: 1, ..CONTENT };
    let (mut one, mut two) = (String::new(), String::new());
    restorer.push(CONTENT, "[EMAIL-1-", false, &mut |text| one.push_str(text));
    restorer.push(other, "case00]", true, &mut |text| two.push_str(text));
    restorer.push(CONTENT, "case", true, &mut |text| one.push_str(text));
    assert_eq!((one.as_str(), two.as_str()), ("[EMAIL-1-case", "case00]"));
}

#[test]
fn no_more_is_held_than_the_beginning_of_a_token() {
    let mut restorer = restorer(&["a@b.c"]);
    let left =
        streamed(&mut restorer, CONTENT, &["Everything [see", " below] [EM", "AIL-1-case0", "0", "] x", ""]);
    assert_eq!(left, ["Everything [see", " below] ", "", "", "a@b.c x", ""]);
}

#[test]
fn a_whole_reply_is_restored_in_every_place() {
    let restorer = restorer(&["a\"b"]);
    let token = "[EMAIL-1-case00]";
    let chat = json!({ "id": "x", "choices": [{ "message": { "content": format!("to {token}"),
        "reasoning_content": token, "refusal": token,
        "tool_calls": [{ "function": { "name": "mail", "arguments": json!({ "to": token }).to_string() } }] } }] });
    let out: Value = serde_json::from_slice(&restorer.reply(Api::Chat, &chat.to_string().into())).unwrap();
    let message = &out["choices"][0]["message"];
    assert_eq!((&message["content"], &message["reasoning_content"]), (&json!("to a\"b"), &json!("a\"b")));
    assert_eq!(message["refusal"], "a\"b");
    let arguments: Value =
        serde_json::from_str(message["tool_calls"][0]["function"]["arguments"].as_str().unwrap()).unwrap();
    assert_eq!(arguments, json!({ "to": "a\"b" }));
    let messages = json!({ "content": [{ "type": "text", "text": token },
        { "type": "tool_use", "id": "t", "name": "mail", "input": { "to": [token] } }] });
    let out: Value =
        serde_json::from_slice(&restorer.reply(Api::Messages, &messages.to_string().into())).unwrap();
    assert_eq!(
        (&out["content"][0]["text"], &out["content"][1]["input"]["to"][0]),
        (&json!("a\"b"), &json!("a\"b"))
    );
    let responses = json!({ "instructions": format!("you are {token}"), "metadata": { "k": token },
        "output": [{ "type": "message", "content": [{ "type": "output_text", "text": token }] }] });
    let out: Value =
        serde_json::from_slice(&restorer.reply(Api::Responses, &responses.to_string().into())).unwrap();
    assert_eq!(out["output"][0]["content"][0]["text"], "a\"b");
    assert_eq!((&out["instructions"], &out["metadata"]["k"]), (&json!("you are a\"b"), &json!("a\"b")));
    let without = Bytes::from_static(b"{\"choices\": [ ]}");
    assert_eq!(restorer.reply(Api::Chat, &without).as_ptr(), without.as_ptr(), "the same bytes");
}

/// Pieces of what a model may say about two hidden texts.
fn saying() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "[EMAIL-1-case00]",
        "[EMAIL-2-case00]",
        "[EMAIL-3-case00]",
        "\\[EMAIL-1-case00\\]",
        "EMAIL-2-case00",
        "[email-1-CASE00]",
        "\\u005bEMAIL-1-case00\\u005d",
        "%5BEMAIL-1-case00%5D",
        "[EMAIL-1-",
        "case00]",
        "[",
        "]",
        "\\",
        "\"",
        "{",
        "}",
        ":",
        ",",
        " ",
        "\n",
        "{\"k\":\"",
        "\"}",
        "{\"k\":",
        "é",
        "😀",
        "EM",
        "-1-",
        "u005b",
        "```json\n",
        "x",
        "1",
    ]);
    prop::collection::vec(pieces, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_split_restores_the_same_as_the_whole(
        said in saying(),
        cuts in prop::collection::vec(0_usize..400, 0..8),
        arguments: bool,
        texts in prop::array::uniform2("\\PC{0,12}"),
    ) {
        let vault = Vault::for_cases();
        vault.mint("email", &texts[0], true).unwrap();
        vault.mint("email", &format!("{}\"\\", texts[1]), false).unwrap();
        let mut restorer = Restorer::new(&vault).unwrap();
        let whole = restorer.text(&said, arguments);
        let mut at: Vec<usize> = cuts.into_iter().filter(|cut| said.is_char_boundary(*cut) && *cut <= said.len()).collect();
        at.extend([0, said.len()]);
        at.sort_unstable();
        let pieces: Vec<&str> = at.windows(2).map(|pair| &said[pair[0]..pair[1]]).chain([""]).collect();
        let lane = if arguments { ARGS } else { CONTENT };
        prop_assert_eq!(streamed(&mut restorer, lane, &pieces).concat(), whole.clone());
        let bytes: Vec<String> = said.chars().map(String::from).collect();
        let pieces: Vec<&str> = bytes.iter().map(String::as_str).chain([""]).collect();
        prop_assert_eq!(streamed(&mut restorer, lane, &pieces).concat(), whole);
    }

    #[test]
    fn what_was_hidden_comes_back_in_text_and_in_json(text in any::<String>(), around in "[ .,:;é]{0,6}") {
        let vault = Vault::default();
        let token = vault.mint("secret-key", &text, false).unwrap();
        let restorer = Restorer::new(&vault).unwrap();
        prop_assert_eq!(restorer.text(&format!("{around}{token}{around}"), false), format!("{around}{text}{around}"));
        let arguments = json!({ "k": { "nested": [format!("{around}{token}")] } }).to_string();
        let back: Value = serde_json::from_str(&restorer.text(&arguments, true)).unwrap();
        prop_assert_eq!(back, json!({ "k": { "nested": [format!("{around}{text}")] } }));
        let twice = json!({ "k": json!({ "in": token }).to_string() }).to_string();
        let back: Value = serde_json::from_str(&restorer.text(&twice, true)).unwrap();
        let inner: Value = serde_json::from_str(back["k"].as_str().unwrap()).unwrap();
        prop_assert_eq!(inner, json!({ "in": text }));
    }

    #[test]
    fn two_exchanges_never_resolve_each_others_tokens(texts in prop::collection::vec("[a-z]{1,8}", 1..8)) {
        let (one, two) = (Vault::default(), Vault::default());
        let said: Vec<String> = texts.iter().map(|text| one.mint("email", text, false).unwrap()).collect();
        texts.iter().for_each(|text| { two.mint("email", &format!("other {text}"), false).unwrap(); });
        let said = said.join(" ");
        prop_assert_eq!(Restorer::new(&two).unwrap().text(&said, false), said.clone());
        prop_assert_eq!(Restorer::new(&one).unwrap().text(&said, false), texts.join(" "));
    }

    #[test]
    fn what_holds_no_token_is_not_touched(said in "(\\PC|[\\[\\]\\\\{}\"%\n]|EMAIL-1-case0|\\[EMAIL){0,40}", arguments: bool) {
        prop_assume!(!said.to_ascii_lowercase().contains("case00"));
        prop_assert_eq!(restorer(&["a@b.c"]).text(&said, arguments), said);
    }

    #[test]
    fn what_is_held_is_never_longer_than_a_token(said in saying()) {
        let mut restorer = restorer(&["a@b.c", "d"]);
        let longest = "\\u005bEMAIL\\u002d2\\u002dcase00\\u005d".len() + 4 * 8;
        let mut left = 0;
        for (at, c) in said.char_indices() {
            restorer.push(CONTENT, c.encode_utf8(&mut [0; 4]), false, &mut |_| left += 1);
            let held = restorer.lanes[&CONTENT].held.len();
            prop_assert!(held < longest, "{held} held at {at} of {said}");
        }
    }
}
