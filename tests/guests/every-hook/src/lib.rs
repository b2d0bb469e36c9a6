//! Every hook but `redact` and `price`, every capability but `http`; each answer says what the hook was told.

#[path = "../../misdeeds.rs"]
mod misdeeds;

use misdeeds::Misdeeds;
use weir_sdk::kv::{self, KvError, Scope};
use weir_sdk::{
    Admission, Admit, Attempt, AttemptError, AttemptFacts, Closing, Complete, Config, Decision, Deny, Edit,
    Finding, Guard, GuardResponse, Head, Lane, Live, Meta, OnError, Plan, Plugin, Preparation, Recovery,
    Request, Route, Severity, Stream, StreamGuard, StreamStep, Summary, Targets, TextEdit, Usage, Verdict,
    annotate, env, telemetry, tokens,
};

/// The plugin.
pub struct EveryHook {
    misdeeds: Misdeeds,
    config: String,
}

impl Plugin for EveryHook {
    fn configure(config: Config<'_>) -> Result<Self, String> {
        if config.json().contains("\"hook\":\"nowhere\"") {
            return Err("there is no hook `nowhere`".into());
        }
        let this = Self { misdeeds: Misdeeds::new(config.json()), config: config.json().to_owned() };
        this.misdeeds.commit("configure");
        Ok(this)
    }

    fn self_test(&self) -> Result<(), String> {
        self.misdeeds.commit("self-test");
        if env::config() == self.config { Ok(()) } else { Err("the config is another one".into()) }
    }
}

impl Admit for EveryHook {
    /// Counts requests of the organisation, and lets three of them in.
    fn admit(&self, head: &Head) -> Admission {
        self.misdeeds.commit("admit");
        let seen = kv::incr(Scope::Tenant, "seen", 1, Some(60_000)).unwrap_or(i64::MAX);
        let free = kv::take(Scope::Plugin, "bucket", 1, 60, 1_000) == Ok(true);
        if seen > 3 || !free {
            return Admission::Deny(Deny::new(429, "too_many", "Too many.").retry_after_ms(1_000));
        }
        telemetry::counter("admitted", 1, &[("model", &head.requested_model)]);
        Admission::Allow(vec![("tier".into(), "gold".into()), ("seen".into(), seen.to_string())])
    }
}

impl Guard for EveryHook {
    fn guard(&self, request: &dyn Request) -> Verdict {
        self.misdeeds.commit("guard");
        if let Some(text) = self.misdeeds.huge("guard") {
            return Verdict::answer(text);
        }
        if self.config.contains("calls") {
            while env::now_ms() != u64::MAX {}
        }
        let hits = request.scan("secret").unwrap_or_default();
        let closed = kv::put(Scope::Tenant, "leak", b"what was read", None) == Err(KvError::Closed);
        let kept = kv::put(Scope::Request, "noted", b"1", None).is_ok();
        telemetry::explain("secret", "found");
        telemetry::log(telemetry::Level::Info, "what was read", &[("rule", "secret")]);
        let _ = annotate::set("tier", "gold");
        let _ = annotate::set("leak", "what was read");
        let edits = hits.iter().map(|hit| Edit::replace(hit, "[fish]")).collect();
        let found = hits.iter().map(|hit| Finding::of(hit, "secret", Severity::High)).collect();
        Verdict::edit(edits).because(found).tag("kv", if closed && kept { "closed" } else { "open" })
    }
}

impl Route for EveryHook {
    fn route(&self, head: &Head, request: &dyn Request, targets: &dyn Targets) -> Decision {
        self.misdeeds.commit("route");
        if head.requested_model == "tell" {
            let told = format!("{head:?}\n{:?}\n{:?}", request.head(), request.size());
            return Decision::Deny(Deny::new(400, "told", told));
        }
        let table = targets.table();
        let mut live = targets.candidates();
        live.sort_by_key(|target| target.in_flight);
        let mut plan = Plan::ordered(live.iter().map(|target| target.target), "fewest");
        plan.sticky = request.session();
        plan.budget_nanos = Some(i64::from(tokens::count_segment(&head.requested_model, 0)));
        let last = live.last().map(facts).unwrap_or_default();
        plan.reason = format!("{} of {}, {}, {last}", live.len(), table.len(), env::bucket("salt") < 10_000);
        Decision::Plan(plan)
    }
}

/// Every field of the record, so that the host's test sees that each arrives in its place.
fn facts(live: &Live) -> String {
    let Live { target, healthy, in_flight, ttft_p50_ms, ttft_p95_ms, tps_p50, .. } = live;
    let Live { err_rate1m, headroom, breaker, prompt_cache_warm, .. } = live;
    format!(
        "{target} {healthy} {in_flight} {ttft_p50_ms} {ttft_p95_ms} {tps_p50} {err_rate1m} {headroom} {breaker:?} {prompt_cache_warm}"
    )
}

