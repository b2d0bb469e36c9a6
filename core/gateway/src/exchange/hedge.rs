//! A second target is asked when the first is slow to answer, if the plan says so; whoever commits first wins, and the
//! other is cancelled.

use super::admit::Admitted;
use super::attempt::{Call, Committed, Failed, Ready, unless_ending};
use super::attend::attend;
use super::{End, Exchange, ask, told};
use crate::buffered::Held;
use crate::crowd::Places;
use crate::snapshot::Bound;
use crate::telemetry::live::InFlight;
use crate::upstream::Insist;
use pingora::time::tokio_timeout as timeout;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use weir_llm::estimate;
use weir_llm::price::Nanos;
use weir_llm::request::Request;
use weir_llm::usage::Usage;
use weir_policy::pipeline::Streams;
use weir_policy::{ErrorClass, Plan, RequestView, Step, Strategy};

/// What came of a race.
pub(super) struct Raced {
    /// The first commit, or the last failure.
    pub(super) result: Result<Committed, Failed>,
    /// The failure before the last one.
    pub(super) other: Option<Failed>,
    /// Whether the second target was asked at all.
    pub(super) second: bool,
}

impl Raced {
    const fn alone(result: Result<Committed, Failed>) -> Self {
        Self { result, other: None, second: false }
    }
}

/// What is noted of a try when it is over.
struct Try<'a> {
    bound: &'a Bound,
    key: usize,
    span: u64,
    began: Instant,
    in_flight: (InFlight, Places),
}

/// A try that may run.
struct Runner<'a> {
    call: Call,
    request: Arc<Request>,
    gate: Option<Streams>,
    own: Try<'a>,
}

/// A race that is to be run.
pub(super) struct Race<'a> {
    pub(super) admitted: &'a Admitted,
    pub(super) view: &'a Arc<RequestView>,
    pub(super) request: &'a Arc<Request>,
    /// Whether the reply is collected.
    pub(super) record: bool,
    pub(super) first: &'a Step,
    pub(super) ready: Ready,
    pub(super) second: &'a Step,
    /// How long the first may be silent.
    pub(super) delay: Duration,
}

/// How long the first target of a plan may be silent before the second is asked too; `None`: however long it takes.
pub(super) fn delay(plan: &Plan, most: usize) -> Option<Duration> {
    match plan.strategy {
        Strategy::Hedge(ms) if most > 1 && plan.steps.len() > 1 => Some(Duration::from_millis(ms.into())),
        _ => None,
    }
}

