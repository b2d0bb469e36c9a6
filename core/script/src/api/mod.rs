//! The native types and functions that scripts use; names are those of the WIT with underscores for hyphens.
//!
//! A list of targets is a handle to the candidates and their live facts, read once per call; filters and orders run
//! here, not in script. Nothing a script holds outlives its call.

pub(crate) mod config;
pub(crate) mod errors;
mod facts;
pub(crate) mod head;
mod order;
pub(crate) mod plan;
pub(crate) mod recovery;
pub(crate) mod request;
mod target;
pub(crate) mod targets;
pub(crate) mod verdict;

use rhai::{Dynamic, ImmutableString, Module};

/// Adds the API to the library that every engine shares.
pub(crate) fn register(module: &mut Module) {
    config::register(module);
    head::register(module);
    target::register(module);
    targets::register(module);
    order::register(module);
    plan::register(module);
    recovery::register(module);
    errors::register(module);
    request::register(module);
    verdict::register(module);
}

/// An absent value is `()` in scripts.
fn option<T: Into<Dynamic>>(value: Option<T>) -> Dynamic {
    value.map_or(Dynamic::UNIT, Into::into)
}

fn text(value: &str) -> Dynamic {
    ImmutableString::from(value).into()
}

fn int(value: impl Into<u64>) -> Dynamic {
    i64::try_from(value.into()).unwrap_or(i64::MAX).into()
}
