//! The hooks: one trait each, named as in manifests.
//!
//! - this file: the hooks of a request.
//! - `reply`: the hooks of a reply.
//! - `money`: `price` and `complete`.

mod money;
mod reply;

pub use money::{Complete, Price};
pub use reply::{GuardResponse, Redact, RedactStream, Stream, StreamGuard};

use crate::{
    Admission, AttemptError, AttemptFacts, Decision, Head, Plugin, Preparation, Recovery, Request, Targets,
    Verdict,
};

/// The hook `admit`: before content is read and money is held. It sees the head only, by type.
///
/// ```
/// use weir_sdk::{Admission, Admit, Config, Deny, Head, Plugin, testing};
///
/// /// Lets nobody ask for more than 1,000 tokens.
/// struct Short;
/// impl Plugin for Short {
///     fn configure(_: Config<'_>) -> Result<Self, String> { Ok(Self) }
/// }
/// impl Admit for Short {
///     fn admit(&self, head: &Head) -> Admission {
///         match head.max_output_tokens {
///             Some(tokens) if tokens > 1_000 => Admission::Deny(Deny::new(400, "too_long", "Ask for less.")),
///             _ => Admission::allow(),
///         }
///     }
/// }
/// weir_sdk::export!(Short: admit);
///
/// let mut head = testing::head();
/// assert_eq!(Short.admit(&head), Admission::allow());
/// head.max_output_tokens = Some(2_000);
/// assert!(matches!(Short.admit(&head), Admission::Deny(_)));
/// ```
pub trait Admit: Plugin {
    /// Allow with tags for later policies, or deny.
    fn admit(&self, head: &Head) -> Admission;
}

/// The hook `guard`: content, once, before the cache and the route.
///
/// ```
/// use weir_sdk::{Config, Edit, Guard, Plugin, Request, Verdict, testing::FakeRequest};
///
/// /// Replaces what the matcher `names` of the manifest finds.
/// struct Hide;
/// impl Plugin for Hide {
///     fn configure(_: Config<'_>) -> Result<Self, String> { Ok(Self) }
/// }
/// impl Guard for Hide {
///     fn guard(&self, request: &dyn Request) -> Verdict {
///         let hits = request.scan("names").unwrap_or_default();
///         Verdict::edit(hits.iter().map(|hit| Edit::replace(hit, "[name]")).collect())
///     }
/// }
/// weir_sdk::export!(Hide: guard);
///
/// let request = FakeRequest::new().user("ask Ada").literals("names", &["Ada"]);
/// assert_eq!(request.edited(&Hide.guard(&request)), ["ask [name]"]);
/// ```
pub trait Guard: Plugin {
    /// Pass, edit, block or answer.
    fn guard(&self, request: &dyn Request) -> Verdict;
}

/// The hook `route`: makes the plan.
///
/// ```
/// use weir_sdk::{Config, Decision, Head, Plan, Plugin, Request, Route, Targets};
/// use weir_sdk::testing::{self, FakeRequest, FakeTargets};
///
/// /// Asks the least busy target first.
/// struct LeastBusy;
/// impl Plugin for LeastBusy {
///     fn configure(_: Config<'_>) -> Result<Self, String> { Ok(Self) }
/// }
/// impl Route for LeastBusy {
///     fn route(&self, _: &Head, _: &dyn Request, targets: &dyn Targets) -> Decision {
///         let mut live = targets.candidates();
///         live.sort_by_key(|target| target.in_flight);
///         Decision::Plan(Plan::ordered(live.iter().map(|target| target.target), "least busy"))
///     }
/// }
/// weir_sdk::export!(LeastBusy: route);
///
/// let targets = FakeTargets::new(&["a/x", "b/y"]).with(0, |_, live| live.in_flight = 7);
/// let Decision::Plan(plan) = LeastBusy.route(&testing::head(), &FakeRequest::new(), &targets) else { panic!() };
/// assert_eq!(plan.steps[0].target, 1);
/// ```
pub trait Route: Plugin {
    /// A plan over `targets`, a refusal, or [`Decision::Abstain`].
    fn route(&self, head: &Head, request: &dyn Request, targets: &dyn Targets) -> Decision;
}

/// The hook `attempt`: before each attempt, what differs by target.
///
/// ```
/// use weir_sdk::{Attempt, AttemptFacts, Config, Head, Plugin, Preparation, Request};
/// use weir_sdk::testing::{self, FakeRequest};
///
/// /// Tells one provider's targets a beta header.
/// struct Beta;
/// impl Plugin for Beta {
///     fn configure(_: Config<'_>) -> Result<Self, String> { Ok(Self) }
/// }
/// impl Attempt for Beta {
///     fn attempt(&self, _: &Head, facts: &AttemptFacts, _: &dyn Request) -> Preparation {
///         match facts.target_id.starts_with("anthropic/") {
///             true => Preparation::headers([("anthropic-beta", "context-1m")]),
///             false => Preparation::Pass,
///         }
///     }
/// }
/// weir_sdk::export!(Beta: attempt);
///
/// let facts = |id: &str| AttemptFacts { target: 0, target_id: id.into(), number: 1 };
/// let asked = |id| Beta.attempt(&testing::head(), &facts(id), &FakeRequest::new());
/// assert_eq!(asked("openai/gpt"), Preparation::Pass);
/// assert!(matches!(asked("anthropic/claude"), Preparation::Edit(_)));
/// ```
pub trait Attempt: Plugin {
    /// Send as it is, with changes for this target, or not to this target.
    fn attempt(&self, head: &Head, facts: &AttemptFacts, request: &dyn Request) -> Preparation;
}

/// The hook `on-error`: an attempt failed before anything reached the client, and the plan asked to be asked.
///
/// ```
/// use weir_sdk::{AttemptError, Config, ErrorClass, Head, OnError, Plugin, Recovery, testing};
///
/// /// Waits once where a target is rate-limited for a moment.
/// struct Patient;
/// impl Plugin for Patient {
///     fn configure(_: Config<'_>) -> Result<Self, String> { Ok(Self) }
/// }
/// impl OnError for Patient {
///     fn on_error(&self, _: &Head, errors: &[AttemptError]) -> Recovery {
///         match errors {
///             [AttemptError { class: ErrorClass::RateLimited, retry_after_ms: Some(ms), .. }] if *ms < 500 => {
///                 Recovery::RetryAfter(*ms)
///             }
///             _ => Recovery::FollowPlan,
///         }
///     }
/// }
/// weir_sdk::export!(Patient: on_error);
///
/// let mut error = testing::attempt_error(ErrorClass::RateLimited);
/// error.retry_after_ms = Some(200);
/// assert_eq!(Patient.on_error(&testing::head(), &[error]), Recovery::RetryAfter(200));
/// ```
pub trait OnError: Plugin {
    /// `errors` are all failures so far, the newest last.
    fn on_error(&self, head: &Head, errors: &[AttemptError]) -> Recovery;
}
