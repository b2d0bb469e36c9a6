//! Tokens. Gemini's counts overlap: the prompt's include what the cache held and every kind of input.

use crate::json::Value;
use crate::usage::Usage;

/// Reads `usageMetadata`. In a stream each one counts all so far.
#[must_use]
pub fn usage(counts: Value<'_>) -> Usage {
    let given = Counts::read(counts);
    // What hosted tools brought goes in as well, and is not part of the prompt's count.
    let all = given.prompt.saturating_add(given.tools);
    let cached = given.cached.min(all);
    let fresh = |name: &str| {
        of_kind(given.prompt_kinds, name).saturating_sub(of_kind(given.cached_kinds, name)).min(all - cached)
    };
    let (input_audio, image) = (fresh("AUDIO"), fresh("IMAGE"));
    let (reasoning, written) = (given.thoughts, given.written);
    // Some endpoints count thoughts among the candidates' tokens; their total tells.
    let includes_thoughts =
        written >= reasoning && reasoning > 0 && given.total == Some(all.saturating_add(written));
    let output = if includes_thoughts { written - reasoning } else { written };
    let output_audio = of_kind(given.written_kinds, "AUDIO").min(output);
    Usage {
        input: all.saturating_sub(cached).saturating_sub(input_audio).saturating_sub(image),
        cached_input: cached,
        output: output - output_audio,
        reasoning,
        input_audio,
        output_audio,
        image,
        ..Usage::default()
    }
}

/// What stands there, found in one pass: every chunk of a stream has it.
#[derive(Default)]
struct Counts<'a> {
    prompt: u64,
    tools: u64,
    cached: u64,
    thoughts: u64,
    written: u64,
    total: Option<u64>,
    prompt_kinds: Option<Value<'a>>,
    cached_kinds: Option<Value<'a>>,
    written_kinds: Option<Value<'a>>,
}

impl<'a> Counts<'a> {
    fn read(counts: Value<'a>) -> Self {
        let mut given = Self::default();
        for (key, value) in counts.members_raw() {
            let count = || value.as_u64().unwrap_or(0);
            match key.raw() {
                b"\"promptTokenCount\"" => given.prompt = count(),
                b"\"toolUsePromptTokenCount\"" => given.tools = count(),
                b"\"cachedContentTokenCount\"" => given.cached = count(),
                b"\"thoughtsTokenCount\"" => given.thoughts = count(),
                b"\"candidatesTokenCount\"" => given.written = count(),
                b"\"totalTokenCount\"" => given.total = value.as_u64(),
                b"\"promptTokensDetails\"" => given.prompt_kinds = Some(value),
                b"\"cacheTokensDetails\"" => given.cached_kinds = Some(value),
                b"\"candidatesTokensDetails\"" => given.written_kinds = Some(value),
                _ => {}
            }
        }
        given
    }
}

/// The tokens of one modality in a list of `{"modality","tokenCount"}`.
fn of_kind(list: Option<Value<'_>>, kind: &str) -> u64 {
    let Some(list) = list else { return 0 };
    let of_kind =
        list.elements().filter(|entry| entry.get("modality").is_some_and(|word| word.is_text(kind)));
    of_kind.filter_map(|entry| entry.get("tokenCount")?.as_u64()).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Json;
    use bytes::Bytes;

    fn read(text: &'static str) -> Usage {
        usage(Json::parse(Bytes::from_static(text.as_bytes())).unwrap().root())
    }

    #[test]
    fn classes_are_disjoint() {
        let all = read(
            r#"{"promptTokenCount":1000,"cachedContentTokenCount":400,"candidatesTokenCount":50,"thoughtsTokenCount":30,
            "toolUsePromptTokenCount":20,"totalTokenCount":1100,"promptTokensDetails":[
            {"modality":"TEXT","tokenCount":600},{"modality":"IMAGE","tokenCount":258},
            {"modality":"AUDIO","tokenCount":142}],"cacheTokensDetails":[{"modality":"AUDIO","tokenCount":42}]}"#,
        );
        let want = Usage {
            input: 262,
            cached_input: 400,
            output: 50,
            reasoning: 30,
            input_audio: 100,
            image: 258,
            ..Usage::default()
        };
        assert_eq!(all, want);
        assert_eq!(all.total_input(), 1020);
    }

    #[test]
    fn thoughts_are_counted_once() {
        let apart =
            r#"{"promptTokenCount":10,"candidatesTokenCount":5,"thoughtsTokenCount":7,"totalTokenCount":22}"#;
        assert_eq!((read(apart).output, read(apart).reasoning), (5, 7));
        let within = r#"{"promptTokenCount":10,"candidatesTokenCount":12,"thoughtsTokenCount":7,"totalTokenCount":22}"#;
        assert_eq!((read(within).output, read(within).reasoning), (5, 7));
        assert_eq!(read("{}"), Usage::default());
    }
}
