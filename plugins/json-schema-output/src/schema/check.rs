//! A value against the rules.

mod arrays;
mod objects;
mod scalars;

use super::rule::{Id, Rule, Type};
use super::{Failure, Schema, equal, number};
use serde_json::Value;

/// Schemas within schemas within one value; references count. The stack of a guest is small.
const MAX_DEPTH: u32 = 64;
/// About 10 ms.
const MAX_STEPS: u64 = 200_000;

pub(super) fn check(schema: &Schema, value: &Value) -> Result<(), Failure> {
    Checker { schema, depth: 0, steps: 0 }.fit(schema.root, value)
}

struct Checker<'s> {
    schema: &'s Schema,
    depth: u32,
    steps: u64,
}

impl Checker<'_> {
    /// A value against all rules of a subschema.
    fn fit(&mut self, id: Id, value: &Value) -> Result<(), Failure> {
        if self.depth >= MAX_DEPTH {
            return Err(Failure::TooMuch);
        }
        self.depth += 1;
        let schema = self.schema;
        let rules = schema.nodes.get(id).map_or(&[] as &[Rule], Vec::as_slice);
        let outcome = rules.iter().try_for_each(|rule| self.follow(rule, value));
        self.depth -= 1;
        outcome
    }

    /// A part of a value, which stands under this key or index.
    fn fit_part(&mut self, id: Id, step: impl FnOnce() -> String, value: &Value) -> Result<(), Failure> {
        self.fit(id, value).map_err(|failure| match failure {
            Failure::Mismatch { path, why } => {
                let step = step().replace('~', "~0").replace('/', "~1");
                Failure::Mismatch { path: format!("/{step}{path}"), why }
            }
            Failure::TooMuch => Failure::TooMuch,
        })
    }

    /// Whether it fits; only a check that cannot be made is a failure.
    fn fits(&mut self, id: Id, value: &Value) -> Result<bool, Failure> {
        match self.fit(id, value) {
            Ok(()) => Ok(true),
            Err(Failure::Mismatch { .. }) => Ok(false),
            Err(Failure::TooMuch) => Err(Failure::TooMuch),
        }
    }

    fn spend(&mut self, steps: u64) -> Result<(), Failure> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > MAX_STEPS { Err(Failure::TooMuch) } else { Ok(()) }
    }

    fn follow(&mut self, rule: &Rule, value: &Value) -> Result<(), Failure> {
        self.spend(1)?;
        match rule {
            Rule::Never => Err(because("is not allowed")),
            Rule::Types(types) => typed(types, value),
            Rule::OneOf(values) => self.one_of(values, value),
            Rule::All(ids) => ids.iter().try_for_each(|id| self.fit(*id, value)),
            Rule::Any(ids) => self.any(ids, value),
            Rule::One(ids) => self.exactly_one(ids, value),
            Rule::Not(id) => refuse(self.fits(*id, value)?, "fits what it must not fit"),
            Rule::If { test, then, otherwise } => {
                let branch = if self.fits(*test, value)? { then } else { otherwise };
                branch.map_or(Ok(()), |id| self.fit(id, value))
            }
            _ => match value {
                Value::Number(number) => scalars::number(rule, number),
                Value::String(text) => self.text(rule, text),
                Value::Array(items) => self.array(rule, items),
                Value::Object(members) => self.object(rule, members, value),
                Value::Null | Value::Bool(_) => Ok(()),
            },
        }
    }

    fn one_of(&mut self, values: &[Value], value: &Value) -> Result<(), Failure> {
        self.spend(values.len() as u64)?;
        refuse(!values.iter().any(|known| equal::equal(known, value)), "is none of the values that it may be")
    }

    fn any(&mut self, ids: &[Id], value: &Value) -> Result<(), Failure> {
        for id in ids {
            if self.fits(*id, value)? {
                return Ok(());
            }
        }
        Err(because("fits none of the schemas of which it must fit one"))
    }

    fn exactly_one(&mut self, ids: &[Id], value: &Value) -> Result<(), Failure> {
        let mut count = 0;
        for id in ids {
            count += u32::from(self.fits(*id, value)?);
        }
        match count {
            0 => Err(because("fits none of the schemas of which it must fit one")),
            1 => Ok(()),
            _ => Err(because("fits several of the schemas of which it must fit one")),
        }
    }
}

fn typed(types: &[Type], value: &Value) -> Result<(), Failure> {
    let is = |wanted: &Type| match (wanted, value) {
        (Type::Null, Value::Null)
        | (Type::Boolean, Value::Bool(_))
        | (Type::Number, Value::Number(_))
        | (Type::String, Value::String(_))
        | (Type::Array, Value::Array(_))
        | (Type::Object, Value::Object(_)) => true,
        (Type::Integer, Value::Number(number)) => number::is_integer(number),
        _ => false,
    };
    if types.iter().any(is) {
        return Ok(());
    }
    let wanted: Vec<_> = types.iter().map(|wanted| wanted.as_str()).collect();
    Err(because(format!("is not {}", wanted.join(" or "))))
}

/// The whole value does not fit.
fn because(why: impl Into<String>) -> Failure {
    Failure::Mismatch { path: String::new(), why: why.into() }
}

fn refuse(wrong: bool, why: &str) -> Result<(), Failure> {
    if wrong { Err(because(why)) } else { Ok(()) }
}
