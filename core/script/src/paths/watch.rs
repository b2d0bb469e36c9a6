//! A call under observation: which functions of the host it goes through, and with what.
//!
//! A value that the host made is known by its tag, which Rhai copies with the value: 0 is none, else one more than the
//! value's place among those of the walk. Nothing in a script can change a tag, and what changes a plan in place
//! ([`Kind::Builds`]) gives it a new one. A list or a candidate without a tag comes from a loop or a closure over a list
//! whose positions the path has written down.

use super::tree::{self, Function, Gave, Native, Operand, Operands, Path, Seen, Step, Typed};
use super::value::{Unboxed, Value};
use crate::api::targets::Targets;
use rhai::{Array, Dynamic, EvalAltResult, INT, NativeCallContext};
use smallvec::smallvec;
use std::cell::{Cell, RefCell};
use std::sync::{Arc, LazyLock};

/// Functions of a longer call are not worth a path.
const STEPS: usize = 96;

thread_local! {
    static WATCHING: Cell<bool> = const { Cell::new(false) };
    static SO_FAR: RefCell<Option<SoFar>> = const { RefCell::new(None) };
}

/// The path of the call under observation.
struct SoFar {
    /// Values of the walk that are there before its first step.
    roots: usize,
    steps: Vec<(Step, Gave)>,
}

/// What a path may think of a function.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The same for all requests: what it gives is a constant.
    Constant,
    /// Looks at what it is given and makes something else of it, the same each time.
    Looks,
    /// As `Looks`, but what it changes is the first thing that it is given, and that is what it gives.
    Builds,
    /// Anything else: no path.
    Other,
}

/// Watches a call of a hook with these arguments: its answer, and the path that it went if there is one. `roots`: so many of
/// them are not the same for all calls.
pub(crate) fn watch<E>(
    arguments: &mut [Dynamic],
    roots: usize,
    call: impl FnOnce(&mut [Dynamic]) -> Result<Dynamic, E>,
) -> (Result<Dynamic, E>, Option<Path>) {
    SO_FAR.set(Some(SoFar { roots, steps: Vec::new() }));
    arguments.iter_mut().take(roots).enumerate().for_each(|(place, root)| given(root, place));
    WATCHING.set(true);
    let answer = call(arguments);
    WATCHING.set(false);
    let so_far = SO_FAR.take();
    let place = answer.as_ref().ok().and_then(place);
    let path =
        so_far.zip(place).map(|(so_far, answer)| Path { roots: so_far.roots, steps: so_far.steps, answer });
    (answer, path)
}

/// Marks a value that the call begins with; at one that says all of itself the path forks first of all.
fn given(root: &mut Dynamic, place: usize) {
    match tree::seen(root) {
        Seen::Plain => {
            let step = Step {
                function: Arc::clone(&GIVEN),
                operands: smallvec![Operand::Value(place)],
                looks: true,
            };
            note(step, root);
        }
        Seen::Native | Seen::Candidate(_) | Seen::Candidates(_) => tag(root, place),
        // Nothing is known of what a script does with it.
        Seen::Array | Seen::Other => give_up(),
    }
}

static GIVEN: LazyLock<Arc<Function>> = LazyLock::new(|| {
    let call: Arc<Native> =
        Arc::new(|_, arguments| Ok(arguments.first().map_or(Dynamic::UNIT, |value| (*value).clone())));
    Arc::new(Function { call, typed: None })
});

fn tag(value: &mut Dynamic, place: usize) {
    value.set_tag(i32::try_from(place + 1).unwrap_or(0));
}

fn place(value: &Dynamic) -> Option<usize> {
    usize::try_from(value.tag()).ok()?.checked_sub(1)
}

/// The function as scripts call it.
pub(crate) fn watched(
    kind: Kind,
    method: bool,
    function: Arc<Function>,
) -> impl Fn(Option<NativeCallContext>, &mut [&mut Dynamic]) -> Result<Dynamic, Box<EvalAltResult>> + Send + Sync
{
    move |context, arguments| match WATCHING.get() && kind != Kind::Constant {
        false => (function.call)(context, arguments),
        true => observed(kind, method, &function, context, arguments),
    }
}

