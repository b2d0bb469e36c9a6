//! Where a closure may stand: as the first argument of a function that takes one, `targets.filter(|t| …)`, and nowhere
//! else.
//!
//! A closure shares the variables that it captures. Could it be kept in one of them (`let a = []; let f = || a;
//! a.push(f);`), the two would hold each other for ever: a call that leaks. It would also carry what the bounds of sizes do
//! not count. So a closure is written where it is used, and is no value of a script.

use crate::engine::LIBRARY;
use crate::fault::positioned;
use rhai::{AST, ASTNode, Array, Dynamic, Engine, Expr, FnCallExpr, FnPtr, Map, Position, Stmt};
use std::any::TypeId;
use std::collections::BTreeSet;
use std::sync::LazyLock;
use weir_policy::LoadError;

/// Refuses a closure anywhere else.
pub(crate) fn in_place(file: &str, ast: &AST, own: &BTreeSet<String>) -> Result<(), LoadError> {
    let mut wrong = None;
    ast.walk(&mut |path: &[ASTNode]| {
        if let Some(ASTNode::Expr(expression)) = path.last()
            && is_closure(expression)
            && !path.len().checked_sub(2).is_some_and(|above| takes(&path[above], expression, own))
            // Within a closure that captures, the closure itself is an argument of `curry`.
            && !path.iter().rev().skip(1).any(|node| is_capturing(node))
        {
            wrong = Some(expression.position());
        }
        wrong.is_none()
    });
    wrong.map_or(Ok(()), |position| Err(out_of_place(file, position)))
}

fn out_of_place(file: &str, position: Position) -> LoadError {
    positioned(LoadError::new(file, "a closure cannot be kept or handed on"), position)
        .hint("write it where it is used, as in list.filter(|x| …); for more than one use write a function")
}

/// A closure, or a constant that holds one.
fn is_closure(expression: &Expr) -> bool {
    match expression {
        Expr::DynamicConstant(value, _) => holds_one(value),
        block => captures(block),
    }
}

/// What the parser can tell at once it has put together already: `[|x| x]` is one constant.
fn holds_one(value: &Dynamic) -> bool {
    value.is_fnptr()
        || value.read_lock::<Array>().is_some_and(|items| items.iter().any(holds_one))
        || value.read_lock::<Map>().is_some_and(|fields| fields.values().any(holds_one))
}

fn is_bare(expression: &Expr) -> bool {
    !matches!(expression, Expr::DynamicConstant(value, _) if !value.is_fnptr())
}

/// A block that shares variables and curries them.
fn captures(expression: &Expr) -> bool {
    matches!(expression, Expr::Stmt(block) if matches!(block.statements(), [Stmt::Share(_), ..]))
}

fn is_capturing(node: &ASTNode<'_>) -> bool {
    matches!(node, ASTNode::Expr(expression) if captures(expression))
}

fn takes(node: &ASTNode<'_>, closure: &Expr, own: &BTreeSet<String>) -> bool {
    let (call, at) = match node {
        ASTNode::Expr(Expr::MethodCall(call, _)) => (call, 0),
        ASTNode::Expr(Expr::FnCall(call, _)) | ASTNode::Stmt(Stmt::FnCall(call, _)) => (call, 1),
        _ => return false,
    };
    let here = |call: &FnCallExpr| call.args.get(at).is_some_and(|argument| std::ptr::eq(argument, closure));
    is_bare(closure) && here(call) && TAKERS.contains(call.name.as_str()) && !own.contains(call.name.as_str())
}

/// Functions of the library whose second parameter is a closure.
static TAKERS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let mut engine = Engine::new_raw();
    engine.register_global_module(LIBRARY.clone());
    let closure = TypeId::of::<FnPtr>();
    let names = engine.collect_fn_metadata(
        None,
        |function| {
            let takes = function.metadata.param_types.get(1) == Some(&closure);
            takes.then(|| function.metadata.name.to_string())
        },
        true,
    );
    names.into_iter().filter(|name| name.starts_with(char::is_alphabetic) && name != "call").collect()
});
