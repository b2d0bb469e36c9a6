//! Where requests go, and the answers that are no replies.

use crate::json::Json;
use bytes::Bytes;

/// Path behind the API's version for a reply: `models/gemini-2.5-flash:generateContent`, or the one that streams.
#[must_use]
pub fn path(model: &str, stream: bool) -> String {
    let verb = if stream { ":streamGenerateContent?alt=sse" } else { ":generateContent" };
    resource(model) + verb
}

/// Path behind the API's version that counts tokens.
#[must_use]
pub fn count_path(model: &str) -> String {
    resource(model) + ":countTokens"
}

/// The tokens that an answer of `countTokens` names.
#[must_use]
pub fn counted(body: &Bytes) -> Option<u64> {
    Json::parse_lenient(body.clone()).ok()?.root().get("totalTokens")?.as_u64()
}

/// How long an error asks to wait (`google.rpc.RetryInfo`), in milliseconds.
#[must_use]
pub fn retry_delay_ms(body: &[u8]) -> Option<u32> {
    let json = Json::parse_lenient(Bytes::copy_from_slice(body)).ok()?;
    let root = json.root();
    let root = root.elements().next().unwrap_or(root);
    let delay = root.get("error")?.get("details")?.elements().find_map(|detail| {
        let kind = detail.get("@type")?.as_str()?;
        if !kind.ends_with("google.rpc.RetryInfo") {
            return None;
        }
        detail.get("retryDelay")?.as_str()
    })?;
    let seconds = delay.strip_suffix('s')?;
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    let millis: String = fraction.chars().chain("000".chars()).take(3).collect();
    whole.parse::<u32>().ok()?.checked_mul(1_000)?.checked_add(millis.parse().ok()?)
}

/// The model's resource name, safe in a path. A kind of model that is named already is kept.
pub(super) fn resource(model: &str) -> String {
    const KINDS: [&str; 2] = ["models/", "tunedModels/"];
    let kind = KINDS.into_iter().find(|kind| model.starts_with(kind));
    let name = kind.and_then(|kind| model.strip_prefix(kind)).unwrap_or(model);
    let mut path = kind.unwrap_or("models/").to_owned();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            path.push(char::from(byte));
        } else {
            const HEX: &[u8; 16] = b"0123456789ABCDEF";
            path.push('%');
            path.extend([byte >> 4, byte & 15].map(|digit| char::from(HEX[usize::from(digit)])));
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_the_model_and_nothing_else() {
        assert_eq!(path("gemini-2.5-flash", false), "models/gemini-2.5-flash:generateContent");
        assert_eq!(path("models/gemini-3-pro", true), "models/gemini-3-pro:streamGenerateContent?alt=sse");
        assert_eq!(path("tunedModels/mine-1", false), "tunedModels/mine-1:generateContent");
        assert_eq!(path("../x?key=1:y#é", false), "models/..%2Fx%3Fkey%3D1%3Ay%23%C3%A9:generateContent");
        assert_eq!(count_path("gemini-3-pro"), "models/gemini-3-pro:countTokens");
    }

    #[test]
    fn counts_and_delays_are_read() {
        assert_eq!(counted(&Bytes::from_static(b"{\"totalTokens\": 31}")), Some(31));
        assert_eq!(counted(&Bytes::from_static(b"<html>")), None);
        let error = |delay: &str| {
            format!(
                r#"{{"error":{{"code":429,"details":[{{"@type":"type.googleapis.com/google.rpc.Help"}},
                {{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"{delay}"}}]}}}}"#
            )
        };
        for (delay, want) in [
            ("3.5s", Some(3_500)),
            ("42s", Some(42_000)),
            ("0.12345s", Some(123)),
            ("soon", None),
            ("-1s", None),
        ] {
            assert_eq!(retry_delay_ms(error(delay).as_bytes()), want, "{delay}");
            assert_eq!(retry_delay_ms(format!("[{}]", error(delay)).as_bytes()), want, "{delay}");
        }
    }
}
