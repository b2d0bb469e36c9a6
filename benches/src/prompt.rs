//! The bodies that the load generator sends and the mock understands: 1 KiB, and a ticket in the prompt, in the form of
//! each API that callers speak.
//!
//! The ticket is `bench-SSSSSSSS-KNNN`: a serial number that the reply must repeat, what kind of reply is asked for,
//! and how many chunks it has. So a reply is checked against its own request, whoever sits between the two.

/// The address that a guard must mask, in one body of a hundred.
pub const PII: &str = "jane.doe@example.com";

/// Bytes of a request body.
pub const BODY_BYTES: usize = 1024;

/// Chunks of a benchmark stream.
pub const STREAM_CHUNKS: usize = 50;

/// The API that a caller speaks; the mock speaks [`Api::Chat`].
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Serialize, serde::Deserialize,
)]
pub enum Api {
    /// OpenAI's Chat Completions.
    #[default]
    Chat,
    /// OpenAI's Responses.
    Responses,
    /// Anthropic's Messages.
    Messages,
}

impl Api {
    /// Its name, as the load generator's `--api` takes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Api::Chat => "chat",
            Api::Responses => "responses",
            Api::Messages => "messages",
        }
    }

    /// The path of its requests, and the headers by which its callers show their key.
    fn head(self, key: &str) -> (&'static str, String) {
        match self {
            Api::Chat => ("/v1/chat/completions", format!("Authorization: Bearer {key}")),
            Api::Responses => ("/v1/responses", format!("Authorization: Bearer {key}")),
            Api::Messages => ("/v1/messages", format!("x-api-key: {key}\r\nanthropic-version: 2023-06-01")),
        }
    }
}

/// What reply a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One JSON body.
    Plain,
    /// A stream of [`STREAM_CHUNKS`] chunks.
    Stream,
    /// A stream that stays open after its first chunk until the mock is told to go on.
    Hold,
}

/// What the mock found in a prompt, told in the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Neither the address nor a mask.
    None,
    /// The address, masked.
    Masked,
    /// The address itself.
    Leaked,
}

impl Mark {
    /// Four letters, so that every reply has the same length.
    pub fn as_str(self) -> &'static str {
        match self {
            Mark::None => "none",
            Mark::Masked => "mask",
            Mark::Leaked => "leak",
        }
    }
}

/// A request's bytes, head and body, and where its serial number stands.
#[derive(Clone)]
pub struct Template {
    bytes: Vec<u8>,
    serial_at: usize,
}

/// Digits of a serial number.
pub const SERIAL_DIGITS: usize = 8;

impl Template {
    /// A request to `host` by `key`, with a [`body`] of that API.
    pub fn new(host: &str, key: &str, api: Api, body: &str) -> Template {
        let (path, key) = api.head(key);
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\n{key}\r\n\
             Content-Type: application/json\r\nAccept: application/json\r\nUser-Agent: weir-bench\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        let bytes = [head.as_bytes(), body.as_bytes()].concat();
        let serial_at = memchr::memmem::find(&bytes, b"bench-0").map_or(0, |at| at + "bench-".len());
        Template { bytes, serial_at }
    }

    /// The request with this serial number.
    pub fn numbered(&mut self, serial: u64) -> &[u8] {
        write_serial(&mut self.bytes[self.serial_at..self.serial_at + SERIAL_DIGITS], serial);
        &self.bytes
    }
}

/// What the mock reads from a prompt.
pub struct Ticket {
    /// The serial number's digits.
    pub serial: [u8; SERIAL_DIGITS],
    /// What reply is asked for.
    pub kind: Kind,
}

impl Ticket {
    /// Finds the ticket in a body.
    pub fn find(body: &[u8]) -> Option<Ticket> {
        let at = memchr::memmem::find(body, b"bench-")? + "bench-".len();
        let serial = body.get(at..at + SERIAL_DIGITS)?.try_into().ok()?;
        let kind = match body.get(at + SERIAL_DIGITS..at + SERIAL_DIGITS + 2)? {
            b"-p" => Kind::Plain,
            b"-s" => Kind::Stream,
            b"-h" => Kind::Hold,
            _ => return None,
        };
        Some(Ticket { serial, kind })
    }
}

/// Writes `serial` in decimal over `digits`.
pub fn write_serial(digits: &mut [u8], mut serial: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (serial % 10) as u8;
        serial /= 10;
    }
}

/// Instructions and three turns, as a short conversation has, filled up to [`BODY_BYTES`].
pub fn body(api: Api, model: &str, kind: Kind, pii: bool) -> String {
    let letter = match kind {
        Kind::Plain => 'p',
        Kind::Stream => 's',
        Kind::Hold => 'h',
    };
    let who = if pii { PII } else { "the account's owner." };
    let turns = [
        format!(r#"{{"role":"user","content":"bench-00000000-{letter}: please write to {who}"}},"#),
        r#"{"role":"assistant","content":"Which tone do you want?"},"#.to_owned(),
        r#"{"role":"user","content":""#.to_owned(),
    ];
    let start = [opening(api, model), turns.concat()].concat();
    let tail = format!(r#""}}],{}}}"#, wishes(api, kind));
    let filler = "A calm one, with the dates of the last two orders and a word of thanks. ";
    let room = BODY_BYTES.saturating_sub(start.len() + tail.len());
    let text: String = filler.chars().cycle().take(room).collect();
    [start, text, tail].concat()
}

/// The body up to its first turn: each API has another place for instructions.
fn opening(api: Api, model: &str) -> String {
    let system = "You answer in one short paragraph.";
    match api {
        Api::Chat => {
            format!(r#"{{"model":"{model}","messages":[{{"role":"system","content":"{system}"}},"#)
        }
        Api::Responses => format!(r#"{{"model":"{model}","instructions":"{system}","input":["#),
        Api::Messages => format!(r#"{{"model":"{model}","system":"{system}","messages":["#),
    }
}

/// The keys after the last turn.
fn wishes(api: Api, kind: Kind) -> String {
    let limit = if api == Api::Responses { "max_output_tokens" } else { "max_tokens" };
    let stream = match (kind, api) {
        (Kind::Plain, _) => "",
        // Only Chat Completions has to be asked for a stream's usage.
        (Kind::Stream, Api::Chat) => r#","stream":true,"stream_options":{"include_usage":true}"#,
        (Kind::Stream | Kind::Hold, _) => r#","stream":true"#,
    };
    format!(r#""{limit}":256,"temperature":0.2{stream}"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_body_has_the_stated_size_and_a_ticket_that_the_mock_reads() {
        for api in [Api::Chat, Api::Responses, Api::Messages] {
            for kind in [Kind::Plain, Kind::Stream, Kind::Hold] {
                for pii in [false, true] {
                    let body = body(api, "chat", kind, pii);
                    assert_eq!(body.len(), BODY_BYTES);
                    let parsed: serde_json::Value = serde_json::from_str(&body).expect("valid JSON");
                    assert_eq!(parsed["model"], "chat");
                    assert_eq!(body.contains(PII), pii);
                    assert_eq!(Ticket::find(body.as_bytes()).expect("a ticket").kind, kind);
                }
            }
        }
    }

    #[test]
    fn a_template_takes_its_serial() {
        for api in [Api::Chat, Api::Responses, Api::Messages] {
            let mut template = Template::new("h", "k", api, &body(api, "chat", Kind::Plain, false));
            let request = template.numbered(120_045);
            assert!(String::from_utf8_lossy(request).contains("bench-00120045-p"));
        }
    }
}
