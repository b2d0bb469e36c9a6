//! A guard of replies that lets only JSON out that fits a schema.
//!
//! The schema is the operator's, or the one that the request itself asks for; if there are both, both must fit. A request
//! whose schema cannot be checked is refused before a model is asked. JSON in a fenced block is taken out of it.
//!
//! Schema and reply are written by others: parsing and checking are bounded in depth, size and steps, so that neither can
//! run the plugin into its limits, which would count as its fault.
//!
//! # Layout
//!
//! - `config`: whose schema, and what else passes.
//! - `asked`: the schema of a request, kept until the reply is there.
//! - `answers`: the texts of a reply that must fit.
//! - `fence`: JSON in a fenced block.
//! - [`json`]: parsing, bounded and in one way only.
//! - [`schema`]: compiling and checking JSON Schema.

mod answers;
mod asked;
mod config;
mod fence;
pub mod json;
mod outcome;
pub mod schema;

#[cfg(test)]
mod tests;

use config::Settings;
use weir_sdk::{Config, Guard, GuardResponse, Head, Meta, Plugin, Request, Verdict};

/// The plugin.
pub struct JsonSchemaOutput {
    settings: Settings,
}

impl Plugin for JsonSchemaOutput {
    fn configure(config: Config<'_>) -> Result<Self, String> {
        Ok(Self { settings: config::read(config)? })
    }
}

impl Guard for JsonSchemaOutput {
    fn guard(&self, request: &dyn Request) -> Verdict {
        if !self.settings.request_schema {
            return Verdict::pass();
        }
        asked::keep(request).map_or_else(Verdict::block, |()| Verdict::pass())
    }
}

impl GuardResponse for JsonSchemaOutput {
    fn guard_response(&self, head: &Head, meta: &Meta, reply: &dyn Request) -> Verdict {
        outcome::check(head, meta, reply, &self.settings).unwrap_or_else(Verdict::block)
    }
}

weir_sdk::export!(JsonSchemaOutput: guard, guard_response);
