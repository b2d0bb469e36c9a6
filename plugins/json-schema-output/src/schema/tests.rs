//! The checker against cases written out, and against another implementation.

use super::{Failure, Schema};
use proptest::prelude::*;
use serde_json::{Value, json};

fn fits(schema: &Value, value: &Value) -> bool {
    match Schema::compile(schema).expect("a schema").check(value) {
        Ok(()) => true,
        Err(Failure::Mismatch { .. }) => false,
        Err(Failure::TooMuch) => panic!("too much: {schema} {value}"),
    }
}

fn failure(schema: Value, value: &Value) -> Failure {
    Schema::compile(&schema).expect("a schema").check(value).expect_err("no fit")
}

fn problem(schema: Value) -> String {
    Schema::compile(&schema).expect_err("unsupported").to_string()
}

/// Schema, values that fit, values that do not.
#[allow(clippy::too_many_lines, reason = "a table")]
fn cases() -> Vec<(Value, Vec<Value>, Vec<Value>)> {
    vec![
        (json!(true), vec![json!(1), json!(null)], vec![]),
        (json!(false), vec![], vec![json!(1), json!(null)]),
        (
            json!({ "type": "integer" }),
            vec![json!(1), json!(1.0), json!(1e3)],
            vec![json!(1.5), json!("1"), json!(null)],
        ),
        (json!({ "type": ["string", "null"] }), vec![json!(""), json!(null)], vec![json!(0), json!({})]),
        (
            json!({ "enum": [1, "a", { "x": [1.0] }] }),
            vec![json!(1.0), json!({ "x": [1] })],
            vec![json!("b"), json!({ "x": [2] })],
        ),
        (json!({ "const": { "a": 1, "b": 2 } }), vec![json!({ "b": 2, "a": 1 })], vec![json!({ "a": 1 })]),
        (
            json!({ "minimum": 1, "exclusiveMaximum": 2 }),
            vec![json!(1), json!(1.99), json!("x")],
            vec![json!(0.99), json!(2)],
        ),
        (
            json!({ "maximum": 9007199254740993_u64 }),
            vec![json!(9007199254740993_u64)],
            vec![json!(9007199254740994_u64)],
        ),
        (json!({ "multipleOf": 0.01 }), vec![json!(19.99), json!(0), json!("x")], vec![json!(0.005)]),
        (json!({ "multipleOf": 3 }), vec![json!(9), json!(-3)], vec![json!(10), json!(1.5)]),
        (
            json!({ "minLength": 2, "maxLength": 3 }),
            vec![json!("üü"), json!("abc"), json!(1)],
            vec![json!("ü"), json!("abcd")],
        ),
        (
            json!({ "pattern": "^[a-z]+\\d$" }),
            vec![json!("ab1"), json!(1)],
            vec![json!("ab"), json!("ab1\n")],
        ),
        (
            json!({ "items": { "type": "string" } }),
            vec![json!([]), json!(["a"]), json!({})],
            vec![json!(["a", 1])],
        ),
        (
            json!({ "prefixItems": [{ "const": 1 }], "items": false }),
            vec![json!([]), json!([1])],
            vec![json!([2]), json!([1, 1])],
        ),
        (
            json!({ "items": [{ "const": 1 }], "additionalItems": { "const": 2 } }),
            vec![json!([1, 2])],
            vec![json!([1, 1])],
        ),
        (
            json!({ "minItems": 1, "maxItems": 2.0 }),
            vec![json!([1]), json!([1, 2])],
            vec![json!([]), json!([1, 2, 3])],
        ),
        (
            json!({ "uniqueItems": true }),
            vec![json!([1, "1", [1]])],
            vec![json!([1, 1.0]), json!([{ "a": 1, "b": 2 }, { "b": 2, "a": 1 }])],
        ),
        (json!({ "contains": { "const": 1 } }), vec![json!([2, 1])], vec![json!([]), json!([2])]),
        (
            json!({ "contains": { "const": 1 }, "minContains": 0, "maxContains": 1 }),
            vec![json!([]), json!([1])],
            vec![json!([1, 1])],
        ),
        (
            json!({ "properties": { "a": { "type": "integer" }, "b": true }, "additionalProperties": false }),
            vec![json!({}), json!({ "b": 1, "a": 1 })],
            vec![json!({ "a": "x" }), json!({ "c": 1 })],
        ),
        (
            json!({ "properties": { "a": true }, "patternProperties": { "^x": { "type": "null" } }, "additionalProperties": { "type": "string" } }),
            vec![json!({ "a": 1, "xy": null, "z": "s" })],
            vec![json!({ "xy": 1 }), json!({ "z": 1 })],
        ),
        (
            json!({ "required": ["a", "b"] }),
            vec![json!({ "a": null, "b": null }), json!([])],
            vec![json!({ "a": 1 })],
        ),
        (
            json!({ "minProperties": 1, "maxProperties": 1 }),
            vec![json!({ "a": 1 })],
            vec![json!({}), json!({ "a": 1, "b": 1 })],
        ),
        (json!({ "propertyNames": { "maxLength": 1 } }), vec![json!({ "a": 1 })], vec![json!({ "ab": 1 })]),
        (
            json!({ "dependentRequired": { "a": ["b"] } }),
            vec![json!({ "b": 1 }), json!({ "a": 1, "b": 1 })],
            vec![json!({ "a": 1 })],
        ),
        (
            json!({ "dependentSchemas": { "a": { "required": ["b"] } } }),
            vec![json!({})],
            vec![json!({ "a": 1 })],
        ),
        (
            json!({ "dependencies": { "a": ["b"], "c": { "required": ["d"] } } }),
            vec![json!({ "c": 1, "d": 1 })],
            vec![json!({ "a": 1 }), json!({ "c": 1 })],
        ),
        (
            json!({ "anyOf": [{ "type": "string" }, { "minimum": 5 }] }),
            vec![json!("a"), json!(5)],
            vec![json!(4)],
        ),
        (
            json!({ "oneOf": [{ "type": "integer" }, { "minimum": 5 }] }),
            vec![json!(4), json!(5.5)],
            vec![json!(5), json!(1.5)],
        ),
        (json!({ "allOf": [{ "minimum": 1 }, { "maximum": 2 }] }), vec![json!(1)], vec![json!(0), json!(3)]),
        (json!({ "not": { "type": "string" } }), vec![json!(1)], vec![json!("a")]),
        (
            json!({ "if": { "properties": { "k": { "const": "a" } }, "required": ["k"] }, "then": { "required": ["x"] }, "else": { "required": ["y"] } }),
            vec![json!({ "k": "a", "x": 1 }), json!({ "y": 1 })],
            vec![json!({ "k": "a", "y": 1 }), json!({ "x": 1 })],
        ),
        (
            json!({ "$defs": { "tree": { "type": "object", "properties": { "kids": { "items": { "$ref": "#/$defs/tree" } } } } }, "$ref": "#/$defs/tree" }),
            vec![json!({ "kids": [{ "kids": [] }] })],
            vec![json!({ "kids": [{ "kids": [1] }] })],
        ),
        (
            json!({ "$id": "https://x.example/s", "$defs": { "a/b c": { "$anchor": "word", "type": "string" } }, "properties": { "p": { "$ref": "#word" }, "q": { "$ref": "#/$defs/a~1b%20c" } } }),
            vec![json!({ "p": "", "q": "" })],
            vec![json!({ "p": 1 }), json!({ "q": 1 })],
        ),
        (
            json!({ "$ref": "#/$defs/n", "$defs": { "n": { "type": "integer" } }, "minimum": 3 }),
            vec![json!(3)],
            vec![json!(2), json!(3.5)],
        ),
        (
            json!({ "format": "email", "title": "t", "x-own": [], "default": 1 }),
            vec![json!("no address")],
            vec![],
        ),
    ]
}

