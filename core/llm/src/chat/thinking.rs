//! Thinking as chat carries it: `reasoning_content` (DeepSeek, vLLM), `reasoning` and, with the proofs,
//! `reasoning_details` (OpenRouter). A message may hold the same thinking in several of them.

use crate::json::{Value, Writer};
use crate::neutral::{By, Seal, Thinking};
use std::borrow::Cow;

/// The names of `format` in `reasoning_details`.
const FORMATS: [(By, &str); 3] = [
    (By::Anthropic, "anthropic-claude-v1"),
    (By::Gemini, "google-gemini-v1"),
    (By::OpenAi, "openai-responses-v1"),
];

/// One entry of `reasoning_details`.
pub(super) struct Detail<'a> {
    /// Text, or a summary of it.
    pub(super) text: Cow<'a, str>,
    /// Its proof.
    pub(super) seal: Option<Seal<'a>>,
    /// Which block it belongs to.
    pub(super) index: Option<u64>,
}

impl<'a> Detail<'a> {
    /// Reads one entry; nothing of a kind that is not thinking.
    pub(super) fn read(entry: Value<'a>) -> Option<Self> {
        let text = |key: &str| entry.get(key).and_then(|value| value.as_str());
        let kind = text("type")?;
        let (shown, proof, hidden) = match kind.as_ref() {
            "reasoning.text" => (text("text"), text("signature"), false),
            "reasoning.summary" => (text("summary"), None, false),
            "reasoning.encrypted" => (None, text("data"), true),
            _ => return None,
        };
        let mut shown = shown.unwrap_or_default();
        let proof = proof.filter(|proof| !proof.is_empty());
        let seal = proof.and_then(|data| match Seal::unwrap(&data) {
            Some((seal, beside)) => {
                if shown.is_empty() {
                    shown = Cow::Owned(beside);
                }
                Some(seal)
            }
            None => Some(Seal { by: maker(&text("format")?)?, data, hidden }),
        });
        Some(Self { text: shown, seal, index: entry.get("index").and_then(|index| index.as_u64()) })
    }
}

/// Whose proof an entry of this format carries. Versions and models behind the maker's name do not matter.
fn maker(format: &str) -> Option<By> {
    let known =
        [(By::Anthropic, "anthropic-"), (By::Gemini, "google-gemini"), (By::OpenAi, "openai-responses")];
    known.iter().find(|(_, prefix)| format.starts_with(prefix)).map(|(by, _)| *by)
}

/// All thinking of a message.
pub(super) fn of_message(message: Value<'_>) -> Vec<Thinking<'_>> {
    let details = message.get("reasoning_details");
    let entries = details.iter().flat_map(|list| list.elements()).filter_map(Detail::read);
    let mut blocks: Vec<(Option<u64>, Thinking<'_>)> = Vec::new();
    let mut texts = false;
    for entry in entries {
        texts |= !entry.text.is_empty();
        join(&mut blocks, entry);
    }
    if !texts && let Some(text) = plain(message) {
        // OpenAI's encrypted form stands beside its summary as one block; the others' are blocks of their own.
        match blocks.first_mut() {
            Some((_, first))
                if first.seal.as_ref().is_some_and(|seal| seal.by == By::OpenAi || !seal.hidden) =>
            {
                first.text = text;
            }
            _ => blocks.insert(0, (None, Thinking { text, seal: None })),
        }
    }
    blocks.into_iter().map(|(_, block)| block).filter(|b| !b.text.is_empty() || b.seal.is_some()).collect()
}

/// Adds an entry: to the last block if it is more of that, else as a block of its own.
fn join<'a>(blocks: &mut Vec<(Option<u64>, Thinking<'a>)>, entry: Detail<'a>) {
    let summed = entry.text.is_empty() && entry.seal.as_ref().is_some_and(|seal| seal.by == By::OpenAi);
    if let Some((index, last)) = blocks.last_mut()
        && last.seal.is_none()
        && (summed || index.is_some() && *index == entry.index)
    {
        last.text.to_mut().push_str(&entry.text);
        last.seal = entry.seal;
        return;
    }
    blocks.push((entry.index, Thinking { text: entry.text, seal: entry.seal }));
}

