//! Texts in place of their tokens: in a whole reply, or lane by lane in a stream, whatever the pieces that it comes in.

use super::Vault;
use super::token::{self, Book, Read};
use crate::tracker::Tracker;
use crate::verdict::{DeltaKind, Lane};
use bytes::Bytes;
use std::collections::BTreeMap;
use weir_llm::api::Api;
use weir_llm::reply::Reply;
use weir_llm::request::SegmentKind;

/// Puts the texts of one exchange in place of their tokens.
pub struct Restorer {
    book: Book,
    lanes: BTreeMap<Lane, Passing>,
}

/// One lane on its way.
#[derive(Default)]
struct Passing {
    /// What may be the beginning of a token.
    held: String,
    json: Tracker,
    /// Whether it stands amid a word: no token begins there without its bracket.
    word: bool,
}

impl Restorer {
    /// What restores the tokens that were minted so far; `None`: none were.
    #[must_use]
    pub fn new(vault: &Vault) -> Option<Self> {
        let (nonce, entries) = vault.snapshot()?;
        Some(Self { book: Book::new(nonce, entries), lanes: BTreeMap::new() })
    }

    /// More of a lane; `last`: the lane ends with it. What may leave is given to `out`, in order. Held back is only what
    /// may be the beginning of a token: never more than the longest one.
    pub fn push(&mut self, lane: Lane, text: &str, last: bool, out: &mut dyn FnMut(&str)) {
        let passing = self.lanes.entry(lane).or_default();
        passing.held.push_str(text);
        let left = passing.pass(&self.book, lane.kind == DeltaKind::ToolArgs, last);
        if !left.is_empty() {
            out(&left);
        }
        if last {
            self.lanes.remove(&lane);
        }
    }

    /// A whole text. `arguments`: what a model wrote for a tool.
    #[must_use]
    pub fn text(&self, text: &str, arguments: bool) -> String {
        let mut passing = Passing { held: text.to_owned(), ..Passing::default() };
        passing.pass(&self.book, arguments, true)
    }

    /// A whole reply in the dialect of an API's callers. One without tokens is handed back as it is, and so is one that is
    /// no JSON.
    #[must_use]
    pub fn reply(&self, api: Api, body: &Bytes) -> Bytes {
        if !self.book.may_stand_in(body) {
            return body.clone();
        }
        let Ok(reply) = Reply::parse(api, body.clone()) else { return body.clone() };
        reply.rewritten(&|kind, text| {
            let found = self.book.may_stand_in(text.as_bytes());
            found.then(|| self.text(text, kind == SegmentKind::ToolCall))
        })
    }
}

impl Passing {
    /// What may leave of what is held.
    fn pass(&mut self, book: &Book, arguments: bool, last: bool) -> String {
        let mut left = String::with_capacity(self.held.len());
        let mut at = 0;
        while let Some(c) = self.held[at..].chars().next() {
            let rest = &self.held.as_bytes()[at..];
            match self.number(book, rest, (arguments, last)) {
                Read::Token { bytes, entry, .. } => {
                    left.push_str(&book.entries[entry].text);
                    self.json.pass_token();
                    at += bytes;
                    continue;
                }
                Read::More => break,
                Read::No => {}
            }
            // Amid an escape sequence nothing begins.
            let read = match book.begins(rest[0]) && !self.json.escaping() {
                true => token::read(rest, book, (!self.word, last)),
                false => Read::No,
            };
            match read {
                Read::Token { bytes, entry, encoded } => {
                    left.push_str(&self.written(book, entry, (arguments, encoded)));
                    self.json.pass_token();
                    self.word = false;
                    at += bytes;
                }
                Read::More => break,
                Read::No => {
                    let escaping = self.json.escaping();
                    self.json.feed(c);
                    self.word = c.is_ascii_alphanumeric() && !escaping;
                    left.push(c);
                    at += c.len_utf8();
                }
            }
        }
        self.held.drain(..at);
        left
    }

    /// A string of a tool's arguments that is nothing but the token of a number: the number stood without quotes.
    fn number(&self, book: &Book, rest: &[u8], (arguments, last): (bool, bool)) -> Read {
        if !(arguments && book.numbers && rest[0] == b'"' && self.json.at_value()) {
            return Read::No;
        }
        match token::read(&rest[1..], book, (true, last)) {
            Read::Token { bytes, entry, encoded: false } if book.entries[entry].number => {
                match rest.get(1 + bytes) {
                    Some(b'"') => Read::Token { bytes: bytes + 2, entry, encoded: false },
                    None if !last => Read::More,
                    _ => Read::No,
                }
            }
            Read::More => Read::More,
            _ => Read::No,
        }
    }

    /// An entry's text as its place wants it.
    fn written(&self, book: &Book, entry: usize, (arguments, encoded): (bool, bool)) -> String {
        let entry = &book.entries[entry];
        if encoded {
            return percent(&entry.text);
        }
        self.json.render(&entry.text, (arguments, entry.number))
    }
}

/// A text as a part of a URL.
fn percent(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte))
            }
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests;