impl Exchange<'_> {
    /// Asks one target, and if it does not commit in time a second one beside it.
    ///
    /// # Errors
    /// The caller has gone, or the gateway goes.
    pub(super) async fn race(&mut self, race: Race<'_>) -> Result<Raced, End> {
        let gateway = self.gateway;
        let (mut one, mut two) = (gateway.buffered.open(), gateway.buffered.open());
        let (raced, second) = self.both(race, &mut one, &mut two).await?;
        // What the winner holds is held for the caller; what anybody else held is given back.
        if raced.result.is_ok() {
            self.held.absorb(if second { two } else { one });
        }
        Ok(raced)
    }

    /// The race, and whether the second one's bytes are those to keep.
    async fn both(
        &mut self,
        race: Race<'_>,
        one_holds: &mut Held<'_>,
        two_holds: &mut Held<'_>,
    ) -> Result<(Raced, bool), End> {
        let Race { admitted, view, request, record, first, ready, second, delay } = race;
        let gateway = self.gateway;
        let (id, shown) = (Arc::clone(&self.id), told(admitted));
        let shown = |sent: &Arc<Request>| Arc::clone(shown.as_ref().unwrap_or(sent));

        let Runner { call, request: sent, gate, own: one } = self.runner(admitted, view, first, ready)?;
        let shown_one = shown(&sent);
        let (name, at) = (&admitted.route.name, self.record.started_at);
        let ask_one = ask(&shown_one, &id, name, at);
        let mut running_one = pin!(call.run(&sent, &ask_one, (record, gate), one_holds));
        match self.attended(timeout(delay, running_one.as_mut())).await {
            Err(end) => return Err(self.given_up(one, end)),
            Ok(Ok(result)) => return Ok((Raced::alone(self.concluded(one, result)), false)),
            Ok(Err(_)) => {}
        }

        // The second is made ready only now: most of the time nobody asks it.
        let bound = admitted.route.bound.get(usize::from(second.target));
        let there = bound.is_some_and(|bound| self.snapshot.live.is_there(bound.live));
        // Both are watched until one has won.
        let slots = gateway.slots.take(admitted.route.asked.slots(request.stream()));
        let ready = match there && slots.is_ok() {
            true => self.prepared(admitted, view, (second, Insist::No), request).await.map(Result::ok),
            false => Ok(None),
        };
        // A second try is a favour: what keeps it from beginning is no reason to end the first.
        let runner = match ready {
            Err(End::Gone) => return Err(self.given_up(one, End::Gone)),
            Ok(Some(ready)) => self.runner(admitted, view, second, ready).ok(),
            Ok(None) | Err(End::Refused(_) | End::Broken) => None,
        };
        let Some(Runner { call, request: sent, gate, own: two }) = runner else {
            return match self.attended(running_one.as_mut()).await {
                Err(end) => Err(self.given_up(one, end)),
                Ok(result) => Ok((Raced::alone(self.concluded(one, result)), false)),
            };
        };
        let shown_two = shown(&sent);
        let ask_two = ask(&shown_two, &id, name, at);
        let mut running_two = pin!(call.run(&sent, &ask_two, (record, gate), two_holds));
        let either = async {
            tokio::select! {
                biased;
                result = running_one.as_mut() => (false, result),
                result = running_two.as_mut() => (true, result),
            }
        };
        let (is_second, result) = match self.attended(either).await {
            Err(end) => {
                let end = self.given_up(one, end);
                return Err(self.given_up(two, end));
            }
            Ok(ended) => ended,
        };
        let (ended, other) = if is_second { (two, one) } else { (one, two) };
        if result.is_ok() {
            self.cancelled(other, request);
            let result = self.concluded(ended, result);
            return Ok((Raced { result, other: None, second: true }, is_second));
        }
        // One has failed: the other runs on alone.
        let failed = self.concluded(ended, result).err();
        let rest = match is_second {
            true => self.attended(running_one.as_mut()).await,
            false => self.attended(running_two.as_mut()).await,
        };
        match rest {
            Err(end) => Err(self.given_up(other, end)),
            Ok(result) => {
                let result = self.concluded(other, result);
                Ok((Raced { result, other: failed, second: true }, !is_second))
            }
        }
    }

    fn runner<'a>(
        &mut self,
        admitted: &'a Admitted,
        view: &Arc<RequestView>,
        step: &Step,
        ready: Ready,
    ) -> Result<Runner<'a>, End> {
        let Ready { outgoing, places, key, span, request } = ready;
        let gate = self.gate(admitted, view)?;
        let at = usize::from(step.target);
        let (target, bound) = (&admitted.route.table[at], &admitted.route.bound[at]);
        let call = Call::new(self, step, target, bound, outgoing);
        let in_flight = (self.snapshot.live.started(bound.live), places);
        let own = Try { bound, key, span, began: call.began(), in_flight };
        Ok(Runner { call, request, gate, own })
    }

    /// Waits for work, unless the caller or the gateway goes first.
    async fn attended<T>(&mut self, work: impl Future<Output = T>) -> Result<T, End> {
        let work = pin!(unless_ending(&self.gateway.drain, work));
        Ok(attend(self.session, &mut self.watched, work).await??)
    }

    /// Notes how a try ended, and what it says of its target and its key.
    #[allow(clippy::result_large_err, reason = "moved once, where an attempt failed")]
    fn concluded(&mut self, own: Try<'_>, result: Result<Committed, Failed>) -> Result<Committed, Failed> {
        let Try { bound, key, span, began, in_flight } = own;
        self.conclude((bound, key, span, began), in_flight, result)
    }

    /// The try that was too late. What its provider takes for it nobody will say: it is estimated.
    fn cancelled(&mut self, own: Try<'_>, request: &Request) {
        self.note(own.bound, own.span, own.began, None, Some(ErrorClass::Cancelled));
        let usage = Usage { input: estimate::input_guess(request), ..Usage::default() };
        let cost = own.bound.prices.as_ref().and_then(|prices| prices.cost(&usage).ok());
        self.lost = self.lost.zip(cost).map(|(lost, cost)| Nanos(lost.0.saturating_add(cost.0)));
    }

    /// The caller or the gateway goes, and the try with it.
    fn given_up(&mut self, own: Try<'_>, end: End) -> End {
        self.note(own.bound, own.span, own.began, None, Some(ErrorClass::Cancelled));
        end
    }
}
