//! Text as it is meant: escapes of JSON (`\u0040`, `\/`, `\n`), of URLs (`%40`) and of HTML (`&#64;`) resolved, characters
//! of no width left out. Twice over, since JSON in JSON and URLs in JSON are common.

use memchr::memchr3;
use std::borrow::Cow;

/// The longest escape: `&#x000040;`. More hexadecimal digits than that are no escape.
const LONGEST: usize = 10;

/// Decoded text and the way back to the places in what it was decoded from.
pub(crate) struct View<'a> {
    bytes: Cow<'a, [u8]>,
    /// How many bytes of look-behind precede the text.
    behind: usize,
    maps: Vec<Map>,
    /// Length of what was decoded from, without an escape that its end cuts.
    raw_end: usize,
    /// Whether the end cuts an escape.
    cut: bool,
}

impl<'a> View<'a> {
    /// Decodes a text. `behind` is decoded already. An escape that the end of a text that goes on may cut is left out.
    pub(crate) fn new(behind: &[u8], raw: &'a [u8], goes_on: bool) -> Self {
        let mut view =
            Self { bytes: Cow::Borrowed(raw), behind: 0, maps: Vec::new(), raw_end: raw.len(), cut: false };
        // What no layer changes, a second does not change either.
        while view.maps.len() < 2 && view.layer(goes_on) {}
        if !behind.is_empty() {
            view.behind = behind.len();
            view.bytes = Cow::Owned([behind, &view.bytes].concat());
        }
        view
    }

    /// The look-behind and the text.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where the text begins in [`View::bytes`].
    pub(crate) const fn start(&self) -> usize {
        self.behind
    }

    /// Whether the end cuts an escape.
    pub(crate) const fn is_cut(&self) -> bool {
        self.cut
    }

    /// The place in the raw text of a place in [`View::bytes`].
    pub(crate) fn raw(&self, place: usize) -> usize {
        let text = place.saturating_sub(self.behind);
        if place >= self.bytes.len() && !self.cut {
            return self.raw_end;
        }
        self.maps.iter().rev().fold(text, |place, map| map.raw(place))
    }

    /// The place in the raw text of the end of something in [`View::bytes`]: before what is left out after it.
    pub(crate) fn raw_end(&self, place: usize) -> usize {
        self.maps.iter().rev().fold(place.saturating_sub(self.behind), |place, map| map.raw_end(place))
    }

    /// Resolves one layer of escapes; whether there was any.
    fn layer(&mut self, goes_on: bool) -> bool {
        let goes_on = goes_on || self.cut;
        let Some(layer) = decode(&self.bytes, goes_on) else { return false };
        self.cut |= layer.cut;
        self.bytes = Cow::Owned(layer.bytes);
        self.maps.push(layer.map);
        true
    }
}

/// Where stretches that were taken as they are begin, decoded and raw, in order.
#[derive(Debug, Default)]
struct Map {
    stretches: Vec<(usize, usize)>,
}

impl Map {
    fn raw(&self, place: usize) -> usize {
        let after = self.stretches.partition_point(|(decoded, _)| *decoded <= place);
        match after.checked_sub(1).and_then(|last| self.stretches.get(last)) {
            Some((decoded, raw)) => raw + (place - decoded),
            None => place,
        }
    }

    /// As `raw`, of an end.
    fn raw_end(&self, place: usize) -> usize {
        let at = self.stretches.partition_point(|(decoded, _)| *decoded < place);
        let before = at.checked_sub(1).and_then(|last| self.stretches.get(last));
        match (self.stretches.get(at), before) {
            (Some((decoded, raw)), _) if *decoded == place => *raw,
            (_, Some((decoded, raw))) => raw + (place - decoded),
            (_, None) => place,
        }
    }
}

struct Layer {
    bytes: Vec<u8>,
    map: Map,
    cut: bool,
}

