//! The scan behind standard input and output, for judges in other languages: a line of JSON in, a line of JSON out.
//!
//! - `{"text": …}`: everything in a text.
//! - `{"stream": ID, "text": …, "last": false}`: a window of a stream; a new id begins one, `last` ends it.
//!
//! Answers `{"spans": [[class, start, end, continues], …], "decided": N}`; offsets are bytes.

#![allow(clippy::print_stdout, reason = "that is what it is for")]

use serde::Deserialize;
use std::collections::HashMap;
use std::io::{BufRead, Write};
use weir_plugin_redact_pii::{Found, Leave, Stream, scan};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    text: String,
    stream: Option<u64>,
    #[serde(default)]
    last: bool,
}

fn main() -> std::io::Result<()> {
    let mut streams = HashMap::new();
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let asked: Asked = serde_json::from_str(&line?)?;
        let (found, decided) = answer(&mut streams, &asked);
        let spans: Vec<_> = found
            .iter()
            .map(|found| (found.class.as_str(), found.start, found.end, found.continues))
            .collect();
        writeln!(out, "{}", serde_json::json!({ "spans": spans, "decided": decided }))?;
        out.flush()?;
    }
    Ok(())
}

fn answer(streams: &mut HashMap<u64, Stream>, asked: &Asked) -> (Vec<Found>, usize) {
    let Some(id) = asked.stream else { return (scan(&asked.text), asked.text.len()) };
    if asked.last {
        let mut stream = streams.remove(&id).unwrap_or_else(|| Stream::new(Leave::default()));
        return (stream.finish(&asked.text), asked.text.len());
    }
    streams.entry(id).or_insert_with(|| Stream::new(Leave::default())).push(&asked.text)
}
