//! A caller that knows what it must get, and says what was wrong with what it got.

use crate::client::Client;
use crate::gateway::Gateway;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fmt;
use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One piece of a text; it says where it belongs, so that nothing that is lost, doubled or moved goes unseen.
#[derive(Debug, Clone, Copy)]
pub struct Piece {
    /// Of which text.
    pub seed: u64,
    /// Which piece, from 0.
    pub index: usize,
    /// Bytes, at least.
    pub length: usize,
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = format!("s{}p{}", self.seed, self.index);
        let fill = self.length.saturating_sub(own.len() + 1);
        f.write_str(&own)?;
        let letters = &LETTERS[self.index % 26..];
        (0..fill / 26).try_for_each(|_| f.write_str(&letters[..26]))?;
        f.write_str(&letters[..fill % 26])?;
        f.write_str(" ")
    }
}

const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz";

/// A whole text.
#[must_use]
pub fn text(seed: u64, pieces: usize, length: usize) -> String {
    (0..pieces).map(|index| Piece { seed, index, length }.to_string()).collect()
}

/// What an exchange of so many pieces costs at the prices of [`config`](super::config), in nano-dollars.
#[must_use]
pub fn charge(pieces: usize) -> i64 {
    i64::try_from(pieces).expect("few pieces") * 10_000 + 1_000
}

/// One request.
#[derive(Debug, Clone, Copy)]
pub struct Order {
    /// What its text follows from.
    pub seed: u64,
    /// How long the text is to be.
    pub pieces: usize,
    /// How long each piece is.
    pub length: usize,
    /// Whether it is a stream.
    pub stream: bool,
}

/// A reply whose every byte was right.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The exchange.
    pub id: String,
    /// How often it was tried.
    pub attempts: String,
    /// From the request to the end of the reply.
    pub took: Duration,
}

/// Connections of callers that send each request at its own time: a free one is used again, as an HTTP client does.
#[derive(Debug, Clone)]
pub struct Pool {
    address: SocketAddr,
    free: Arc<Mutex<Vec<Client>>>,
}

impl Pool {
    /// Of connections to this address.
    #[must_use]
    pub fn of(address: SocketAddr) -> Self {
        Self { address, free: Arc::default() }
    }

    /// Asks on a free connection, or on a fresh one. A free one may be closed by the other side at any moment: a
    /// request that got no byte of a reply there is sent once more on a fresh one.
    ///
    /// # Errors
    /// As [`Order::ask`].
    pub async fn ask(&self, order: &Order, key: &str) -> std::result::Result<Answer, Lost> {
        let kept = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(client) = kept {
            match self.on(client, order, key).await {
                Err(Lost::Unheard(_)) => {}
                heard => return heard,
            }
        }
        let fresh = Client::connect(self.address).await.map_err(Lost::Unheard)?;
        self.on(fresh, order, key).await
    }

    async fn on(&self, mut client: Client, order: &Order, key: &str) -> std::result::Result<Answer, Lost> {
        let heard = order.ask(&mut client, key, || {}).await;
        if matches!(heard, Ok(_) | Err(Lost::Refused(..))) && !client.closes() {
            self.free.lock().unwrap_or_else(PoisonError::into_inner).push(client);
        }
        heard
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Lost {
    /// Not one byte of a reply came.
    Unheard(Error),
    /// Refused, with this status.
    Refused(u16, String),
    /// The reply was cut off, or is not what it must be.
    Wrong(String),
}

impl Order {
    /// The body of the request.
    #[must_use]
    pub fn body(&self) -> Value {
        json!({
            "model": "m", "stream": self.stream, "seed": self.seed, "max_tokens": self.pieces,
            "messages": [{ "role": "user", "content": "hi" }],
        })
    }

    /// Sends it, reads the reply to its end and compares every byte of the text. `heard` is told of each event.
    ///
    /// # Errors
    /// Anything else than the right reply.
    pub async fn ask(
        &self,
        client: &mut Client,
        key: &str,
        mut heard: impl FnMut(),
    ) -> std::result::Result<Answer, Lost> {
        let began = Instant::now();
        client.chat(key, &self.body(), &[]).await.map_err(Lost::Unheard)?;
        let head = client.head().await.map_err(Lost::Unheard)?;
        let wrong = |why: String| Lost::Wrong(format!("{why} (seed {}, {} pieces)", self.seed, self.pieces));
        let cut = |error: Error| wrong(format!("cut off: {error}"));
        if head.status != 200 {
            let body = client.rest().await.map_err(cut)?;
            return Err(Lost::Refused(head.status, String::from_utf8_lossy(&body).into_owned()));
        }
        let found = if self.stream {
            read(client, &mut heard).await.map_err(cut)?
        } else {
            let body = client.rest().await.map_err(cut)?;
            let body: Value = serde_json::from_slice(&body).map_err(|error| wrong(error.to_string()))?;
            content(&body["choices"][0]["message"])
        };
        let right = text(self.seed, self.pieces, self.length);
        if found != right {
            let same = found.bytes().zip(right.bytes()).take_while(|(found, right)| found == right).count();
            let around = |text: &str| {
                String::from_utf8_lossy(&text.as_bytes()[same.min(text.len())..])
                    .chars()
                    .take(60)
                    .collect::<String>()
            };
            return Err(wrong(format!(
                "differs at byte {same}: {:?} for {:?}",
                around(&found),
                around(&right)
            )));
        }
        let attempts = head.get("x-weir-attempts").unwrap_or_default().to_owned();
        Ok(Answer { id: head.id().to_owned(), attempts, took: began.elapsed() })
    }
}

/// The text of a stream, which must end with `[DONE]` and nothing after it.
async fn read(client: &mut Client, heard: &mut impl FnMut()) -> Result<String> {
    let mut text = String::new();
    loop {
        let event = client.event().await?.ok_or(ErrorKind::UnexpectedEof)?;
        if event == "[DONE]" {
            break;
        }
        let event: Value = serde_json::from_str(&event)?;
        if event.get("error").is_some() {
            return Err(Error::other(event.to_string()));
        }
        text.push_str(&content(&event["choices"][0]["delta"]));
        heard();
    }
    let rest = client.rest().await?;
    if rest.iter().any(|byte| !byte.is_ascii_whitespace()) {
        return Err(Error::other("something follows [DONE]"));
    }
    Ok(text)
}

fn content(message: &Value) -> String {
    message["content"].as_str().unwrap_or_default().to_owned()
}

/// What callers saw end: the exchange's id and what it must have been charged.
pub type Acknowledged = HashMap<String, i64>;

/// What is wrong with the postings of what callers saw end: each has exactly one, of the right amount.
#[must_use]
pub fn misposted(gateway: &Gateway, acknowledged: &Acknowledged) -> Vec<String> {
    let mut charged: HashMap<String, Vec<i64>> = HashMap::new();
    for posting in gateway.postings() {
        charged.entry(posting.exchange).or_default().push(posting.charged);
    }
    let wrong =
        acknowledged.iter().filter(|(id, charge)| charged.get(*id).is_none_or(|found| found != &[**charge]));
    wrong
        .map(|(id, charge)| format!("{id} must have one posting of {charge}: {:?}", charged.get(id)))
        .collect()
}
