//! Manifests: what is accepted, and what an author is told otherwise.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use serde_json::json;
use weir_policy::manifest::{Capability, FailureMode, Hook, Limits, Manifest, Reads, Surface};

fn parse(rest: &str) -> Result<Manifest, String> {
    let text = format!("name: p\nversion: 1.0.0\n{rest}\n");
    Manifest::parse_yaml(&text, "p.yaml").map_err(|error| error.to_string())
}

#[test]
fn a_small_manifest_has_safe_defaults() {
    let manifest = parse("hooks: [guard, route, on-error]").unwrap();
    assert_eq!(manifest.hooks, [Hook::Guard, Hook::Route, Hook::OnError]);
    assert_eq!((manifest.reads, manifest.limits), (Reads::Head, Limits::default()));
    assert_eq!(manifest.surfaces, Surface::ALL);
    let modes = [Hook::Guard, Hook::Route, Hook::OnError].map(|hook| manifest.failure_mode(hook));
    assert_eq!(modes, [FailureMode::Closed, FailureMode::StaticPlan, FailureMode::Open]);
    assert!(!manifest.shared && manifest.capabilities.is_empty() && manifest.when.is_none());
}

#[test]
fn the_manifest_of_the_module_documentation_is_valid() {
    let source = include_str!("../src/manifest.rs");
    let block = source.split("```").nth(1).unwrap().trim_start_matches("yaml");
    let text: String = block
        .lines()
        .map(|line| line.trim_start_matches("//!").strip_prefix(' ').unwrap_or("").to_owned() + "\n")
        .collect();
    let manifest = Manifest::parse_yaml(&text, "doc").unwrap();
    assert_eq!(manifest.capabilities, [Capability::Env]);
    assert_eq!(manifest.matchers[0].name, "email");
    assert_eq!(manifest.declares.tags["pii"], ["found", "none"]);
    weir_policy::matcher::Matchers::compile(&manifest.matchers).unwrap();
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let cases = [
        (
            "hooks: [redact]\ncapabilities: [env, kv]",
            "p.yaml:4:21: a policy with the hook `redact` cannot have `kv` (put the hook into a policy of its own)",
        ),
        (
            "hooks: [price]\ncapabilities: [env]",
            "p.yaml:4:16: a policy with the hook `price` cannot have `env` (put the hook into a policy of its own)",
        ),
        (
            "hooks: [guard]\nbuffer_streams: true",
            "p.yaml:4:17: `buffer_streams` needs the hook `guard-response`",
        ),
        (
            "hooks: [stream]\nstream: { max_hold: 2000000 }",
            "p.yaml:4:21: `stream.max_hold` is not between 1 and 1048576",
        ),
        ("hooks: [gaurd]", "p.yaml:3:9: unknown hook `gaurd` (did you mean `guard`?)"),
        ("hooks: []", "p.yaml:3:8: `hooks` names no hook"),
        ("hooks: [guard, guard]", "p.yaml:3:16: hook `guard` is named twice"),
        ("hooks: [guard]\nread: content", "p.yaml:4:1: unknown key `read` (did you mean `reads`?)"),
        ("hooks: [guard]\nreads: contents", "p.yaml:4:8: unknown value `contents` (did you mean `content`?)"),
        (
            "hooks: [guard]\nlimits:\n  cpu_us: 20001",
            "p.yaml:5:11: limit `cpu_us` is not between 1 and 20000",
        ),
        (
            "hooks: [guard]\nlimits: { host_calls: 0 }",
            "p.yaml:4:23: limit `host_calls` is not between 1 and 1000000",
        ),
        ("hooks: [guard]\nwhen: { model: [a] }", "p.yaml:4:9: unknown key `model` (did you mean `models`?)"),
        (
            "hooks: [guard]\nwhen: { finds: [m] }",
            "p.yaml:4:7: `when.finds` looks into content (add `reads: content`)",
        ),
        (
            "hooks: [guard, stream]\nreads: content\nmatchers: [{ name: m, literals: [x] }]\nwhen: { finds: [m] }",
            "p.yaml:6:7: `when.finds` is for guards of whole texts, not for the hook `stream` (put that hook into a policy of its own, or leave `finds` out)",
        ),
        (
            "hooks: [guard]\nreads: content\nmatchers: [{ name: email, literals: [x] }]\nwhen: { finds: [emails] }",
            "p.yaml:6:7: `when.finds` names the matcher `emails`, which is not declared (did you mean `email`?)",
        ),
        (
            "hooks: [guard]\nreads: content\nwhen: { finds: [email] }",
            "p.yaml:5:7: `when.finds` names the matcher `email`, which is not declared (declare it under `matchers`)",
        ),
        (
            "hooks: [guard]\nwhen: { config: { most: any } }",
            "p.yaml:4:7: `when.config` names the setting `most`, which is not declared (declare it under `properties` of `config_schema`)",
        ),
        (
            "hooks: [guard]\nconfig_schema: { properties: { max_bytes: { type: integer } } }\nwhen: { config: { max_byte: any } }",
            "p.yaml:5:7: `when.config` names the setting `max_byte`, which is not declared (did you mean `max_bytes`?)",
        ),
        (
            "hooks: [guard]\nconfig_schema: { properties: { names: { type: array } } }\nwhen: { config: { names: larger-body } }",
            "p.yaml:5:7: `when.config` compares the body with `names`, which is no whole number (give it `type: integer` in `config_schema`, or say `any`)",
        ),
        (
            "hooks: [guard, stream]\nconfig_schema: { properties: { a: { type: integer } } }\nwhen: { config: { a: larger-body } }",
            "p.yaml:5:7: `larger-body` is about the request's body, and the hook `stream` sees replies (put that hook into a policy of its own, or say `any`)",
        ),
        (
            "hooks: [guard]\nconfig_schema: { properties: { a: {} } }\nwhen: { config: { a: all } }",
            "p.yaml:5:22: unknown value `all` (known: larger-body, any)",
        ),
        (
            "hooks: [guard]\nhttp: [moderation]",
            "p.yaml:4:8: `http` names aliases, but the capability is not asked for (add `http` to `capabilities`)",
        ),
        (
            "hooks: [guard]\nmatchers:\n  - name: m",
            "p.yaml:5:5: matcher `m` has neither literals nor patterns",
        ),
    ];
    for (rest, expected) in cases {
        assert_eq!(parse(rest).unwrap_err(), expected, "{rest}");
    }
    let error = parse("hooks: [guard, route]\non_failure: static-plan").unwrap_err();
    assert!(error.starts_with("p.yaml:4:13: on_failure `static-plan`"), "{error}");
    let error = Manifest::parse_yaml("name: p\nhooks: [guard]\n", "p.yaml").unwrap_err();
    assert!(error.to_string().contains("`version` is missing"), "{error}");
    let error =
        Manifest::parse_yaml("name: My Policy\nversion: '1'\nhooks: [guard]\n", "p.yaml").unwrap_err();
    assert_eq!((error.line, error.column), (Some(1), Some(7)));
}

