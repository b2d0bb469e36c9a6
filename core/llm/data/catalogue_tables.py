"""What people decided about the catalogue: its sources, its providers, the models that must not be wrong, and how each
disagreement about them was settled."""

# The day on which somebody looked at the sources and at the tables below. A rebuild of the same pins keeps it.
CHECKED_ON = "2026-11-24"

# name: (registry, package, version, family, licence, data as of, where). Sources of one family repeat one list, so
# they count as one voice. `sha256` is of the data inside, because wheels differ from platform to platform.
SOURCES = {
    "litellm": {"registry": "pypi", "package": "litellm", "version": "1.109.1", "family": "litellm", "license": "MIT"},
    "genai-prices": {
        "registry": "pypi", "package": "genai-prices", "version": "0.2.3", "family": "genai-prices", "license": "MIT",
    },
    "model-prices": {
        "registry": "pypi", "package": "model-prices", "version": "0.0.5", "family": "models.dev", "license": "MIT",
    },
    "pi-ai": {
        "registry": "npm", "package": "@earendil-works/pi-ai", "version": "1.5.2", "family": "models.dev",
        "license": "MIT",
    },
}

# Makers first: where a bare name is asked for, the first provider that has it answers.
# provider: names that others use; litellm's providers and the prefixes to strip; ids in the other lists.
PROVIDERS = {
    "openai": {"litellm": {"openai": ""}, "genai-prices": "openai", "model-prices": "openai", "pi-ai": "openai"},
    "anthropic": {
        "litellm": {"anthropic": ""}, "genai-prices": "anthropic", "model-prices": "anthropic", "pi-ai": "anthropic",
    },
    "gemini": {
        "aliases": ["google"], "litellm": {"gemini": "gemini/"}, "genai-prices": "google", "model-prices": "google",
        "pi-ai": "google",
    },
    "mistral": {
        "litellm": {"mistral": "mistral/"}, "genai-prices": "mistral", "model-prices": "mistral", "pi-ai": "mistral",
    },
    "deepseek": {
        "litellm": {"deepseek": "deepseek/"}, "genai-prices": "deepseek", "model-prices": "deepseek",
        "pi-ai": "deepseek",
    },
    "xai": {
        "aliases": ["x-ai"], "litellm": {"xai": "xai/"}, "genai-prices": "x-ai", "model-prices": "xai", "pi-ai": "xai",
    },
    "cohere": {
        "litellm": {"cohere": "", "cohere_chat": ""}, "genai-prices": "cohere", "model-prices": "cohere",
    },
    "perplexity": {
        "litellm": {"perplexity": "perplexity/"}, "genai-prices": "perplexity", "model-prices": "perplexity",
    },
    "voyage": {"aliases": ["voyageai"], "litellm": {"voyage": "voyage/"}, "genai-prices": "voyageai"},
    "moonshot": {
        "aliases": ["moonshotai"], "litellm": {"moonshot": "moonshot/"}, "genai-prices": "moonshotai",
        "model-prices": "moonshotai", "pi-ai": "moonshotai",
    },
    "zai": {"aliases": ["z-ai"], "litellm": {"zai": "zai/"}, "genai-prices": "zai", "model-prices": "zai", "pi-ai": "zai"},
    "minimax": {
        "litellm": {"minimax": "minimax/"}, "genai-prices": "minimax", "model-prices": "minimax", "pi-ai": "minimax",
    },
    "groq": {"litellm": {"groq": "groq/"}, "genai-prices": "groq", "pi-ai": "groq"},
    "cerebras": {"litellm": {"cerebras": "cerebras/"}, "genai-prices": "cerebras", "pi-ai": "cerebras"},
    "together": {
        "aliases": ["togetherai", "together-ai"], "litellm": {"together_ai": "together_ai/"},
        "genai-prices": "together", "pi-ai": "together",
    },
    "fireworks": {
        "aliases": ["fireworks-ai"],
        "litellm": {"fireworks_ai": "fireworks_ai/", "fireworks_ai-embedding-models": "fireworks_ai/"},
        "genai-prices": "fireworks", "pi-ai": "fireworks",
    },
    "openrouter": {"litellm": {}, "genai-prices": "openrouter", "pi-ai": "openrouter"},
}

# What a provider's own page says of content sent to its API by default, as read from a stored copy of that page.
# A provider that is not here is unknown: no price list says anything about retention.
RETENTION = {
    "openai": {
        "terms": "days-30", "trains": False, "evidence": "https://developers.openai.com/api/docs/guides/your-data",
        "checked_on": "2026-11-24",
        "note": "abuse-monitoring logs; application state such as stored responses is kept longer",
    },
    "groq": {
        "terms": "days-30", "evidence": "https://console.groq.com/docs/your-data", "checked_on": "2026-11-24",
        "note": "not retained by default; logged for at most 30 days to find faults or abuse",
    },
}