#[test]
fn every_keyword_does_what_the_draft_says() {
    for (schema, good, bad) in cases() {
        for value in &good {
            assert!(fits(&schema, value), "{schema} {value}");
        }
        for value in &bad {
            assert!(!fits(&schema, value), "{schema} {value}");
        }
    }
}

#[test]
fn a_mismatch_says_where_and_nothing_of_the_value() {
    let schema = json!({ "properties": { "a/b": { "items": { "type": "number" } } } });
    let at = |path: &str, why: &str| Failure::Mismatch { path: path.into(), why: why.into() };
    assert_eq!(failure(schema, &json!({ "a/b": [1, "secret"] })), at("/a~1b/1", "is not a number"));
    assert_eq!(failure(json!({ "required": ["a"] }), &json!({})), at("", "has no property `a`"));
    assert_eq!(failure(json!({ "minimum": 3 }), &json!(2)), at("", "is less than 3"));
}

#[test]
fn what_cannot_be_checked_is_said_to_be_unsupported() {
    for schema in [
        json!({ "properties": { "a": { "unevaluatedProperties": false } } }),
        json!({ "$ref": "https://x.example/s" }),
        json!({ "$ref": "#/nowhere" }),
        json!({ "$ref": "#nowhere" }),
        json!({ "pattern": "(?=a)" }),
        json!({ "pattern": format!("(?:{}){{200}}", "[a-z]{20}") }),
        json!({ "pattern": "(" }),
        json!({ "items": { "$id": "x" } }),
        json!({ "type": "text" }),
        json!({ "required": "a" }),
        json!({ "minimum": "1" }),
        json!({ "exclusiveMinimum": true }),
        json!({ "multipleOf": 0 }),
        json!({ "minLength": -1 }),
        json!({ "anyOf": {} }),
        json!({ "not": 1 }),
        json!([]),
    ] {
        assert!(!problem(schema.clone()).is_empty(), "{schema}");
    }
}

