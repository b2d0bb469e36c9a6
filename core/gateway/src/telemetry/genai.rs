//! The OpenTelemetry conventions for generative AI: what operations, providers and tokens are called, and the histograms
//! that are counted for them while metrics go to a collector.
//!
//! They are counted once, as histograms of the one registry under names that Prometheus can have; what a collector gets
//! is renamed on its way out (`SETS`), to the names of v1.41 or to the newer ones.

use super::record::{Attempt, Exchange, Outcome};
use prometheus::{Error, Histogram, HistogramVec};
use std::sync::OnceLock;
use std::time::Duration;
use weir_llm::usage::Usage;
use weir_policy::{Api, ErrorClass};

/// Towards its callers Weir is the provider.
pub const WEIR: &str = "weir";

/// Powers of four.
const TOKENS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
/// Doubling.
pub(super) const SECONDS: [f64; 14] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
const FIRST_TOKEN: &[f64] =
    &[0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
const PER_TOKEN: &[f64] = &[0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5];

/// Names of a family: in the registry, in v1.41, and after it for inference (other operations keep the older name).
pub(super) const SETS: [(&str, &str, &str); 7] = [
    (
        "gen_ai_client_operation_duration_seconds",
        "gen_ai.client.operation.duration",
        "gen_ai.client.inference.duration",
    ),
    (
        "gen_ai_client_operation_time_to_first_chunk_seconds",
        "gen_ai.client.operation.time_to_first_chunk",
        "gen_ai.client.inference.time_to_first_chunk",
    ),
    // After v1.41 it is five counters and two histograms: see `otlp::figures`.
    (TOKEN_USAGE, "gen_ai.client.token.usage", ""),
    (
        "gen_ai_server_request_duration_seconds",
        "gen_ai.server.request.duration",
        "gen_ai.server.request.duration",
    ),
    (
        "gen_ai_server_time_to_first_token_seconds",
        "gen_ai.server.time_to_first_token",
        "gen_ai.server.time_to_first_token",
    ),
    (
        "gen_ai_server_time_per_output_token_seconds",
        "gen_ai.server.time_per_output_token",
        "gen_ai.server.time_per_output_token",
    ),
    (
        "gen_ai_client_operation_time_per_output_chunk_seconds",
        "gen_ai.client.operation.time_per_output_chunk",
        "gen_ai.client.inference.time_per_output_chunk",
    ),
];
pub(super) const TOKEN_USAGE: &str = "gen_ai_client_token_usage";

/// Labels in the registry, and the attributes that they become.
pub(super) const ATTRIBUTES: [(&str, &str); 6] = [
    ("gen_ai_operation_name", "gen_ai.operation.name"),
    ("gen_ai_provider_name", "gen_ai.provider.name"),
    ("gen_ai_request_model", "gen_ai.request.model"),
    ("gen_ai_token_type", "gen_ai.token.type"),
    ("error_type", "error.type"),
    ("server_address", "server.address"),
];

/// What the conventions call what an API does.
#[must_use]
pub const fn operation(api: Api) -> &'static str {
    match api {
        Api::Chat | Api::Responses | Api::Messages => "chat",
        Api::Embeddings => "embeddings",
        Api::Images | Api::Speech | Api::Transcription => "generate_content",
        Api::CountTokens => "count_tokens",
        Api::Moderations => "moderation",
        Api::Rerank => "rerank",
    }
}

/// Whether an operation is what the newer names call inference.
#[must_use]
pub fn is_inference(operation: &str) -> bool {
    matches!(operation, "chat" | "generate_content" | "text_completion")
}

/// What the conventions call a vendor; others go by their name in config.
#[must_use]
pub fn provider<'a>(vendor: &'a str, name: &'a str) -> &'a str {
    match vendor {
        "" => name,
        "gemini" => "gcp.gemini",
        "mistral" => "mistral_ai",
        "xai" => "x_ai",
        vendor => vendor,
    }
}

/// Tokens as the conventions count them: wholes with their parts, where our classes are disjoint.
pub(super) struct Tokens {
    pub(super) input: u64,
    pub(super) output: u64,
    pub(super) cache_read: u64,
    pub(super) cache_write: u64,
    pub(super) reasoning: u64,
}

pub(super) fn tokens(usage: &Usage) -> Tokens {
    let cache_write = usage.cache_write_5m + usage.cache_write_1h;
    Tokens {
        input: usage.input + usage.cached_input + cache_write + usage.input_audio + usage.image,
        output: usage.output + usage.reasoning + usage.output_audio,
        cache_read: usage.cached_input,
        cache_write,
        reasoning: usage.reasoning,
    }
}

/// Kinds of tokens: the conventions' two, and the parts of which the newer ones make counters of their own.
const KINDS: [&str; 5] = ["input", "output", "cache_read", "cache_write", "reasoning"];

/// The families.
pub(super) struct GenAiFamilies {
    duration: HistogramVec,
    first_chunk: HistogramVec,
    tokens: HistogramVec,
    request: HistogramVec,
    first_token: HistogramVec,
    per_token: HistogramVec,
    per_chunk: HistogramVec,
}

