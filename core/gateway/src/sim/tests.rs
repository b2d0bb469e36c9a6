use super::options::{Cached, Point};
use super::reply::Reply;
use super::request::Request;
use super::*;
use pingora::apps::ServerApp;
use pingora::protocols::l4::stream::Stream;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

fn options(text: &str) -> Options {
    Options::default().parse(text).unwrap()
}

#[test]
fn every_option_is_understood() {
    let all = "ttft=200ms&tps=50&error=0.1&status=429&retry_after=2&cut=5&hang=headers&cached=0.5&tokens=200&seed=1\
               &reasoning=7&usage=off&code=insufficient_quota&headroom=0.4";
    let wanted = Options {
        ttft: Duration::from_millis(200),
        tps: 50.0,
        error: 0.1,
        status: 429,
        code: Some("insufficient_quota".into()),
        retry_after: Some(2),
        cut: Some(Point::Chunk(5)),
        hang: Some(Point::Headers),
        cached: Cached::Share(0.5),
        tokens: Some(200),
        reasoning: Some(7),
        seed: 1,
        usage: false,
        headroom: Some(0.4),
    };
    assert_eq!(options(all), wanted);
    assert_eq!(options("").parse("ttft=1.5s").unwrap().ttft, Duration::from_millis(1500));
    assert_eq!(options("cached=prefix").cached, Cached::Prefix);
    assert!((options("status=503").error - 1.0).abs() < f64::EPSILON, "a status alone means always");
    assert_eq!(
        options("error=0.5&status=503").parse("cut=body").unwrap().status,
        503,
        "the name adds to the defaults"
    );
}

#[test]
fn what_is_not_understood_is_named() {
    for bad in [
        "ttft=200",
        "ttft=-1s",
        "ttft=1h",
        "tps=NaN",
        "error=1.1",
        "status=302",
        "cut=now",
        "tokens=1e9",
        "x=1",
    ] {
        let error = Options::default().parse(&format!("seed=1&{bad}")).unwrap_err().to_string();
        assert!(error.contains(bad), "{error}");
    }
    assert!(Options::default().parse("tps").unwrap_err().to_string().contains("name=value"));
}

#[test]
fn failures_are_spread_evenly_and_the_seed_shifts_them() {
    let failing = |text: &str| (0..1000).filter(|n| options(text).fails(*n)).collect::<Vec<_>>();
    assert_eq!(failing("error=0.1").len(), 100);
    assert_eq!(failing("error=0.1")[..2], [9, 19]);
    assert_eq!(failing("error=0.1&seed=9")[..2], [0, 10]);
    assert_eq!(failing("error=0.333").len(), 333);
    assert_eq!((failing("error=1").len(), failing("error=0").len()), (1000, 0));
}

fn ask(model: &str, more: Value) -> Value {
    let mut body = json!({"model": model, "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Where is  the\nheron?"}]},
    ]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn request(body: &Value) -> Request {
    Request::parse(body.to_string().as_bytes(), &Options::default()).unwrap()
}

fn reply(body: &Value) -> Value {
    serde_json::from_str(&Reply::to(&request(body), 0).body()).unwrap()
}

/// The chunks of a stream, without `[DONE]`, which has to be there.
fn chunks(frames: &str) -> Vec<Value> {
    let mut data: Vec<_> =
        frames.split_terminator("\n\n").map(|frame| frame.strip_prefix("data: ").unwrap()).collect();
    assert_eq!(data.pop(), Some("[DONE]"));
    data.into_iter().map(|data| serde_json::from_str(data).unwrap()).collect()
}

