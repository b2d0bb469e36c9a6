//! Content by reference: what a policy may ask of a request or a reply, and a note of whether it did.

mod headers;
mod session;

pub use headers::Headers;

use crate::head::Head;
use crate::matcher::{Matchers, Set, TextHit};
use crate::vault::Vault;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use weir_llm::json::Value;
use weir_llm::reply::Reply;
use weir_llm::request::{Patch, Request, Segment, SegmentEdit};

pub use weir_llm::request::{Role, SegmentKind};

/// One request, or the reply to it, as policies see it. Reads of content, headers and attributes are counted: see [`RequestView::tainted`].
pub struct RequestView {
    head: Head,
    content: Content,
    headers: Headers,
    notes: Arc<Notes>,
    vault: Arc<Vault>,
    unescaped: OnceLock<Box<[OnceLock<Box<str>>]>>,
    secret: Option<[u8; 32]>,
    session: OnceLock<Option<Box<str>>>,
    content_reads: AtomicU32,
    other_reads: AtomicU32,
}

/// What a view shows.
#[derive(Clone)]
enum Content {
    /// A request.
    Request(Arc<Request>),
    /// A reply, and the request that it answers.
    Reply(Arc<Reply>, Arc<Request>),
}

/// What policies noted about an exchange: shared by all views of it.
#[derive(Default)]
struct Notes(Mutex<Vec<(String, String)>>);

/// Most notes of an exchange.
const MAX_NOTES: usize = 32;
/// Longest name or value of a note.
const MAX_NOTE_BYTES: usize = 128;

/// What a segment is, without its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Its place in the request.
    pub index: u32,
    /// Who speaks.
    pub role: Role,
    /// What it carries.
    pub kind: SegmentKind,
    /// Length of the decoded text.
    pub bytes: u32,
    /// Token count, if one is known.
    pub tokens: Option<u32>,
    /// Name of the speaker, tool or function.
    pub name: Option<String>,
}

/// Where a matcher hit; offsets are bytes of the decoded text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit {
    /// Which literal or pattern of the matcher.
    pub pattern: u32,
    /// In which segment.
    pub segment: u32,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

/// Why a read was refused. Names are the WIT's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum AccessError {
    /// The manifest does not say that the policy reads content, or has no such matcher.
    #[error("not granted")]
    NotGranted,
    /// No such segment, or a start beyond its end.
    #[error("out of range")]
    OutOfRange,
    /// An offset inside a character.
    #[error("not on a character boundary")]
    NotUtf8,
    /// The content is hidden from this policy.
    #[error("redacted")]
    Redacted,
    /// More than the caller's bound or the host's.
    #[error("over budget")]
    Budget,
}

impl AccessError {
    /// The WIT name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotGranted => "not-granted",
            Self::OutOfRange => "out-of-range",
            Self::NotUtf8 => "not-utf8",
            Self::Redacted => "redacted",
            Self::Budget => "budget",
        }
    }
}

impl RequestView {
    /// The view of a request; headers that carry credentials and `x-weir-*` are left out.
    #[must_use]
    pub fn new(head: Head, request: Arc<Request>, headers: impl Into<Headers>) -> Self {
        Self {
            head,
            content: Content::Request(request),
            headers: headers.into(),
            notes: Arc::default(),
            vault: Arc::default(),
            unescaped: OnceLock::new(),
            secret: None,
            session: OnceLock::new(),
            content_reads: AtomicU32::new(0),
            other_reads: AtomicU32::new(0),
        }
    }

    /// The view with a secret that keys the hashes of conversations and of redacted texts; without one there are none.
    #[must_use]
    pub const fn with_secret(mut self, secret: [u8; 32]) -> Self {
        self.secret = Some(secret);
        self
    }

    /// The view with another vault than a fresh one.
    #[must_use]
    pub fn with_vault(mut self, vault: Vault) -> Self {
        self.vault = Arc::new(vault);
        self
    }

    /// What policies hid of the exchange so far: one vault for all views of it. For the gateway, not for policies.
    #[must_use]
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// What a segment carries, without a note.
    pub(crate) fn kind(&self, segment: u32) -> Option<SegmentKind> {
        self.all_segments().get(segment as usize).map(|segment| segment.kind)
    }

    /// Whether it shows a reply.
    pub(crate) const fn shows_reply(&self) -> bool {
        matches!(self.content, Content::Reply(..))
    }

    /// A view of the reply to this request.
    #[must_use]
    pub fn of_reply(&self, reply: Arc<Reply>) -> Self {
        let content = Content::Reply(reply, Arc::clone(self.request()));
        let mut view = Self { content, ..self.fresh() };
        view.head.segment_count = view.segment_count();
        view
    }

