//! What `price` and `quote` are told and answer. Money is whole nano-dollars; a float is refused wherever money goes.

use super::plan::{change, kind};
use super::usage::{lines, of};
use super::{option, text};
use crate::api::registrar::Api;
use crate::fault::misuse;
use crate::meter;
use crate::paths::value::Value;
use rhai::{Array, Dynamic, EvalAltResult, FLOAT, INT, ImmutableString};
use std::sync::Arc;
use weir_llm::price::{Nanos, Rate, rate};
use weir_llm::usage::Class;
use weir_policy::{Base, Charge};

type Answer<T> = Result<T, Box<EvalAltResult>>;

/// What was used, what a unit costs, what it comes to.
#[derive(Clone)]
pub(crate) struct BaseHandle(pub(crate) Arc<Base>);

/// What a `price` function returned.
pub(crate) fn charge(value: Value) -> Result<Charge, String> {
    match value {
        Value::Charge(charge) => Ok(charge),
        other => Err(format!("`price` answered with {}; say charge(total)", kind(&other.into_dynamic()))),
    }
}

/// What a `quote` function returned.
pub(crate) fn quote(value: &Dynamic) -> Result<Nanos, String> {
    value.as_int().map(Nanos).map_err(|_| {
        let found = if value.is_float() { "a float" } else { kind(value) };
        format!("`quote` answered with {found}; money is a whole number of nano-dollars")
    })
}

pub(super) fn facts(api: &mut Api<'_>) {
    api.custom_type::<BaseHandle>("Base");
    api.custom_type::<Rate>("Rate");
    // The list price as a charge: what is added to it here and not in numbers of the script's is on a path for any price.
    api.makes("charge", |b: &BaseHandle| {
        let list = b.0.list_price;
        meter::keep("list".len())?;
        Ok(Charge { total: list, items: vec![("list".to_owned(), list)], tags: Vec::new() })
    });
    api.has("total", |charge: &Charge| Ok(charge.total.0));
    api.has("list_price", |b: &BaseHandle| Ok(b.0.list_price.0));
    api.has("lines", |b: &BaseHandle| Ok(lines(&b.0.usage)));
    api.tells_with("of", |b: &BaseHandle, class: ImmutableString| Ok(of(&b.0.usage, &class)));
    api.has("rates", |b: &BaseHandle| {
        Ok(b.0.rates.iter().map(|rate| Dynamic::from(*rate)).collect::<Array>())
    });
    // Pico-dollars a unit, of the class it falls back to if it has none of its own; `()` if unknown.
    api.tells_with("rate", |b: &BaseHandle, class: ImmutableString| {
        Ok(option(rate_of(&b.0, &class).map(|(_, pico)| INT::try_from(pico).unwrap_or(INT::MAX))))
    });
    // What the units of a class come to by its rate, in nano-dollars; halves are rounded up, as in the list price.
    api.tells_with("cost_of", |b: &BaseHandle, class: ImmutableString| {
        let Some((class, pico)) = rate_of(&b.0, &class) else { return Ok(Dynamic::UNIT) };
        let pico = i128::from(b.0.usage.of(class)) * i128::from(pico);
        whole((pico + 500).div_euclid(1000)).map(Dynamic::from)
    });
    api.getter("class", |rate: &mut Rate| Ok(text(rate.class.as_str())));
    api.getter("pico_per_unit", |rate: &mut Rate| Ok(INT::try_from(rate.pico_per_unit).unwrap_or(INT::MAX)));
}

fn rate_of(base: &Base, class: &str) -> Option<(Class, u64)> {
    let class = Class::parse(class)?;
    Some((class, rate(&base.rates, class)?))
}

pub(super) fn charges(api: &mut Api<'_>) {
    api.custom_type::<Charge>("Charge");
    api.function("charge", |total: INT| {
        Ok(Charge { total: Nanos(total), items: Vec::new(), tags: Vec::new() })
    });
    api.function("charge", |_: FLOAT| not_whole::<Charge>());
    api.function("item", |charge: &mut Charge, name: ImmutableString, nanos: INT| {
        meter::keep(name.len())?;
        Ok(change(charge, |c| c.items.push((name.as_str().to_owned(), Nanos(nanos)))))
    });
    api.function("item", |_: &mut Charge, _: ImmutableString, _: FLOAT| not_whole::<Charge>());
    api.function("tag", |charge: &mut Charge, name: ImmutableString, value: ImmutableString| {
        meter::keep(name.len() + value.len())?;
        Ok(change(charge, |c| c.tags.push((name.as_str().to_owned(), value.as_str().to_owned()))))
    });
    // Of what it comes to so far. A markup is rounded up and a discount down: a larger sum is never charged less.
    api.changes_with("percent", |charge: &mut Charge, by: INT| {
        if by < -100 {
            return Err(misuse("a discount is at most 100 per cent"));
        }
        let (total, up) = (charge.total.0, by >= 0);
        let share = mul_div(total, by.saturating_abs(), 100, i128::from(up))?;
        added(charge, if up { "markup" } else { "discount" }, if up { share } else { -share })
    });
    api.function("percent", |_: &mut Charge, _: FLOAT| no_fraction::<Charge>());
    api.changes_with("fee", |charge: &mut Charge, nanos: INT| added(charge, "fee", nanos));
    api.function("fee", |_: &mut Charge, _: FLOAT| not_whole::<Charge>());
    api.changes_with("at_least", |charge: &mut Charge, nanos: INT| {
        let missing = whole(i128::from(nanos) - i128::from(charge.total.0))?.max(0);
        added(charge, "to_minimum", missing)
    });
    api.function("at_least", |_: &mut Charge, _: FLOAT| not_whole::<Charge>());
}

/// Adds to a charge, with the item that says why; nothing is no item.
fn added(charge: &mut Charge, item: &str, nanos: INT) -> Answer<()> {
    if nanos == 0 {
        return Ok(());
    }
    meter::keep(item.len())?;
    charge.total = Nanos(whole(i128::from(charge.total.0) + i128::from(nanos))?);
    charge.items.push((item.to_owned(), Nanos(nanos)));
    Ok(())
}

/// Each product is exact (128 bits) before it is divided; a remainder goes towards the lower number.
pub(super) fn arithmetic(api: &mut Api<'_>) {
    api.function("mul_div", |a: INT, b: INT, c: INT| mul_div(a, b, c, 0));
    api.function("mul_div_up", |a: INT, b: INT, c: INT| mul_div(a, b, c, 1));
    api.function("percent", |amount: INT, percent: INT| mul_div(amount, percent, 100, 0));
    api.function("percent", |_: INT, _: FLOAT| no_fraction::<INT>());
}

fn no_fraction<T>() -> Answer<T> {
    Err(misuse("a percentage of money is whole; of 12.5 % write mul_div(amount, 125, 1000)"))
}

fn mul_div(a: INT, b: INT, c: INT, up: i128) -> Answer<INT> {
    if c <= 0 {
        return Err(misuse("mul_div divides by a number above 0"));
    }
    let (product, c) = (i128::from(a) * i128::from(b), i128::from(c));
    whole((product + up * (c - 1)).div_euclid(c))
}

fn whole(nanos: i128) -> Answer<INT> {
    INT::try_from(nanos).map_err(|_| misuse("more money than fits"))
}

fn not_whole<T>() -> Answer<T> {
    Err(misuse("money is a whole number of nano-dollars, never a float; see mul_div and percent"))
}
