//! What routing sees.

use crate::lower;
use crate::state::State;
use crate::wit::weir::policy::targets::{Host, Live, Target};
use wasmtime::Result;

impl Host for State {
    fn table(&mut self) -> Result<Vec<Target>> {
        self.budget.host_call()?;
        let candidates = self.call.candidates.as_ref();
        Ok(candidates.map(|c| c.table.iter().map(lower::target).collect()).unwrap_or_default())
    }

    fn candidates(&mut self) -> Result<Vec<Live>> {
        self.budget.host_call()?;
        let candidates = self.call.candidates.as_ref();
        // The first fact may need a hash of the request's beginning.
        let live = self.budget.excuse(|| {
            candidates.map(|c| c.allowed.iter().map(|&target| lower::live(&c.live(target))).collect())
        });
        Ok(live.unwrap_or_default())
    }
}
