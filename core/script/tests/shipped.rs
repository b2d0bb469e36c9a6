//! The scripts we ship do what their golden cases say, and every script has cases.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::path::{Path, PathBuf};
use weir_policy::{Grants, cases};

fn policies() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies")
}

#[test]
fn golden_cases() {
    let mut scripts = 0;
    for entry in std::fs::read_dir(policies()).unwrap() {
        let script = entry.unwrap().path();
        if script.extension().is_some_and(|extension| extension == "rhai") {
            let source = std::fs::read_to_string(&script).unwrap();
            let name = script.file_name().unwrap().to_string_lossy().into_owned();
            let compile = |config: &serde_json::Value, grants: &Grants| {
                weir_script::compile(&name, &source, config, grants)
            };
            let report = cases::run_with(&script.with_extension("cases.yaml"), &compile).unwrap();
            assert!(report.is_ok(), "{report}");
            assert!(report.passed >= 10, "{report}");
            scripts += 1;
        }
    }
    assert!(scripts >= 2, "the shipped scripts were not found");
}

/// What `weir policy new` writes passes its cases at once, for every hook.
#[test]
fn scaffolds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk/templates/rhai");
    for hook in weir_policy::Hook::ALL {
        let script = folder.join(format!("{}.rhai", hook.as_str()));
        let source = std::fs::read_to_string(&script).unwrap().replace("{{name}}", "mine");
        let compile = |config: &serde_json::Value, grants: &Grants| {
            weir_script::compile("mine.rhai", &source, config, grants)
        };
        let report = cases::run_with(&script.with_extension("cases.yaml"), &compile);
        let report = report.unwrap_or_else(|error| panic!("{error}"));
        assert!(report.is_ok() && report.passed > 0, "{report}");
    }
}

/// What the README shows first is what a stranger types first.
#[test]
fn first_policy_of_the_readme() {
    let readme = std::fs::read_to_string(policies().join("README.md")).unwrap();
    let source = readme.split("```rhai\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let policy =
        weir_script::compile("first.rhai", source, &serde_json::Value::Null, &Grants::offline()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("first.cases.yaml");
    let cases = readme.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    std::fs::write(&file, cases).unwrap();
    let report = cases::run(&file, &policy).unwrap();
    assert!(report.is_ok() && report.passed > 0, "{report}");
}

/// Every `rhai` block of the README compiles.
#[test]
fn examples_of_the_readme() {
    let readme = std::fs::read_to_string(policies().join("README.md")).unwrap();
    for source in readme.split("```rhai\n").skip(1).filter_map(|rest| rest.split("```").next()) {
        let policy =
            weir_script::compile("readme.rhai", source, &serde_json::Value::Null, &Grants::offline());
        assert!(policy.is_ok(), "{}\n{source}", policy.err().unwrap());
    }
}
