//! A redactor of personal data and secrets that can be told exactly: by check digits, by structure, by prefixes of providers.
//!
//! The scan is plain Rust that works on the host as well: [`scan`] for a text, [`Stream`] for one that comes in pieces.
//!
//! # Layout
//!
//! - [`class`]: what there is to find.
//! - [`action`]: what is done with it; [`config`]: which action where.
//! - `text`, `view`: text as detectors see it: bounded, decoded, with the way back.
//! - `detect`: a detector for each class.
//! - `scan`, `stream`: one pass over a text, whole or window by window.
//! - `lane`: from what was found in one text to spans; `keys`: the names of a tool's arguments.
//! - [`content`]: requests and whole replies.

pub mod action;
pub mod class;
pub mod config;
pub mod content;
mod detect;
mod keys;
mod lane;
mod scan;
mod stream;
mod text;
mod view;

pub use class::Class;
pub use detect::Leave;
pub use scan::Found;
pub use stream::Stream;

use config::Policy;
use lane::Reader;
use std::rc::Rc;
use weir_sdk::{
    Config, DeltaKind, Direction, Head, Lane, Plugin, Redact, RedactStep, RedactStream, Request, Role, Span,
};

/// What is in a text, in order, without overlap; offsets are bytes and lie on characters.
#[must_use]
pub fn scan(text: &str) -> Vec<Found> {
    scan_with(text, Leave::default())
}

/// As [`scan`], but some addresses of hosts are left alone.
#[must_use]
pub fn scan_with(text: &str, leave: Leave) -> Vec<Found> {
    scan::whole(text, leave)
}

/// The plugin.
pub struct RedactPii {
    policy: Rc<Policy>,
}

impl Plugin for RedactPii {
    fn configure(config: Config<'_>) -> Result<Self, String> {
        Ok(Self { policy: Rc::new(Policy::parse(config)?) })
    }

    /// A number that every detector agrees on is found, and its neighbour with a wrong check digit is not.
    fn self_test(&self) -> Result<(), String> {
        let found = scan("4111 1111 1111 1111, not 4111 1111 1111 1112");
        match found.as_slice() {
            [Found { class: Class::Card, start: 0, end: 19, .. }] => Ok(()),
            _ => Err("the scan does not tell a card number from a number".into()),
        }
    }
}

impl Redact for RedactPii {
    type Stream = Lanes;

    fn redact(&self, direction: Direction, content: &dyn Request) -> Result<Vec<Span>, u16> {
        content::spans(&self.policy, direction, content).map_err(|unread| unread as u16)
    }

    fn stream(&self, direction: Direction) -> Lanes {
        Lanes { policy: self.policy.clone(), tenant: "".into(), direction, lanes: Vec::new() }
    }

    fn stream_for(&self, direction: Direction, head: &Head) -> Lanes {
        Lanes { tenant: head.tenant.as_str().into(), ..self.stream(direction) }
    }
}

/// One streamed reply.
pub struct Lanes {
    policy: Rc<Policy>,
    tenant: Rc<str>,
    direction: Direction,
    /// A handful: choices and calls of tools.
    lanes: Vec<(Lane, Reader)>,
}

impl Lanes {
    fn reader(&mut self, lane: Lane) -> &mut Reader {
        let place = match self.lanes.iter().position(|(known, _)| *known == lane) {
            Some(place) => place,
            None => {
                let reader =
                    Reader::new(self.policy.clone(), self.tenant.clone(), self.direction, Role::Assistant);
                let reader = if lane.kind == DeltaKind::ToolArgs { reader.of_arguments() } else { reader };
                self.lanes.push((lane, reader));
                self.lanes.len() - 1
            }
        };
        &mut self.lanes[place].1
    }
}

impl RedactStream for Lanes {
    fn push(&mut self, lane: Lane, text: &str) -> RedactStep {
        let read = self.reader(lane).push(text);
        RedactStep::of(read.spans).hold(text.len() - read.decided)
    }

    fn finish(&mut self, lane: Lane, text: &str) -> Vec<Span> {
        self.reader(lane).finish(text).spans
    }
}

weir_sdk::export!(RedactPii: redact);
