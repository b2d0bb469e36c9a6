//! The manifest and the code name the same things in the same order.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use serde::Deserialize;
use weir_plugin_redact_pii::Class;

#[derive(Deserialize)]
struct Manifest {
    redact: Redact,
    declares: Declares,
    config_schema: serde_json::Value,
}

#[derive(Deserialize)]
struct Redact {
    classes: Vec<String>,
    masks: Vec<String>,
}

#[derive(Deserialize)]
struct Declares {
    rules: Vec<String>,
}

fn manifest() -> Manifest {
    serde_saphyr::from_str(include_str!("../manifest.yaml")).expect("the manifest")
}

#[test]
fn classes_masks_and_rules_stand_in_the_order_of_the_code() {
    let names = Class::ALL.map(Class::as_str);
    let manifest = manifest();
    assert_eq!(manifest.redact.classes, names);
    assert_eq!(manifest.declares.rules, names);
    assert_eq!(manifest.redact.masks, names.map(|name| format!("[{name}]")));
}

#[test]
fn the_schema_knows_every_class() {
    let manifest = manifest();
    let classes = manifest.config_schema["$defs"]["actions"]["properties"].as_object().expect("properties");
    assert_eq!(classes.keys().map(String::as_str).collect::<Vec<_>>(), Class::ALL.map(Class::as_str));
}
