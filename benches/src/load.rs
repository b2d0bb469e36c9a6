//! The load generator: a closed loop over kept-alive connections, every reply checked against its own request.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::task::LocalSet;

use crate::failure::{Context, Failure, Result};
use crate::process::own_cpu;
use crate::prompt::{Api, Kind, Mark, Template, body};
use crate::reply::{self, Due};
use crate::wire::Conn;

const CONNECTIONS: usize = 32;
const MODEL: &str = "chat";

/// What to send, where, and for how long.
#[derive(Clone, Debug, clap::Args, Serialize, Deserialize)]
pub struct Shape {
    /// Address of the system under test.
    #[arg(long)]
    pub target: String,
    /// Connections, each with one request at a time.
    #[arg(long, default_value_t = CONNECTIONS)]
    pub connections: usize,
    /// How long new requests are sent.
    #[arg(long, default_value_t = 2.0)]
    pub seconds: f64,
    /// Stop after so many requests; none: after the seconds only.
    #[arg(long, default_value_t = u64::MAX)]
    pub requests: u64,
    /// The API that the clients speak.
    #[arg(long, value_enum, default_value_t)]
    pub api: Api,
    /// Model name in the bodies.
    #[arg(long, default_value = MODEL)]
    pub model: String,
    /// File with one key a line, used in turn.
    #[arg(long)]
    pub keys: PathBuf,
    /// One request in so many is a stream; 0: none.
    #[arg(long, default_value_t = 0)]
    pub stream_every: u64,
    /// One body in so many carries an address that must arrive masked; 0: none.
    #[arg(long, default_value_t = 0)]
    pub pii_every: u64,
    /// File that gets the request id of each 2xx, one a line.
    #[arg(long)]
    pub ids: Option<PathBuf>,
    /// Go on until this file exists (for a load as long as something else takes).
    #[arg(long)]
    pub until: Option<PathBuf>,
}

/// What came back.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Requests sent.
    pub sent: u64,
    /// Replies that were 200, whole, and the right ones.
    pub ok: u64,
    /// Replies among them whose request carried the address, and that say it arrived masked.
    pub masked: u64,
    /// Everything else, by what was wrong.
    pub failed: BTreeMap<String, u64>,
    /// Wall time from the first request to the last reply.
    pub seconds: f64,
    /// CPU time of the load generator, where it is a process of its own.
    pub cpu_seconds: f64,
    /// Latency, median.
    pub p50_us: u64,
    /// Latency, 99th percentile.
    pub p99_us: u64,
}

impl Tally {
    /// How many requests did not get the right reply.
    pub fn failures(&self) -> u64 {
        self.failed.values().sum()
    }
}

impl Shape {
    /// Plain requests for so long, and all else as it is unless it is asked for.
    pub fn plain(target: &str, keys: &Path, seconds: f64) -> Self {
        Self {
            target: target.to_owned(),
            connections: CONNECTIONS,
            seconds,
            requests: u64::MAX,
            api: Api::default(),
            model: MODEL.to_owned(),
            keys: keys.to_owned(),
            stream_every: 0,
            pii_every: 0,
            ids: None,
            until: None,
        }
    }
}

/// Sends the load and says what came back.
pub fn run(shape: &Shape) -> Result<Tally> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut tally = LocalSet::new().block_on(&runtime, drive(shape))?;
    tally.cpu_seconds = own_cpu()?.as_secs_f64();
    Ok(tally)
}

/// The same on a thread that has other things to do as well: whose CPU time it was is not told.
pub async fn drive(shape: &Shape) -> Result<Tally> {
    let book = Rc::new(RefCell::new(Book::open(shape)?));
    let started = Instant::now();
    let clients: Vec<_> = (0..shape.connections)
        .map(|_| tokio::task::spawn_local(client(shape.target.clone(), Rc::clone(&book))))
        .collect();
    for client in clients {
        client.await.context("a client task")?;
    }
    let book = Rc::into_inner(book).ok_or_else(|| Failure::new("a client outlived the load"))?;
    book.into_inner().close(started.elapsed())
}

/// Everything the clients share: what to send next, and what came back.
struct Book {
    shape: Shape,
    templates: Vec<[Template; 3]>,
    deadline: Instant,
    tally: Tally,
    latencies: Vec<u32>,
    ids: Option<std::io::BufWriter<std::fs::File>>,
}

/// One request to send.
struct Order {
    bytes: Vec<u8>,
    due: Due,
}

