//! Certificates, looked at before they are used: Pingora's connector panics on a file that it cannot use.

use pingora::tls::{
    ClientConfig, RootCertStore, install_default_crypto_provider, load_ca_file_into_store,
    load_certs_and_key_files,
};
use std::path::Path;

/// Whether roots, and a certificate with its key, can be used.
///
/// # Errors
/// Says which of them cannot, and why.
pub fn check(ca: Option<&Path>, client: Option<(&Path, &Path)>) -> Result<(), String> {
    install_default_crypto_provider();
    let mut roots = RootCertStore::empty();
    if let Some(ca) = ca {
        let loaded = load_ca_file_into_store(ca, &mut roots);
        if loaded.is_err() || roots.is_empty() {
            return Err(format!("ca: `{}` holds no certificate in PEM form", ca.display()));
        }
    }
    let Some((cert, key)) = client else { return Ok(()) };
    let unusable = || {
        let (cert, key) = (cert.display(), key.display());
        format!("client_cert: `{cert}` and `{key}` are no certificate with its key in PEM form")
    };
    let loaded = load_certs_and_key_files(&cert.to_string_lossy(), &key.to_string_lossy());
    let Ok(Some((chain, key))) = loaded else { return Err(unusable()) };
    let config = ClientConfig::builder().with_root_certificates(roots).with_client_auth_cert(chain, key);
    config.map(|_| ()).map_err(|_| unusable())
}
