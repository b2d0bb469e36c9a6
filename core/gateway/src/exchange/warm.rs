//! Which prompt caches may know the beginning of this request: told to policies that can ask, learned from its end.

use super::Exchange;
use super::admit::Admitted;
use super::settle::{Close, Outcome};
use crate::warmth::{Beginning, Places, Use, Warmth};
use std::sync::{Arc, OnceLock};
use std::time::Instant;
use weir_llm::request::Request;
use weir_llm::usage::Source;
use weir_policy::{Candidates, Live, LiveFacts, TargetTable};

/// The live facts of one request's targets, and how warm each is for it.
pub struct Warm {
    facts: Arc<dyn LiveFacts>,
    table: TargetTable,
    warmth: Arc<Warmth>,
    request: Arc<Request>,
    secret: [u8; 32],
    tenant: Arc<str>,
    /// Found when somebody asks first, and the same for the whole exchange.
    known: OnceLock<Option<(Beginning, Places)>>,
}

/// What is to be noted once the caller has its reply.
pub struct Sent {
    warm: Arc<Warm>,
    target: u16,
    at: Instant,
    cached: Option<bool>,
}

impl Warm {
    /// The beginning, and where it was sent before.
    fn known(&self) -> Option<&(Beginning, Places)> {
        let find = || {
            let beginning = Beginning::of(&self.request, &self.secret, &self.tenant)?;
            Some((beginning, self.warmth.places(beginning)))
        };
        self.known.get_or_init(find).as_ref()
    }

    fn of(&self, target: u16) -> f32 {
        let known = self.known().zip(self.table.get(usize::from(target)));
        known.map_or(0.0, |((_, places), target)| self.warmth.of(places, target))
    }
}

impl LiveFacts for Warm {
    fn live(&self, target: u16) -> Live {
        Live { prompt_cache_warm: self.of(target), ..self.facts.live(target) }
    }

    fn all(&self, targets: &[u16]) -> Vec<Live> {
        let mut all = self.facts.all(targets);
        all.iter_mut().zip(targets).for_each(|(live, &target)| live.prompt_cache_warm = self.of(target));
        all
    }

    fn up(&self, targets: &[u16]) -> Vec<bool> {
        self.facts.up(targets)
    }
}

impl Sent {
    /// What the end of an exchange says of a prompt cache; `None`: nothing.
    pub fn by(admitted: &Admitted, close: &Close) -> Option<Self> {
        let (warm, served) = admitted.warm.as_ref().zip(close.served.as_ref())?;
        (close.outcome == Outcome::Ok).then(|| Self {
            warm: Arc::clone(warm),
            target: served.target,
            at: served.began,
            cached: (close.source == Source::Provider).then_some(close.usage.cached_input > 0),
        })
    }

    /// Notes it.
    pub fn note(self) {
        let warm = &self.warm;
        if let Some(((beginning, _), target)) = warm.known().zip(warm.table.get(usize::from(self.target))) {
            warm.warmth.note(*beginning, target, Use { ago: self.at.elapsed(), cached: self.cached });
        }
    }
}

impl Exchange<'_> {
    /// Has the targets' facts tell how warm they are for this request, as it goes to them, if some policy can ask. Under
    /// zero retention nothing is looked up and nothing kept.
    pub fn warm(&self, admitted: &mut Admitted, request: &Arc<Request>) {
        if !admitted.route.asked.warmth() || admitted.terms.retention.is_zero() {
            return;
        }
        let candidates = &admitted.candidates;
        let warm = Arc::new(Warm {
            facts: Arc::clone(&candidates.facts),
            table: Arc::clone(&candidates.table),
            warmth: Arc::clone(&self.gateway.warmth),
            request: Arc::clone(request),
            secret: self.gateway.hashes,
            tenant: Arc::clone(&admitted.caller.principal.organisation_id),
            known: OnceLock::new(),
        });
        let facts: Arc<dyn LiveFacts> = Arc::<Warm>::clone(&warm);
        admitted.candidates = Arc::new(Candidates { facts, ..Candidates::clone(candidates) });
        admitted.warm = Some(warm);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::live::{self, Clock};
    use serde_json::json;
    use std::time::Duration;
    use weir_llm::api::Api;
    use weir_policy::Target;

    /// What a request of an organisation sees.
    fn warm(warmth: &Arc<Warmth>, tenant: &str) -> Arc<Warm> {
        let system = "Be brief. ".repeat(500);
        let body = json!({ "model": "m", "messages": [{ "role": "system", "content": system }] });
        let ids: [Arc<str>; 2] = ["a/m".into(), "b/m".into()];
        Arc::new(Warm {
            facts: Arc::new(live::Live::new(&ids)),
            table: ids.iter().map(|id| Target::bare(id)).collect(),
            warmth: Arc::clone(warmth),
            request: Arc::new(Request::parse(Api::Chat, body.to_string().into()).unwrap()),
            secret: [7; 32],
            tenant: tenant.into(),
            known: OnceLock::new(),
        })
    }

    #[test]
    fn the_target_that_answered_is_warm_for_the_next_request() {
        let warmth = Arc::new(Warmth::new(Clock::system()));
        let first = warm(&warmth, "acme");
        assert!(first.known.get().is_none(), "nothing is hashed before somebody asks");
        let fresh = Live { target: 1, healthy: true, headroom: 1.0, ..Live::default() };
        assert_eq!(first.live(1), fresh);
        let at = Instant::now().checked_sub(Duration::from_millis(5)).unwrap();
        Sent { warm: Arc::clone(&first), target: 1, at, cached: Some(true) }.note();
        assert_eq!(first.live(1), fresh, "facts stand still within an exchange");
        let next = warm(&warmth, "acme");
        assert_eq!(next.live(1), Live { prompt_cache_warm: 1.0, ..fresh });
        assert!(next.live(0).prompt_cache_warm < f32::EPSILON);
        assert_eq!(warm(&warmth, "globex").live(1), fresh);
        assert!(next.live(9).prompt_cache_warm < f32::EPSILON, "there is no such target");
    }
}