impl Attempt for EveryHook {
    fn attempt(&self, _: &Head, facts: &AttemptFacts, _: &dyn Request) -> Preparation {
        self.misdeeds.commit("attempt");
        match facts.number {
            1 => Preparation::headers([("x-target", facts.target_id.as_str())]),
            2 => Preparation::Pass,
            _ => Preparation::Skip("fewest".into()),
        }
    }
}

impl OnError for EveryHook {
    fn on_error(&self, _: &Head, errors: &[AttemptError]) -> Recovery {
        self.misdeeds.commit("on-error");
        match errors.last().and_then(|error| error.retry_after_ms) {
            Some(ms) => Recovery::RetryAfter(ms),
            None => Recovery::FollowPlan,
        }
    }
}

impl GuardResponse for EveryHook {
    fn guard_response(&self, _: &Head, meta: &Meta, reply: &dyn Request) -> Verdict {
        self.misdeeds.commit("guard-response");
        match reply.scan("secret").unwrap_or_default().as_slice() {
            [] => Verdict::answer(format!("{} of {}", meta.finish_reason, meta.usage.lines.len())),
            _ => Verdict::block(Deny::new(451, "secret", "The reply was cut.")),
        }
    }
}

impl Stream for EveryHook {
    type Guard = Watch;

    fn stream(&self, head: &Head) -> Watch {
        self.misdeeds.commit("stream");
        Watch { misdeeds: Misdeeds::new(&self.config), tenant: head.tenant.clone(), found: 0 }
    }
}

/// Puts `[fish]` in place of a word, wherever windows end.
pub struct Watch {
    misdeeds: Misdeeds,
    tenant: String,
    found: u32,
}

impl StreamGuard for Watch {
    fn push(&mut self, _: Lane, text: &str) -> StreamStep {
        const WORD: &str = "swordfish";
        self.misdeeds.commit("push");
        if text.contains("STOP") {
            return StreamStep::stop(Deny::new(451, "secret", "The reply was cut."));
        }
        let edits: Vec<TextEdit> = text
            .match_indices(WORD)
            .map(|(at, word)| TextEdit::replace(at..at + word.len(), "[fish]"))
            .collect();
        self.found += u32::try_from(edits.len()).unwrap_or(u32::MAX);
        StreamStep { edits, ..StreamStep::hold_start_of(text, &[WORD, "STOP"]) }
    }

    fn finish(&mut self, usage: &Usage) -> Closing {
        self.misdeeds.commit("finish");
        let said = format!("{} in {} lines for {}", self.found, usage.lines.len(), self.tenant);
        Closing { findings: Vec::new(), tags: vec![("said".into(), said)] }
    }
}

impl Complete for EveryHook {
    fn complete(&self, batch: &[Summary]) {
        self.misdeeds.commit("complete");
        let charged = batch.iter().map(|summary| summary.charged.unsigned_abs()).sum();
        let tenant = batch.first().map_or("", |summary| summary.head.tenant.as_str());
        // A batch is of many exchanges: there is none whose keys these could be.
        let keys = match kv::put(Scope::Request, "of nobody", b"", None) {
            Err(error) => error.name(),
            Ok(_) => "written",
        };
        telemetry::counter("charged", charged, &[("tenant", tenant), ("keys", keys)]);
        telemetry::observe("batch", batch.iter().map(|_| 1.0).sum(), &[]);
    }
}

weir_sdk::export!(EveryHook: admit, guard, route, attempt, on_error, guard_response, stream, complete);

#[cfg(test)]
mod tests {
    use super::*;
    use weir_sdk::testing;

    #[test]
    fn a_stream_is_the_same_wherever_it_is_cut() {
        let plugin = EveryHook::configure(Config::EMPTY).expect("a plugin");
        let watch = || Stream::stream(&plugin, &testing::head());
        let out = testing::split_everywhere(watch, "a swordfish, a swordswordfish, a sword");
        assert_eq!(out.text, "a [fish], a sword[fish], a sword");
        assert!(testing::split_everywhere(watch, "ß STOP ß").stopped.is_some());
    }

    #[test]
    fn the_fourth_of_an_organisation_waits() {
        let plugin = EveryHook::configure(Config::EMPTY).expect("a plugin");
        let admitted = (0..4).map(|_| plugin.admit(&testing::head()));
        let denied = admitted.filter(|admission| matches!(admission, Admission::Deny(_)));
        assert_eq!(denied.count(), 1);
    }
}