fn observed(
    kind: Kind,
    method: bool,
    function: &Arc<Function>,
    context: Option<NativeCallContext>,
    arguments: &mut [&mut Dynamic],
) -> Result<Dynamic, Box<EvalAltResult>> {
    if context.is_some() {
        // It calls closures: they see what is in the list.
        match arguments.first() {
            Some(list) if kind == Kind::Looks => looked_at(list),
            _ => give_up(),
        }
        return (function.call)(context, arguments);
    }
    let operands: Option<Operands> = match kind {
        Kind::Looks | Kind::Builds => arguments.iter().map(|argument| operand(argument)).collect(),
        Kind::Constant | Kind::Other => None,
    };
    let mut gave = (function.call)(context, arguments);
    match (&mut gave, operands) {
        (Ok(value), Some(operands)) => {
            let looks = method && kind == Kind::Looks;
            let made = note(Step { function: Arc::clone(function), operands, looks }, value);
            if let (Some(made), true, Some(first)) =
                (made, method && kind == Kind::Builds, arguments.first_mut())
                && first.type_id() == value.type_id()
            {
                tag(first, made);
            }
        }
        _ => give_up(),
    }
    gave
}

/// Writes a step down and marks what it gave; the place of a value of the host.
fn note(step: Step, gave: &mut Dynamic) -> Option<usize> {
    let known = match tree::seen(gave) {
        Seen::Plain => Gave::Plain(gave.clone()),
        Seen::Candidate(_) | Seen::Candidates(_) | Seen::Native => Gave::Native(gave.type_id()),
        Seen::Array | Seen::Other => {
            give_up();
            return None;
        }
    };
    let native = matches!(known, Gave::Native(_));
    let place = SO_FAR.with_borrow_mut(|so_far| {
        let so_far = so_far.as_mut().filter(|so_far| so_far.steps.len() < STEPS)?;
        so_far.steps.push((step, known));
        Some(so_far.roots + so_far.steps.len() - 1)
    });
    match place {
        None => give_up(),
        Some(place) if native => tag(gave, place),
        Some(_) => {}
    }
    place.filter(|_| native)
}

fn operand(value: &Dynamic) -> Option<Operand> {
    match tree::seen(value) {
        Seen::Plain => Some(Operand::Constant(value.clone())),
        Seen::Array => {
            let items = value.read_lock::<Array>()?;
            items.iter().map(operand).collect::<Option<_>>().map(Operand::Array)
        }
        Seen::Other => None,
        Seen::Native => place(value).map(Operand::Value),
        Seen::Candidate(position) => Some(place(value).map_or(Operand::Candidate(position), Operand::Value)),
        Seen::Candidates(positions) => {
            Some(place(value).map_or_else(|| Operand::Candidates(Box::new(positions)), Operand::Value))
        }
    }
}

/// A loop or a closure goes over this list: the path holds only where the same candidates stand in it.
pub(crate) fn looked_at(list: &Dynamic) {
    if !WATCHING.get() {
        return;
    }
    match (tree::seen(list), place(list)) {
        (Seen::Candidates(positions), Some(place)) => {
            let step = Step {
                function: Arc::clone(&POSITIONS),
                operands: smallvec![Operand::Value(place)],
                looks: true,
            };
            note(step, &mut plain(&positions));
        }
        // Known already.
        (Seen::Candidates(_), None) => {}
        _ => give_up(),
    }
}

/// A list is never anything else in a walk: Rhai's way is not taken.
static POSITIONS: LazyLock<Arc<Function>> = LazyLock::new(|| {
    let call: Arc<Native> = Arc::new(|_, _| Ok(Dynamic::UNIT));
    let positions = |list: &Value| Targets::of(list).map(|list| Value::Other(plain(&list.positions)));
    Arc::new(Function { call, typed: Some(Typed::One(Box::new(positions))) })
});

fn plain(positions: &[u16]) -> Dynamic {
    positions.iter().map(|position| Dynamic::from(INT::from(*position))).collect::<Array>().into()
}

/// No path comes of this call.
fn give_up() {
    WATCHING.set(false);
    SO_FAR.set(None);
}
