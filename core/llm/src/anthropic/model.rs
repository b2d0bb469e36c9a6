//! What a model's name tells of it.
//!
//! Sources: Anthropic's pages on adaptive thinking, effort, migration to 4.6, 4.7 and 5, and what its API answers to
//! those who did not read them (looked up on 2026-11-24).

/// How a model is told to think.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// It cannot.
    Never,
    /// `thinking: enabled` with `budget_tokens`.
    Budget,
    /// `thinking: adaptive` with `output_config.effort`.
    Adaptive,
}

/// How a model is told not to think.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Off {
    /// `thinking: disabled`
    Said,
    /// By silence: it does not think unless told to, and may refuse `disabled`.
    Silent,
    /// It always thinks.
    Impossible,
}

/// Which of `temperature`, `top_p` and `top_k` a model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sampling {
    /// All.
    Free,
    /// Not `temperature` and `top_p` together.
    One,
    /// None: it refuses whatever is not the default.
    Fixed,
}

/// What is to be known of a model before a request is written for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Traits {
    /// How it is told to think.
    pub(super) mode: Mode,
    /// How it is told not to.
    pub(super) off: Off,
    /// Whether it knows the effort `xhigh`.
    pub(super) xhigh: bool,
    /// How its choice of words is steered.
    pub(super) sampling: Sampling,
    /// Whether the last turn may be the assistant's, which it goes on from.
    pub(super) prefill: bool,
    /// Whether it knows `strict` tools.
    pub(super) strict: bool,
}

const fn traits(mode: Mode, off: Off, sampling: Sampling) -> Traits {
    Traits { mode, off, sampling, xhigh: false, prefill: true, strict: false }
}

/// From which version on, newest first.
const CLAUDE: [((u8, u8), Traits); 7] = [
    (
        (5, 0),
        Traits {
            xhigh: true,
            prefill: false,
            strict: true,
            ..traits(Mode::Adaptive, Off::Said, Sampling::Fixed)
        },
    ),
    (
        (4, 7),
        Traits {
            xhigh: true,
            prefill: false,
            strict: true,
            ..traits(Mode::Adaptive, Off::Silent, Sampling::Fixed)
        },
    ),
    ((4, 6), Traits { prefill: false, strict: true, ..traits(Mode::Adaptive, Off::Said, Sampling::One) }),
    ((4, 5), Traits { strict: true, ..traits(Mode::Budget, Off::Said, Sampling::One) }),
    ((4, 1), traits(Mode::Budget, Off::Said, Sampling::One)),
    ((3, 7), traits(Mode::Budget, Off::Said, Sampling::Free)),
    ((0, 0), traits(Mode::Never, Off::Silent, Sampling::Free)),
];

/// A model of another maker's behind this dialect: the form that all who copied it know.
const FOREIGN: Traits = traits(Mode::Budget, Off::Said, Sampling::Free);

/// Families that cannot be told not to think.
const ALWAYS_THINK: [&str; 2] = ["mythos", "fable"];

/// What is known of a model of this name, as Anthropic, Bedrock or Vertex spell it.
pub(super) fn of(name: &str) -> Traits {
    let name = name.to_ascii_lowercase();
    let mut words = name.split(|c: char| !c.is_ascii_alphanumeric());
    if !words.by_ref().any(|word| word == "claude") {
        return FOREIGN;
    }
    let words: Vec<&str> = words.collect();
    // A name without a number (`claude-mythos-preview`) is one of the newest.
    let version = version(&words).unwrap_or((u8::MAX, 0));
    let row = CLAUDE.iter().find(|(since, _)| version >= *since);
    let known = row.map_or(FOREIGN, |(_, traits)| *traits);
    let always = words.iter().any(|word| ALWAYS_THINK.contains(word));
    if always { Traits { off: Off::Impossible, ..known } } else { known }
}

/// `opus-4-6-v1`, `3-7-sonnet-20250219`, `sonnet-4-20250514`: at most two digits each, a date is no version.
fn version(words: &[&str]) -> Option<(u8, u8)> {
    let number = |word: &&str| (word.len() <= 2).then(|| word.parse::<u8>().ok()).flatten();
    let at = words.iter().position(|word| number(word).is_some())?;
    let major = words.get(at).and_then(number)?;
    Some((major, words.get(at + 1).and_then(number).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_spelling() {
        let want = |name: &str, mode, off, sampling| {
            let found = of(name);
            assert_eq!((found.mode, found.off, found.sampling), (mode, off, sampling), "{name}");
        };
        want("claude-3-haiku-20240307", Mode::Never, Off::Silent, Sampling::Free);
        want("claude-3-7-sonnet-20250219", Mode::Budget, Off::Said, Sampling::Free);
        want("claude-sonnet-4-20250514", Mode::Budget, Off::Said, Sampling::Free);
        want("claude-opus-4@20250514", Mode::Budget, Off::Said, Sampling::Free);
        want("claude-opus-4-1-20250805", Mode::Budget, Off::Said, Sampling::One);
        want("claude-haiku-4-5", Mode::Budget, Off::Said, Sampling::One);
        want("us.anthropic.claude-opus-4-6-v1:0", Mode::Adaptive, Off::Said, Sampling::One);
        want("anthropic/claude-sonnet-4.6", Mode::Adaptive, Off::Said, Sampling::One);
        want("claude-opus-4-8", Mode::Adaptive, Off::Silent, Sampling::Fixed);
        want("claude-sonnet-5", Mode::Adaptive, Off::Said, Sampling::Fixed);
        want("claude-haiku-5-5", Mode::Adaptive, Off::Said, Sampling::Fixed);
        want("claude-fable-5-1", Mode::Adaptive, Off::Impossible, Sampling::Fixed);
        want("claude-mythos-preview", Mode::Adaptive, Off::Impossible, Sampling::Fixed);
        want("deepseek-chat", Mode::Budget, Off::Said, Sampling::Free);
    }
}
