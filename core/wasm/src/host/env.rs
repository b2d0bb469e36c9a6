//! The world outside of the request.

use crate::state::State;
use crate::wit::weir::policy::env::Host;
use wasmtime::Result;

impl Host for State {
    fn config(&mut self) -> Result<String> {
        self.budget.host_call()?;
        Ok(self.constants.config.clone())
    }

    fn now_ms(&mut self) -> Result<u64> {
        self.budget.host_call()?;
        Ok(*self.call.now_ms.get_or_insert_with(|| self.constants.services.now_ms()))
    }

    fn random(&mut self) -> Result<u64> {
        self.budget.host_call()?;
        Ok(self.constants.services.random())
    }

    fn bucket(&mut self, salt: String) -> Result<u32> {
        self.budget.host_call()?;
        Ok(self.view()?.head().bucket(&salt))
    }
}