    /// A hash that is the same for all requests of one conversation. Does not taint: it says nothing of what is said.
    #[must_use]
    pub fn session(&self) -> Option<&str> {
        let hash = || session::hash(self, &self.secret?);
        self.session.get_or_init(hash).as_deref()
    }

    /// What comes in place of a text that is to be told from others but not known: keyed, per organisation and class.
    pub(crate) fn hashed(&self, class: &str, text: &str) -> Option<String> {
        let mut hash = Sha256::new();
        for part in [&self.secret?, b"redact".as_slice(), self.head.tenant.as_bytes(), class.as_bytes()] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.update(text);
        Some(format!("[{class}:{}]", hex::encode(&hash.finalize()[..6])))
    }

    /// Notes something for later policies of the exchange and for its summary.
    ///
    /// # Errors
    /// There are too many notes already, or this one is too long.
    pub fn annotate(&self, key: &str, value: &str) -> Result<(), AccessError> {
        let mut notes = self.notes.0.lock().unwrap_or_else(PoisonError::into_inner);
        if key.len() > MAX_NOTE_BYTES || value.len() > MAX_NOTE_BYTES {
            return Err(AccessError::Budget);
        }
        match notes.iter().position(|(known, _)| known == key) {
            Some(at) => value.clone_into(&mut notes[at].1),
            None if notes.len() >= MAX_NOTES => return Err(AccessError::Budget),
            None => notes.push((key.to_owned(), value.to_owned())),
        }
        Ok(())
    }

    /// Notes the tags of a checked answer; what is over the bound is dropped.
    pub(crate) fn note_tags(&self, tags: &[(String, String)]) {
        for (name, value) in tags {
            let _ = self.annotate(name, value);
        }
    }

