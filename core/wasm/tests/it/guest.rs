//! Guests in WebAssembly text, against the canonical ABI by hand: small, and free to misbehave.

/// A guard whose hook runs `body` and then passes. At hand: `$i` (an `i32`), `$zero` (64 zero bytes: "pass", "ok"),
/// `$deep` (recurses for ever), and whatever `imports` brings.
pub(crate) fn guard(manifest: &str, imports: &str, body: &str) -> Vec<u8> {
    guard_reading("content", manifest, imports, body)
}

/// As [`guard`], with its own `reads`.
pub(crate) fn guard_reading(reads: &str, manifest: &str, imports: &str, body: &str) -> Vec<u8> {
    guard_with(LIFECYCLE, reads, manifest, imports, body)
}

/// As [`guard`], with a global `$configured` that counts its configurations.
pub(crate) fn guard_configured(manifest: &str, imports: &str, body: &str) -> Vec<u8> {
    let counts = "(param i32 i32) (result i32) \
        (global.set $configured (i32.add (global.get $configured) (i32.const 1))) (i32.const 512)";
    let lifecycle = LIFECYCLE.replace("(param i32 i32) (result i32) (i32.const 512)", counts);
    let lifecycle = format!("(global $configured (mut i32) (i32.const 0)) {lifecycle}");
    guard_with(&lifecycle, "content", manifest, imports, body)
}

fn guard_with(lifecycle: &str, reads: &str, manifest: &str, imports: &str, body: &str) -> Vec<u8> {
    let module = format!(
        r#"(module
            (import "weir:policy/request@0.3.1" "[resource-drop]request-view" (func $drop (param i32)))
            {imports}
            (memory (export "memory") 32)
            (global $next (mut i32) (i32.const 65536))
            {REALLOC} {lifecycle}
            (func $deep (param i32) (result i32)
                (i32.add (i32.const 1) (call $deep (i32.add (local.get 0) (i32.const 1)))))
            (func (export "weir:policy/hook-guard@0.3.1#guard") (param $view i32) (result i32)
                (local $i i32)
                {body}
                (call $drop (local.get $view))
                (i32.const 1024)))"#
    );
    component(&module, &format!("name: test\nversion: 0.1.0\nhooks: [guard]\nreads: {reads}\n{manifest}"))
}

/// A router that remembers the organisation of its first call and refuses every call with it: status 400 + number of
/// calls so far, message = what it remembers. `taint` has it read a header, `grow` lets it grow by 2 MiB a call.
pub(crate) fn memo(manifest: &str, taint: bool, grow: bool) -> Vec<u8> {
    let taint = if taint {
        "(call $header (i32.load offset=152 (local.get $head)) (i32.const 3000) (i32.const 6) (i32.const 3100))"
    } else {
        ""
    };
    let grow = if grow { "(drop (memory.grow (i32.const 32)))" } else { "" };
    let module = format!(
        r#"(module
            (import "weir:policy/request@0.3.1" "[resource-drop]request-view" (func $drop (param i32)))
            (import "weir:policy/request@0.3.1" "[method]request-view.header"
                (func $header (param i32 i32 i32 i32)))
            (memory (export "memory") 2)
            (data (i32.const 3000) "accept")
            (data (i32.const 3050) "memo")
            (global $next (mut i32) (i32.const 65536))
            (global $calls (mut i32) (i32.const 0))
            (global $length (mut i32) (i32.const 0))
            {REALLOC} {LIFECYCLE}
            (func (export "weir:policy/hook-route@0.3.1#route") (param $head i32) (result i32)
                {taint} {grow}
                (if (i32.eqz (global.get $calls)) (then
                    (global.set $length (i32.load offset=36 (local.get $head)))
                    (memory.copy (i32.const 4096) (i32.load offset=32 (local.get $head)) (global.get $length))))
                (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
                (call $drop (i32.load offset=152 (local.get $head)))
                (i32.store8 (i32.const 2048) (i32.const 1))
                (i32.store16 (i32.const 2056) (i32.add (i32.const 400) (global.get $calls)))
                (i32.store (i32.const 2060) (i32.const 3050))
                (i32.store (i32.const 2064) (i32.const 4))
                (i32.store (i32.const 2068) (i32.const 4096))
                (i32.store (i32.const 2072) (global.get $length))
                (global.set $next (i32.const 65536))
                (i32.const 2048)))"#
    );
    component(&module, &format!("name: memo\nversion: 0.1.0\nhooks: [route]\n{manifest}"))
}

/// A router whose hook runs `body` and then abstains; `$i` is at hand.
pub(crate) fn router(manifest: &str, imports: &str, body: &str) -> Vec<u8> {
    router_allocating(REALLOC, manifest, imports, body)
}

/// As [`router`], with its own allocator.
pub(crate) fn router_allocating(realloc: &str, manifest: &str, imports: &str, body: &str) -> Vec<u8> {
    let module = format!(
        r#"(module
            (import "weir:policy/request@0.3.1" "[resource-drop]request-view" (func $drop (param i32)))
            {imports}
            (memory (export "memory") 32)
            (data (i32.const 2048) "\02")
            (global $next (mut i32) (i32.const 65536))
            {realloc} {LIFECYCLE}
            (func (export "weir:policy/hook-route@0.3.1#route") (param $head i32) (result i32)
                (local $i i32)
                {body}
                (call $drop (i32.load offset=152 (local.get $head)))
                (i32.const 2048)))"#
    );
    component(&module, &format!("name: test\nversion: 0.1.0\nhooks: [route]\n{manifest}"))
}

fn component(module: &str, manifest: &str) -> Vec<u8> {
    let module = wat::parse_str(module).unwrap_or_else(|e| panic!("{e}"));
    weir_wasm::build::component(&module, manifest).unwrap_or_else(|e| panic!("{e}"))
}

/// A bump allocator; alignment 8 is enough for the contract.
const REALLOC: &str = r#"
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
        (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
        (global.get $next)
        (global.set $next (i32.add (global.get $next) (local.get 3))))"#;

const LIFECYCLE: &str = r#"
    (func (export "weir:policy/lifecycle@0.3.1#configure") (param i32 i32) (result i32) (i32.const 512))
    (func (export "weir:policy/lifecycle@0.3.1#self-test") (result i32) (i32.const 512))"#;