/// One layer; nothing if there is nothing to resolve.
fn decode(raw: &[u8], goes_on: bool) -> Option<Layer> {
    let mut layer: Option<Layer> = None;
    let mut taken = 0;
    for at in Triggers::new(raw) {
        if at < taken {
            continue;
        }
        let escape = escape(&raw[at..]);
        if matches!(escape, Escape::None) {
            continue;
        }
        let layer = layer.get_or_insert_with(|| Layer {
            bytes: Vec::with_capacity(raw.len()),
            map: Map::default(),
            cut: false,
        });
        let length = match escape {
            Escape::Open if !goes_on => continue,
            Escape::Open => {
                layer.bytes.extend_from_slice(&raw[taken..at]);
                layer.map.stretches.push((layer.bytes.len(), at));
                layer.cut = true;
                return Some(std::mem::replace(
                    layer,
                    Layer { bytes: Vec::new(), map: Map::default(), cut: true },
                ));
            }
            Escape::Means(c, length) => {
                layer.bytes.extend_from_slice(&raw[taken..at]);
                layer.map.stretches.push((layer.bytes.len(), at));
                layer.bytes.extend_from_slice(c.as_bytes());
                length
            }
            Escape::None => continue,
        };
        taken = at + length;
        layer.map.stretches.push((layer.bytes.len(), taken));
    }
    let mut layer = layer?;
    layer.bytes.extend_from_slice(&raw[taken..]);
    Some(layer)
}

/// What an escape means: no more than four bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Meaning {
    bytes: [u8; 4],
    length: usize,
}

impl Meaning {
    const NOTHING: Self = Self { bytes: [0; 4], length: 0 };

    const fn byte(byte: u8) -> Self {
        Self { bytes: [byte, 0, 0, 0], length: 1 }
    }

    fn code(code: u32) -> Option<Self> {
        let c = char::from_u32(code)?;
        let mut bytes = [0; 4];
        let length = c.encode_utf8(&mut bytes).len();
        Some(if is_widthless(c) { Self::NOTHING } else { Self { bytes, length } })
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

const fn is_widthless(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

enum Escape {
    /// No escape begins here.
    None,
    /// One may, if there were more.
    Open,
    Means(Meaning, usize),
}

/// The escape at the start of a text that begins with a trigger.
fn escape(text: &[u8]) -> Escape {
    match text[0] {
        b'\\' => backslash(text),
        b'%' => percent(text),
        b'&' => entity(text),
        _ => widthless(text),
    }
}

fn backslash(text: &[u8]) -> Escape {
    let simple = |byte| Escape::Means(Meaning::byte(byte), 2);
    match text.get(1) {
        None => Escape::Open,
        Some(b'n') => simple(b'\n'),
        Some(b'r') => simple(b'\r'),
        Some(b't') => simple(b'\t'),
        Some(b'b') => simple(0x08),
        Some(b'f') => simple(0x0C),
        Some(b @ (b'"' | b'\'' | b'\\' | b'/')) => simple(*b),
        Some(b'u') => digits(text, 2, 4).unwrap_or(Escape::None),
        Some(b'x') => digits(text, 2, 2).unwrap_or(Escape::None),
        Some(_) => Escape::None,
    }
}

/// An escape of a fixed count of hexadecimal digits that begin at `from`.
fn digits(text: &[u8], from: usize, count: usize) -> Option<Escape> {
    let mut code = 0;
    for at in from..from + count {
        match text.get(at) {
            None => return Some(Escape::Open),
            Some(byte) => code = code * 16 + char::from(*byte).to_digit(16)?,
        }
    }
    Some(Escape::Means(Meaning::code(code)?, from + count))
}

fn percent(text: &[u8]) -> Escape {
    let mut value = 0;
    for at in 1..3 {
        match text.get(at) {
            None => return Escape::Open,
            Some(byte) => match char::from(*byte).to_digit(16) {
                Some(digit) => value = value * 16 + digit,
                None => return Escape::None,
            },
        }
    }
    u8::try_from(value).map_or(Escape::None, |byte| Escape::Means(Meaning::byte(byte), 3))
}

/// `&#64;` or `&#x40;`.
fn entity(text: &[u8]) -> Escape {
    match text.get(1) {
        None => return Escape::Open,
        Some(b'#') => {}
        Some(_) => return Escape::None,
    }
    let (from, radix) = match text.get(2) {
        None => return Escape::Open,
        Some(b'x' | b'X') => (3, 16),
        Some(_) => (2, 10),
    };
    let mut code: u32 = 0;
    for at in from..LONGEST {
        match text.get(at) {
            None => return Escape::Open,
            Some(b';') if at > from => {
                return Meaning::code(code).map_or(Escape::None, |c| Escape::Means(c, at + 1));
            }
            Some(byte) => match char::from(*byte).to_digit(radix) {
                Some(digit) => code = code * radix + digit,
                None => return Escape::None,
            },
        }
    }
    Escape::None
}

/// A character of no width; the ends of windows do not cut characters.
fn widthless(text: &[u8]) -> Escape {
    let length = if text[0] == 0xC2 { 2 } else { 3 };
    let c = text
        .get(..length)
        .and_then(|bytes| std::str::from_utf8(bytes).ok())
        .and_then(|text| text.chars().next());
    match c {
        Some(c) if is_widthless(c) => Escape::Means(Meaning::NOTHING, length),
        _ => Escape::None,
    }
}

/// Places where an escape may begin, in order; both searches run ahead by themselves.
struct Triggers<'a> {
    text: &'a [u8],
    ascii: Option<usize>,
    wide: Option<usize>,
}

impl<'a> Triggers<'a> {
    fn new(text: &'a [u8]) -> Self {
        Self { text, ascii: memchr3(b'\\', b'%', b'&', text), wide: wide(text, 0) }
    }
}

impl Iterator for Triggers<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        match (self.ascii, self.wide) {
            (Some(ascii), wide_at) if wide_at.is_none_or(|wide| ascii < wide) => {
                let from = ascii + 1;
                self.ascii = memchr3(b'\\', b'%', b'&', &self.text[from..]).map(|at| from + at);
                Some(ascii)
            }
            (_, Some(at)) => {
                self.wide = wide(self.text, at + 1);
                Some(at)
            }
            _ => None,
        }
    }
}

