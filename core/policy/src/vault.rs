//! Reversible redaction: what a policy wants hidden gets a token here, the model sees the token, and the caller gets the
//! text back. One vault an exchange, in memory only, gone with it.
//!
//! A token reads `[EMAIL-1-k7q2m4]`: a class, a running number, and a nonce of the exchange. Who does not know the nonce
//! can make up no token: neither a caller who wants another text put in its place nor a document that a model reads.
//!
//! # Layout
//!
//! - this file: minting.
//! - `token`: how a token is written, and found again in what a model made of it.
//! - `restore`: texts in place of their tokens, whole and streamed.

mod restore;
mod token;

pub use restore::Restorer;

use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use token::Nonce;
use zeroize::Zeroizing;

/// Most tokens of an exchange.
pub const MAX_TOKENS: usize = 16_384;
/// Most bytes of all texts of an exchange together.
pub const MAX_BYTES: usize = 8 << 20;
/// Longest class; it stands in the token.
pub const MAX_CLASS_BYTES: usize = 32;

/// The hidden texts of one exchange. It can be neither printed nor serialised, and is wiped when the exchange is over.
///
/// ```
/// let vault = weir_policy::vault::Vault::default();
/// assert!(vault.is_empty());
/// ```
///
/// ```compile_fail
/// println!("{:?}", weir_policy::vault::Vault::default());
/// ```
#[derive(Default)]
pub struct Vault {
    tokens: OnceLock<Mutex<Tokens>>,
    fixed: Option<Nonce>,
}

/// What was minted.
pub(crate) struct Tokens {
    nonce: Nonce,
    entries: Vec<Arc<Entry>>,
    /// By class and text, hashed: a text is kept once.
    known: HashMap<[u8; 32], usize>,
    bytes: usize,
}

/// One hidden text.
pub(crate) struct Entry {
    label: Box<str>,
    text: Zeroizing<Box<str>>,
    /// Whether it always was a number of a JSON text, without quotes.
    number: bool,
}

/// Why nothing was hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The class cannot stand in a token.
    #[error("the class of a vault token is not 1 to {MAX_CLASS_BYTES} of A-Z a-z 0-9 - _ .")]
    Class,
    /// The exchange has too many tokens, or too much text behind them.
    #[error("one exchange hides no more than {MAX_TOKENS} texts and {MAX_BYTES} bytes")]
    Full,
    /// The system has no random numbers.
    #[error("the system has no random numbers for a nonce")]
    Random,
}

impl Vault {
    /// An empty vault whose tokens are the same in every run: for tests of policies. The nonce is `case00`.
    #[must_use]
    pub fn for_cases() -> Self {
        Self { tokens: OnceLock::new(), fixed: Some(Nonce::CASES) }
    }

    /// Whether nothing was hidden so far: then there is nothing to restore, and nothing is looked at.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tokens.get().is_none()
    }

    /// The token that stands for a text: the same for the same text and class. `number`: the text stands in JSON as a
    /// number.
    ///
    /// # Errors
    /// [`VaultError`]; nothing is minted then, and what was to be hidden must not go on.
    pub fn mint(&self, class: &str, text: &str, number: bool) -> Result<String, VaultError> {
        let label = token::label(class).ok_or(VaultError::Class)?;
        let mut tokens = self.open()?.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.mint(label, text, number)
    }

    fn open(&self) -> Result<&Mutex<Tokens>, VaultError> {
        if let Some(tokens) = self.tokens.get() {
            return Ok(tokens);
        }
        let nonce = self.fixed.map_or_else(Nonce::random, Ok)?;
        Ok(self.tokens.get_or_init(|| Mutex::new(Tokens::new(nonce))))
    }

    /// What is needed to restore a reply; `None`: nothing was hidden.
    fn snapshot(&self) -> Option<(Nonce, Vec<Arc<Entry>>)> {
        let tokens = self.tokens.get()?.lock().unwrap_or_else(PoisonError::into_inner);
        Some((tokens.nonce, tokens.entries.clone()))
    }
}

impl Tokens {
    fn new(nonce: Nonce) -> Self {
        Self { nonce, entries: Vec::new(), known: HashMap::new(), bytes: 0 }
    }

    fn mint(&mut self, label: Box<str>, text: &str, number: bool) -> Result<String, VaultError> {
        let key =
            Sha256::new_with_prefix(label.as_bytes()).chain_update([0]).chain_update(text).finalize().into();
        if let Some(&at) = self.known.get(&key) {
            if self.entries[at].number && !number {
                let text = Zeroizing::clone(&self.entries[at].text);
                self.entries[at] = Arc::new(Entry { label, text, number });
            }
            return Ok(token::written(&self.entries[at].label, at, self.nonce));
        }
        if self.entries.len() >= MAX_TOKENS || self.bytes + text.len() > MAX_BYTES {
            return Err(VaultError::Full);
        }
        let at = self.entries.len();
        let token = token::written(&label, at, self.nonce);
        self.entries.push(Arc::new(Entry { label, text: Zeroizing::new(text.into()), number }));
        self.known.insert(key, at);
        self.bytes += text.len();
        Ok(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_has_the_same_token_and_another_exchange_another() {
        let (one, two) = (Vault::default(), Vault::default());
        assert!(one.is_empty());
        let token = one.mint("email", "a@b.c", false).unwrap();
        assert!(token.starts_with("[EMAIL-1-") && token.len() == "[EMAIL-1-k7q2m4]".len(), "{token}");
        assert_eq!(one.mint("email", "a@b.c", false).unwrap(), token);
        assert!(one.mint("email", "d@e.f", false).unwrap().starts_with("[EMAIL-2-"));
        assert!(one.mint("user.name", "a@b.c", false).unwrap().starts_with("[USER_NAME-3-"));
        assert_ne!(two.mint("email", "a@b.c", false).unwrap(), token);
        for class in ["", "a b", "é", "x".repeat(33).as_str()] {
            assert_eq!(one.mint(class, "x", false), Err(VaultError::Class), "{class:?}");
        }
    }

    #[test]
    fn a_vault_is_bounded_in_texts_and_in_bytes() {
        let many = Vault::default();
        for n in 0..MAX_TOKENS {
            many.mint("n", &n.to_string(), false).unwrap();
        }
        assert_eq!(many.mint("n", "one more", false), Err(VaultError::Full));
        assert!(many.mint("n", "7", false).is_ok(), "what is known needs no room");
        let large = Vault::default();
        assert!(large.mint("n", &"x".repeat(MAX_BYTES), false).is_ok());
        assert_eq!(large.mint("n", "y", false), Err(VaultError::Full));
    }
}
