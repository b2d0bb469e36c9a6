//! What is caught at load: hooks, parameters, unknown functions.

use crate::engine::{FORBIDDEN, LIBRARY};
use crate::fault;
use rhai::{AST, ASTNode, Engine, Expr, Position, Stmt};
use std::collections::BTreeSet;
use std::sync::LazyLock;
use weir_policy::{Capability, Hook, LoadError, Manifest};

/// A hook as a script function: its name and its parameters. A hook may be written without its last, optional ones.
pub(crate) struct Shape {
    pub(crate) hook: Hook,
    pub(crate) name: &'static str,
    pub(crate) parameters: &'static str,
    pub(crate) least: usize,
    pub(crate) most: usize,
}

/// The hooks that scripts can have.
pub(crate) const SHAPES: [Shape; 3] = [
    Shape {
        hook: Hook::Route,
        name: "route",
        parameters: "head, targets, config[, request]",
        least: 3,
        most: 4,
    },
    Shape {
        hook: Hook::OnError,
        name: "on_error",
        parameters: "head, errors, targets, config",
        least: 4,
        most: 4,
    },
    Shape { hook: Hook::Guard, name: "guard", parameters: "request, config", least: 2, most: 2 },
];

/// The function that runs once at load.
pub(crate) const SELF_TEST: &str = "self_test";

/// A hook that the script has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub(crate) parameters: usize,
    pub(crate) position: Position,
}

/// Everything that can be wrong without running the script.
pub(crate) fn script(file: &str, manifest: &Manifest, ast: &AST) -> Result<Vec<(Hook, Found)>, LoadError> {
    only_functions(file, ast)?;
    known_functions(file, ast)?;
    let functions = functions(ast);
    self_test(file, &functions)?;
    let mut hooks = Vec::new();
    for shape in &SHAPES {
        match (manifest.has(shape.hook), find(&functions, shape.name)) {
            (true, Some(found)) if (shape.least..=shape.most).contains(&found.parameters) => {
                hooks.push((shape.hook, found));
            }
            (true, Some(found)) => return Err(wrong_parameters(file, shape, found)),
            (true, None) => return Err(no_function(file, shape)),
            (false, Some(found)) => return Err(not_named(file, shape, found)),
            (false, None) => {}
        }
    }
    provided(file, manifest)?;
    match manifest.hooks.iter().find(|hook| !SHAPES.iter().any(|shape| shape.hook == **hook)) {
        Some(hook) => {
            Err(LoadError::new(file, format!("hook `{}` is not in this version of scripts", hook.as_str())))
        }
        None => Ok(hooks),
    }
}

/// Whether the script has a `self_test`.
pub(crate) fn has_self_test(ast: &AST) -> bool {
    ast.iter_functions().any(|function| function.name == SELF_TEST)
}

/// What a hook is handed needs no asking for; nothing else is there yet.
fn provided(file: &str, manifest: &Manifest) -> Result<(), LoadError> {
    match manifest.capabilities.iter().find(|capability| **capability != Capability::Targets) {
        Some(capability) => {
            let message = format!("scripts have no `{}` in this version", capability.as_str());
            Err(LoadError::new(file, message).hint("leave it out of `capabilities`"))
        }
        None => Ok(()),
    }
}

struct Function {
    name: String,
    found: Found,
}

fn functions(ast: &AST) -> Vec<Function> {
    ast.iter_fn_def()
        .map(|def| Function {
            name: def.name.to_string(),
            found: Found { parameters: def.params.len(), position: def.body.start_position() },
        })
        .collect()
}

fn find(functions: &[Function], name: &str) -> Option<Found> {
    functions.iter().find(|function| function.name == name).map(|function| function.found)
}

fn wrong_parameters(file: &str, shape: &Shape, found: Found) -> LoadError {
    let message = format!("`{}` takes {} parameters here", shape.name, found.parameters);
    positioned(LoadError::new(file, message), found.position)
        .hint(format!("write fn {}({})", shape.name, shape.parameters))
}

