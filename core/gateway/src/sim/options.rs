//! How the simulated provider behaves, and how that is written after a model name.

use std::time::Duration;

/// No simulated wait is longer.
const LONGEST: Duration = Duration::from_secs(600);
/// No simulated reply has more tokens.
const MOST_TOKENS: u32 = 1_000_000;

/// The behaviour of one model.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Until the first byte of content.
    pub ttft: Duration,
    /// Tokens a second after that; 0: as fast as it goes.
    pub tps: f64,
    /// Share of requests that fail, 0 to 1.
    pub error: f64,
    /// What a failing request gets; 200 puts the error inside a 200.
    pub status: u16,
    /// The `code` of the error body.
    pub code: Option<String>,
    /// `Retry-After` of a failing request, in seconds.
    pub retry_after: Option<u32>,
    /// Break the connection off.
    pub cut: Option<Point>,
    /// Stand still until the client goes away.
    pub hang: Option<Point>,
    /// How much of the prompt came from the provider's cache.
    pub cached: Cached,
    /// Length of the answer in tokens (words); absent: the echo and what the model is used to.
    pub tokens: Option<u32>,
    /// Reasoning tokens on top of that.
    pub reasoning: Option<u32>,
    /// Other words for the same prompt, other requests that fail.
    pub seed: u64,
    /// Whether usage is reported at all.
    pub usage: bool,
    /// What the `x-ratelimit-*` headers say is left, 0 to 1; absent: no such headers.
    pub headroom: Option<f64>,
}

/// Where in a reply something goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// Before any byte of the reply.
    Headers,
    /// After the headers.
    Body,
    /// After so many chunks of a stream, or (not streaming) in the middle of the body.
    Chunk(u32),
}

/// How much of the prompt is billed as cached input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cached {
    /// This share, 0 to 1.
    Share(f64),
    /// The longest run of leading messages that an earlier request had too.
    Prefix,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ttft: Duration::ZERO,
            tps: 0.0,
            error: 0.0,
            status: 500,
            code: None,
            retry_after: None,
            cut: None,
            hang: None,
            cached: Cached::Share(0.0),
            tokens: None,
            reasoning: None,
            seed: 0,
            usage: true,
            headroom: None,
        }
    }
}

/// An option that is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("sim option `{option}`: {problem}")]
pub struct OptionError {
    option: String,
    problem: &'static str,
}