/// The text of a message's or delta's thinking where no details say more.
pub(super) fn plain(message: Value<'_>) -> Option<Cow<'_, str>> {
    let text = |key: &str| message.get(key).and_then(|value| value.as_str()).filter(|text| !text.is_empty());
    text("reasoning_content").or_else(|| text("reasoning"))
}

/// Writes the entries of one block of thinking; `text` is what the proof proves. Each entry has an index of its own,
/// since OpenAI's SDK merges what has the same when it puts a stream together.
pub(super) fn write_detail(json: &mut Writer, index: &mut u64, text: &str, seal: Option<&Seal<'_>>) {
    let hidden = seal.filter(|seal| seal.hidden);
    let signature = seal.filter(|seal| !seal.hidden);
    if hidden.is_none() {
        entry(json, index, "reasoning.text", ("text", text), seal, |json| {
            json.maybe_text("signature", signature.map(|seal| seal.data.as_ref()));
        });
        return;
    }
    if !text.is_empty() {
        entry(json, index, "reasoning.summary", ("summary", text), seal, |_| {});
    }
    if let Some(hidden) = hidden {
        entry(json, index, "reasoning.encrypted", ("data", &hidden.data), seal, |_| {});
    }
}

fn entry(
    json: &mut Writer,
    index: &mut u64,
    kind: &str,
    (key, value): (&str, &str),
    seal: Option<&Seal<'_>>,
    more: impl FnOnce(&mut Writer),
) {
    json.begin_object().text("type", kind).text(key, value);
    more(json);
    let format = seal.and_then(|seal| FORMATS.iter().find(|(by, _)| *by == seal.by));
    json.maybe_text("format", format.map(|(_, format)| *format)).key("index").number(*index).end_object();
    *index += 1;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Json;

    type Proof = Option<(By, String, bool)>;

    fn read(body: &str) -> Vec<(String, Proof)> {
        let json = Json::parse(body.to_owned().into()).unwrap();
        let blocks = of_message(json.root()).into_iter().map(|block| {
            (block.text.into_owned(), block.seal.map(|seal| (seal.by, seal.data.into_owned(), seal.hidden)))
        });
        blocks.collect()
    }

    fn seal(by: By, data: &str, hidden: bool) -> Proof {
        Some((by, data.into(), hidden))
    }

    #[test]
    fn thinking_that_stands_there_twice_is_read_once() {
        let body = r#"{"reasoning":"hm","reasoning_content":"hm","reasoning_details":[
            {"type":"reasoning.text","text":"hm","signature":"c2ln","format":"anthropic-claude-v1","index":0}]}"#;
        assert_eq!(read(body), [("hm".into(), seal(By::Anthropic, "c2ln", false))]);
        assert_eq!(read(r#"{"reasoning":"a","reasoning_content":"b"}"#), [("b".into(), None)]);
        assert_eq!(read(r#"{"reasoning":"","reasoning_details":[]}"#), []);
    }

    #[test]
    fn proofs_belong_to_their_makers_and_unknown_ones_are_none() {
        let entry = |format: &str| {
            let body = format!(
                r#"{{"reasoning_details":[{{"type":"reasoning.encrypted","data":"x","format":"{format}","index":0}}]}}"#
            );
            read(&body)
        };
        assert_eq!(entry("google-gemini-v1"), [(String::new(), seal(By::Gemini, "x", true))]);
        assert_eq!(entry("anthropic-claude-v2"), [(String::new(), seal(By::Anthropic, "x", true))]);
        assert_eq!(entry("openai-responses-v1"), [(String::new(), seal(By::OpenAi, "x", true))]);
        assert_eq!(entry("xai-responses-v1"), []);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let seals = [
            ("hm", Some(Seal { by: By::Anthropic, data: "s".into(), hidden: false })),
            ("", Some(Seal { by: By::Anthropic, data: "r".into(), hidden: true })),
            ("sum", Some(Seal { by: By::OpenAi, data: "e".into(), hidden: true })),
            ("g", Some(Seal { by: By::Gemini, data: "t".into(), hidden: false })),
        ];
        let mut json = Writer::new();
        json.begin_object().key("reasoning_details").begin_array();
        let mut index = 0;
        for (text, seal) in &seals {
            write_detail(&mut json, &mut index, text, seal.as_ref());
        }
        json.end_array().end_object();
        let want = seals.map(|(text, s)| (text.to_owned(), s.map(|s| (s.by, s.data.into_owned(), s.hidden))));
        assert_eq!(read(&json.into_text()), want);
    }
}
