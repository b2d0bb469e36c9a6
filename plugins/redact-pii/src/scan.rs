//! One pass over a text: runs of what words, addresses and keys are written with are taken as a whole, most of them are dull,
//! and the detectors are asked about the places of the others.

use crate::class::Class;
use crate::detect::{self, How, LONGEST, Leave, Match, Tail};
use crate::text::{self, ALNUM, KINDS, LOCAL, START, Text, is, is_continuation, is_latin_lead};
use crate::view::View;

/// A value that was found: a range of bytes of the text, on characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// What it is; of something encoded, the worst of what is in it.
    pub class: Class,
    /// Its first byte.
    pub start: usize,
    /// After its last byte.
    pub end: usize,
    /// It goes on with a value that was found before: what is longer than 4 KiB is found in parts.
    pub continues: bool,
}

/// What is carried from one window of a stream to the next.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    /// The last of what was decided, decoded.
    behind: Vec<u8>,
    tail: Option<(Class, Tail)>,
}

/// What a window was decided to be.
pub(crate) struct Step {
    pub(crate) found: Vec<Found>,
    /// How many bytes of the window are decided; the rest is to be shown again.
    pub(crate) decided: usize,
}

/// How many layers of base64 are opened.
const LAYERS: u8 = 2;

/// More than this of a stream is not held: hidden signs and escapes within escapes can blow a value up.
const MOST_HELD: usize = 48 << 10;

impl State {
    /// Decides as much of a window as can be decided; all of it if nothing follows.
    pub(crate) fn step(&mut self, window: &str, leave: Leave, goes_on: bool) -> Step {
        let step = self.try_step(window, leave, goes_on);
        match window.len() - step.1.decided > MOST_HELD {
            true => self.keep(self.try_step(window, leave, false)),
            false => self.keep(step),
        }
    }

    fn keep(&mut self, (state, step): (Self, Step)) -> Step {
        *self = state;
        step
    }

    fn try_step(&self, window: &str, leave: Leave, goes_on: bool) -> (Self, Step) {
        let view = View::new(&self.behind, window.as_bytes(), goes_on);
        let text = Text::new(view.bytes(), goes_on || view.is_cut());
        let mut pass =
            Pass { text: &text, how: How { leave, layers: LAYERS }, tail: self.tail, hits: Vec::new() };
        let decided = pass.run(view.start());
        let found = pass.hits.iter().map(|hit| hit.found(&view, window)).collect();
        let state = Self { behind: text.behind(decided, text::BEHIND).to_vec(), tail: pass.tail };
        (state, Step { found, decided: view.raw(decided) })
    }
}

/// Everything in a text. Parts of one long value come as one.
pub(crate) fn whole(text: &str, leave: Leave) -> Vec<Found> {
    let step = State::default().step(text, leave, false);
    let mut whole: Vec<Found> = Vec::with_capacity(step.found.len());
    for found in step.found {
        match whole.last_mut() {
            Some(last) if found.continues && last.end == found.start => last.end = found.end,
            _ => whole.push(found),
        }
    }
    whole
}

/// The worst class of what is in some decoded bytes.
pub(crate) fn worst(bytes: &[u8], how: How) -> Option<Class> {
    let view = View::new(b"", bytes, false);
    let text = Text::new(view.bytes(), false);
    let mut pass = Pass { text: &text, how, tail: None, hits: Vec::new() };
    pass.run(0);
    pass.hits
        .iter()
        .map(|hit| hit.class)
        .max_by_key(|class| (class.severity() as u8, std::cmp::Reverse(class.index())))
}

/// A value in decoded text.
struct Hit {
    class: Class,
    start: usize,
    end: usize,
    continues: bool,
}

impl Hit {
    fn found(&self, view: &View<'_>, raw: &str) -> Found {
        let (mut start, mut end) =
            (view.raw(self.start).min(raw.len()), view.raw_end(self.end).min(raw.len()));
        while !raw.is_char_boundary(start) {
            start -= 1;
        }
        while !raw.is_char_boundary(end) {
            end += 1;
        }
        Found { class: self.class, start, end, continues: self.continues }
    }
}

struct Pass<'a, 'b> {
    text: &'a Text<'b>,
    how: How,
    tail: Option<(Class, Tail)>,
    hits: Vec<Hit>,
}

