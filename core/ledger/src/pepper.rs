//! The installation's secret under which keys are hashed.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// HMAC-SHA-256 state with the pepper already absorbed: hashing a key costs two compressions. No `Debug`.
#[derive(Clone)]
pub struct Pepper(Hmac<Sha256>);

/// What is stored of a key.
pub(crate) type Tag = [u8; 32];

impl Pepper {
    /// From 32 bytes that the operator keeps elsewhere.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Self {
        // HMAC takes keys of any length, so the error arm cannot be reached; it must not panic all the same.
        Self(Hmac::new_from_slice(bytes).unwrap_or_else(|_| Hmac::new(&Default::default())))
    }

    /// Reads `dir/pepper`, or makes it (mode 0600, 32 random bytes in hex).
    ///
    /// # Errors
    /// If the file can be neither read nor made, or holds something else.
    pub fn load_or_create(dir: &Path) -> io::Result<Self> {
        make_private_dir(dir)?;
        let path = dir.join("pepper");
        match fs::read_to_string(&path) {
            Ok(text) => decode(&text).map(|bytes| Self::new(&bytes)).ok_or_else(|| malformed(&path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => create(&path),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn tag(&self, message: &[u8]) -> Tag {
        let mut mac = self.0.clone();
        mac.update(message);
        mac.finalize().into_bytes().into()
    }
}

/// Makes the data directory, readable by its owner only. One that exists is left as it is.
pub(crate) fn make_private_dir(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Written beside and linked into place, so that a crash leaves no half file and two starters agree on one pepper.
fn create(path: &Path) -> io::Result<Pepper> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    let fresh = path.with_extension(format!("new.{}", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&fresh)?;
    writeln!(file, "{}", hex::encode(bytes))?;
    file.sync_all()?;
    let linked = fs::hard_link(&fresh, path);
    fs::remove_file(&fresh)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => decode(&fs::read_to_string(path)?).map(|b| Pepper::new(&b)).ok_or_else(|| malformed(path)),
    }
}

fn decode(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text.trim(), &mut bytes).ok()?;
    Some(bytes)
}

fn malformed(path: &Path) -> io::Error {
    let what =
        format!("{} is not 64 hex digits; put the old file back, or remove it and all keys", path.display());
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pepper_is_made_once_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let first = Pepper::load_or_create(&data).unwrap().tag(b"x");
        assert_eq!(Pepper::load_or_create(&data).unwrap().tag(b"x"), first);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&data), mode(&data.join("pepper"))), (0o700, 0o600));
        }
        fs::write(data.join("pepper"), "short").unwrap();
        assert!(Pepper::load_or_create(&data).is_err());
    }

    #[test]
    fn the_tag_is_hmac_sha_256() {
        // RFC 4231 test case 1 has a 20-byte key; zero-padding a key to the block does not change HMAC.
        let mut key = [0; 32];
        key[..20].fill(0x0b);
        let tag = hex::encode(Pepper::new(&key).tag(b"Hi There"));
        assert_eq!(tag, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    }
}