# Models about which the sources must agree, or the build fails until RESOLVED says who is right.
WELL_KNOWN = {
    "openai": [
        "gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano", "o1", "o3", "o3-mini", "o3-pro", "o4-mini",
        "gpt-5", "gpt-5-mini", "gpt-5-nano", "gpt-5-pro", "gpt-5-codex", "gpt-5.1", "gpt-5.1-codex", "gpt-5.2",
        "gpt-5.2-pro", "gpt-5.3-codex", "gpt-5.4", "gpt-5.4-mini", "gpt-5.4-nano", "gpt-5.4-pro", "gpt-5.5",
        "gpt-5.5-pro", "gpt-5.6", "gpt-5.6-sol", "gpt-5.6-terra", "gpt-5.6-luna", "gpt-6-astra", "gpt-6-sol",
        "gpt-6-luna", "gpt-6.1-sol", "gpt-6.1-terra", "gpt-audio", "gpt-audio-mini", "gpt-image-1", "gpt-image-1-mini",
        "gpt-image-1.5", "gpt-image-2", "text-embedding-3-large", "text-embedding-3-small", "text-embedding-ada-002",
        "whisper-1", "tts-1", "tts-1-hd", "gpt-4o-mini-tts", "gpt-4o-transcribe", "gpt-4o-mini-transcribe",
    ],
    "anthropic": [
        "claude-haiku-4-5", "claude-haiku-5-5", "claude-sonnet-4-5", "claude-sonnet-4-6", "claude-sonnet-5",
        "claude-sonnet-5-5", "claude-opus-4-5", "claude-opus-4-6", "claude-opus-4-7", "claude-opus-4-8",
        "claude-opus-5", "claude-opus-5-5", "claude-fable-5", "claude-fable-5-1", "claude-mythos-5",
    ],
    "gemini": [
        "gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.5-flash-lite", "gemini-3-flash-preview",
        "gemini-3.1-pro-preview", "gemini-3.1-flash-lite", "gemini-3.5-flash", "gemini-3.5-flash-lite",
        "gemini-3.6-flash", "gemini-3.7-flash", "gemini-3.8-flash", "gemini-4-argon", "gemini-embedding-001",
    ],
    "deepseek": ["deepseek-flash", "deepseek-v4-flash", "deepseek-v4-pro"],
    "mistral": [
        "mistral-large-latest", "mistral-large-2512", "mistral-medium-latest", "mistral-small-latest",
        "codestral-latest", "ministral-8b-latest", "mistral-embed",
    ],
    "xai": ["grok-4.3", "grok-4.5", "grok-4.6", "grok-4.7", "grok-build-0.1"],
    "groq": ["openai/gpt-oss-120b", "openai/gpt-oss-20b"],
    "cohere": ["command-a-03-2025", "command-r-plus-08-2024", "command-r-08-2024"],
    "perplexity": ["sonar", "sonar-pro"],
    "moonshot": ["kimi-k2.6", "kimi-k3"],
    "zai": ["glm-5.2", "glm-5.3"],
}

# (provider/name, slot): (decimal, `none`, or the name of the source that is right; why; where that is written).
# A slot reads `input`, `input over 200000`, `batch input over 200000`, `tier over 200000`.
OPENAI_PAGE = "https://developers.openai.com/api/docs/pricing"
NO_LONG_SONNET = (
    "litellm", "the 1M-token beta ended on 2026-04-30; genai-prices keeps its rates for usage before that",
    "https://platform.claude.com/docs/en/release-notes/overview",
)
TRANSCRIBED_AUDIO = (
    "litellm", "the model's own page prices audio tokens so; genai-prices has an older rate",
    "https://developers.openai.com/api/docs/models/gpt-4o-transcribe.md",
)
OLD_LARGE = ("litellm", "the alias moved to Large 3; genai-prices has Large 2's rates", "https://mistral.ai/pricing/api")
SONAR_CHAT = (
    "litellm", "the rates of the model named `sonar`; models.dev has those of the Agent API's `perplexity/sonar`",
    "https://docs.perplexity.ai/getting-started/pricing",
)
RESOLVED = {
    ("anthropic/claude-sonnet-4-5", "tier over 200000"): NO_LONG_SONNET,
    ("anthropic/claude-sonnet-4-5", "batch tier over 200000"): NO_LONG_SONNET,
    ("gemini/gemini-3.5-flash-lite", "batch input.cached"): (
        "litellm", "the page prints 0.02; models.dev halves 0.03", "https://ai.google.dev/gemini-api/docs/pricing",
    ),
    ("mistral/mistral-large-latest", "input"): OLD_LARGE,
    ("mistral/mistral-large-latest", "output"): OLD_LARGE,
    ("openai/gpt-4o-mini-transcribe", "input.audio"): TRANSCRIBED_AUDIO,
    ("openai/gpt-4o-transcribe", "input.audio"): TRANSCRIBED_AUDIO,
    ("openai/gpt-4o-mini-tts", "output"): (
        "genai-prices", "it puts out audio only, at 12; litellm has a text rate beside it", OPENAI_PAGE,
    ),
    ("openai/gpt-5.4", "batch input.cached"): ("litellm", "the page prints 0.13; models.dev halves 0.25", OPENAI_PAGE),
    ("openai/gpt-5.5-pro", "batch tier over 272000"): (
        "litellm", "the standard rates have the tier in all lists and batch halves them", OPENAI_PAGE,
    ),
    ("perplexity/sonar", "input"): SONAR_CHAT,
    ("perplexity/sonar", "output"): SONAR_CHAT,
}

# Models whose zero is a price although one list alone says so: https://developers.openai.com/api/docs/guides/moderation.
# Names that end in `:free` are such too.
FREE = {"openai": ["omni-moderation-2024-09-26", "omni-moderation-latest"]}

# An ability that no list knows.
LOGPROBS = {
    "openai": ["gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano", "gpt-4-turbo", "gpt-3.5-turbo"],
    "deepseek": ["deepseek-chat"],
}

# Our simulated provider: the prices are invented, shaped like the market's.
SIM = [
    ("sim-fast", 128_000, 16_384, {"input": "0.3", "input.cached": "0.075", "output": "1.2"}),
    ("sim-large", 400_000, 128_000, {"input": "2.5", "input.cached": "0.25", "output": "10"}),
    ("sim-small", 128_000, 16_384, {"input": "0.15", "input.cached": "0.075", "output": "0.6"}),
]
