use super::*;
use http::HeaderValue;
use proptest::collection::{hash_set, vec};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use weir_llm::api::Api;
use weir_llm::request::Request;

/// What one part says: its name, its file name and type, its content.
type Read = (String, Option<(String, Option<String>)>, Vec<u8>);

const FILE: &str = "--xyz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\nRIFF\r\n";

fn field(name: &str, text: &str) -> String {
    format!("--xyz\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n")
}

fn form(more: &str) -> Bytes {
    format!("{}{more}{FILE}--xyz--\r\n", field("model", "whisper")).into()
}

fn kind(value: &str) -> Result<String, Refusal> {
    boundary(&HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_str(value).unwrap())]))
}

/// What a provider gets of a form whose guards left it as `edit` makes of its JSON.
fn sent(bytes: &Bytes, edit: impl Fn(String) -> String) -> Result<Vec<Read>, Refusal> {
    let (form, body) = Form::parse("xyz", bytes)?;
    let body = edit(String::from_utf8(body.to_vec()).unwrap());
    let request = Request::parse(Api::Transcription, body.into()).map_err(Refusal::from)?;
    Ok(read(&form.write(&request, "m1")?))
}

/// A reader of our own forms that shares nothing with the parser.
fn read(written: &Written) -> Vec<Read> {
    let delimiter =
        format!("--{}", written.content_type.strip_prefix("multipart/form-data; boundary=").unwrap());
    let bytes = written.bytes.as_ref();
    let mut rest = bytes.strip_prefix(delimiter.as_bytes()).unwrap();
    let mut parts = Vec::new();
    while rest != b"--\r\n" {
        let end = rest.windows(delimiter.len()).position(|window| window == delimiter.as_bytes()).unwrap();
        let part = rest[..end].strip_prefix(b"\r\n").unwrap().strip_suffix(b"\r\n").unwrap();
        let split = part.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let mut head = std::str::from_utf8(&part[..split]).unwrap().split("\r\n");
        let mut said =
            head.next().unwrap().strip_prefix("Content-Disposition: form-data; name=\"").unwrap().split('"');
        let name = said.next().unwrap().to_owned();
        let file = said.next().filter(|between| *between == "; filename=").and_then(|_| said.next());
        let kind = head.next().map(|line| line.strip_prefix("Content-Type: ").unwrap().to_owned());
        parts.push((name, file.map(|file| (file.to_owned(), kind)), part[split + 4..].to_vec()));
        rest = &rest[end + delimiter.len()..];
    }
    parts
}

fn text(name: &str, text: &str) -> Read {
    (name.to_owned(), None, text.as_bytes().to_vec())
}

#[test]
fn a_form_is_json_for_policies_and_a_form_again_for_the_provider() {
    let more = [
        field("prompt", "hello"),
        field("stream", "True"),
        field("x[]", "a"),
        field("x[]", "b"),
        field("y[type]", "auto"),
        field("y[size]", "2"),
    ]
    .concat();
    let (file, body) = Form::parse("xyz", &form(&more)).unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&body).unwrap(),
        json!({
            "model": "whisper", "prompt": "hello", "stream": true, "x[]": ["a", "b"], "y[type]": "auto", "y[size]": "2",
            "file": { "filename": "a.wav", "type": "audio/wav" }
        })
    );
    let request = Request::parse(Api::Transcription, body).unwrap();
    let read = read(&file.write(&request, "m1").unwrap());
    let file =
        ("file".to_owned(), Some(("a.wav".to_owned(), Some("audio/wav".to_owned()))), b"RIFF".to_vec());
    let texts = [
        ("model", "m1"),
        ("prompt", "hello"),
        ("stream", "true"),
        ("x[]", "a"),
        ("x[]", "b"),
        ("y[type]", "auto"),
        ("y[size]", "2"),
    ];
    assert_eq!(
        read,
        texts.map(|(name, said)| text(name, said)).into_iter().chain([file]).collect::<Vec<_>>()
    );
}

