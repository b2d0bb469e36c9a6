//! The native types and functions that scripts use; names are those of the WIT with underscores for hyphens.
//!
//! A list of targets is a handle to the candidates and their live facts, read once per call; filters and orders run
//! here, not in script. Nothing a script holds outlives its call.

pub(crate) mod admission;
pub(crate) mod batch;
pub(crate) mod capability;
pub(crate) mod config;
pub(crate) mod errors;
mod facts;
pub(crate) mod head;
mod json;
pub(crate) mod meta;
pub(crate) mod money;
mod order;
pub(crate) mod plan;
pub(crate) mod preparation;
pub(crate) mod recovery;
pub(crate) mod redaction;
mod registrar;
pub(crate) mod request;
pub(crate) mod step;
pub(crate) mod target;
pub(crate) mod targets;
pub(crate) mod usage;
pub(crate) mod verdict;

use crate::paths::watch::Kind;
use registrar::Api;
use rhai::{Dynamic, ImmutableString, Module};
use std::any::TypeId;

/// A type by name.
type Named = (&'static str, fn() -> TypeId);

/// The types whose properties scripts read, by the name that the README and [`crate::surface`] use.
pub(crate) const TYPES: [Named; 18] = [
    ("Head", TypeId::of::<head::HeadHandle>),
    ("Budget", TypeId::of::<weir_policy::Budget>),
    ("Needs", TypeId::of::<weir_policy::Needs>),
    ("Request", TypeId::of::<request::RequestHandle>),
    ("Segment", TypeId::of::<weir_policy::SegmentInfo>),
    ("Hit", TypeId::of::<weir_policy::Hit>),
    ("Target", TypeId::of::<target::TargetHandle>),
    ("AttemptError", TypeId::of::<errors::ErrorHandle>),
    ("Attempt", TypeId::of::<preparation::AttemptHandle>),
    ("Meta", TypeId::of::<meta::MetaHandle>),
    ("Lane", TypeId::of::<weir_policy::Lane>),
    ("Usage", TypeId::of::<usage::UsageHandle>),
    ("Line", TypeId::of::<usage::Line>),
    ("Rate", TypeId::of::<weir_llm::price::Rate>),
    ("Base", TypeId::of::<money::BaseHandle>),
    ("Summary", TypeId::of::<batch::SummaryHandle>),
    ("Entry", TypeId::of::<weir_policy::services::Entry>),
    ("Reply", TypeId::of::<capability::Reply>),
];

/// Adds the API to the library that every engine shares. What a path may remember is what `route` and `price` ask.
pub(crate) fn register(module: &mut Module) {
    let mut constant = Api::new(module, Kind::Constant);
    config::register(&mut constant);
    money::arithmetic(&mut constant);
    let mut looks = Api::new(module, Kind::Looks);
    head::register(&mut looks);
    target::register(&mut looks);
    targets::register(&mut looks);
    order::register(&mut looks);
    money::facts(&mut looks);
    let mut builds = Api::new(module, Kind::Builds);
    plan::register(&mut builds);
    money::charges(&mut builds);
    let mut other = Api::new(module, Kind::Other);
    recovery::register(&mut other);
    errors::register(&mut other);
    request::register(&mut other);
    verdict::register(&mut other);
    admission::register(&mut other);
    preparation::register(&mut other);
    redaction::register(&mut other);
    step::register(&mut other);
    meta::register(&mut other);
    usage::register(&mut other);
    batch::register(&mut other);
    capability::register(&mut other);
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
