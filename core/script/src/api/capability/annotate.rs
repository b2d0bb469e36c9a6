//! `annotate`: notes on the exchange that later policies read with `request.attr(key)`.

use super::Answer;
use crate::api::registrar::Api;
use crate::fault::{misuse, word};
use crate::{call, taint};
use rhai::ImmutableString;
use weir_policy::{AccessError, Capability};

/// Longest name or value of a note.
const MAX_NOTE_BYTES: usize = 128;

pub(super) fn register(api: &mut Api<'_>) {
    api.function("annotate", |key: ImmutableString, value: ImmutableString| annotate(&key, &value));
}

fn annotate(key: &str, value: &str) -> Answer<()> {
    call::with(Capability::Annotate, |call| {
        let view = call.view().ok_or_else(|| misuse("there is no exchange to annotate here"))?;
        if key.len() > MAX_NOTE_BYTES || value.len() > MAX_NOTE_BYTES {
            return Err(word(AccessError::Budget.as_str()));
        }
        let (key, value) = taint::label(&call.manifest().declares, call.tainted(), key, value);
        view.annotate(&key, &value).map_err(|error| word(error.as_str()))
    })
}
