//! Why one try at an endpoint came to nothing.

use crate::wire::Fault;
use pingora::{Error as PingoraError, ErrorType, RetryType};
use weir_policy::ErrorClass;

/// The other side does not speak HTTP/2, and nothing else is wanted.
pub(super) const NOT_TWO: ErrorType = ErrorType::new("NotHttp2");
/// A proxy said no.
pub(super) const PROXY: ErrorType = ErrorType::new("Proxy");

/// Why one try at an endpoint came to nothing. The message names no key, header or content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What kind.
    pub class: ErrorClass,
    /// For the caller's error message.
    pub message: String,
    /// Whether a byte of a reply had come.
    pub replied: bool,
    /// Whether it was TLS that failed: no trust, or no handshake.
    pub tls: bool,
    /// Whether the request was surely not looked at, so that asking again over a fresh connection repeats nothing.
    pub afresh: bool,
}

impl Failure {
    /// A failure before any byte of a reply.
    pub fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), replied: false, tls: false, afresh: false }
    }

    /// A failure after bytes of a reply.
    pub fn amid(class: ErrorClass, message: impl Into<String>) -> Self {
        Self { replied: true, ..Self::new(class, message) }
    }
}

pub(super) fn unresolved(why: &str) -> Failure {
    Failure::new(ErrorClass::Network, format!("the provider's address is not known: {why}"))
}

pub(super) fn connect_failure(error: &PingoraError) -> Failure {
    match error.etype() {
        ErrorType::ConnectTimedout | ErrorType::TLSHandshakeTimedout => {
            Failure::new(ErrorClass::TimeoutConnect, "the connection timed out")
        }
        ErrorType::ConnectRefused => Failure::new(ErrorClass::Network, "the connection was refused"),
        ErrorType::InvalidCert | ErrorType::TLSHandshakeFailure | ErrorType::TLSWantX509Lookup => {
            untrusted(&text(error))
        }
        ErrorType::HandshakeError => Failure::new(ErrorClass::Network, "the HTTP/2 handshake failed"),
        kind if *kind == NOT_TWO => Failure::new(
            ErrorClass::Network,
            "it does not speak HTTP/2: leave `http` out of its config, or say `http: \"1\"`",
        ),
        kind if *kind == PROXY => Failure::new(ErrorClass::Network, context(error)),
        _ => Failure::new(ErrorClass::Network, "the connection failed"),
    }
}

/// The words of TLS for what an operator can mend.
fn untrusted(said: &str) -> Failure {
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let why = if has(&["UnknownIssuer", "SelfSigned", "CaUsedAsEndEntity"]) {
        "the provider's certificate is signed by nobody that is trusted here: name its root with `ca`"
    } else if has(&["NotValidYet", "not valid yet"]) {
        "the provider's certificate is not valid yet: look at the clock of this machine"
    } else if has(&["Expired", "expired"]) {
        "the provider's certificate has expired: it has to renew it, or this machine's clock is wrong"
    } else if has(&["NotValidForName", "not valid for name"]) {
        "the provider's certificate is for another name than that of `base_url`"
    } else if has(&["CertificateRequired", "certificate required"]) {
        "the provider asks for a certificate: name ours with `client_cert`"
    } else if has(&["invalid peer certificate"]) {
        "the provider's certificate is not valid"
    } else {
        "the TLS handshake failed"
    };
    Failure { tls: true, ..Failure::new(ErrorClass::Network, why) }
}

/// All that an error and its causes say.
fn text(error: &PingoraError) -> String {
    format!("{error} {error:?}")
}

fn context(error: &PingoraError) -> String {
    error.context.as_ref().map_or_else(|| "the proxy failed".to_owned(), |text| text.as_str().to_owned())
}

/// In HTTP/2 the other side says of a stream whether it was looked at. `stale`: the connection was used before, and broke so
/// soon that it may have been closed already.
pub(super) fn call_failure(error: &mut PingoraError, stale: bool) -> Failure {
    error.retry.decide_reuse(stale);
    // One bad frame ends every stream of its connection, and says of none whether it was looked at.
    let afresh = error.retry == RetryType::Decided(true) && *error.etype() != ErrorType::InvalidH2;
    match error.etype() {
        ErrorType::InvalidHTTPHeader => garbled(),
        _ => Failure { afresh, ..broken() },
    }
}

/// In HTTP/1.1 only silence can be judged: a provider that began to answer has done the work, so it is not asked again.
pub(super) fn fault_failure(fault: &Fault, replied: bool, stale: bool) -> Failure {
    match fault {
        Fault::Garbled => garbled(),
        Fault::Ended | Fault::Broken => Failure { replied, afresh: stale && !replied, ..broken() },
    }
}

fn garbled() -> Failure {
    Failure::amid(ErrorClass::ServerError, "the provider's reply is not HTTP as we know it")
}

fn broken() -> Failure {
    Failure::new(ErrorClass::Network, "the connection broke before a reply came")
}
