//! What the customer pays: by the policy that prices, else by the list.

use super::Exchange;
use super::admit::Admitted;
use super::settle::{Close, Outcome};
use std::sync::Arc;
use weir_llm::price::Nanos;
use weir_policy::{Base, Hook};

impl Exchange<'_> {
    /// The charge for what was used, where a policy prices the request and its list price is known; it is never more than
    /// what is held under a hard budget.
    pub async fn priced(&mut self, admitted: &Admitted, close: &Close, list: Option<Nanos>) -> Option<Nanos> {
        if !admitted.route.asked.has(Hook::Price)
            || !matches!(close.outcome, Outcome::Ok | Outcome::ClientAbort)
        {
            return None;
        }
        let (served, list_price) = (close.served.as_ref()?, list?);
        let rates =
            admitted.route.table.get(usize::from(served.target)).map(|target| Arc::clone(&target.rates));
        let base = Base {
            target_id: Arc::clone(&served.id),
            usage: close.usage,
            rates: rates.unwrap_or_default(),
            list_price,
        };
        let view = Arc::clone(&admitted.view);
        let charge = self.snapshot.pipeline.price(&view, &Arc::new(base), &mut self.trace).await?;
        Some(charge.total)
    }
}
