//! Follows a text character by character and knows, as long as it is JSON, where in it one stands: inside of a string (and
//! inside of JSON that stands in that string), at a value, elsewhere. It never fails: a text that is no JSON is plain.

/// Deepest nesting of objects and arrays that is followed.
const DEPTH: usize = 128;
/// How many times JSON inside of a JSON string is followed.
pub(crate) const LEVELS: usize = 3;
/// Between the parts of JSON.
const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];
/// What begins a block of JSON amid prose, at the beginning of a line.
const FENCE: &[u8] = b"```json";

/// The place after the characters that it was fed.
#[derive(Clone, Default)]
pub(crate) struct Tracker {
    at: At,
    /// What is open; true: an object.
    open: Vec<bool>,
    /// Follows the decoded text of the string that is open, if that looks like JSON.
    inner: Option<Box<Tracker>>,
    level: usize,
    /// Strings so far: tells one from the next.
    strings: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum At {
    #[default]
    Start,
    /// A key, or the end of an object that has none.
    FirstKey,
    Key,
    Colon,
    Value,
    /// A value, or the end of an array that has none.
    FirstValue,
    /// A comma or an end.
    Next,
    Number(Digits),
    /// What is left of `true`, `false` or `null`.
    Literal(&'static str),
    Text {
        key: bool,
        empty: bool,
    },
    Escape {
        key: bool,
    },
    Code {
        key: bool,
        digits: u8,
        code: u32,
    },
    /// A whole value has come.
    Done,
    /// It is none; how much of a fence the line is so far, if it is one.
    Plain {
        fence: Option<u8>,
    },
}

/// How much of a number has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Digits {
    Minus,
    Zero,
    Whole,
    Dot,
    Fraction,
    Exponent,
    Sign,
    Power,
}

impl Digits {
    const fn first(c: char) -> Option<Self> {
        match c {
            '-' => Some(Self::Minus),
            '0' => Some(Self::Zero),
            '1'..='9' => Some(Self::Whole),
            _ => None,
        }
    }

    /// With one more character; `None`: it does not go on with it.
    const fn then(self, c: char) -> Option<Self> {
        match (self, c) {
            (Self::Minus, '0') => Some(Self::Zero),
            (Self::Minus | Self::Whole, '0'..='9') => Some(Self::Whole),
            (Self::Zero | Self::Whole, '.') => Some(Self::Dot),
            (Self::Dot | Self::Fraction, '0'..='9') => Some(Self::Fraction),
            (Self::Zero | Self::Whole | Self::Fraction, 'e' | 'E') => Some(Self::Exponent),
            (Self::Exponent, '+' | '-') => Some(Self::Sign),
            (Self::Exponent | Self::Sign | Self::Power, '0'..='9') => Some(Self::Power),
            _ => None,
        }
    }

    /// Whether a number may end here.
    const fn is_whole(self) -> bool {
        matches!(self, Self::Zero | Self::Whole | Self::Fraction | Self::Power)
    }
}

impl Tracker {
    /// Whether what came can still become JSON, or is.
    pub(crate) const fn is_json(&self) -> bool {
        !matches!(self.at, At::Plain { .. } | At::Start)
    }

    /// Whether no JSON has begun, and none will.
    pub(crate) const fn is_plain(&self) -> bool {
        matches!(self.at, At::Plain { .. })
    }

    /// Whether it stands where another one does: what can follow is the same.
    pub(crate) fn is_where(&self, other: &Self) -> bool {
        let same = match (self.at, other.at) {
            (At::Text { key, .. }, At::Text { key: theirs, .. }) => key == theirs,
            (one, two) => one == two,
        };
        same && self.open == other.open
    }

    /// Whether a value may begin here. Not at the very beginning.
    pub(crate) const fn at_value(&self) -> bool {
        matches!(self.at, At::Value | At::FirstValue)
    }

    /// Whether it is inside of a number or a literal, or at its end; of the innermost level.
    pub(crate) fn in_scalar(&self) -> bool {
        matches!(self.innermost().at, At::Number(_) | At::Literal(_))
    }

    /// Whether a value may begin here, of the innermost level.
    pub(crate) fn innermost_at_value(&self) -> bool {
        self.innermost().at_value()
    }

    /// Whether it is amid an escape sequence of some level.
    pub(crate) fn escaping(&self) -> bool {
        matches!(self.at, At::Escape { .. } | At::Code { .. })
            || self.inner.as_ref().is_some_and(|inner| inner.escaping())
    }

    /// Which string it is inside of, by level; 0 ends the list.
    pub(crate) fn strings(&self) -> [u32; LEVELS + 1] {
        let mut list = [0; LEVELS + 1];
        let mut tracker = Some(self);
        for entry in &mut list {
            let Some(now) = tracker.filter(|now| now.in_string()) else { break };
            *entry = now.strings;
            tracker = now.inner.as_deref();
        }
        list
    }

