//! What is caught at load: grants, hooks, parameters, unknown functions, functions of capabilities that are not asked for.

use crate::api::capability::{AMBIGUOUS, FUNCTIONS};
use crate::call;
use crate::closures;
use crate::engine::{FORBIDDEN, LIBRARY};
use crate::fault::positioned;
use crate::shapes::{self, Found};
use rhai::{AST, ASTNode, Engine, Expr, FnCallExpr, Position, Stmt};
use std::collections::BTreeSet;
use std::sync::LazyLock;
use weir_policy::{Capability, Grants, LoadError, Manifest, nearest};

/// Everything that can be wrong without running the script.
pub(crate) fn script(file: &str, manifest: &Manifest, ast: &AST) -> Result<Vec<Found>, LoadError> {
    only_functions(file, ast)?;
    let own: BTreeSet<String> = ast.iter_functions().map(|function| function.name.to_owned()).collect();
    known_functions(file, manifest, ast, &own)?;
    closures::in_place(file, ast, &own)?;
    shapes::found(file, manifest, ast)
}

/// A policy that asks for more than it is given is refused, with the line that would give it.
pub(crate) fn granted(file: &str, manifest: &Manifest, grants: &Grants) -> Result<(), LoadError> {
    let asked = &manifest.capabilities;
    match asked.iter().find(|capability| !grants.capabilities.contains(capability)) {
        Some(missing) => {
            let names: Vec<&str> = asked.iter().map(|capability| capability.as_str()).collect();
            let message =
                format!("the policy asks for `{}`, which the operator has not granted", missing.as_str());
            Err(LoadError::new(file, message)
                .hint(format!("add to the policy in weir.yaml: `grants: [{}]`", names.join(", "))))
        }
        None => Ok(()),
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

/// A name that no function has, or that this policy may not use, would fail only when its line runs.
fn known_functions(
    file: &str,
    manifest: &Manifest,
    ast: &AST,
    own: &BTreeSet<String>,
) -> Result<(), LoadError> {
    let mut wrong = None;
    ast.walk(&mut |path: &[ASTNode]| {
        if let Some((call, position)) = path.last().and_then(called)
            && !own.contains(call.name.as_str())
        {
            wrong = refused(file, manifest, call, own).map(|error| positioned(error, position));
        }
        wrong.is_none()
    });
    wrong.map_or(Ok(()), Err)
}

/// The call that a node is, unless it is an operator.
fn called<'a>(node: &ASTNode<'a>) -> Option<(&'a FnCallExpr, Position)> {
    let (call, position) = match node {
        ASTNode::Expr(Expr::FnCall(call, position) | Expr::MethodCall(call, position))
        | ASTNode::Stmt(Stmt::FnCall(call, position)) => (call, position),
        _ => return None,
    };
    call.op_token.is_none().then_some((call, *position))
}

fn refused(file: &str, manifest: &Manifest, call: &FnCallExpr, own: &BTreeSet<String>) -> Option<LoadError> {
    let name = call.name.as_str();
    // What a closure captures is a call of `curry` in the tree; as a word the parser has refused it.
    if name == "curry" {
        return None;
    }
    if FORBIDDEN.contains(&name) || !KNOWN.contains(name) {
        let error = LoadError::new(file, format!("there is no function `{name}`"));
        return Some(match nearest(name, KNOWN.iter().chain(own).map(String::as_str)) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error,
        });
    }
    let capability = capability_of(name).filter(|_| !AMBIGUOUS.contains(&name))?;
    (!manifest.asks_for(capability)).then(|| {
        let message = format!("`{name}` needs the capability `{}`", capability.as_str());
        LoadError::new(file, message).hint(call::not_asked_for(capability))
    })
}

fn capability_of(name: &str) -> Option<Capability> {
    FUNCTIONS.iter().find(|(_, names)| names.contains(&name)).map(|(capability, _)| *capability)
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
