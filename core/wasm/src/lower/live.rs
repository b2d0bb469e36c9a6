//! The live facts of the candidates, laid into a guest's memory row by row.
//!
//! What wasmtime derives stores a record field by field, and looks the memory up for each: for ten facts of eight targets that
//! is a third of a kept router's call. A row is 36 bytes, known here.

use crate::wit::weir::policy::targets as wt;
use std::mem::MaybeUninit;
use wasmtime::Result;
use wasmtime::component::__internal::{CanonicalAbiInfo, InstanceType, InterfaceType, LowerContext};
use wasmtime::component::{ComponentType, Lower};
use weir_policy as p;

/// One candidate's facts: the contract's record `live`.
pub(crate) struct Row(pub(crate) p::Live);

/// The canonical ABI's layout of the record.
const BYTES: usize = 36;
const _: () = assert!(wt::Live::SIZE32 == BYTES && wt::Live::ALIGN32 == 4);

impl Row {
    /// As the canonical ABI lays the record out: fields in order, each aligned to its size; what lies between is zero.
    fn bytes(&self) -> [u8; BYTES] {
        let live = &self.0;
        let mut row = [0; BYTES];
        let mut put = |at: usize, field: &[u8]| row[at..at + field.len()].copy_from_slice(field);
        put(0, &live.target.to_le_bytes());
        put(2, &[live.healthy.into()]);
        put(4, &live.in_flight.to_le_bytes());
        put(8, &live.ttft_p50_ms.to_le_bytes());
        put(12, &live.ttft_p95_ms.to_le_bytes());
        put(16, &live.tps_p50.to_le_bytes());
        put(20, &live.err_rate_1m.to_le_bytes());
        put(24, &live.headroom.to_le_bytes());
        put(28, &[breaker(live.breaker) as u8]);
        put(32, &live.prompt_cache_warm.to_le_bytes());
        row
    }

    fn record(&self) -> wt::Live {
        let live = &self.0;
        wt::Live {
            target: live.target,
            healthy: live.healthy,
            in_flight: live.in_flight,
            ttft_p50_ms: live.ttft_p50_ms,
            ttft_p95_ms: live.ttft_p95_ms,
            tps_p50: live.tps_p50,
            err_rate1m: live.err_rate_1m,
            headroom: live.headroom,
            breaker: breaker(live.breaker),
            prompt_cache_warm: live.prompt_cache_warm,
        }
    }
}

const fn breaker(breaker: p::Breaker) -> wt::Breaker {
    match breaker {
        p::Breaker::Closed => wt::Breaker::Closed,
        p::Breaker::HalfOpen => wt::Breaker::HalfOpen,
        p::Breaker::Open => wt::Breaker::Open,
    }
}

// SAFETY: the type's flat form, size, alignment and type check are those of `wt::Live`, which wasmtime derives.
#[allow(unsafe_code, reason = "see SAFETY")]
unsafe impl ComponentType for Row {
    type Lower = <wt::Live as ComponentType>::Lower;
    const ABI: CanonicalAbiInfo = wt::Live::ABI;
    const MAY_REQUIRE_REALLOC: bool = false;

    fn typecheck(ty: &InterfaceType, types: &InstanceType<'_>) -> Result<()> {
        wt::Live::typecheck(ty, types)
    }
}

// SAFETY: in flat form `wt::Live` writes it; in memory all 36 bytes of a row are written, at a place that is looked up with
// its bounds. That the bytes are those that `wt::Live` would write is tested with a guest that reads every field.
#[allow(unsafe_code, reason = "see SAFETY")]
unsafe impl Lower for Row {
    fn linear_lower_to_flat<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        dst: &mut MaybeUninit<Self::Lower>,
    ) -> Result<()> {
        self.record().linear_lower_to_flat(cx, ty, dst)
    }

    fn linear_lower_to_memory<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        offset: usize,
    ) -> Result<()> {
        Self::linear_store_list_to_memory(cx, ty, offset, std::slice::from_ref(self))
    }

    fn linear_store_list_to_memory<T>(
        cx: &mut LowerContext<'_, T>,
        _: InterfaceType,
        offset: usize,
        rows: &[Self],
    ) -> Result<()> {
        let memory = cx.as_slice_mut().get_mut(offset..).unwrap_or_default();
        let places = memory.chunks_exact_mut(BYTES);
        if places.len() < rows.len() {
            return Err(wasmtime::Error::msg("the guest has no room for its candidates"));
        }
        for (row, place) in rows.iter().zip(places) {
            place.copy_from_slice(&row.bytes());
        }
        Ok(())
    }
}