    /// Follows a text.
    pub(crate) fn follow(&mut self, text: &str) {
        text.chars().for_each(|c| self.feed(c));
    }

    /// Follows a character.
    pub(crate) fn feed(&mut self, c: char) {
        self.at = match self.at {
            At::Text { key, empty } => self.text(key, empty, c),
            At::Escape { key } => self.escape(key, c),
            At::Code { key, digits, code } => self.code(key, (digits, code), c),
            At::Plain { fence } => fenced(fence, c),
            At::Number(digits) => self.number(digits, c),
            At::Literal(rest) if rest.starts_with(c) => At::Literal(&rest[1..]),
            At::Literal("") => self.after(c),
            at if SPACE.contains(&c) && !matches!(at, At::Literal(_)) => at,
            at => self.between(at, c),
        };
    }

    /// A token stands here in place of what would be a value or a part of a string.
    pub(crate) fn pass_token(&mut self) {
        match self.at {
            At::Value | At::FirstValue => self.at = At::Next,
            At::Text { key, empty } => {
                if empty {
                    self.at = At::Text { key, empty: false };
                }
                if let Some(inner) = &mut self.inner {
                    inner.pass_token();
                }
            }
            _ => self.at = At::Plain { fence: None },
        }
    }

    /// How a text is written here: escaped as often as the place is inside of strings; quoted where a value is due and
    /// `loose` says that there it stands for a value, `number`: without quotes.
    pub(crate) fn render(&self, text: &str, (loose, number): (bool, bool)) -> String {
        match self.at {
            At::Text { .. } | At::Escape { .. } | At::Code { .. } => {
                let inner = self.inner.as_ref().map(|inner| inner.render(text, (loose, number)));
                escaped(inner.as_deref().unwrap_or(text))
            }
            At::Value | At::FirstValue if loose && number => text.to_owned(),
            At::Value | At::FirstValue if loose => format!("\"{}\"", escaped(text)),
            _ => text.to_owned(),
        }
    }

    const fn in_string(&self) -> bool {
        matches!(self.at, At::Text { .. } | At::Escape { .. } | At::Code { .. })
    }

    fn innermost(&self) -> &Self {
        match &self.inner {
            Some(inner) if self.in_string() => inner.innermost(),
            _ => self,
        }
    }

    /// Between values.
    fn between(&mut self, at: At, c: char) -> At {
        match (at, c) {
            (At::Start | At::Done | At::Value | At::FirstValue, '{' | '[') => self.opened(c == '{'),
            (At::Start | At::Done, _) => fenced(Some(0), c),
            (At::Value | At::FirstValue, '"') => self.quoted(false),
            (At::Value | At::FirstValue, 't') => At::Literal("rue"),
            (At::Value | At::FirstValue, 'f') => At::Literal("alse"),
            (At::Value | At::FirstValue, 'n') => At::Literal("ull"),
            (At::FirstKey | At::Key, '"') => self.quoted(true),
            (At::Colon, ':') => At::Value,
            (At::Next, ',') => match self.open.last() {
                Some(true) => At::Key,
                _ => At::Value,
            },
            (At::Next | At::FirstKey, '}') if self.open.last() == Some(&true) => self.closed(),
            (At::Next | At::FirstValue, ']') if self.open.last() == Some(&false) => self.closed(),
            (At::Value | At::FirstValue, c) => Digits::first(c).map_or(At::Plain { fence: None }, At::Number),
            _ => At::Plain { fence: (c == '\n').then_some(0) },
        }
    }

    fn number(&mut self, digits: Digits, c: char) -> At {
        match digits.then(c) {
            Some(digits) => At::Number(digits),
            None if digits.is_whole() => self.after(c),
            None => At::Plain { fence: None },
        }
    }

    /// After a number or a literal.
    fn after(&mut self, c: char) -> At {
        if SPACE.contains(&c) { At::Next } else { self.between(At::Next, c) }
    }

    fn opened(&mut self, object: bool) -> At {
        if self.open.len() >= DEPTH {
            return At::Plain { fence: None };
        }
        self.open.push(object);
        if object { At::FirstKey } else { At::FirstValue }
    }

    fn closed(&mut self) -> At {
        self.open.pop();
        if self.open.is_empty() { At::Done } else { At::Next }
    }

    const fn quoted(&mut self, key: bool) -> At {
        self.strings += 1;
        At::Text { key, empty: true }
    }

