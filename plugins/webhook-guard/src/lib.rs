//! A guard of requests and replies that asks a moderation service of the operator.
//!
//! The contract of the service is in [`wire`]. All calls of one hook start together, so that long content takes no longer
//! than short. What could not be checked (no answer, a bad one, too much to send) is refused or let through, as
//! `on_error` says; a tag of the exchange says which.
//!
//! # Layout
//!
//! - `config`: whom to ask, about what, and what to do without an answer.
//! - `pieces`: from content to calls: what is sent, and what is not.
//! - [`wire`]: the contract: what a call says, and what its answer may say.
//! - `ask`: the calls.
//! - `judge`: from answers to a verdict.

mod ask;
mod config;
mod judge;
mod pieces;
pub mod wire;

use config::Settings;
use weir_sdk::{Config, Direction, Guard, GuardResponse, Head, Meta, Plugin, Request, Verdict};

/// The plugin.
pub struct WebhookGuard {
    settings: Settings,
}

impl Plugin for WebhookGuard {
    fn configure(config: Config<'_>) -> Result<Self, String> {
        Ok(Self { settings: config.parse::<Settings>()?.checked()? })
    }
}

impl Guard for WebhookGuard {
    fn guard(&self, request: &dyn Request) -> Verdict {
        self.check(&request.head(), request, Direction::Request)
    }
}

impl GuardResponse for WebhookGuard {
    fn guard_response(&self, head: &Head, _: &Meta, reply: &dyn Request) -> Verdict {
        self.check(head, reply, Direction::Reply)
    }
}

impl WebhookGuard {
    fn check(&self, head: &Head, view: &dyn Request, direction: Direction) -> Verdict {
        if !self.settings.asks_about(direction) {
            return Verdict::pass();
        }
        match ask::ask(head, view, direction, &self.settings) {
            Ok(answers) => judge::judge(answers, direction, &self.settings),
            Err(unchecked) => judge::without_answer(unchecked, direction, &self.settings),
        }
    }
}

#[cfg(test)]
mod tests;

weir_sdk::export!(WebhookGuard: guard, guard_response);
