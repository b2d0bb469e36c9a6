//! Numbers and strings.

use super::{Checker, because, refuse};
use crate::schema::rule::{Limit, Rule};
use crate::schema::{Failure, number};
use serde_json::Number;
use std::cmp::Ordering;

pub(super) fn number(rule: &Rule, value: &Number) -> Result<(), Failure> {
    match rule {
        Rule::Limit(limit, bound) => {
            let Some(order) = number::compare(value, bound) else { return Err(because("is out of range")) };
            let (holds, why) = match limit {
                Limit::Min => (order != Ordering::Less, "is less than"),
                Limit::Above => (order == Ordering::Greater, "is not more than"),
                Limit::Max => (order != Ordering::Greater, "is more than"),
                Limit::Below => (order == Ordering::Less, "is not less than"),
            };
            if holds { Ok(()) } else { Err(because(format!("{why} {bound}"))) }
        }
        Rule::MultipleOf(unit) if !number::is_multiple(value, unit) => {
            Err(because(format!("is no multiple of {unit}")))
        }
        _ => Ok(()),
    }
}

impl Checker<'_> {
    pub(super) fn text(&mut self, rule: &Rule, text: &str) -> Result<(), Failure> {
        match rule {
            Rule::Length(range) => {
                self.spend((text.len() / 64) as u64)?;
                refuse(!range.holds(text.chars().count()), "has too few or too many characters")
            }
            Rule::Pattern(pattern) => {
                self.spend(pattern.steps(text.len()))?;
                refuse(!pattern.is_in(text), "does not match its pattern")
            }
            _ => Ok(()),
        }
    }
}
