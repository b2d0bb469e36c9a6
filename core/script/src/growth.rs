//! Standard functions that make much out of little.
//!
//! Rhai measures what a native function has made once it is there. Its `replace` may ask for gigabytes first, which ends the
//! process; its `pad` of an array measures first, by a sum that overflows; its `pad` of a text with no text never ends.

use rhai::{
    Array, Blob, Dynamic, EvalAltResult, FuncRegistration, INT, ImmutableString, Map, Module,
    NativeCallContext, Position,
};

type Done = Result<(), Box<EvalAltResult>>;

/// Puts these in the place of Rhai's own, which have the same names and parameters.
pub(crate) fn register(module: &mut Module) {
    // Not pure: what changes a text or a list is no method of a constant.
    let replace = || FuncRegistration::new("replace").in_internal_namespace().with_purity(false);
    replace().set_into_module(module, replaced::<ImmutableString, ImmutableString>);
    replace().set_into_module(module, replaced::<ImmutableString, char>);
    replace().set_into_module(module, replaced::<char, ImmutableString>);
    replace().set_into_module(module, replaced::<char, char>);
    let pad = || FuncRegistration::new("pad").in_internal_namespace().with_purity(false);
    pad().set_into_module(module, padded);
    pad().set_into_module(module, filled);
}

fn replaced<F: ToString, W: ToString>(
    context: NativeCallContext,
    text: &mut ImmutableString,
    find: F,
    with: W,
) -> Done {
    let (find, with) = (find.to_string(), with.to_string());
    let found = text.matches(&find).count();
    let kept = text.len() - found * find.len();
    if kept.saturating_add(found.saturating_mul(with.len())) > context.engine().max_string_size() {
        return Err(too_large("Length of string"));
    }
    *text = text.replace(&find, &with).into();
    Ok(())
}

/// A text with so many characters at least; `with` is repeated, and cut where it is enough.
fn padded(
    context: NativeCallContext,
    text: &mut ImmutableString,
    length: INT,
    with: ImmutableString,
) -> Done {
    let missing = missing(length, text.chars().count());
    if text.len().saturating_add(missing) > context.engine().max_string_size() {
        return Err(too_large("Length of string"));
    }
    let padding: String = with.chars().cycle().take(missing).collect();
    *text += padding;
    Ok(())
}

/// A list with so many items at least. Rhai itself says what is too much; this keeps it from copying many times that.
fn filled(context: NativeCallContext, list: &mut Array, length: INT, with: Dynamic) -> Done {
    let missing = missing(length, list.len());
    let most = context.engine().max_array_size() + context.engine().max_map_size();
    if missing.saturating_mul(values(&with)) > most {
        return Err(too_large("Size of array/BLOB"));
    }
    list.resize(list.len() + missing, with);
    Ok(())
}

fn missing(length: INT, known: usize) -> usize {
    usize::try_from(length).unwrap_or(0).saturating_sub(known)
}

/// How many values there are in one, itself included.
fn values(value: &Dynamic) -> usize {
    let inside = if let Some(array) = value.read_lock::<Array>() {
        array.iter().map(values).sum()
    } else if let Some(map) = value.read_lock::<Map>() {
        map.values().map(values).sum()
    } else {
        value.read_lock::<Blob>().map_or(0, |blob| blob.len())
    };
    1 + inside
}

fn too_large(what: &str) -> Box<EvalAltResult> {
    Box::new(EvalAltResult::ErrorDataTooLarge(what.to_owned(), Position::NONE))
}
