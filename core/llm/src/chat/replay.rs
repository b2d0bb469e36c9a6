//! A complete reply as the stream that would have brought it.

use crate::json::{Json, Kind, Value, quote};
use bytes::Bytes;

/// Members of a reply that every chunk repeats.
const REPEATED: [&str; 5] = ["id", "created", "model", "service_tier", "system_fingerprint"];

/// Members of a choice that have places of their own.
const CHOICE: [&str; 4] = ["index", "message", "logprobs", "finish_reason"];
/// Members of a message that have deltas of their own, in the order in which a model makes them: proofs stand behind the
/// thinking that they prove, citations behind the text that cites.
const IN_ORDER: [&str; 6] =
    ["reasoning_content", "reasoning", "reasoning_details", "content", "refusal", "annotations"];

/// The stream's frames (`data: …` and an empty line), `[DONE]` included: for each choice its role, its text, its calls,
/// then one chunk with the finish reason; last a usage chunk if wished. Values are copied byte for byte; fields of the
/// message that we do not know travel in the first delta, those of the choice in the last. Empty if the reply is no chat
/// completion.
#[must_use]
pub fn replay(reply: &Bytes, include_usage: bool) -> Vec<Bytes> {
    let Ok(json) = Json::parse_lenient(reply.clone()) else { return Vec::new() };
    let root = json.root();
    let Some(choices) = root.get("choices").filter(|choices| choices.kind() == Kind::Array) else {
        return Vec::new();
    };
    let mut frames = Frames::new(root, include_usage);
    for (position, choice) in choices.elements().enumerate() {
        frames.choice(position, choice);
    }
    if include_usage {
        frames.usage(root.get("usage"));
    }
    frames.list.push(Bytes::from_static(b"data: [DONE]\n\n"));
    frames.list
}

struct Frames {
    /// `data: {"id":…,…,"choices":[`
    start: Vec<u8>,
    /// What stands behind the choices.
    end: &'static [u8],
    list: Vec<Bytes>,
}

