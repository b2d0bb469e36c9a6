//! A request or a reply made of texts.

use super::facts::head;
use crate::{AccessError, Head, Hit, Request, Role, SegInfo, SegKind};
use std::collections::BTreeMap;

/// A request or a reply made of texts. Its matchers are functions; the gateway compiles them from the manifest instead.
pub struct FakeRequest {
    head: Head,
    segments: Vec<(SegInfo, String)>,
    headers: BTreeMap<String, String>,
    attrs: BTreeMap<String, String>,
    json: BTreeMap<String, String>,
    matchers: BTreeMap<String, Matcher>,
    session: Option<String>,
}

/// Finds `(pattern, start, end)` in one segment's text.
type Matcher = Box<dyn Fn(&str) -> Vec<(u32, usize, usize)>>;

impl Default for FakeRequest {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeRequest {
    /// An empty chat request of organisation `test`.
    #[must_use]
    pub fn new() -> Self {
        Self {
            head: head(),
            segments: Vec::new(),
            headers: BTreeMap::new(),
            attrs: BTreeMap::new(),
            json: BTreeMap::new(),
            matchers: BTreeMap::new(),
            session: None,
        }
    }

    /// With another head.
    #[must_use]
    pub fn head(mut self, change: impl FnOnce(&mut Head)) -> Self {
        change(&mut self.head);
        self
    }

    /// With one more segment of text from the user.
    #[must_use]
    pub fn user(self, text: &str) -> Self {
        self.segment(Role::User, SegKind::Text, text)
    }

    /// With one more segment of text from the model: what a reply is made of.
    #[must_use]
    pub fn assistant(self, text: &str) -> Self {
        self.segment(Role::Assistant, SegKind::Text, text)
    }

    /// With a hash of the conversation.
    #[must_use]
    pub fn session(mut self, hash: &str) -> Self {
        self.session = Some(hash.to_owned());
        self
    }

    /// With one more segment.
    #[must_use]
    pub fn segment(mut self, role: Role, kind: SegKind, text: &str) -> Self {
        let index = count(self.segments.len());
        let info = SegInfo { index, role, kind, bytes: count(text.len()), tokens: None, name: None };
        self.segments.push((info, text.to_owned()));
        self.head.segment_count = index + 1;
        self
    }

    /// With a header; names are compared without case.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_ascii_lowercase(), value.to_owned());
        self
    }

    /// With a fact for [`Request::attr`].
    #[must_use]
    pub fn attr(mut self, key: &str, value: &str) -> Self {
        self.attrs.insert(key.to_owned(), value.to_owned());
        self
    }

    /// With the JSON text at a pointer.
    #[must_use]
    pub fn json(mut self, pointer: &str, json: &str) -> Self {
        self.json.insert(pointer.to_owned(), json.to_owned());
        self
    }

    /// With a matcher of literals, as a manifest's `literals`.
    #[must_use]
    pub fn literals(self, name: &str, literals: &[&str]) -> Self {
        let literals: Vec<String> = literals.iter().map(|&l| l.to_owned()).collect();
        self.matcher(name, move |text| {
            let hits_of = |(pattern, literal): (usize, &String)| {
                text.match_indices(literal.as_str())
                    .map(|(at, found)| (count(pattern), at, at + found.len()))
                    .collect::<Vec<_>>()
            };
            literals.iter().enumerate().flat_map(hits_of).collect()
        })
    }

    /// With a matcher of your own: `(pattern, start, end)` for each hit in a text.
    #[must_use]
    pub fn matcher(mut self, name: &str, find: impl Fn(&str) -> Vec<(u32, usize, usize)> + 'static) -> Self {
        self.matchers.insert(name.to_owned(), Box::new(find));
        self
    }

    /// The texts of the segments after the edits of a verdict: what the model would get.
    ///
    /// # Panics
    /// If an edit is out of range, out of order, overlaps another or cuts a character: the gateway would refuse it.
    #[must_use]
    #[allow(clippy::expect_used, reason = "documented: a test must see it")]
    pub fn edited(&self, verdict: &crate::Verdict) -> Vec<String> {
        let mut texts: Vec<String> = self.segments.iter().map(|(_, text)| text.clone()).collect();
        let crate::Outcome::Edit(edits) = &verdict.outcome else { return texts };
        assert!(
            edits.windows(2).all(
                |e| (e[0].segment, e[0].end) <= (e[1].segment, e[1].start) || e[0].segment < e[1].segment
            ),
            "edits overlap or are out of order"
        );
        for edit in edits.iter().rev() {
            let with = match &edit.replace {
                crate::Replacement::Text(text) => text.as_str(),
                crate::Replacement::Drop => "",
                crate::Replacement::Vault(class) | crate::Replacement::Hash(class) => class,
            };
            let text =
                texts.get_mut(edit.segment as usize).expect("an edit names a segment that does not exist");
            text.replace_range(edit.start as usize..edit.end as usize, with);
        }
        texts
    }

