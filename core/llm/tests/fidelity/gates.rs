//! Streams that somebody watches and changes on their way: nothing is lost, nothing leaves unseen, the form stays.

use crate::aspects::Aspects;
use crate::fixture::{CALLERS, Fixture, ask, parse};
use crate::replies;
use crate::streams::{frame, told};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use weir_llm::api::{Api, Dialect};
use weir_llm::request::Request;
use weir_llm::sse;
use weir_llm::translate::{Back, Flow, Gate, Lane, LaneKind, dialect_of};

/// Holds back the last bytes of each lane, changes text, and stops at a word.
#[derive(Default)]
struct Keeper {
    hold: usize,
    change: Option<fn(&str) -> String>,
    stop_at: Option<&'static str>,
    held: BTreeMap<Lane, String>,
    seen: Arc<Mutex<BTreeMap<Lane, String>>>,
}

impl Gate for Keeper {
    fn push(&mut self, lane: Lane, text: &str, last: bool, out: &mut dyn FnMut(&str)) -> Flow {
        self.seen.lock().unwrap().entry(lane).or_default().push_str(text);
        let held = self.held.entry(lane).or_default();
        held.push_str(text);
        if self.stop_at.is_some_and(|word| held.contains(word)) {
            return Flow::Stop;
        }
        let keep = if last { 0 } else { self.hold };
        let at = held.floor_char_boundary(held.len().saturating_sub(keep));
        let gone: String = held.drain(..at).collect();
        if !gone.is_empty() {
            out(&self.change.map_or_else(|| gone.clone(), |change| change(&gone)));
        }
        Flow::Go
    }

    fn poke(&mut self, _: &mut dyn FnMut(Lane, &str)) -> Flow {
        Flow::Go
    }

    fn due(&self) -> Option<std::time::Instant> {
        None
    }
}

fn gated(back: &Back, request: &Request, wire: &[u8], size: usize, gate: Keeper) -> (Vec<u8>, bool) {
    let mut transcoder = back.stream(&ask(request)).behind(Box::new(gate));
    let mut parser = sse::Parser::new(1 << 20);
    let (mut bytes, mut last) = (Vec::new(), Vec::new());
    for chunk in wire.chunks(size) {
        let mut sink = |event: sse::Event<'_>| {
            let before = bytes.len();
            let stopped = transcoder.stopped();
            transcoder.feed(&event, &mut bytes, &mut last);
            assert!(!stopped || bytes.len() == before, "something left after the end");
        };
        parser.push(chunk, &mut sink).unwrap();
    }
    let whole = transcoder.end(&mut bytes, &mut last);
    if whole && !transcoder.stopped() {
        bytes.extend(last);
    }
    (bytes, transcoder.stopped())
}

/// Every stream toward every caller, its own dialect's too.
fn ways() -> impl Iterator<Item = (Fixture, Api, Request, Back, Vec<u8>)> {
    Fixture::all("streams").into_iter().flat_map(|fixture| {
        let dialect = Dialect::parse(fixture.json["dialect"].as_str().unwrap()).unwrap();
        let wire: String = fixture.json["stream"].as_array().unwrap().iter().map(frame).collect();
        let path = fixture.path.clone();
        CALLERS.into_iter().map(move |api| {
            let fixture = Fixture::all("streams").into_iter().find(|one| one.path == path).unwrap();
            let (call, back) = replies::back(&fixture, api, dialect);
            let request = parse(api, &call);
            let same = dialect_of(api) == Some(dialect);
            let back = if same { Back::same(&request).unwrap() } else { back };
            (fixture, api, request, back, wire.clone().into_bytes())
        })
    })
}

/// What cannot survive a watched stream is not compared.
fn kept(mut aspects: Aspects) -> Aspects {
    aspects.retain(|name, _| !name.contains("logprobs"));
    aspects
}