#[test]
fn hostile_schemas_and_values_end() {
    let too_much = |schema: Value, value: &Value| assert_eq!(failure(schema, value), Failure::TooMuch);
    too_much(json!({ "$ref": "#" }), &json!(1));
    too_much(json!({ "not": { "$ref": "#" } }), &json!(1));
    // Each level asks twice: 2^60 steps.
    let twice = |depth: u32| {
        let deeper = |inner: Value| json!({ "allOf": [{ "not": { "not": inner.clone() } }, { "anyOf": [false, inner] }] });
        (0..depth).fold(json!({ "const": 2 }), |inner, _| deeper(inner))
    };
    assert!(matches!(failure(twice(4), &json!(1)), Failure::Mismatch { .. }));
    let defs: serde_json::Map<String, Value> = (0..50)
        .map(|at| {
            let next = json!({ "$ref": format!("#/$defs/d{}", at + 1) });
            (format!("d{at}"), json!({ "anyOf": [next, next] }))
        })
        .chain([("d50".to_owned(), json!(false))])
        .collect();
    too_much(json!({ "$defs": defs, "$ref": "#/$defs/d0" }), &json!(1));
    // A chain of references is long, but compiling it needs no stack.
    let chain: serde_json::Map<String, Value> = (0..5_000)
        .map(|at| (format!("d{at}"), json!({ "$ref": format!("#/$defs/d{}", (at + 1) % 5_000) })))
        .collect();
    too_much(json!({ "$defs": chain, "$ref": "#/$defs/d0" }), &json!(1));
    too_much(json!({ "items": { "pattern": "^(a?){20}a{20}$" } }), &json!(vec!["a".repeat(50_000); 4]));
    too_much(json!({ "items": { "uniqueItems": true } }), &json!(vec![vec!["x".repeat(1_000); 1]; 10_000]));
}

fn schemas() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        prop::sample::subsequence(
            vec!["null", "boolean", "integer", "number", "string", "array", "object"],
            1..4
        )
        .prop_map(|types| json!({ "type": types })),
        prop::collection::vec(values(), 1..3).prop_map(|values| json!({ "enum": values })),
        (-3..4_i64, -3..4_i64).prop_map(|(min, max)| json!({ "minimum": min, "exclusiveMaximum": max })),
        (1..4_i64).prop_map(|unit| json!({ "multipleOf": unit })),
        (0..3_u64, 0..3_u64).prop_map(|(min, max)| json!({ "minLength": min, "maxLength": max })),
        (0..3_u64, 0..3_u64)
            .prop_map(|(min, max)| json!({ "minItems": min, "maxProperties": max, "uniqueItems": true })),
        prop::sample::select(vec!["^a", "b$", "^[ab]?$"]).prop_map(|pattern| json!({ "pattern": pattern })),
        prop::collection::btree_set("[a-c]", 0..3).prop_map(|names| json!({ "required": names })),
        Just(json!({ "$ref": "#/$defs/d" })),
    ];
    leaf.prop_recursive(3, 24, 3, |inner| {
        let list = || prop::collection::vec(inner.clone(), 1..3);
        let named = || prop::collection::btree_map("[a-c]", inner.clone(), 0..3);
        prop_oneof![
            list().prop_map(|list| json!({ "allOf": list })),
            list().prop_map(|list| json!({ "anyOf": list })),
            list().prop_map(|list| json!({ "oneOf": list })),
            inner.clone().prop_map(|inner| json!({ "not": inner })),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| json!({ "if": a, "then": b, "else": c })),
            (list(), inner.clone()).prop_map(|(prefix, rest)| json!({ "prefixItems": prefix, "items": rest })),
            (inner.clone(), 0..2_u64, 1..3_u64)
                .prop_map(|(inner, min, max)| json!({ "contains": inner, "minContains": min, "maxContains": max })),
            (named(), inner.clone(), inner.clone()).prop_map(|(known, pattern, rest)| {
                json!({ "properties": known, "patternProperties": { "^b": pattern }, "additionalProperties": rest })
            }),
            named().prop_map(|with| json!({ "dependentSchemas": with })),
            inner.clone().prop_map(|inner| json!({ "propertyNames": inner })),
        ]
    })
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-4..5_i64).prop_map(Value::from),
        (-4..5_i64).prop_map(|whole| json!(whole as f64)),
        (-9..9_i64).prop_map(|half| json!(half as f64 / 2.0)),
        "[abü]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c]{1,2}", inner, 0..4).prop_map(|members| json!(members)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn it_agrees_with_another_implementation(schema in schemas(), def in schemas(), value in values()) {
        // A definition that refers to itself has no meaning to agree on.
        prop_assume!(!def.to_string().contains("$ref"));
        let schema = json!({ "$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": { "d": def }, "allOf": [schema] });
        let other = jsonschema::validator_for(&schema).expect("a schema");
        prop_assert_eq!(fits(&schema, &value), other.is_valid(&value), "{} {}", schema, value);
    }
}
