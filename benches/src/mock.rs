//! The upstream: a small, fast, OpenAI-shaped server that says what it saw.
//!
//! `POST …/chat/completions` answers the ticket in the prompt ([`crate::prompt`]); `GET /stats` tells the counts,
//! `POST /release` lets streams that are held open go on, `POST /load` sends a load and answers with its tally.
//!
//! Callers and upstream are one thread then, which never sleeps: on one machine it is the sender who wakes a peer that sleeps,
//! and pays for it, the more the slower it is itself. A peer at the other end of a network is woken by its own machine.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use memchr::memmem;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::LocalSet;

use crate::failure::{Context, Failure, Result};
use crate::load::{self, Shape};
use crate::prompt::{Kind, Mark, PII, STREAM_CHUNKS, Ticket};
use crate::wire::Conn;

/// Tokens that every reply reports: all input, how much of it was cached, output.
pub const INPUT_TOKENS: u64 = 256;
/// See [`INPUT_TOKENS`].
pub const CACHED_TOKENS: u64 = 64;
/// See [`INPUT_TOKENS`].
pub const OUTPUT_TOKENS: u64 = 180;

/// What the upstream has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Chat requests by model name.
    pub models: BTreeMap<String, u64>,
    /// Requests whose prompt carried the mask.
    pub masked: u64,
    /// Requests whose prompt carried the address itself.
    pub leaked: u64,
}

impl Stats {
    /// Adds what was seen later.
    pub fn add(&mut self, later: &Stats) {
        for (model, count) in &later.models {
            *self.models.entry(model.clone()).or_default() += count;
        }
        self.masked += later.masked;
        self.leaked += later.leaked;
    }
}

struct Upstream {
    mask: Vec<u8>,
    stats: Mutex<Stats>,
    released: watch::Sender<u64>,
}

/// Serves on `listen` until the process is ended; `mask` is what a guard leaves where the address was.
pub fn serve(listen: &str, mask: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind(listen).await.context(format!("listening on {listen}"))?;
        let stats = Mutex::default();
        let released = watch::Sender::new(0);
        let upstream = Arc::new(Upstream { mask: mask.as_bytes().to_vec(), stats, released });
        loop {
            let conn = Conn::new(listener.accept().await?.0)?;
            let upstream = Arc::clone(&upstream);
            // The task ends with its connection; the process is ended from outside.
            tokio::task::spawn_local(async move { drop(serve_connection(conn, &upstream).await) });
        }
    })
}

async fn serve_connection(mut conn: Conn, upstream: &Upstream) -> Result<()> {
    while let Some(head) = conn.head().await? {
        let body = conn.body(head.framing()?).await?;
        match head.request() {
            (b"POST", path) if path.ends_with(b"/chat/completions") => {
                upstream.chat(&mut conn, &body).await?
            }
            (b"GET", b"/stats") => {
                let stats = upstream.stats.lock().unwrap_or_else(PoisonError::into_inner).clone();
                conn.send(&reply(200, &serde_json::to_vec(&stats)?)).await?;
            }
            (b"POST", b"/load") => {
                let tally = awake(load::drive(&serde_json::from_slice::<Shape>(&body)?)).await?;
                conn.send(&reply(200, &serde_json::to_vec(&tally)?)).await?;
            }
            (b"POST", b"/release") => {
                upstream.released.send_modify(|generation| *generation += 1);
                conn.send(&reply(200, b"{}")).await?;
            }
            _ => conn.send(&reply(404, b"{}")).await?,
        }
    }
    Ok(())
}

/// Does the work on a thread that looks for what has come instead of waiting for it.
async fn awake<T>(work: impl Future<Output = T>) -> T {
    let looking = tokio::spawn(async {
        loop {
            tokio::task::yield_now().await;
        }
    });
    let done = work.await;
    looking.abort();
    done
}

