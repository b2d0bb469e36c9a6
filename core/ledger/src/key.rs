//! The text of a key: `weir_sk_` + 43 base62 characters (256 random bits) + 6 base62 characters of CRC-32.
//!
//! The checksum lets a secret scanner, and [`crate::Ledger::identify`], tell a mistyped key without looking it up.
//! What is stored is an HMAC-SHA-256 of the 43 characters under the installation's pepper: the table is of no use
//! without the pepper, and 256 random bits need no slow hash.

use std::fmt;

/// What every key begins with.
pub const PREFIX: &str = "weir_sk_";
const SECRET: usize = 43;
const CHECK: usize = 6;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A key that was just made. It has no `Display`, its `Debug` hides it, and it can be read once.
pub struct SecretKey(String);

impl SecretKey {
    /// A fresh key.
    ///
    /// # Errors
    /// If the operating system has no random bytes.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut text = String::with_capacity(PREFIX.len() + SECRET + CHECK);
        text.push_str(PREFIX);
        push_random(&mut text, SECRET)?;
        let check = checksum(text.as_bytes());
        text.extend(check.map(char::from));
        Ok(Self(text))
    }

    /// The text, to be shown to its owner; the value is gone after that.
    #[must_use]
    pub fn expose(self) -> String {
        self.0
    }

    /// The part that is hashed.
    pub(crate) fn secret(&self) -> &[u8] {
        &self.0.as_bytes()[PREFIX.len()..PREFIX.len() + SECRET]
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

/// The secret part of a well-formed key.
pub(crate) fn parse(text: &str) -> Option<&[u8]> {
    let bytes = text.as_bytes();
    if bytes.len() != PREFIX.len() + SECRET + CHECK || !bytes.starts_with(PREFIX.as_bytes()) {
        return None;
    }
    let (body, check) = bytes.split_at(PREFIX.len() + SECRET);
    if !body[PREFIX.len()..].iter().all(u8::is_ascii_alphanumeric) || checksum(body) != check {
        return None;
    }
    Some(&body[PREFIX.len()..])
}

/// A fresh public id such as `key_4f9aQ…`: not a secret, 71 random bits.
pub(crate) fn public_id(prefix: &str) -> Result<String, getrandom::Error> {
    let mut text = String::from(prefix);
    push_random(&mut text, 12)?;
    Ok(text)
}

fn checksum(body: &[u8]) -> [u8; CHECK] {
    let mut rest = crc32fast::hash(body);
    let mut digits = [0; CHECK];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(rest % 62) as usize];
        rest /= 62;
    }
    digits
}

/// Bytes of 248 and above are thrown away, so that each of the 62 characters is equally likely.
fn push_random(text: &mut String, count: usize) -> Result<(), getrandom::Error> {
    let end = text.len() + count;
    while text.len() < end {
        let mut bytes = [0; 64];
        getrandom::fill(&mut bytes)?;
        let fair = bytes.iter().filter(|byte| **byte < 248);
        text.extend(fair.take(end - text.len()).map(|byte| char::from(ALPHABET[usize::from(byte % 62)])));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_parses_and_any_single_changed_character_does_not() {
        let text = SecretKey::generate().unwrap().expose();
        assert_eq!(text.len(), 57);
        assert_eq!(parse(&text).unwrap().len(), SECRET);
        for at in 0..text.len() {
            for other in [b'0', b'z', b'-', b' '] {
                let mut bytes = text.clone().into_bytes();
                if bytes[at] != other {
                    bytes[at] = other;
                    assert!(parse(std::str::from_utf8(&bytes).unwrap()).is_none(), "position {at}");
                }
            }
        }
        assert!(parse(&text[..56]).is_none() && parse(&format!("{text}0")).is_none() && parse("é").is_none());
    }

    #[test]
    fn debug_hides_the_key() {
        let key = SecretKey::generate().unwrap();
        assert_eq!(format!("{key:?}"), "SecretKey(..)");
    }
}
