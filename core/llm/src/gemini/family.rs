//! What each generation of models takes. A model's name is all that there is to tell.

use crate::neutral::{Effort, Reasoning};

/// What is known of a model by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Family {
    /// Generation, `(2, 5)`; `(0, 0)` for models that are no Gemini.
    pub(super) generation: (u32, u32),
    /// How its thinking is steered.
    pub(super) thinks: Thinks,
}

/// How a model's thinking is steered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thinks {
    /// It does not think, or takes no word on it.
    No,
    /// With a budget of tokens (2.5).
    Budget {
        /// Fewest tokens that it takes, other than 0.
        least: u64,
        /// Most tokens.
        most: u64,
        /// Whether 0, no thinking at all, is taken.
        off: bool,
    },
    /// With a word (3 and later).
    Level {
        /// The least that it knows.
        least: Effort,
        /// Whether it knows `medium`.
        medium: bool,
    },
}

/// What to say of thinking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    Budget(u64),
    Level(&'static str),
    /// As the model likes.
    Nothing,
}

impl Family {
    /// Reads a model's name.
    pub(super) fn of(model: &str) -> Self {
        let model = model.to_ascii_lowercase();
        let Some((_, rest)) = model.split_once("gemini-") else {
            return Self { generation: (0, 0), thinks: Thinks::No };
        };
        let generation = generation(rest);
        Self { generation, thinks: thinks(generation, rest) }
    }

    /// Whether it is of Gemini 3 or later: signatures of calls are demanded, ids of calls are known, and tools and
    /// a form of the answer go together.
    pub(super) fn is_third(self) -> bool {
        self.generation.0 >= 3
    }

    /// What to say of thinking; `most` is the most tokens that the whole answer may have.
    pub(super) fn said(self, asked: &Reasoning<'_>, most: Option<u64>) -> Said {
        match self.thinks {
            Thinks::No => Said::Nothing,
            Thinks::Budget { least, off, .. } if !asked.on() => Said::Budget(if off { 0 } else { least }),
            Thinks::Budget { least, most: limit, .. } => {
                let tokens = asked.budget.or_else(|| asked.effort.map(Effort::budget));
                // A budget that leaves no room for the answer would end in silence.
                let room = most.map_or(u64::MAX, |most| most.saturating_sub(1));
                tokens.map_or(Said::Nothing, |tokens| Said::Budget(tokens.min(room).clamp(least, limit)))
            }
            Thinks::Level { least, .. } if !asked.on() => Said::Level(least.as_str()),
            Thinks::Level { least, medium } => {
                let effort = asked.effort.or_else(|| asked.budget.map(Effort::of_budget));
                effort.map_or(Said::Nothing, |effort| Said::Level(level(effort.max(least), medium)))
            }
        }
    }
}

const fn level(effort: Effort, medium: bool) -> &'static str {
    match effort {
        Effort::None | Effort::Minimal => "minimal",
        Effort::Low => "low",
        Effort::Medium if medium => "medium",
        Effort::Medium | Effort::High | Effort::Xhigh | Effort::Max => "high",
    }
}

/// `2.5-flash` is `(2, 5)`, `3-pro` is `(3, 0)`. Names without a number (`flash-latest`) stand for the newest.
fn generation(rest: &str) -> (u32, u32) {
    let number = |text: &str| {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        text.get(..digits).and_then(|digits| digits.parse().ok())
    };
    let Some(major) = number(rest) else {
        return if rest.ends_with("latest") { (3, u32::MAX) } else { (1, 0) };
    };
    let minor = rest.split_once('.').filter(|(whole, _)| whole.bytes().all(|b| b.is_ascii_digit()));
    (major, minor.and_then(|(_, minor)| number(minor)).unwrap_or(0))
}

fn thinks(generation: (u32, u32), rest: &str) -> Thinks {
    let is = |word: &str| rest.split(['-', '.']).any(|part| part == word);
    // Models that only speak or draw.
    if generation < (2, 5) || is("tts") || (is("image") && generation < (3, 0)) {
        return Thinks::No;
    }
    if generation >= (3, 0) {
        // From 3.7 on Flash (not Flash-Lite) knows nothing below `low`, as Pro never did.
        let small = is("lite") || (is("flash") && generation < (3, 7));
        let least = if small { Effort::Minimal } else { Effort::Low };
        return Thinks::Level { least, medium: !(is("pro") && generation == (3, 0)) };
    }
    match (is("pro"), is("lite")) {
        (true, _) => Thinks::Budget { least: 128, most: 32_768, off: false },
        (_, true) => Thinks::Budget { least: 512, most: 24_576, off: true },
        _ => Thinks::Budget { least: 1, most: 24_576, off: true },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(model: &str, effort: Effort) -> Said {
        Family::of(model).said(&Reasoning { effort: Some(effort), ..Reasoning::default() }, None)
    }

    #[test]
    fn each_generation_hears_of_thinking_in_its_own_words() {
        for (model, effort, want) in [
            ("gemini-2.5-flash", Effort::None, Said::Budget(0)),
            ("gemini-2.5-pro", Effort::None, Said::Budget(128)),
            ("models/gemini-2.5-flash-lite", Effort::None, Said::Budget(0)),
            ("gemini-2.5-flash", Effort::Max, Said::Budget(24_576)),
            ("gemini-2.5-pro-preview-06-05", Effort::Max, Said::Budget(32_768)),
            ("gemini-2.5-flash", Effort::Low, Said::Budget(1_024)),
            ("gemini-3-flash-preview", Effort::None, Said::Level("minimal")),
            ("gemini-3-pro-preview", Effort::None, Said::Level("low")),
            ("gemini-3-pro-preview", Effort::Medium, Said::Level("high")),
            ("gemini-3.1-pro-preview", Effort::Medium, Said::Level("medium")),
            ("gemini-3.5-flash", Effort::Minimal, Said::Level("minimal")),
            ("gemini-3.8-flash", Effort::Minimal, Said::Level("low")),
            ("gemini-flash-latest", Effort::None, Said::Level("low")),
            ("gemini-3.5-flash-lite", Effort::Xhigh, Said::Level("high")),
            ("gemini-2.0-flash", Effort::High, Said::Nothing),
            ("gemini-2.5-flash-image", Effort::High, Said::Nothing),
            ("gemma-3-27b-it", Effort::High, Said::Nothing),
        ] {
            assert_eq!(said(model, effort), want, "{model} {effort:?}");
        }
    }

    #[test]
    fn budgets_and_words_become_each_other_and_leave_room() {
        let budget = |tokens| Reasoning { budget: Some(tokens), ..Reasoning::default() };
        assert_eq!(Family::of("gemini-3-flash").said(&budget(20_000), None), Said::Level("high"));
        assert_eq!(Family::of("gemini-2.5-flash").said(&budget(20_000), Some(4_000)), Said::Budget(3_999));
        assert_eq!(Family::of("gemini-2.5-flash").said(&Reasoning::default(), None), Said::Nothing);
    }
}
