//! Server-sent events, to the letter of the WHATWG specification: lines end in LF, CR or CRLF, comments are skipped,
//! several `data` lines join with LF, a byte order mark at the start is dropped, an event without a `data` line is none, and what
//! the end of the stream cuts off is dropped. Chunks may be cut anywhere.

use memchr::{memchr, memchr2};
use std::fmt;
use std::ops::Range;

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// An incremental parser. Events that lie whole within one chunk with one `data` line are handed out without a copy.
pub struct Parser {
    limit: usize,
    /// How much of a leading byte order mark has been seen; 3 once the start is behind us.
    start: usize,
    /// The last byte was CR: an LF that follows belongs to it.
    after_cr: bool,
    /// A line that began in an earlier chunk.
    line: Vec<u8>,
    event: Pending,
    last_id: String,
}

/// One event.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Event<'a> {
    /// The `event` field; `message` if there was none.
    pub name: &'a str,
    /// The `data` lines, joined with LF. Bytes as they came, not checked for UTF-8.
    pub data: &'a [u8],
    /// The last `id` field of the stream so far; may be empty.
    pub id: &'a str,
    /// Offset in the chunk just pushed, one past this event's last byte: where to cut for byte-faithful pass-through.
    pub end: usize,
}

impl fmt::Debug for Event<'_> {
    /// Sizes only: content is never printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Event({} bytes, ends at {})", self.data.len(), self.end)
    }
}

/// A line or event longer than the limit given to [`Parser::new`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a server-sent event is longer than {limit} bytes")]
pub struct TooLarge {
    /// The limit in bytes.
    pub limit: usize,
}

/// The event that is being read.
#[derive(Default)]
struct Pending {
    name: String,
    /// Joined data of the lines before the current chunk's last one.
    data: Vec<u8>,
    /// The only data line so far, still in the current chunk.
    in_chunk: Option<Range<usize>>,
    has_data: bool,
}

impl Parser {
    /// A parser for one stream. An event's data or a line longer than `max_event_bytes` is an error, wherever the
    /// chunks are cut.
    #[must_use]
    pub fn new(max_event_bytes: usize) -> Self {
        Self {
            limit: max_event_bytes,
            start: 0,
            after_cr: false,
            line: Vec::new(),
            event: Pending::default(),
            last_id: String::new(),
        }
    }

