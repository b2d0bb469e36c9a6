//! The TLS of callers. Pingora's own listener gives a handshake a minute; here it comes after the connection has been
//! counted, and has no more time than a request's head.

use crate::config;
use pingora::listeners::tls::Acceptor;
use pingora::protocols::Stream;
use pingora::protocols::l4::stream::Stream as Socket;
use pingora::tls::{ServerConfig, install_default_crypto_provider, load_certs_and_key_files};
use std::path::Path;
use std::sync::Arc;

/// What is spoken behind the handshake, what we like best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// What callers' connections pass.
pub struct Door(Option<Acceptor>);

impl Door {
    /// A door without TLS, or one that shows a certificate.
    ///
    /// # Errors
    /// Says what is wrong with the certificate or its key.
    pub fn new(tls: Option<&config::Tls>) -> Result<Self, String> {
        let Some(tls) = tls else { return Ok(Self(None)) };
        install_default_crypto_provider();
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let pair =
            load_certs_and_key_files(&path(&tls.cert), &path(&tls.key)).map_err(|error| error.to_string())?;
        let (certificates, key) = pair.ok_or("one of the files holds none")?;
        let config = ServerConfig::builder().with_no_client_auth();
        let mut config = config.with_single_cert(certificates, key).map_err(|error| error.to_string())?;
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        Ok(Self(Some(Acceptor::from_server_config(Arc::new(config)))))
    }

    /// Whether it asks for TLS.
    pub const fn is_secure(&self) -> bool {
        self.0.is_some()
    }

    /// The connection behind the handshake; `None`: it failed. However long it takes: the time is its caller's to keep.
    pub async fn pass(&self, stream: Stream) -> Option<Stream> {
        let Some(acceptor) = self.0.as_ref().filter(|_| stream.get_ssl_digest().is_none()) else {
            return Some(stream);
        };
        let socket = stream.into_any().downcast::<Socket>().ok()?;
        match Box::pin(acceptor.tls_handshake(*socket)).await {
            Ok(stream) => Some(Box::new(stream)),
            Err(error) => {
                tracing::debug!(%error, "a TLS handshake failed");
                None
            }
        }
    }
}