#[test]
fn a_reply_echoes_the_question_and_counts() {
    let body = reply(&ask("sim-small", json!({})));
    let text = body["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(text.starts_with("sim-small says: you wrote “Where is the heron?”."), "{text}");
    assert_eq!(text.split(' ').count(), 16);
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert_eq!(body["model"], "sim-small");
    assert_eq!(body["usage"]["prompt_tokens"], 3 + 3 + 3 + 5, "nine and twenty bytes, two frames");
    assert_eq!(body["usage"]["completion_tokens"], 16);
    assert_eq!(body["usage"]["total_tokens"], 30);
    assert_eq!(body, reply(&ask("sim-small", json!({}))), "the same request gets the same bytes");
    assert_ne!(body, reply(&ask("sim-small?seed=2", json!({}))));
}

#[test]
fn length_reasoning_and_choices() {
    let body = reply(&ask("sim-small?tokens=5", json!({})));
    assert_eq!(body["choices"][0]["message"]["content"], "sim-small says: you wrote “Where");
    let body = reply(&ask("sim-reasoner", json!({"max_completion_tokens": 70, "n": 2})));
    assert_eq!(body["choices"][1]["finish_reason"], "length");
    assert_eq!(body["usage"]["completion_tokens"], 140);
    assert_eq!(body["usage"]["completion_tokens_details"]["reasoning_tokens"], 128);
    assert_ne!(body["choices"][0]["index"], body["choices"][1]["index"]);
    assert!(reply(&ask("sim-small?usage=off", json!({}))).get("usage").is_none());
}

#[test]
fn a_stream_says_what_the_body_says() {
    for more in [json!({}), json!({"n": 3, "max_tokens": 4}), forced_tool()] {
        let request = request(&ask("sim-small", more));
        let reply = Reply::to(&request, 0);
        let whole: Value = serde_json::from_str(&reply.body()).unwrap();
        let chunks = chunks(&reply.frames(true).collect::<String>());
        assert!(
            chunks
                .iter()
                .all(|chunk| chunk["id"] == whole["id"] && chunk["object"] == "chat.completion.chunk")
        );
        let (last, rest) = chunks.split_last().unwrap();
        assert_eq!((&last["usage"], &last["choices"]), (&whole["usage"], &json!([])));
        assert!(rest.iter().all(|chunk| chunk["usage"].is_null() && chunk.get("usage").is_some()));
        for choice in whole["choices"].as_array().unwrap() {
            let own =
                || rest.iter().map(|chunk| &chunk["choices"][0]).filter(|c| c["index"] == choice["index"]);
            assert_eq!(own().next().unwrap()["delta"]["role"], "assistant");
            let text: String = own().filter_map(|c| c["delta"]["content"].as_str()).collect();
            assert_eq!(text, choice["message"]["content"].as_str().unwrap_or(""));
            let call =
                |c: &Value| c["delta"]["tool_calls"][0]["function"]["arguments"].as_str().map(str::to_owned);
            let arguments: String = own().filter_map(call).collect();
            let wanted = choice["message"]["tool_calls"][0]["function"]["arguments"].as_str().unwrap_or("");
            assert_eq!(arguments, wanted);
            let finishes: Vec<_> =
                own().map(|c| &c["finish_reason"]).filter(|finish| !finish.is_null()).collect();
            assert_eq!(finishes, [&choice["finish_reason"]]);
        }
        let without = reply.frames(false).collect::<String>();
        assert!(!without.contains("usage"));
    }
}

fn forced_tool() -> Value {
    let parameters = json!({
        "type": "object",
        "properties": {
            "place": {"type": "string"}, "days": {"type": "integer"}, "unit": {"enum": ["metric", "imperial"]},
            "at": {"type": "object", "properties": {"lat": {"type": "number"}}, "required": ["lat"]},
        },
        "required": ["place", "unit", "at"],
    });
    let tool = json!({"type": "function", "function": {"name": "weather", "parameters": parameters}});
    json!({"tools": [tool], "tool_choice": {"type": "function", "function": {"name": "weather"}}})
}

#[test]
fn a_forced_tool_is_called_with_what_its_schema_requires() {
    let body = reply(&ask("sim-small", forced_tool()));
    let choice = &body["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(choice["message"]["content"], Value::Null);
    let function = &choice["message"]["tool_calls"][0]["function"];
    assert_eq!(function["name"], "weather");
    let arguments: Value = serde_json::from_str(function["arguments"].as_str().unwrap()).unwrap();
    assert_eq!(arguments, json!({"place": "sim", "unit": "metric", "at": {"lat": 1}}));
    let mut any = forced_tool();
    any["tool_choice"] = "required".into();
    assert_eq!(reply(&ask("sim-small", any.clone()))["choices"], body["choices"]);
    any["tool_choice"] = "auto".into();
    assert_eq!(reply(&ask("sim-small", any))["choices"][0]["finish_reason"], "stop");
}

#[test]
fn where_to_listen() {
    assert_eq!("127.0.0.1:9090".parse(), Ok(Listen::Tcp("127.0.0.1:9090".into())));
    assert_eq!("unix:/tmp/sim".parse(), Ok(Listen::Unix("/tmp/sim".into())));
    assert!("9090".parse::<Listen>().is_err() && "unix:".parse::<Listen>().is_err());
}

/// A connection to the app over a socket pair.
struct Connection {
    client: UnixStream,
    server: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

fn connect(app: &Arc<App>) -> Connection {
    let (client, server) = UnixStream::pair().unwrap();
    let (stop, shutdown) = watch::channel(false);
    let app = Arc::clone(app);
    let server = tokio::spawn(async move {
        app.process_new(Box::new(Stream::from(server)), &shutdown).await;
    });
    Connection { client, server, stop }
}

impl Connection {
    async fn post(&mut self, body: &Value) {
        let body = body.to_string();
        let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: sim\r\ncontent-length:";
        self.client.write_all(format!("{head} {}\r\n\r\n{body}", body.len()).as_bytes()).await.unwrap();
    }

    /// Reads on until what came ends with `mark`, or the connection does.
    async fn read(&mut self, mark: &str) -> String {
        let mut text = Vec::new();
        while !text.ends_with(mark.as_bytes()) || mark.is_empty() {
            match self.client.read_u8().await {
                Ok(byte) => text.push(byte),
                Err(_) => break,
            }
        }
        String::from_utf8(text).unwrap()
    }

    /// A whole reply of known length: head and body.
    async fn reply(&mut self) -> (String, Value) {
        let head = self.read("\r\n\r\n").await;
        let length =
            head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap()];
        self.client.read_exact(&mut body).await.unwrap();
        (head, serde_json::from_slice(&body).unwrap())
    }
}

/// The payload of a chunked body, as far as it came, and whether it was complete.
fn unchunk(mut text: &str) -> (String, bool) {
    let mut payload = String::new();
    while let Some((size, rest)) = text.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return (payload, true);
        }
        payload.push_str(&rest[..size]);
        text = &rest[size + 2..];
    }
    (payload, false)
}

