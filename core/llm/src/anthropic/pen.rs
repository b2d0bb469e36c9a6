//! Writes one block of a request at a time.

use super::citation;
use super::media;
use super::turns::{Block, Kind, is_own};
use crate::json::Writer;
use crate::neutral::names::fitted;
use crate::neutral::{CacheTtl, Call, Content, Names, Part, Thinking, ToolResult, Untranslatable, arguments};
use std::borrow::Cow;

/// Most bytes of a tool's name.
pub(super) const LONGEST_NAME: usize = 128;
/// Most cache marks of a request.
const MOST_MARKS: usize = 4;

/// What a call is answered with whose result the caller has lost.
const LOST: &str = "There is no result of this call.";
/// What a tool says that failed without a word: an empty error is refused.
const FAILED: &str = "The tool failed.";

/// A body that is being written.
pub(super) struct Pen<'n> {
    /// What there is of it.
    pub(super) json: Writer,
    names: &'n Names,
    /// So many cache marks are left out: the last ones are those that cover most of the prompt.
    skip: usize,
}

impl<'n> Pen<'n> {
    /// A pen for a body with so many cache marks.
    pub(super) fn new(names: &'n Names, marks: usize) -> Self {
        Self { json: Writer::with_capacity(4096), names, skip: marks.saturating_sub(MOST_MARKS) }
    }

    /// A tool's name as the target knows it, declared or not.
    pub(super) fn name<'a>(&'a self, name: &'a str) -> Cow<'a, str> {
        fitted(self.names.at_target(name), LONGEST_NAME)
    }

    /// The member `cache_control`, if there is a mark and not too many follow.
    pub(super) fn mark(&mut self, cache: Option<CacheTtl>) {
        let Some(ttl) = cache else { return };
        if self.skip > 0 {
            self.skip -= 1;
            return;
        }
        self.json.key("cache_control").begin_object().text("type", "ephemeral");
        if ttl == CacheTtl::OneHour {
            self.json.text("ttl", ttl.as_str());
        }
        self.json.end_object();
    }

    /// A list of blocks.
    pub(super) fn blocks(&mut self, blocks: &[Block<'_>]) -> Result<(), Untranslatable> {
        self.json.begin_array();
        for block in blocks {
            self.block(block)?;
        }
        self.json.end_array();
        Ok(())
    }

    fn block(&mut self, block: &Block<'_>) -> Result<(), Untranslatable> {
        if let Kind::Own(json) = block.kind {
            self.json.raw(json);
            return Ok(());
        }
        self.json.begin_object();
        match &block.kind {
            Kind::Text(text, citations) => {
                self.json.text("type", "text").text("text", text);
                citation::write(citations, &mut self.json);
            }
            Kind::Media(media) => media::write(media, &mut self.json)?,
            Kind::Call(id, call) => self.call(id, call),
            Kind::Result(id, result) => self.result(id, *result)?,
            Kind::Thinking(thinking) => self.thinking(thinking),
            Kind::Own(_) => {}
        }
        self.mark(block.mark());
        self.json.end_object();
        Ok(())
    }

    fn call(&mut self, id: &str, call: &Call<'_>) {
        let name = self.name(&call.name).into_owned();
        let wrapped = call.custom.then(|| arguments::wrapped_text(&call.arguments));
        let given = wrapped.as_deref().unwrap_or(&call.arguments);
        self.json.text("type", "tool_use").text("id", id).text("name", &name);
        self.json.key("input").raw(&arguments::as_object(given));
    }

    fn result(&mut self, id: &str, result: Option<&ToolResult<'_>>) -> Result<(), Untranslatable> {
        self.json.text("type", "tool_result").text("tool_use_id", id);
        let parts = result.map(|result| result.parts.as_slice()).unwrap_or_default();
        let failed = result.is_none_or(|result| result.is_error);
        let silent = match result {
            None => LOST,
            Some(_) => FAILED,
        };
        if parts.iter().any(has_content) {
            self.json.key("content").begin_array();
            for part in parts.iter().filter(|part| has_content(part)) {
                self.inner(part)?;
            }
            self.json.end_array();
        } else if failed {
            self.json.text("content", silent);
        }
        if failed {
            self.json.key("is_error").bool(true);
        }
        Ok(())
    }

    /// What a result holds; its cache marks stand on the result as a whole.
    fn inner(&mut self, part: &Part<'_>) -> Result<(), Untranslatable> {
        match &part.content {
            Content::Text { text, .. } | Content::Refusal(text) => {
                self.json.begin_object().text("type", "text").text("text", text).end_object();
            }
            Content::Media(media) => {
                self.json.begin_object();
                media::write(media, &mut self.json)?;
                self.json.end_object();
            }
            Content::Other { json, .. } => {
                self.json.raw(json);
            }
            Content::Call(_) | Content::Result(_) | Content::Thinking(_) => {}
        }
        Ok(())
    }

    fn thinking(&mut self, thinking: &Thinking<'_>) {
        let Some(seal) = &thinking.seal else { return };
        if seal.hidden {
            self.json.text("type", "redacted_thinking").text("data", &seal.data);
        } else {
            self.json.text("type", "thinking").text("thinking", &thinking.text);
            self.json.text("signature", &seal.data);
        }
    }
}

impl Block<'_> {
    /// The mark on the block or on what its result holds.
    pub(super) fn mark(&self) -> Option<CacheTtl> {
        match &self.kind {
            Kind::Thinking(_) | Kind::Own(_) => None,
            Kind::Result(_, Some(result)) => {
                self.cache.or_else(|| result.parts.iter().rev().find_map(|part| part.cache))
            }
            _ => self.cache,
        }
    }
}

fn has_content(part: &Part<'_>) -> bool {
    match &part.content {
        Content::Text { text, .. } | Content::Refusal(text) => !text.trim().is_empty(),
        Content::Media(_) => true,
        Content::Other { kind, .. } => is_own(kind),
        Content::Call(_) | Content::Result(_) | Content::Thinking(_) => false,
    }
}