    /// What policies noted so far.
    #[must_use]
    pub fn notes(&self) -> Vec<(String, String)> {
        self.notes.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The small facts. Does not taint.
    #[must_use]
    pub const fn head(&self) -> &Head {
        &self.head
    }

    /// The request as it stands, with the edits so far; for a reply the one that it answers. For the gateway, not for
    /// policies.
    #[must_use]
    pub const fn request(&self) -> &Arc<Request> {
        match &self.content {
            Content::Request(request) | Content::Reply(_, request) => request,
        }
    }

    /// The bytes that it shows. For the gateway, not for policies.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        match &self.content {
            Content::Request(request) => request.body(),
            Content::Reply(reply, _) => reply.body(),
        }
    }

    /// How long the body is that guards judge: as it came, or as the edits so far have left it, if that is more. Of a reply the
    /// request's.
    #[must_use]
    pub fn body_bytes(&self) -> u64 {
        match &self.content {
            Content::Request(request) => self.head.body_bytes.max(request.body().len() as u64),
            Content::Reply(..) => self.head.body_bytes,
        }
    }

    fn json_root(&self) -> Value<'_> {
        match &self.content {
            Content::Request(request) => request.json().root(),
            Content::Reply(reply, _) => reply.json().root(),
        }
    }

    fn all_segments(&self) -> &[Segment] {
        match &self.content {
            Content::Request(request) => request.segments(),
            Content::Reply(reply, _) => reply.segments(),
        }
    }

    /// Why the model stopped, in the reply's own dialect; empty if it does not say, and for a request.
    #[must_use]
    pub fn finish_reason(&self) -> Box<str> {
        match &self.content {
            Content::Request(_) => "".into(),
            Content::Reply(reply, _) => reply.finish_reason().unwrap_or_default().into(),
        }
    }

    /// How many segments there are. Does not taint.
    #[must_use]
    pub fn segment_count(&self) -> u32 {
        u32::try_from(self.all_segments().len()).unwrap_or(u32::MAX)
    }

    /// What the segments are, at most `max` from `first` on. Shapes do not taint; names of tools and speakers are the
    /// caller's own words, and do.
    #[must_use]
    pub fn segments(&self, first: u32, max: u32) -> Vec<SegmentInfo> {
        let page = self.all_segments().iter().zip(0u32..).skip(first as usize).take(max as usize);
        if page.clone().any(|(segment, _)| segment.name.is_some()) {
            self.read_other();
        }
        page.map(|(segment, index)| SegmentInfo {
            index,
            role: segment.role,
            kind: segment.kind,
            bytes: segment.bytes,
            tokens: None,
            name: segment.name.clone(),
        })
        .collect()
    }

    /// A slice of a segment's decoded text; an `end` beyond the text means: to its end.
    ///
    /// # Errors
    /// No such segment or range, or an offset inside a character.
    pub fn text(&self, segment: u32, start: u32, end: u32) -> Result<String, AccessError> {
        self.read_content();
        let text = self.raw(segment)?;
        let slice = &text[range(text.len(), start, end)?];
        std::str::from_utf8(slice).map(str::to_owned).map_err(|_| AccessError::NotUtf8)
    }

    /// A slice of a segment's decoded text as bytes; offsets may fall inside a character.
    ///
    /// # Errors
    /// No such segment or range.
    pub fn bytes(&self, segment: u32, start: u32, end: u32) -> Result<Vec<u8>, AccessError> {
        self.read_content();
        let text = self.raw(segment)?;
        Ok(text[range(text.len(), start, end)?].to_vec())
    }

    /// The JSON text of the node at an RFC 6901 pointer of the body as it stands; `None` if there is none.
    ///
    /// # Errors
    /// The node is longer than `max_bytes`.
    pub fn json(&self, pointer: &str, max_bytes: u32) -> Result<Option<String>, AccessError> {
        self.read_content();
        let Some(node) = self.json_root().pointer(pointer) else { return Ok(None) };
        let raw = node.raw();
        if raw.len() > max_bytes as usize {
            return Err(AccessError::Budget);
        }
        std::str::from_utf8(raw).map(|text| Some(text.to_owned())).map_err(|_| AccessError::NotUtf8)
    }

    /// Every hit of a matcher in every segment, ordered by segment and start.
    ///
    /// # Errors
    /// The policy declares no such matcher, or there are too many hits.
    pub fn scan(&self, matchers: &Matchers, name: &str) -> Result<Vec<Hit>, AccessError> {
        self.read_content();
        let set = matchers.get(name).ok_or(AccessError::NotGranted)?;
        let (mut hits, mut found) = (Vec::new(), Vec::new());
        for segment in 0..self.segment_count() {
            set.scan(self.decoded(segment)?, &mut found).map_err(|_| AccessError::Budget)?;
            hits.extend(found.drain(..).map(|TextHit { pattern, start, end }| Hit {
                pattern,
                segment,
                start,
                end,
            }));
            if hits.len() > crate::matcher::MAX_HITS {
                return Err(AccessError::Budget);
            }
        }
        Ok(hits)
    }

    /// Whether a scan with one of these matchers would find something, or fail. For the host: nothing is noted as read.
    pub(crate) fn finds(&self, matchers: &Matchers, names: &[String]) -> bool {
        let hits = |set: &Set, segment| self.raw(segment).map_or(true, |text| set.hits(text));
        let any = |set: &Set| (0..self.segment_count()).any(|segment| hits(set, segment));
        names.iter().any(|name| matchers.get(name).is_none_or(any))
    }

    /// A request header by name, any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.read_other();
        self.headers.get(name)
    }

    /// What an earlier policy of this exchange noted under a key, else the request's tag of that name.
    #[must_use]
    pub fn attr(&self, key: &str) -> Option<String> {
        self.read_other();
        let notes = self.notes.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = notes.iter().chain(self.head.tags.iter()).find(|(known, _)| known == key);
        found.map(|(_, value)| value.clone())
    }

    /// Whether content, a header or an attribute was ever read through this view.
    #[must_use]
    pub fn tainted(&self) -> bool {
        self.content_reads.load(Ordering::Relaxed) > 0 || self.other_reads.load(Ordering::Relaxed) > 0
    }

    /// The view with some spans of text replaced, for the policies after this one. The body is encoded and parsed
    /// afresh, so there is one truth still; edits are rare.
    ///
    /// # Errors
    /// The edited body is no longer one that Weir accepts.
    pub fn with_edits(&self, edits: &[SegmentEdit<'_>]) -> Result<Self, EditError> {
        let content = match &self.content {
            Content::Request(request) => Content::Request(Arc::new(edited(request, edits)?)),
            Content::Reply(reply, request) => {
                let reply = Reply::parse(reply.api(), reply.patched(edits)).map_err(|_| EditError)?;
                Content::Reply(Arc::new(reply), Arc::clone(request))
            }
        };
        Ok(Self { content, ..self.fresh() })
    }

    /// The view without who asks: no tenant, project, key or user.
    #[must_use]
    pub fn anonymous(&self) -> Self {
        let mut view = Self { head: self.head.anonymous(), ..self.fresh() };
        // Hashes stay the organisation's own.
        view.secret = self.secret.map(|secret| {
            let mut hash = Sha256::new_with_prefix(secret);
            hash.update(self.head.tenant.as_bytes());
            hash.finalize().into()
        });
        view
    }

    /// Looks at the decoded text of a segment without a note: for what the host itself makes of it (a token count), never
    /// to hand it to a policy.
    pub fn peek<T>(&self, segment: u32, look: impl FnOnce(&str) -> T) -> Option<T> {
        self.decoded(segment).ok().map(look)
    }

    /// The decoded text of a segment, without a note: for the host's own checks.
    pub(crate) fn decoded(&self, segment: u32) -> Result<&str, AccessError> {
        std::str::from_utf8(self.raw(segment)?).map_err(|_| AccessError::NotUtf8)
    }

    /// As [`RequestView::decoded`] without looking at the bytes: a guest that reads a long text slice by slice costs
    /// its slices, not the text each time. What has escapes is unescaped once and kept.
    pub(crate) fn raw(&self, segment: u32) -> Result<&[u8], AccessError> {
        let index = segment as usize;
        let known = self.all_segments().get(index).ok_or(AccessError::OutOfRange)?;
        // Every escape is longer than what it stands for.
        if known.bytes as usize + 2 == known.span.len() {
            let inside = known.span.start + 1..known.span.end - 1;
            return self.body().get(inside).ok_or(AccessError::OutOfRange);
        }
        let all =
            self.unescaped.get_or_init(|| self.all_segments().iter().map(|_| OnceLock::new()).collect());
        let text = all[index].get_or_init(|| {
            let text = match &self.content {
                Content::Request(request) => request.text(index),
                Content::Reply(reply, _) => reply.text(index),
            };
            text.unwrap_or_default().into()
        });
        Ok(text.as_bytes())
    }

    /// The same for a version that is asked beside the exchange: what it reads taints nobody else's call, what it notes
    /// is seen by nobody, what it hides is hidden from nobody.
    #[must_use]
    pub fn apart(&self) -> Self {
        let notes = Arc::new(Notes(Mutex::new(self.notes())));
        Self { notes, vault: Arc::default(), ..self.fresh() }
    }

    /// As [`RequestView::apart`], with another head: for asking again what would be answered if it were so.
    #[must_use]
    pub fn with_head(&self, head: Head) -> Self {
        Self { head, ..self.apart() }
    }

    fn fresh(&self) -> Self {
        Self {
            head: self.head.clone(),
            content: self.content.clone(),
            headers: self.headers.clone(),
            notes: Arc::clone(&self.notes),
            vault: Arc::clone(&self.vault),
            unescaped: OnceLock::new(),
            secret: self.secret,
            session: OnceLock::new(),
            content_reads: AtomicU32::new(0),
            other_reads: AtomicU32::new(0),
        }
    }

    fn read_content(&self) {
        self.content_reads.fetch_add(1, Ordering::Relaxed);
    }

    fn read_other(&self) {
        self.other_reads.fetch_add(1, Ordering::Relaxed);
    }
}

