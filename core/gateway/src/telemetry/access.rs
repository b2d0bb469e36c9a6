//! The access log: one JSON line an exchange, written by hand into a buffer that its thread keeps.

use super::record::Exchange;
use std::cell::RefCell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use weir_llm::usage::Class;

/// Formats the line of `exchange`, newline included, and hands it to `write`.
pub fn line(exchange: &Exchange, write: impl FnOnce(&[u8])) {
    thread_local!(static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) });
    BUFFER.with_borrow_mut(|buffer| {
        buffer.clear();
        Line::begin(buffer, exchange.started_at + exchange.total, "INFO", "weir::access", "exchange")
            .exchange(exchange);
        write(buffer);
    });
}

/// A flat JSON object under construction; the keys it begins with are those of the process log.
pub(super) struct Line<'a>(&'a mut Vec<u8>);

impl<'a> Line<'a> {
    pub(super) fn begin(
        out: &'a mut Vec<u8>,
        at: SystemTime,
        level: &str,
        target: &str,
        message: &str,
    ) -> Self {
        out.extend_from_slice(b"{\"timestamp\":\"");
        timestamp(out, at);
        out.extend_from_slice(b"\",\"level\":\"");
        out.extend_from_slice(level.as_bytes());
        out.push(b'"');
        Self(out).text("message", message).text("target", target)
    }

    pub(super) fn text(self, key: &str, value: &str) -> Self {
        let line = self.key(key);
        quote(line.0, value);
        line
    }

    pub(super) fn end(self) {
        self.0.extend_from_slice(b"}\n");
    }

    fn exchange(self, exchange: &Exchange) {
        let alias = exchange.meters.alias(exchange.model);
        let mut line = self.text("request_id", &exchange.request_id);
        line =
            line.trace_id(exchange.trace.trace_id).plain("api", exchange.api.as_str()).text("alias", alias);
        if let Some(target) = exchange.target.and_then(|index| exchange.meters.target(index)) {
            line = line.text("provider", target.provider).text("model", target.model);
            let said = exchange.response_model.as_str();
            if !said.is_empty() && said != target.model {
                line = line.text("response_model", said);
            }
        }
        line = line.number("status", u64::from(exchange.status)).plain("outcome", exchange.outcome.as_str());
        if let Some(class) = exchange.error {
            line = line.plain("error", class.as_str());
        }
        if let Some(code) = exchange.refused {
            line = line.plain("code", code);
        }
        line = line.flag("stream", exchange.stream).plain("cache", exchange.cache.as_str()).ends(exchange);
        line = line.attempts(exchange).usage("tokens", exchange, Class::is_token);
        if exchange.usage.lines().any(|(class, _)| !class.is_token()) {
            line = line.usage("units", exchange, |class| !class.is_token());
        }
        line = line.dollars("charged_usd", exchange.charged.0);
        line = match exchange.provider_cost {
            Some(cost) => line.dollars("provider_usd", cost.0),
            None => line.key("provider_usd").raw(b"null"),
        };
        if let Some(ttft) = exchange.ttft {
            line = line.millis("ttft_ms", ttft);
        }
        line = line.millis("total_ms", exchange.total).millis("overhead_ms", exchange.overhead);
        line = line.number("bytes_in", exchange.bytes_in).number("bytes_out", exchange.bytes_out);
        line = line.number("generation", exchange.generation);
        line.text("tenant", &exchange.tenant).text("key_id", &exchange.key_id).end();
    }

    /// How many tries, and if there was more to it than one success: which target said what.
    fn attempts(self, exchange: &Exchange) -> Self {
        let attempts = &exchange.attempts;
        let line =
            self.number("attempts", attempts.len() as u64).number("retries", exchange.retries() as u64);
        if attempts.len() < 2 && attempts.iter().all(|attempt| attempt.error.is_none()) {
            return line;
        }
        let line = line.key("tried");
        for (i, attempt) in attempts.iter().enumerate() {
            line.0.extend_from_slice(if i == 0 { b"[\"" } else { b",\"" });
            escape(line.0, exchange.meters.target(attempt.target).map_or("?", |target| target.id));
            line.0.push(b' ');
            line.0.extend_from_slice(attempt.error.map_or("ok", |class| class.as_str()).as_bytes());
            line.0.push(b'"');
        }
        line.0.push(b']');
        line
    }

    /// Why the answers ended, if that is known.
    fn ends(self, exchange: &Exchange) -> Self {
        let mut ends = exchange.ends.iter();
        let Some(first) = ends.next() else { return self };
        let line = self.key("finish_reasons");
        line.0.extend_from_slice(b"[\"");
        line.0.extend_from_slice(first.as_str().as_bytes());
        for end in ends {
            line.0.extend_from_slice(b"\",\"");
            line.0.extend_from_slice(end.as_str().as_bytes());
        }
        line.0.extend_from_slice(b"\"]");
        line
    }

