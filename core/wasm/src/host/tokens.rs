//! Token counts.

use crate::state::State;
use crate::wit::weir::policy::tokens::Host;
use wasmtime::Result;

impl Host for State {
    fn count(&mut self, model: String, text: String) -> Result<u32> {
        self.budget.host_call()?;
        Ok(self.constants.services.tokens(&model, &text))
    }

    /// A number says nothing of what is said: does not taint. The first count of each segment is not the guest's CPU time.
    fn count_segment(&mut self, model: String, segment: u32) -> Result<u32> {
        self.budget.host_call()?;
        let (view, services) = (self.view()?, &self.constants.services);
        let count = || view.peek(segment, |text| services.tokens(&model, text));
        // Whoever asks first has the body read.
        let known = self.budget.excuse(|| view.segment_count());
        let first = segment < known && self.call.counted.insert(segment);
        let counted = if first { self.budget.excuse(count) } else { count() };
        Ok(counted.unwrap_or(0))
    }
}