fn edited(request: &Request, edits: &[SegmentEdit<'_>]) -> Result<Request, EditError> {
    let body = request.patched(&Patch { edits, ..Patch::model(request.model()) });
    let edited = Request::parse(request.api(), body).map_err(|_| EditError)?;
    // Keys of unknown fields are segments too: renaming one must not change what the gateway has read already.
    if edited.model() != request.model() || edited.stream() != request.stream() {
        return Err(EditError);
    }
    Ok(edited)
}

/// The edited body is no longer a request that Weir accepts, or one with another model or shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the edited body is not a valid request")]
pub struct EditError;

/// Marks the start of a call and tells afterwards whether that call read anything; a view serves several calls of one
/// exchange, one after the other.
#[derive(Debug, Clone, Copy)]
pub struct TaintScope {
    content: u32,
    other: u32,
}

impl TaintScope {
    /// Starts here.
    #[must_use]
    pub fn new(view: &RequestView) -> Self {
        Self {
            content: view.content_reads.load(Ordering::Relaxed),
            other: view.other_reads.load(Ordering::Relaxed),
        }
    }

    /// Whether content was read since.
    #[must_use]
    pub fn read_content(&self, view: &RequestView) -> bool {
        view.content_reads.load(Ordering::Relaxed) != self.content
    }

    /// Whether content, a header or an attribute was read since.
    #[must_use]
    pub fn tainted(&self, view: &RequestView) -> bool {
        self.read_content(view) || view.other_reads.load(Ordering::Relaxed) != self.other
    }
}

fn range(len: usize, start: u32, end: u32) -> Result<std::ops::Range<usize>, AccessError> {
    let (start, end) = (start as usize, (end as usize).min(len));
    if start <= end { Ok(start..end) } else { Err(AccessError::OutOfRange) }
}
