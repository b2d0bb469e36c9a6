//! What was used, by class: `usage.output`-like figures as `usage.of("output")`, and `for line in usage.lines`.

use super::{int, option, text};
use crate::api::registrar::Api;
use rhai::{Array, Dynamic, ImmutableString};
use weir_llm::usage::{Class, Source, Usage};

/// What was used, and who counted if that is known.
#[derive(Clone, Copy)]
pub(crate) struct UsageHandle {
    pub(crate) usage: Usage,
    pub(crate) source: Option<Source>,
}

/// How much of one class.
#[derive(Clone, Copy)]
pub(super) struct Line {
    class: Class,
    quantity: u64,
}

pub(super) fn register(api: &mut Api<'_>) {
    api.custom_type::<UsageHandle>("Usage");
    api.custom_type::<Line>("Line");
    api.function("of", |u: &mut UsageHandle, class: ImmutableString| Ok(of(&u.usage, &class)));
    api.getter("lines", |u: &mut UsageHandle| Ok(lines(&u.usage)));
    api.getter("source", |u: &mut UsageHandle| Ok(option(u.source.map(|source| text(source.as_str())))));
    api.getter("total_input", |u: &mut UsageHandle| Ok(int(u.usage.total_input())));
    api.getter("total_output", |u: &mut UsageHandle| Ok(int(u.usage.total_output())));
    api.getter("class", |line: &mut Line| Ok(text(line.class.as_str())));
    api.getter("quantity", |line: &mut Line| Ok(int(line.quantity)));
}

/// The units of a class; 0 of one that was not used, or that does not exist: classes are an open set.
pub(super) fn of(usage: &Usage, class: &str) -> Dynamic {
    int(Class::parse(class).map_or(0, |class| usage.of(class)))
}

pub(super) fn lines(usage: &Usage) -> Array {
    usage.lines().map(|(class, quantity)| Dynamic::from(Line { class, quantity })).collect()
}