impl Frames {
    fn new(root: Value<'_>, include_usage: bool) -> Self {
        let mut start = br#"data: {"object":"chat.completion.chunk""#.to_vec();
        for key in REPEATED {
            if let Some(value) = root.get(key) {
                start.push(b',');
                member(&mut start, key, value.raw());
            }
        }
        start.extend_from_slice(br#","choices":["#);
        let end: &[u8] = if include_usage { b"],\"usage\":null}\n\n" } else { b"]}\n\n" };
        Self { start, end, list: Vec::new() }
    }

    fn choice(&mut self, position: usize, choice: Value<'_>) {
        let index = choice
            .get("index")
            .map_or_else(|| position.to_string().into_bytes(), |index| index.raw().to_vec());
        let message = choice.get("message").filter(|message| message.kind() == Kind::Object);
        let logprobs = choice.get("logprobs").filter(|logprobs| !logprobs.is_null());
        self.delta(&index, &opening(message), None, None);
        let texts = IN_ORDER.iter().filter_map(|key| Some((*key, message?.get(key)?)));
        let mut logprobs_due = logprobs;
        for (key, text) in texts.filter(|(_, text)| !is_nothing(*text)) {
            let mut delta = vec![b'{'];
            member(&mut delta, key, text.raw());
            delta.push(b'}');
            let logprobs = if key == "content" { logprobs_due.take() } else { None };
            self.delta(&index, &delta, logprobs, None);
        }
        if let Some(call) = message.and_then(|m| m.get("function_call")).filter(|call| !call.is_null()) {
            let mut delta = vec![b'{'];
            member(&mut delta, "function_call", call.raw());
            delta.push(b'}');
            self.delta(&index, &delta, None, None);
        }
        let calls = message.and_then(|message| message.get("tool_calls"));
        for (number, call) in calls.iter().flat_map(|calls| calls.elements()).enumerate() {
            for delta in call_deltas(number, call) {
                self.delta(&index, &delta, None, None);
            }
        }
        let reason = choice.get("finish_reason").filter(|reason| !reason.is_null());
        let mut ending = reason.map_or(b"\"stop\"".as_slice(), |reason| reason.raw()).to_vec();
        // vLLM's `stop_reason` and the like stand beside it.
        for (key, value) in choice.members().filter(|(key, _)| !CHOICE.contains(&key.as_ref())) {
            ending.push(b',');
            member(&mut ending, &key, value.raw());
        }
        self.delta(&index, b"{}", logprobs_due, Some(&ending));
    }

    fn delta(&mut self, index: &[u8], delta: &[u8], logprobs: Option<Value<'_>>, finish: Option<&[u8]>) {
        let mut frame = self.start.clone();
        frame.extend_from_slice(br#"{"index":"#);
        frame.extend_from_slice(index);
        frame.extend_from_slice(br#","delta":"#);
        frame.extend_from_slice(delta);
        if let Some(logprobs) = logprobs {
            frame.push(b',');
            member(&mut frame, "logprobs", logprobs.raw());
        }
        frame.push(b',');
        member(&mut frame, "finish_reason", finish.unwrap_or(b"null"));
        frame.push(b'}');
        frame.extend_from_slice(self.end);
        self.push(frame);
    }

    fn usage(&mut self, usage: Option<Value<'_>>) {
        let mut frame = self.start.clone();
        frame.extend_from_slice(b"],");
        member(&mut frame, "usage", usage.map_or(b"null", |usage| usage.raw()));
        frame.extend_from_slice(b"}\n\n");
        self.push(frame);
    }

    /// A frame is one `data` line: line breaks between the values of a pretty-printed reply become spaces (inside
    /// strings there are none: JSON escapes them).
    fn push(&mut self, mut frame: Vec<u8>) {
        let body = frame.len() - 2;
        for byte in &mut frame[..body] {
            if matches!(byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
        self.list.push(Bytes::from(frame));
    }
}

/// The first delta: the role, empty content, and what we do not know of the message.
fn opening(message: Option<Value<'_>>) -> Vec<u8> {
    const LATER: [&str; 3] = ["role", "tool_calls", "function_call"];
    let mut delta = br#"{"role":"#.to_vec();
    delta.extend_from_slice(message.and_then(|m| m.get("role")).map_or(b"\"assistant\"", |role| role.raw()));
    let text = message.and_then(|m| m.get("content")).is_some_and(|content| content.kind() == Kind::String);
    delta.extend_from_slice(if text { br#","content":"""# } else { br#","content":null"# });
    for (key, value) in message.iter().flat_map(|message| message.members()) {
        if !LATER.contains(&key.as_ref()) && !IN_ORDER.contains(&key.as_ref()) {
            delta.push(b',');
            member(&mut delta, &key, value.raw());
        }
    }
    delta.push(b'}');
    delta
}

/// Whether there is nothing in it to tell.
fn is_nothing(value: Value<'_>) -> bool {
    let empty = value.kind() == Kind::Array && value.elements().next().is_none();
    value.is_null() || value.is_text("") || empty
}

/// Two deltas of one call: what it is, with empty arguments, then the arguments. A custom tool has free text for them.
fn call_deltas(number: usize, call: Value<'_>) -> [Vec<u8>; 2] {
    let custom = call.get("custom").filter(|custom| custom.kind() == Kind::Object);
    let inner = custom.or_else(|| call.get("function")).filter(|inner| inner.kind() == Kind::Object);
    let (kind, words) = if custom.is_some() { ("custom", "input") } else { ("function", "arguments") };
    let mut head = format!(r#"{{"tool_calls":[{{"index":{number}"#).into_bytes();
    for (key, value) in call.members() {
        if key != kind && key != "index" {
            head.push(b',');
            member(&mut head, &key, value.raw());
        }
    }
    if let Some(inner) = inner {
        head.extend_from_slice(format!(r#","{kind}":{{"#).as_bytes());
        for (key, value) in inner.members() {
            if key != words {
                member(&mut head, &key, value.raw());
                head.push(b',');
            }
        }
        head.extend_from_slice(format!(r#""{words}":""}}"#).as_bytes());
    }
    head.extend_from_slice(b"}]}");
    let arguments = inner.and_then(|inner| inner.get(words)).map_or(&b"\"\""[..], |a| a.raw());
    let mut tail = format!(r#"{{"tool_calls":[{{"index":{number},"{kind}":{{"{words}":"#).into_bytes();
    tail.extend_from_slice(arguments);
    tail.extend_from_slice(b"}}]}");
    [head, tail]
}

fn member(out: &mut Vec<u8>, key: &str, raw: &[u8]) {
    quote(key, out);
    out.push(b':');
    out.extend_from_slice(raw);
}
