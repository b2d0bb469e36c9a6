//! The candidates of one call and their live facts, read at most once.

use std::sync::{Arc, OnceLock};
use weir_llm::price::Rate;
use weir_llm::usage::Class;
use weir_policy::{Candidates, Head, Live, Target};

/// How much output is assumed when the caller sets no limit, and at most when it sets a large one: prices are compared
/// for a likely reply, not for the longest.
const USUAL_OUTPUT: u32 = 256;
const LONG_OUTPUT: u32 = 2048;

/// Shared by every handle of one call. Targets are addressed by their position among the candidates.
pub(super) struct Facts {
    candidates: Arc<Candidates>,
    live: OnceLock<Vec<Live>>,
    up: OnceLock<Vec<bool>>,
    input_tokens: u32,
    output_tokens: u32,
}

impl Facts {
    pub(super) fn new(candidates: &Arc<Candidates>, head: &Head) -> Self {
        Self {
            candidates: candidates.clone(),
            live: OnceLock::new(),
            up: OnceLock::new(),
            input_tokens: head.est_input_tokens,
            output_tokens: head.max_output_tokens.map_or(USUAL_OUTPUT, |most| most.min(LONG_OUTPUT)),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.candidates.allowed.len()
    }

    /// The index into the target table, by which plans name a target.
    pub(super) fn index(&self, position: u16) -> u16 {
        self.candidates.allowed.get(usize::from(position)).copied().unwrap_or(u16::MAX)
    }

    pub(super) fn target(&self, position: u16) -> Option<&Target> {
        self.candidates.table.get(usize::from(self.index(position)))
    }

    /// One reading for the whole call, so that an order does not change while it is made.
    pub(super) fn live(&self, position: u16) -> Live {
        let live = self.live.get_or_init(|| self.candidates.all_live());
        live.get(usize::from(position)).copied().unwrap_or_default()
    }

    /// Whether a target is up. Read by itself where nobody has asked for more, and then once, too.
    pub(super) fn is_up(&self, position: u16) -> bool {
        let read = || match self.live.get() {
            Some(live) => live.iter().map(Live::is_up).collect(),
            None => self.candidates.all_up(),
        };
        self.up.get_or_init(read).get(usize::from(position)).copied().unwrap_or_default()
    }

    /// Pico-dollars per token of a class; `None` if the price is not known.
    pub(super) fn rate(&self, position: u16, class: Class) -> Option<u64> {
        rate(&self.target(position)?.rates, class)
    }

    /// What a likely reply costs there, in pico-dollars; `None` if a price is not known.
    pub(super) fn cost(&self, position: u16) -> Option<u128> {
        let rates = &self.target(position)?.rates;
        let of = |class: Class, tokens: u32| Some(u128::from(rate(rates, class)?) * u128::from(tokens));
        Some(of(Class::Input, self.input_tokens)? + of(Class::Output, self.output_tokens)?)
    }
}

fn rate(rates: &[Rate], class: Class) -> Option<u64> {
    rates.iter().find(|rate| rate.class == class).map(|rate| rate.pico_per_unit)
}