#[test]
fn every_edit_of_a_guard_arrives_in_lists_names_and_the_file_too() {
    let more = [field("x[]", "secret"), field("secret", "a \"secret\"\r\n")].concat();
    let bytes = form(&more).to_vec();
    let bytes =
        String::from_utf8(bytes).unwrap().replace("a.wav", "secret.wav").replace("audio/wav", "audio/secret");
    let read = sent(&bytes.into(), |body| body.replace("secret", "***")).unwrap();
    assert_eq!(read[1..3], [text("x[]", "***"), text("***", "a \"***\"\r\n")]);
    assert_eq!(read[3].1, Some(("***.wav".to_owned(), Some("audio/***".to_owned()))));
    let bad = sent(&form(&field("secret", "")), |body| body.replace("secret", "ü")).unwrap_err();
    assert!(bad.message.contains("a policy gave a field a name"), "{}", bad.message);
}

#[test]
fn what_two_parsers_could_read_differently_is_refused() {
    let part = |head: &str| format!("--xyz\r\n{head}\r\n\r\nhidden\r\n");
    let disposed = |rest: &str| part(&format!("Content-Disposition: form-data; {rest}"));
    for (more, why) in [
        (disposed("name=\"prompt; filename*\""), "a name must be"),
        (disposed("name=\"prompt\"; filename*=utf-8''a"), "filename*"),
        (disposed("name=\"prompt\"; filename=\"\""), "filename is empty"),
        (disposed("name=\"file\""), "no filename"),
        (disposed("name=\"prompt\"; filename=\"a.txt\""), "not named `file`"),
        (disposed("name=\"file\"; filename=\"b.wav\""), "twice"),
        (disposed("name*=utf-8''prompt; name=\"x\""), "one name"),
        (disposed("name=\"x\"; name=\"prompt\""), "one name"),
        (disposed("name=\"x\"; Name=\"prompt\""), "one name"),
        (disposed("name=\"x\\\"; name=\"prompt\""), "one name"),
        (disposed("name=\"x; name=prompt"), "one name"),
        (disposed("name=\"x\" name=prompt"), "one name"),
        (disposed("name = prompt"), "one name"),
        (disposed("name=pro mpt"), "one name"),
        (disposed("name=\"pr\u{f6}mpt\""), "a name must be"),
        (disposed("name=\" prompt\""), "a name must be"),
        (disposed("size=3"), "one name"),
        (part("Content-Disposition: attachment; name=\"prompt\""), "form-data"),
        (
            part(
                "Content-Disposition: form-data; name=\"x\"\r\nContent-Disposition: form-data; name=\"prompt\"",
            ),
            "two Content-Disposition",
        ),
        (part("Content-Disposition: form-data; name=\"x\"\r\n ; name=\"prompt\""), "folded"),
        (part("Content-Disposition : form-data; name=\"x\""), "folded"),
        (part("Content-Disposition: form-data; name=\"x\"\nX: y"), "control character"),
        (part("Content-Disposition: form-data; name=\"x\"\r\nX-Hidden: y"), "header other than"),
        (part("Content-Disposition: form-data; name=\"x\"\r\nContent-Transfer-Encoding: base64"), "as it is"),
        (part("Content-Disposition: form-data; name=\"x\"\r\nContent-Length: 3"), "not its length"),
        (
            part("Content-Disposition: form-data; name=\"x\"\r\nContent-Type: text/plain; charset=utf-7"),
            "charset",
        ),
        (
            part("Content-Disposition: form-data; name=\"x\"\r\nContent-Type: multipart/mixed; boundary=q"),
            "itself",
        ),
        (part("Content-Disposition: form-data; name=\"x\"\r\nContent-Type: hidden"), "type/subtype"),
        (part("Content-Type: text/plain"), "no Content-Disposition"),
        (part(""), "folded"),
        (field("x", "a\r\n--xyzZ\r\nb"), "end of a line behind"),
        (field("x", "a\r\n--xyz \r\nb"), "end of a line behind"),
        (field("x", "a\n--xyz\r\nb"), "middle of a line"),
        (field("x", "a\r\n--xyz--\r\n"), "behind its last boundary"),
        ("--xyz\r\n".to_owned(), "empty"),
        (field("model", "other"), "twice"),
        (field("model[]", "other"), "another one"),
        (field("Model", "other"), "another one"),
        (field("stream[x]", "true"), "another one"),
        (field("_charset_", "utf-7"), "another one"),
        ([field("x", "a"), field("x[]", "b")].concat(), "twice"),
        ([field("x[a]", "a"), field("X[b]", "b")].concat(), "twice"),
        ([field("x[a]", "a"), field("x[a]", "b")].concat(), "twice"),
    ] {
        let refusal = Form::parse("xyz", &form(&more)).err().unwrap_or_else(|| panic!("{more:?}"));
        assert_eq!((refusal.status, refusal.code.as_ref()), (400, "invalid_form"));
        assert!(refusal.message.contains(why), "{more:?}: {}", refusal.message);
    }
}

