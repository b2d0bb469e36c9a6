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

    /// What is asked of a model and not among the abilities `self`, of what a request cannot do without: a model that
    /// does not reason or cache answers all the same.
    #[must_use]
    pub const fn lacking(self, asked: Self) -> Self {
        Self {
            tools: asked.tools && !self.tools,
            vision: asked.vision && !self.vision,
            audio_in: asked.audio_in && !self.audio_in,
            audio_out: asked.audio_out && !self.audio_out,
            json_schema: asked.json_schema && !self.json_schema,
            logprobs: asked.logprobs && !self.logprobs,
            reasoning: false,
            prompt_cache: false,
            parallel_tools: false,
        }
    }

    /// Whether nothing is asked.
    #[must_use]
    pub fn is_nothing(self) -> bool {
        self == Self::default()
    }

    /// The names of what is asked, in the order of the WIT.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        const NAMES: [&str; 9] = [
            "tools",
            "vision",
            "audio-in",
            "audio-out",
            "json-schema",
            "reasoning",
            "logprobs",
            "prompt-cache",
            "parallel-tools",
        ];
        let mut needs = self;
        NAMES.into_iter().filter(move |name| needs.flag(name).is_some_and(|flag| *flag))
    }
}
