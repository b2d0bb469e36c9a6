//! Values and their look-alikes, one by one.

use weir_plugin_redact_pii::{Leave, scan, scan_with};

fn shown(text: &str) -> String {
    let mut out = String::new();
    let mut at = 0;
    for found in scan(text) {
        out.push_str(&text[at..found.start]);
        out.push_str(&format!("<{}>", found.class.as_str()));
        at = found.end;
    }
    out + &text[at..]
}

#[test]
fn each_is_found_where_it_is() {
    let cases = [
        ("to ada.lovelace+weir@mail.example.org, please", "to <email>, please"),
        ("mailto:ada@example.org?subject=x", "mailto:<email>?subject=x"),
        ("müller@büro.example und 联系ada@example.com吧", "<email> und 联系<email>吧"),
        ("card 4111 1111 1111 1111 12/27 and 5555-5555-5555-4444", "card <card> 12/27 and <card>"),
        ("2024 4111111111111111 77", "2024 <card> 77"),
        ("amex 3782 822463 10005.", "amex <card>."),
        ("pay DE89 3704 0044 0532 0130 00 or GB82WEST12345698765432", "pay <iban> or <iban>"),
        ("ssn 078-05-1120, SSN: 123456789", "ssn <ssn>, SSN: <ssn>"),
        ("ping 203.0.113.9 or [2001:db8::1]:443, fe80::1.", "ping <ip> or [<ip>]:443, <ip>."),
        ("GET http://8.8.8.8/x from 1.2.3.4:5678", "GET http://<ip>/x from <ip>:5678"),
        ("call +1 (555) 010-0199 or 555-210-0199", "call <phone> or <phone>"),
        ("Tel. 030 901820, mobil: 0171/2345678", "Tel. <phone>, mobil: <phone>"),
        ("\"phone_number\": \"01712345678\"", "\"phone_number\": \"<phone>\""),
        ("AKIAIOSFODNN7EXAMPLE", "<key>"),
        ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "aws_secret_access_key = <key>"),
        ("xoxb-00000-00000-EXAMPLENOTAREALTOKEN", "<key>"),
    ];
    for (text, expected) in cases {
        assert_eq!(shown(text), expected, "{text}");
    }
}

#[test]
fn what_only_looks_like_one_is_left() {
    let texts = [
        "order 4111 1111 1111 1112",
        "float 0.4111111111111111",
        "id 550e8400-e29b-41d4-a716-446655440000",
        "GB83WEST12345698765432",
        "version 1.2.3.4 of Agent/10.0.0.1",
        "std::fs and dead::beef at 12:34:56",
        "icon@2x.png left-pad@1.3.0",
        "git@github.com:ada/x.git",
        "ISBN 978-3-16-148410-0 on 2024-11-28",
        "sk-learn-compatible-estimators-library",
        "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "ring 0 of 7",
        "a line -----BEGIN PRIVATE KEY----- and -----END PRIVATE KEY-----",
        "127.0.0.1 and ::1 and 255.255.255.0",
    ];
    for text in texts {
        assert_eq!(shown(text), text);
    }
}

#[test]
fn what_is_encoded_is_found_and_goes_as_a_whole() {
    let cases = [
        (r#"{"to":"ada\u0040example.org"}"#, r#"{"to":"<email>"}"#),
        (r#"{"a":"x\nada@example.org\n"}"#, r#"{"a":"x\n<email>\n"}"#),
        (r#"{"a":"{\"b\":\"ada\\u0040example.org\\n\"}"}"#, r#"{"a":"{\"b\":\"<email>\\n\"}"}"#),
        ("?q=ada%40example.org&z", "?q=<email>&z"),
        ("?q=%2B15550100199&z", "?q=<phone>&z"),
        ("?q=ada%2540example.org", "?q=<email>"),
        ("ada&#64;example.org", "<email>"),
        ("a\u{200b}da@exam\u{ad}ple.org", "<email>"),
        ("x YWRhQGV4YW1wbGUub3Jn y", "x <email> y"),
        ("data=aWQ6IGFkYUBleGFtcGxlLm9yZyE=;", "data=<email>;"),
        // Base64 of base64 of `write ada@example.org`.
        ("d3JpdGUgWVdSaFFHVjRZVzF3YkdVdWIzSm4=", "<email>"),
        ("https://x.test/p/YWRhQGV4YW1wbGUub3Jn/edit", "https://x.test/p/<email>/edit"),
    ];
    for (text, expected) in cases {
        assert_eq!(shown(text), expected, "{text}");
    }
}

#[test]
fn keys_in_pem_go_whole() {
    let key =
        "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIIKqJ2tQ0B4c5y8pS8m0\nAAAA==\n-----END EC PRIVATE KEY-----";
    assert_eq!(shown(&format!("x {key}\nbye")), "x <private-key>\nbye");
    let in_json = format!("{{\"key\": \"{}\"}}", key.replace('\n', "\\n"));
    assert_eq!(shown(&in_json), "{\"key\": \"<private-key>\"}");
    let cut = "{\"key\": \"-----BEGIN PRIVATE KEY-----\\nMHcCAQEEIIKqJ2tQ0B4c5y8pS8m0\\n\"}";
    assert_eq!(shown(cut), "{\"key\": \"<private-key>\\n\"}");
}

#[test]
fn addresses_can_be_left_alone() {
    let text = "10.0.0.7 fd12:3456::1 192.0.2.1 2001:db8::5 8.8.4.4";
    let count = |private, documentation| scan_with(text, Leave { private, documentation }).len();
    assert_eq!(
        (count(false, false), count(true, false), count(false, true), count(true, true)),
        (5, 3, 3, 1)
    );
}

/// What is decoded is bounded, and so is the time for it.
#[test]
fn hostile_texts_take_no_longer_than_others() {
    let size = 300_000;
    let texts = [
        "eyJ-",
        "eyJ.",
        "a/",
        "-",
        "-----BEGIN ",
        "%25",
        "\\u005c",
        "a@",
        "4111 ",
        "1.",
        "::",
        "+1 ",
        "sk-",
        "\u{200b}",
        "YWRh",
        "0",
        "(",
        "tel ",
    ];
    for unit in texts {
        let text = unit.repeat(size / unit.len());
        let start = std::time::Instant::now();
        let found = scan(&text).len();
        let took = start.elapsed();
        // A debug build reads a megabyte in well under a second; quadratic time would be minutes.
        assert!(took.as_secs() < 10, "{unit:?} took {took:?}, {found} found");
    }
}