async fn talk(app: &Arc<App>, body: &Value) -> (String, Value) {
    let mut connection = connect(app);
    connection.post(body).await;
    connection.reply().await
}

#[tokio::test]
async fn one_connection_serves_one_request_after_another() {
    let mut connection = connect(&Arc::default());
    connection.client.write_all(b"GET /v1/models HTTP/1.1\r\nhost: sim\r\n\r\n").await.unwrap();
    assert_eq!(connection.reply().await.1["data"][0]["id"], "sim-small");
    connection.post(&ask("sim-small?ttft=1ms&tps=100000", json!({}))).await;
    assert_eq!(connection.reply().await.1["object"], "chat.completion");
    let streamed = ask("sim-small?ttft=1ms&tps=100000", json!({"stream": true}));
    connection.post(&streamed).await;
    let head = connection.read("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200") && head.to_lowercase().contains("text/event-stream"), "{head}");
    let (frames, complete) = unchunk(&connection.read("\r\n0\r\n\r\n").await);
    assert!(complete);
    assert_eq!(frames, Reply::to(&request(&streamed), 0).frames(false).collect::<String>());
    connection.client.write_all(b"PUT /v1/chat/completions HTTP/1.1\r\nhost: sim\r\n\r\n").await.unwrap();
    assert_eq!(connection.reply().await.1["error"]["code"], "unknown_url");
    connection.client.shutdown().await.unwrap();
    connection.server.await.unwrap();
}

#[tokio::test]
async fn bad_requests_are_told_why() {
    let app = Arc::default();
    for (body, status, what) in [
        (json!(7), "400", "model"),
        (json!({"model": "sim-small"}), "400", "messages"),
        (json!({"model": "gpt-4o", "messages": [{}]}), "404", "gpt-4o"),
        (json!({"model": "sim-small?tpps=5", "messages": [{}]}), "400", "tpps=5"),
    ] {
        let (head, body) = talk(&app, &body).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{head}");
        assert!(body["error"]["message"].as_str().unwrap().contains(what), "{body}");
        assert_eq!(body["error"].as_object().unwrap().len(), 4);
    }
}

