//! Where a plugin's heap is in its memory.
//!
//! The host makes a fresh instance by writing its memory anew, all of it. std's allocator takes whole pages behind the
//! memory that the linker has laid out and leaves the rest of that unused, so half of what was written was for nothing. This
//! one begins where the plugin's data end and takes what it needs in small steps; what it has not taken is zero, which is
//! quicker to write than to copy.
//!
//! A plugin with an allocator of its own depends on `weir-sdk` with `default-features = false`.

use core::alloc::Layout;
use core::arch::wasm32::memory_grow;
use core::cell::Cell;
use core::ptr::NonNull;
use talc::base::{Talc, binning::Binning};
use talc::cell::TalcSyncCell;
use talc::source::Source;
use talc::wasm::WasmBinning;

const PAGE: usize = 64 << 10;
/// What the heap grows by at least.
const STEP: usize = 8 << 10;
/// What a block needs beside its bytes.
const OVERHEAD: usize = 64;
/// Memory that a configured plugin has beyond its heap. An instance that has to ask for more costs two system calls more.
const ROOM: usize = 16 << 10;

#[global_allocator]
static HEAP: TalcSyncCell<Memory, WasmBinning> = TalcSyncCell::new_wasm(Memory);

static OURS: Ours = Ours { end: Cell::new(0), limit: Cell::new(0), extends: Cell::new(false) };

/// Memory that nobody else has: addresses.
struct Ours {
    /// Up to here it is heap.
    end: Cell<usize>,
    limit: Cell<usize>,
    /// Whether what lies before `end` is heap, so that more of it can be added there.
    extends: Cell<bool>,
}

#[allow(unsafe_code, reason = "see SAFETY")]
// SAFETY: the target has no threads.
unsafe impl Sync for Ours {}

#[allow(unsafe_code, reason = "symbols of the linker's")]
unsafe extern "C" {
    /// Their addresses are the end of the plugin's data, and of the memory that it begins with.
    static __heap_base: u8;
    static __heap_end: u8;
}

impl Ours {
    /// Where so many bytes may be added to the heap.
    fn room(&self, bytes: usize) -> Option<usize> {
        if self.limit.get() == 0 {
            self.end.set((&raw const __heap_base).addr());
            self.limit.set((&raw const __heap_end).addr());
        }
        loop {
            let missing = self.end.get().checked_add(bytes)?.saturating_sub(self.limit.get());
            if missing == 0 {
                return Some(self.end.get());
            }
            self.grow(missing)?;
        }
    }

    fn grow(&self, bytes: usize) -> Option<()> {
        let pages = bytes.div_ceil(PAGE);
        let before = memory_grow::<0>(pages);
        if before == usize::MAX {
            return None;
        }
        if before * PAGE != self.limit.get() {
            // Somebody else has grown it in between.
            self.end.set(before * PAGE);
            self.extends.set(false);
        }
        self.limit.set((before + pages) * PAGE);
        Some(())
    }
}

/// The source of the heap's memory.
#[derive(Debug)]
struct Memory;

#[allow(unsafe_code, reason = "see SAFETY")]
// SAFETY: it uses no allocator.
unsafe impl Source for Memory {
    fn acquire<B: Binning>(heap: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        let bytes = layout.size().checked_add(layout.align()).and_then(|bytes| bytes.checked_add(OVERHEAD));
        let bytes = bytes.and_then(|bytes| bytes.checked_next_multiple_of(STEP)).ok_or(())?;
        let from = OURS.room(bytes).ok_or(())? as *mut u8;
        // SAFETY: that memory is there, is nobody else's, and `from` is where the heap ends if it extends.
        let end = unsafe {
            match NonNull::new(from).filter(|_| OURS.extends.get()) {
                Some(end) => Some(heap.extend(end, from.wrapping_add(bytes))),
                None => heap.claim(from, bytes),
            }
        };
        OURS.end.set(end.ok_or(())?.addr().get());
        OURS.extends.set(true);
        Ok(())
    }
}

/// What a configured plugin leaves to each of its instances.
pub(crate) fn make_room() {
    let behind = OURS.limit.get() - OURS.end.get();
    if behind < ROOM && OURS.extends.get() {
        // A plugin that has no more room than that under its `memory_bytes` is not let in: it would fail at a request.
        let _ = OURS.grow(ROOM - behind);
    }
}
