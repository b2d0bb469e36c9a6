//! How a token is written, and how it is found again: models change case, escape for Markdown or JSON, encode for a URL,
//! and lose brackets.

use super::{Entry, MAX_CLASS_BYTES, VaultError};
use std::sync::Arc;

/// Characters of a nonce: no two of them look alike (Crockford's base 32).
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Thirty bits.
const NONCE: usize = 6;
/// Most backslashes that escapes put before a character.
const BACKSLASHES: usize = 8;

/// Tells the tokens of one exchange from all others.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Nonce([u8; NONCE]);

impl Nonce {
    /// That of golden cases.
    pub(super) const CASES: Self = Self(*b"case00");

    pub(super) fn random() -> Result<Self, VaultError> {
        let mut bytes = [0; NONCE];
        getrandom::fill(&mut bytes).map_err(|_| VaultError::Random)?;
        Ok(Self(bytes.map(|byte| ALPHABET[usize::from(byte % 32)])))
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// The class as it stands in a token; `None`: it cannot stand there.
pub(super) fn label(class: &str) -> Option<Box<str>> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let fits = (1..=MAX_CLASS_BYTES).contains(&class.len()) && class.chars().all(plain);
    let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    fits.then(|| class.chars().map(upper).collect::<String>().into())
}

/// The token of the entry at an index.
pub(super) fn written(label: &str, at: usize, nonce: Nonce) -> String {
    format!("[{label}-{}-{}]", at + 1, nonce.as_str())
}

/// All tokens of an exchange, ready to be found.
pub(super) struct Book {
    nonce: Nonce,
    pub(super) entries: Vec<Arc<Entry>>,
    /// The different labels.
    labels: Vec<Box<str>>,
    /// Whether some text stood as a number in JSON.
    pub(super) numbers: bool,
    /// Bytes that a token may begin with.
    begins: [bool; 256],
}

impl Book {
    pub(super) fn new(nonce: Nonce, entries: Vec<Arc<Entry>>) -> Self {
        let mut labels: Vec<Box<str>> = entries.iter().map(|entry| entry.label.clone()).collect();
        labels.sort_unstable();
        labels.dedup();
        let numbers = entries.iter().any(|entry| entry.number);
        let mut begins = [false; 256];
        let first = labels.iter().filter_map(|label| label.bytes().next());
        for byte in first.chain(*b"[\\%") {
            begins[usize::from(byte.to_ascii_lowercase())] = true;
            begins[usize::from(byte)] = true;
        }
        Self { nonce, entries, labels, numbers, begins }
    }

    /// Whether a token may begin with this byte.
    pub(super) const fn begins(&self, byte: u8) -> bool {
        self.begins[byte as usize]
    }

    /// Whether there may be tokens in these bytes at all.
    pub(super) fn may_stand_in(&self, bytes: &[u8]) -> bool {
        bytes.windows(NONCE).any(|window| window.eq_ignore_ascii_case(&self.nonce.0))
    }
}

/// What a text begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// A token of so many bytes, for the entry at this index.
    Token { bytes: usize, entry: usize, encoded: bool },
    /// What may become a token when more has come.
    More,
    /// No token.
    No,
}

/// How a bracket was written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bracket {
    /// With so many backslashes before it.
    Plain(usize),
    /// As `\u005b`.
    Code,
    /// As `%5B`.
    Percent,
}

impl Bracket {
    /// Whether the two are a pair: what was escaped before is escaped after.
    const fn closes(self, open: Self) -> bool {
        match (open, self) {
            (Self::Plain(a), Self::Plain(b)) => a == b,
            (Self::Percent, Self::Percent) => true,
            (Self::Code, Self::Code | Self::Plain(0)) | (Self::Plain(0), Self::Code) => true,
            _ => false,
        }
    }
}

/// Reads the token that `text` begins with. `bare`: it may stand without brackets, which it may not amid a word. `last`:
/// nothing comes after it.
pub(super) fn read(text: &[u8], book: &Book, (bare, last): (bool, bool)) -> Read {
    let mut reader = Reader { text, at: 0, last };
    match reader.token(book, bare) {
        Ok((entry, encoded)) => Read::Token { bytes: reader.at, entry, encoded },
        Err(Stop::More) => Read::More,
        Err(Stop::No) => Read::No,
    }
}

enum Stop {
    More,
    No,
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    last: bool,
}

