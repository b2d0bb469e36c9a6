//! Calls to hosts that the operator lists and the manifest names.

use crate::state::State;
use crate::wit::weir::policy::http::{Host, HttpError, Inbound, Outbound};
use std::time::Instant;
use wasmtime::Result;
use weir_policy::services::{self, Later};

type Reply = std::result::Result<Inbound, HttpError>;
type Started = Later<std::result::Result<services::Inbound, services::HttpError>>;

impl State {
    /// Starts a call, if there may be one more and the manifest names its alias.
    fn start(&mut self, call: Outbound) -> std::result::Result<Started, HttpError> {
        let manifest = &self.constants.manifest;
        if !manifest.http.contains(&call.host_alias) {
            return Err(HttpError::NotGranted);
        }
        let left = self.call.until.map(|until| until.saturating_duration_since(Instant::now()));
        let left = u32::try_from(left.unwrap_or_default().as_millis()).unwrap_or(u32::MAX);
        if left == 0 || self.call.http_calls >= manifest.limits.http_calls {
            return Err(HttpError::Budget);
        }
        self.call.http_calls += 1;
        // 0 is the alias's own timeout; what is longer than the call is cut with it.
        let timeout_ms = call.timeout_ms.min(left);
        let call = services::Outbound {
            method: call.method,
            host_alias: call.host_alias,
            path: call.path,
            headers: call.headers,
            body: call.body,
            timeout_ms,
        };
        Ok(self.constants.services.http(&self.origin(), call))
    }
}

impl Host for State {
    async fn send(&mut self, call: Outbound) -> Result<Reply> {
        self.budget.host_call()?;
        Ok(finish(self.start(call)).await)
    }

    async fn send_all(&mut self, calls: Vec<Outbound>) -> Result<Vec<Reply>> {
        self.budget.host_call()?;
        let started: Vec<_> = calls.into_iter().map(|call| finish(self.start(call))).collect();
        Ok(futures::future::join_all(started).await)
    }
}

async fn finish(started: std::result::Result<Started, HttpError>) -> Reply {
    match started?.await {
        Ok(reply) => Ok(Inbound {
            status: reply.status,
            headers: reply.headers,
            body: reply.body,
            truncated: reply.truncated,
        }),
        Err(error) => Err(error_of(error)),
    }
}

const fn error_of(error: services::HttpError) -> HttpError {
    match error {
        services::HttpError::NotGranted => HttpError::NotGranted,
        services::HttpError::Invalid => HttpError::Invalid,
        services::HttpError::Timeout => HttpError::Timeout,
        services::HttpError::Connect => HttpError::Connect,
        services::HttpError::Tls => HttpError::Tls,
        services::HttpError::TooLarge => HttpError::TooLarge,
        services::HttpError::Budget => HttpError::Budget,
    }
}