impl Options {
    /// Parses `name=value` pairs joined by `&`, on top of `self`.
    ///
    /// | option | meaning | default |
    /// |---|---|---|
    /// | `ttft=200ms` | time to the first token (`ms` or `s`) | 0 |
    /// | `tps=50` | tokens a second | no limit |
    /// | `tokens=200` | length of the answer in words | by model |
    /// | `reasoning=64` | reasoning tokens, billed and not shown | by model |
    /// | `cached=0.5`, `cached=prefix` | cached share of the input; or what an earlier request began with too | 0 |
    /// | `usage=off` | usage is not reported | on |
    /// | `error=0.1` | share of requests that fail, evenly spread by a count per model name; `seed` shifts it | 0; 1 with `status` |
    /// | `status=429` | what failing requests get: 400 to 599, or 200 for an error inside a 200 | 500 |
    /// | `code=context_length_exceeded` | `code` of the error body | by status |
    /// | `retry_after=2` | seconds, as header of failing requests | none |
    /// | `cut=headers`, `cut=body`, `cut=5` | break off before the reply, after its headers, after 5 chunks | never |
    /// | `hang=headers`, `hang=body`, `hang=5` | the same places, but stand still | never |
    /// | `headroom=0.4` | sends `x-ratelimit-*` headers with this much left | none |
    /// | `seed=1` | other words | 0 |
    ///
    /// # Errors
    /// [`OptionError`] names the option and what is wrong with it.
    pub fn parse(mut self, text: &str) -> Result<Self, OptionError> {
        let mut chance = None;
        let mut status = None;
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let wrong = |problem| OptionError { option: pair.chars().take(64).collect(), problem };
            let (name, value) = pair.split_once('=').ok_or(wrong("write it as name=value"))?;
            match name {
                "ttft" => self.ttft = duration(value).ok_or(wrong("a duration like 200ms or 1.5s"))?,
                "tps" => self.tps = number(value).ok_or(wrong("a number, 0 or more"))?,
                "tokens" => self.tokens = Some(tokens(value).ok_or(wrong("a number up to 1000000"))?),
                "reasoning" => self.reasoning = Some(tokens(value).ok_or(wrong("a number up to 1000000"))?),
                "cached" => self.cached = cached(value).ok_or(wrong("a share from 0 to 1, or `prefix`"))?,
                "usage" => self.usage = switch(value).ok_or(wrong("`on` or `off`"))?,
                "error" => chance = Some(share(value).ok_or(wrong("a share from 0 to 1"))?),
                "status" => status = Some(failure(value).ok_or(wrong("200, or 400 to 599"))?),
                "code" => self.code = Some(code(value).ok_or(wrong("small letters and `_`"))?),
                "retry_after" => {
                    self.retry_after = Some(value.parse().map_err(|_| wrong("a whole number of seconds"))?);
                }
                "cut" => {
                    self.cut = Some(point(value).ok_or(wrong("`headers`, `body` or a number of chunks"))?)
                }
                "hang" => {
                    self.hang = Some(point(value).ok_or(wrong("`headers`, `body` or a number of chunks"))?)
                }
                "headroom" => self.headroom = Some(share(value).ok_or(wrong("a share from 0 to 1"))?),
                "seed" => self.seed = value.parse().map_err(|_| wrong("a whole number"))?,
                _ => {
                    return Err(wrong(
                        "unknown; there are ttft, tps, tokens, reasoning, cached, usage, error, status, code, \
                         retry_after, cut, hang, headroom and seed",
                    ));
                }
            }
        }
        // A status without a share means: always.
        self.error = chance.unwrap_or(if status.is_some() { 1.0 } else { self.error });
        self.status = status.unwrap_or(self.status);
        Ok(self)
    }

    /// Whether request number `n` (from 0) of this model fails: spread evenly, so that `error=0.1` fails one in ten.
    #[must_use]
    pub fn fails(&self, n: u64) -> bool {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1, by the parser")]
        let millionths = (self.error * 1e6).round() as u128;
        let reached = |n: u128| n * millionths / 1_000_000;
        let n = u128::from(n) + u128::from(self.seed);
        reached(n + 1) > reached(n)
    }
}

fn duration(text: &str) -> Option<Duration> {
    let (value, unit) = match text.strip_suffix("ms") {
        Some(value) => (value, 1e-3),
        None => (text.strip_suffix('s')?, 1.0),
    };
    let seconds = number(value)? * unit;
    (seconds <= LONGEST.as_secs_f64()).then(|| Duration::from_secs_f64(seconds))
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|value: &f64| value.is_finite() && *value >= 0.0)
}

fn share(text: &str) -> Option<f64> {
    number(text).filter(|value| *value <= 1.0)
}

fn tokens(text: &str) -> Option<u32> {
    text.parse().ok().filter(|value| *value <= MOST_TOKENS)
}

fn cached(text: &str) -> Option<Cached> {
    if text == "prefix" { Some(Cached::Prefix) } else { share(text).map(Cached::Share) }
}

fn switch(text: &str) -> Option<bool> {
    match text {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

fn failure(text: &str) -> Option<u16> {
    text.parse().ok().filter(|status| matches!(status, 200 | 400..=599))
}

fn code(text: &str) -> Option<String> {
    let fits =
        (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase());
    fits.then(|| text.to_owned())
}

fn point(text: &str) -> Option<Point> {
    match text {
        "headers" => Some(Point::Headers),
        "body" => Some(Point::Body),
        _ => text.parse().ok().map(Point::Chunk),
    }
}
