//! How hard to think, within what the model and the rest of the request allow.

use super::model::{Mode, Off, Traits};
use super::turns::{Kind, Talk};
use crate::neutral::{Body, Effort, Param, Prompt, Reasoning, Target};

/// Most tokens to write if neither the caller nor the catalogue says: every model that is still served can.
const UNKNOWN_LIMIT: u64 = 8_192;
/// Most tokens to write if the caller does not say: replies above it should be streamed.
const DEFAULT_LIMIT: u64 = 32_000;
/// Fewest tokens of thinking that Anthropic takes.
const LEAST_BUDGET: u64 = 1_024;
/// Room for the answer where the limit is raised for thinking.
const ROOM: u64 = 4_096;

/// How a request thinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thinking {
    /// As the model does by itself.
    Unsaid,
    /// Not at all.
    Disabled,
    /// As the model sees fit, as hard as this.
    Adaptive {
        /// As hard as this.
        effort: Option<&'static str>,
        /// Whether the caller is to see it.
        shown: bool,
    },
    /// Up to so many tokens.
    Budget(u64),
}

/// How a request thinks, and how much it may write in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    /// `max_tokens`
    pub(super) max_tokens: u64,
    /// `thinking` and `output_config.effort`
    pub(super) thinking: Thinking,
    /// Whether a tool cannot be forced: the model always thinks.
    pub(super) unforce: bool,
}

impl Thinking {
    /// Whether the request turns thinking on.
    pub(super) const fn on(self) -> bool {
        matches!(self, Self::Adaptive { .. } | Self::Budget(_))
    }
}

/// Plans a request. `forced`: whether a tool must be called, which thinking models refuse to be told.
pub(super) fn plan(
    prompt: &Prompt<'_>,
    target: &Target<'_>,
    traits: Traits,
    talk: &Talk<'_>,
    forced: bool,
    body: &mut Body,
) -> Plan {
    let most = most(target);
    let given = prompt.max_output.map(|tokens| tokens.min(most));
    let default = if target.output_limit == 0 { UNKNOWN_LIMIT } else { DEFAULT_LIMIT };
    let max_tokens = given.unwrap_or(default.min(most));
    let plain = |thinking| Plan { max_tokens, thinking, unforce: false };
    let wanted = prompt.reasoning.as_ref();
    match (wanted.is_some_and(Reasoning::on), traits.mode) {
        (false, _) => match (wanted.is_some(), forced, traits.off) {
            (false, false, _) => plain(Thinking::Unsaid),
            (asked, _, Off::Impossible) => {
                if asked {
                    body.drop_param(Param::Reasoning);
                }
                Plan { unforce: forced, ..plain(Thinking::Unsaid) }
            }
            (true, ..) => plain(off(traits)),
            // Unasked, only the newest think by themselves.
            (false, ..) if traits.mode == Mode::Adaptive => plain(off(traits)),
            (false, ..) => plain(Thinking::Unsaid),
        },
        (true, Mode::Never) => {
            body.drop_param(Param::Reasoning);
            plain(Thinking::Unsaid)
        }
        (true, _) if forced && traits.off == Off::Impossible => Plan {
            unforce: true,
            ..plain(wanted.map_or(Thinking::Unsaid, |wanted| adaptive(wanted, traits)))
        },
        (true, _) if forced => {
            body.drop_param(Param::Reasoning);
            plain(off(traits))
        }
        (true, Mode::Adaptive) => plain(wanted.map_or(Thinking::Unsaid, |wanted| adaptive(wanted, traits))),
        (true, Mode::Budget) => {
            let tokens = wanted.map_or(0, tokens);
            let fits =
                if starts_with_thinking(talk) { budget(tokens, given, max_tokens, most) } else { None };
            let Some((budget, max_tokens)) = fits else {
                body.drop_param(Param::Reasoning);
                return plain(Thinking::Unsaid);
            };
            Plan { max_tokens, thinking: Thinking::Budget(budget), unforce: false }
        }
    }
}

/// Most tokens that may be written.
fn most(target: &Target<'_>) -> u64 {
    let limit = if target.output_limit == 0 { u64::MAX } else { target.output_limit };
    target.cap.unwrap_or(u64::MAX).min(limit)
}

const fn off(traits: Traits) -> Thinking {
    match traits.off {
        Off::Said => Thinking::Disabled,
        Off::Silent | Off::Impossible => Thinking::Unsaid,
    }
}

fn adaptive(wanted: &Reasoning<'_>, traits: Traits) -> Thinking {
    let effort = wanted.effort.or_else(|| wanted.budget.map(Effort::of_budget));
    Thinking::Adaptive {
        effort: effort.map(|effort| match effort {
            Effort::None | Effort::Minimal | Effort::Low => "low",
            Effort::Medium => "medium",
            Effort::Xhigh if traits.xhigh => "xhigh",
            Effort::High | Effort::Xhigh => "high",
            Effort::Max => "max",
        }),
        shown: wanted.summary.is_some(),
    }
}

fn tokens(wanted: &Reasoning<'_>) -> u64 {
    // OpenAI's default is `medium`.
    wanted.budget.unwrap_or_else(|| wanted.effort.unwrap_or(Effort::Medium).budget())
}

/// The budget and `max_tokens`. A quarter of what may be written is left for the answer; where the caller sets no limit,
/// there is room for both.
fn budget(tokens: u64, given: Option<u64>, max_tokens: u64, most: u64) -> Option<(u64, u64)> {
    let max_tokens = match given {
        Some(given) => given,
        None => max_tokens.max(tokens.saturating_add(tokens / 3 + ROOM)).min(most),
    };
    let budget = tokens.min(max_tokens - max_tokens / 4).max(LEAST_BUDGET);
    (budget < max_tokens).then_some((budget, max_tokens))
}

/// With a budget, the turn that the model goes on from must begin with its thinking: the last one if it is the
/// assistant's, or the one whose calls the last turn answers.
fn starts_with_thinking(talk: &Talk<'_>) -> bool {
    let mut last = talk.messages.iter().rev();
    let turn = match (last.next(), last.next()) {
        (Some(message), _) if message.assistant => message,
        (Some(message), Some(before))
            if message.blocks.iter().any(|block| matches!(block.kind, Kind::Result(..))) =>
        {
            before
        }
        _ => return true,
    };
    matches!(turn.blocks.first().map(|block| &block.kind), Some(Kind::Thinking(_)))
}
