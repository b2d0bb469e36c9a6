//! What routing sees.

use crate::VERSION;
use crate::lower::{self, Row};
use crate::state::State;
use crate::wit::weir::policy::targets::Target;
use wasmtime::Result;
use wasmtime::component::Linker;

/// Links the interface by hand: the rows of `candidates` are written in a way of ours (see [`Row`]).
pub(crate) fn link(linker: &mut Linker<State>) -> Result<()> {
    let mut targets = linker.instance(&format!("weir:policy/targets@{VERSION}"))?;
    targets.func_wrap("table", |mut context, (): ()| Ok((context.data_mut().table()?,)))?;
    targets.func_wrap("candidates", |mut context, (): ()| Ok((context.data_mut().candidates()?,)))
}

impl State {
    fn table(&mut self) -> Result<Vec<Target>> {
        self.budget.host_call()?;
        let candidates = self.call.candidates.as_ref();
        Ok(candidates.map(|c| c.table.iter().map(lower::target).collect()).unwrap_or_default())
    }

    fn candidates(&mut self) -> Result<Vec<Row>> {
        self.budget.host_call()?;
        let candidates = self.call.candidates.as_ref();
        let rows = || candidates.map(|c| c.all_live().into_iter().map(Row).collect());
        // The first fact may need a hash of the request's beginning.
        let first = !std::mem::replace(&mut self.call.shown, true);
        let rows = if first { self.budget.excuse(rows) } else { rows() };
        Ok(rows.unwrap_or_default())
    }
}
