//! The second listener: health and metrics for machines, an authenticated API for operators.

use crate::config::Config;
use crate::gateway::Gateway;
use crate::readiness::{self, Readiness};
use crate::reload::build::Refused;
use crate::reload::{Reloader, Shown};
use http::{Method, Response, StatusCode};
use pingora::apps::http_app::ServeHttp;
use pingora::protocols::http::ServerSession;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq;
use weir_ledger::Group;

pub mod explain;
pub mod keys;
pub mod live;
pub mod people;
pub mod policies;
pub mod terms;

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
            (&Method::GET, "/readyz") => ready(&readiness::judge(&self.gateway)),
            (&Method::GET, "/metrics") => self.metrics(session),
            (_, path) if path.starts_with("/admin/v1/") => {
                match self.authenticated(session, &method, path).await {
                    Ok(body) => body_of(StatusCode::OK, &body),
                    Err((status, error)) => body_of(status, &json!({ "error": error })),
                }
            }
            _ => body_of(
                StatusCode::NOT_FOUND,
                &json!({ "error": { "message": "Known paths: /livez, /readyz, /metrics, /admin/v1/{version,policies,policies/NAME,providers,reload,rollback,organisations,organisations/ID,teams,teams/ID,keys,explain}." } }),
            ),
        }
    }

    fn metrics(&self, session: &ServerSession) -> Response<Vec<u8>> {
        let accept = session.req_header().headers.get(http::header::ACCEPT);
        let accept = accept.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (kind, body) = self.gateway.telemetry.metrics().render_for(accept);
        reply(StatusCode::OK, kind, body.into_bytes())
    }

    async fn authenticated(
        &self,
        session: &mut ServerSession,
        method: &Method,
        path: &str,
    ) -> Result<Value, No> {
        self.check_token(session)?;
        let most = if path.ends_with("/push") { policies::BODY } else { BODY };
        let body = body(session, most).await?;
        match (method, path.trim_start_matches("/admin/v1/")) {
            (&Method::GET, "version") => Ok(self.version()),
            (&Method::GET, "policies") => self.policies().await,
            (&Method::POST, "reload") => answer_of(self.reloader.reload().await),
            (&Method::POST, "rollback" | "policies/rollback") => answer_of(self.reloader.rollback().await),
            (&Method::GET, rest) if rest.starts_with("explain/") => {
                self.explain(rest.trim_start_matches("explain/"))
            }
            (&Method::GET, "providers") => Ok(live::providers(&self.gateway)),
            (&Method::GET, "organisations") => self.blocking(people::organisations).await,
            (&Method::GET, "teams") => self.blocking(people::teams).await,
            (&Method::PATCH, rest) if group(rest).is_some() => {
                let (group, id) = group(rest).unwrap_or((Group::Team, ""));
                let id = id.to_owned();
                self.blocking(move |ledger| people::edit(ledger, group, &id, &body)).await
            }
            (&Method::POST, "organisations") => {
                self.blocking(move |ledger| people::organisation(ledger, &body)).await
            }
            (&Method::POST, "teams") => self.blocking(move |ledger| people::team(ledger, &body)).await,
            (&Method::GET, "keys") => self.blocking(keys::list).await,
            (&Method::POST, "keys") => self.blocking(move |ledger| keys::create(ledger, &body)).await,
            (&Method::DELETE, rest) if rest.starts_with("keys/") => {
                let id = rest.trim_start_matches("keys/").to_owned();
                self.blocking(move |ledger| keys::revoke(ledger, &id)).await
            }
            (_, rest) => {
                let below = rest.strip_prefix("policies/").unwrap_or_default();
                let answered = policies::answer(&self.reloader, method, below, &body).await;
                let missing = || (StatusCode::NOT_FOUND, format!("There is no {method} {path}."));
                let (status, message) = match answered.filter(|_| !below.is_empty()) {
                    None => missing(),
                    Some(Err(no)) => (policies::status(&no), no.to_string()),
                    Some(Ok(answer)) => return Ok(answer),
                };
                Err((status, json!({ "message": message })))
            }
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

    /// Every policy, with what is on its way and which breakers are open.
    async fn policies(&self) -> Result<Value, No> {
        let shown = self.reloader.show(Shown::All).await;
        let mut shown = shown.map_err(|no| (policies::status(&no), json!({ "message": no.to_string() })))?;
        let snapshot = self.gateway.snapshot.load();
        let hooks = |name: &str| {
            let policy = snapshot.pipeline.policies().find(|policy| policy.manifest().name == name)?;
            let hooks: Vec<&str> = policy.manifest().hooks.iter().map(|hook| hook.as_str()).collect();
            Some(json!(hooks))
        };
        for policy in shown["policies"].as_array_mut().into_iter().flatten() {
            let name = policy["name"].as_str().unwrap_or_default().to_owned();
            policy["hooks"] = hooks(&name).unwrap_or_default();
        }
        let open = snapshot.pipeline.open_breakers();
        shown["open_breakers"] =
            open.map(|(policy, hook)| json!({ "policy": policy, "hook": hook.as_str() })).collect();
        Ok(shown)
    }
}

/// The organisation or the team that a path names.
fn group(path: &str) -> Option<(Group, &str)> {
    let (kind, id) = path.split_once('/')?;
    match kind {
        "organisations" => Some((Group::Organisation, id)),
        "teams" => Some((Group::Team, id)),
        _ => None,
    }
}

fn ready(readiness: &Readiness) -> Response<Vec<u8>> {
    let status = if readiness.status.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    body_of(status, &json!(readiness))
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

async fn body(session: &mut ServerSession, most: usize) -> Result<Vec<u8>, No> {
    let read = async {
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = session.read_request_body().await {
            body.extend_from_slice(&chunk);
            if body.len() > most {
                return Err((StatusCode::PAYLOAD_TOO_LARGE, json!({ "message": "The body is too large." })));
            }
        }
        Ok(body)
    };
    pingora::time::tokio_timeout(PATIENCE, read).await.unwrap_or_else(|_| {
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
