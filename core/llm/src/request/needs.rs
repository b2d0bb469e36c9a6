//! What a request asks a model to be able to do.

/// A set of abilities; the names are those of the WIT flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(clippy::struct_excessive_bools, missing_docs, reason = "a flag set, each flag named as in the WIT")]
pub struct Needs {
    pub tools: bool,
    pub vision: bool,
    pub audio_in: bool,
    pub audio_out: bool,
    pub json_schema: bool,
    pub reasoning: bool,
    pub logprobs: bool,
    pub prompt_cache: bool,
    pub parallel_tools: bool,
}

impl Needs {
    /// The flag of a name as the WIT writes it (`audio-in`).
    pub fn flag(&mut self, name: &str) -> Option<&mut bool> {
        Some(match name {
            "tools" => &mut self.tools,
            "vision" => &mut self.vision,
            "audio-in" => &mut self.audio_in,
            "audio-out" => &mut self.audio_out,
            "json-schema" => &mut self.json_schema,
            "reasoning" => &mut self.reasoning,
            "logprobs" => &mut self.logprobs,
            "prompt-cache" => &mut self.prompt_cache,
            "parallel-tools" => &mut self.parallel_tools,
            _ => return None,
        })
    }

    /// Whether abilities `self` cover what is asked.
    #[must_use]
    pub const fn cover(self, asked: Self) -> bool {
        (self.tools || !asked.tools)
            && (self.vision || !asked.vision)
            && (self.audio_in || !asked.audio_in)
            && (self.audio_out || !asked.audio_out)
            && (self.json_schema || !asked.json_schema)
            && (self.reasoning || !asked.reasoning)
            && (self.logprobs || !asked.logprobs)
            && (self.prompt_cache || !asked.prompt_cache)
            && (self.parallel_tools || !asked.parallel_tools)
    }
}
