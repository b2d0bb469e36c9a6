//! The calls.

use crate::config::{OnError, Settings};
use crate::pieces::{self, Piece};
use crate::wire::{Answer, Ask};
use weir_sdk::http::{self, HttpError, Inbound, Outbound};
use weir_sdk::{Direction, Head, Request};

/// An answer, and the pieces that it is about.
pub(crate) struct Answered {
    pub(crate) pieces: Vec<Piece>,
    pub(crate) answer: Answer,
}

/// What came back: all answers, and whether they are about all there is.
pub(crate) struct Answers {
    pub(crate) answered: Vec<Answered>,
    pub(crate) unchecked: Option<Unchecked>,
}

/// Why content could not be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unchecked {
    /// There is more than may be sent.
    TooLarge,
    /// The service may not see it: the alias's retention terms are looser than the exchange's.
    Terms,
    /// No answer, or none that the contract allows.
    NoAnswer,
}

/// Asks about everything that the settings want checked.
///
/// Failing open, what was answered counts whatever became of the rest; failing closed, one failure is enough.
pub(crate) fn ask(
    head: &Head,
    view: &dyn Request,
    direction: Direction,
    settings: &Settings,
) -> Result<Answers, Unchecked> {
    let pieces = pieces::cut(view, settings).map_err(|_| Unchecked::NoAnswer)?;
    let mut unchecked = (!pieces.complete).then_some(Unchecked::TooLarge);
    if let Some(why) = unchecked.filter(|_| settings.on_error == OnError::Closed) {
        return Err(why);
    }
    let calls: Vec<Outbound> = pieces
        .calls
        .iter()
        .map(|pieces| call(head, pieces, direction, settings))
        .collect::<Result<_, _>>()?;
    let replies = if calls.is_empty() { Vec::new() } else { http::send_all(&calls) };
    let mut answered = Vec::with_capacity(replies.len());
    for (pieces, reply) in pieces.calls.into_iter().zip(replies) {
        match read(reply) {
            Ok(answer) => answered.push(Answered { pieces, answer }),
            Err(why) => unchecked = Some(why),
        }
    }
    Ok(Answers { answered, unchecked })
}

fn call(
    head: &Head,
    pieces: &[Piece],
    direction: Direction,
    settings: &Settings,
) -> Result<Outbound, Unchecked> {
    let ask = Ask {
        direction: match direction {
            Direction::Request => "request",
            Direction::Reply => "reply",
        },
        texts: pieces.iter().map(|piece| piece.text.as_str()).collect(),
        model: &head.requested_model,
        request_id: &head.request_id,
    };
    let body = serde_json::to_vec(&ask).map_err(|_| Unchecked::NoAnswer)?;
    let call = Outbound::post(&settings.alias, &settings.path, body);
    Ok(call.header("content-type", "application/json").timeout_ms(settings.timeout_ms))
}

fn read(reply: Result<Inbound, HttpError>) -> Result<Answer, Unchecked> {
    match reply {
        Ok(reply) if reply.status == 200 && !reply.truncated => {
            serde_json::from_slice(&reply.body).map_err(|_| Unchecked::NoAnswer)
        }
        // The alias is there, or the policy would not have been loaded: it is the terms.
        Err(HttpError::NotGranted) => Err(Unchecked::Terms),
        Ok(_) | Err(_) => Err(Unchecked::NoAnswer),
    }
}
