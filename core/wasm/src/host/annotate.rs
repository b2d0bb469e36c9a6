//! Notes on an exchange.

use crate::state::State;
use crate::wit::weir::policy::annotate::{AnnotateError, Host};
use wasmtime::Result;

impl Host for State {
    fn set(&mut self, key: String, value: String) -> Result<std::result::Result<(), AnnotateError>> {
        self.budget.host_call()?;
        let (key, value) = self.outgoing_tag(key, value);
        Ok(self.view()?.annotate(&key, &value).map_err(|_| AnnotateError::Budget))
    }
}
