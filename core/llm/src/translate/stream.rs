//! A stream on the way back, chunk by chunk.

use super::Back;
use super::codec::{self, Decoder, Encoder};
use super::gate::{Gate, Gated};
use super::restore::Restorer;
use super::scan::{Seen, Tally};
use crate::api::Api;
use crate::fault::{Said, UpstreamError};
use crate::neutral::Ask;
use crate::neutral::event::{Assembler, Event};
use crate::neutral::label::Label;
use crate::sse;
use crate::usage::Usage;
use bytes::Bytes;
use std::time::Instant;

/// Turns the events of a target's stream into the caller's.
pub struct Transcoder {
    api: Api,
    decoder: Decoder,
    restorer: Restorer,
    gated: Option<Gated>,
    encoder: Encoder,
    tally: Tally,
    input_guess: u64,
    recorded: Option<Assembler>,
}

impl Transcoder {
    pub(super) fn new(back: &Back, ask: &Ask<'_>) -> Self {
        let Back { api, dialect, ref names, input_guess } = *back;
        Self {
            api,
            decoder: Decoder::new(dialect),
            restorer: Restorer::new(names.clone(), api),
            gated: None,
            encoder: Encoder::new(api, ask),
            tally: Tally::default(),
            input_guess,
            recorded: None,
        }
    }

    /// Keeps what is needed to make a whole reply of the stream.
    #[must_use]
    pub fn recording(mut self, record: bool) -> Self {
        self.recorded = record.then(Assembler::default);
        self
    }

    /// Lets only pass what a gate lets pass.
    #[must_use]
    pub fn behind(mut self, gate: Box<dyn Gate>) -> Self {
        self.gated = Some(Gated::new(gate));
        self
    }

    /// Time has passed: what the gate kept only to wait for more is added to `out`.
    pub fn poke(&mut self, out: &mut Vec<u8>) {
        let Self { gated, encoder, recorded, .. } = self;
        if let Some(gated) = gated {
            gated.poke(&mut |event| {
                if let Some(recorded) = recorded {
                    recorded.push(&event);
                }
                encoder.push(&event, out);
            });
        }
    }

    /// When it wants to be poked; `None`: nothing waits for time to pass.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.gated.as_ref().and_then(Gated::due)
    }

    /// The gate, when the stream is over.
    pub fn take_gate(&mut self) -> Option<Box<dyn Gate>> {
        self.gated.take().map(Gated::into_gate)
    }

    /// Whether the gate has ended the stream: nothing more of it leaves.
    #[must_use]
    pub fn stopped(&self) -> bool {
        self.gated.as_ref().is_some_and(Gated::stopped)
    }

    /// Turns one event; what the caller is sent is added to `out`. What belongs to the end goes to `last`, which may
    /// leave only when the reply is settled.
    pub fn feed(&mut self, event: &sse::Event<'_>, out: &mut Vec<u8>, last: &mut Vec<u8>) -> Seen {
        let before = self.tally.pieces;
        self.turn(|decoder, sink| decoder.feed(event, sink), out, last);
        match () {
            () if self.tally.error.is_some() => Seen::Error,
            () if self.tally.last => Seen::Last,
            () if self.tally.pieces == before => Seen::Nothing,
            () => Seen::Piece,
        }
    }

    /// The body ended cleanly: whether the reply is whole. Its last frames are added to `last` then.
    pub fn end(&mut self, out: &mut Vec<u8>, last: &mut Vec<u8>) -> bool {
        if !self.tally.last && self.tally.error.is_none() {
            self.turn(|decoder, sink| decoder.end(sink), out, last);
        }
        self.tally.last
    }

    /// The in-protocol error that ends a stream which cannot be completed.
    pub fn fail(&mut self, said: &Said<'_>) -> Bytes {
        let mut out = Vec::new();
        self.encoder.fail(said, &mut out);
        out.into()
    }

    /// The last usage that was reported.
    #[must_use]
    pub const fn usage(&self) -> Option<Usage> {
        self.tally.usage
    }

    /// Decoded bytes of what the model wrote so far.
    #[must_use]
    pub const fn content_bytes(&self) -> u64 {
        self.tally.content_bytes
    }

    /// Who writes it, and why its answers ended, as far as it has said so.
    #[must_use]
    pub const fn label(&self) -> Label {
        self.tally.label
    }

    /// The error that the provider reported in the stream.
    #[must_use]
    pub const fn error(&self) -> Option<&UpstreamError> {
        self.tally.error.as_ref()
    }

    /// Whether the stream is recorded.
    #[must_use]
    pub const fn records(&self) -> bool {
        self.recorded.is_some()
    }

    /// Ends the recording, and drops what it has.
    pub fn forget(&mut self) {
        self.recorded = None;
    }

    /// The stream as one whole reply in the caller's form.
    pub fn recorded(&mut self, ask: &Ask<'_>) -> Option<Bytes> {
        let reply = self.recorded.take()?.finish();
        Some(codec::write_reply(self.api, &reply, ask).into())
    }

    fn turn(
        &mut self,
        read: impl FnOnce(&mut Decoder, &mut dyn FnMut(Event<'_>)),
        out: &mut Vec<u8>,
        last: &mut Vec<u8>,
    ) {
        let Self { decoder, restorer, gated, encoder, tally, recorded, input_guess, .. } = self;
        read(decoder, &mut |event| {
            restorer.push(event, &mut |event| {
                // What the model wrote is billed, whatever of it may leave.
                tally.note(&event);
                let mut sink = |event: Event<'_>| {
                    if let Some(recorded) = recorded {
                        recorded.push(&event);
                    }
                    match event {
                        // It is said in the caller's words, with the request's id, by whoever settles the exchange.
                        Event::Error(_) => {}
                        Event::End => {
                            if tally.usage.is_none() {
                                let usage = super::guessed(*input_guess, tally.content_bytes);
                                encoder.push(&Event::Usage(usage), last);
                            }
                            encoder.push(&event, last);
                        }
                        event => encoder.push(&event, out),
                    }
                };
                match gated {
                    Some(gated) => gated.pass(event, &mut sink),
                    None => sink(event),
                }
            });
        });
    }
}
