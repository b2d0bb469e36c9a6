//! What no plugin can reach: another organisation's keys, content that it did not ask for, a capability that was not
//! granted, the machine.

use crate::guest::guard;
use crate::hooks::GRANTS;
use crate::host::Host;
use crate::world::{built, engine, granted, load, request};
use serde_json::Value;
use std::sync::Arc;
use weir_policy::{Capability, Guarded};

/// Every way to the machine that WASI has, and what JavaScript hosts offer: none links.
#[test]
fn nothing_of_the_machine_links() {
    let manifest = r"name: x\nversion: 0.1.0\nhooks: [guard]\n";
    for import in [
        "wasi:filesystem/types@0.2.0",
        "wasi:filesystem/preopens@0.2.0",
        "wasi:sockets/tcp@0.2.0",
        "wasi:sockets/ip-name-lookup@0.2.0",
        "wasi:cli/environment@0.2.0",
        "wasi:cli/stdout@0.2.0",
        "wasi:clocks/wall-clock@0.2.0",
        "wasi:random/random@0.2.0",
        "wasi:http/outgoing-handler@0.2.0",
        "weir:policyx/kv@0.2.0",
        "weir:host/secrets@0.2.0",
    ] {
        let text = format!(
            r#"(component (import "{import}" (instance (export "f" (func)))) (@custom "weir:manifest" "{manifest}"))"#
        );
        let component = wat::parse_str(text).expect("valid text");
        let error = load(&engine(), &component, &Capability::ALL).err().expect("refused").to_string();
        assert!(error.contains(&format!("`{import}`, which Weir does not link")), "{error}");
    }
}

/// An interface of ours of another version, and one that is none.
#[test]
fn other_contracts_are_refused_by_name() {
    let manifest = r"name: x\nversion: 0.1.0\nhooks: [guard]\n";
    for (import, said) in [
        ("weir:policy/kv@0.1.0", "this host speaks 0.3.1"),
        ("weir:policy/kv@0.3.2", "this host speaks 0.3.1"),
        ("weir:policy/kv@1.3.0", "this host speaks 0.3.1"),
        ("weir:policy/secrets@0.3.1", "an interface that is no capability"),
    ] {
        let text = format!(
            r#"(component (import "{import}" (instance (export "f" (func)))) (@custom "weir:manifest" "{manifest}"))"#
        );
        let component = wat::parse_str(text).expect("valid text");
        let error = load(&engine(), &component, &Capability::ALL).err().expect("refused").to_string();
        assert!(error.contains(import) && error.contains(said), "{error}");
    }
}

#[test]
fn each_capability_must_be_granted() {
    let (component, host) = (built("every-hook"), Arc::new(Host::default()));
    for capability in GRANTS {
        let others: Vec<Capability> = GRANTS.into_iter().filter(|known| *known != capability).collect();
        let error = engine().compile("every-hook", &component, &Value::Null, &host.grants(&others));
        let error = error.err().expect("refused").to_string();
        let name = capability.as_str();
        assert!(error.contains(&format!("`weir:policy/{name}`, which is not granted")), "{error}");
        assert!(error.contains(&format!("grants: [{name}]")), "{error}");
    }
    let error = engine().compile("webhook", &built("webhook"), &Value::Null, &granted(&[Capability::Env]));
    assert!(error.err().expect("refused").to_string().contains("`weir:policy/http`, which is not granted"));
}

/// Someone writes `hooks: [price]` or `[redact]` over the manifest of a guard: then it has imports too many.
#[test]
fn a_pricer_or_redactor_with_a_sink_is_refused() {
    let component = guard("", "", "");
    for (hook, import) in [("price", "weir:policy/request@0.3.1"), ("redact", "weir:policy/fault@0.3.1")] {
        let imports = r#"(import "weir:policy/fault@0.3.1" "panicked" (func $p (param i32 i32 i32 i32)))"#;
        let component = if hook == "redact" { guard("", imports, "") } else { component.clone() };
        let error = load(&engine(), &with_hooks(component, hook), &Capability::ALL);
        let error = error.err().expect("refused").to_string();
        assert!(error.contains(import) && error.contains(&format!("hook `{hook}` cannot have")), "{error}");
    }
}

/// The manifest of a component of [`guard`] with other hooks.
fn with_hooks(mut component: Vec<u8>, hook: &str) -> Vec<u8> {
    let text = b"hooks: [guard]\nreads: content\n";
    let at = component.windows(text.len()).position(|window| window == text).expect("the manifest");
    let other = format!("hooks: [{hook}]\n");
    let padded = format!("{other:<width$}", width = text.len() - 1) + "\n";
    component[at..at + text.len()].copy_from_slice(padded.as_bytes());
    component
}

/// `reads: head` and every way to content: each answers `not-granted`.
#[test]
fn content_that_was_not_asked_for_is_not_read() {
    let text = r#"(import "weir:policy/request@0.3.1" "[method]request-view.text" (func $text (param i32 i32 i32 i32 i32)))
        (import "weir:policy/request@0.3.1" "[method]request-view.bytes" (func $bytes (param i32 i32 i32 i32 i32)))
        (import "weir:policy/request@0.3.1" "[method]request-view.scan" (func $scan (param i32 i32 i32 i32)))
        (import "weir:policy/request@0.3.1" "[method]request-view.json" (func $json (param i32 i32 i32 i32 i32)))
        (import "weir:policy/request@0.3.1" "[method]request-view.segments" (func $segments (param i32 i32 i32 i32)))
        (data (i32.const 5000) "/messages")"#;
    // Each result is a `result`: 1 says error, and the error's number is 0, not-granted. The page of segments is empty.
    let body = "
        (call $text (local.get $view) (i32.const 0) (i32.const 0) (i32.const 9) (i32.const 2000))
        (if (i32.or (i32.ne (i32.load8_u (i32.const 2000)) (i32.const 1)) (i32.load8_u (i32.const 2004))) (then unreachable))
        (call $bytes (local.get $view) (i32.const 0) (i32.const 0) (i32.const 9) (i32.const 2000))
        (if (i32.or (i32.ne (i32.load8_u (i32.const 2000)) (i32.const 1)) (i32.load8_u (i32.const 2004))) (then unreachable))
        (call $scan (local.get $view) (i32.const 5000) (i32.const 9) (i32.const 2000))
        (if (i32.or (i32.ne (i32.load8_u (i32.const 2000)) (i32.const 1)) (i32.load8_u (i32.const 2004))) (then unreachable))
        (call $json (local.get $view) (i32.const 5000) (i32.const 9) (i32.const 99) (i32.const 2000))
        (if (i32.or (i32.ne (i32.load8_u (i32.const 2000)) (i32.const 1)) (i32.load8_u (i32.const 2004))) (then unreachable))
        (call $segments (local.get $view) (i32.const 0) (i32.const 99) (i32.const 2000))
        (if (i32.load (i32.const 2004)) (then unreachable))";
    let head = crate::guest::guard_reading("head", "", text, body);
    let policy = load(&engine(), &head, &[]).expect("it loads");
    assert_eq!(policy.guard(&request("a secret")).expect("nothing trapped").outcome, Guarded::Pass);
    let content = crate::guest::guard_reading("content", "", text, body);
    let policy = load(&engine(), &content, &[]).expect("it loads");
    assert!(policy.guard(&request("a secret")).is_err(), "the same guest reads where it may");
}
