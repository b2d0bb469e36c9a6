//! Certificates of our own, and TLS in front of an upstream that speaks in clear text.

use crate::soon;
use pingora::tls::{
    ClientConfig, RootCertStore, ServerConfig, ServerName, TlsAcceptor, TlsConnector, WebPkiClientVerifier,
    install_default_crypto_provider, load_ca_file_into_store, load_certs_and_key_files,
};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A root, and what it has signed: made by `openssl`, for this run only.
pub struct Pki(TempDir);

impl Pki {
    /// `ca`, `leaf` (127.0.0.1 and localhost), `expired` (the same, since yesterday), `other` (another name), `client`.
    #[must_use]
    pub fn new() -> Self {
        let pki = Self(TempDir::new().expect("a folder"));
        let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
        let root = ["-addext", "basicConstraints=critical,CA:TRUE"];
        let files = ["-keyout", "ca.key", "-out", "ca.pem", "-days", "30", "-subj", "/CN=Weir test root"];
        pki.openssl(&[&["req", "-x509"], &curve[..], &files, &root].concat());
        for (name, days, host) in [
            ("leaf", "30", "IP:127.0.0.1,DNS:localhost"),
            ("expired", "-1", "IP:127.0.0.1,DNS:localhost"),
            ("other", "30", "DNS:other.example"),
            ("client", "30", "DNS:weir"),
        ] {
            let (key, csr, pem) = (format!("{name}.key"), format!("{name}.csr"), format!("{name}.pem"));
            let ask = ["-keyout", &key, "-out", &csr, "-subj", "/CN=Weir test"];
            pki.openssl(&[&["req"], &curve[..], &ask].concat());
            std::fs::write(pki.path("ext"), format!("subjectAltName={host}\n")).expect("a file");
            let sign = ["x509", "-req", "-in", &csr, "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
            pki.openssl(&[&sign[..], &["-days", days, "-extfile", "ext", "-out", &pem]].concat());
        }
        pki
    }

    /// A file of it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// What a server that shows `leaf` answers to a `GET` with a key. Where HTTP/2 is what it likes best, only that it is
    /// spoken: `h2 200`, once its first frame has come.
    pub async fn get(&self, at: SocketAddr, path: &str, key: &str, protocols: &[&str]) -> String {
        install_default_crypto_provider();
        let mut roots = RootCertStore::empty();
        load_ca_file_into_store(self.path("ca.pem"), &mut roots).expect("a root");
        let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let name = ServerName::try_from("localhost").expect("a name");
        let stream = TcpStream::connect(at).await.expect("somebody listens");
        let connector = TlsConnector::from(Arc::new(config));
        let mut stream = soon("a handshake", connector.connect(name, stream)).await.expect("a handshake");
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            stream.write_all(crate::frames::PREFACE).await.expect("room");
            let mut settings = [0; 9];
            soon("a frame", stream.read_exact(&mut settings)).await.expect("a frame");
            assert_eq!(settings[3], crate::frames::kind::SETTINGS);
            return "h2 200".to_owned();
        }
        let ask = format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(ask.as_bytes()).await.expect("room");
        let mut reply = Vec::new();
        // Whether it ends with the word of TLS for an end is not the question here.
        let _ = soon("a reply", stream.read_to_end(&mut reply)).await;
        String::from_utf8_lossy(&reply).into_owned()
    }

    fn openssl(&self, args: &[&str]) {
        let done =
            Command::new("openssl").args(args).current_dir(&self.0).output().expect("openssl is there");
        assert!(done.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

impl Default for Pki {
    fn default() -> Self {
        Self::new()
    }
}

/// Takes TLS off what comes and hands it on; stops when dropped.
pub struct Front {
    /// Where it listens.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Front {
    /// In front of `to`, with a certificate of the [`Pki`] and the protocols that are offered, such as `h2`.
    pub async fn start(to: SocketAddr, pki: &Pki, name: &str, protocols: &[&str]) -> Self {
        Self::with(to, pki, name, protocols, false).await
    }

    /// The same, for who shows a certificate of the same root.
    pub async fn for_known(to: SocketAddr, pki: &Pki) -> Self {
        Self::with(to, pki, "leaf", &[], true).await
    }

    async fn with(to: SocketAddr, pki: &Pki, name: &str, protocols: &[&str], known: bool) -> Self {
        install_default_crypto_provider();
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let (cert, key) = (pki.path(&format!("{name}.pem")), pki.path(&format!("{name}.key")));
        let pair = load_certs_and_key_files(&text(&cert), &text(&key)).expect("files");
        let (chain, key) = pair.expect("a certificate");
        let builder = match known {
            false => ServerConfig::builder().with_no_client_auth(),
            true => {
                let mut roots = RootCertStore::empty();
                load_ca_file_into_store(pki.path("ca.pem"), &mut roots).expect("a root");
                let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().expect("a verifier");
                ServerConfig::builder().with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_single_cert(chain, key).expect("a certificate and its key");
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                connections.spawn(async move {
                    let Ok(mut outside) = acceptor.accept(stream).await else { return };
                    let Ok(mut inside) = TcpStream::connect(to).await else { return };
                    // Whoever leaves first ends it; nobody is told.
                    let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
                });
            }
        });
        Self { address, task }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}
