//! `POST /v1/messages/count_tokens` where no target counts: a guess, and said to be one.

use super::admit::Admitted;
use super::plan::Planned;
use super::settle::{Close, Outcome};
use super::{End, Exchange};
use crate::ingress::respond;
use weir_llm::api::{Api, Dialect};
use weir_llm::estimate;
use weir_llm::request::Request;

/// Keeps the targets of a plan that count tokens themselves: the others would run the model.
pub fn only_counting(admitted: &Admitted, planned: &mut Planned) {
    planned.plan.steps.retain(|step| {
        let bound = admitted.route.bound.get(usize::from(step.target));
        bound.is_some_and(|bound| bound.endpoint.speaks.toward(Api::CountTokens) == Dialect::Anthropic)
    });
}

impl Exchange<'_> {
    /// Answers with a guess: nothing is asked of a model and nothing is billed.
    ///
    /// # Errors
    /// The ledger did not take the posting, or the caller has gone.
    pub async fn count(&mut self, admitted: Admitted, request: &Request) -> Result<(), End> {
        self.settle(admitted, Close::nothing(Outcome::Answered)).await?;
        let body = format!("{{\"input_tokens\":{}}}", estimate::input_guess(request).max(1));
        let mut head = respond::json_head(200, body.len(), &self.id)?;
        self.mark(&mut head, None);
        respond::put_text(&mut head, respond::name::USAGE_SOURCE, "estimate");
        self.record.status = 200;
        Ok(respond::whole(self.session, head, body.into()).await?)
    }
}