    /// The texts of the segments after a redactor's spans: what the model would get. A token shows as `[CLASS-1]`, counted
    /// from 1 and without its nonce; a hash as `[class]`.
    ///
    /// # Errors
    /// The rule of the first span that refuses the request.
    ///
    /// # Panics
    /// If a span is out of range, overlaps another or cuts a character, or names no entry: the gateway would refuse it.
    pub fn redacted(
        &self,
        spans: &[crate::Span],
        (masks, classes): (&[&str], &[&str]),
    ) -> Result<Vec<String>, u16> {
        if let Some(refused) = spans.iter().find(|span| span.replace == crate::Redaction::Refuse) {
            return Err(refused.rule);
        }
        let mut order: Vec<&crate::Span> = spans.iter().collect();
        order.retain(|span| span.replace != crate::Redaction::Report);
        order.sort_by_key(|span| (span.segment, span.start));
        let mut hidden: Vec<(u16, String)> = Vec::new();
        let edit = |span: &crate::Span| {
            let text = &self.segments[span.segment as usize].1[span.start as usize..span.end as usize];
            let with = match span.replace {
                crate::Redaction::Mask(index) => masks[usize::from(index)].to_owned(),
                crate::Redaction::Hash(index) => format!("[{}]", classes[usize::from(index)]),
                crate::Redaction::Vault(index) => {
                    let known = hidden.iter().position(|known| *known == (index, text.to_owned()));
                    let at = known.unwrap_or_else(|| {
                        hidden.push((index, text.to_owned()));
                        hidden.len() - 1
                    });
                    format!("[{}-{}]", classes[usize::from(index)].to_ascii_uppercase(), at + 1)
                }
                _ => String::new(),
            };
            let (segment, start, end) = (span.segment, span.start, span.end);
            crate::Edit { segment, start, end, replace: crate::Replacement::Text(with) }
        };
        let edits = order.into_iter().map(edit).collect();
        let outcome = crate::Outcome::Edit(edits);
        Ok(self.edited(&crate::Verdict { outcome, findings: Vec::new(), tags: Vec::new() }))
    }

    fn slice(&self, segment: u32, start: u32, end: u32) -> Result<&[u8], AccessError> {
        let (_, text) = self.segments.get(segment as usize).ok_or(AccessError::OutOfRange)?;
        let end = (end as usize).min(text.len());
        text.as_bytes().get(start as usize..end).ok_or(AccessError::OutOfRange)
    }
}

impl Request for FakeRequest {
    fn head(&self) -> Head {
        self.head.clone()
    }
    fn segments_from(&self, first: u32, max: u32) -> Vec<SegInfo> {
        self.segments.iter().skip(first as usize).take(max as usize).map(|(info, _)| info.clone()).collect()
    }
    fn text(&self, segment: u32, start: u32, end: u32) -> Result<String, AccessError> {
        let bytes = self.slice(segment, start, end)?;
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| AccessError::NotUtf8)
    }
    fn bytes(&self, segment: u32, start: u32, end: u32) -> Result<Vec<u8>, AccessError> {
        self.slice(segment, start, end).map(<[u8]>::to_vec)
    }
    fn header(&self, name: &str) -> Option<String> {
        self.headers.get(&name.to_ascii_lowercase()).cloned()
    }
    fn json(&self, pointer: &str, max_bytes: u32) -> Result<Option<String>, AccessError> {
        match self.json.get(pointer) {
            Some(json) if json.len() > max_bytes as usize => Err(AccessError::Budget),
            found => Ok(found.cloned()),
        }
    }
    fn scan(&self, matcher: &str) -> Result<Vec<Hit>, AccessError> {
        let find = self.matchers.get(matcher).ok_or(AccessError::NotGranted)?;
        let hits_in = |(info, text): &(SegInfo, String)| {
            let segment = info.index;
            find(text)
                .into_iter()
                .map(move |(pattern, start, end)| Hit {
                    pattern,
                    segment,
                    start: count(start),
                    end: count(end),
                })
                .collect::<Vec<_>>()
        };
        let mut hits: Vec<Hit> = self.segments.iter().flat_map(hits_in).collect();
        hits.sort_unstable_by_key(|hit| (hit.segment, hit.start, hit.end));
        Ok(hits)
    }
    fn attr(&self, key: &str) -> Option<String> {
        self.attrs.get(key).cloned()
    }
    fn session(&self) -> Option<String> {
        self.session.clone()
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
