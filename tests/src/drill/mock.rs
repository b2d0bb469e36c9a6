//! A provider whose replies can be known in advance: a text follows from its seed and its length.

use super::ask::{self, Piece};
use crate::gateway::free_address;
use crate::reply;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, timeout};

/// A request, as far as a mock looks at it.
#[derive(Debug, Clone, Copy)]
pub struct Ask {
    /// Which request of the mock it is, from 0.
    pub index: usize,
    /// Which request of its connection, from 0.
    pub turn: usize,
    /// What the text follows from.
    pub seed: u64,
    /// Its length in pieces: the `max_tokens` of the request.
    pub pieces: usize,
    /// Whether a stream was asked for.
    pub stream: bool,
}

/// How a mock answers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Plan {
    /// Before the first byte.
    pub delay: Duration,
    /// Between two pieces of a stream.
    pub pause: Duration,
    /// Bytes of a piece, at least.
    pub piece: usize,
    /// What becomes of the connection.
    pub after: After,
}

/// What becomes of a connection after a reply.
#[derive(Debug, Clone, Copy, Default)]
pub enum After {
    /// It stays open.
    #[default]
    Keep,
    /// It is closed at once, unannounced.
    Close,
    /// It is closed when it has been idle so long, unannounced.
    CloseIn(Duration),
}

/// A running mock; it stops when dropped.
pub struct Mock {
    /// Where it listens.
    pub address: SocketAddr,
    requests: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Mock {
    /// Starts one that answers by this plan.
    pub async fn start(plan: impl Fn(&Ask) -> Plan + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(free_address()).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let requests = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn(accept(listener, Arc::new(plan), Arc::clone(&requests)));
        Self { address, requests, task }
    }

    /// Requests so far.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Plans = Arc<dyn Fn(&Ask) -> Plan + Send + Sync>;

async fn accept(listener: TcpListener, plan: Plans, requests: Arc<AtomicUsize>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (plan, requests) = (Arc::clone(&plan), Arc::clone(&requests));
        connections.spawn(async move { serve(stream, &plan, &requests).await });
        while connections.try_join_next().is_some() {}
    }
}

/// `None`: the other side has gone, or it is time to go.
async fn serve(stream: TcpStream, plan: &Plans, requests: &AtomicUsize) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut stream = BufReader::new(stream);
    let mut after = After::Keep;
    for turn in 0.. {
        let read = read(&mut stream, turn);
        let mut ask = match after {
            After::Keep => read.await?,
            After::Close => return None,
            After::CloseIn(idle) => timeout(idle, read).await.ok()??,
        };
        ask.index = requests.fetch_add(1, Ordering::Relaxed);
        let plan = plan(&ask);
        after = plan.after;
        tokio::time::sleep(plan.delay).await;
        if ask.stream {
            say(stream.get_mut(), &ask, &plan).await.ok()?;
        } else {
            let text = ask::text(ask.seed, ask.pieces, plan.piece);
            let body = reply::completion(&text, 1, 0, ask.pieces as u64).to_string();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            stream.get_mut().write_all((head + &body).as_bytes()).await.ok()?;
        }
    }
    None
}

async fn say(to: &mut TcpStream, ask: &Ask, plan: &Plan) -> std::io::Result<()> {
    to.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await?;
    let pace = plan.pause.max(Duration::from_micros(1));
    let mut pace = tokio::time::interval_at(Instant::now() + pace, pace);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for index in 0..ask.pieces {
        if !plan.pause.is_zero() {
            pace.tick().await;
        }
        let piece = Piece { seed: ask.seed, index, length: plan.piece }.to_string();
        to.write_all(&chunk(&reply::delta(&piece))).await?;
    }
    let mut end = chunk(&reply::finish());
    end.extend(chunk(&reply::usage_event(1, 0, ask.pieces as u64)));
    end.extend(chunk(&reply::done()));
    end.extend(b"0\r\n\r\n");
    to.write_all(&end).await
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

async fn read(stream: &mut BufReader<TcpStream>, turn: usize) -> Option<Ask> {
    let (mut line, mut length) = (String::new(), 0);
    while line != "\r\n" {
        line.clear();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let body: serde_json::Value = serde_json::from_slice(&body).ok()?;
    Some(Ask {
        index: 0,
        turn,
        seed: body["seed"].as_u64().unwrap_or_default(),
        pieces: body["max_tokens"].as_u64().and_then(|n| n.try_into().ok()).unwrap_or(1),
        stream: body["stream"] == true,
    })
}
