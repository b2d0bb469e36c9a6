//! Many streams open at once: each past its first chunk, none finished, until the upstream lets them go.

use std::io::{BufRead as _, Write as _};

use memchr::memmem;
use tokio::task::JoinSet;

use crate::failure::{Context, Failure, Result};
use crate::prompt::{self, Api, Kind, Template};
use crate::wire::Conn;

/// Opens `count` streams, writes `held` to standard output, waits for a line on standard input (by then the caller
/// has measured and has released the upstream) and reads every stream to its end.
pub fn run(target: &str, key: &str, model: &str, count: usize) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let body = prompt::body(Api::Chat, model, Kind::Hold, false);
        let mut opening = JoinSet::new();
        for serial in 0..count {
            let mut template = Template::new(target, key, Api::Chat, &body);
            let request = template.numbered(serial as u64).to_vec();
            opening.spawn(open(target.to_owned(), request));
        }
        let mut streams = Vec::with_capacity(count);
        while let Some(stream) = opening.join_next().await {
            streams.push(stream.context("a stream's task")??);
        }
        say_held_and_wait()?;
        let mut closing = JoinSet::new();
        for stream in streams {
            closing.spawn(finish(stream));
        }
        while let Some(stream) = closing.join_next().await {
            stream.context("a stream's task")??;
        }
        Ok(())
    })
}

async fn open(target: String, request: Vec<u8>) -> Result<Conn> {
    let mut conn = Conn::open(&target).await?;
    conn.send(&request).await?;
    let head = conn.head().await?.ok_or_else(|| Failure::new("closed instead of a reply"))?;
    if head.status() != 200 {
        let body = conn.body(head.framing()?).await?;
        return Err(Failure::new(format!("status {}: {}", head.status(), String::from_utf8_lossy(&body))));
    }
    conn.chunk().await?.ok_or_else(|| Failure::new("a stream without a first chunk"))?;
    Ok(conn)
}

async fn finish(mut conn: Conn) -> Result<()> {
    let mut last = Vec::new();
    while let Some(chunk) = conn.chunk().await? {
        // Chunk edges may have moved on the way; the end mark is short.
        let keep = last.len().saturating_sub(32);
        last.drain(..keep);
        last.extend_from_slice(&chunk);
    }
    let whole = memmem::find(&last, b"data: [DONE]").is_some();
    if whole { Ok(()) } else { Err(Failure::new("a stream without its end")) }
}

#[expect(clippy::print_stdout, reason = "the line is the protocol with the parent process")]
fn say_held_and_wait() -> Result<()> {
    println!("held");
    std::io::stdout().flush()?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(())
}