fn no_function(file: &str, shape: &Shape) -> LoadError {
    LoadError::new(
        file,
        format!("the manifest names the hook `{}` but the script has no such function", shape.hook.as_str()),
    )
    .hint(format!("write fn {}({})", shape.name, shape.parameters))
}

/// A hook that is written but not asked is a policy that its author believes to be at work.
fn not_named(file: &str, shape: &Shape, found: Found) -> LoadError {
    let message = format!("the script has `{}` but the manifest does not name the hook", shape.name);
    positioned(LoadError::new(file, message), found.position)
        .hint(format!("hooks: [{}]", shape.hook.as_str()))
}

fn self_test(file: &str, functions: &[Function]) -> Result<(), LoadError> {
    match find(functions, SELF_TEST) {
        Some(found) if found.parameters != 1 => {
            Err(positioned(LoadError::new(file, "`self_test` takes one parameter"), found.position)
                .hint("write fn self_test(config)"))
        }
        _ => Ok(()),
    }
}

/// Statements outside functions would never run.
fn only_functions(file: &str, ast: &AST) -> Result<(), LoadError> {
    match ast.statements().iter().find(|statement| !matches!(statement, Stmt::Noop(..))) {
        Some(statement) => {
            Err(positioned(LoadError::new(file, "a statement outside any function"), statement.position())
                .hint("a script is functions only; write constants inside them or in config"))
        }
        None => Ok(()),
    }
}

/// A name that no function has, called anywhere, would fail only when that line runs.
fn known_functions(file: &str, ast: &AST) -> Result<(), LoadError> {
    let own: BTreeSet<String> = ast.iter_functions().map(|function| function.name.to_owned()).collect();
    let mut unknown = None;
    ast.walk(&mut |path: &[ASTNode]| {
        let call = match path.last() {
            Some(
                ASTNode::Expr(Expr::FnCall(call, position) | Expr::MethodCall(call, position))
                | ASTNode::Stmt(Stmt::FnCall(call, position)),
            ) => Some((call, position)),
            _ => None,
        };
        if let Some((call, position)) = call
            && call.op_token.is_none()
            && !own.contains(call.name.as_str())
            // What a closure captures is a call of `curry` in the tree; as a word the parser has refused it.
            && call.name != "curry"
            && (FORBIDDEN.contains(&call.name.as_str()) || !KNOWN.contains(call.name.as_str()))
        {
            unknown = Some((call.name.to_string(), *position));
        }
        unknown.is_none()
    });
    let Some((name, position)) = unknown else { return Ok(()) };
    let error = positioned(LoadError::new(file, format!("there is no function `{name}`")), position);
    Err(match nearest(&name, KNOWN.iter().chain(&own)) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error,
    })
}

/// Every name that stands after a dot: what a script may ask of its config.
pub(crate) fn properties(ast: &AST) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    ast.walk(&mut |path: &[ASTNode]| {
        if let Some(ASTNode::Expr(Expr::Property(property, _))) = path.last() {
            names.insert(property.2.to_string());
        }
        true
    });
    names
}

/// Names of the functions that scripts can call: the library's and what Rhai resolves by itself.
static KNOWN: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let builtin = ["call", "type_of", "is_def_var", "is_def_fn", "is_shared", "this"].map(str::to_owned);
    let mut engine = Engine::new_raw();
    engine.register_global_module(LIBRARY.clone());
    let library = engine.collect_fn_metadata(None, |function| Some(function.metadata.name.to_string()), true);
    library.into_iter().chain(builtin).collect()
});

fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> Option<&'a str> {
    known
        .map(|candidate| (distance(name, candidate), candidate.as_str()))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut before = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let here = (before + usize::from(x != *y)).min(row[j] + 1).min(row[j + 1] + 1);
            before = row[j + 1];
            row[j + 1] = here;
        }
    }
    row[b.len()]
}

fn positioned(error: LoadError, position: Position) -> LoadError {
    match fault::line(position) {
        Some(line) => error.at(line, fault::column(position).unwrap_or(1)),
        None => error,
    }
}
