//! What the right reply to a request is.

mod content;

use memchr::memmem;

use crate::failure::{Failure, Result};
use crate::mock;
use crate::prompt::{Api, Kind, Mark, SERIAL_DIGITS, write_serial};
use crate::wire::Head;

/// What a request asked for, and so what its reply must be.
pub struct Due {
    /// The API in which it was sent.
    pub api: Api,
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
    match (due.api, due.kind) {
        (Api::Chat, Kind::Plain) if body == mock::completion(&serial, due.mark).as_bytes() => Ok(()),
        (Api::Chat, Kind::Plain) => Err(Failure::new("a reply that is not the upstream's, byte for byte")),
        (_, Kind::Plain) => content::whole(due.api, body, &mock::text(&serial, due.mark)),
        (..) => content::stream(due.api, body, &mock::stream_text(&serial, due.mark)),
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
