//! The request and the targets, as hooks see them.

use crate::bindings::imports::weir::policy::{request as host_request, targets as host_targets};
use crate::{AccessError, Head, Hit, Live, SegInfo, Size, Target};
use std::rc::Rc;

/// The request or a reply by reference: content is fetched slice by slice. Every method but [`Request::head`],
/// [`Request::size`] and [`Request::session`] reads content, and an instance that has read content is dropped after the call.
pub trait Request {
    /// The small facts.
    fn head(&self) -> Head;
    /// How large the request is: what the head says of it, without a dozen texts to copy.
    fn size(&self) -> Size {
        let Head { body_bytes, segment_count, est_input_tokens, max_output_tokens, .. } = self.head();
        Size { body_bytes, segment_count, est_input_tokens, max_output_tokens }
    }
    /// Up to `max` segments from `first` on.
    fn segments_from(&self, first: u32, max: u32) -> Vec<SegInfo>;
    /// A slice of a segment's decoded text; `end` is clamped, both ends must lie on characters.
    ///
    /// # Errors
    /// [`AccessError`], as every method that reads content.
    #[allow(missing_docs, reason = "the errors are those of the type")]
    fn text(&self, segment: u32, start: u32, end: u32) -> Result<String, AccessError>;
    /// A slice of a segment's decoded bytes.
    ///
    /// # Errors
    /// As [`Request::text`].
    fn bytes(&self, segment: u32, start: u32, end: u32) -> Result<Vec<u8>, AccessError>;
    /// A request header that is no credential.
    fn header(&self, name: &str) -> Option<String>;
    /// JSON text of the node at an RFC 6901 pointer.
    ///
    /// # Errors
    /// As [`Request::text`].
    fn json(&self, pointer: &str, max_bytes: u32) -> Result<Option<String>, AccessError>;
    /// Every hit of a matcher of the manifest, in every segment; the host does the work.
    ///
    /// # Errors
    /// As [`Request::text`].
    fn scan(&self, matcher: &str) -> Result<Vec<Hit>, AccessError>;
    /// What an earlier policy noted under a key, else the request's tag of that name.
    fn attr(&self, key: &str) -> Option<String>;
    /// A keyed hash that is the same for all requests of one conversation, if it can be told.
    fn session(&self) -> Option<String>;

    /// The text of a hit.
    ///
    /// # Errors
    /// As [`Request::text`].
    fn hit_text(&self, hit: &Hit) -> Result<String, AccessError> {
        self.text(hit.segment, hit.start, hit.end)
    }
}

impl dyn Request + '_ {
    /// All segments, fetched in batches.
    pub fn segments(&self) -> impl Iterator<Item = SegInfo> + '_ {
        const BATCH: u32 = 64;
        let mut next = 0;
        let mut batch = Vec::new().into_iter();
        let mut last = false;
        std::iter::from_fn(move || {
            loop {
                if let Some(segment) = batch.next() {
                    return Some(segment);
                }
                if last {
                    return None;
                }
                let fresh = self.segments_from(next, BATCH);
                next += BATCH;
                last = fresh.len() < BATCH as usize;
                batch = fresh.into_iter();
            }
        })
    }
}

/// What routing sees. Needs the capability `targets`.
pub trait Targets {
    /// All targets of this generation; plans name them by index.
    fn table(&self) -> Rc<[Target]>;
    /// The targets that this request may use, in the operator's order, with what is known of them now.
    fn candidates(&self) -> Vec<Live>;
}

/// The request behind the host's handle.
#[doc(hidden)]
pub struct HostRequest<'a>(pub &'a host_request::RequestView);

impl Request for HostRequest<'_> {
    fn head(&self) -> Head {
        self.0.head()
    }
    fn size(&self) -> Size {
        self.0.size()
    }
    fn segments_from(&self, first: u32, max: u32) -> Vec<SegInfo> {
        self.0.segments(first, max)
    }
    fn text(&self, segment: u32, start: u32, end: u32) -> Result<String, AccessError> {
        self.0.text(segment, start, end)
    }
    fn bytes(&self, segment: u32, start: u32, end: u32) -> Result<Vec<u8>, AccessError> {
        self.0.bytes(segment, start, end)
    }
    fn header(&self, name: &str) -> Option<String> {
        self.0.header(name)
    }
    fn json(&self, pointer: &str, max_bytes: u32) -> Result<Option<String>, AccessError> {
        self.0.json(pointer, max_bytes)
    }
    fn scan(&self, matcher: &str) -> Result<Vec<Hit>, AccessError> {
        self.0.scan(matcher)
    }
    fn attr(&self, key: &str) -> Option<String> {
        self.0.attr(key)
    }
    fn session(&self) -> Option<String> {
        self.0.session()
    }
}

/// The targets behind the host's functions. The table does not change while an instance lives: it is fetched once.
#[doc(hidden)]
pub struct HostTargets;

impl Targets for HostTargets {
    fn table(&self) -> Rc<[Target]> {
        thread_local!(static TABLE: std::cell::OnceCell<Rc<[Target]>> = const { std::cell::OnceCell::new() });
        TABLE.with(|table| table.get_or_init(|| host_targets::table().into()).clone())
    }
    fn candidates(&self) -> Vec<Live> {
        host_targets::candidates()
    }
}
