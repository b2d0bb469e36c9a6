//! The world of a plugin: exactly the hooks and capabilities that its manifest names, plus what everyone has.

use super::BuildError;
use crate::VERSION;
use crate::imports::{always, ours};
use std::fmt::Write;
use wasmparser::{ExternalKind, Parser, Payload};
use weir_policy::{Capability, Hook, Manifest};

/// The world as WIT.
pub(super) fn text(manifest: &Manifest) -> String {
    let mut text = String::from("package weir:plugin;\nworld plugin {\n");
    let capabilities = manifest.capabilities.iter().map(|capability| capability.as_str());
    for interface in always(manifest).iter().copied().chain(capabilities) {
        let _ = writeln!(text, "  import weir:policy/{interface}@{VERSION};");
    }
    for hook in &manifest.hooks {
        let _ = writeln!(text, "  export weir:policy/hook-{}@{VERSION};", hook.as_str());
    }
    let _ = writeln!(text, "  export weir:policy/lifecycle@{VERSION};\n}}");
    text
}

/// Compares what a core module imports and exports with its manifest: clearer than the linker's words.
pub(super) fn check(module: &[u8], manifest: &Manifest) -> Result<(), BuildError> {
    let border = border(module)?;
    for import in &border.imports {
        check_import(import, manifest)?;
    }
    for hook in Hook::ALL {
        let exported = border.hooks.iter().any(|name| name == hook.as_str());
        match (manifest.has(hook), exported) {
            (true, false) => return Err(BuildError::HookMissing { hook: hook.as_str().into() }),
            (false, true) => return Err(BuildError::HookUnnamed { hook: hook.as_str().into() }),
            _ => {}
        }
    }
    Ok(())
}

fn check_import(import: &str, manifest: &Manifest) -> Result<(), BuildError> {
    let refused = |hint: String| Err(BuildError::Import { import: import.into(), hint });
    // What makes and drops the resources that a hook of its own exports; `check` compares hooks.
    if import.strip_prefix("[export]").and_then(ours).is_some_and(|(own, _)| own.starts_with("hook-")) {
        return Ok(());
    }
    let Some((interface, _)) = ours(import) else {
        return refused("a plugin may import only weir:policy interfaces: no WASI, no JavaScript".into());
    };
    if always(manifest).contains(&interface) || manifest.capabilities.iter().any(|c| c.as_str() == interface)
    {
        return Ok(());
    }
    if ["types", "request", "fault"].contains(&interface) {
        return refused("a plugin with the hook `redact` or `price` cannot have it".into());
    }
    match Capability::ALL.iter().any(|c| c.as_str() == interface) {
        true => refused(format!("add `{interface}` to `capabilities`")),
        false => refused("no interface of this version of the contract".into()),
    }
}

struct Border {
    imports: Vec<String>,
    /// Names of exported hooks, from `weir:policy/hook-guard@0.3.1#guard`.
    hooks: Vec<String>,
}

fn border(module: &[u8]) -> Result<Border, BuildError> {
    let broken = |e: wasmparser::BinaryReaderError| BuildError::Component(e.to_string());
    let (mut imports, mut hooks) = (Vec::new(), Vec::new());
    for payload in Parser::new(0).parse_all(module) {
        match payload.map_err(broken)? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    imports.push(import.map_err(broken)?.module.to_owned());
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export.map_err(broken)?;
                    if export.kind == ExternalKind::Func {
                        hooks.extend(hook(export.name).map(str::to_owned));
                    }
                }
            }
            _ => {}
        }
    }
    Ok(Border { imports, hooks })
}

/// The hook of an exported function, from `weir:policy/hook-guard@0.3.1#guard`.
fn hook(export: &str) -> Option<&str> {
    let (interface, _) = export.split_once('#')?;
    let (name, _) = ours(interface)?;
    name.strip_prefix("hook-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(yaml: &str) -> Manifest {
        let text = format!("name: t\nversion: 0.1.0\n{yaml}");
        Manifest::parse_yaml(&text, "manifest.yaml").expect("a valid manifest")
    }

    #[test]
    fn the_world_names_what_the_manifest_names() {
        let world = text(&manifest("hooks: [route, on-error]\ncapabilities: [targets]\n"));
        assert_eq!(
            world,
            "package weir:plugin;\nworld plugin {\n  import weir:policy/types@0.3.1;\n  \
             import weir:policy/request@0.3.1;\n  import weir:policy/fault@0.3.1;\n  \
             import weir:policy/targets@0.3.1;\n  export weir:policy/hook-route@0.3.1;\n  \
             export weir:policy/hook-on-error@0.3.1;\n  export weir:policy/lifecycle@0.3.1;\n}\n"
        );
    }

    #[test]
    fn a_redactor_and_a_pricer_import_no_sink() {
        let world = text(&manifest("hooks: [redact]\ncapabilities: [env]\n"));
        assert!(world.contains("request@") && world.contains("env@") && !world.contains("fault@"), "{world}");
        let world = text(&manifest("hooks: [price]\n"));
        assert!(world.matches("import").count() == 1 && world.contains("types@"), "{world}");
        let module = r#"(module (import "weir:policy/fault@0.3.1" "panicked" (func))
            (func (export "weir:policy/hook-price@0.3.1#price")))"#;
        let module = wat::parse_str(module).expect("valid text");
        let error = check(&module, &manifest("hooks: [price]")).expect_err("a sink");
        assert!(error.to_string().contains("cannot have it"), "{error}");
    }

    #[test]
    fn a_hook_must_be_exported_and_named() {
        let guard = r#"(module (func (export "weir:policy/hook-guard@0.3.1#guard")))"#;
        let guard = wat::parse_str(guard).expect("valid text");
        let named = check(&guard, &manifest("hooks: [guard]"));
        assert!(named.is_ok(), "{named:?}");
        let other = check(&guard, &manifest("hooks: [guard, route]\n"));
        assert!(matches!(other, Err(BuildError::HookMissing { hook }) if hook == "route"));
        let unnamed = check(&guard, &manifest("hooks: [route]"));
        assert!(unnamed.is_err());
    }

    #[test]
    fn an_import_must_be_asked_for() {
        let module = r#"(module (import "weir:policy/env@0.3.1" "now-ms" (func (result i64)))
            (func (export "weir:policy/hook-guard@0.3.1#guard")))"#;
        let module = wat::parse_str(module).expect("valid text");
        let error = check(&module, &manifest("hooks: [guard]")).expect_err("not asked for");
        assert!(error.to_string().contains("add `env` to `capabilities`"), "{error}");
        assert!(check(&module, &manifest("hooks: [guard]\ncapabilities: [env]")).is_ok());

        let own = r#"(module (import "[export]weir:policy/hook-stream@0.3.1" "[resource-new]stream-guard" (func)))"#;
        let border = border(&wat::parse_str(own).expect("valid text")).expect("a module");
        assert!(border.imports.iter().all(|i| check_import(i, &manifest("hooks: [stream]")).is_ok()));

        let wasi = r#"(module (import "wasi_snapshot_preview1" "fd_write" (func)))"#;
        let error = check(&wat::parse_str(wasi).expect("valid text"), &manifest("hooks: [guard]"));
        assert!(error.expect_err("WASI").to_string().contains("no WASI"));
    }
}
