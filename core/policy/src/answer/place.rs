//! Where an edit really goes, and how what it puts there is written. A text that is JSON (a tool's arguments, a structured
//! answer) stays JSON: an edit inside of a string is escaped, one of a number is quoted, one that cuts an escape sequence or
//! a number takes all of it; one that cannot be made so is a fault.

use super::bad;
use crate::policy::Fault;
use crate::tracker::{LEVELS, Tracker, escaped, scalar, unescaped};
use serde::de::IgnoredAny;

/// Where an edit goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) start: usize,
    pub(super) end: usize,
    how: How,
}

/// What the place wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Plain,
    /// Inside of strings of so many levels.
    Text(usize),
    /// In place of a number or literal, inside of so many.
    Value(usize),
}

/// What a character stands before.
struct Mark {
    at: usize,
    strings: [u32; LEVELS + 1],
    escaping: bool,
    scalar: bool,
    value: bool,
}

/// A text whose places are known.
pub(super) struct Places<'a> {
    text: &'a str,
    /// One a character and one at the end; none if the text is plain.
    marks: Vec<Mark>,
    /// Whether the text by itself is JSON.
    whole: bool,
}

impl<'a> Places<'a> {
    /// A whole text.
    pub(super) fn whole(text: &'a str) -> Self {
        let whole = text.trim_start().starts_with(['{', '[']) && is_json(text);
        let marks =
            if whole || text.contains("```json") { marks(text, Tracker::default()) } else { Vec::new() };
        Self { text, marks, whole }
    }

    /// A window of a text; `before` has followed what came before it.
    pub(super) fn window(text: &'a str, before: &Tracker) -> Self {
        let marks = if before.is_plain() { Vec::new() } else { marks(text, before.clone()) };
        Self { text, marks, whole: false }
    }

    /// Where an edit of these bytes goes; both ends lie on characters.
    pub(super) fn spot(&self, start: usize, end: usize) -> Spot {
        if self.marks.is_empty() {
            return Spot { start, end, how: How::Plain };
        }
        let (first, last) = match start == end {
            true => self.insertion(self.mark(start)),
            false => self.unquoted(start, end),
        };
        let (first, last) = if first == last { (first, last) } else { (self.back(first), self.on(last)) };
        let (from, to) = (&self.marks[first], &self.marks[last]);
        let level = common(&from.strings, &to.strings);
        let number = from.value && to.scalar && from.strings == to.strings && first < last;
        let numbers = || self.marks[first + 1..=last].iter().all(|mark| mark.scalar && !mark.value);
        let how = match level {
            level if number && numbers() => How::Value(level),
            0 => How::Plain,
            level => How::Text(level),
        };
        Spot { start: from.at, end: to.at, how }
    }

    /// Whether the text is JSON, as far as is known.
    pub(super) const fn is_json(&self) -> bool {
        self.whole
    }

    /// Whether what the edits made of the text is as good as the text was.
    ///
    /// # Errors
    /// It was JSON, and no longer is.
    pub(super) fn check(&self, edited: &str) -> Result<(), Fault> {
        if self.whole && !is_json(edited) { Err(broken()) } else { Ok(()) }
    }

    /// The marks of a range; a string's quotes are no part of what is replaced.
    fn unquoted(&self, start: usize, end: usize) -> (usize, usize) {
        let (first, last) = (self.mark(start), self.mark(end));
        let quotes = end - start >= 2
            && self.text[start..end].starts_with('"')
            && self.text[start..end].ends_with('"');
        let inside = first + 1 < last && self.marks[first + 1].strings[0] != 0;
        let same = inside && self.marks[first + 1].strings[0] == self.marks[last - 1].strings[0];
        if quotes && same && self.marks[first].strings[0] == 0 {
            (first + 1, last - 1)
        } else {
            (first, last)
        }
    }

    /// What inserts takes nothing away: no number, nor the rest of an escape sequence.
    fn insertion(&self, mut mark: usize) -> (usize, usize) {
        while mark > 0 && self.marks[mark].escaping {
            mark -= 1;
        }
        (mark, mark)
    }

    fn mark(&self, at: usize) -> usize {
        self.marks.partition_point(|mark| mark.at < at).min(self.marks.len() - 1)
    }

    /// Back to where no escape sequence and no number is cut.
    fn back(&self, mut mark: usize) -> usize {
        while mark > 0 && (self.marks[mark].escaping || self.amid_number(mark)) {
            mark -= 1;
        }
        mark
    }

    fn on(&self, mut mark: usize) -> usize {
        while mark + 1 < self.marks.len() && (self.marks[mark].escaping || self.amid_number(mark)) {
            mark += 1;
        }
        mark
    }

    fn amid_number(&self, mark: usize) -> bool {
        let next = self.text[self.marks[mark].at..].chars().next();
        self.marks[mark].scalar && next.is_some_and(scalar)
    }
}

impl Spot {
    /// Whether it changes what a JSON text is made of rather than one string or number.
    pub(super) const fn is_plain(&self) -> bool {
        matches!(self.how, How::Plain)
    }

    /// What stands there, as it reads, and whether it is a number or literal of JSON.
    pub(super) fn original(&self, text: &str) -> (String, bool) {
        let found = &text[self.start..self.end];
        match self.how {
            How::Plain => (found.to_owned(), false),
            How::Text(levels) => (unescaped(found, levels).unwrap_or_else(|| found.to_owned()), false),
            How::Value(_) => (found.to_owned(), true),
        }
    }

    /// What comes there, as it is to be written; `None`: nothing.
    pub(super) fn written(&self, text: Option<&str>) -> Option<String> {
        let inside = |text: String, levels: usize| (0..levels).fold(text, |text, _| escaped(&text));
        match (self.how, text) {
            (How::Plain, text) => text.map(str::to_owned),
            (How::Text(levels), text) => text.map(|text| inside(text.to_owned(), levels)),
            (How::Value(levels), Some(text)) => Some(inside(format!("\"{}\"", escaped(text)), levels)),
            (How::Value(_), None) => Some("null".to_owned()),
        }
    }
}

/// The edits would leave no JSON.
pub(super) fn broken() -> Fault {
    bad("the edits break the JSON that they stand in; edit inside of one string, or one number")
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

fn marks(text: &str, mut tracker: Tracker) -> Vec<Mark> {
    let mark = |at: usize, tracker: &Tracker| Mark {
        at,
        strings: tracker.strings(),
        escaping: tracker.escaping(),
        scalar: tracker.in_scalar(),
        value: tracker.innermost_at_value(),
    };
    let mut marks = Vec::with_capacity(text.len() + 1);
    for (at, c) in text.char_indices() {
        marks.push(mark(at, &tracker));
        tracker.feed(c);
    }
    marks.push(mark(text.len(), &tracker));
    marks
}

/// Levels of strings that both places are inside of.
fn common(one: &[u32; LEVELS + 1], two: &[u32; LEVELS + 1]) -> usize {
    one.iter().zip(two).take_while(|(one, two)| one == two && **one != 0).count()
}
