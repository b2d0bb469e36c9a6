//! The failed attempts so far, as `on_error` sees them; the last one is the newest.

use super::{int, option, text};
use crate::api::registrar::Api;
use crate::fault::misuse;
use rhai::{Dynamic, EvalAltResult, INT, ImmutableString};
use std::sync::Arc;
use weir_policy::AttemptError;

/// All failed attempts.
#[derive(Clone)]
pub(crate) struct Errors(pub(crate) Arc<[AttemptError]>);

/// One of them.
#[derive(Clone)]
pub(crate) struct ErrorHandle {
    errors: Arc<[AttemptError]>,
    position: usize,
}

impl ErrorHandle {
    fn read<T: Into<Dynamic>>(&self, read: impl Fn(&AttemptError) -> T) -> Dynamic {
        self.errors.get(self.position).map_or(Dynamic::UNIT, |error| read(error).into())
    }
}

impl Errors {
    fn at(&self, position: Option<usize>) -> Result<ErrorHandle, Box<EvalAltResult>> {
        match position.filter(|position| *position < self.0.len()) {
            Some(position) => Ok(ErrorHandle { errors: self.0.clone(), position }),
            None => Err(misuse("no such attempt")),
        }
    }
}

impl IntoIterator for Errors {
    type Item = ErrorHandle;
    type IntoIter = std::vec::IntoIter<ErrorHandle>;

    fn into_iter(self) -> Self::IntoIter {
        let all = (0..self.0.len()).map(|position| ErrorHandle { errors: self.0.clone(), position });
        all.collect::<Vec<_>>().into_iter()
    }
}

pub(super) fn register(api: &mut Api<'_>) {
    api.custom_type::<Errors>("Errors");
    api.custom_type::<ErrorHandle>("AttemptError");
    api.iterable::<Errors>();
    api.function("len", |errors: &mut Errors| Ok(errors.0.len() as INT));
    api.getter("len", |errors: &mut Errors| Ok(errors.0.len() as INT));
    api.function("last", |errors: &mut Errors| errors.at(errors.0.len().checked_sub(1)));
    api.getter("last", |errors: &mut Errors| errors.at(errors.0.len().checked_sub(1)));
    api.indexer(|errors: &mut Errors, index: INT| errors.at(usize::try_from(index).ok()));
    api.function("count", |errors: &mut Errors, class: ImmutableString| {
        Ok(errors.0.iter().filter(|error| error.class.as_str() == class.as_str()).count() as INT)
    });
    api.getter("index", |e: &mut ErrorHandle| Ok(e.read(|error| INT::from(error.target))));
    api.getter("target", |e: &mut ErrorHandle| Ok(e.read(|error| text(&error.target_id))));
    api.getter("class", |e: &mut ErrorHandle| Ok(e.read(|error| text(error.class.as_str()))));
    api.getter("status", |e: &mut ErrorHandle| Ok(e.read(|error| option(error.status.map(int)))));
    api.getter("provider_code", |e: &mut ErrorHandle| {
        Ok(e.read(|error| option(error.provider_code.as_deref().map(text))))
    });
    api.getter("retry_after_ms", |e: &mut ErrorHandle| {
        Ok(e.read(|error| option(error.retry_after_ms.map(int))))
    });
    api.getter("elapsed_ms", |e: &mut ErrorHandle| Ok(e.read(|error| int(error.elapsed_ms))));
}
