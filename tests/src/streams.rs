//! A provider that speaks HTTP/2 in clear text and does what its script says.

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{Request, Response};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::{Gate, reply};

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Which request of this upstream it is, from 0.
    pub index: usize,
    /// Which connection it came on, from 0.
    pub connection: usize,
    /// `:authority` and path.
    pub uri: String,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Value,
}

/// What is done about a request.
#[derive(Debug, Clone)]
pub enum Turn {
    /// Answers, in the form that is asked for.
    Answer(String),
    /// Sends these deltas of a stream, waits for the gate, and resets it.
    Cut(Vec<&'static str>, Gate),
    /// Sends these deltas of a stream, waits for the gate, and goes on with the others.
    Slow(Vec<&'static str>, Gate, Vec<&'static str>),
    /// Says that it has not looked at it.
    Refuse,
    /// Resets it for a reason of its own.
    Reset,
    /// Answers, and says that the connection takes no more.
    Last(String),
    /// Never answers.
    Hang,
}

/// A running upstream; it stops when dropped.
pub struct Streams {
    /// Where it listens.
    pub address: SocketAddr,
    seen: watch::Sender<(Vec<Asked>, usize)>,
    task: JoinHandle<()>,
}

type Script = Arc<dyn Fn(&Asked) -> Turn + Send + Sync>;

impl Streams {
    /// Starts one that takes `most` requests at a time on a connection.
    pub async fn start(most: u32, script: impl Fn(&Asked) -> Turn + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let seen = watch::Sender::new((Vec::new(), 0));
        let (script, told): (Script, _) = (Arc::new(script), seen.clone());
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let mut connection = 0;
                told.send_modify(|(_, count)| {
                    connection = *count;
                    *count += 1;
                });
                connections.spawn(serve(stream, connection, most, Arc::clone(&script), told.clone()));
            }
        });
        Self { address, seen, task }
    }

    /// The requests so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.seen.borrow().0.clone()
    }

    /// How many connections so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.seen.borrow().1
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    stream: TcpStream,
    connection: usize,
    most: u32,
    script: Script,
    seen: watch::Sender<(Vec<Asked>, usize)>,
) {
    let mut server = h2::server::Builder::new();
    server.max_concurrent_streams(most);
    let Ok(mut server) = server.handshake::<_, Bytes>(stream).await else { return };
    let mut turns = tokio::task::JoinSet::new();
    let (last, mut over) = watch::channel(false);
    loop {
        let accepted = tokio::select! {
            accepted = server.accept() => accepted,
            _ = over.changed() => {
                server.graceful_shutdown();
                continue;
            }
        };
        let Some(Ok((request, respond))) = accepted else { return };
        let (script, seen, last) = (Arc::clone(&script), seen.clone(), last.clone());
        turns.spawn(async move { turn(request, respond, connection, &script, &seen, &last).await });
    }
}

async fn turn(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    connection: usize,
    script: &Script,
    seen: &watch::Sender<(Vec<Asked>, usize)>,
    last: &watch::Sender<bool>,
) -> Option<()> {
    let (head, mut incoming) = request.into_parts();
    let mut body = Vec::new();
    while let Some(piece) = incoming.data().await {
        let piece = piece.ok()?;
        incoming.flow_control().release_capacity(piece.len()).ok()?;
        body.extend_from_slice(&piece);
    }
    let text = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let mut asked = Asked {
        index: 0,
        connection,
        uri: head.uri.to_string(),
        headers: head.headers.iter().map(text).collect(),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    seen.send_modify(|(all, _)| {
        asked.index = all.len();
        all.push(asked.clone());
    });
    let stream = asked.body["stream"] == true;
    match script(&asked) {
        Turn::Refuse => respond.send_reset(Reason::REFUSED_STREAM),
        Turn::Reset => respond.send_reset(Reason::INTERNAL_ERROR),
        Turn::Hang => std::future::pending().await,
        Turn::Answer(text) => answer(respond, stream, &text).await?,
        Turn::Last(text) => {
            answer(respond, stream, &text).await?;
            last.send_replace(true);
        }
        Turn::Cut(deltas, gate) => {
            let mut out = events(&mut respond)?;
            send(&mut out, deltas.iter().map(|delta| reply::delta(delta)).collect(), false).await?;
            gate.passed().await;
            out.send_reset(Reason::INTERNAL_ERROR);
        }
        Turn::Slow(first, gate, rest) => {
            let mut out = events(&mut respond)?;
            send(&mut out, first.iter().map(|delta| reply::delta(delta)).collect(), false).await?;
            gate.passed().await;
            send(&mut out, reply::events(&rest), true).await?;
        }
    }
    Some(())
}

async fn answer(mut respond: SendResponse<Bytes>, stream: bool, text: &str) -> Option<()> {
    if stream {
        let words: Vec<&str> = text.split_inclusive(' ').collect();
        let mut out = events(&mut respond)?;
        return send(&mut out, reply::events(&words), true).await;
    }
    let head = Response::builder().header("content-type", "application/json").body(()).ok()?;
    let mut out = respond.send_response(head, false).ok()?;
    send(&mut out, vec![reply::completion(text, 100, 40, 10).to_string().into_bytes()], true).await
}

fn events(respond: &mut SendResponse<Bytes>) -> Option<h2::SendStream<Bytes>> {
    let head = Response::builder().header("content-type", "text/event-stream").body(()).ok()?;
    respond.send_response(head, false).ok()
}

/// Sends as much as the other side has room for, as it has.
async fn send(out: &mut h2::SendStream<Bytes>, pieces: Vec<Vec<u8>>, end: bool) -> Option<()> {
    for piece in pieces {
        let mut rest = Bytes::from(piece);
        while !rest.is_empty() {
            out.reserve_capacity(rest.len());
            let room = std::future::poll_fn(|context| out.poll_capacity(context)).await?.ok()?;
            out.send_data(rest.split_to(room.min(rest.len())), false).ok()?;
        }
    }
    if end {
        out.send_data(Bytes::new(), true).ok()?;
    }
    Some(())
}
