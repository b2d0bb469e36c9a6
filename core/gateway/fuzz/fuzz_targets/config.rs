//! Whatever text stands where `weir.yaml` should: a config, or errors that each have a place in the file and hold no
//! secret. The same text says the same twice.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::Path;
use std::sync::LazyLock;
use weir_fuzzed::config::Config;

const SECRET: &str = "s3cr3t-0123456789abcdef";

/// What a config is made of, for bytes that no UTF-8 text has.
const WORDS: &str = "providers: |models: |policies: |telemetry: |otlp: |endpoint: http://127.0.0.1:4318|server: |listen: |\
    127.0.0.1:0|targets: |[sim/sim-small]|{ builtin: sim }|sim: |base_url: |https://api.example/v1|keys: [ |\
    \"${env:KEY}\"|retention: |zero|days-30|headers: |{ x-a: b }|cache: |{ ttl: 5m }|grants: |[targets, http]|http: |\
    timeouts: |{ total: 5s }|limits: |body: 32MiB|genai: 1.41|sample: 5%|ship: |{ canary: { share: 5% } }|\n  |\n|\
    \n    - |data: |\"|{|}|[|]|, |&a |*a|<<: *a|!!str |? |: |# |--- |true|null|0x10|.inf|1e999|kv: |signing: |admin: |token: ";

static SPLIT: LazyLock<Vec<&str>> = LazyLock::new(|| WORDS.split('|').collect());

fn text(data: &[u8]) -> String {
    let mut out = String::new();
    for &byte in data {
        if byte >= 0x80 {
            out.push_str(SPLIT[usize::from(byte & 0x7f) % SPLIT.len()]);
        } else {
            out.push(char::from(byte));
        }
    }
    out
}

fuzz_target!(|data: &[u8]| {
    // The first byte says whether the rest is text as it is, and whether it is read twice.
    let Some((&how, rest)) = data.split_first() else { return };
    let text = if how % 2 == 0 { String::from_utf8_lossy(rest).into_owned() } else { text(rest) };
    // Relative paths lead nowhere; of this machine no file is read. A secret that the text itself says is none.
    if ["file:/", "/proc", "/sys", "/dev", SECRET].iter().any(|word| text.contains(word)) {
        return;
    }
    let env = |name: &str| (!name.starts_with('_')).then(|| SECRET.to_owned());
    let parse = || Config::parse(&text, Path::new("/nonexistent"), Path::new("weir.yaml"), &env);
    match parse() {
        Ok(config) => {
            assert!(!config.providers.is_empty(), "a config without a provider");
        }
        Err(errors) => {
            let said = errors.to_string();
            assert!(!said.is_empty(), "refused without a reason");
            assert!(!said.contains(SECRET), "a secret shows: {said}");
            if how & 6 == 6 {
                assert_eq!(said, parse().map(|_| ()).unwrap_err().to_string());
            }
        }
    }
});
