//! Objects.

use super::read::{list, names, object, range, wrong};
use super::{Compiler, Keywords};
use crate::schema::Unsupported;
use crate::schema::pattern::Pattern;
use crate::schema::rule::Rule;
use serde_json::Value;

pub(super) fn read<'a>(
    compiler: &mut Compiler<'a>,
    keywords: &'a Keywords,
    rules: &mut Vec<Rule>,
) -> Result<(), Unsupported> {
    if let Some(required) = list(keywords, "required")? {
        rules.push(Rule::Required(names(required, "required")?));
    }
    if let Some(range) = range(keywords, "minProperties", "maxProperties")? {
        rules.push(Rule::PropertyCount(range));
    }
    if let Some(id) = compiler.schema(keywords, "propertyNames") {
        rules.push(Rule::Names(id));
    }
    if let Some(properties) = properties(compiler, keywords)? {
        rules.push(properties);
    }
    for keyword in ["dependentRequired", "dependentSchemas", "dependencies"] {
        dependent(compiler, keywords, keyword, rules)?;
    }
    Ok(())
}

fn properties<'a>(compiler: &mut Compiler<'a>, keywords: &'a Keywords) -> Result<Option<Rule>, Unsupported> {
    let (mut known, mut patterns) = (Vec::new(), Vec::new());
    for (name, schema) in object(keywords, "properties")?.into_iter().flatten() {
        known.push((name.clone(), compiler.id(schema)));
    }
    for (pattern, schema) in object(keywords, "patternProperties")?.into_iter().flatten() {
        patterns.push((Pattern::compile(pattern)?, compiler.id(schema)));
    }
    let rest = compiler.schema(keywords, "additionalProperties");
    if known.is_empty() && patterns.is_empty() && rest.is_none() {
        return Ok(None);
    }
    known.sort_unstable();
    Ok(Some(Rule::Properties { known, patterns, rest }))
}

/// What must be there, or must fit, with a property. Older drafts had one keyword for both.
fn dependent<'a>(
    compiler: &mut Compiler<'a>,
    keywords: &'a Keywords,
    keyword: &str,
    rules: &mut Vec<Rule>,
) -> Result<(), Unsupported> {
    for (name, with) in object(keywords, keyword)?.into_iter().flatten() {
        let name = name.clone();
        rules.push(match with {
            Value::Array(others) if keyword != "dependentSchemas" => {
                Rule::RequiredWith(name, names(others, keyword)?)
            }
            schema if keyword != "dependentRequired" => Rule::FitsWith(name, compiler.id(schema)),
            _ => return Err(wrong(keyword)),
        });
    }
    Ok(())
}
