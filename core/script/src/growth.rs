//! Standard functions that take much memory or stack for little.
//!
//! Rhai measures what a native function has made once it is there. Its `replace` may ask for gigabytes first, which ends the
//! process; its `pad` of an array measures first, by a sum that overflows; its `pad` of a text with no text never ends.
//! What prints and compares nested values calls itself for each level.

use rhai::{
    Array, Blob, Dynamic, EvalAltResult, FuncRegistration, INT, ImmutableString, Map, Module,
    NativeCallContext, Position,
};

type Answer<T> = Result<T, Box<EvalAltResult>>;

/// Calls of native functions within each other from which on a nested value is not looked into: arrays nest as deep as they
/// are large, and each level takes about a KiB of the stack. JSON nests to 128.
const DEEP: usize = 256;

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
    for name in ["to_string", "to_debug"] {
        FuncRegistration::new(name).in_internal_namespace().set_into_module(module, list_as_text);
        FuncRegistration::new(name).in_internal_namespace().set_into_module(module, map_as_text);
    }
    let equal = || FuncRegistration::new("==").in_internal_namespace();
    equal().set_into_module(module, equal_lists);
    equal().set_into_module(module, equal_maps);
    let unequal = || FuncRegistration::new("!=").in_internal_namespace();
    unequal().set_into_module(module, |context: NativeCallContext, one: &mut Array, other: Array| {
        equal_lists(context, one, other).map(|equal| !equal)
    });
    unequal().set_into_module(module, |context: NativeCallContext, one: &mut Map, other: Map| {
        equal_maps(context, one, other).map(|equal| !equal)
    });
}

fn replaced<F: ToString, W: ToString>(
    context: NativeCallContext,
    text: &mut ImmutableString,
    find: F,
    with: W,
) -> Answer<()> {
    // As Rhai has it: an empty needle is found in every text but an empty one.
    if text.is_empty() {
        return Ok(());
    }
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
) -> Answer<()> {
    let missing = missing(length, text.chars().count());
    if text.len().saturating_add(missing) > context.engine().max_string_size() {
        return Err(too_large("Length of string"));
    }
    let padding: String = with.chars().cycle().take(missing).collect();
    *text += padding;
    Ok(())
}

/// A list with so many items at least. Rhai itself says what is too much; this keeps it from copying many times that.
fn filled(context: NativeCallContext, list: &mut Array, length: INT, with: Dynamic) -> Answer<()> {
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

fn list_as_text(context: NativeCallContext, list: &mut Array) -> Answer<String> {
    let items: Answer<Vec<String>> = list.iter_mut().map(|item| as_text(&context, item)).collect();
    Ok(format!("[{}]", items?.join(", ")))
}

fn map_as_text(context: NativeCallContext, map: &mut Map) -> Answer<String> {
    let field = |(name, value)| Ok(format!("{name:?}: {}", as_text(&context, value)?));
    let fields: Answer<Vec<String>> = map.iter_mut().map(field).collect();
    Ok(format!("#{{{}}}", fields?.join(", ")))
}

/// What is too deep is left out rather than refused: Rhai would print it by itself after an error.
fn as_text(context: &NativeCallContext, value: &mut Dynamic) -> Answer<String> {
    if context.call_level() > DEEP {
        return Ok("...".into());
    }
    let text = context.call_native_fn_raw("to_debug", true, &mut [value])?;
    Ok(text.into_string().unwrap_or_default())
}

fn equal_lists(context: NativeCallContext, one: &mut Array, mut other: Array) -> Answer<bool> {
    if one.len() != other.len() {
        return Ok(false);
    }
    all(one.iter_mut().zip(&mut other), |(one, other)| equal(&context, one, other))
}

fn equal_maps(context: NativeCallContext, one: &mut Map, mut other: Map) -> Answer<bool> {
    if one.len() != other.len() {
        return Ok(false);
    }
    all(one.iter_mut(), |(name, one)| match other.get_mut(name) {
        Some(other) => equal(&context, one, other),
        None => Ok(false),
    })
}

fn all<T>(mut pairs: impl Iterator<Item = T>, mut equal: impl FnMut(T) -> Answer<bool>) -> Answer<bool> {
    pairs.try_fold(true, |so_far, pair| Ok(so_far && equal(pair)?))
}

fn equal(context: &NativeCallContext, one: &mut Dynamic, other: &mut Dynamic) -> Answer<bool> {
    if context.call_level() > DEEP {
        return Err(Box::new(EvalAltResult::ErrorStackOverflow(Position::NONE)));
    }
    let kinds = (one.type_id(), other.type_id());
    match context.call_native_fn_raw("==", true, &mut [one, other]) {
        Ok(equal) => Ok(equal.as_bool().unwrap_or(false)),
        Err(error) if matches!(*error, EvalAltResult::ErrorFunctionNotFound(..)) && kinds.0 != kinds.1 => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

fn too_large(what: &str) -> Box<EvalAltResult> {
    Box::new(EvalAltResult::ErrorDataTooLarge(what.to_owned(), Position::NONE))
}
