//! What policies see of an exchange before its content: the head, and headers that are no credentials.

use super::Exchange;
use super::identify::Caller;
use crate::snapshot::Route;
use crate::terms::Terms;
use http::HeaderMap;
use std::sync::Arc;
use weir_llm::estimate;
use weir_llm::price::Nanos;
use weir_llm::request::Request;
use weir_policy::pipeline::Asked;
use weir_policy::{Budget, DataClass, Head, Headers, RequestView};

impl Exchange<'_> {
    /// The view that the first hook gets; those after it get what edits make of it.
    pub fn view(
        &self,
        caller: &Caller,
        route: &Route,
        terms: &Terms,
        request: &Arc<Request>,
    ) -> Arc<RequestView> {
        let headers = match route.asked.headers() {
            true => visible(&self.session.head().headers),
            false => Headers::default(),
        };
        let head = self.head(caller, route, terms, request);
        Arc::new(RequestView::new(head, Arc::clone(request), headers).with_secret(self.gateway.hashes))
    }

    fn head(&self, caller: &Caller, route: &Route, terms: &Terms, request: &Request) -> Head {
        let principal = &caller.principal;
        let asked = route.asked;
        let user = request.user().filter(|_| !asked.is_empty());
        Head {
            request_id: Arc::clone(&self.id),
            api: request.api(),
            requested_model: Arc::clone(&route.name),
            stream: request.stream(),
            tenant: Arc::clone(&principal.organisation_id),
            project: Arc::clone(&principal.team_id),
            key_id: Arc::clone(&principal.key_id),
            user_hash: user.map(|user| self.gateway.user_hash(&principal.organisation_id, &user)),
            region: Arc::clone(&self.snapshot.region),
            class: class(caller.principal.class, caller.wishes.class),
            retention: terms.retention,
            demands: terms.demands(),
            tags: tags(caller),
            deadline_ms: u32::try_from(route.deadline.as_millis()).unwrap_or(u32::MAX),
            est_input_tokens: u32::try_from(estimate::input_guess(request)).unwrap_or(u32::MAX),
            max_output_tokens: request.max_output_tokens().map(|n| u32::try_from(n).unwrap_or(u32::MAX)),
            segment_count: segments(asked, request),
            body_bytes: self.record.bytes_in,
            needs: request.needs(),
            attempt: 0,
            budget: self.budget(caller, asked),
        }
    }

    fn budget(&self, caller: &Caller, asked: Asked) -> Option<Budget> {
        let budget = caller.principal.budget.as_ref().filter(|_| !asked.is_empty())?;
        let spent = self.gateway.ledger.spent(&caller.principal)?;
        let used = spent.posted.0.saturating_add(spent.pending.0);
        Some(Budget { limit: budget.limit, left: Nanos(budget.limit.0.saturating_sub(used).max(0)) })
    }
}

fn segments(asked: Asked, request: &Request) -> u32 {
    let count = if asked.content() { request.segments().len() } else { 0 };
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// The more sensitive of what is stored and what is wished: the caller can raise its class, and never lower it, not even
/// to `public` where nothing is stored.
fn class(stored: Option<DataClass>, wished: Option<DataClass>) -> DataClass {
    let stored = stored.unwrap_or_default();
    wished.map_or(stored, |wished| wished.max(stored))
}

/// The key's tags and the request's; the key's win, since the caller must not rename itself.
fn tags(caller: &Caller) -> Arc<[(String, String)]> {
    let (stored, wished) = (&caller.principal.tags, &caller.wishes.tags);
    if wished.is_empty() {
        return Arc::clone(stored);
    }
    let mut all: Vec<(String, String)> = stored.to_vec();
    all.extend(wished.iter().filter(|(name, _)| stored.iter().all(|(known, _)| known != name)).cloned());
    all.sort();
    all.into()
}

/// The headers that a policy may see: no credentials, nothing of ours.
pub(super) fn visible(headers: &HeaderMap) -> Headers {
    headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_can_raise_its_class_and_never_lower_it() {
        let said = || std::iter::once(None).chain(DataClass::ALL.map(Some));
        for (stored, wished) in said().flat_map(|stored| said().map(move |wished| (stored, wished))) {
            let class = class(stored, wished);
            let least = stored.unwrap_or(DataClass::Internal);
            assert!(class >= least && Some(class) >= wished, "{stored:?} {wished:?}: {class:?}");
            assert!(class == least || wished == Some(class), "{stored:?} {wished:?}: {class:?}");
        }
        assert_eq!(class(None, Some(DataClass::Public)), DataClass::Internal);
        assert_eq!(class(Some(DataClass::Public), None), DataClass::Public);
    }
}