#[tokio::test]
async fn failures_come_with_status_code_and_headers() {
    let app = Arc::default();
    let (head, body) = talk(&app, &ask("sim-small?status=429&retry_after=2&headroom=0.25", json!({}))).await;
    assert!(head.starts_with("HTTP/1.1 429"), "{head}");
    let head = head.to_lowercase();
    for line in [
        "retry-after: 2\r\n",
        "x-ratelimit-limit-requests: 1000\r\n",
        "x-ratelimit-remaining-requests: 250\r\n",
    ] {
        assert!(head.contains(line), "{head}");
    }
    assert_eq!(body["error"]["code"], "rate_limit_exceeded");
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let (head, _) = talk(&app, &ask("sim-small?error=0.5", json!({}))).await;
        statuses.push(head[9..12].to_owned());
    }
    assert_eq!(statuses, ["200", "500", "200", "500"]);
    let (head, body) = talk(&app, &ask("sim-small?status=200", json!({}))).await;
    assert!(head.starts_with("HTTP/1.1 200") && body["error"]["type"] == "server_error", "{head}{body}");
    let mut connection = connect(&app);
    connection.post(&ask("sim-small?status=200", json!({"stream": true}))).await;
    connection.read("\r\n\r\n").await;
    let (frames, complete) = unchunk(&connection.read("\r\n0\r\n\r\n").await);
    assert!(complete && frames.starts_with(r#"data: {"error":{"#) && !frames.contains("[DONE]"), "{frames}");
}

#[tokio::test]
async fn a_cut_drops_the_connection_where_it_was_asked_to() {
    let app = Arc::default();
    let cut = async |model: &str, stream: bool| {
        let mut connection = connect(&app);
        connection.post(&ask(model, json!({"stream": stream}))).await;
        let text = connection.read("").await;
        connection.server.await.unwrap();
        text
    };
    assert_eq!(cut("sim-small?cut=headers", true).await, "");
    let text = cut("sim-small?cut=5", true).await;
    let (frames, complete) = unchunk(text.split_once("\r\n\r\n").unwrap().1);
    assert!(!complete && frames.matches("data: ").count() == 5, "{frames}");
    let text = cut("sim-small?cut=body", true).await;
    assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("\r\n\r\n"), "{text}");
    let text = cut("sim-small?cut=1", false).await;
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.to_lowercase().contains("content-length"), "{head}");
    assert!(!body.is_empty() && serde_json::from_str::<Value>(body).is_err(), "half a body: {body}");
}

#[tokio::test]
async fn a_hang_lasts_until_the_client_goes_or_the_server_stops() {
    let app = Arc::default();
    for (model, stream, mark) in [
        ("sim-small?hang=headers", true, None),
        ("sim-small?hang=body", true, Some("\r\n\r\n")),
        ("sim-small?hang=3", true, Some(" says:\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n\r\n")),
        ("sim-small?hang=body", false, Some("\r\n\r\n")),
    ] {
        for stops in [false, true] {
            let mut connection = connect(&app);
            connection.post(&ask(model, json!({"stream": stream}))).await;
            if let Some(mark) = mark {
                let text = connection.read(mark).await;
                assert!(text.ends_with(mark), "{model}: {text}");
            }
            let Connection { client, server, stop } = connection;
            if stops {
                stop.send(true).unwrap();
                server.await.unwrap();
            } else {
                drop(client);
                server.await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_wait_ends_with_its_client() {
    let mut connection = connect(&Arc::default());
    connection.post(&ask("sim-small?ttft=600s", json!({}))).await;
    drop(connection.client);
    connection.server.await.unwrap();
}

#[tokio::test]
async fn cached_input_by_share_and_by_prefix() {
    let app = Arc::default();
    let cached = async |model: &str, turns: usize| {
        let turn =
            |i: usize| json!({"role": "user", "content": format!("turn {i} with some more words in it")});
        let body = json!({"model": model, "messages": (0..turns).map(turn).collect::<Vec<_>>()});
        let usage = talk(&app, &body).await.1["usage"].clone();
        let figure = |value: &Value| value.as_u64().unwrap();
        (figure(&usage["prompt_tokens"]), figure(&usage["prompt_tokens_details"]["cached_tokens"]))
    };
    assert_eq!(cached("sim-small", 2).await, (24, 0));
    assert_eq!(cached("sim-small?cached=0.5", 2).await, (24, 12));
    assert_eq!(cached("sim-small?cached=prefix", 2).await, (24, 0));
    assert_eq!(cached("sim-small?cached=prefix", 3).await, (36, 24));
    assert_eq!(cached("sim-small?cached=prefix", 3).await, (36, 36));
    assert_eq!(
        cached("sim-small", 3).await,
        (36, 0),
        "off unless asked for: money in tests has to be the same"
    );
}
