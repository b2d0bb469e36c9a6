//! A provider that does what its script says, and remembers what it was sent.

use crate::{reply, soon};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

/// A request as the provider got it.
#[derive(Debug, Clone)]
pub struct Call {
    /// Which request of this upstream it is, from 0.
    pub index: usize,
    /// Which connection it came on, from 0.
    pub connection: usize,
    /// Which request of its connection it is, from 0.
    pub turn: usize,
    /// Method and path, such as `POST /v1/chat/completions`.
    pub line: String,
    /// Headers; their names in lower case.
    pub headers: Vec<(String, String)>,
    /// The whole head as it came.
    pub raw: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Call {
    /// A header by its name in lower case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a body of JSON")
    }

    /// Whether a stream was asked for.
    #[must_use]
    pub fn stream(&self) -> bool {
        self.line.contains(":streamGenerateContent") || self.json()["stream"] == true
    }

    /// The model that is asked for: Google's API has it in the address.
    #[must_use]
    pub fn model(&self) -> String {
        let named = self.line.split_once("/models/").and_then(|(_, rest)| rest.split(':').next());
        named.map_or_else(|| self.json()["model"].as_str().unwrap_or_default().to_owned(), str::to_owned)
    }
}

/// Holds a script up until the test opens it.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Semaphore>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets everyone through, from now on.
    pub fn open(&self) {
        self.0.close();
    }

    pub(crate) async fn passed(&self) {
        // A closed semaphore is an open gate.
        let _ = self.0.acquire().await;
    }
}

/// One step of a script.
#[derive(Debug, Clone)]
enum Step {
    Send(Vec<u8>),
    Wait(Gate),
    Pause(Duration),
    Flood(Vec<u8>),
    Hang,
    Close,
    Reset,
}

/// What a provider does about one request: a script of steps. Afterwards the connection takes the next request, unless
/// the script ended it.
#[derive(Debug, Clone, Default)]
pub struct Act(Vec<Step>);

impl Act {
    /// Does nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends bytes as they are.
    #[must_use]
    pub fn send(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.0.push(Step::Send(bytes.into()));
        self
    }

    /// Waits for the test.
    #[must_use]
    pub fn wait(mut self, gate: &Gate) -> Self {
        self.0.push(Step::Wait(gate.clone()));
        self
    }

    /// Lets time pass.
    #[must_use]
    pub fn pause(mut self, time: Duration) -> Self {
        self.0.push(Step::Pause(time));
        self
    }

    /// Sends one chunk of a chunked body again and again, without a pause, until the gateway goes.
    #[must_use]
    pub fn flood(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.push(Step::Flood(chunked(bytes.as_ref()).repeat(500)));
        self
    }

    /// Does nothing any more, until the gateway goes.
    #[must_use]
    pub fn hang(mut self) -> Self {
        self.0.push(Step::Hang);
        self
    }

    /// Closes the connection.
    #[must_use]
    pub fn close(mut self) -> Self {
        self.0.push(Step::Close);
        self
    }

    /// Resets the connection.
    #[must_use]
    pub fn reset(mut self) -> Self {
        self.0.push(Step::Reset);
        self
    }

    /// Goes on with another script.
    #[must_use]
    pub fn then(mut self, next: Self) -> Self {
        self.0.extend(next.0);
        self
    }

    /// A whole reply.
    #[must_use]
    pub fn reply(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let mut head = format!("HTTP/1.1 {status} Scripted\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(body);
        Self::new().send(bytes)
    }

    /// A JSON reply.
    #[must_use]
    pub fn json(status: u16, body: &Value) -> Self {
        Self::reply(status, &[("Content-Type", "application/json")], body.to_string())
    }

    /// A complete chat completion: 100 tokens in, of which 40 cached, and 10 out.
    #[must_use]
    pub fn says(text: &str) -> Self {
        Self::json(200, &reply::completion(text, 100, 40, 10))
    }

    /// The head of a chunked stream.
    #[must_use]
    pub fn stream() -> Self {
        Self::new().send(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nX-RateLimit-Remaining-Requests: 7\r\n\r\n",
        )
    }

    /// One chunk of a chunked body.
    #[must_use]
    pub fn chunk(self, bytes: impl AsRef<[u8]>) -> Self {
        self.send(chunked(bytes.as_ref()))
    }

    /// The end of a chunked body.
    #[must_use]
    pub fn end(self) -> Self {
        self.send("0\r\n\r\n")
    }

    /// A complete stream of these deltas: 100 tokens in, of which 40 cached, and 10 out.
    #[must_use]
    pub fn streams(deltas: &[&str]) -> Self {
        reply::events(deltas).into_iter().fold(Self::stream(), Self::chunk).end()
    }

    /// A complete answer in the form that the request asks for; a stream has one delta a word.
    #[must_use]
    pub fn answers(call: &Call, text: &str) -> Self {
        if call.stream() {
            Self::streams(&text.split_inclusive(' ').collect::<Vec<_>>())
        } else {
            Self::says(text)
        }
    }
}

/// Keeps an address silent.
pub struct Silent {
    _listener: TcpListener,
    fillers: Vec<JoinHandle<std::io::Result<TcpStream>>>,
}

impl Drop for Silent {
    fn drop(&mut self) {
        self.fillers.iter().for_each(JoinHandle::abort);
    }
}

/// What an upstream has seen.
#[derive(Debug, Clone, Default)]
struct Seen {
    calls: Vec<Call>,
    /// Connections that the gateway closed, or that have ended by our own script.
    ended: Vec<usize>,
    connections: usize,
}

/// A running upstream; it stops when dropped.
pub struct Upstream {
    /// Where it listens.
    pub address: SocketAddr,
    seen: watch::Sender<Seen>,
    task: JoinHandle<()>,
}

impl Upstream {
    /// Starts an upstream whose `script` says what to do about each request.
    pub async fn start(script: impl Fn(&Call) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(crate::gateway::free_address()).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let seen = watch::Sender::new(Seen::default());
        let task = tokio::spawn(accept(listener, Arc::new(script), seen.clone()));
        Self { address, seen, task }
    }

