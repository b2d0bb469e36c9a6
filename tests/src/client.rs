//! A caller: HTTP/1.1 by hand, so that it can also do what no library would.

use serde_json::Value;
use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// One connection.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<TcpStream>,
    body: Body,
    events: Vec<u8>,
    closes: bool,
}

/// How much of the current reply's body is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    Done,
    Length(usize),
    Chunked,
    ToEnd,
}

/// The head of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Status.
    pub status: u16,
    /// Headers; their names in lower case.
    pub headers: Vec<(String, String)>,
}

/// A whole reply.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    /// Its head.
    pub head: Head,
    /// Its body, without chunk framing.
    pub body: Vec<u8>,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens.
    pub async fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), body: Body::Done, events: Vec::new(), closes: false })
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.get_mut().write_all(bytes).await
    }

    /// Sends a request with `Host` and, unless the method is GET, `Content-Length`.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<()> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: weir.test\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if method != "GET" {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(body);
        self.write(&bytes).await
    }

    /// Sends a chat completion.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn chat(&mut self, key: &str, body: &Value, headers: &[(&str, &str)]) -> Result<()> {
        let bearer = format!("Bearer {key}");
        let mut all = vec![("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        all.extend_from_slice(headers);
        self.send("POST", "/v1/chat/completions", &all, body.to_string().as_bytes()).await
    }

    /// Whether the last reply said that the connection is closed after it.
    #[must_use]
    pub const fn closes(&self) -> bool {
        self.closes
    }

    /// The head of the next reply, past informational ones.
    ///
    /// # Errors
    /// The connection ended first, or what came is not HTTP.
    pub async fn head(&mut self) -> Result<Head> {
        loop {
            let head = self.any_head().await?;
            if head.status >= 200 {
                self.body = head.body();
                self.closes = head.get("connection").is_some_and(|said| said.eq_ignore_ascii_case("close"));
                self.events.clear();
                return Ok(head);
            }
        }
    }

    /// The head of the next reply, be it informational.
    ///
    /// # Errors
    /// As [`Client::head`].
    pub async fn any_head(&mut self) -> Result<Head> {
        let status = self.line().await?;
        let status = status.split(' ').nth(1).and_then(|code| code.parse().ok());
        let mut head = Head { status: status.ok_or_else(|| bad("no status line"))?, headers: Vec::new() };
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return Ok(head);
            }
            let (name, value) = line.split_once(':').ok_or_else(|| bad("a header without a colon"))?;
            head.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    /// The next piece of the body; `None` at its proper end.
    ///
    /// # Errors
    /// The connection ended before the body did.
    pub async fn piece(&mut self) -> Result<Option<Vec<u8>>> {
        let piece = match self.body {
            Body::Done => return Ok(None),
            Body::Length(0) => Vec::new(),
            Body::Length(left) => {
                let got = self.some(left).await?;
                self.body = Body::Length(left - got.len());
                if got.is_empty() {
                    return Err(ErrorKind::UnexpectedEof.into());
                }
                got
            }
            Body::ToEnd => self.some(usize::MAX).await?,
            Body::Chunked => {
                let size = self.line().await?;
                let size = usize::from_str_radix(&size, 16).map_err(|_| bad("no chunk size"))?;
                let mut piece = vec![0; size];
                self.stream.read_exact(&mut piece).await?;
                if !self.line().await?.is_empty() {
                    return Err(bad("a chunk is longer than it says"));
                }
                piece
            }
        };
        if piece.is_empty() {
            self.body = Body::Done;
            return Ok(None);
        }
        Ok(Some(piece))
    }

    /// The rest of the body.
    ///
    /// # Errors
    /// As [`Client::piece`].
    pub async fn rest(&mut self) -> Result<Vec<u8>> {
        let mut body = std::mem::take(&mut self.events);
        while let Some(piece) = self.piece().await? {
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    /// The data of the next event of a stream; `None` at its end.
    ///
    /// # Errors
    /// As [`Client::piece`].
    pub async fn event(&mut self) -> Result<Option<String>> {
        loop {
            if let Some(end) = self.events.windows(2).position(|two| two == b"\n\n") {
                let event: Vec<u8> = self.events.drain(..end + 2).collect();
                let event = String::from_utf8_lossy(&event).into_owned();
                let data: Vec<&str> = event.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
                if !data.is_empty() {
                    return Ok(Some(data.join("\n")));
                }
                continue;
            }
            match self.piece().await? {
                Some(piece) => self.events.extend_from_slice(&piece),
                None => return Ok(None),
            }
        }
    }

    /// The next reply, whole.
    ///
    /// # Errors
    /// As [`Client::head`] and [`Client::piece`].
    pub async fn reply(&mut self) -> Result<Reply> {
        let head = self.head().await?;
        Ok(Reply { head, body: self.rest().await? })
    }

    /// Waits until the gateway closes the connection; whatever comes before is thrown away.
    pub async fn closed(&mut self) {
        // A reset is an end too.
        while self.some(usize::MAX).await.is_ok_and(|bytes| !bytes.is_empty()) {}
    }

    async fn some(&mut self, most: usize) -> Result<Vec<u8>> {
        let got = self.stream.fill_buf().await?;
        let got = got[..got.len().min(most)].to_vec();
        self.stream.consume(got.len());
        Ok(got)
    }

    async fn line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).await?;
        let line = line.strip_suffix(b"\r\n").ok_or(ErrorKind::UnexpectedEof)?;
        String::from_utf8(line.to_vec()).map_err(|_| bad("a head that is not UTF-8"))
    }
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#?}\n{}", self.head, self.text())
    }
}

