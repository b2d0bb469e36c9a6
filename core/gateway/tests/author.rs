//! The author's loop as an author goes through it: `new`, then `test`, `bench` and `run`, by the binary.
//!
//! Every script is begun and tested. Of the plugins, which take cargo a while, one with imports and a stream and one without
//! any import are built; the others are compiled for the host by `weir-templates`, whose tests run theirs.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

const SDK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/rust");

fn weir(folder: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(words)
        .current_dir(folder)
        .env_remove("WEIR_CONFIG")
        .output()
        .unwrap()
}

/// What a command prints that must succeed.
fn good(folder: &Path, words: &[&str]) -> String {
    let output = weir(folder, words);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "weir {words:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// What a command says that must fail.
fn bad(folder: &Path, words: &[&str]) -> String {
    let output = weir(folder, words);
    assert!(!output.status.success(), "weir {words:?}: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).unwrap()
}

fn json(folder: &Path, words: &[&str]) -> Value {
    serde_json::from_str(&good(folder, words)).unwrap()
}

#[test]
fn a_script_for_every_hook_is_begun_and_passes_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for hook in weir_policy::Hook::ALL.map(weir_policy::Hook::as_str) {
        let name = format!("my-{hook}");
        let said = good(folder.path(), &["policy", "new", &name, "--hook", hook]);
        assert!(said.contains(&format!("weir policy test ./{name}.rhai")), "{said}");
        let report = good(folder.path(), &["policy", "test", &format!("{name}.rhai")]);
        let (passed, all) = (report.split(": ").nth(1).unwrap(), " cases pass");
        let (passed, all) = passed.trim_end().trim_end_matches(all).split_once(" of ").unwrap();
        assert!(passed == all && all != "0", "{report}");
    }
}

#[test]
fn nothing_is_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let cases = folder.path().join("mine.cases.yaml");
    std::fs::write(&cases, "mine").unwrap();
    let said = bad(folder.path(), &["policy", "new", "mine"]);
    assert!(said.contains("mine.cases.yaml: is there already; nothing was written"), "{said}");
    assert!(!folder.path().join("mine.rhai").exists());
    assert_eq!(std::fs::read_to_string(cases).unwrap(), "mine");

    good(folder.path(), &["plugin", "new", "plug", "--sdk", SDK]);
    let said = bad(folder.path(), &["plugin", "new", "plug", "--sdk", SDK]);
    assert!(said.contains("plug/Cargo.toml: is there already"), "{said}");
}

#[test]
fn what_there_is_not_is_said_with_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let said = |words: &[&str]| bad(folder.path(), words);
    let python = said(&["plugin", "new", "p", "--lang", "python"]);
    assert!(
        python.contains("TypeScript and Python come next") && python.contains("weir:policy@"),
        "{python}"
    );
    let hooks = said(&["plugin", "new", "p", "--hook", "price,guard"]);
    assert!(hooks.contains("price,guard") && hooks.contains("guard,guard-response,stream"), "{hooks}");
    let hook = said(&["policy", "new", "p", "--hook", "rout"]);
    assert!(hook.contains("`rout` is no hook: admit, guard"), "{hook}");
    assert!(said(&["policy", "new", "My Policy"]).contains("`My Policy` is no name"));
    assert!(said(&["plugin", "new", "p", "--sdk", "."]).contains("is not the crate weir-sdk"));
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