    fn text(&mut self, key: bool, empty: bool, c: char) -> At {
        match c {
            '"' => {
                self.inner = None;
                if key { At::Colon } else { At::Next }
            }
            '\\' => At::Escape { key },
            c if c < ' ' => At::Plain { fence: (c == '\n').then_some(0) },
            c => {
                if empty && matches!(c, '{' | '[') && self.level < LEVELS {
                    self.inner = Some(Box::new(Self { level: self.level + 1, ..Self::default() }));
                }
                self.decoded(c);
                At::Text { key, empty: false }
            }
        }
    }

    fn escape(&mut self, key: bool, c: char) -> At {
        let decoded = match c {
            'u' => return At::Code { key, digits: 0, code: 0 },
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{c}',
            '"' | '\\' | '/' => c,
            _ => return At::Plain { fence: None },
        };
        self.decoded(decoded);
        At::Text { key, empty: false }
    }

    fn code(&mut self, key: bool, (digits, code): (u8, u32), c: char) -> At {
        let Some(digit) = c.to_digit(16) else { return At::Plain { fence: None } };
        let code = code << 4 | digit;
        if digits < 3 {
            return At::Code { key, digits: digits + 1, code };
        }
        self.decoded(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
        At::Text { key, empty: false }
    }

    fn decoded(&mut self, c: char) {
        if let Some(inner) = &mut self.inner {
            inner.feed(c);
        }
    }
}

/// Whether a number or literal goes on with it.
pub(crate) const fn scalar(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')
}

/// A text as it stands in a JSON string, without the quotes.
pub(crate) fn escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// The text that stands in JSON strings of so many levels; `None`: it does not stand in one.
pub(crate) fn unescaped(text: &str, levels: usize) -> Option<String> {
    (0..levels).try_fold(text.to_owned(), |text, _| serde_json::from_str(&format!("\"{text}\"")).ok())
}

/// Looks for a line that says that JSON follows.
fn fenced(fence: Option<u8>, c: char) -> At {
    let matched = usize::from(fence.unwrap_or(u8::MAX));
    let fence = match c {
        '\n' if matched == FENCE.len() => return At::Start,
        '\n' => Some(0),
        ' ' | '\r' if matched == FENCE.len() => fence,
        c if FENCE.get(matched).is_some_and(|&next| char::from(next) == c) => fence.map(|n| n + 1),
        _ => None,
    };
    At::Plain { fence }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(text: &str) -> Tracker {
        let mut tracker = Tracker::default();
        tracker.follow(text);
        tracker
    }

    #[test]
    fn a_text_is_written_as_its_place_wants_it() {
        let said = "a\"b";
        for (before, written) in [
            ("", "a\"b"),
            ("Dear ", "a\"b"),
            ("{\"k\": \"", "a\\\"b"),
            ("{\"", "a\\\"b"),
            ("[1, {\"k\": [\"x", "a\\\"b"),
            ("{\"k\": \"{\\\"in\\\": \\\"", "a\\\\\\\"b"),
            ("{\"k\": \"[x] \\\"", "a\\\"b"),
            ("{\"k\": ", "\"a\\\"b\""),
            ("{\"k\": \"x\"} and ", "a\"b"),
            ("{hello \"", "a\"b"),
            ("See:\n```json\n{\"k\": \"", "a\\\"b"),
            ("```json\n[\"", "a\\\"b"),
            ("See ```json\n{\"k\": \"", "a\"b"),
            ("```json\n{}\n```\nso \"", "a\"b"),
        ] {
            assert_eq!(after(before).render(said, (true, false)), written, "after {before:?}");
        }
    }

    #[test]
    fn only_json_is_followed() {
        for text in ["{", "[1", "[-1.5e+3", "[tr", "[{\"a\": [0.1, null, \"x\"], \"b\": {}}", "{}\n[1]"] {
            assert!(after(text).is_json(), "{text}");
        }
        for text in [
            "[01", "[1-", "[1. ", "[+1", "[.5", "[truth", "[1 2", "{a", "[\"\n", "[\"\\x", "[]]", "{\"a\",",
            "hi",
        ] {
            assert!(after(text).is_plain(), "{text}");
        }
    }

    #[test]
    fn strings_are_told_apart_and_escapes_are_known() {
        let first = after("{\"a\":\"x").strings();
        assert_ne!(first[0], 0);
        assert_ne!(first, after("{\"a\":\"x\",\"b\":\"y").strings());
        assert_eq!(first, after("{\"a\":\"xyz\\n").strings());
        assert!(after("{\"a\":\"\\").escaping() && after("{\"a\":\"\\u00e").escaping());
        assert!(!after("{\"a\":\"\\u00e9").escaping());
        let nested = after("{\"a\":\"{\\\"b\\\":\\\"\\\\");
        assert!(nested.escaping(), "amid an escape of the inner level");
    }
}
