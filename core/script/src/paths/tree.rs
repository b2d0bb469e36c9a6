//! The paths of one script as a tree: a function of the host at each node, a branch for each plain value that it gave.

use crate::api::head::HeadHandle;
use crate::api::money::BaseHandle;
use crate::api::plan::Abstain;
use crate::api::target::TargetHandle;
use crate::api::targets::{Positions, Targets};
use crate::paths::value::{Unboxed, Value};
use rhai::{Array, Dynamic, EvalAltResult, ImmutableString, NativeCallContext};
use smallvec::SmallVec;
use std::any::TypeId;
use std::sync::Arc;
use weir_llm::price::Rate;
use weir_policy::{Budget, Charge, Deny, Needs, Plan};

/// Nodes of one script's tree.
const NODES: usize = 256;
/// Branches of one node.
const BRANCHES: usize = 16;
/// Candidates of a call that follows a path: the clock is looked at by the interpreter only.
const CANDIDATES: usize = 512;
/// The longest text and the longest array that a tree keeps.
const TEXT: usize = 1024;
const ITEMS: usize = 64;
/// Where the list of all candidates stands among the values of a walk, if the hook is given one.
const TARGETS: usize = 1;

/// A function of the host as Rhai calls it.
pub(crate) type Native = dyn Fn(Option<NativeCallContext>, &mut [&mut Dynamic]) -> Result<Dynamic, Box<EvalAltResult>>
    + Send
    + Sync;

/// A function of the host, and what a path may call in its place.
pub(crate) struct Function {
    pub(crate) call: Arc<Native>,
    pub(crate) typed: Option<Typed>,
}

/// A function as a path calls it, without Rhai. `None` if it fails, or is given what is of another type.
pub(crate) enum Typed {
    /// Looks at a value.
    One(Box<OfOne>),
    /// Looks at two.
    Two(Box<OfTwo>),
    /// Looks at a value, with something else.
    With(Box<OfOneWith>),
    /// Changes a value, which is what it gives.
    Builds(Box<Building>),
    /// The same, with something else.
    BuildsWith(Box<BuildingWith>),
}

type OfOne = dyn Fn(&Value) -> Option<Value> + Send + Sync;
type OfTwo = dyn Fn(&Value, &Value) -> Option<Value> + Send + Sync;
type OfOneWith = dyn Fn(&Value, &Dynamic) -> Option<Value> + Send + Sync;
type Building = dyn Fn(&mut Value) -> Option<()> + Send + Sync;
type BuildingWith = dyn Fn(&mut Value, &Dynamic) -> Option<()> + Send + Sync;

/// What a function was given.
#[derive(Clone)]
pub(super) enum Operand {
    /// A value of the walk.
    Value(usize),
    Constant(Dynamic),
    /// An array of these.
    Array(Box<[Operand]>),
    /// A candidate by its position; a branch above says that it is there.
    Candidate(u16),
    /// Candidates by their positions.
    Candidates(Box<Positions>),
}

/// As many as nearly every function has, beside it: a walk is a run through memory.
pub(super) type Operands = SmallVec<[Operand; 2]>;

/// A function and what it was given.
#[derive(Clone)]
pub(super) struct Step {
    pub(super) function: Arc<Function>,
    pub(super) operands: Operands,
    /// The first operand is looked at, not changed.
    pub(super) looks: bool,
}

/// What a function gave.
#[derive(Clone)]
pub(super) enum Gave {
    /// This plain value.
    Plain(Dynamic),
    /// A value of the host of this type: the path holds for any.
    Native(TypeId),
}

/// A call of a script from its first function of the host to its answer.
pub(crate) struct Path {
    /// Values of the walk that are there before its first step.
    pub(super) roots: usize,
    pub(super) steps: Vec<(Step, Gave)>,
    /// Which value of the walk is the answer.
    pub(super) answer: usize,
}

/// What came of a path that was to be added.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Added {
    Yes,
    Known,
    NoRoom,
    /// After the same values the script took another step, or gave another answer.
    Contradicts,
}

#[derive(Clone, Default)]
pub(crate) struct Tree {
    /// The first is the root.
    nodes: Vec<Node>,
    deepest: usize,
}

#[derive(Clone)]
struct Node {
    step: Step,
    /// A bit for each operand that no path needs after this step.
    last: u32,
    /// Most nodes have one.
    branches: SmallVec<[(Gave, Next); 1]>,
}