impl GenAiFamilies {
    /// `make` registers a family: name, help, labels, bounds.
    pub(super) fn new(
        make: impl Fn(&str, &str, &[&str], &[f64]) -> Result<HistogramVec, Error>,
    ) -> Result<Self, Error> {
        let call = ["gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model"];
        let with = |more: &[&'static str]| [&call[..], more].concat();
        Ok(Self {
            duration: make(
                SETS[0].0,
                "One try at a provider.",
                &with(&["server_address", "error_type"]),
                &SECONDS,
            )?,
            first_chunk: make(
                SETS[1].0,
                "One try at a provider, to the first piece of its stream.",
                &with(&["server_address"]),
                &SECONDS,
            )?,
            tokens: make(
                SETS[2].0,
                "Tokens of one exchange.",
                &with(&["server_address", "gen_ai_token_type"]),
                TOKENS,
            )?,
            request: make(SETS[3].0, "One exchange.", &with(&["error_type"]), &SECONDS)?,
            first_token: make(
                SETS[4].0,
                "One exchange, to the first piece of its stream.",
                &call,
                FIRST_TOKEN,
            )?,
            per_token: make(
                SETS[5].0,
                "From the first token to the last, for each but the first.",
                &call,
                PER_TOKEN,
            )?,
            per_chunk: make(
                SETS[6].0,
                "From one chunk of a provider's stream to the next.",
                &with(&["server_address"]),
                &SECONDS,
            )?,
        })
    }
}

/// Histograms that come into being when they are first counted.
struct Cells(Box<[OnceLock<Histogram>]>);

impl Cells {
    fn new(len: usize) -> Self {
        Self((0..len).map(|_| OnceLock::new()).collect())
    }

    fn at(&self, cell: usize, make: impl FnOnce() -> Histogram) -> &Histogram {
        self.0[cell].get_or_init(make)
    }
}

const APIS: usize = Api::ALL.len();

/// What is counted of one target, seen as a client sees a provider.
pub(super) struct Client {
    duration: Cells,
    first_chunk: Cells,
    per_chunk: Cells,
    tokens: Cells,
}

impl Client {
    pub(super) fn new() -> Self {
        Self {
            duration: Cells::new(APIS * (1 + ErrorClass::ALL.len())),
            first_chunk: Cells::new(APIS),
            per_chunk: Cells::new(APIS),
            tokens: Cells::new(APIS * KINDS.len()),
        }
    }

    /// Counts a try; `whom` is provider, model and server.
    pub(super) fn attempt(
        &self,
        to: &GenAiFamilies,
        exchange: &Exchange,
        attempt: &Attempt,
        whom: [&str; 3],
    ) {
        let (api, operation) = (exchange.api as usize, operation(exchange.api));
        let [provider, model, server] = whom;
        let error = attempt.error.map_or("", ErrorClass::as_str);
        let cell = api * (1 + ErrorClass::ALL.len()) + attempt.error.map_or(0, |class| 1 + class as usize);
        let duration = self
            .duration
            .at(cell, || to.duration.with_label_values(&[operation, provider, model, server, error]));
        duration.observe(attempt.ended.saturating_sub(attempt.started).as_secs_f64());
        if let Some(ttft) = attempt.ttft.filter(|ttft| exchange.stream && *ttft > Duration::ZERO) {
            let labels = [operation, provider, model, server];
            self.first_chunk
                .at(api, || to.first_chunk.with_label_values(&labels))
                .observe(ttft.as_secs_f64());
        }
        // Of all tries only the one that did not fail can have streamed.
        if let Some(gaps) = exchange.gaps.as_ref().filter(|_| attempt.error.is_none()) {
            let labels = [operation, provider, model, server];
            gaps.count(self.per_chunk.at(api, || to.per_chunk.with_label_values(&labels)));
        }
    }

    /// Counts what was used.
    pub(super) fn usage(&self, to: &GenAiFamilies, exchange: &Exchange, whom: [&str; 3]) {
        let (api, operation) = (exchange.api as usize, operation(exchange.api));
        let [provider, model, server] = whom;
        let Tokens { input, output, cache_read, cache_write, reasoning } = tokens(&exchange.usage);
        for (kind, count) in [input, output, cache_read, cache_write, reasoning].into_iter().enumerate() {
            if count > 0 {
                let labels = [operation, provider, model, server, KINDS[kind]];
                let cell = self.tokens.at(api * KINDS.len() + kind, || to.tokens.with_label_values(&labels));
                #[allow(clippy::cast_precision_loss, reason = "no exchange has 2^53 tokens")]
                cell.observe(count as f64);
            }
        }
    }
}

/// What is counted of one alias, seen as its callers see a server.
pub(super) struct Server {
    request: Cells,
    first_token: Cells,
    per_token: Cells,
}

impl Server {
    pub(super) fn new() -> Self {
        let request = Cells::new(APIS * Outcome::ALL.len());
        Self { request, first_token: Cells::new(APIS), per_token: Cells::new(APIS) }
    }

    /// Counts an exchange.
    pub(super) fn exchange(&self, to: &GenAiFamilies, exchange: &Exchange, alias: &str) {
        let (api, labels) = (exchange.api as usize, [operation(exchange.api), WEIR, alias]);
        let error = match exchange.outcome {
            Outcome::Ok | Outcome::CacheHit => "",
            other => other.as_str(),
        };
        let cell = api * Outcome::ALL.len() + exchange.outcome as usize;
        let request =
            self.request.at(cell, || to.request.with_label_values(&[labels[0], labels[1], labels[2], error]));
        request.observe(exchange.total.as_secs_f64());
        let Some(ttft) = exchange.ttft.filter(|_| exchange.stream && error.is_empty()) else { return };
        self.first_token.at(api, || to.first_token.with_label_values(&labels)).observe(ttft.as_secs_f64());
        let later = tokens(&exchange.usage).output.saturating_sub(1);
        if later > 0 {
            let each = exchange.total.saturating_sub(ttft).as_secs_f64()
                / f64::from(u32::try_from(later).unwrap_or(u32::MAX));
            self.per_token.at(api, || to.per_token.with_label_values(&labels)).observe(each);
        }
    }
}
