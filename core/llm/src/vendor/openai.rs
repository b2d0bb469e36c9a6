//! Which of OpenAI's models reason, and what they refuse while they do.
//!
//! Sources: OpenAI's deployment checklist and guide to its latest models, and what its API answers to a `temperature`
//! without an effort (UKGovernmentBEIS/inspect_ai#5242; looked up on 2026-11-29).

use crate::neutral::{Body, Effort, Param, Prompt, Reasoning, Target};

/// From which version on, newest first, and whether these models reason unasked.
const GPT: [((u8, u8), bool); 3] = [((5, 5), true), ((5, 1), false), ((5, 0), true)];

/// Variants that reason unasked whatever their version.
const EAGER: [&str; 2] = ["codex", "pro"];

/// How words are chosen and told of, as far as a target takes it.
pub(crate) struct Sampling<'p> {
    pub(crate) temperature: Option<&'p str>,
    pub(crate) top_p: Option<&'p str>,
    pub(crate) logprobs: Option<u64>,
}

impl<'p> Sampling<'p> {
    /// What a prompt asks for; notes what is left out.
    pub(crate) fn of(prompt: &'p Prompt<'_>, target: &Target<'_>, body: &mut Body) -> Self {
        let (temperature, top_p) = (prompt.temperature.as_deref(), prompt.top_p.as_deref());
        let effort = prompt.reasoning.as_ref().and_then(Reasoning::word);
        if target.vendor.name != "openai" || !reasons(target.model, effort) {
            return Self { temperature, top_p, logprobs: prompt.logprobs };
        }
        // 1 is the default of both: leaving it out leaves nothing out.
        let set = |number: Option<&str>| number.is_some_and(|number| number.parse() != Ok(1.0));
        let asked = [
            (Param::Temperature, set(temperature)),
            (Param::TopP, set(top_p)),
            (Param::Logprobs, prompt.logprobs.is_some()),
        ];
        asked.into_iter().filter(|(_, asked)| *asked).for_each(|(param, _)| body.drop_param(param));
        Self { temperature: None, top_p: None, logprobs: None }
    }
}

/// Whether a model reasons that is sent this effort.
fn reasons(name: &str, effort: Option<Effort>) -> bool {
    unasked(name).is_some_and(|unasked| effort.map_or(unasked, |effort| effort != Effort::None))
}

/// Whether a model reasons unasked; `None`: it cannot.
fn unasked(name: &str) -> Option<bool> {
    let name = name.to_ascii_lowercase();
    let words: Vec<&str> = name.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let at = words.iter().position(|word| *word == "gpt" || is_o_series(word))?;
    let (family, rest) = words.get(at..)?.split_first()?;
    if *family != "gpt" {
        return Some(true);
    }
    if rest.contains(&"chat") {
        return None;
    }
    // A date is no version.
    let number = |at: usize| rest.get(at).filter(|word| word.len() <= 2)?.parse::<u8>().ok();
    let version = (number(0)?, number(1).unwrap_or(0));
    let (_, unasked) = GPT.iter().find(|(since, _)| version >= *since)?;
    Some(*unasked || rest.iter().any(|word| EAGER.contains(word)))
}

fn is_o_series(word: &str) -> bool {
    word.strip_prefix('o').is_some_and(|number| number.parse::<u8>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_spelling() {
        for name in
            ["gpt-4o", "gpt-4.1-mini", "gpt-5-chat-latest", "chat-latest", "gpt-audio", "gpt-oss-120b"]
        {
            assert_eq!(unasked(name), None, "{name}");
        }
        for name in ["gpt-5.1", "gpt-5.2-2025-12-11", "gpt-5.4-mini", "ft:gpt-5.1:acme:o3:id"] {
            assert_eq!(unasked(name), Some(false), "{name}");
        }
        for name in [
            "o1",
            "o3-mini-2025-01-31",
            "ft:o4-mini:acme",
            "gpt-5",
            "gpt-5-nano-2025-08-07",
            "gpt-5.2-pro",
            "GPT-5.3-Codex",
            "gpt-5.5",
            "gpt-5.6-luna",
            "gpt-6-astra",
            "gpt-6.1-sol",
            "gpt-10",
        ] {
            assert_eq!(unasked(name), Some(true), "{name}");
        }
    }

    #[test]
    fn an_effort_that_is_sent_counts_before_the_models_own() {
        assert!(reasons("gpt-5.2", Some(Effort::Low)) && !reasons("gpt-5.2", None));
        assert!(reasons("gpt-6-sol", None) && !reasons("gpt-6-sol", Some(Effort::None)));
        assert!(!reasons("gpt-4o", Some(Effort::High)));
    }
}