    /// Reads a chunk and hands each complete event to `sink`.
    ///
    /// # Errors
    /// [`TooLarge`]; the parser is of no use after it.
    pub fn push(&mut self, chunk: &[u8], sink: &mut dyn FnMut(Event<'_>)) -> Result<(), TooLarge> {
        let mut at = self.skip_start(chunk);
        if self.after_cr && at < chunk.len() {
            self.after_cr = false;
            at += usize::from(chunk[at] == b'\n');
        }
        while let Some(length) = memchr2(b'\n', b'\r', &chunk[at..]) {
            let line = at..at + length;
            at = line.end + 1;
            if chunk[line.end] == b'\r' {
                match chunk.get(at) {
                    Some(b'\n') => at += 1,
                    Some(_) => {}
                    None => self.after_cr = true,
                }
            }
            self.end_line(chunk, line, at, sink)?;
        }
        self.line.extend_from_slice(&chunk[at..]);
        self.check(self.line.len())?;
        self.event.leave_chunk(chunk);
        Ok(())
    }

    /// Ends the stream: whether it was cut inside an event. What was cut off is dropped, as the specification says.
    #[must_use]
    pub fn finish(self) -> bool {
        !self.line.is_empty() || self.event.has_data
    }

    /// Whether the bytes so far end between two events.
    #[must_use]
    pub fn at_boundary(&self) -> bool {
        // A byte order mark that has come in part is the beginning of something.
        let started = self.start == 0 || self.start == BOM.len();
        started && self.line.is_empty() && !self.event.has_data && self.event.name.is_empty()
    }

    /// Offset behind a byte order mark. What only looked like one goes to the line.
    fn skip_start(&mut self, chunk: &[u8]) -> usize {
        let mut at = 0;
        while self.start < BOM.len() && at < chunk.len() {
            if chunk[at] != BOM[self.start] {
                self.line.extend_from_slice(&BOM[..self.start]);
                self.start = BOM.len();
                // The bytes of this chunk that matched are in the line already.
                return at;
            }
            self.start += 1;
            at += 1;
        }
        at
    }

    /// Handles the line whose part in this chunk is `range`; `end` is behind its line break.
    fn end_line(
        &mut self,
        chunk: &[u8],
        range: Range<usize>,
        end: usize,
        sink: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), TooLarge> {
        if self.line.is_empty() {
            self.check(range.len())?;
            if range.is_empty() {
                self.dispatch(chunk, end, sink);
                return Ok(());
            }
            let (field, value) = split_field(&chunk[range.clone()]);
            let value = range.start + value..range.end;
            if field == b"data" {
                self.event.add_in_chunk(chunk, value);
            } else {
                self.event.set(field, &chunk[value], &mut self.last_id);
            }
        } else {
            let mut line = std::mem::take(&mut self.line);
            line.extend_from_slice(&chunk[range]);
            self.check(line.len())?;
            let (field, value) = split_field(&line);
            if field == b"data" {
                self.event.add(chunk, &line[value..]);
            } else {
                self.event.set(field, &line[value..], &mut self.last_id);
            }
            line.clear();
            self.line = line;
        }
        self.check(self.event.len())
    }

    fn dispatch(&mut self, chunk: &[u8], end: usize, sink: &mut dyn FnMut(Event<'_>)) {
        let event = &mut self.event;
        if event.has_data {
            let data = event.in_chunk.clone().map_or(&event.data[..], |range| &chunk[range]);
            let name = if event.name.is_empty() { "message" } else { &event.name };
            sink(Event { name, data, id: &self.last_id, end });
        }
        event.reset();
    }

    const fn check(&self, length: usize) -> Result<(), TooLarge> {
        if length > self.limit { Err(TooLarge { limit: self.limit }) } else { Ok(()) }
    }
}

impl Pending {
    fn len(&self) -> usize {
        self.in_chunk.as_ref().map_or(self.data.len(), Range::len)
    }

    /// A data line that lies in the current chunk: kept as a range while it is the only one.
    fn add_in_chunk(&mut self, chunk: &[u8], range: Range<usize>) {
        if self.has_data {
            self.add(chunk, &chunk[range]);
        } else {
            self.has_data = true;
            self.in_chunk = Some(range);
        }
    }

    fn add(&mut self, chunk: &[u8], value: &[u8]) {
        self.leave_chunk(chunk);
        if self.has_data {
            self.data.push(b'\n');
        }
        self.has_data = true;
        self.data.extend_from_slice(value);
    }

    /// Copies what still lies in the chunk.
    fn leave_chunk(&mut self, chunk: &[u8]) {
        if let Some(range) = self.in_chunk.take() {
            self.data.extend_from_slice(&chunk[range]);
        }
    }

    fn set(&mut self, field: &[u8], value: &[u8], last_id: &mut String) {
        match field {
            b"event" => self.name = String::from_utf8_lossy(value).into_owned(),
            b"id" if memchr(0, value).is_none() => *last_id = String::from_utf8_lossy(value).into_owned(),
            // `retry` is for a client that reconnects; comments and unknown fields are nobody's.
            _ => {}
        }
    }

    fn reset(&mut self) {
        self.name.clear();
        self.data.clear();
        self.in_chunk = None;
        self.has_data = false;
    }
}

/// The field's name and where its value starts: behind the colon and one space.
fn split_field(line: &[u8]) -> (&[u8], usize) {
    match memchr(b':', line) {
        Some(colon) => (&line[..colon], colon + 1 + usize::from(line.get(colon + 1) == Some(&b' '))),
        None => (line, line.len()),
    }
}
