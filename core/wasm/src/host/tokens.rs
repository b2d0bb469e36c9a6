//! Token counts.

use crate::state::State;
use crate::wit::weir::policy::tokens::Host;
use wasmtime::Result;

impl Host for State {
    fn count(&mut self, model: String, text: String) -> Result<u32> {
        self.budget.host_call()?;
        Ok(self.constants.services.tokens(&model, &text))
    }

    /// A number says nothing of what is said: does not taint.
    fn count_segment(&mut self, model: String, segment: u32) -> Result<u32> {
        self.budget.host_call()?;
        let (view, services) = (self.view()?, &self.constants.services);
        let counted = self.budget.excuse(|| view.peek(segment, |text| services.tokens(&model, text)));
        Ok(counted.unwrap_or(0))
    }
}
