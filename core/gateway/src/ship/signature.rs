//! Who signed a version: minisign signatures, checked against the keys of config.

use crate::config::Signing;
use minisign_verify::Signature;

/// Checks a signature; what the step says when it is content.
///
/// # Errors
/// There is none and config asks for one, or it is not by any of the keys.
pub fn check(signing: &Signing, bytes: &[u8], signature: Option<&str>) -> Result<&'static str, String> {
    match signature {
        None if signing.required => {
            Err("there is none, and `signing.required` is true: sign it with `minisign -Sm FILE`".to_owned())
        }
        None => Ok("none"),
        Some(_) if signing.keys.is_empty() => Ok("not checked: `signing.keys` names no key"),
        Some(text) => {
            let signature =
                Signature::decode(text).map_err(|_| "it is not a minisign signature".to_owned())?;
            // Pre-hashed signatures only: minisign has made no others since 2021.
            let good = signing.keys.iter().any(|key| key.verify(bytes, &signature, false).is_ok());
            if good {
                Ok("good")
            } else {
                Err("it is not by any key of `signing.keys` over these bytes".to_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use minisign_verify::PublicKey;

    /// From the test vectors of `minisign-verify`: a key, and its signature over `test`.
    const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    const SIGNATURE: &str = "untrusted comment: signature from minisign secret key
RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=
trusted comment: timestamp:1556193335\tfile:test
y/rUw2y8/hOUYjZU71eHp/Wo1KZ40fGy2VJEDl34XMJM+TX48Ss/17u3IvIfbVR1FkZZSNCisQbuQY+bHwhEBg==";

    fn signing(required: bool) -> Signing {
        Signing { keys: vec![PublicKey::from_base64(KEY).unwrap()], required }
    }

    #[test]
    fn a_good_signature_passes_and_any_other_does_not() {
        assert_eq!(check(&signing(true), b"test", Some(SIGNATURE)), Ok("good"));
        assert!(check(&signing(true), b"tests", Some(SIGNATURE)).unwrap_err().contains("not by any key"));
        assert!(check(&signing(false), b"test", Some("RW nonsense")).is_err(), "a bad one is never ignored");
        let other = SIGNATURE.replace("RUQf6LRCGA9i559r", "RUQf6LRCGA9i559s");
        assert!(check(&signing(false), b"test", Some(&other)).is_err());
    }

    #[test]
    fn none_passes_only_where_none_is_asked_for() {
        assert_eq!(check(&signing(false), b"test", None), Ok("none"));
        assert!(check(&signing(true), b"test", None).unwrap_err().contains("signing.required"));
    }
}
