//! Calls to hosts that the operator lists and the manifest names (`http: [alias]`). Needs the capability `http`; in host
//! tests replies are scripted with [`testing::on_http`](crate::testing::on_http).
//!
//! ```
//! use weir_sdk::http::{self, Inbound, Outbound};
//! use weir_sdk::testing;
//!
//! testing::on_http("moderation", |call| {
//!     assert_eq!(call.path, "/v1/check");
//!     Ok(Inbound { status: 200, headers: Vec::new(), body: b"fine".to_vec(), truncated: false })
//! });
//! let call = Outbound::post("moderation", "/v1/check", "a text").header("accept", "text/plain");
//! assert_eq!(http::send(&call).unwrap().body, b"fine");
//! assert_eq!(http::send(&Outbound::get("elsewhere", "/")), Err(http::HttpError::NotGranted));
//! ```

#[cfg(target_arch = "wasm32")]
use crate::bindings::imports::weir::policy::http as host;
pub use crate::bindings::imports::weir::policy::http::{HttpError, Inbound, Outbound};
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::host::http as host;

/// One call.
///
/// # Errors
/// [`HttpError`]; a reply with an error status is a reply.
pub fn send(call: &Outbound) -> Result<Inbound, HttpError> {
    host::send(call)
}

/// Calls that all start together; results in order.
#[must_use]
pub fn send_all(calls: &[Outbound]) -> Vec<Result<Inbound, HttpError>> {
    host::send_all(calls)
}

impl Outbound {
    /// A GET of a path below the alias's base URL.
    #[must_use]
    pub fn get(alias: impl Into<String>, path: impl Into<String>) -> Self {
        Self {
            method: "GET".into(),
            host_alias: alias.into(),
            path: path.into(),
            headers: Vec::new(),
            body: Vec::new(),
            timeout_ms: 0,
        }
    }

    /// A POST.
    #[must_use]
    pub fn post(alias: impl Into<String>, path: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self { method: "POST".into(), body: body.into(), ..Self::get(alias, path) }
    }

    /// The same call with a header more.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The same call with a timeout of its own.
    #[must_use]
    pub const fn timeout_ms(mut self, ms: u32) -> Self {
        self.timeout_ms = ms;
        self
    }
}

impl Inbound {
    /// Whether the status is 200 to 299.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as text, if it is UTF-8.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.body).ok()
    }
}