#[test]
fn nothing_stands_before_or_behind_a_form() {
    let whole = String::from_utf8(form("").to_vec()).unwrap();
    for bad in [
        String::new(),
        "--xyz\r\n".to_owned(),
        "--xyz--\r\n".to_owned(),
        format!("hidden\r\n{whole}"),
        format!("\r\n{whole}"),
        format!("{whole}hidden"),
        format!("{whole}{whole}"),
        whole[..whole.len() - 4].to_owned(),
    ] {
        assert!(Form::parse("xyz", &Bytes::from(bad.clone())).is_err(), "{bad:?}");
    }
    assert!(Form::parse("xyz", &Bytes::from(whole.trim_end().to_owned())).is_ok());
}

#[test]
fn a_content_type_names_one_boundary() {
    for good in ["multipart/form-data; boundary=xyz", "Multipart/Form-Data;charset=utf-8; Boundary=\"xyz\""] {
        assert_eq!(kind(good).unwrap(), "xyz", "{good}");
    }
    let long = format!("multipart/form-data; boundary={}", "a".repeat(71));
    for bad in [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=a; boundary=b",
        "multipart/form-data; boundary=\"a;b\"",
        "multipart/form-data; boundary=\"a\\\"b\"",
        "multipart/form-data; boundary*=utf-8''a",
        "multipart/form-data, boundary=a",
        "multipart/form-data2; boundary=a",
        "multipart/mixed; boundary=a",
        long.as_str(),
    ] {
        let refusal = kind(bad).unwrap_err();
        assert_eq!((refusal.status, refusal.close), (400, true), "{bad}");
    }
    let line = || (CONTENT_TYPE, HeaderValue::from_static("multipart/form-data; boundary=a"));
    let mut two = HeaderMap::from_iter([line()]);
    two.append(CONTENT_TYPE, line().1);
    assert!(boundary(&two).is_err());
}

#[test]
fn what_known_clients_write_is_read() {
    // .NET: names without quotes, both forms of a file name. OkHttp: lengths and encodings. A browser: a type's parameters.
    let dotnet = "--xyz\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name=prompt\r\n\r\nhi\r\n--xyz\r\nContent-Disposition: form-data; name=file; filename=a.wav; filename*=utf-8''a.wav\r\n\r\nRIFF\r\n--xyz--\r\n";
    let (_, body) = Form::parse("xyz", &Bytes::from_static(dotnet.as_bytes())).unwrap();
    assert_eq!(body, r#"{"prompt":"hi","file":{"filename":"a.wav"}}"#);
    let okhttp = "--xyz\r\nContent-Disposition: form-data; name=\"prompt\"\r\nContent-Transfer-Encoding: binary\r\nContent-Length: 2\r\n\r\nhi\r\n--xyz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"Gr\u{fc}\u{df}e; 1%22.webm\"\r\nContent-Type: audio/webm;codecs=opus\r\n\r\n\r\n--xyz--";
    let (_, body) = Form::parse("xyz", &Bytes::from_static(okhttp.as_bytes())).unwrap();
    assert_eq!(
        body,
        "{\"prompt\":\"hi\",\"file\":{\"filename\":\"Gr\u{fc}\u{df}e_ 1_22.webm\",\"type\":\"audio/webm\"}}"
    );
}

#[test]
fn our_boundary_stands_nowhere_in_the_content() {
    let said: String = (0..300u64).map(|n| format!("\r\n--weir-form-{n:016x}--")).collect();
    let read = sent(&form(&field("prompt", &said)), |body| body).unwrap();
    assert_eq!(read[1], text("prompt", &said));
    assert_eq!(read.len(), 3);
}

#[test]
fn the_files_bytes_are_a_slice_of_the_body() {
    let bytes = form("");
    let (form, _) = Form::parse("xyz", &bytes).unwrap();
    assert!(bytes.as_ptr_range().contains(&form.file.unwrap().as_ptr()));
}

/// Pieces from which texts, names and broken forms are made.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z\\[\\]]{0,4}",
        "\\PC{0,4}",
        prop::sample::select(vec![
            "\r\n",
            "\n",
            "\r",
            "--",
            "--xy",
            "--xyz",
            "\"",
            ";",
            "\\",
            "=",
            "\0",
            "\u{85}",
            "weir-form-0000000000000000",
            "--weir-form-0000000000000001",
            "; filename=\"\"",
            "; name=\"y\"",
            "Content-Type: a/b",
            "\r\n\r\n",
        ])
        .prop_map(str::to_owned),
    ]
}

