//! The WIT and Rhai say the same things: a name on one side only fails here.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeSet;
use std::path::Path;
use weir_script::surface::{ROWS, words};
use wit_parser::{Resolve, TypeDefKind};

/// What a policy can say or see: records' fields, variants' cases, functions, methods; and enums by their cases.
#[derive(Default)]
struct Wit {
    names: BTreeSet<String>,
    enums: BTreeSet<(String, Vec<String>)>,
}

fn wit() -> Wit {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk/wit/policy.wit");
    let mut resolve = Resolve::default();
    let package = resolve.push_source("policy.wit", &std::fs::read_to_string(path).unwrap()).unwrap();
    let mut wit = Wit::default();
    for (name, interface) in &resolve.packages[package].interfaces {
        let interface = &resolve.interfaces[*interface];
        for (kind, id) in &interface.types {
            let of = |field: &str| format!("{name}.{kind}.{field}");
            let cases = |names: Vec<String>| (format!("{name}.{kind}"), names);
            match &resolve.types[*id].kind {
                TypeDefKind::Record(record) => wit.names.extend(record.fields.iter().map(|f| of(&f.name))),
                TypeDefKind::Variant(variant) => wit.names.extend(variant.cases.iter().map(|c| of(&c.name))),
                // `needs` are flags that Rhai has as properties, `retry-on` as texts.
                TypeDefKind::Flags(flags) if kind == "needs" => {
                    wit.names.extend(flags.flags.iter().map(|flag| of(&flag.name)));
                }
                TypeDefKind::Flags(flags) => {
                    wit.enums.insert(cases(flags.flags.iter().map(|flag| flag.name.clone()).collect()));
                }
                TypeDefKind::Enum(list) => {
                    wit.enums.insert(cases(list.cases.iter().map(|case| case.name.clone()).collect()));
                }
                // Another name of a type has its own row there; a resource's methods are functions.
                TypeDefKind::Type(_) | TypeDefKind::Resource | TypeDefKind::Tuple(_) => {}
                other => panic!("{name}.{kind} is a {other:?}: teach this test to compare it"),
            }
        }
        wit.names.extend(interface.functions.keys().map(|function| format!("{name}.{}", plain(function))));
    }
    wit
}

/// `[method]request-view.text` → `request-view.text`, `[constructor]stream-guard` → `stream-guard.constructor`.
fn plain(function: &str) -> String {
    match function.strip_prefix("[constructor]") {
        Some(resource) => format!("{resource}.constructor"),
        None => function.split_once(']').map_or(function, |(_, name)| name).to_owned(),
    }
}

#[test]
fn every_name_of_the_wit_has_its_counterpart() {
    let rows =
        ROWS.iter().flat_map(|(path, names)| names.iter().map(move |(name, _)| format!("{path}.{name}")));
    let rows: Vec<String> = rows.collect();
    let said: BTreeSet<String> = rows.iter().cloned().collect();
    assert_eq!(said.len(), rows.len(), "a name has two rows");
    let wit = wit();
    assert!(wit.names.len() > 250, "the WIT was not read: {} names", wit.names.len());
    let missing: Vec<_> = wit.names.difference(&said).collect();
    let stale: Vec<_> = said.difference(&wit.names).collect();
    assert!(missing.is_empty() && stale.is_empty(), "not in Rhai: {missing:?}; not in the WIT: {stale:?}");
}

#[test]
fn every_enum_has_the_same_cases() {
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    let said = words().into_iter().map(|(path, names)| {
        (path.to_owned(), sorted(names.iter().map(|name| (*name).to_owned()).collect()))
    });
    let said: BTreeSet<(String, Vec<String>)> = said.collect();
    let wit = wit().enums.into_iter().map(|(path, names)| (path, sorted(names)));
    assert_eq!(wit.collect::<BTreeSet<_>>(), said);
}

#[test]
fn every_counterpart_is_really_there() {
    for (path, names) in ROWS {
        for (name, said) in *names {
            assert!(
                said.is_there(),
                "{path}.{name} is said to be {said:?}, but the engine has no such thing"
            );
        }
    }
}

/// What the README does not say, no author will find.
#[test]
fn the_readme_names_everything() {
    use weir_script::surface::Said;
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    for (path, names) in ROWS {
        for (name, said) in *names {
            let word = match said {
                Said::Property(_, word) | Said::Function(word) | Said::Hook(word) | Said::Key(word) => word,
                Said::Otherwise(_) => continue,
            };
            assert!(readme.contains(word), "the README does not mention `{word}` ({path}.{name})");
        }
    }
}