#[test]
fn the_sdk_is_found_around_the_folder() {
    let checkout = tempfile::tempdir().unwrap();
    let sdk = checkout.path().join("sdk/rust");
    std::fs::create_dir_all(&sdk).unwrap();
    std::fs::write(sdk.join("Cargo.toml"), "[package]\nname = \"weir-sdk\"\n").unwrap();
    std::fs::create_dir(checkout.path().join("plugins")).unwrap();
    let cargo = |words: &[&str], file: &str| {
        good(checkout.path(), &[&["plugin", "new", "mine"], words].concat());
        std::fs::read_to_string(checkout.path().join(file)).unwrap()
    };
    let here = cargo(&[], "mine/Cargo.toml");
    assert!(here.contains(r#"path = "../sdk/rust""#) && here.contains("[workspace]"), "{here}");
    let deep = cargo(&["--dir", "a/b"], "a/b/mine/Cargo.toml");
    assert!(deep.contains(r#"path = "../../../sdk/rust""#), "{deep}");
    let member = cargo(&["--dir", "plugins"], "plugins/mine/Cargo.toml");
    assert!(member.contains(r#"path = "../../sdk/rust""#) && !member.contains("[workspace]"), "{member}");
}

#[test]
fn plugins_are_begun_built_and_pass_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for (name, hooks) in [("keep-out", "guard,stream"), ("margin", "price")] {
        good(folder.path(), &["plugin", "new", name, "--hook", hooks, "--sdk", SDK]);
        let report = good(folder.path(), &["plugin", "test", name]);
        assert!(report.contains("cases pass"), "{report}");
        let component = format!("{name}.wasm");
        good(folder.path(), &["plugin", "build", name, "--out", &component]);
        let cases = format!("{name}/cases.yaml");
        good(folder.path(), &["plugin", "test", &component, &cases]);
        let bench = json(folder.path(), &["plugin", "bench", &component, &cases, "--calls", "5", "--json"]);
        assert_eq!(bench["rows"][0]["fresh"]["n"].as_u64().unwrap() % 5, 0, "{bench}");
        assert!(
            good(folder.path(), &["plugin", "inspect", &component]).contains("price") || name != "margin"
        );
    }
}

#[test]
fn a_plugin_away_from_any_checkout_brings_its_sdk() {
    let folder = tempfile::tempdir().unwrap();
    let alone = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.args(words).current_dir(folder.path()).env_remove("WEIR_CONFIG");
        // What cargo needs beside the SDK is in its cache already; nothing else may be asked for.
        let output = command.env("CARGO_NET_OFFLINE", "true").output().unwrap();
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
        (output.status.success(), said)
    };
    let (good, said) = alone(&["plugin", "new", "keep-out", "--hook", "guard"]);
    assert!(good && said.contains("wrote ./keep-out/weir-sdk (the SDK)"), "{said}");
    let plugin = folder.path().join("keep-out");
    let cargo = std::fs::read_to_string(plugin.join("Cargo.toml")).unwrap();
    assert!(cargo.contains(r#"weir-sdk = { path = "weir-sdk/rust""#) && !cargo.contains(SDK), "{cargo}");
    let (good, said) = alone(&["plugin", "test", "keep-out"]);
    assert!(good && said.contains("cases pass"), "{said}");

    // Whoever does not keep the copy in git gets it again; one of another contract is not built against.
    let wit = plugin.join("weir-sdk/wit/policy.wit");
    let text = std::fs::read_to_string(&wit).unwrap();
    std::fs::write(&wit, text.replacen("package weir:policy@", "package weir:policy@9", 1)).unwrap();
    let (good, said) = alone(&["plugin", "build", "keep-out"]);
    assert!(
        !good && said.contains("keep-out/weir-sdk speaks `weir:policy@9") && said.contains("remove"),
        "{said}"
    );
    std::fs::remove_dir_all(plugin.join("weir-sdk")).unwrap();
    let (good, said) = alone(&["plugin", "build", "keep-out", "--out", "keep-out.wasm"]);
    assert!(good && said.contains("keep-out.wasm"), "{said}");
    assert_eq!(std::fs::read_to_string(&wit).unwrap(), text);
}

#[test]
fn a_failing_case_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    good(folder.path(), &["policy", "new", "mine", "--hook", "admit"]);
    let cases = folder.path().join("mine.cases.yaml");
    let text = std::fs::read_to_string(&cases).unwrap().replacen("times: 10", "times: 99", 1);
    std::fs::write(&cases, text).unwrap();
    let said = bad(folder.path(), &["policy", "test", "mine.rhai"]);
    assert!(said.contains("mine.cases.yaml: 2 of 3 cases pass"), "{said}");
    assert!(said.contains("mine.cases.yaml:2: `as many calls as the burst allows come in`"), "{said}");
    let only = ["policy", "test", "mine.rhai", "--case", "time brings calls back"];
    assert!(good(folder.path(), &only).contains("1 of 1 cases pass"));
}

#[test]
fn inspect_prints_what_matchers_look_for() {
    let folder = tempfile::tempdir().unwrap();
    let words: Vec<String> = (1..=23).map(|n| format!("word{n}")).collect();
    let text = format!(
        "//! name: mine\n//! version: 1.0.0\n//! hooks: [guard]\n//! reads: content\n//! matchers:\n//!   - {{ name: many, literals: [{}] }}\n//!   - {{ name: few, literals: ['a \\\"b'], patterns: ['[0-9]{{4}}'] }}\nfn guard(request, config) {{ pass() }}\n",
        words.join(", ")
    );
    std::fs::write(folder.path().join("mine.rhai"), text).unwrap();
    let said = good(folder.path(), &["policy", "inspect", "mine.rhai"]);
    assert!(said.contains("23 literals, 0 patterns\n    \"word1\"\n    \"word2\"\n"), "{said}");
    assert!(said.contains("    \"word20\"\n    and 3 more\n") && !said.contains("word21"), "{said}");
    assert!(said.contains("1 literals, 1 patterns\n") && said.contains("    [0-9]{4}\n"), "{said}");
}

#[test]
fn a_fault_is_shown_with_its_line_of_source_and_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "mine.rhai",
        "//! name: mine\n//! version: 1.0.0\n//! hooks: [route]\n\nfn route(head, targets, config) {\n    let none = [];\n    none[3]\n}\n",
    );
    write("mine.cases.yaml", "targets: [{ id: sim/a }]\ncases:\n  - name: it plans\n    expect: abstain\n");
    write("request.json", r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#);
    let run = ["policy", "run", "mine.rhai", "--request", "request.json"];
    for words in [&["policy", "test", "mine.rhai"][..], &run] {
        let said = bad(folder.path(), words);
        assert!(said.contains("trap in policy: index out of bounds at mine.rhai:7:"), "{said}");
        assert!(said.contains(" 7 |     none[3]\n   |     ") && said.contains('^'), "{said}");
        assert!(said.contains("weir policy run FILE --request BODY"), "{said}");
    }
    let json = bad(folder.path(), &[&run[..], &["--json"]].concat());
    let json: Value = serde_json::from_str(json.trim_start_matches("weir: ")).unwrap();
    assert!(json["fault"]["excerpt"].as_str().unwrap().contains("none[3]"), "{json}");
    assert!(json["fault"]["hint"].as_str().unwrap().contains("golden case"), "{json}");
}

#[test]
fn a_policy_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    good(folder.path(), &["policy", "new", "mine", "--hook", "route"]);
    let bench = json(folder.path(), &["policy", "bench", "mine.rhai", "--calls", "50", "--json"]);
    let warm = &bench["rows"][0]["warm"];
    assert_eq!(
        (bench["rows"][0]["hook"].as_str(), warm["n"].as_u64()),
        (Some("route"), Some(200)),
        "{bench}"
    );
    assert!(
        warm["p50_ns"].as_u64() <= warm["p95_ns"].as_u64() && warm["p95_ns"].as_u64() > Some(0),
        "{bench}"
    );
    good(folder.path(), &["policy", "new", "margin", "--hook", "price"]);
    let bench = || json(folder.path(), &["policy", "bench", "margin.rhai", "--calls", "5", "--json"]);
    let burnt = bench()["price_operations"].as_u64();
    assert!(burnt.is_some_and(|burnt| burnt > 1 && burnt < 1_000), "{burnt:?}");
    assert_eq!(bench()["price_operations"].as_u64(), burnt, "the same in every run");

    let table = good(folder.path(), &["policy", "bench", "mine.rhai", "--calls", "5", "--each"]);
    assert!(table.contains("the fastest comes first"), "{table}");
}

#[test]
fn a_policy_is_asked_about_a_request() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("request.json", r#"{"model":"m","messages":[{"role":"user","content":"to ada@example.org"}]}"#);
    good(folder.path(), &["policy", "new", "mask", "--hook", "guard"]);
    let said = good(folder.path(), &["policy", "run", "mask.rhai", "--request", "request.json"]);
    assert!(said.contains(r#"text      "to [email]""#) && said.contains("finding   email"), "{said}");
    assert!(said.contains("trace     mask@0.1.0 guard: edit"), "{said}");

    good(folder.path(), &["policy", "new", "pick", "--hook", "route"]);
    let run = ["policy", "run", "pick.rhai", "--request", "request.json", "--target", "x/new", "--json"];
    assert_eq!(json(folder.path(), &run)["answer"]["plan"], serde_json::json!(["x/new"]));

    good(folder.path(), &["policy", "new", "hush", "--hook", "stream"]);
    write("stream.txt", "it is sword\nfish, no: swordfish\n");
    let run = ["policy", "run", "hush.rhai", "--request", "request.json", "--stream", "stream.txt", "--json"];
    assert_eq!(json(folder.path(), &run)["answer"]["passes"]["content"], "it is sword\nfish, no: ***\n");

    good(folder.path(), &["policy", "new", "margin", "--hook", "price"]);
    let run = [
        "policy",
        "run",
        "margin.rhai",
        "--request",
        "request.json",
        "--target",
        "a/x",
        "--usage",
        "output=100",
        "--json",
    ];
    assert_eq!(json(folder.path(), &run)["answer"]["charge_nanos"], 1_100_000);
    let said = bad(folder.path(), &["policy", "run", "margin.rhai", "--request", "none.json"]);
    assert!(said.contains("none.json"), "{said}");
}
