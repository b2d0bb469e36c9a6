//! Keys and signatures as `minisign` makes them, by `openssl`, for this run only.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// What minisign calls its kind of key, and a signature over a hash by one.
const KEY: &[u8] = b"Ed";
const HASHED: &[u8] = b"ED";
/// Tells a signature which key it is by; any eight bytes do.
const NUMBER: &[u8] = b"weirtest";

/// Who signs.
pub struct Signer(TempDir);

impl Signer {
    /// With a key of its own.
    #[must_use]
    pub fn new() -> Self {
        let signer = Self(TempDir::new().expect("a folder"));
        signer.openssl(&["genpkey", "-algorithm", "ed25519", "-out", "key.pem"]);
        signer
    }

    /// The public key, as `signing.keys` names it.
    #[must_use]
    pub fn public(&self) -> String {
        let der = self.openssl(&["pkey", "-in", "key.pem", "-pubout", "-outform", "DER"]);
        // RFC 8410: the key is what stands last.
        STANDARD.encode([KEY, NUMBER, &der[der.len() - 32..]].concat())
    }

    /// What stands in `FILE.minisig`.
    #[must_use]
    pub fn sign(&self, bytes: &[u8]) -> String {
        let comment = "signed in a test";
        let file = self.write("signed", bytes);
        let hash = self.openssl(&["dgst", "-blake2b512", "-binary", &file]);
        let over = self.raw(&hash);
        let both = self.raw(&[&over[..], comment.as_bytes()].concat());
        let over = STANDARD.encode([HASHED, NUMBER, &over].concat());
        format!("untrusted comment: a test\n{over}\ntrusted comment: {comment}\n{}\n", STANDARD.encode(both))
    }

    fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        let file = self.write("raw", bytes);
        self.openssl(&["pkeyutl", "-sign", "-rawin", "-inkey", "key.pem", "-in", &file])
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        std::fs::write(self.folder().join(name), bytes).expect("a file");
        name.to_owned()
    }

    fn folder(&self) -> &Path {
        self.0.path()
    }

    fn openssl(&self, args: &[&str]) -> Vec<u8> {
        let done = Command::new("openssl").args(args).current_dir(self.folder()).output().expect("openssl");
        assert!(done.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&done.stderr));
        done.stdout
    }
}

impl Default for Signer {
    fn default() -> Self {
        Self::new()
    }
}
