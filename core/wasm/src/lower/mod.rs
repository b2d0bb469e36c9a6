//! The contract's types from Rust to WIT: what a component gets.
//!
//! - this file: the head, and what content is made of.
//! - `names`: the enums.
//! - `targets`, `live`: what routing sees.
//! - `reply`: what the hooks of an attempt and a reply are told.
//! - `money`: what `price` and `complete` are told.

mod live;
mod money;
mod names;
mod reply;
mod targets;

pub(crate) use live::Row;
pub(crate) use money::{base, summary, usage};
pub(crate) use names::{access_error, direction};
pub(crate) use reply::{attempt_error, attempt_facts, lane, meta};
pub(crate) use targets::target;

use crate::wit::weir::policy::{request as wr, types as w};
use names::{api, data_class, kind, needs, retention, role};
use weir_policy as p;

/// The head; a policy that is `shared` between organisations does not learn who asks.
pub(crate) fn head(head: &p::Head, shared: bool) -> w::Head {
    let who = |name: &str| if shared { String::new() } else { name.to_owned() };
    w::Head {
        request_id: head.request_id.to_string(),
        api: api(head.api),
        requested_model: head.requested_model.to_string(),
        stream: head.stream,
        tenant: who(&head.tenant),
        project: who(&head.project),
        key_id: who(&head.key_id),
        user_hash: head.user_hash.as_deref().filter(|_| !shared).map(str::to_owned),
        region: head.region.to_string(),
        class: data_class(head.class),
        retention: retention(head.retention),
        tags: head.tags.to_vec(),
        deadline_ms: head.deadline_ms,
        est_input_tokens: head.est_input_tokens,
        max_output_tokens: head.max_output_tokens,
        segment_count: head.segment_count,
        body_bytes: head.body_bytes,
        needs: needs(head.needs),
        attempt: head.attempt,
        budget: head.budget.filter(|_| !shared).map(|b| w::Budget { limit: b.limit.0, left: b.left.0 }),
    }
}

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

pub(crate) fn hit(hit: &p::Hit) -> wr::Hit {
    wr::Hit { pattern: hit.pattern, segment: hit.segment, start: hit.start, end: hit.end }
}
