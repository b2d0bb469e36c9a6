//! What a component may import.

use crate::guest::guard;
use crate::world::{engine, granted, load, request};
use weir_policy::{Capability, GuardVerdict};

const NOW: &str = r#"(import "weir:policy/env@0.3.1" "now-ms" (func $now (result i64)))"#;

#[test]
fn an_import_that_is_not_granted_is_named() {
    let component = guard("capabilities: [env]", NOW, "(drop (call $now))");
    let error = load(&engine(), &component, &[Capability::Telemetry]).err().expect("refused");
    assert_eq!(
        error.to_string(),
        "test.wasm: `test` imports `weir:policy/env`, which is not granted \
         (add `grants: [env]` to this policy in weir.yaml)"
    );
    assert!(load(&engine(), &component, &[Capability::Env]).is_ok());
}

/// The component with other words of the same length in their place.
fn replaced(mut component: Vec<u8>, text: &str, other: &str) -> Vec<u8> {
    let found = |(_, window): &(usize, &[u8])| *window == text.as_bytes();
    let places: Vec<usize> =
        component.windows(text.len()).enumerate().filter(found).map(|(at, _)| at).collect();
    places.into_iter().for_each(|at| component[at..at + text.len()].copy_from_slice(other.as_bytes()));
    component
}

/// A patch of the contract only adds: what was built for an earlier one is linked and asked as before.
#[test]
fn a_component_of_an_earlier_patch_runs() {
    let component = guard("capabilities: [env]", NOW, "(drop (call $now))");
    let component = replaced(component, "@0.3.1", "@0.3.0");
    let inspected = weir_wasm::inspect(&component).expect("a component");
    let names = || inspected.imports.iter().chain(&inspected.exports);
    assert!(names().all(|name| name.ends_with("@0.3.0")) && names().count() > 3, "{inspected:?}");
    let policy = load(&engine(), &component, &[Capability::Env]).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(policy.guard(&request("hello")).expect("an answer"), GuardVerdict::pass());
}

#[test]
fn a_hook_of_a_later_patch_is_refused() {
    let component = replaced(guard("", "", ""), "hook-guard@0.3.1", "hook-guard@0.3.2");
    let error = load(&engine(), &component, &[]).err().expect("refused").to_string();
    assert!(error.contains("exports `weir:policy/hook-guard@0.3.2`; this host speaks 0.3.1"), "{error}");
}

/// Someone puts another manifest into a component: what it does not ask for is not linked, granted or not.
#[test]
fn an_import_that_the_manifest_does_not_ask_for_is_named() {
    let asking = guard("capabilities: [env]", NOW, "(drop (call $now))");
    let text = "capabilities: [env]";
    let at = asking.windows(text.len()).position(|window| window == text.as_bytes()).expect("the manifest");
    let mut silent = asking;
    silent[at..at + text.len()].copy_from_slice(b"capabilities: []   ");
    let error = load(&engine(), &silent, &[Capability::Env]).err().expect("refused").to_string();
    assert!(error.contains("`weir:policy/env`, which its manifest does not ask for"), "{error}");
}

#[test]
fn foreign_imports_do_not_link() {
    let manifest = "name: x\nversion: 0.1.0\nhooks: [guard]\n";
    let text = format!(
        r#"(component (import "wasi:random/random@0.2.0" (instance (export "get-random-u64" (func (result u64)))))
            (@custom "weir:manifest" "{}"))"#,
        manifest.replace('\n', "\\n")
    );
    let component = wat::parse_str(text).expect("valid text");
    let error = load(&engine(), &component, &Capability::ALL).err().expect("refused").to_string();
    assert!(error.contains("`wasi:random/random@0.2.0`, which Weir does not link"), "{error}");
}

#[test]
fn what_is_no_component_says_so() {
    let error = |bytes: &[u8]| load(&engine(), bytes, &[]).err().expect("refused").to_string();
    assert!(error(b"hello").contains("not a WebAssembly component"), "{}", error(b"hello"));
    let module = wat::parse_str("(module)").expect("valid text");
    assert!(error(&module).contains("core module"), "{}", error(&module));
    let bare = wat::parse_str("(component)").expect("valid text");
    assert!(error(&bare).contains("no manifest"), "{}", error(&bare));
}

#[test]
fn a_component_says_what_it_is() {
    let component = guard("capabilities: [env]", NOW, "(drop (call $now))");
    let inspected = weir_wasm::inspect(&component).expect("a component of ours");
    assert_eq!(inspected.manifest.name, "test");
    assert!(
        inspected.imports.iter().any(|import| import == "weir:policy/env@0.3.1"),
        "{:?}",
        inspected.imports
    );
    assert_eq!(inspected.exports, ["weir:policy/hook-guard@0.3.1", "weir:policy/lifecycle@0.3.1"]);
}

#[test]
fn a_config_that_the_schema_refuses_is_refused() {
    let schema = "config_schema: { type: object, properties: { mask: { type: string } } }";
    let component = guard(schema, "", "");
    let compile = |config| engine().compile("test.wasm", &component, &config, &granted(&[]));
    assert!(compile(serde_json::json!({ "mask": "x" })).is_ok());
    assert!(compile(serde_json::json!({ "mask": 7 })).is_err());
}
