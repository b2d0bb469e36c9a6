//! Proofs that a provider wants back unchanged: thinking signatures, redacted thinking, encrypted reasoning, thought
//! signatures of calls. They are opaque and are never invented; a target gets back only its own kind.
//!
//! A caller of another dialect carries them for us in an envelope where its protocol has an opaque field of its own
//! (Anthropic's `signature`, Responses' `encrypted_content`), or at the end of a call's id.

use std::borrow::Cow;

/// Whose proof it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "names of makers")]
pub enum By {
    Anthropic,
    OpenAi,
    Gemini,
}

/// An opaque proof.
#[derive(Clone, PartialEq, Eq)]
pub struct Seal<'a> {
    /// Who made it and alone can read it.
    pub by: By,
    /// The bytes as they came.
    pub data: Cow<'a, str>,
    /// It is the content itself, encrypted (Anthropic's `redacted_thinking`, OpenAI's `encrypted_content`); else it is
    /// the signature of a text that stands beside it.
    pub hidden: bool,
}

/// Begins an envelope. No provider's own proof begins so: theirs are base64 or JSON Web Encryption.
const ENVELOPE: &str = "weir1_";
/// Stands between a call's own id and the envelope of its proof.
const IN_ID: &str = "_weir1_";

impl By {
    const ALL: [(Self, char); 3] = [(Self::Anthropic, 'a'), (Self::OpenAi, 'o'), (Self::Gemini, 'g')];

    fn letter(self) -> char {
        Self::ALL.iter().find(|(by, _)| *by == self).map_or('a', |(_, letter)| *letter)
    }

    fn of(letter: char) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == letter).map(|(by, _)| *by)
    }
}

impl Seal<'_> {
    /// A copy that owns its bytes.
    #[must_use]
    pub fn to_owned_seal(&self) -> Seal<'static> {
        Seal { by: self.by, data: Cow::Owned(self.data.to_string()), hidden: self.hidden }
    }

    /// The proof and the text that it proves, for an opaque field of another dialect. Letters, digits, `-` and `_` only.
    #[must_use]
    pub fn wrap(&self, text: &str) -> String {
        let hidden = if self.hidden { 'h' } else { 's' };
        format!("{ENVELOPE}{}{hidden}{}_{}", self.by.letter(), self.data.len(), encode(&[&self.data, text]))
    }

    /// The inverse of [`Seal::wrap`]; `None` if it is no envelope.
    #[must_use]
    pub fn unwrap(envelope: &str) -> Option<(Seal<'static>, String)> {
        let mut rest = envelope.strip_prefix(ENVELOPE)?.chars();
        let by = By::of(rest.next()?)?;
        let hidden = rest.next()? == 'h';
        let (length, code) = rest.as_str().split_once('_')?;
        let mut data = decode(code)?;
        let length: usize = length.parse().ok()?;
        if !data.is_char_boundary(length) {
            return None;
        }
        let text = data.split_off(length);
        Some((Seal { by, data: data.into(), hidden }, text))
    }

    /// A call's id with its proof at the end, for callers whose protocol has no other place for it.
    #[must_use]
    pub fn into_id(&self, id: &str) -> String {
        format!("{id}{IN_ID}{}{}", self.by.letter(), encode(&[&self.data]))
    }
}

/// Stands between the id of a call and its proof where the proof travels beside the call.
const OF_CALL: char = '\u{1}';

impl Seal<'_> {
    /// A call's proof as one that stands before the call, for callers whose ids must stay short and whose protocol has
    /// an item for proofs.
    #[must_use]
    pub fn before_call(&self, id: &str) -> Seal<'static> {
        Seal { by: self.by, data: format!("{id}{OF_CALL}{}", self.data).into(), hidden: true }
    }

    /// The id and the proof of the call that this one stands before; `None` if it is no such proof.
    #[must_use]
    pub fn of_call(&self) -> Option<(&str, Seal<'static>)> {
        let (id, data) = self.data.split_once(OF_CALL).filter(|_| self.hidden)?;
        Some((id, Seal { by: self.by, data: data.to_owned().into(), hidden: false }))
    }
}

/// A call's own id, and the proof that [`Seal::into_id`] put behind it.
#[must_use]
pub fn split_id(id: &str) -> (&str, Option<Seal<'static>>) {
    let found = id.rsplit_once(IN_ID).and_then(|(own, tail)| {
        let by = By::of(tail.chars().next()?)?;
        Some((own, Seal { by, data: decode(tail.get(1..)?)?.into(), hidden: false }))
    });
    found.map_or((id, None), |(own, seal)| (own, Some(seal)))
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Base64 of the URL-safe alphabet without padding.
fn encode(texts: &[&str]) -> String {
    let bytes: Vec<u8> = texts.iter().flat_map(|text| text.bytes()).collect();
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word =
            group.iter().fold(0u32, |word, &byte| word << 8 | u32::from(byte)) << (8 * (3 - group.len()));
        for place in 0..=group.len() {
            out.push(char::from(ALPHABET[(word >> (18 - 6 * place)) as usize & 63]));
        }
    }
    out
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    for group in text.as_bytes().chunks(4) {
        let mut word = 0u32;
        for &letter in group {
            word = word << 6 | u32::try_from(ALPHABET.iter().position(|&known| known == letter)?).ok()?;
        }
        word <<= 6 * (4 - group.len());
        let all = [(word >> 16) as u8, (word >> 8) as u8, word as u8];
        bytes.extend_from_slice(all.get(..group.len() - 1)?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_envelope_gives_back_every_byte(data in ".{0,40}", text in ".{0,40}", hidden: bool, by in 0..3usize) {
            let seal = Seal { by: By::ALL[by].0, data: data.clone().into(), hidden };
            let envelope = seal.wrap(&text);
            prop_assert!(envelope.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
            let (back, beside) = Seal::unwrap(&envelope).unwrap();
            prop_assert!(back == seal && beside == text);
        }

        #[test]
        fn a_proof_before_a_call_gives_back_id_and_proof(id in "[a-z_0-9]{1,20}", data in "[ -~]{0,40}") {
            let seal = Seal { by: By::Gemini, data: data.into(), hidden: false };
            let (before, _) = Seal::unwrap(&seal.before_call(&id).wrap("")).unwrap();
            prop_assert!(before.of_call() == Some((id.as_str(), seal)));
        }

        #[test]
        fn an_id_gives_back_its_proof(id in "[a-z_0-9]{1,20}", data in ".{0,40}") {
            let seal = Seal { by: By::Gemini, data: data.into(), hidden: false };
            let with = seal.into_id(&id);
            let (own, back) = split_id(&with);
            prop_assert!(own == id && back == Some(seal));
        }
    }

    #[test]
    fn what_is_no_envelope_is_left_alone() {
        assert!(Seal::unwrap("EqQBCkYIBBgC").is_none());
        assert!(Seal::unwrap("weir1_").is_none());
        assert!(Seal::unwrap("weir1_as9_QQ").is_none());
        assert!(split_id("call_1").1.is_none());
    }
}
