//! Arrays.

use super::{Checker, refuse};
use crate::schema::rule::{Id, Range, Rule};
use crate::schema::{Failure, equal};
use serde_json::Value;
use std::collections::BTreeSet;

impl Checker<'_> {
    pub(super) fn array(&mut self, rule: &Rule, items: &[Value]) -> Result<(), Failure> {
        match rule {
            Rule::Items { prefix, rest } => self.items(prefix, *rest, items),
            Rule::ItemCount(range) => refuse(!range.holds(items.len()), "has too few or too many items"),
            Rule::Contains { id, count } => self.contains(*id, *count, items),
            Rule::Unique => self.unique(items),
            _ => Ok(()),
        }
    }

    fn items(&mut self, prefix: &[Id], rest: Option<Id>, items: &[Value]) -> Result<(), Failure> {
        for (index, item) in items.iter().enumerate() {
            if let Some(id) = prefix.get(index).copied().or(rest) {
                self.fit_part(id, || index.to_string(), item)?;
            }
        }
        Ok(())
    }

    fn contains(&mut self, id: Id, range: Range, items: &[Value]) -> Result<(), Failure> {
        let mut count = 0;
        for item in items {
            count += usize::from(self.fits(id, item)?);
        }
        refuse(!range.holds(count), "has too few or too many items of the kind that it must contain")
    }

    fn unique(&mut self, items: &[Value]) -> Result<(), Failure> {
        let mut seen = BTreeSet::new();
        for item in items {
            let mut key = String::new();
            equal::canonical(item, &mut key);
            self.spend(1 + (key.len() / 16) as u64)?;
            refuse(!seen.insert(key), "has an item twice")?;
        }
        Ok(())
    }
}