fn bad(why: &str) -> Error {
    Error::new(ErrorKind::InvalidData, why)
}

impl Head {
    /// A header by its name in lower case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The gateway's id of the exchange.
    #[must_use]
    pub fn id(&self) -> &str {
        self.get("x-weir-request-id").expect("every reply carries its id")
    }

    fn body(&self) -> Body {
        if self.get("transfer-encoding").is_some_and(|coding| coding == "chunked") {
            return Body::Chunked;
        }
        match self.get("content-length").and_then(|length| length.parse().ok()) {
            Some(length) => Body::Length(length),
            None if matches!(self.status, 204 | 304) => Body::Done,
            None => Body::ToEnd,
        }
    }
}

impl Reply {
    /// Status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// A header by its name in lower case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.head.get(name)
    }

    /// The gateway's id of the exchange.
    #[must_use]
    pub fn id(&self) -> &str {
        self.head.id()
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The data of every event of a stream.
    #[must_use]
    pub fn events(&self) -> Vec<String> {
        let text = self.text();
        text.split("\n\n")
            .filter_map(|event| event.trim().strip_prefix("data: ").map(str::to_owned))
            .collect()
    }

    /// The text of the answer: of a whole reply, or of all deltas.
    #[must_use]
    pub fn answer(&self) -> String {
        if !self.get("content-type").is_some_and(|kind| kind.starts_with("text/event-stream")) {
            return self.json()["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned();
        }
        let chunks = self.events().into_iter().filter_map(|data| serde_json::from_str::<Value>(&data).ok());
        chunks
            .filter_map(|chunk| Some(chunk["choices"][0]["delta"]["content"].as_str()?.to_owned()))
            .collect()
    }

    /// That it is an error of this status in OpenAI's envelope, with the request id in its message; its `code`.
    pub fn refused(&self, status: u16) -> String {
        assert_eq!(self.status(), status, "{self:?}");
        assert_eq!(self.get("content-type"), Some("application/json"), "{self:?}");
        let json = self.json();
        let error = json["error"].as_object().unwrap_or_else(|| panic!("no envelope: {self:?}"));
        let keys: Vec<&str> = error.keys().map(String::as_str).collect();
        assert_eq!(keys, ["message", "type", "param", "code"], "{self:?}");
        assert!(
            error["message"].as_str().is_some_and(|text| text.contains(self.id())),
            "no id in it: {self:?}"
        );
        assert!(error["type"].as_str().is_some_and(|kind| !kind.is_empty()), "{self:?}");
        error["code"].as_str().unwrap_or_default().to_owned()
    }
}
