//! A bounded Rhai engine per policy.
//!
//! The packages and the API are one module, built once per process; an engine is that module plus the manifest's
//! limits. An engine is shared by all threads and holds no lock: interned strings, the only one, are switched off.

use crate::{api, growth, meter};
use rhai::packages::{
    ArithmeticPackage, BasicArrayPackage, BasicBlobPackage, BasicFnPackage, BasicIteratorPackage,
    BasicMapPackage, BasicMathPackage, BasicStringPackage, LogicPackage, MoreStringPackage, Package,
};
use rhai::{Engine, Module, Shared};
use std::sync::LazyLock;
use weir_policy::Limits;

/// What a script cannot say: run text as code, load files, print, make a function from a string, wait.
pub(crate) const FORBIDDEN: [&str; 8] =
    ["eval", "import", "export", "print", "debug", "Fn", "sleep", "curry"];

/// Calls within calls. A script function recurses through several Rust frames (about 10 KiB unoptimised), and worker
/// threads have 2 MiB.
const DEPTH: usize = 24;
/// Levels of one expression, and of one within a function.
const EXPRESSION_DEPTH: usize = 48;
/// Variables alive in one call of one function.
const VARIABLES: usize = 64;
/// Functions of a script, closures included.
const FUNCTIONS: usize = 128;

/// The standard functions and our API.
pub(crate) static LIBRARY: LazyLock<Shared<Module>> = LazyLock::new(|| {
    let mut module = Module::new();
    ArithmeticPackage::init(&mut module);
    LogicPackage::init(&mut module);
    BasicFnPackage::init(&mut module);
    BasicIteratorPackage::init(&mut module);
    BasicMathPackage::init(&mut module);
    BasicStringPackage::init(&mut module);
    MoreStringPackage::init(&mut module);
    BasicArrayPackage::init(&mut module);
    BasicMapPackage::init(&mut module);
    BasicBlobPackage::init(&mut module);
    growth::register(&mut module);
    api::register(&mut module);
    module.register_lazy_functions();
    module.build_index();
    module.into()
});

/// The engine of one policy.
pub(crate) fn bounded(limits: &Limits) -> Engine {
    let mut engine = Engine::new_raw();
    engine.register_global_module(LIBRARY.clone());
    for symbol in FORBIDDEN {
        engine.disable_symbol(symbol);
    }
    let sizes = Sizes::within(limits.memory_bytes);
    engine
        .set_strict_variables(true)
        .set_allow_shadowing(true)
        .set_fail_on_invalid_map_property(false)
        .set_max_modules(0)
        .set_max_call_levels(DEPTH)
        .set_max_expr_depths(EXPRESSION_DEPTH, EXPRESSION_DEPTH)
        .set_max_variables(VARIABLES)
        .set_max_functions(FUNCTIONS)
        .set_max_operations(limits.operations)
        .set_max_string_size(sizes.string)
        .set_max_array_size(sizes.array)
        .set_max_map_size(sizes.map)
        .set_max_strings_interned(0)
        .on_progress(meter::tick);
    engine
}

/// How large one value may grow, all that it holds included.
pub(crate) struct Sizes {
    pub(crate) string: usize,
    array: usize,
    map: usize,
}

impl Sizes {
    /// Rhai bounds values, not their sum. The shares are small enough that what a script can build between two looks
    /// at the clock (32 operations, each making one largest value) stays within the memory. An element takes 16 bytes
    /// in an array and about 64 in a map, and a string may be split into an array of its characters.
    pub(crate) fn within(memory_bytes: u64) -> Self {
        let share = usize::try_from(memory_bytes / 64).unwrap_or(usize::MAX).max(4096);
        Self { string: share, array: share / 16, map: share / 64 }
    }
}
