//! From a written case to what a policy is shown.
//!
//! - `place`: where in the file something is wrong.
//! - `body`: the body of a request or a reply, in its API's form.
//! - `view`: the request as policies see it, and the reply to it.
//! - `targets`: the target table, the candidates, the failed attempts.
//! - `money`: what was used, and what it comes to.

mod body;
mod money;
mod place;
mod targets;
mod view;

pub(super) use money::{base, nanos, summaries, used};
pub(super) use place::Place;
pub(super) use targets::{attempt, candidates, errors, table};
pub(super) use view::{meta, reply, request};