#[test]
fn a_watched_stream_says_what_an_unwatched_one_says() {
    for (fixture, api, request, back, wire) in ways() {
        let free = crate::streams::turn(&back, &request, [wire.as_slice()]);
        let expected = told(api, &free.bytes);
        assert!(expected.1, "{} for {}", fixture.name, api.as_str());
        for (hold, size) in [(0, usize::MAX), (0, 3), (7, 1), (7, 64), (1 << 20, 5)] {
            let gate = Keeper { hold, ..Keeper::default() };
            let (bytes, _) = gated(&back, &request, &wire, size, gate);
            let (seen, ended) = told(api, &bytes);
            assert_eq!(
                (kept(seen), ended),
                (kept(expected.0.clone()), true),
                "{} for {}, {hold} held, chunks of {size}",
                fixture.name,
                api.as_str()
            );
        }
    }
}

/// A gate sees text only: what a hosted tool found could not be judged.
#[test]
fn what_a_gate_cannot_see_does_not_pass_it() {
    let request = parse(
        Api::Messages,
        &json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}),
    );
    let back = Back::same(&request).unwrap();
    let wire = include_bytes!("../fixtures/anthropic.sse");
    for (bytes, passes) in [
        (crate::streams::turn(&back, &request, [wire.as_slice()]).bytes, true),
        (gated(&back, &request, wire, 64, Keeper::default()).0, false),
    ] {
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains("toolu_01A") && text.contains("web_search_tool_result") == passes, "{text}");
    }
}

#[test]
fn the_own_dialects_stream_keeps_what_it_said() {
    for (fixture, api, request, back, wire) in ways() {
        let dialect = Dialect::parse(fixture.json["dialect"].as_str().unwrap()).unwrap();
        if dialect_of(api) == Some(dialect) {
            let (bytes, _) = gated(&back, &request, &wire, 11, Keeper::default());
            let (mut seen, mut said) = (kept(told(api, &bytes).0), kept(told(api, &wire).0));
            // A same-dialect caller's usage wish decides whether it is told.
            seen.remove("usage");
            said.remove("usage");
            // Messages has no block for a refusal: its words are text there.
            if said.contains_key("refusals") {
                continue;
            }
            assert_eq!(seen, said, "{}", fixture.name);
        }
    }
}

#[test]
fn what_is_changed_is_changed_wherever_the_stream_is_cut_and_thoughts_lose_their_proof() {
    for (fixture, api, request, back, wire) in ways() {
        let change: Option<fn(&str) -> String> = Some(|text| text.replace(|c: char| c.is_alphabetic(), "x"));
        let seen = Arc::new(Mutex::new(BTreeMap::new()));
        let gate = Keeper { change, seen: Arc::clone(&seen), ..Keeper::default() };
        let (bytes, _) = gated(&back, &request, &wire, 13, gate);
        let text = String::from_utf8(bytes).unwrap();
        for (lane, said) in seen.lock().unwrap().iter() {
            // The frames' own words are English too; a whole run of the model's text is not among them.
            let distinct = said.len() > 24 && said.chars().filter(|c| c.is_alphabetic()).count() > 20;
            if distinct && lane.kind != LaneKind::CallArguments {
                assert!(!text.contains(said.as_str()), "{} for {}", fixture.name, api.as_str());
            }
        }
        let thought = seen.lock().unwrap().keys().any(|lane| lane.kind == LaneKind::Thinking);
        let (aspects, ended) = told(api, text.as_bytes());
        assert!(ended, "{} for {}", fixture.name, api.as_str());
        if thought && api == Api::Messages {
            let proofs = aspects.iter().any(|(name, value)| {
                name.contains("thinking") && value.to_string().contains("weir1_") && *value != Value::Null
            });
            assert!(!proofs, "{} for {}: {aspects:?}", fixture.name, api.as_str());
        }
    }
}

#[test]
fn a_stopped_stream_says_nothing_more() {
    let mut stopped = 0;
    for (_, _, request, back, wire) in ways() {
        for word in ["e", "{"] {
            let gate = Keeper { hold: 1 << 20, stop_at: Some(word), ..Keeper::default() };
            let (_, end) = gated(&back, &request, &wire, 7, gate);
            stopped += usize::from(end);
        }
    }
    assert!(stopped > 10, "{stopped}");
}
