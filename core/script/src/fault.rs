//! What Rhai reports, as load errors and faults without content.
//!
//! Rhai's own run-time messages may quote values (an index, a thrown string, a number that did not parse); values may
//! be content. So a fault says which kind of error and where, and quotes only names that stand in the source.

use crate::meter::{self, Excess};
use crate::source::Source;
use rhai::{Dynamic, EvalAltResult, ImmutableString, ParseError, Position};
use weir_policy::services::{HttpError, KvError};
use weir_policy::{Fault, FaultKind, LoadError};

/// An error that a function of our API raises: its text is ours and safe to show.
#[derive(Debug, Clone)]
pub(crate) struct Misuse {
    pub(crate) kind: FaultKind,
    pub(crate) message: String,
}

/// Raises a [`Misuse`] from an API function; Rhai adds the position of the call.
pub(crate) fn misuse(message: impl Into<String>) -> Box<EvalAltResult> {
    raise(FaultKind::Trap, message)
}

/// As [`misuse`], of another kind.
pub(crate) fn raise(kind: FaultKind, message: impl Into<String>) -> Box<EvalAltResult> {
    let misuse = Misuse { kind, message: message.into() };
    Box::new(EvalAltResult::ErrorRuntime(Dynamic::from(misuse), Position::NONE))
}

/// Raises a word of the contract (`conflict`, `timeout`) that a script may catch and compare.
pub(crate) fn word(word: &'static str) -> Box<EvalAltResult> {
    Box::new(EvalAltResult::ErrorRuntime(word.into(), Position::NONE))
}

/// A script that does not compile.
pub(crate) fn of_parse(file: &str, error: &ParseError) -> LoadError {
    let position = error.position();
    let message = error.err_type().to_string();
    let hint = hint(&message);
    let mut error = LoadError::new(file, message);
    error.hint = hint.map(str::to_owned);
    match (line(position), column(position)) {
        (Some(line), column) => error.at(line, column.unwrap_or(1)),
        _ => error,
    }
}

fn hint(message: &str) -> Option<&'static str> {
    let forbidden = |word: &str| message.contains(&format!("'{word}'"));
    if forbidden("eval") || forbidden("Fn") {
        Some("text is never run as code; write a closure: |t| t.healthy")
    } else if forbidden("import") || forbidden("export") {
        Some("a script is one file")
    } else if forbidden("print") || forbidden("debug") {
        Some("a script has no output; use .reason(\"…\") on a plan, or log(\"info\", \"…\") of `telemetry`")
    } else if message.starts_with("Undefined variable") {
        Some("functions see their parameters and nothing else; pass it in")
    } else {
        None
    }
}

/// A call that failed. `file` names the script; `hook` is where it starts, for errors without a position.
pub(crate) fn of_eval(source: &Source, hook: Position, error: &EvalAltResult) -> Fault {
    let inner = innermost(error);
    let (kind, message) = describe(inner);
    source.fault(kind, message, if inner.position().is_none() { hook } else { inner.position() })
}

/// A `self_test` that failed. It runs at load and sees only config, so what it throws is shown.
pub(crate) fn of_self_test(file: &str, error: &EvalAltResult) -> LoadError {
    let inner = innermost(error);
    let message = match inner {
        EvalAltResult::ErrorRuntime(thrown, ..) if thrown.is_string() => thrown.to_string(),
        other => describe(other).1,
    };
    let error = LoadError::new(file, format!("self_test failed: {message}"));
    match line(inner.position()) {
        Some(at) => error.at(at, column(inner.position()).unwrap_or(1)),
        None => error,
    }
}

/// `file:line:column`
pub(crate) fn place(file: &str, position: Position) -> String {
    match (position.line(), position.position()) {
        (Some(line), Some(column)) => format!("{file}:{line}:{column}"),
        (Some(line), None) => format!("{file}:{line}"),
        _ => file.to_owned(),
    }
}

/// The error at a place, if there is one.
pub(crate) fn positioned(error: LoadError, position: Position) -> LoadError {
    match line(position) {
        Some(line) => error.at(line, column(position).unwrap_or(1)),
        None => error,
    }
}

/// 1-based.
pub(crate) fn line(position: Position) -> Option<u32> {
    position.line().and_then(|n| u32::try_from(n).ok())
}

/// 1-based.
pub(crate) fn column(position: Position) -> Option<u32> {
    position.position().and_then(|n| u32::try_from(n).ok())
}

fn innermost(error: &EvalAltResult) -> &EvalAltResult {
    match error {
        EvalAltResult::ErrorInFunctionCall(_, _, inner, _) | EvalAltResult::ErrorInModule(_, inner, _) => {
            innermost(inner)
        }
        other => other,
    }
}

fn describe(error: &EvalAltResult) -> (FaultKind, String) {
    use EvalAltResult as E;
    let trap = |message: &str| (FaultKind::Trap, message.to_owned());
    match error {
        E::ErrorTooManyOperations(..) => (FaultKind::Deadline, "too many operations".into()),
        E::ErrorTerminated(..) => (spent().kind(), spent().message().into()),
        E::ErrorStackOverflow(..) => (FaultKind::Memory, "calls nested too deep".into()),
        E::ErrorTooManyVariables(..) => (FaultKind::Memory, "too many variables".into()),
        E::ErrorDataTooLarge(what, ..) => (FaultKind::Memory, format!("too large: {}", what.to_lowercase())),
        E::ErrorRuntime(value, ..) => match value.read_lock::<Misuse>() {
            Some(misuse) => (misuse.kind, misuse.message.clone()),
            None => (FaultKind::Trap, thrown(value)),
        },
        E::ErrorFunctionNotFound(signature, ..) => (FaultKind::Trap, format!("no function {signature}")),
        E::ErrorVariableNotFound(name, ..) => (FaultKind::Trap, format!("no variable {name}")),
        E::ErrorMismatchDataType(wanted, found, ..) | E::ErrorMismatchOutputType(wanted, found, ..) => {
            (FaultKind::Trap, format!("wrong type: {found} where {wanted} is needed"))
        }
        E::ErrorDotExpr(..) | E::ErrorPropertyNotFound(..) => trap("no such property"),
        E::ErrorArithmetic(..) => {
            trap("arithmetic failed (overflow, division by zero, or text that is no number)")
        }
        E::ErrorArrayBounds(..) | E::ErrorStringBounds(..) | E::ErrorIndexNotFound(..) => {
            trap("index out of bounds")
        }
        E::ErrorIndexingType(kind, ..) => (FaultKind::Trap, format!("cannot be indexed: {kind}")),
        E::ErrorFor(..) => trap("`for` over something that is no list"),
        E::ErrorAssignmentToConstant(..) => trap("a constant was assigned to"),
        E::ErrorDataRace(..) => trap("a closure uses a variable that is being changed"),
        _ => trap("the script failed"),
    }
}

fn spent() -> Excess {
    meter::excess().unwrap_or(Excess::Operations)
}

/// What a script throws may be content. A word that a capability threw and nobody caught is one of a fixed few.
fn thrown(value: &Dynamic) -> String {
    let words = KvError::ALL.iter().map(|error| error.as_str());
    let mut words = words.chain(HttpError::ALL.iter().map(|error| error.as_str()));
    let thrown = value.read_lock::<ImmutableString>();
    match thrown.and_then(|thrown| words.find(|word| *word == thrown.as_str())) {
        Some(word) => format!("`{word}` was thrown and not caught"),
        None => "the script threw".to_owned(),
    }
}
