//! Talks to the admin API of a running gateway: one request, one JSON reply.

use crate::config::Config;
use serde_json::Value;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

/// How long a gateway may take to answer: a reload may compile.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running gateway's admin API.
pub struct Client {
    address: SocketAddr,
    token: String,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is no gateway, or it cannot be reached.
    #[error("no gateway answers at {0}: {1}. Is `weir serve` running with the same config?")]
    Unreachable(SocketAddr, io::Error),
    /// The token is not there.
    #[error(
        "the admin token cannot be read: {}: {why}; the first `weir serve` with this config makes it, for the user who runs it",
        .path.display()
    )]
    Token {
        /// Where it is looked for.
        path: PathBuf,
        /// What the system says.
        why: io::Error,
    },
    /// The gateway said no.
    #[error("{0}")]
    Refused(String),
    /// The reply is not what an admin API says.
    #[error("what answers at {0} is not Weir's admin API")]
    Garbled(SocketAddr),
}

impl Client {
    /// The client for a gateway that runs with this config.
    ///
    /// # Errors
    /// The admin token cannot be read.
    pub fn of(config: &Config) -> Result<Self, ClientError> {
        let token = match &config.admin_token {
            Some(token) => token.expose().to_owned(),
            None => {
                let path = config.data.join("admin.token");
                std::fs::read_to_string(&path).map_err(|why| ClientError::Token { path, why })?
            }
        };
        Ok(Self { address: config.server.admin, token: token.trim().to_owned() })
    }

    /// One call.
    ///
    /// # Errors
    /// [`ClientError`]; what the gateway says is passed on.
    pub fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, ClientError> {
        let (status, body) = self
            .exchange(method, path, body)
            .map_err(|error| ClientError::Unreachable(self.address, error))?;
        let value: Value = serde_json::from_slice(&body).map_err(|_| ClientError::Garbled(self.address))?;
        if status == 200 {
            return Ok(value);
        }
        let error = value.get("error").unwrap_or(&value);
        let mut text = error.get("message").and_then(Value::as_str).unwrap_or("refused").to_owned();
        for line in
            error.get("errors").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
        {
            text.push('\n');
            text.push_str(line);
        }
        Err(ClientError::Refused(text))
    }

    fn exchange(&self, method: &str, path: &str, body: Option<&Value>) -> io::Result<(u16, Vec<u8>)> {
        let mut stream = TcpStream::connect_timeout(&self.address, Duration::from_secs(5))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let body = body.map(Value::to_string).unwrap_or_default();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            self.address,
            self.token,
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body.as_bytes())?;
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply)?;
        let garbled = || io::Error::new(io::ErrorKind::InvalidData, "no HTTP reply");
        let end = reply.windows(4).position(|four| four == b"\r\n\r\n").ok_or_else(garbled)?;
        let head = std::str::from_utf8(&reply[..end]).map_err(|_| garbled())?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(garbled)?;
        Ok((status, reply.split_off(end + 4)))
    }
}
