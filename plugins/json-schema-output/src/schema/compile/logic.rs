//! Combinations, and references.

use super::read::wrong;
use super::{Compiler, Keywords};
use crate::schema::Unsupported;
use crate::schema::rule::Rule;

pub(super) fn read<'a>(
    compiler: &mut Compiler<'a>,
    keywords: &'a Keywords,
    rules: &mut Vec<Rule>,
) -> Result<(), Unsupported> {
    if let Some(reference) = keywords.get("$ref") {
        let reference = reference.as_str().ok_or_else(|| wrong("$ref"))?;
        let schema = compiler.referred(reference)?;
        rules.push(Rule::All(vec![compiler.id(schema)]));
    }
    if let Some(ids) = compiler.schemas(keywords, "allOf")? {
        rules.push(Rule::All(ids));
    }
    if let Some(ids) = compiler.schemas(keywords, "anyOf")? {
        rules.push(Rule::Any(ids));
    }
    if let Some(ids) = compiler.schemas(keywords, "oneOf")? {
        rules.push(Rule::One(ids));
    }
    if let Some(id) = compiler.schema(keywords, "not") {
        rules.push(Rule::Not(id));
    }
    if let Some(test) = compiler.schema(keywords, "if") {
        let then = compiler.schema(keywords, "then");
        let otherwise = compiler.schema(keywords, "else");
        rules.push(Rule::If { test, then, otherwise });
    }
    Ok(())
}
