//! Logs, metrics and explanations.

use crate::state::State;
use crate::wit::weir::policy::telemetry::{Host, Level};
use wasmtime::Result;
use weir_policy::services::{self, Record};

impl State {
    fn record(&self, record: Record<'_>) {
        self.constants.services.record(&self.origin(), record);
    }
}

impl Host for State {
    fn log(&mut self, level: Level, message: String, fields: Vec<(String, String)>) -> Result<()> {
        self.budget.host_call()?;
        let level = match level {
            Level::Trace => services::Level::Trace,
            Level::Debug => services::Level::Debug,
            Level::Info => services::Level::Info,
            Level::Warn => services::Level::Warn,
            Level::Error => services::Level::Error,
        };
        let (message, fields) = (self.outgoing(message), self.outgoing_pairs(fields));
        self.record(Record::Log { level, message: &message, fields: &fields });
        Ok(())
    }

    fn counter(&mut self, name: String, by: u64, labels: Vec<(String, String)>) -> Result<()> {
        self.budget.host_call()?;
        let (name, labels) = (self.outgoing(name), self.outgoing_pairs(labels));
        self.record(Record::Counter { name: &name, by, labels: &labels });
        Ok(())
    }

    fn observe(&mut self, name: String, value: f64, labels: Vec<(String, String)>) -> Result<()> {
        self.budget.host_call()?;
        let (name, labels) = (self.outgoing(name), self.outgoing_pairs(labels));
        self.record(Record::Observe { name: &name, value, labels: &labels });
        Ok(())
    }

    fn explain(&mut self, rule: String, because: String) -> Result<()> {
        self.budget.host_call()?;
        let (rule, because) = (self.outgoing(rule), self.outgoing(because));
        self.record(Record::Explain { rule: &rule, because: &because });
        Ok(())
    }
}
