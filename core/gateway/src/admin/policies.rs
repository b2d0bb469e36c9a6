//! Policies over the admin API: what runs, what is on its way, and the orders about it.

use crate::config;
use crate::config::{CanaryOptions, ShadowOptions, ShipOptions};
use crate::reload::{Reloader, Shown};
use crate::ship::order::{No, Order, Push};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Longest body of a push: 12 MB of component, in base64. A larger one goes by its file.
pub const BODY: usize = 16 << 20;

/// What is pushed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pushed {
    /// The script or component, base64.
    pub bytes: String,
    /// The text of its golden cases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cases: Option<String>,
    /// The text of its minisign signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// How it goes live; as config says unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<Options>,
}

/// How a version goes live, written as in config; what is left out is left out on the way.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Questions in shadow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow: Option<u32>,
    /// Time in shadow: `10m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow_for: Option<String>,
    /// Share of a canary: `5%`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<String>,
    /// Time as a canary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary_for: Option<String>,
    /// The share of decisions that may change: `20%`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_changed: Option<String>,
}

/// Where to roll back to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Back {
    /// A digest, or the beginning of one; the version before the live one unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// Answers what is asked below `policies/`; `None`: nothing is there.
///
/// # Errors
/// The step that refused.
pub async fn answer(
    reloader: &Reloader,
    method: &Method,
    rest: &str,
    body: &[u8],
) -> Option<Result<Value, No>> {
    let (name, what) = rest.split_once('/').unwrap_or((rest, ""));
    let name_only = name.to_owned();
    Some(match (method, what) {
        (&Method::GET, "") => reloader.show(Shown::Status(name_only)).await,
        (&Method::GET, "history") => reloader.show(Shown::History(name_only)).await,
        (&Method::POST, "push") => push(reloader, name, body).await,
        (&Method::POST, "promote") => reloader.order(name, || Order::Promote).await,
        (&Method::POST, "abort") => reloader.order(name, || Order::Abort).await,
        (&Method::POST, "rollback") => back(reloader, name, body).await,
        _ => return None,
    })
}

/// The HTTP status that says so.
pub const fn status(no: &No) -> StatusCode {
    match no {
        No::Unknown(_) => StatusCode::NOT_FOUND,
        No::Busy(_) => StatusCode::CONFLICT,
        No::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

async fn push(reloader: &Reloader, name: &str, body: &[u8]) -> Result<Value, No> {
    let pushed: Pushed =
        serde_json::from_slice(body).map_err(|error| No::Refused(format!("request: {error}")))?;
    let bytes = STANDARD
        .decode(&pushed.bytes)
        .map_err(|error| No::Refused(format!("request: `bytes` is no base64: {error}")))?;
    let options = pushed.options.as_ref().map(Options::read).transpose().map_err(No::Refused)?;
    let make = || {
        Order::Push(Box::new(Push {
            bytes: bytes.clone(),
            cases: pushed.cases.clone(),
            signature: pushed.signature.clone(),
            options,
        }))
    };
    reloader.order(name, make).await
}

async fn back(reloader: &Reloader, name: &str, body: &[u8]) -> Result<Value, No> {
    let back: Back = match body {
        b"" => Back::default(),
        body => serde_json::from_slice(body).map_err(|error| No::Refused(format!("request: {error}")))?,
    };
    reloader.order(name, || Order::Rollback { to: back.to.clone() }).await
}

impl Options {
    fn read(&self) -> Result<ShipOptions, String> {
        let wrong = |name: &str, text: &str, why: String| format!("options: {name}: `{text}` {why}");
        let span = |name: &str, text: &Option<String>| {
            let read = |text: &String| config::span(text).map_err(|why| wrong(name, text, why));
            text.as_ref().map(read).transpose()
        };
        let percent = |name: &str, text: &Option<String>| {
            let read = |text: &String| config::percent(text).map_err(|why| wrong(name, text, why));
            text.as_ref().map(read).transpose()
        };
        let shadow = ShadowOptions { requests: self.shadow, span: span("shadow_for", &self.shadow_for)? };
        let wanted = shadow.requests.is_some() || shadow.span.is_some();
        let canary_span = span("canary_for", &self.canary_for)?;
        let share = percent("canary", &self.canary)?;
        if share.is_none() && canary_span.is_some() {
            return Err("options: `canary_for` needs `canary`, the share of keys".to_owned());
        }
        let base = ShipOptions::default();
        Ok(ShipOptions {
            shadow: wanted.then_some(shadow),
            canary: share.map(|share| CanaryOptions { share, span: canary_span }),
            max_changed: percent("max_changed", &self.max_changed)?.unwrap_or(base.max_changed),
            ..base
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn options_are_written_as_in_config() {
        let options = Options {
            shadow: Some(500),
            canary: Some("2.5%".into()),
            canary_for: Some("10m".into()),
            ..Options::default()
        };
        let read = options.read().unwrap();
        assert_eq!(read.shadow, Some(ShadowOptions { requests: Some(500), span: None }));
        let canary = CanaryOptions { share: 250, span: Some(Duration::from_secs(600)) };
        assert_eq!(read.canary, Some(canary));
        assert_eq!(Options::default().read().unwrap(), ShipOptions::default());
    }

    #[test]
    fn an_option_that_says_nothing_is_refused_by_name() {
        let wrong = |options: Options| options.read().unwrap_err();
        assert!(
            wrong(Options { canary: Some("half".into()), ..Options::default() }).contains("canary: `half`")
        );
        assert!(
            wrong(Options { canary_for: Some("1m".into()), ..Options::default() }).contains("needs `canary`")
        );
        assert!(
            wrong(Options { shadow_for: Some("soon".into()), ..Options::default() }).contains("shadow_for")
        );
    }
}