#[test]
fn a_config_is_held_against_the_schema_with_all_errors_at_once() {
    let schema = "
hooks: [route]
config_schema:
  type: object
  additionalProperties: false
  required: [strategy]
  properties:
    strategy: { enum: [cheapest, fastest] }
    key: { type: string, minLength: 8 }
    share: { type: number, maximum: 1 }
";
    let manifest = parse(schema).unwrap();
    assert!(manifest.check_config("f", &json!({"strategy": "fastest", "share": 0.5})).is_ok());
    let error =
        manifest.check_config("f", &json!({"strategy": "x", "key": "s3cret", "share": 2})).unwrap_err();
    for part in ["/strategy: ", "/key: ", "/share: "] {
        assert!(error.message.contains(part), "{error}");
    }
    assert!(!error.message.contains("s3cret"), "a config may carry a secret: {error}");
    let error = manifest.check_config("f", &json!(null)).unwrap_err();
    assert!(error.message.contains("strategy"), "{error}");

    let none = parse("hooks: [route]").unwrap();
    assert!(none.check_config("f", &json!({})).is_ok() && none.check_config("f", &json!(null)).is_ok());
    assert!(none.check_config("f", &json!({"a": 1})).is_err());
    let broken = parse("hooks: [route]\nconfig_schema: { type: objekt }").unwrap();
    assert!(broken.check_config("f", &json!({})).unwrap_err().message.contains("config_schema"));
}

#[test]
fn a_config_says_from_which_body_on_a_policy_is_asked() {
    let yaml = "
hooks: [guard]
when: { min_body_bytes: 10, config: { max_body: larger-body, max_text: larger-body, names: any } }
config_schema:
  properties: { max_body: { type: integer }, max_text: { type: integer }, names: {}, other: { default: 1 } }
";
    let from = |config| {
        let manifest = parse(yaml).unwrap().with_config("f", &config).unwrap();
        manifest.when.unwrap().min_body_bytes
    };
    assert_eq!(from(json!({"max_body": 100})), 101);
    assert_eq!(from(json!({"max_body": 100, "max_text": 50, "other": 1})), 51);
    assert_eq!(from(json!({"max_body": 100, "names": []})), 10, "what calls for all is not undone");
    assert_eq!(from(json!({"max_body": 5})), 10, "nor is what the author says");
    assert_eq!(from(json!({"max_body": -1})), 10);
    assert_eq!(from(json!({"max_body": u64::MAX})), u64::MAX);
    for nothing in [json!({"other": 1}), json!({}), json!(null)] {
        assert_eq!(from(nothing), u64::MAX, "it has nothing to do");
    }
    let yaml = yaml.replace("max_text: { type: integer }", "max_text: { type: integer, default: 40 }");
    let manifest = parse(&yaml).unwrap().with_config("f", &json!({"max_body": 100})).unwrap();
    assert_eq!(manifest.when.unwrap().min_body_bytes, 41, "what has a default is set");
}