/// The next byte with which a character of no width may begin.
fn wide(text: &[u8], from: usize) -> Option<usize> {
    let rest = text.get(from..)?;
    memchr3(0xC2, 0xE2, 0xEF, rest).map(|at| from + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(raw: &str) -> String {
        String::from_utf8_lossy(View::new(b"", raw.as_bytes(), false).bytes()).into_owned()
    }

    #[test]
    fn escapes_are_resolved_twice() {
        let cases = [
            (r"ada\u0040example.org", "ada@example.org"),
            (r"ada\\u0040example.org", "ada@example.org"),
            ("ada%40example.org", "ada@example.org"),
            ("ada%2540example.org", "ada@example.org"),
            ("ada&#64;x &#x40;y", "ada@x @y"),
            (r"line\nada\/bob", "line\nada/bob"),
            ("a\u{200b}d\u{ad}a\u{feff}", "ada"),
            (r"C:\dir \q %zz &amp; 100%", r"C:\dir \q %zz &amp; 100%"),
        ];
        for (raw, meant) in cases {
            assert_eq!(decoded(raw), meant, "{raw}");
        }
    }

    #[test]
    fn places_lead_back() {
        let raw = r"to \u0061da%40x.org, ok";
        let view = View::new(b"before ", raw.as_bytes(), false);
        let text = std::str::from_utf8(view.bytes()).expect("ASCII");
        let start = text.find("ada").expect("there");
        let end = text.find(',').expect("there");
        assert_eq!(&raw[view.raw(start)..view.raw(end)], r"\u0061da%40x.org");
        assert_eq!(view.raw(text.len()), raw.len());
        let hidden = View::new(b"", "ab\u{200b}c\u{200b}".as_bytes(), false);
        let places: Vec<_> = (0..=3).map(|place| (hidden.raw(place), hidden.raw_end(place))).collect();
        assert_eq!(places, [(0, 0), (1, 1), (5, 2), (9, 6)]);
    }

    #[test]
    fn an_escape_that_the_end_cuts_is_left_out() {
        for (raw, end) in [(r"a\", 1), (r"a\u00", 1), ("ab%4", 2), ("a&#6", 1), (r"a\\u00", 1), ("a%254", 1)]
        {
            let view = View::new(b"", raw.as_bytes(), true);
            assert!(view.is_cut(), "{raw}");
            assert_eq!(view.raw(view.bytes().len()), end, "{raw}");
        }
        assert!(!View::new(b"", br"a\", false).is_cut());
    }
}
