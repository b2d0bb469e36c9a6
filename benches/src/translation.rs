//! What translation costs: requests, whole replies and stream deltas of every pair of a caller's API and a target's
//! dialect, through the pure crate's own API, on one core.
//!
//! It needs nothing but `weir-llm` and `std`: its example `translate_cost` is this file too, which is built in seconds.

#[path = "translation/bodies.rs"]
mod bodies;

use bytes::Bytes;
use std::hint::black_box;
use std::time::Instant;
use weir_llm::api::{Api, Dialect};
use weir_llm::neutral::{Ask, Target};
use weir_llm::request::{Patch, Request};
use weir_llm::sse::{Event, Parser};
use weir_llm::translate::{Back, Scan, dialect_of, summary, translate};
use weir_llm::vendor::{UNKNOWN, by_name};

/// A figure's name and its values, one a round.
pub type Figure = (String, Vec<f64>);

/// Seconds of one round of one figure.
const ROUND: f64 = 0.01;
/// Deltas of one stream: what a stream keeps of its own past must not grow beyond that of a real one.
const DELTAS: usize = 500;

/// A pair of a caller's API and a target's dialect.
struct Pair {
    api: Api,
    dialect: Dialect,
    /// `chat_anthropic`
    name: String,
}

impl Pair {
    fn is_same(&self) -> bool {
        dialect_of(self.api) == Some(self.dialect)
    }
}

fn pairs() -> Vec<Pair> {
    let apis = [(Api::Chat, "chat"), (Api::Responses, "responses"), (Api::Messages, "anthropic")];
    let dialects = [
        (Dialect::OpenAiChat, "chat"),
        (Dialect::OpenAiResponses, "responses"),
        (Dialect::Anthropic, "anthropic"),
        (Dialect::Gemini, "gemini"),
    ];
    let with =
        |(api, from)| dialects.map(|(dialect, to)| Pair { api, dialect, name: format!("{from}_{to}") });
    apis.into_iter().flat_map(with).collect()
}

/// Measures the pairs whose names hold `only`, each figure so many rounds. Microseconds, but for the last, which is a ratio:
///
/// - `translate_chat_anthropic_4k_us`, `…_256k_us`: from a request's bytes to the bytes that are sent. Pairs of one
///   dialect have only the model's name replaced.
/// - `reply_chat_anthropic_us`: from a whole reply's bytes to the bytes that the caller gets.
/// - `delta_chat_anthropic_us`: one piece of text of a stream, from the event to the caller's frame. Streams of one
///   dialect are only read.
/// - `translate_ratio_4k`: request and reply of the slowest translated pair over those of the slowest pair of one dialect.
pub fn measure(rounds: usize, only: &str) -> Vec<Figure> {
    let mut figures = Vec::new();
    // Of pairs of one dialect, and of translated ones: the slowest round trip.
    let (mut same, mut turned): (Vec<f64>, Vec<f64>) = (Vec::new(), Vec::new());
    for pair in pairs().iter().filter(|pair| pair.name.contains(only)) {
        let small = requests(pair, 4 << 10, rounds);
        let large = requests(pair, 256 << 10, rounds);
        let reply = replies(pair, rounds);
        let trip: Vec<f64> = small.iter().zip(&reply).map(|(request, reply)| request + reply).collect();
        let slowest = if pair.is_same() { &mut same } else { &mut turned };
        if middle(&trip) > middle(slowest) {
            *slowest = trip;
        }
        figures.push((format!("translate_{}_4k_us", pair.name), small));
        figures.push((format!("translate_{}_256k_us", pair.name), large));
        figures.push((format!("reply_{}_us", pair.name), reply));
        figures.push((format!("delta_{}_us", pair.name), deltas(pair, rounds)));
    }
    let base = middle(&same);
    figures.push(("translate_ratio_4k".to_owned(), turned.iter().map(|trip| trip / base).collect()));
    figures
}

/// The median; 0 of nothing.
pub fn middle(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

fn target(dialect: Dialect) -> Target<'static> {
    let (model, vendor) = match dialect {
        Dialect::Anthropic => ("claude-sonnet-4-5", "anthropic"),
        Dialect::Gemini => ("gemini-2.5-flash", "gemini"),
        _ => ("gpt-4o-mini", "openai"),
    };
    Target { model, cap: None, output_limit: 16_384, vendor: by_name(vendor).unwrap_or(&UNKNOWN) }
}

