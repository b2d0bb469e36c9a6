//! What the events of a stream add to its blocks.

use super::citation::own_json;
use super::turns::is_own;
use crate::neutral::{Event, Seal};
use std::borrow::Cow;

/// What a block is made of.
pub(super) enum Piece<'a> {
    /// More text.
    Text(Cow<'a, str>),
    /// More of why the model will not answer.
    Refusal(Cow<'a, str>),
    /// More thinking.
    Thinking(Cow<'a, str>),
    /// The proof of the thinking before it.
    Sealed(Seal<'a>),
    /// What the text cites, in Anthropic's own words.
    Citation(Cow<'a, str>),
    /// A whole block of Anthropic's own.
    Own(Cow<'a, str>),
    /// The next piece begins another block.
    Break,
    /// A call begins.
    CallStart { call: u32, id: Cow<'a, str>, name: Cow<'a, str> },
    /// More of a call's arguments.
    Arguments(u32, Cow<'a, str>),
    /// A call is complete.
    CallEnd(u32),
}

impl Piece<'_> {
    /// A copy for later.
    pub(super) fn kept(self) -> Piece<'static> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            Self::Text(text) => Piece::Text(own(text)),
            Self::Refusal(text) => Piece::Refusal(own(text)),
            Self::Thinking(text) => Piece::Thinking(own(text)),
            Self::Sealed(seal) => Piece::Sealed(seal.to_owned_seal()),
            Self::Citation(json) => Piece::Citation(own(json)),
            Self::Own(json) => Piece::Own(own(json)),
            Self::Break => Piece::Break,
            Self::CallStart { call, id, name } => Piece::CallStart { call, id: own(id), name: own(name) },
            Self::Arguments(call, text) => Piece::Arguments(call, own(text)),
            Self::CallEnd(call) => Piece::CallEnd(call),
        }
    }
}

/// What an event of the first answer adds to a block; nothing if it is empty or there is no place for it.
pub(super) fn piece<'e>(event: &'e Event<'_>) -> Option<Piece<'e>> {
    let some = |text: &'e str| (!text.is_empty()).then_some(Cow::Borrowed(text));
    match event {
        Event::Text { choice: 0, text } => some(text).map(Piece::Text),
        Event::Refusal { choice: 0, text } => some(text).map(Piece::Refusal),
        Event::Thinking { choice: 0, text } => some(text).map(Piece::Thinking),
        Event::Sealed { choice: 0, seal } => Some(Piece::Sealed(seal.clone())),
        Event::Citation { choice: 0, citation } => own_json(citation).and_then(some).map(Piece::Citation),
        Event::Other { choice: 0, kind, json } if is_own(kind) => Some(Piece::Own(Cow::Borrowed(json))),
        Event::Break { choice: 0 } => Some(Piece::Break),
        Event::CallStart { choice: 0, call, id, name, .. } => {
            Some(Piece::CallStart { call: *call, id: Cow::Borrowed(id), name: Cow::Borrowed(name) })
        }
        Event::CallArguments { call, text } => some(text).map(|text| Piece::Arguments(*call, text)),
        Event::CallEnd { call } => Some(Piece::CallEnd(*call)),
        _ => None,
    }
}
