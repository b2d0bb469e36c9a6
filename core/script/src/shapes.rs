//! The hooks as functions of a script.

use crate::fault;
use rhai::{AST, Position};
use weir_policy::{Hook, LoadError, Manifest};

/// A function of a hook: its name and its parameters. It may be written without its last, optional ones.
pub(crate) struct Shape {
    pub(crate) hook: Hook,
    pub(crate) name: &'static str,
    pub(crate) parameters: &'static str,
    least: usize,
    most: usize,
    /// Whether a script with the hook must have the function.
    needed: bool,
}

/// All functions of all hooks, in the order of a request.
pub(crate) const SHAPES: [Shape; 16] = [
    needed(Hook::Admit, "admit", "head, config", 2, 2),
    needed(Hook::Guard, "guard", "request, config", 2, 2),
    needed(Hook::Redact, "redact", "direction, request, config", 3, 3),
    optional(Hook::Redact, "redact_open", "direction, head, config", 3),
    optional(Hook::Redact, "redact_call", "state, lane, tool, config", 4),
    // Without it a streamed reply would pass the redactor by.
    needed(Hook::Redact, "redact_stream", "state, direction, lane, text, last, config", 6, 6),
    needed(Hook::Route, "route", "head, targets, config[, request]", 3, 4),
    needed(Hook::Attempt, "attempt", "head, attempt, config[, request]", 3, 4),
    needed(Hook::OnError, "on_error", "head, errors, targets, config", 4, 4),
    needed(Hook::GuardResponse, "guard_response", "head, meta, reply, config", 4, 4),
    optional(Hook::Stream, "stream_open", "head, config", 2),
    needed(Hook::Stream, "stream", "state, lane, text, last, config", 5, 5),
    optional(Hook::Stream, "stream_finish", "state, usage, config", 3),
    optional(Hook::Price, "quote", "head, target, bound, config", 4),
    needed(Hook::Price, "price", "head, target, base, config", 4, 4),
    needed(Hook::Complete, "complete", "batch, config", 2, 2),
];

/// The function that runs once at load.
pub(crate) const SELF_TEST: &str = "self_test";

const fn needed(
    hook: Hook,
    name: &'static str,
    parameters: &'static str,
    least: usize,
    most: usize,
) -> Shape {
    Shape { hook, name, parameters, least, most, needed: true }
}

const fn optional(hook: Hook, name: &'static str, parameters: &'static str, count: usize) -> Shape {
    Shape { hook, name, parameters, least: count, most: count, needed: false }
}

/// A function of a hook that the script has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub(crate) name: &'static str,
    pub(crate) parameters: usize,
    pub(crate) position: Position,
}

/// The functions of the hooks that the manifest names.
pub(crate) fn found(file: &str, manifest: &Manifest, ast: &AST) -> Result<Vec<Found>, LoadError> {
    let functions = functions(ast);
    self_test(file, &functions)?;
    let mut all = Vec::new();
    for shape in &SHAPES {
        match (manifest.has(shape.hook), find(&functions, shape.name)) {
            (true, Some(function)) if (shape.least..=shape.most).contains(&function.parameters) => {
                let Function { parameters, position, .. } = *function;
                all.push(Found { name: shape.name, parameters, position });
            }
            (true, Some(function)) => return Err(wrong_parameters(file, shape, function)),
            (true, None) if shape.needed => return Err(no_function(file, shape)),
            (false, Some(function)) => return Err(not_named(file, shape, function)),
            (_, None) => {}
        }
    }
    Ok(all)
}

/// Whether the script has a `self_test`.
pub(crate) fn has_self_test(ast: &AST) -> bool {
    ast.iter_functions().any(|function| function.name == SELF_TEST)
}

struct Function {
    name: String,
    parameters: usize,
    position: Position,
}

fn functions(ast: &AST) -> Vec<Function> {
    ast.iter_fn_def()
        .map(|def| Function {
            name: def.name.to_string(),
            parameters: def.params.len(),
            position: def.body.start_position(),
        })
        .collect()
}

fn find<'a>(functions: &'a [Function], name: &str) -> Option<&'a Function> {
    functions.iter().find(|function| function.name == name)
}

fn wrong_parameters(file: &str, shape: &Shape, function: &Function) -> LoadError {
    let message = format!("`{}` takes {} parameters here", shape.name, function.parameters);
    fault::positioned(LoadError::new(file, message), function.position)
        .hint(format!("write fn {}({})", shape.name, shape.parameters))
}

fn no_function(file: &str, shape: &Shape) -> LoadError {
    let (hook, name) = (shape.hook.as_str(), shape.name);
    let message =
        format!("the manifest names the hook `{hook}` but the script has no such function: `{name}`");
    LoadError::new(file, message).hint(format!("write fn {name}({})", shape.parameters))
}

/// A hook that is written but not asked is a policy that its author believes to be at work.
fn not_named(file: &str, shape: &Shape, function: &Function) -> LoadError {
    let message = format!("the script has `{}` but the manifest does not name the hook", shape.name);
    fault::positioned(LoadError::new(file, message), function.position)
        .hint(format!("hooks: [{}]", shape.hook.as_str()))
}

fn self_test(file: &str, functions: &[Function]) -> Result<(), LoadError> {
    match find(functions, SELF_TEST) {
        Some(function) if function.parameters != 1 => {
            let error = LoadError::new(file, "`self_test` takes one parameter");
            Err(fault::positioned(error, function.position).hint("write fn self_test(config)"))
        }
        _ => Ok(()),
    }
}
