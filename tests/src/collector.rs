//! An OTLP collector over HTTP: keeps what it is sent, and takes protobuf apart without knowing its messages.

use crate::{Act, Upstream};

/// A collector; it stops when dropped.
pub struct Collector(Upstream);

impl Collector {
    /// Starts one.
    pub async fn start() -> Self {
        Self(Upstream::start(|_| Act::reply(200, &[("Content-Type", "application/x-protobuf")], b"")).await)
    }

    /// What goes into `telemetry.otlp.endpoint`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.0.address)
    }

    /// All that came: heads, bodies, and every text inside of the bodies, one a line.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut all = Vec::new();
        for call in self.0.calls() {
            all.extend_from_slice(call.raw.as_bytes());
            all.extend_from_slice(&call.body);
            for text in texts(&call.body) {
                all.push(b'\n');
                all.extend_from_slice(&text);
            }
        }
        all
    }

    /// Every text that spans carried.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        let calls = self.0.calls();
        let all = calls.iter().flat_map(|call| texts(&call.body));
        all.filter_map(|bytes| String::from_utf8(bytes).ok()).collect()
    }
}

/// Every field of a protobuf message that has a length, the messages inside of it included.
fn texts(message: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut rest = message;
    while let Some((inner, behind)) = field(rest) {
        if let Some(bytes) = inner {
            found.extend(texts(bytes));
            found.push(bytes.to_vec());
        }
        rest = behind;
    }
    // What did not come apart to its end was no message.
    if rest.is_empty() { found } else { Vec::new() }
}

/// The first field: its bytes if it has a length, and what follows.
fn field(bytes: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let (key, rest) = varint(bytes)?;
    match key & 7 {
        0 => varint(rest).map(|(_, rest)| (None, rest)),
        1 => rest.get(8..).map(|rest| (None, rest)),
        5 => rest.get(4..).map(|rest| (None, rest)),
        2 => {
            let (length, rest) = varint(rest)?;
            let length = usize::try_from(length).ok()?;
            Some((Some(rest.get(..length)?), rest.get(length..)?))
        }
        _ => None,
    }
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (at, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[at + 1..]));
        }
    }
    None
}
