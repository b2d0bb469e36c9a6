//! The second listener: health and metrics for machines, an authenticated API for operators.

use crate::config::Config;
use crate::drain::Phase;
use crate::gateway::Gateway;
use crate::reload::Reloader;
use crate::reload::build::Refused;
use http::{Method, Response, StatusCode};
use pingora::apps::http_app::ServeHttp;
use pingora::protocols::http::ServerSession;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq;

pub mod explain;
pub mod keys;

/// Longest body that the admin API reads.
const BODY: usize = 64 << 10;
/// How long a caller may take to send it.
const PATIENCE: Duration = Duration::from_secs(10);

/// The admin API.
pub struct Admin {
    gateway: Arc<Gateway>,
    reloader: Reloader,
    token: String,
}

/// A refusal: status and what is wrong.
type No = (StatusCode, Value);

/// The admin token: the config's, or the one in the data folder, which is made at the first start.
///
/// # Errors
/// The file cannot be made or read.
pub fn token(config: &Config) -> io::Result<String> {
    if let Some(token) = &config.admin_token {
        return Ok(token.expose().to_owned());
    }
    let path = config.data.join("admin.token");
    match std::fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => return Ok(text.trim().to_owned()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    let token = format!("weir_admin_{}", hex::encode(bytes));
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
    file.write_all(token.as_bytes())?;
    Ok(token)
}

impl Admin {
    /// The admin API of a gateway.
    pub fn new(gateway: Arc<Gateway>, reloader: Reloader, token: String) -> Self {
        Self { gateway, reloader, token }
    }

    async fn answer(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let head = session.req_header();
        let (method, path) = (head.method.clone(), head.uri.path().to_owned());
        match (&method, path.as_str()) {
            (&Method::GET, "/livez") => text(StatusCode::OK, "ok\n"),
            (&Method::GET, "/readyz") => self.ready(),
            (&Method::GET, "/metrics") => text(StatusCode::OK, &self.gateway.telemetry.metrics().render()),
            (_, path) if path.starts_with("/admin/v1/") => {
                match self.authenticated(session, &method, path).await {
                    Ok(body) => body_of(StatusCode::OK, &body),
                    Err((status, error)) => body_of(status, &json!({ "error": error })),
                }
            }
            _ => body_of(
                StatusCode::NOT_FOUND,
                &json!({ "error": { "message": "Known paths: /livez, /readyz, /metrics, /admin/v1/{version,policies,reload,rollback,keys,explain}." } }),
            ),
        }
    }

    fn ready(&self) -> Response<Vec<u8>> {
        if self.gateway.drain.phase() == Phase::Open {
            text(StatusCode::OK, "ready\n")
        } else {
            text(StatusCode::SERVICE_UNAVAILABLE, "draining\n")
        }
    }

    async fn authenticated(
        &self,
        session: &mut ServerSession,
        method: &Method,
        path: &str,
    ) -> Result<Value, No> {
        self.check_token(session)?;
        let body = body(session).await?;
        match (method, path.trim_start_matches("/admin/v1/")) {
            (&Method::GET, "version") => Ok(self.version()),
            (&Method::GET, "policies") => Ok(self.policies()),
            (&Method::POST, "reload") => answer_of(self.reloader.reload().await),
            (&Method::POST, "rollback" | "policies/rollback") => answer_of(self.reloader.rollback().await),
            (&Method::GET, rest) if rest.starts_with("explain/") => {
                self.explain(rest.trim_start_matches("explain/"))
            }
            (&Method::GET, "keys") => self.blocking(keys::list).await,
            (&Method::POST, "keys") => self.blocking(move |ledger| keys::create(ledger, &body)).await,
            (&Method::DELETE, rest) if rest.starts_with("keys/") => {
                let id = rest.trim_start_matches("keys/").to_owned();
                self.blocking(move |ledger| keys::revoke(ledger, &id)).await
            }
            _ => Err((StatusCode::NOT_FOUND, json!({ "message": format!("There is no {method} {path}.") }))),
        }
    }

    /// Runs what waits for a commit off the workers.
    async fn blocking(
        &self,
        work: impl FnOnce(&weir_ledger::Ledger) -> Result<Value, keys::KeyError> + Send + 'static,
    ) -> Result<Value, No> {
        let gateway = Arc::clone(&self.gateway);
        let done = tokio::task::spawn_blocking(move || work(&gateway.ledger)).await;
        let failed = |why: String| (StatusCode::INTERNAL_SERVER_ERROR, json!({ "message": why }));
        done.map_err(|error| failed(error.to_string()))?
            .map_err(|error| (error.status(), json!({ "message": error.to_string() })))
    }

    fn check_token(&self, session: &ServerSession) -> Result<(), No> {
        let given = session.get_header_bytes("authorization").strip_prefix(b"Bearer ").unwrap_or_default();
        if bool::from(given.ct_eq(self.token.as_bytes())) {
            return Ok(());
        }
        let message = "Send `Authorization: Bearer` with the admin token: the file admin.token in the data folder, or admin.token of weir.yaml.";
        Err((StatusCode::UNAUTHORIZED, json!({ "message": message })))
    }

    fn version(&self) -> Value {
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "generation": self.gateway.snapshot.load().generation,
            "pid": std::process::id(),
        })
    }

    fn policies(&self) -> Value {
        let snapshot = self.gateway.snapshot.load();
        let open: Vec<Value> = snapshot
            .pipeline
            .open_breakers()
            .map(|(policy, hook)| json!({ "policy": policy, "hook": hook.as_str() }))
            .collect();
        let policies: Vec<Value> = snapshot
            .pipeline
            .policies()
            .map(|policy| {
                let manifest = policy.manifest();
                let hooks: Vec<&str> = manifest.hooks.iter().map(|hook| hook.as_str()).collect();
                json!({ "name": manifest.name, "version": manifest.version, "digest": policy.digest(), "hooks": hooks })
            })
            .collect();
        json!({ "generation": snapshot.generation, "policies": policies, "open_breakers": open })
    }
}

fn answer_of(result: Result<crate::reload::Swapped, Refused>) -> Result<Value, No> {
    match result {
        Ok(swapped) => Ok(json!(swapped)),
        Err(refused) => Err((
            StatusCode::UNPROCESSABLE_ENTITY,
            json!({ "message": "The running version goes on.", "errors": refused.errors }),
        )),
    }
}

async fn body(session: &mut ServerSession) -> Result<Vec<u8>, No> {
    let read = async {
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = session.read_request_body().await {
            body.extend_from_slice(&chunk);
            if body.len() > BODY {
                return Err((StatusCode::PAYLOAD_TOO_LARGE, json!({ "message": "The body is too large." })));
            }
        }
        Ok(body)
    };
    pingora::time::timeout(PATIENCE, read).await.unwrap_or_else(|_| {
        Err((StatusCode::REQUEST_TIMEOUT, json!({ "message": "The body did not come." })))
    })
}

fn text(status: StatusCode, body: &str) -> Response<Vec<u8>> {
    reply(status, "text/plain; version=0.0.4; charset=utf-8", body.as_bytes().to_vec())
}

fn body_of(status: StatusCode, body: &Value) -> Response<Vec<u8>> {
    reply(status, "application/json", format!("{body}\n").into_bytes())
}

fn reply(status: StatusCode, kind: &'static str, body: Vec<u8>) -> Response<Vec<u8>> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let length = response.body().len();
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
    headers.insert(http::header::CONTENT_LENGTH, length.into());
    response
}

#[async_trait::async_trait]
impl ServeHttp for Admin {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        self.answer(session).await
    }
}
