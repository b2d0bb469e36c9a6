//! Objects.

use super::{Checker, because, refuse};
use crate::schema::Failure;
use crate::schema::pattern::Pattern;
use crate::schema::rule::{Id, Rule};
use serde_json::{Map, Value};

impl Checker<'_> {
    /// `whole` is the object that has these members.
    pub(super) fn object(
        &mut self,
        rule: &Rule,
        members: &Map<String, Value>,
        whole: &Value,
    ) -> Result<(), Failure> {
        match rule {
            Rule::Properties { known, patterns, rest } => self.properties(known, patterns, *rest, members),
            Rule::PropertyCount(range) => {
                refuse(!range.holds(members.len()), "has too few or too many properties")
            }
            Rule::Required(names) => self.has(names, members),
            Rule::RequiredWith(name, others) if members.contains_key(name) => self.has(others, members),
            Rule::FitsWith(name, id) if members.contains_key(name) => self.fit(*id, whole),
            Rule::Names(id) => {
                let mut names = members.keys();
                names.try_for_each(|name| self.fit(*id, &Value::from(name.as_str())))
            }
            _ => Ok(()),
        }
    }

    fn properties(
        &mut self,
        known: &[(String, Id)],
        patterns: &[(Pattern, Id)],
        rest: Option<Id>,
        members: &Map<String, Value>,
    ) -> Result<(), Failure> {
        for (name, value) in members {
            let step = || name.clone();
            // Sorted at compile time.
            let found = known.binary_search_by(|(known, _)| known.as_str().cmp(name)).ok();
            let mut named = found.is_some();
            if let Some((_, id)) = found.and_then(|at| known.get(at)) {
                self.fit_part(*id, step, value)?;
            }
            for (pattern, id) in patterns {
                self.spend(pattern.steps(name.len()))?;
                if pattern.is_in(name) {
                    named = true;
                    self.fit_part(*id, step, value)?;
                }
            }
            if let Some(id) = rest.filter(|_| !named) {
                self.fit_part(id, step, value)?;
            }
        }
        Ok(())
    }

    fn has(&mut self, names: &[String], members: &Map<String, Value>) -> Result<(), Failure> {
        self.spend(names.len() as u64 / 4)?;
        match names.iter().find(|name| !members.contains_key(*name)) {
            Some(missing) => Err(because(format!("has no property `{missing}`"))),
            None => Ok(()),
        }
    }
}
