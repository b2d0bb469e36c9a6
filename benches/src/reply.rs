//! What the right reply to a request is.

use memchr::memmem;

use crate::failure::{Failure, Result};
use crate::mock;
use crate::prompt::{Kind, Mark, SERIAL_DIGITS, STREAM_CHUNKS, write_serial};
use crate::wire::Head;

/// What a request asked for, and so what its reply must be.
pub struct Due {
    /// What reply was asked for.
    pub kind: Kind,
    /// The request's serial number, which its reply repeats.
    pub serial: u64,
    /// What the upstream must have found in the prompt.
    pub mark: Mark,
}

/// The right reply to this very request: status, serial, mark, and complete to the last byte.
pub fn check(head: &Head, body: &[u8], due: &Due) -> Result<()> {
    if head.status() != 200 {
        let text = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
        return Err(Failure::new(format!("status {} {text}", head.status())));
    }
    let mut serial = [b'0'; SERIAL_DIGITS];
    write_serial(&mut serial, due.serial);
    let opening = mock::opening(&serial, due.mark);
    if memmem::find(body, opening.as_bytes()).is_none() {
        return Err(Failure::new(wrong_opening(body, &serial, due.mark)));
    }
    match due.kind {
        Kind::Plain if body == mock::completion(&serial, due.mark).as_bytes() => Ok(()),
        Kind::Plain => Err(Failure::new("a reply that is not the upstream's, byte for byte")),
        Kind::Stream | Kind::Hold => check_stream(body),
    }
}

fn check_stream(body: &[u8]) -> Result<()> {
    let deltas = memmem::find_iter(body, br#""delta":{"content""#).count();
    match body.ends_with(b"data: [DONE]\n\n") {
        true if deltas == STREAM_CHUNKS => Ok(()),
        true => Err(Failure::new("a stream with the wrong number of chunks")),
        false => Err(Failure::new("a stream without its end")),
    }
}

fn wrong_opening(body: &[u8], serial: &[u8], expected: Mark) -> String {
    let seen = [Mark::None, Mark::Masked, Mark::Leaked]
        .into_iter()
        .find(|mark| memmem::find(body, mock::opening(serial, *mark).as_bytes()).is_some());
    match seen {
        Some(mark) => format!("the upstream saw '{}' where '{}' was due", mark.as_str(), expected.as_str()),
        None => "the reply to another request".to_owned(),
    }
}
