//! A complete Response as a stream, item by item: for replies that hold what no event of ours tells piece by piece.

use super::wire::{list, raw};
use crate::json::{Json, Writer};
use bytes::Bytes;

/// The frames: the response begins, each item comes whole, the response ends. Empty if the body is no Response.
#[must_use]
pub fn replay(body: &Bytes) -> Vec<Bytes> {
    let Ok(json) = Json::parse_lenient(body.clone()) else { return Vec::new() };
    let root = json.root();
    let mut frames = Vec::new();
    let mut frame = |kind: &str, fill: &dyn Fn(&mut Writer)| {
        let mut event = Writer::with_capacity(256);
        event.begin_object().text("type", kind).key("sequence_number").number(frames.len() as u64);
        fill(&mut event);
        event.end_object();
        frames.push(Bytes::from(format!("event: {kind}\ndata: {}\n\n", one_line(&event.into_text()))));
    };
    let begun = begun(&json);
    for kind in ["response.created", "response.in_progress"] {
        frame(kind, &|event| {
            event.key("response").raw(&begun);
        });
    }
    for (index, item) in (0u64..).zip(list(root, "output")) {
        for kind in ["response.output_item.added", "response.output_item.done"] {
            frame(kind, &|event| {
                event.key("output_index").number(index).key("item").raw(&raw(item));
            });
        }
    }
    let ended = match root.get("status").and_then(|status| status.as_str()).as_deref() {
        Some("incomplete") => "response.incomplete",
        _ => "response.completed",
    };
    frame(ended, &|event| {
        event.key("response").raw(&raw(root));
    });
    frames
}

/// The response before anything of it was made.
fn begun(json: &Json) -> String {
    let mut response = Writer::with_capacity(512);
    response.begin_object();
    for (key, value) in json.root().members() {
        match key.as_ref() {
            "status" => response.text("status", "in_progress"),
            "output" => response.key("output").begin_array().end_array(),
            "usage" | "completed_at" | "incomplete_details" => response.key(&key).null(),
            _ => response.key(&key).raw(&raw(value)),
        };
    }
    response.end_object();
    response.into_text()
}

/// Line breaks between the values of a pretty-printed body become spaces; inside strings there are none.
fn one_line(json: &str) -> String {
    json.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_that_have_no_deltas_are_not_lost() {
        let body = Bytes::from_static(
            br#"{"id":"resp_1","status":"completed","output":[{"type":"web_search_call","id":"ws_1"},{"type":"message","id":"msg_1"}],
                "usage":{"input_tokens":1}}"#,
        );
        let text = String::from_utf8(replay(&body).concat()).unwrap();
        let events: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
        let item = ["response.output_item.added", "response.output_item.done"];
        assert_eq!(
            events,
            [&["response.created", "response.in_progress"], &item[..], &item, &["response.completed"]]
                .concat()
        );
        assert!(text.contains(r#""sequence_number":6"#) && text.contains("ws_1"));
        assert!(replay(&Bytes::from_static(b"x")).is_empty());
    }
}
