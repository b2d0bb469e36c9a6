//! What policies hid from the model is given back to the caller: behind every policy that sees the reply, and nowhere else.

use super::admit::Admitted;
use super::{End, Exchange};
use crate::refusal::Refusal;
use std::sync::Arc;
use weir_llm::api::Api;
use weir_llm::payload::Payload;
use weir_policy::pipeline::Streams;
use weir_policy::vault::Restorer;
use weir_policy::{Hook, RequestView};

/// A whole reply as its caller gets it.
pub fn restored(view: &RequestView, api: Api, body: Payload) -> Payload {
    match Restorer::new(view.vault()) {
        Some(restorer) => restorer.reply(api, body.expose()).into(),
        None => body,
    }
}

/// A policy's own words, which may repeat what it has read.
pub fn restored_text(view: &RequestView, text: String) -> String {
    match Restorer::new(view.vault()) {
        Some(restorer) => restorer.text(&text, false),
        None => text,
    }
}

impl Exchange<'_> {
    /// The policies that watch the stream, if it will be one, and what restores behind them. `None`: its bytes may pass.
    ///
    /// # Errors
    /// A policy could not begin, and its manifest says `closed`.
    pub fn gate(&mut self, admitted: &Admitted, view: &Arc<RequestView>) -> Result<Option<Streams>, End> {
        let asked = admitted.route.asked;
        if !view.head().stream {
            return Ok(None);
        }
        let streams = match asked.has(Hook::Stream) || asked.has(Hook::Redact) {
            true => self.snapshot.pipeline.stream(view, &mut self.trace),
            false => Ok(None),
        };
        let streams = streams.map_err(|refused| End::from(Refusal::from(refused.deny)))?;
        // What is collected is restored as a whole, behind those who want it whole.
        if view.vault().is_empty() || self.collects(admitted) {
            return Ok(streams);
        }
        Ok(Some(streams.unwrap_or_else(|| Streams::unwatched(view)).restoring()))
    }
}
