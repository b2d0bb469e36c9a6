//! `GET /admin/v1/explain/REQUEST_ID`: who decided what about an exchange.

use super::{Admin, No};
use http::StatusCode;
use serde_json::{Value, json};

impl Admin {
    /// The decision tree of a recent exchange.
    pub(super) fn explain(&self, request_id: &str) -> Result<Value, No> {
        let found = self.gateway.traces.get(request_id, |explained| explained.to_json(request_id));
        found.ok_or_else(|| {
            let message = "No decisions of this request are kept: it was refused before anything was decided (its line in the access log says why: `code`), is too old, was served without policies, or telemetry.explain_kept is 0.";
            (StatusCode::NOT_FOUND, json!({ "message": message }))
        })
    }
}