impl Book {
    fn open(shape: &Shape) -> Result<Book> {
        let keys = read_keys(&shape.keys)?;
        let body = |kind, pii| body(shape.api, &shape.model, kind, pii);
        let bodies = [body(Kind::Plain, false), body(Kind::Plain, true), body(Kind::Stream, false)];
        let template = |key: &str, body: &String| Template::new(&shape.target, key, shape.api, body);
        let templates = keys.iter().map(|key| bodies.each_ref().map(|body| template(key, body))).collect();
        let ids = shape.ids.as_deref().map(std::fs::File::create).transpose().context("ids file")?;
        Ok(Book {
            templates,
            deadline: Instant::now() + Duration::from_secs_f64(shape.seconds),
            tally: Tally::default(),
            latencies: Vec::with_capacity(1 << 18),
            ids: ids.map(std::io::BufWriter::new),
            shape: shape.clone(),
        })
    }

    fn next(&mut self) -> Option<Order> {
        let serial = self.tally.sent;
        if serial >= self.shape.requests || self.is_over(serial) {
            return None;
        }
        self.tally.sent += 1;
        let every = |n: u64| n > 0 && serial.is_multiple_of(n);
        let (which, kind, mark) = match () {
            () if every(self.shape.pii_every) => (1, Kind::Plain, Mark::Masked),
            () if every(self.shape.stream_every) => (2, Kind::Stream, Mark::None),
            () => (0, Kind::Plain, Mark::None),
        };
        let keys = self.templates.len() as u64;
        let bytes = self.templates[(serial % keys) as usize][which].numbered(serial).to_vec();
        Some(Order { bytes, due: Due { api: self.shape.api, kind, serial, mark } })
    }

    fn is_over(&self, serial: u64) -> bool {
        match &self.shape.until {
            // Looked at now and then: a system call a request would be the load generator's own cost.
            Some(file) => Instant::now() >= self.deadline || (serial.is_multiple_of(64) && file.exists()),
            None => Instant::now() >= self.deadline,
        }
    }

    fn record(&mut self, order: &Order, taken: Duration, outcome: Result<Option<String>>) -> Result<()> {
        let id = match outcome {
            Ok(id) => id,
            Err(failure) => {
                *self.tally.failed.entry(failure.to_string()).or_default() += 1;
                return Ok(());
            }
        };
        self.tally.ok += 1;
        self.tally.masked += u64::from(order.due.mark == Mark::Masked);
        self.latencies.push(u32::try_from(taken.as_micros()).unwrap_or(u32::MAX));
        if let Some(ids) = &mut self.ids {
            let id = id.ok_or_else(|| Failure::new("a 2xx without x-weir-request-id"))?;
            writeln!(ids, "{id}")?;
        }
        Ok(())
    }

    fn close(mut self, taken: Duration) -> Result<Tally> {
        if let Some(ids) = &mut self.ids {
            ids.flush()?;
        }
        self.latencies.sort_unstable();
        let at = |share: f64| {
            let place = (self.latencies.len() as f64 * share) as usize;
            self.latencies.get(place).copied().map_or(0, u64::from)
        };
        (self.tally.p50_us, self.tally.p99_us) = (at(0.5), at(0.99));
        self.tally.seconds = taken.as_secs_f64();
        Ok(self.tally)
    }
}

/// Sends one request after the other; after a failure, or where the server says that it closes, on a fresh connection.
async fn client(target: String, book: Rc<RefCell<Book>>) {
    let mut conn = None;
    loop {
        let Some(order) = book.borrow_mut().next() else { return };
        let started = Instant::now();
        let outcome = exchange(&mut conn, &target, &order).await;
        if outcome.is_err() {
            conn = None;
        }
        let recorded = book.borrow_mut().record(&order, started.elapsed(), outcome);
        if let Err(failure) = recorded {
            *book.borrow_mut().tally.failed.entry(failure.to_string()).or_default() += 1;
        }
    }
}

async fn exchange(kept: &mut Option<Conn>, target: &str, order: &Order) -> Result<Option<String>> {
    let conn = match kept {
        Some(conn) => conn,
        None => kept.insert(Conn::open(target).await?),
    };
    conn.send(&order.bytes).await?;
    let head = conn.head().await?.ok_or_else(|| Failure::new("closed instead of a reply"))?;
    let body = conn.body(head.framing()?).await?;
    if head.closes() {
        *kept = None;
    }
    reply::check(&head, &body, &order.due)?;
    Ok(head.header("x-weir-request-id").map(str::to_owned))
}

fn read_keys(file: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(file).context(file.display())?;
    let keys: Vec<String> = text.lines().map(str::to_owned).filter(|line| !line.is_empty()).collect();
    if keys.is_empty() { Err(Failure::new("the keys file is empty")) } else { Ok(keys) }
}