/// What a part says. Without any `z`, pieces cannot join up to the boundary.
fn said() -> impl Strategy<Value = String> {
    vec(piece(), 0..6).prop_map(|pieces| pieces.concat().replace('z', ""))
}

/// What the JSON says that a form should say.
fn expected(body: &Map<String, Value>) -> Vec<(String, Vec<u8>)> {
    let mut parts = Vec::new();
    for (key, value) in body {
        match value {
            Value::String(_) if key == "model" => parts.push((key.clone(), b"m1".to_vec())),
            Value::String(text) => parts.push((key.clone(), text.clone().into_bytes())),
            Value::Array(list) => {
                parts.extend(
                    list.iter().map(|text| (key.clone(), text.as_str().unwrap().as_bytes().to_vec())),
                );
            }
            Value::Bool(flag) => parts.push((key.clone(), flag.to_string().into_bytes())),
            _ => parts.push((key.clone(), Vec::new())),
        }
    }
    parts
}

/// Takes a form apart and writes it again: the provider reads exactly what policies see, and the file.
fn round(bytes: &Bytes) -> Result<(), Refusal> {
    let (form, body) = Form::parse("xyz", bytes)?;
    let seen: Map<String, Value> = serde_json::from_slice(&body).unwrap();
    let request = Request::parse(Api::Transcription, body).map_err(Refusal::from)?;
    let read = read(&form.write(&request, "m1")?);
    let texts: Vec<_> = read
        .iter()
        .map(|(name, file, content)| {
            (name.clone(), if file.is_some() { Vec::new() } else { content.clone() })
        })
        .collect();
    assert_eq!(texts, expected(&seen));
    let file = read.iter().find_map(|(_, about, content)| Some((about.as_ref()?, content)));
    assert_eq!(file.map(|(_, content)| content.as_slice()), form.file.as_deref());
    if let Some(((name, kind), _)) = file {
        let seen = &seen["file"];
        assert_eq!(
            (Some(name.as_str()), kind.as_deref()),
            (seen["filename"].as_str(), seen["type"].as_str())
        );
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_good_form_is_accepted_and_written_again_it_says_the_same(
        names in hash_set("[b-e]{2}(\\[[f-h]{0,1}\\])?", 0..5), texts in vec(said(), 5), file in said(), list in vec(said(), 0..3),
    ) {
        let mut bases = std::collections::HashSet::new();
        let names = names.into_iter().filter(|name| bases.insert(name[..2].to_owned()));
        let mut more: String = names.zip(&texts).map(|(name, said)| field(&name, said)).collect();
        more.extend(list.iter().map(|said| field("list[]", said)));
        let bytes = form(&more).to_vec();
        let bytes = String::from_utf8(bytes).unwrap().replace("RIFF", &file);
        round(&bytes.into()).unwrap();
    }

    #[test]
    fn a_form_that_is_accepted_however_broken_says_to_the_provider_what_policies_see(
        more in vec(piece(), 0..8), cuts in vec((any::<prop::sample::Index>(), piece(), 0usize..4), 1..4),
    ) {
        let mut bytes = form(&field("x", &more.concat())).to_vec();
        for (at, piece, gone) in cuts {
            let at = at.index(bytes.len());
            let end = (at + gone).min(bytes.len());
            bytes.splice(at..end, piece.into_bytes());
        }
        drop(round(&bytes.into()));
    }
}
