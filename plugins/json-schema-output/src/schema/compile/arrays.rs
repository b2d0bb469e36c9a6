//! Arrays.

use super::read::{count, flag, range, wrong};
use super::{Compiler, Keywords};
use crate::schema::Unsupported;
use crate::schema::rule::{Range, Rule};
use serde_json::Value;

pub(super) fn read<'a>(
    compiler: &mut Compiler<'a>,
    keywords: &'a Keywords,
    rules: &mut Vec<Rule>,
) -> Result<(), Unsupported> {
    if let Some(items) = items(compiler, keywords)? {
        rules.push(items);
    }
    if let Some(range) = range(keywords, "minItems", "maxItems")? {
        rules.push(Rule::ItemCount(range));
    }
    if flag(keywords, "uniqueItems")? {
        rules.push(Rule::Unique);
    }
    if let Some(id) = compiler.schema(keywords, "contains") {
        let min = count(keywords, "minContains")?.unwrap_or(1);
        let max = count(keywords, "maxContains")?.unwrap_or(usize::MAX);
        rules.push(Rule::Contains { id, count: Range { min, max } });
    }
    Ok(())
}

/// A list of `items` is what older drafts called `prefixItems`; what follows it was `additionalItems`.
fn items<'a>(compiler: &mut Compiler<'a>, keywords: &'a Keywords) -> Result<Option<Rule>, Unsupported> {
    let listed = keywords.get("items").is_some_and(Value::is_array);
    let (first, others) = if listed { ("items", "additionalItems") } else { ("prefixItems", "items") };
    if listed && keywords.contains_key("prefixItems") {
        return Err(wrong("items"));
    }
    let prefix = compiler.schemas(keywords, first)?.unwrap_or_default();
    let rest = compiler.schema(keywords, others);
    Ok((!prefix.is_empty() || rest.is_some()).then_some(Rule::Items { prefix, rest }))
}
