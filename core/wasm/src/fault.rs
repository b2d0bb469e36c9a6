//! From a wasmtime error to a [`Fault`]. Nothing that a guest made up gets through: kinds, fixed texts, names of the
//! component's functions, and a place that was checked against the component's own bytes.

use crate::ask::{NoHook, OwnError};
use crate::budget::{OverCpu, OverHostCalls, OverMemory};
use wasmtime::{FrameInfo, PoolConcurrencyLimitError, Trap, WasmBacktrace};
use weir_policy::{Fault, FaultKind};

/// What a failed call becomes; `panicked_at` is where the guest said that it panicked.
pub(crate) fn of(error: &wasmtime::Error, panicked_at: Option<String>) -> Fault {
    let (kind, message) = kind(error);
    let fault = Fault::new(kind, message);
    match panicked_at.or_else(|| frame(error)) {
        Some(place) => fault.at(place),
        None => fault,
    }
}

/// Whether the pool had no slot.
pub(crate) fn is_no_slot(error: &wasmtime::Error) -> bool {
    error.is::<PoolConcurrencyLimitError>()
}

fn kind(error: &wasmtime::Error) -> (FaultKind, String) {
    if let Some(over) = error.downcast_ref::<OverCpu>() {
        return (FaultKind::Deadline, over.to_string());
    }
    if let Some(over) = error.downcast_ref::<OverHostCalls>() {
        return (FaultKind::Deadline, over.to_string());
    }
    if let Some(over) = error.downcast_ref::<OverMemory>() {
        return (FaultKind::Memory, over.to_string());
    }
    if let Some(missing) = error.downcast_ref::<NoHook>() {
        return (FaultKind::Missing, missing.to_string());
    }
    if let Some(own) = error.downcast_ref::<OwnError>() {
        return (FaultKind::Trap, own.to_string());
    }
    if let Some(fault) = error.downcast_ref::<Fault>() {
        return (fault.kind, fault.message.clone());
    }
    if is_no_slot(error) {
        return (FaultKind::NoSlot, "no instance slot is free".into());
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => (FaultKind::Deadline, OverCpu.to_string()),
        Some(Trap::OutOfFuel) => (FaultKind::Deadline, "more operations than limits allow".into()),
        Some(trap @ Trap::StackOverflow) => (FaultKind::Memory, trap.to_string()),
        Some(trap) => (FaultKind::Trap, trap.to_string()),
        None => (FaultKind::BadAnswer, bad_answer(error)),
    }
}

/// Lifting failed. wasmtime's texts may quote numbers of the guest's making, so only the known one is told apart.
fn bad_answer(error: &wasmtime::Error) -> String {
    let fuel = error.chain().any(|cause| cause.to_string().contains("fuel allocated for hostcalls"));
    if fuel { "more output than output_bytes" } else { "an answer that does not fit the contract" }.into()
}

/// The innermost function that is the author's own.
fn frame(error: &wasmtime::Error) -> Option<String> {
    let trace = error.downcast_ref::<WasmBacktrace>()?;
    let names = trace.frames().iter().filter_map(name);
    let mut first = None;
    for name in names {
        if !library(&name) {
            return Some(name);
        }
        first.get_or_insert(name);
    }
    first
}

fn name(frame: &FrameInfo) -> Option<String> {
    let name = frame.func_name()?;
    Some(wasmtime_demangled(name))
}

/// `crate::function::h0123456789abcdef` without the hash.
fn wasmtime_demangled(name: &str) -> String {
    let plain = name.rsplit_once("::h").filter(|(_, hash)| hash.len() == 16);
    plain.map_or(name, |(plain, _)| plain).to_owned()
}

fn library(name: &str) -> bool {
    let name = name.trim_start_matches(['<', '_']);
    [
        "core::",
        "std::",
        "alloc::",
        "rust_",
        "rustc",
        "R",
        "weir_sdk::",
        "wit_bindgen",
        "cabi_",
        "dlmalloc",
        "abort",
    ]
    .iter()
    .any(|prefix| name.starts_with(prefix))
}