impl Upstream {
    async fn chat(&self, conn: &mut Conn, body: &[u8]) -> Result<()> {
        let Some(ticket) = Ticket::find(body) else {
            return conn.send(&reply(400, br#"{"error":{"message":"no ticket"}}"#)).await;
        };
        let mark = self.mark(body);
        self.count(model(body)?, mark);
        match ticket.kind {
            Kind::Plain => conn.send(&reply(200, completion(&ticket.serial, mark).as_bytes())).await,
            Kind::Stream => self.stream(conn, &ticket, mark, body, false).await,
            Kind::Hold => self.stream(conn, &ticket, mark, body, true).await,
        }
    }

    async fn stream(
        &self,
        conn: &mut Conn,
        ticket: &Ticket,
        mark: Mark,
        body: &[u8],
        hold: bool,
    ) -> Result<()> {
        let mut released = self.released.subscribe();
        conn.send(STREAM_HEAD).await?;
        conn.send(&chunked(&delta(&opening(&ticket.serial, mark)))).await?;
        if hold {
            released.changed().await.context("release")?;
        }
        let word = chunked(&delta(GOES_ON));
        for _ in 1..STREAM_CHUNKS {
            conn.send(&word).await?;
            // Let the other streams have their turn, as a model's token pace would.
            tokio::task::yield_now().await;
        }
        let usage = memmem::find(body, br#""include_usage":true"#).map(|_| usage_event());
        let tail = [FINISH.to_owned(), usage.unwrap_or_default(), "data: [DONE]\n\n".to_owned()].concat();
        conn.send(&[chunked(&tail), b"0\r\n\r\n".to_vec()].concat()).await
    }

    fn mark(&self, body: &[u8]) -> Mark {
        if memmem::find(body, PII.as_bytes()).is_some() {
            Mark::Leaked
        } else if !self.mask.is_empty() && memmem::find(body, &self.mask).is_some() {
            Mark::Masked
        } else {
            Mark::None
        }
    }

    fn count(&self, model: &str, mark: Mark) {
        let mut stats = self.stats.lock().unwrap_or_else(PoisonError::into_inner);
        match stats.models.get_mut(model) {
            Some(count) => *count += 1,
            None => drop(stats.models.insert(model.to_owned(), 1)),
        }
        stats.masked += u64::from(mark == Mark::Masked);
        stats.leaked += u64::from(mark == Mark::Leaked);
    }
}

/// The complete reply to the request with this serial.
pub fn completion(serial: &[u8], mark: Mark) -> String {
    format!(
        r#"{{"id":"chatcmpl-bench","object":"chat.completion","created":1750000000,"model":"bench","choices":[{{"index":0,"message":{{"role":"assistant","content":"{}"}},"finish_reason":"stop"}}],"usage":{}}}"#,
        text(serial, mark),
        usage(),
    )
}

/// The text of the complete reply to the request with this serial.
pub fn text(serial: &[u8], mark: Mark) -> String {
    let text =
        "Thank you for both orders; they left our house on time, and the second one is with you soon. ";
    [opening(serial, mark), text.repeat(7)].concat()
}

/// The text of the whole stream for the request with this serial.
pub fn stream_text(serial: &[u8], mark: Mark) -> String {
    [opening(serial, mark), GOES_ON.repeat(STREAM_CHUNKS - 1)].concat()
}

/// How every reply's text begins: the request's serial and what its prompt carried.
pub fn opening(serial: &[u8], mark: Mark) -> String {
    format!("re bench-{} {}. ", String::from_utf8_lossy(serial), mark.as_str())
}

/// The text of every chunk but the first.
const GOES_ON: &str = "and then the answer goes on, ";

fn model(body: &[u8]) -> Result<&str> {
    let marker = br#""model":""#;
    let rest = memmem::find(body, marker).map(|at| &body[at + marker.len()..]);
    let name = rest.and_then(|rest| rest.split(|byte| *byte == b'"').next());
    name.and_then(|name| std::str::from_utf8(name).ok()).ok_or_else(|| Failure::new("a body without a model"))
}

fn usage() -> String {
    format!(
        r#"{{"prompt_tokens":{INPUT_TOKENS},"completion_tokens":{OUTPUT_TOKENS},"total_tokens":{},"prompt_tokens_details":{{"cached_tokens":{CACHED_TOKENS}}}}}"#,
        INPUT_TOKENS + OUTPUT_TOKENS
    )
}

const STREAM_HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

const FINISH: &str = "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1750000000,\"model\":\"bench\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";

fn delta(text: &str) -> String {
    format!(
        "data: {{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1750000000,\"model\":\"bench\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":null}}]}}\n\n"
    )
}

fn usage_event() -> String {
    format!(
        "data: {{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1750000000,\"model\":\"bench\",\"choices\":[],\"usage\":{}}}\n\n",
        usage()
    )
}

fn chunked(data: &str) -> Vec<u8> {
    format!("{:x}\r\n{data}\r\n", data.len()).into_bytes()
}

fn reply(status: u16, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status} Reply\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}