/// What is to be done next.
enum Next {
    /// Nothing begins before this place.
    Skip(usize),
    /// Something begins here.
    Take(usize, Match),
    /// It cannot be told yet what begins here.
    Wait(usize),
}

impl Pass<'_, '_> {
    /// Goes over the text from a place on; how far it is decided.
    fn run(&mut self, from: usize) -> usize {
        let mut place = from;
        while place < self.text.len() {
            if let Some((class, tail)) = self.tail {
                match self.go_on(place, class, tail) {
                    Some(end) => place = end,
                    None => return place,
                }
                continue;
            }
            let byte = self.text.at(place);
            if !is(byte, START) {
                place += 1;
                continue;
            }
            place = match self.next(place, byte) {
                Next::Skip(next) => next,
                Next::Wait(place) => return place,
                Next::Take(start, found) => {
                    self.tail = found.tail.map(|tail| (found.class, tail));
                    self.hits.push(Hit { class: found.class, start, end: found.end, continues: false });
                    found.end
                }
            };
        }
        place
    }

    /// The next part of a long value; none if it cannot be told.
    fn go_on(&mut self, place: usize, class: Class, tail: Tail) -> Option<usize> {
        let (end, is_over) = match tail {
            Tail::Pem => detect::pem::tail(self.text, place),
            Tail::Jwt => detect::jwt::tail(self.text, place),
        };
        // A run of the value that reaches the end is the value's, whatever follows.
        let is_waiting = self.text.take_looked_past() && (is_over || end == place + 1);
        if is_waiting {
            return None;
        }
        match self.hits.last_mut() {
            Some(last) if last.end == place && last.continues => last.end = end,
            _ if end > place => self.hits.push(Hit { class, start: place, end, continues: true }),
            _ => {}
        }
        if is_over {
            self.tail = None;
        }
        Some(end)
    }

    #[inline]
    fn next(&self, place: usize, byte: u8) -> Next {
        match byte {
            b'(' | b':' => self
                .asked(place, detect::outside(self.text, place, self.how))
                .unwrap_or(Next::Skip(place + 1)),
            _ => self.in_run(place),
        }
    }

    /// What a detector said, unless it looked past the end.
    fn asked(&self, place: usize, said: Option<Match>) -> Option<Next> {
        match (self.text.take_looked_past(), said) {
            (true, _) => Some(Next::Wait(place)),
            (false, Some(found)) => Some(Next::Take(place, found)),
            (false, None) => None,
        }
    }

    fn in_run(&self, start: usize) -> Next {
        let run = run(self.text, start);
        if run.end == start {
            return Next::Skip(start + 1);
        }
        let is_dull = detect::is_dull(self.text, start, run.end, run.kinds);
        if self.text.take_looked_past() {
            return Next::Wait(start);
        }
        if is_dull {
            return Next::Skip(run.end);
        }
        // Of a run that is cut here because it is long, the last places are looked at with what follows them.
        let last = if run.is_cut { run.end - LONGEST / 8 } else { run.end };
        let is_long = run.end - start >= detect::LONG;
        let mut before = self.text.before(start);
        for place in start..last {
            let byte = self.text.at(place);
            let is_inner = is(before, ALNUM) && is(byte, ALNUM);
            before = byte;
            if (is_inner && !is_long) || is_continuation(byte) {
                continue;
            }
            let said = detect::within_run(self.text, place, run.end, self.how, is_inner);
            if let Some(next) = self.asked(place, said) {
                return next;
            }
        }
        Next::Skip(last)
    }
}

struct Run {
    end: usize,
    /// Kinds of all its bytes.
    kinds: u8,
    is_cut: bool,
}

/// The run that begins at a place: local parts of addresses, words, keys, numbers.
#[inline]
fn run(text: &Text<'_>, start: usize) -> Run {
    let bytes = text.slice(start, start + LONGEST);
    let (mut at, mut kinds) = (0, 0);
    while let Some(byte) = bytes.get(at) {
        let kind = KINDS[usize::from(*byte)];
        if kind & LOCAL != 0 {
            kinds |= kind;
            at += 1;
        } else if is_latin_lead(*byte) && is_continuation(text.at(start + at + 1)) {
            at += 2;
        } else {
            return Run { end: start + at, kinds, is_cut: false };
        }
    }
    if at < LONGEST {
        text.at(start + at);
    }
    Run { end: start + at, kinds, is_cut: at >= LONGEST }
}
