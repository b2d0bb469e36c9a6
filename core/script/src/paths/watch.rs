//! A call under observation: which functions of the host it goes through, and with what.
//!
//! A value that the host made is known by its tag, which Rhai copies with the value: 0 is none, else one more than the
//! value's place among those of the walk. Nothing in a script can change a tag, and what changes a plan in place
//! ([`Kind::Builds`]) gives it a new one. A list or a candidate without a tag comes from a loop or a closure over a list
//! whose positions the path has written down.

use super::tree::{self, Gave, Native, Operand, Path, ROOTS, Seen, Step};
use crate::api::targets::Targets;
use rhai::{Array, Dynamic, EvalAltResult, INT, NativeCallContext};
use std::cell::{Cell, RefCell};
use std::sync::{Arc, LazyLock};

/// Functions of a longer call are not worth a path.
const STEPS: usize = 96;

thread_local! {
    static WATCHING: Cell<bool> = const { Cell::new(false) };
    static STEPS_SO_FAR: RefCell<Option<Vec<(Step, Gave)>>> = const { RefCell::new(None) };
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

/// Watches a call of `route`, whose first arguments these are: its answer, and the path that it went if there is one.
pub(crate) fn watch<E>(
    arguments: &mut [Dynamic],
    call: impl FnOnce(&mut [Dynamic]) -> Result<Dynamic, E>,
) -> (Result<Dynamic, E>, Option<Path>) {
    arguments.iter_mut().take(ROOTS).enumerate().for_each(|(place, root)| tag(root, place));
    STEPS_SO_FAR.set(Some(Vec::new()));
    WATCHING.set(true);
    let answer = call(arguments);
    WATCHING.set(false);
    let steps = STEPS_SO_FAR.take();
    let place = answer.as_ref().ok().and_then(place);
    let path = steps.zip(place).map(|(steps, answer)| Path { steps, answer });
    (answer, path)
}

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
    function: Arc<Native>,
) -> impl Fn(Option<NativeCallContext>, &mut [&mut Dynamic]) -> Result<Dynamic, Box<EvalAltResult>> + Send + Sync
{
    move |context, arguments| match WATCHING.get() && kind != Kind::Constant {
        false => function(context, arguments),
        true => observed(kind, method, &function, context, arguments),
    }
}

fn observed(
    kind: Kind,
    method: bool,
    function: &Arc<Native>,
    context: Option<NativeCallContext>,
    arguments: &mut [&mut Dynamic],
) -> Result<Dynamic, Box<EvalAltResult>> {
    if context.is_some() {
        // It calls closures: they see what is in the list.
        match arguments.first() {
            Some(list) if kind == Kind::Looks => looked_at(list),
            _ => give_up(),
        }
        return function(context, arguments);
    }
    let operands: Option<Vec<Operand>> = match kind {
        Kind::Looks | Kind::Builds => arguments.iter().map(|argument| operand(argument)).collect(),
        Kind::Constant | Kind::Other => None,
    };
    let mut gave = function(context, arguments);
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
    let place = STEPS_SO_FAR.with_borrow_mut(|steps| {
        let steps = steps.as_mut().filter(|steps| steps.len() < STEPS)?;
        steps.push((step, known));
        Some(ROOTS + steps.len() - 1)
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
            Some(place(value).map_or(Operand::Candidates(positions), Operand::Value))
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
            let step =
                Step { function: Arc::clone(&POSITIONS), operands: vec![Operand::Value(place)], looks: true };
            note(step, &mut plain(&positions));
        }
        // Known already.
        (Seen::Candidates(_), None) => {}
        _ => give_up(),
    }
}

static POSITIONS: LazyLock<Arc<Native>> = LazyLock::new(|| {
    Arc::new(|_, arguments| {
        let list = arguments.first().and_then(|list| list.read_lock::<Targets>());
        Ok(list.map_or(Dynamic::UNIT, |list| plain(&list.positions)))
    })
});

fn plain(positions: &[u16]) -> Dynamic {
    positions.iter().map(|position| Dynamic::from(INT::from(*position))).collect::<Array>().into()
}

/// No path comes of this call.
fn give_up() {
    WATCHING.set(false);
    STEPS_SO_FAR.set(None);
}
