//! What a reply says of itself that is no content: which model wrote it, and why each answer ended. All of it is copied,
//! none of it is allocated.

use super::reply::{Finish, Reply};
use std::fmt;

/// Longest name of a model that is kept, in bytes.
const NAME: usize = 95;
/// Answers whose ends are kept; those of a request that asks for more are kept so far.
const ANSWERS: usize = 8;

/// Who wrote a reply, and why it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Label {
    /// The model that the provider says it used.
    pub model: ModelName,
    /// Why the answers ended.
    pub ends: Ends,
}

impl Label {
    /// The label of a whole reply.
    #[must_use]
    pub fn of(reply: &Reply) -> Self {
        let mut ends = Ends::default();
        for (at, choice) in reply.choices.iter().enumerate() {
            if let Some(finish) = choice.finish {
                ends.set(at, finish);
            }
        }
        Self { model: ModelName::of(&reply.model), ends }
    }
}

/// A model's name in the words of a provider. What does not look like a name, or is too long for one, is none: it is the
/// provider's to choose, and is shown where no content may be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ModelName {
    length: u8,
    bytes: [u8; NAME],
}

impl ModelName {
    /// A name; the empty one if this cannot be one.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let mut kept = Self::default();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:/@#+".contains(&byte);
        if let (Ok(length), Some(bytes)) = (u8::try_from(name.len()), kept.bytes.get_mut(..name.len()))
            && name.bytes().all(plain)
        {
            bytes.copy_from_slice(name.as_bytes());
            kept.length = length;
        }
        kept
    }

    /// The name; empty if there is none.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.length)).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }
}

impl Default for ModelName {
    fn default() -> Self {
        Self { length: 0, bytes: [0; NAME] }
    }
}

impl fmt::Debug for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// Why the answers of a reply ended, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ends([Option<Finish>; ANSWERS]);

impl Ends {
    /// An answer ended.
    pub fn set(&mut self, answer: usize, finish: Finish) {
        if let Some(end) = self.0.get_mut(answer) {
            *end = Some(finish);
        }
    }

    /// Those that are known.
    pub fn iter(&self) -> impl Iterator<Item = Finish> + use<'_> {
        self.0.iter().copied().flatten()
    }
}

impl FromIterator<Finish> for Ends {
    fn from_iter<T: IntoIterator<Item = Finish>>(finishes: T) -> Self {
        let mut ends = Self::default();
        finishes.into_iter().take(ANSWERS).enumerate().for_each(|(at, finish)| ends.set(at, finish));
        ends
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_look_like_names_are_kept() {
        let longest = "m".repeat(NAME);
        for name in
            ["gpt-4o-2024-08-06", "@cf/meta/llama-3.1", "accounts/x/models/y#z", "a:free", longest.as_str()]
        {
            assert_eq!(ModelName::of(name).as_str(), name);
        }
        let long = "m".repeat(NAME + 1);
        let huge = "m".repeat(70_000);
        for none in ["", "jane doe", "a\nb", "\"", "modèle", "{}", &long, &huge] {
            assert!(ModelName::of(none).is_empty(), "{none:?}");
        }
    }

    #[test]
    fn ends_keep_their_order_and_what_is_beyond_them_is_left_out() {
        let mut ends = Ends::default();
        ends.set(1, Finish::Length);
        ends.set(0, Finish::Stop);
        ends.set(ANSWERS, Finish::Filter);
        assert_eq!(ends.iter().collect::<Vec<_>>(), [Finish::Stop, Finish::Length]);
        assert_eq!([Finish::Stop; 99].into_iter().collect::<Ends>().iter().count(), ANSWERS);
    }

    proptest! {
        #[test]
        fn a_name_is_kept_whole_or_not_at_all(name in any::<String>()) {
            let kept = ModelName::of(&name);
            prop_assert!(kept.is_empty() || kept.as_str() == name);
        }
    }
}
