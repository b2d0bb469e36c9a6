//! The contract's types from Rust to WIT: what a component gets.
//!
//! - this file: what content is made of.
//! - `head`: the small facts about a request.
//! - `names`: the enums.
//! - `targets`, `live`: what routing sees.
//! - `reply`: what the hooks of an attempt and a reply are told.
//! - `money`: what `price` and `complete` are told.

mod head;
mod live;
mod money;
mod names;
mod reply;
mod targets;

pub(crate) use head::Head;
pub(crate) use live::Row;
pub(crate) use money::{base, summary, usage};
pub(crate) use names::{access_error, direction};
pub(crate) use reply::{attempt_error, attempt_facts, lane, meta};
pub(crate) use targets::target;

use crate::wit::weir::policy::{request as wr, types as w};
use names::{kind, role};
use weir_policy as p;

pub(crate) fn segment(segment: p::SegmentInfo) -> w::SegInfo {
    w::SegInfo {
        index: segment.index,
        role: role(segment.role),
        kind: kind(segment.kind),
        bytes: segment.bytes,
        tokens: segment.tokens,
        name: segment.name,
    }
}

pub(crate) const fn size(head: &p::Head) -> wr::Size {
    wr::Size {
        body_bytes: head.body_bytes,
        segment_count: head.segment_count,
        est_input_tokens: head.est_input_tokens,
        max_output_tokens: head.max_output_tokens,
    }
}

pub(crate) fn hit(hit: &p::Hit) -> wr::Hit {
    wr::Hit { pattern: hit.pattern, segment: hit.segment, start: hit.start, end: hit.end }
}
