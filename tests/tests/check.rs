//! `weir check` refuses what `weir serve` would refuse, and does not touch what runs.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;
use weir_tests::gateway::binary;

const SCRIPT: &str = "//! name: p\n//! version: 1.0.0\n//! hooks: [route]\n\nfn route(head, targets, config) {\n    plan(targets)\n}\n";

/// What `weir check` says of a folder with this config and these files; whether it is content.
fn check(more: &str, files: &[(&str, &str)]) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "weir.yaml",
        &format!(
            "providers: {{ sim: {{ builtin: sim }} }}\nmodels: {{ m: {{ targets: [sim/a] }} }}\npolicies: [{{ file: p.rhai }}]\n{more}"
        ),
    );
    files.iter().for_each(|(name, text)| write(name, text));
    let output = weir(folder.path());
    assert!(!folder.path().join(".weir").exists(), "nothing is written");
    output
}

fn weir(folder: &Path) -> (bool, String) {
    let output =
        Command::new(binary()).arg("check").current_dir(folder).env_remove("WEIR_CONFIG").output().unwrap();
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    (output.status.success(), said)
}

#[test]
fn golden_cases_and_signatures_are_asked_as_at_a_start() {
    let (good, said) = check("", &[("p.rhai", SCRIPT)]);
    assert!(good && said.contains("good (1 providers, 1 models, 1 policies)"), "{said}");

    let cases = "targets: [{ id: sim/a }, { id: sim/b }]\ncases:\n  - name: backwards\n    expect: { plan: [sim/b, sim/a] }\n";
    let (good, said) = check("", &[("p.rhai", SCRIPT), ("p.cases.yaml", cases)]);
    assert!(!good && said.contains("p.rhai: golden cases: ") && said.contains("`backwards`"), "{said}");
    let cases = cases.replace("sim/b, sim/a", "sim/a, sim/b");
    assert!(check("", &[("p.rhai", SCRIPT), ("p.cases.yaml", &cases)]).0);

    let signing =
        "signing: { keys: [RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3], required: true }\n";
    let (good, said) = check(signing, &[("p.rhai", SCRIPT)]);
    assert!(!good && said.contains("p.rhai: signature: there is none"), "{said}");
    let (good, said) = check(signing, &[("p.rhai", SCRIPT), ("p.rhai.minisig", "nonsense")]);
    assert!(!good && said.contains("p.rhai: signature: it is not a minisign signature"), "{said}");
}

#[test]
fn an_engines_word_stands_alone_and_every_file_is_asked() {
    let two = "  - { file: q.rhai }\n";
    let more = format!("# beside\n{two}");
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "weir.yaml",
        &format!(
            "providers: {{ sim: {{ builtin: sim }} }}\nmodels: {{ m: {{ targets: [sim/a] }} }}\npolicies:\n  - {{ file: p.rhai }}\n{more}"
        ),
    );
    write("p.rhai", &SCRIPT.replace("plan(targets)", "plan(tragets)"));
    write("q.rhai", &SCRIPT.replace("plan(targets)", "paln(targets)"));
    let (good, said) = weir(folder.path());
    assert!(!good && said.contains("p.rhai:6") && said.contains("q.rhai:6"), "{said}");
    write("p.rhai", SCRIPT);
    write("q.rhai", SCRIPT);
    let (good, said) = weir(folder.path());
    assert!(!good && said.contains("two policies are called `p`"), "{said}");
}

/// What a command cannot do it says in a line, with the place and what to do.
#[test]
fn what_is_not_there_or_not_ours_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str], data: &str| {
        let text = format!(
            "data: {data}\nproviders: {{ sim: {{ builtin: sim }} }}\nmodels: {{ m: {{ targets: [sim/a] }} }}\n"
        );
        std::fs::write(folder.path().join("weir.yaml"), text).unwrap();
        let mut weir = Command::new(binary());
        let output = weir.args(args).current_dir(folder.path()).env_remove("WEIR_CONFIG").output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = run(&["key", "list"], "weir.yaml/data");
    assert!(
        code == Some(1) && said.contains("weir.yaml/data: ") && said.contains("`data` in weir.yaml"),
        "{said}"
    );
    let (code, said) = run(&["policy", "status"], "nothing");
    assert!(code == Some(1) && said.contains("nothing/admin.token") && said.contains("weir serve"), "{said}");
    let (_, made) = run(&["key", "list"], "data");
    let (_, there) = run(&["key", "list"], "data");
    assert!(made.contains("data had no ledger: it has a new one") && there.is_empty(), "{made}{there}");
    for bound in ["--rpm=0", "--concurrency=0"] {
        let (code, said) = run(&["key", "create", "useless", bound], "data");
        assert!(code == Some(1) && said.contains("1 or more"), "{said}");
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for place in [address.as_str(), "unix:/nonexistent/socket"] {
        let (code, said) = run(&["sim", "--listen", place], "data");
        assert!(code == Some(1) && said.contains("cannot listen on") && !said.contains("panicked"), "{said}");
    }
}
