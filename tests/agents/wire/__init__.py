"""The four dialects as a provider speaks them: what a request says, what the provider refuses, how an answer looks.

Every module has `PATHS` (of its endpoints), `read(path, headers, body)` and `answer(turn, seen)`. Written from the
providers' published contracts and knowing nothing of Weir, so that neither can repeat the other's mistake.
"""

import dataclasses
import json


@dataclasses.dataclass
class Call:
    """A tool call. `arguments` is an object, or a string for a custom tool."""

    id: str
    name: str
    arguments: object
    namespace: str | None = None


@dataclasses.dataclass
class Result:
    """What came of a call; `id` is None in a dialect without ids."""

    id: str | None
    name: str | None
    text: str
    failed: bool = False        # as far as the dialect can say it


@dataclasses.dataclass
class Tool:
    """A declared tool; `takes` are the names of its arguments. A custom tool takes free text."""

    name: str
    custom: bool = False
    takes: frozenset = frozenset()
    namespace: str | None = None


@dataclasses.dataclass
class Seen:
    """What a request says, and what is wrong with it in the eyes of the provider."""

    model: str
    stream: bool
    tools: list = dataclasses.field(default_factory=list)
    text: str = ""
    calls: list = dataclasses.field(default_factory=list)
    results: list = dataclasses.field(default_factory=list)
    proofs: list = dataclasses.field(default_factory=list)
    images: list = dataclasses.field(default_factory=list)     # base64
    may_think: bool = False
    parallel: bool = True
    encrypted: bool = True  # whether the caller wants the proof of reasoning
    stored: bool = False    # whether the provider keeps what it said
    wrong: list = dataclasses.field(default_factory=list)

    def must(self, holds, complaint):
        if not holds:
            self.wrong.append(complaint)
        return bool(holds)

    def known(self, found, allowed, where):
        """Fields that the provider knows nothing of."""
        for name in sorted(set(found) - set(allowed)):
            self.wrong.append(f"{where}: unknown field {name!r}")


@dataclasses.dataclass
class Turn:
    """What the scripted model says next. `number` makes ids unique over the conversation."""

    number: str
    say: str = ""
    thought: str = ""
    proof: str = ""
    calls: list = dataclasses.field(default_factory=list)


class Refused(Exception):
    """The provider's 4xx."""


def pieces(text, count=3):
    """The text in about `count` parts, so that what is streamed comes in deltas."""
    size = max(1, -(-len(text) // count))
    return [text[start:start + size] for start in range(0, len(text), size)] or [""]


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def sse(events, named=True, last=""):
    """Server-sent events; `named` writes the `event:` line that Anthropic and Responses have."""
    lines = []
    for event in events:
        name = f"event: {event['type']}\n" if named else ""
        lines.append(f"{name}data: {compact(event)}\n\n")
    return ("".join(lines) + last).encode()


def text_of(content):
    """The text in a string or a list of parts, of whatever dialect."""
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        return content.get("text") or ""
    return "\n".join(text_of(part) for part in content or () if isinstance(part, (dict, str)))


def images_of(content):
    """The base64 of the images in a list of parts, of whatever dialect."""
    for part in content if isinstance(content, list) else ():
        if isinstance(url := part.get("image_url"), dict):
            url = url.get("url")
        inline = (part.get("source") or part.get("inlineData") or {}).get("data")
        if url or inline:
            yield inline or url.partition(";base64,")[2]


def parsed(seen, text, where):
    """Arguments as an object."""
    try:
        value = json.loads(text)
    except (TypeError, ValueError):
        value = None
    seen.must(isinstance(value, dict), f"{where}: arguments are no JSON object: {text!r}")
    return value if isinstance(value, dict) else {}
