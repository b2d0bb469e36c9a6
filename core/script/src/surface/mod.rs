//! The WIT, name by name, in Rhai: what a test compares with `sdk/wit/policy.wit` and with what is registered, so that the
//! two surfaces cannot drift.

mod rows;
mod words;

use crate::api::TYPES;
use crate::api::capability::OUTBOUND;
use crate::engine::LIBRARY;
use crate::shapes::{SELF_TEST, SHAPES};
use rhai::{Engine, FuncInfo};

pub use rows::ROWS;
pub use words::words;

/// How a name of the WIT is said in Rhai.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// A property of a type: `head.tenant`.
    Property(&'static str, &'static str),
    /// A function or method; a field is a parameter of it: `deny(status, code, message)`.
    Function(&'static str),
    /// A function that the script writes and Weir calls.
    Hook(&'static str),
    /// A key of the map that `http_send` takes.
    Key(&'static str),
    /// Not as a name of its own, for this reason.
    Otherwise(&'static str),
}

impl Said {
    /// Whether the engine, or Weir, knows this name.
    #[must_use]
    pub fn is_there(self) -> bool {
        match self {
            Self::Property(kind, name) => has_property(kind, name),
            Self::Function(name) => has_function(name),
            Self::Hook(name) => name == SELF_TEST || SHAPES.iter().any(|shape| shape.name == name),
            Self::Key(name) => OUTBOUND.contains(&name),
            Self::Otherwise(why) => !why.is_empty(),
        }
    }
}

fn has_property(kind: &str, name: &str) -> bool {
    let Some((_, id)) = TYPES.iter().find(|(known, _)| *known == kind) else { return false };
    let getter = format!("get${name}");
    any(|function| function.metadata.name == getter && function.metadata.param_types.first() == Some(&id()))
}

fn has_function(name: &str) -> bool {
    any(|function| function.metadata.name == name)
}

fn any(wanted: impl Fn(&FuncInfo<'_>) -> bool) -> bool {
    let mut engine = Engine::new_raw();
    engine.register_global_module(LIBRARY.clone());
    !engine.collect_fn_metadata(None, |function| wanted(&function).then_some(()), true).is_empty()
}
