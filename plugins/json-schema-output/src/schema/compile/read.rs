//! The values of keywords.

use super::{Compiler, Keywords, unsupported};
use crate::schema::Unsupported;
use crate::schema::rule::{Id, Range};
use serde_json::{Number, Value};

pub(super) fn wrong(keyword: &str) -> Unsupported {
    unsupported(format!("the value of `{keyword}` is not one that it may have"))
}

pub(super) fn number<'a>(keywords: &'a Keywords, keyword: &str) -> Result<Option<&'a Number>, Unsupported> {
    match keywords.get(keyword) {
        None => Ok(None),
        Some(Value::Number(number)) => Ok(Some(number)),
        Some(_) => Err(wrong(keyword)),
    }
}

pub(super) fn flag(keywords: &Keywords, keyword: &str) -> Result<bool, Unsupported> {
    match keywords.get(keyword) {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(wrong(keyword)),
    }
}

/// A range of two keywords; none if neither is there.
pub(super) fn range(keywords: &Keywords, min: &str, max: &str) -> Result<Option<Range>, Unsupported> {
    let range = (count(keywords, min)?, count(keywords, max)?);
    Ok(match range {
        (None, None) => None,
        (min, max) => Some(Range { min: min.unwrap_or(0), max: max.unwrap_or(usize::MAX) }),
    })
}

/// A count; `2.0` is one.
pub(super) fn count(keywords: &Keywords, keyword: &str) -> Result<Option<usize>, Unsupported> {
    let Some(number) = number(keywords, keyword)? else { return Ok(None) };
    let whole = crate::schema::number::whole(number).ok_or_else(|| wrong(keyword))?;
    usize::try_from(whole).map(Some).map_err(|_| wrong(keyword))
}

pub(super) fn list<'a>(keywords: &'a Keywords, keyword: &str) -> Result<Option<&'a [Value]>, Unsupported> {
    match keywords.get(keyword) {
        None => Ok(None),
        Some(Value::Array(list)) => Ok(Some(list)),
        Some(_) => Err(wrong(keyword)),
    }
}

pub(super) fn object<'a>(keywords: &'a Keywords, keyword: &str) -> Result<Option<&'a Keywords>, Unsupported> {
    match keywords.get(keyword) {
        None => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(wrong(keyword)),
    }
}

pub(super) fn names(list: &[Value], keyword: &str) -> Result<Vec<String>, Unsupported> {
    let names = list.iter().map(|name| name.as_str().map(str::to_owned));
    names.collect::<Option<_>>().ok_or_else(|| wrong(keyword))
}

impl<'a> Compiler<'a> {
    /// The subschema of a keyword.
    pub(super) fn schema(&mut self, keywords: &'a Keywords, keyword: &str) -> Option<Id> {
        keywords.get(keyword).map(|schema| self.id(schema))
    }

    /// The subschemas of a keyword; none if it is not there.
    pub(super) fn schemas(
        &mut self,
        keywords: &'a Keywords,
        keyword: &str,
    ) -> Result<Option<Vec<Id>>, Unsupported> {
        let list = list(keywords, keyword)?;
        Ok(list.map(|list| list.iter().map(|schema| self.id(schema)).collect()))
    }
}