    /// Only classes that occur.
    fn usage(self, key: &str, exchange: &Exchange, of: impl Fn(Class) -> bool) -> Self {
        let line = self.key(key);
        line.0.push(b'{');
        let mut comma = false;
        for (class, count) in exchange.usage.lines().filter(|&(class, _)| of(class)) {
            line.0.extend_from_slice(if comma { b",\"" } else { b"\"" });
            line.0.extend_from_slice(class.as_str().as_bytes());
            line.0.extend_from_slice(b"\":");
            digits(line.0, count);
            comma = true;
        }
        line.0.push(b'}');
        line
    }

    fn trace_id(self, id: u128) -> Self {
        let line = self.key("trace_id");
        line.0.push(b'"');
        line.0.extend((0..32).rev().map(|i| b"0123456789abcdef"[(id >> (4 * i)) as usize & 15]));
        line.0.push(b'"');
        line
    }

    /// A value that needs no escaping: one of our own names.
    fn plain(self, key: &str, value: &'static str) -> Self {
        let line = self.key(key);
        line.0.push(b'"');
        line.0.extend_from_slice(value.as_bytes());
        line.0.push(b'"');
        line
    }

    fn flag(self, key: &str, value: bool) -> Self {
        self.key(key).raw(if value { b"true" } else { b"false" })
    }

    fn number(self, key: &str, value: u64) -> Self {
        let line = self.key(key);
        digits(line.0, value);
        line
    }

    /// Milliseconds with microseconds as fraction.
    fn millis(self, key: &str, value: Duration) -> Self {
        let micros = u64::try_from(value.as_micros()).unwrap_or(u64::MAX);
        let line = self.key(key);
        digits(line.0, micros / 1000);
        line.0.push(b'.');
        padded(line.0, micros % 1000, 3);
        line
    }

    /// An exact decimal, nine digits after the point.
    fn dollars(self, key: &str, nanos: i64) -> Self {
        let line = self.key(key);
        if nanos < 0 {
            line.0.push(b'-');
        }
        digits(line.0, nanos.unsigned_abs() / 1_000_000_000);
        line.0.push(b'.');
        padded(line.0, nanos.unsigned_abs() % 1_000_000_000, 9);
        line
    }

    fn key(self, key: &str) -> Self {
        self.0.extend_from_slice(b",\"");
        self.0.extend_from_slice(key.as_bytes());
        self.0.extend_from_slice(b"\":");
        self
    }

    fn raw(self, value: &[u8]) -> Self {
        self.0.extend_from_slice(value);
        self
    }
}

fn digits(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn padded(out: &mut Vec<u8>, value: u64, width: usize) {
    let mut buffer = itoa::Buffer::new();
    let text = buffer.format(value).as_bytes();
    out.extend(std::iter::repeat_n(b'0', width.saturating_sub(text.len())));
    out.extend_from_slice(text);
}

fn quote(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    escape(out, text);
    out.push(b'"');
}

fn escape(out: &mut Vec<u8>, text: &str) {
    let mut clean = 0;
    let bytes = text.as_bytes();
    for (i, byte) in bytes.iter().enumerate() {
        if !matches!(byte, b'"' | b'\\' | 0..0x20 | 0x7f) {
            continue;
        }
        out.extend_from_slice(&bytes[clean..i]);
        clean = i + 1;
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            _ => {
                let hex = b"0123456789abcdef";
                let (high, low) = (hex[usize::from(byte >> 4)], hex[usize::from(byte & 15)]);
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            }
        }
    }
    out.extend_from_slice(&bytes[clean..]);
}

/// RFC 3339 in UTC with microseconds, as the process log writes it.
fn timestamp(out: &mut Vec<u8>, at: SystemTime) {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    padded(out, year, 4);
    for (mark, part) in
        [(b'-', month), (b'-', day), (b'T', seconds / 3600), (b':', seconds / 60 % 60), (b':', seconds % 60)]
    {
        out.push(mark);
        padded(out, part, 2);
    }
    out.push(b'.');
    padded(out, u64::from(since.subsec_micros()), 6);
    out.push(b'Z');
}

/// Days since 1970-01-01 to year, month, day: Howard Hinnant's `civil_from_days`, for days that are not negative.
const fn civil(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let (era, doe) = (z / 146_097, z % 146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + (month <= 2) as u64, month, doy - (153 * mp + 2) / 5 + 1)
}