    /// An upstream that answers every request with this text, in the form that was asked for.
    pub async fn saying(text: &'static str) -> Self {
        Self::start(move |call| Act::answers(call, text)).await
    }

    /// An address at which connections are refused.
    #[must_use]
    pub fn refusing() -> SocketAddr {
        crate::gateway::free_address()
    }

    /// An address at which connections are neither taken nor refused, as long as the second one lives.
    pub async fn silent() -> (SocketAddr, Silent) {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let listener = socket.listen(1).expect("a listener");
        let address = listener.local_addr().expect("an address");
        // Whoever comes when the queue is full hears nothing.
        let fillers = (0..4).map(|_| tokio::spawn(TcpStream::connect(address))).collect();
        (address, Silent { _listener: listener, fillers })
    }

    /// The requests so far.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.seen.borrow().calls.clone()
    }

    /// How many requests so far.
    #[must_use]
    pub fn count(&self) -> usize {
        self.seen.borrow().calls.len()
    }

    /// How many connections so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.seen.borrow().connections
    }

    /// Waits for request `index`, from 0.
    pub async fn call(&self, index: usize) -> Call {
        let mut seen = self.seen.subscribe();
        let seen = soon("a request to the upstream", seen.wait_for(|seen| seen.calls.len() > index)).await;
        seen.expect("the upstream runs").calls[index].clone()
    }

    /// Waits until a connection has ended.
    pub async fn ended(&self, connection: usize) {
        let mut seen = self.seen.subscribe();
        let ended = seen.wait_for(|seen| seen.ended.contains(&connection));
        soon("the gateway closes its connection to the upstream", ended).await.expect("the upstream runs");
    }
}

fn chunked(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Script = Arc<dyn Fn(&Call) -> Act + Send + Sync>;

async fn accept(listener: TcpListener, script: Script, seen: watch::Sender<Seen>) {
    // A set is aborted with the task that owns it.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let mut connection = 0;
        seen.send_modify(|seen| {
            connection = seen.connections;
            seen.connections += 1;
        });
        let (script, seen) = (Arc::clone(&script), seen.clone());
        connections.spawn(async move {
            serve(stream, connection, &script, &seen).await;
            seen.send_modify(|seen| seen.ended.push(connection));
        });
    }
}

/// Serves one connection until it ends, by the gateway's will or the script's.
async fn serve(stream: TcpStream, connection: usize, script: &Script, seen: &watch::Sender<Seen>) {
    // What is sent in two steps is to arrive in two.
    let _ = stream.set_nodelay(true);
    let mut stream = BufReader::new(stream);
    for turn in 0.. {
        let Some(mut call) = read(&mut stream, connection, turn).await else { return };
        seen.send_modify(|seen| {
            call.index = seen.calls.len();
            seen.calls.push(call.clone());
        });
        for step in script(&call).0 {
            let go_on = match step {
                Step::Send(bytes) => stream.get_mut().write_all(&bytes).await.is_ok(),
                Step::Wait(gate) => {
                    tokio::select! {
                        () = gate.passed() => true,
                        () = gone(&mut stream) => false,
                    }
                }
                Step::Pause(time) => {
                    tokio::time::sleep(time).await;
                    true
                }
                Step::Flood(bytes) => {
                    while stream.get_mut().write_all(&bytes).await.is_ok() {}
                    false
                }
                Step::Hang => {
                    gone(&mut stream).await;
                    false
                }
                Step::Close => false,
                Step::Reset => {
                    let _ = stream.get_ref().set_zero_linger();
                    false
                }
            };
            if !go_on {
                return;
            }
        }
    }
}

/// Resolves when the other side has closed or reset the connection. Bytes that come meanwhile stay where they are.
async fn gone(stream: &mut BufReader<TcpStream>) {
    if stream.fill_buf().await.is_ok_and(|bytes| !bytes.is_empty()) {
        std::future::pending::<()>().await;
    }
}

async fn read(stream: &mut BufReader<TcpStream>, connection: usize, turn: usize) -> Option<Call> {
    let mut raw = String::new();
    while !raw.ends_with("\r\n\r\n") {
        if stream.read_line(&mut raw).await.ok()? == 0 {
            return None;
        }
    }
    let mut lines = raw.lines();
    let line = lines.next()?.trim_end_matches(" HTTP/1.1").to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length =
        headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    Some(Call { index: 0, connection, turn, line, headers, raw, body })
}
