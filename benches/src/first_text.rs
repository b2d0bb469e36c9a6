//! How long a caller waits for the first text of a stream. The model says one piece and then nothing, so whoever holds text
//! back to see more of it has to let go by time: the longest that it may take.

use std::time::{Duration, Instant};

use memchr::memmem;

use crate::failure::{Failure, Result};
use crate::figures::Series;
use crate::memory::first_key;
use crate::prompt::{self, Api, Kind, Template};
use crate::round::Bench;
use crate::startup;
use crate::system::System;
use crate::wire::{Conn, Head};

/// Streams of each system for one of its starts.
const STREAMS_A_START: usize = 5;
/// Whoever never lets go is not waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Milliseconds through each of two systems, asked in turns.
pub fn measure(bench: &Bench, systems: [&System; 2]) -> Result<(Series, Series)> {
    let mut running = Vec::new();
    let mut callers = Vec::new();
    for system in systems {
        let (system, key) = (system.start(&bench.upstream, &bench.work)?, first_key(bench, system)?);
        startup::wait_for_reply(&system.address, &key)?;
        let body = prompt::body(Api::Chat, "chat", Kind::Hold, false);
        callers.push((system.address.clone(), Template::new(&system.address, &key, Api::Chat, &body)));
        running.push(system);
    }
    let rounds = (bench.pace.starts * STREAMS_A_START) as u64;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut taken = [Series::default(), Series::default()];
    runtime.block_on(async {
        // The first of each is not counted: a fresh instance is made for it.
        for serial in 0..=rounds {
            for ((address, template), taken) in callers.iter_mut().zip(&mut taken) {
                let ms = once(bench, address, template.numbered(serial)).await?;
                taken.0.extend((serial > 0).then_some(ms));
            }
        }
        Ok::<_, Failure>(())
    })?;
    running.into_iter().try_for_each(crate::system::Running::stop)?;
    let [one, two] = taken;
    Ok((one, two))
}

/// One stream: the time to its first text; then the model goes on, and it must come to its end.
async fn once(bench: &Bench, address: &str, request: &[u8]) -> Result<f64> {
    let mut conn = Conn::open(address).await?;
    let started = Instant::now();
    conn.send(request).await?;
    let head = conn.head().await?.ok_or_else(|| Failure::new("closed instead of a reply"))?;
    let mut seen = Vec::new();
    let text = tokio::time::timeout(PATIENCE, until_text(&mut conn, &head, &mut seen)).await;
    text.map_err(|_| Failure::new("no text came as long as the model was silent"))??;
    let taken = started.elapsed();
    Conn::open(&bench.upstream).await?.ask(&bench.upstream, "POST", "/release", None).await?;
    while let Some(chunk) = conn.chunk().await? {
        seen.extend_from_slice(&chunk);
    }
    match memmem::find(&seen, b"data: [DONE]") {
        Some(_) => Ok(taken.as_secs_f64() * 1e3),
        None => Err(Failure::new("a stream without its end")),
    }
}

async fn until_text(conn: &mut Conn, head: &Head, seen: &mut Vec<u8>) -> Result<()> {
    if head.status() != 200 {
        return Err(Failure::new(format!("status {}, not 200", head.status())));
    }
    while !has_text(seen) {
        let chunk = conn.chunk().await?.ok_or_else(|| Failure::new("a stream without text"))?;
        seen.extend_from_slice(&chunk);
    }
    Ok(())
}

/// Whether some delta has content: one that only opens the reply has an empty one.
fn has_text(seen: &[u8]) -> bool {
    const KEY: &[u8] = br#""content":""#;
    memmem::find_iter(seen, KEY).any(|at| seen.get(at + KEY.len()).is_some_and(|byte| *byte != b'"'))
}

#[cfg(test)]
mod tests {
    use super::has_text;

    #[test]
    fn a_delta_that_only_opens_the_reply_is_no_text() {
        assert!(!has_text(br#"data: {"choices":[{"delta":{"role":"assistant","content":""}}]}"#));
        assert!(!has_text(br#"data: {"choices":[{"delta":{"content":""#));
        assert!(has_text(br#"data: {"delta":{"content":""}} data: {"delta":{"content":"re"}}"#));
    }
}