#[derive(Clone, Copy)]
enum Next {
    Node(usize),
    Answer(usize),
}

impl Tree {
    /// The answer of the path that fits `values`, which the call begins with. Without one they are as before.
    pub(super) fn walk(&self, values: &mut Vec<Value>) -> Option<Value> {
        let roots = values.len();
        values.reserve(self.deepest);
        let answer = self.end(values).and_then(|answer| values.get_mut(answer)).map(std::mem::take);
        if answer.is_none() {
            values.truncate(roots);
        }
        answer
    }

    fn end(&self, values: &mut Vec<Value>) -> Option<usize> {
        if all(values).is_some_and(|list| list.positions.len() > CANDIDATES) {
            return None;
        }
        let mut at = 0;
        loop {
            let node = self.nodes.get(at)?;
            let gave = node.step.take(values, node.last)?;
            let next = node.branches.iter().find(|(known, _)| known.is(&gave)).map(|(_, next)| *next)?;
            values.push(gave);
            match next {
                Next::Node(next) => at = next,
                Next::Answer(value) => return Some(value),
            }
        }
    }

    /// Adds a path.
    pub(super) fn add(&mut self, path: Path) -> Added {
        let Some(last) = path.steps.len().checked_sub(1) else { return Added::NoRoom };
        let last_uses: Vec<u32> = (0..=last).map(|depth| path.last_uses(depth)).collect();
        if self.nodes.len() + path.steps.len() > NODES {
            return Added::NoRoom;
        }
        let mut at = 0;
        self.deepest = self.deepest.max(path.steps.len());
        for (depth, ((step, gave), last_use)) in path.steps.into_iter().zip(last_uses).enumerate() {
            let fresh = self.nodes.len() + usize::from(at == self.nodes.len());
            if at == self.nodes.len() {
                self.nodes.push(Node { step, last: last_use, branches: SmallVec::new() });
            } else if !self.nodes[at].step.same(&step) {
                return Added::Contradicts;
            }
            let node = &mut self.nodes[at];
            node.last &= last_use;
            let known = node.branches.iter().find(|(known, _)| known.same(&gave)).map(|(_, next)| *next);
            match known {
                Some(Next::Node(next)) if depth < last => at = next,
                Some(Next::Answer(answer)) if depth == last && answer == path.answer => return Added::Known,
                Some(_) => return Added::Contradicts,
                None if node.branches.len() == BRANCHES => return Added::NoRoom,
                None if depth == last => node.branches.push((gave, Next::Answer(path.answer))),
                None => {
                    node.branches.push((gave, Next::Node(fresh)));
                    at = fresh;
                }
            }
        }
        Added::Yes
    }
}

impl Step {
    /// Calls the function; `None` if it failed, and then the script is asked. `last`: the operands that it may take, since
    /// nothing after it needs them.
    fn take(&self, values: &mut [Value], last: u32) -> Option<Value> {
        let typed = self.function.typed.as_ref();
        match typed.and_then(|function| function.of(&self.operands, values, last & bit(0) != 0)) {
            Some(gave) => Some(gave),
            None => self.call(values, last).map(Value::of),
        }
    }

    fn call(&self, values: &mut [Value], last: u32) -> Option<Dynamic> {
        let (first, rest) = match self.operands.split_first() {
            Some((Operand::Value(place), rest)) if self.looks => (Some(*place), rest),
            _ => (None, &*self.operands),
        };
        let mut owned = [const { Dynamic::UNIT }; 4];
        let owned = owned.get_mut(..rest.len())?;
        let first_owned = self.operands.len() - rest.len();
        for (nth, (value, operand)) in owned.iter_mut().zip(rest).enumerate() {
            *value = match operand {
                Operand::Value(place) if last & bit(first_owned + nth) != 0 => {
                    std::mem::take(values.get_mut(*place)?).into_dynamic()
                }
                operand => operand.value(values)?,
            };
        }
        let mut shown;
        let mut owned = owned.iter_mut();
        let first = match first.map(|place| values.get_mut(place)) {
            None => None,
            Some(None) => return None,
            Some(Some(Value::Other(value))) => Some(value),
            Some(Some(other)) => {
                shown = other.clone().into_dynamic();
                Some(&mut shown)
            }
        };
        let call = &self.function.call;
        match (first, rest.len()) {
            (Some(first), 0) => call(None, &mut [first]),
            (Some(first), 1) => call(None, &mut [first, owned.next()?]),
            (Some(first), 2) => call(None, &mut [first, owned.next()?, owned.next()?]),
            (Some(_), _) => return None,
            (None, _) => call(None, &mut owned.collect::<Vec<_>>()),
        }
        .ok()
    }

    fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.function, &other.function)
            && all_same(&self.operands, &other.operands, Operand::same)
    }
}

impl Typed {
    /// What it gives; `None` where it fails, as Rhai's way then does too, or is given what it is not made for. `last`: the
    /// first operand may be taken.
    fn of(&self, operands: &[Operand], values: &mut [Value], last: bool) -> Option<Value> {
        let Some((Operand::Value(place), rest)) = operands.split_first() else { return None };
        match (self, rest) {
            (Self::One(function), []) => function(values.get(*place)?),
            (Self::Two(function), [Operand::Value(other)]) => {
                function(values.get(*place)?, values.get(*other)?)
            }
            (Self::Two(function), [Operand::Candidates(positions)]) => {
                let other = all(values)?.with(Positions::from_slice(positions));
                function(values.get(*place)?, &Value::List(other))
            }
            (Self::With(function), [other]) => function(values.get(*place)?, other.other(values)?),
            (Self::Builds(function), []) => built(values, *place, last, |value, _| function(value)),
            (Self::BuildsWith(function), [other]) => {
                built(values, *place, last, |value, values| function(value, other.other(values)?))
            }
            _ => None,
        }
    }
}

/// Changes a copy of a value, or the value itself if nothing else needs it; it is as before where that fails.
fn built(
    values: &mut [Value],
    place: usize,
    last: bool,
    change: impl FnOnce(&mut Value, &[Value]) -> Option<()>,
) -> Option<Value> {
    let mut value = match last {
        true => std::mem::take(values.get_mut(place)?),
        false => values.get(place)?.clone(),
    };
    if change(&mut value, values).is_some() {
        return Some(value);
    }
    if last {
        *values.get_mut(place)? = value;
    }
    None
}

impl Path {
    /// The operands of a step that are values of this path and needed by nothing after it, a bit for each. A call's
    /// arguments are none of them: they are given back where no path fits.
    fn last_uses(&self, depth: usize) -> u32 {
        let Some((step, _)) = self.steps.get(depth) else { return 0 };
        let needed_after = |place: usize| {
            let after = self.steps.iter().skip(depth + 1).flat_map(|(step, _)| &step.operands);
            place < self.roots
                || place == self.answer
                || after.into_iter().any(|operand| operand.needs(place))
        };
        let once = |place: usize| step.operands.iter().filter(|operand| operand.needs(place)).count() == 1;
        let last = step.operands.iter().enumerate().filter_map(|(nth, operand)| match operand {
            Operand::Value(place) if once(*place) && !needed_after(*place) => Some(bit(nth)),
            _ => None,
        });
        last.fold(0, |all, one| all | one)
    }
}

/// The bit of an operand; one beyond the last has none, and is never taken.
fn bit(nth: usize) -> u32 {
    u32::try_from(nth).ok().and_then(|nth| 1_u32.checked_shl(nth)).unwrap_or(0)
}

impl Operand {
    fn needs(&self, wanted: usize) -> bool {
        match self {
            Self::Value(place) => *place == wanted,
            Self::Array(items) => items.iter().any(|item| item.needs(wanted)),
            Self::Constant(_) | Self::Candidate(_) | Self::Candidates(_) => false,
        }
    }

    /// What is no value of the host that paths know.
    fn other<'a>(&'a self, values: &'a [Value]) -> Option<&'a Dynamic> {
        match self {
            Self::Constant(value) => Some(value),
            Self::Value(place) => match values.get(*place)? {
                Value::Other(value) => Some(value),
                _ => None,
            },
            _ => None,
        }
    }

    fn value(&self, values: &[Value]) -> Option<Dynamic> {
        Some(match self {
            Self::Value(place) => values.get(*place)?.clone().into_dynamic(),
            Self::Constant(value) => value.clone(),
            Self::Array(items) => {
                items.iter().map(|item| item.value(values)).collect::<Option<Array>>()?.into()
            }
            Self::Candidate(position) => Dynamic::from(all(values)?.handle(*position)),
            Self::Candidates(positions) => Dynamic::from(all(values)?.with(Positions::from_slice(positions))),
        })
    }

    fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Value(a), Self::Value(b)) => a == b,
            (Self::Constant(a), Self::Constant(b)) => same(a, b),
            (Self::Array(a), Self::Array(b)) => all_same(a, b, Self::same),
            (Self::Candidate(a), Self::Candidate(b)) => a == b,
            (Self::Candidates(a), Self::Candidates(b)) => a == b,
            _ => false,
        }
    }
}

/// Every candidate of the call.
fn all(values: &[Value]) -> Option<&Targets> {
    values.get(TARGETS).and_then(Targets::of)
}

impl Gave {
    fn is(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Plain(known), Value::Other(value)) => same(known, value),
            (Self::Plain(_), _) => false,
            (Self::Native(known), value) => value.type_id() == *known,
        }
    }

    fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Plain(a), Self::Plain(b)) => same(a, b),
            (Self::Native(a), Self::Native(b)) => a == b,
            _ => false,
        }
    }
}

/// What a function on a path gave or was given, in the words of [`Operand`] and [`Gave`].
pub(super) enum Seen {
    /// A value that says all of itself.
    Plain,
    Array,
    Candidate(u16),
    Candidates(Positions),
    /// Another value of the host.
    Native,
    /// A function, a map, a shared variable: not for a path.
    Other,
}

pub(super) fn seen(value: &Dynamic) -> Seen {
    // A variable that a closure shares may still change.
    if value.is_shared() {
        return Seen::Other;
    }
    if let Some(list) = value.read_lock::<Targets>() {
        return Seen::Candidates(list.positions.clone());
    }
    if let Some(target) = value.read_lock::<TargetHandle>() {
        return Seen::Candidate(target.position);
    }
    match value {
        value if is_plain(value) => Seen::Plain,
        value if value.is_array() => Seen::Array,
        value if NATIVE.iter().any(|native| native() == value.type_id()) => Seen::Native,
        _ => Seen::Other,
    }
}

/// The types of the host whose values a path holds for, whatever they are.
const NATIVE: [fn() -> TypeId; 10] = [
    TypeId::of::<HeadHandle>,
    TypeId::of::<Needs>,
    TypeId::of::<Budget>,
    TypeId::of::<Rate>,
    TypeId::of::<Plan>,
    TypeId::of::<weir_policy::Step>,
    TypeId::of::<Deny>,
    TypeId::of::<Abstain>,
    TypeId::of::<BaseHandle>,
    TypeId::of::<Charge>,
];

/// Whether a value says all of itself, in few words: what a tree keeps it keeps for long.
fn is_plain(value: &Dynamic) -> bool {
    if value.is_shared() {
        return false;
    }
    if let Some(items) = value.read_lock::<Array>() {
        return items.len() <= ITEMS && items.iter().all(is_plain);
    }
    if let Some(text) = value.read_lock::<ImmutableString>() {
        return text.len() <= TEXT;
    }
    value.is_unit() || value.is_bool() || value.is_int() || value.is_float() || value.is_char()
}

/// Whether two plain values are the same; what is not plain is the same as nothing.
fn same(a: &Dynamic, b: &Dynamic) -> bool {
    if a.type_id() != b.type_id() {
        return false;
    }
    if let (Ok(a), Ok(b)) = (a.as_bool(), b.as_bool()) {
        return a == b;
    }
    if let (Some(a), Some(b)) = (a.read_lock::<ImmutableString>(), b.read_lock::<ImmutableString>()) {
        return *a == *b;
    }
    if let (Ok(a), Ok(b)) = (a.as_int(), b.as_int()) {
        return a == b;
    }
    if let (Ok(a), Ok(b)) = (a.as_float(), b.as_float()) {
        return a.to_bits() == b.to_bits();
    }
    if let (Ok(a), Ok(b)) = (a.as_char(), b.as_char()) {
        return a == b;
    }
    if let (Some(a), Some(b)) = (a.read_lock::<Array>(), b.read_lock::<Array>()) {
        return all_same(&a, &b, same);
    }
    a.is_unit()
}

fn all_same<T>(a: &[T], b: &[T], same: impl Fn(&T, &T) -> bool) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
}
