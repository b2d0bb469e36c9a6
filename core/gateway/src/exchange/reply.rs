//! A whole reply: settled, marked with our headers, written.

use super::admit::Admitted;
use super::attempt::{Served, Whole};
use super::replay::Recording;
use super::restore::restored;
use super::screen::Screened;
use super::settle::{Close, Money, Outcome};
use super::{End, Exchange, words};
use crate::ingress::respond::{self, Head, name};
use crate::refusal::Refusal;
use crate::telemetry::record::CacheState;
use std::sync::Arc;
use weir_llm::estimate;
use weir_llm::neutral::label::Label;
use weir_llm::price::Nanos;
use weir_llm::request::Request;
use weir_llm::translate;
use weir_llm::usage::{Source, Usage};
use weir_policy::Hook;

/// Headers of every answer, apart from the exchange that they are about.
pub struct Marks {
    generation: Arc<str>,
    attempts: usize,
    explanation: Option<String>,
}

impl Exchange<'_> {
    /// Settles and writes a complete reply.
    ///
    /// # Errors
    /// The ledger did not take the posting, or the caller has gone.
    pub async fn reply(
        &mut self,
        admitted: Admitted,
        request: &Request,
        whole: Whole,
        recording: Option<Recording>,
    ) -> Result<(), End> {
        let Whole { served, body, summary, watched } = whole;
        self.label(&admitted, &served, &summary.label);
        let (usage, source) = summary.usage.map_or_else(
            || (guessed(request, summary.content_bytes), Source::Estimate),
            |usage| (usage, Source::Provider),
        );
        let watches = admitted.route.asked.has(Hook::Stream) && request.stream() && !watched;
        if watches && self.snapshot.pipeline.sees_streams_only(admitted.view.head()) {
            let message = format!(
                "{} answered a request for a stream with a whole reply, which the policies that watch streams cannot see.",
                served.id
            );
            let blocked = Screened::Blocked(Refusal::bad_gateway("unreadable_reply", message));
            return self.screened(admitted, request, served, (usage, source), Ok(blocked)).await;
        }
        let body = match self.screen(&admitted, request, &served, body, (usage, source)).await {
            Ok(Screened::Body(body)) => restored(&admitted.view, request.api(), body),
            other => return self.screened(admitted, request, served, (usage, source), other).await,
        };
        let model = admitted.route.name.clone();
        // A policy may have hidden something when the cache had been asked already.
        let keeps = summary.complete && admitted.view.vault().is_empty();
        let took = served.began.elapsed();
        self.snapshot.live.succeeded(served.bound.live, took, usage.output, took);
        let close =
            Close { outcome: Outcome::Ok, served: Some(served.clone()), usage, source, saved: Nanos(0) };
        let money = self.settle(admitted, close).await?;
        if let Some(recording) = recording.filter(|_| keeps) {
            self.store(recording, body.expose(), &served, usage, money);
        }
        self.record.status = 200;
        if request.stream() {
            // The provider answered a request for a stream with a whole reply; the caller gets what it asked for.
            let frames = translate::replay(request.api(), body.expose(), &self.ask(request, &model));
            let mut head = respond::stream_head(&self.id);
            self.mark(&mut head, Some((&served, Some(money))));
            self.record.bytes_out = frames.iter().map(|frame| frame.len() as u64).sum();
            return Ok(respond::frames(self.session, head, frames).await?);
        }
        let mut head = respond::json_head(200, body.len(), &self.id)?;
        self.mark(&mut head, Some((&served, Some(money))));
        self.record.ttft = Some(self.started.elapsed());
        self.record.bytes_out = body.len() as u64;
        Ok(respond::content(self.session, head, body).await?)
    }

    /// Tells telemetry who wrote the reply and why it ended.
    pub fn label(&mut self, admitted: &Admitted, served: &Served, label: &Label) {
        let asked = admitted.route.table.get(usize::from(served.target)).map_or("", |target| &target.model);
        self.record.response_model = words::model(label.model, asked, admitted.terms.retention);
        self.record.ends = label.ends;
    }

    /// What a refusal says as well as a reply: which policies were asked, how many targets, and how it was decided.
    pub fn marks(&self) -> Marks {
        Marks {
            generation: Arc::clone(&self.snapshot.generation_text),
            attempts: self.record.attempts.len(),
            explanation: self.explanation(),
        }
    }

    /// Adds our headers: what happened on the way, without content.
    pub fn mark(&self, head: &mut Head, served: Option<(&Served, Option<Money>)>) {
        use respond::{put, put_text};
        self.marks().put(head);
        put_text(head, name::CACHE, self.record.cache.as_str());
        let Some((served, money)) = served else { return };
        put_text(head, name::TARGET, &served.id);
        if let Some(money) = money {
            let cost = money.cost.map_or_else(|| "unknown".to_owned(), |_| usd(money.charged));
            put_text(head, name::COST, &cost);
        }
        if self.record.cache != CacheState::Hit {
            for (name, value) in &served.headers {
                put(head, name, value);
            }
        }
    }
}

impl Marks {
    /// Adds them to a head.
    pub fn put(&self, head: &mut Head) {
        respond::put_text(head, name::GENERATION, &self.generation);
        respond::put_number(head, name::ATTEMPTS, self.attempts as u64);
        if let Some(explanation) = &self.explanation {
            respond::put_text(head, name::EXPLAIN, explanation);
        }
    }
}

/// Counted here since the provider did not count: marked as an estimate wherever it is shown.
pub fn guessed(request: &Request, content_bytes: u64) -> Usage {
    Usage {
        input: estimate::input_guess(request),
        output: estimate::output_guess(content_bytes),
        ..Usage::default()
    }
}

/// Dollars with all nine decimals, exactly.
pub fn usd(amount: Nanos) -> String {
    const DOLLAR: u64 = 1_000_000_000;
    let (sign, nanos) = (if amount.0 < 0 { "-" } else { "" }, amount.0.unsigned_abs());
    let (mut whole, mut fraction) = (itoa::Buffer::new(), itoa::Buffer::new());
    // A one in front keeps the zeros behind it.
    let fraction = &fraction.format(nanos % DOLLAR + DOLLAR)[1..];
    [sign, whole.format(nanos / DOLLAR), ".", fraction].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_exact() {
        assert_eq!(usd(Nanos(0)), "0.000000000");
        assert_eq!(usd(Nanos(1)), "0.000000001");
        assert_eq!(usd(Nanos(-12_345_678_901)), "-12.345678901");
        assert_eq!(usd(Nanos(i64::MIN)), "-9223372036.854775808");
    }
}