impl Reader<'_> {
    fn token(&mut self, book: &Book, bare: bool) -> Result<(usize, bool), Stop> {
        let open = self.bracket(b'[', b'b')?;
        if open.is_none() && !bare {
            return Err(Stop::No);
        }
        let entry = self.core(book)?;
        match open {
            Some(open) => match self.bracket(b']', b'd')? {
                Some(close) if close.closes(open) => Ok((entry, open == Bracket::Percent)),
                _ => Err(Stop::No),
            },
            None => match self.peek() {
                Ok(next) if next.is_ascii_alphanumeric() => Err(Stop::No),
                Err(Stop::More) => Err(Stop::More),
                _ => Ok((entry, false)),
            },
        }
    }

    /// A bracket, if there is one; nothing is read if there is none.
    fn bracket(&mut self, plain: u8, code: u8) -> Result<Option<Bracket>, Stop> {
        let start = self.at;
        // A missing bracket at the end of the text is none.
        let backslashes = match self.backslashes() {
            Ok(backslashes) => backslashes,
            Err(stop) if self.at == start && self.last => return none(stop),
            Err(stop) => return Err(stop),
        };
        let found = match self.peek() {
            Ok(b) if b == plain => {
                self.at += 1;
                Some(Bracket::Plain(backslashes))
            }
            Ok(b'u') if backslashes > 0 && self.words(&[b"u005", &[code]])? => Some(Bracket::Code),
            Ok(b'%') if backslashes == 0 && self.words(&[b"%5", &[code]])? => Some(Bracket::Percent),
            Err(Stop::More) => return Err(Stop::More),
            _ => None,
        };
        if found.is_none() {
            self.at = start;
        }
        Ok(found)
    }

    /// `EMAIL-1-k7q2m4`
    fn core(&mut self, book: &Book) -> Result<usize, Stop> {
        let start = self.at;
        let read = self.label(start);
        let end = self.at;
        if !book.labels.iter().any(|label| label_begins(label, &self.text[start..end])) {
            return Err(Stop::No);
        }
        read?;
        self.dash()?;
        let number = self.number()?;
        self.dash()?;
        for &wanted in &book.nonce.0 {
            self.letter(wanted)?;
        }
        let entry = number.checked_sub(1).ok_or(Stop::No)?;
        let known = book.entries.get(entry).ok_or(Stop::No)?;
        let whole = label_begins(&known.label, &self.text[start..end]);
        if whole && letters(&self.text[start..end]).count() == known.label.len() {
            Ok(entry)
        } else {
            Err(Stop::No)
        }
    }

    /// Letters, digits and underlines, escaped or not, up to the dash before the number.
    fn label(&mut self, start: usize) -> Result<(), Stop> {
        loop {
            match self.peek()? {
                b'_' | b'\\' => {
                    let before = self.at;
                    self.backslashes()?;
                    if self.peek()? != b'_' {
                        self.at = before;
                        break;
                    }
                    self.at += 1;
                }
                b if b.is_ascii_alphanumeric() => self.at += 1,
                _ => break,
            }
            // Each character of it may have been escaped.
            if self.at - start > MAX_CLASS_BYTES * (BACKSLASHES + 1) {
                return Err(Stop::No);
            }
        }
        if self.at > start { Ok(()) } else { Err(Stop::No) }
    }

    /// A dash of any kind, escaped or not.
    fn dash(&mut self) -> Result<(), Stop> {
        let backslashes = self.backslashes()?;
        match self.peek()? {
            b'-' => {
                self.at += 1;
                Ok(())
            }
            b'u' if backslashes > 0 && self.words(&[b"u002d"])? => Ok(()),
            // U+2010 to U+2015, which are E2 80 90 to E2 80 95.
            0xe2 => {
                self.at += 1;
                self.exact(0x80)?;
                let third = self.peek()?;
                self.at += 1;
                if (0x90..=0x95).contains(&third) { Ok(()) } else { Err(Stop::No) }
            }
            _ => Err(Stop::No),
        }
    }

    fn number(&mut self) -> Result<usize, Stop> {
        let (start, mut number) = (self.at, 0_usize);
        while let b @ b'0'..=b'9' = self.peek()? {
            self.at += 1;
            number = number * 10 + usize::from(b - b'0');
            if number == 0 || self.at - start > 9 {
                return Err(Stop::No);
            }
        }
        if self.at > start { Ok(number) } else { Err(Stop::No) }
    }

    fn backslashes(&mut self) -> Result<usize, Stop> {
        let start = self.at;
        while self.peek()? == b'\\' {
            self.at += 1;
            if self.at - start > BACKSLASHES {
                return Err(Stop::No);
            }
        }
        Ok(self.at - start)
    }

    /// Whether these words come next, in any case; reads them then.
    fn words(&mut self, words: &[&[u8]]) -> Result<bool, Stop> {
        let start = self.at;
        for &wanted in words.iter().copied().flatten() {
            if !self.peek()?.eq_ignore_ascii_case(&wanted) {
                self.at = start;
                return Ok(false);
            }
            self.at += 1;
        }
        Ok(true)
    }

    fn letter(&mut self, wanted: u8) -> Result<(), Stop> {
        if !self.peek()?.eq_ignore_ascii_case(&wanted) {
            return Err(Stop::No);
        }
        self.at += 1;
        Ok(())
    }

    fn exact(&mut self, wanted: u8) -> Result<(), Stop> {
        if self.peek()? != wanted {
            return Err(Stop::No);
        }
        self.at += 1;
        Ok(())
    }

    fn peek(&self) -> Result<u8, Stop> {
        let end = if self.last { Stop::No } else { Stop::More };
        self.text.get(self.at).copied().ok_or(end)
    }
}

const fn none(stop: Stop) -> Result<Option<Bracket>, Stop> {
    match stop {
        Stop::No => Ok(None),
        Stop::More => Err(Stop::More),
    }
}

/// Whether a label begins with what was read, which may be escaped.
fn label_begins(label: &str, found: &[u8]) -> bool {
    let mut label = label.bytes();
    letters(found).all(|letter| label.next() == Some(letter))
}

fn letters(found: &[u8]) -> impl Iterator<Item = u8> {
    found.iter().filter(|&&b| b != b'\\').map(u8::to_ascii_uppercase)
}