fn send(pair: &Pair, body: &Bytes) -> Bytes {
    let target = target(pair.dialect);
    let Ok(request) = Request::parse(pair.api, body.clone()) else { return Bytes::new() };
    if pair.is_same() {
        return request.patched(&Patch { vendor: Some(target.vendor), ..Patch::model(target.model) });
    }
    translate(&request, pair.dialect, &target).map_or_else(|_| Bytes::new(), |outgoing| outgoing.body)
}

fn requests(pair: &Pair, bytes: usize, rounds: usize) -> Vec<f64> {
    let body = Bytes::from(bodies::request(pair.api, bytes));
    assert!(!send(pair, &body).is_empty(), "{}: the request is refused", pair.name);
    per_call(rounds, || send(pair, black_box(&body)).len())
}

/// Calls `call` with what turns replies back, and the caller's wishes.
fn with_back(pair: &Pair, call: impl FnOnce(Option<&Back>, &Ask<'_>) -> Vec<f64>) -> Vec<f64> {
    let body = Bytes::from(bodies::request(pair.api, 4 << 10));
    let Ok(request) = Request::parse(pair.api, body) else { return Vec::new() };
    let back = translate(&request, pair.dialect, &target(pair.dialect)).ok().map(|outgoing| outgoing.back);
    let root = request.json().root();
    let ask = Ask { root, include_usage: true, request_id: "req_1", now: 1_767_225_600, model: "fast" };
    call(back.as_ref().filter(|_| !pair.is_same()), &ask)
}

fn replies(pair: &Pair, rounds: usize) -> Vec<f64> {
    let body = Bytes::from(bodies::reply(pair.dialect));
    with_back(pair, |back, ask| {
        let turn = || match back {
            Some(back) => back.whole(black_box(&body), ask).is_ok_and(|turned| turned.summary.complete),
            None => summary(pair.api, black_box(&body)).is_ok_and(|summary| summary.complete),
        };
        assert!(turn(), "{}: the reply is incomplete", pair.name);
        per_call(rounds, turn)
    })
}

fn deltas(pair: &Pair, rounds: usize) -> Vec<f64> {
    let (start, delta) = bodies::stream(pair.dialect);
    with_back(pair, |back, ask| {
        let call = || match back {
            Some(back) => {
                let mut stream = back.stream(ask);
                timed(&start, &delta, &mut |event, out| {
                    stream.feed(event, out, &mut Vec::new());
                })
            }
            None => {
                let mut scan = Scan::new(pair.api, false);
                timed(&start, &delta, &mut |event, _| {
                    black_box(scan.feed(event));
                })
            }
        };
        (0..=rounds).map(|_| call() * 1e6 / DELTAS as f64).skip(1).collect()
    })
}

/// Seconds that the deltas of one stream took.
fn timed(start: &str, delta: &str, feed: &mut dyn FnMut(&Event<'_>, &mut Vec<u8>)) -> f64 {
    let mut out = Vec::new();
    each(start, &mut |event| feed(&event, &mut out));
    let mut seconds = 0.0;
    each(delta, &mut |event| {
        let started = Instant::now();
        for _ in 0..DELTAS {
            out.clear();
            feed(black_box(&event), &mut out);
            black_box(&out);
        }
        seconds = started.elapsed().as_secs_f64();
    });
    seconds
}

fn each(stream: &str, sink: &mut dyn FnMut(Event<'_>)) {
    let parsed = Parser::new(1 << 20).push(stream.as_bytes(), sink);
    assert!(parsed.is_ok(), "a short event");
}

/// Microseconds a call, one value a round.
fn per_call<T>(rounds: usize, call: impl Fn() -> T) -> Vec<f64> {
    let round = || {
        let started = Instant::now();
        let mut calls = 0u32;
        while started.elapsed().as_secs_f64() < ROUND {
            (0..8).for_each(|_| drop(black_box(call())));
            calls += 8;
        }
        started.elapsed().as_secs_f64() * 1e6 / f64::from(calls)
    };
    (0..=rounds).map(|_| round()).skip(1).collect()
}
