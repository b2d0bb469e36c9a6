"""What the models of the scripted provider say. A script knows no dialect: it looks at what a model gets to see and plans
what it says; each dialect's file reads the one and writes the other.
"""

import base64
import hashlib
import hmac
import json
import re
from dataclasses import dataclass, field

from . import schemas


@dataclass
class Medium:
    mime: str
    size: int
    name: str = ""


@dataclass
class Result:
    """A tool's, as the model sees it."""
    name: str
    text: str
    is_error: bool = False
    media: list = field(default_factory=list)


@dataclass
class Seen:
    """A request, as its model gets to see it."""
    model: str
    stream: bool = False
    system: list = field(default_factory=list)
    # (role, text) of each turn that has any; results stand as ("tool", text).
    turns: list = field(default_factory=list)
    media: list = field(default_factory=list)
    tools: list = field(default_factory=list)
    # Of their arguments, by name.
    schemas: dict = field(default_factory=dict)
    # auto, none, any, or a tool's name.
    choice: str = "auto"
    parallel: bool = True
    # Those that answer the last turn of the model.
    results: list = field(default_factory=list)
    # A schema, or True for any JSON.
    format: object = None
    max_tokens: int = None
    stop: list = field(default_factory=list)
    temperature: float = None
    effort: str = None
    # Whether the model shall think aloud.
    thinks: bool = False
    n: int = 1
    cache_marks: int = 0
    # Of thinking that came back and was found to be ours.
    proofs: list = field(default_factory=list)
    # Of those, how many were the provider's documented stand-ins.
    dummies: int = 0
    include_usage: bool = True

    def digest(self):
        told = {key: getattr(self, key) for key in ("system", "turns", "tools", "choice", "parallel", "max_tokens", "stop",
                                                    "temperature", "effort", "thinks", "n", "cache_marks")}
        return json.dumps(told, ensure_ascii=False)


@dataclass
class Think:
    text: str


@dataclass
class Say:
    text: str


@dataclass
class Call:
    name: str
    # JSON; an empty text if the model gave none.
    arguments: str


@dataclass
class Refuse:
    text: str


@dataclass
class Usage:
    """`input` includes what was read from and written to a cache, `output` what was thought."""
    input: int = 20
    cached: int = 0
    written: int = 0
    output: int = 10
    reasoning: int = 0


@dataclass
class Plan:
    items: list
    # stop, length, stop_sequence, tools, refusal or blocked.
    finish: str = "stop"
    stop_sequence: str = None
    usage: Usage = field(default_factory=Usage)
    # What goes wrong on the wire, and when: see `server.py`.
    fault: str = None
    pause: float = 0.0


CITY, SECOND_CITY = "Zürich", "Oslo"
REASONING = "The user wants to know; so let me see."
REFUSAL = "I can't help with that."
TRUNCATED = '{"city": "Zür'
MULTIBYTE = "Grüße 🦩 " + "日本語のテキスト " * 4 + "👩‍👩‍👧 e\u0301nd\u2028."
FAULTS = ("error-mid", "error-start", "cut", "reset", "html", "utf8", "slow", "junk")
STATUSES = (400, 401, 403, 404, 408, 413, 429, 500, 503, 529)
NAMES = ["echo", "tools", "parallel", "noargs", "json", "vision", "think", "refuse", "length", "stopseq", "cached", "empty",
         "blocked", *FAULTS, *(f"error-{status}" for status in STATUSES)]


def script_of(model):
    """The script of `gpt-4.1-error-429` is `error-429`; a model without one echoes."""
    fitting = [name for name in NAMES if model == name or model.endswith("-" + name)]
    return max(fitting, key=len, default="echo")


def family_of(model):
    return model.removesuffix(script_of(model)).rstrip("-")


def status_of(model):
    """The status that its script answers with before anything else."""
    found = re.fullmatch(r"error-(\d+)", script_of(model))
    return int(found[1]) if found else None


def proof(text, by="thought"):
    """What proves that a thought is ours. It is long, and has what an escape or a re-encoding would change."""
    mac = hmac.new(b"the provider's own", f"{by}\n{text}".encode(), hashlib.sha512).digest()
    return base64.b64encode(mac + mac[::-1] + b"\xff\xfe\xfb").decode()


def plan(seen):
    """What the model says to what it sees."""
    script = script_of(seen.model)
    made = SCRIPTS.get(script, echo)(seen)
    if script in FAULTS:
        made.fault = script
    return made


def echo(seen):
    return Plan([Say(seen.digest())])


def answer(seen):
    """What is said once the tools have answered."""
    quotes = "; ".join(f"{each.name}{' failed' if each.is_error else ''}: {each.text}"
                       + "".join(f" [{medium.mime} {medium.size}]" for medium in each.media) for each in seen.results)
    return Plan([Say(f"The tools say: {quotes}")], usage=Usage(input=60, output=12))


def wanted(seen, usual):
    """The tool that is called: the forced one, else the usual one, else the first."""
    if seen.choice not in ("auto", "any", "none"):
        return seen.choice
    return usual if usual in seen.tools or not seen.tools else seen.tools[0]


def calls(seen, *planned):
    if seen.results:
        return answer(seen)
    if not seen.tools or seen.choice == "none":
        return Plan([Say("There is no tool that I may use.")])
    if not seen.parallel:
        planned = planned[:1]
    made = [Call(wanted(seen, name), arguments) for name, arguments in planned]
    return Plan([Say("Let me look."), *made], "tools", usage=Usage(input=40, output=30))


def weather(city, days=2):
    return "get_weather", json.dumps({"city": city, "days": days}, ensure_ascii=False)


def tools(seen):
    return calls(seen, weather(CITY))


def parallel(seen):
    return calls(seen, weather(CITY), weather(SECOND_CITY, 3), ("get_time", json.dumps({"zone": "Europe/Oslo"})))


def noargs(seen):
    return calls(seen, ("get_time", ""))


def as_json(seen):
    """What fits the format; where a tool is demanded instead, a call of it: some SDKs ask for objects in that way."""
    if not seen.format and seen.tools and seen.choice not in ("auto", "none"):
        name = wanted(seen, "json")
        return Plan([Call(name, json.dumps(schemas.instance(seen.schemas[name]), ensure_ascii=False))], "tools")
    made = schemas.instance(seen.format) if isinstance(seen.format, dict) else {"json": seen.format is True}
    return Plan([Say(json.dumps(made, ensure_ascii=False))])


def vision(seen):
    told = ", ".join(" ".join(filter(None, (each.mime, str(each.size), each.name))) for each in seen.media)
    return Plan([Say(f"I see: {told or 'nothing'}")])


def think(seen):
    made = tools(seen) if seen.tools else Plan([Say("I thought, therefore: 42.")])
    if seen.thinks:
        made.items.insert(0, Think(REASONING + (" Again." if seen.results else "")))
        made.usage = Usage(input=30, output=50, reasoning=30)
    return made


def refuse(_):
    return Plan([Refuse(REFUSAL)], "refusal")


def length(seen):
    if seen.tools and not seen.results:
        return Plan([Call(wanted(seen, "get_weather"), TRUNCATED)], "length")
    return Plan([Say("one two three")], "length", usage=Usage(output=3))


def stopseq(seen):
    if not seen.stop:
        return echo(seen)
    return Plan([Say("Everything until ")], "stop_sequence", stop_sequence=seen.stop[-1])


def cached(_):
    return Plan([Say("That was cheap.")], usage=Usage(input=2048, cached=1024, written=512, output=7))


def slow(_):
    return Plan([Say(" ".join(f"word{number}" for number in range(200)))], pause=0.05)


def empty(_):
    return Plan([], usage=Usage(output=0))


def blocked(_):
    return Plan([], "blocked", usage=Usage(output=0))


def two_words(_):
    return Plan([Say("Some text came, and then more text.")])


def utf8(_):
    return Plan([Say(MULTIBYTE)])


SCRIPTS = {
    "tools": tools, "parallel": parallel, "noargs": noargs, "json": as_json, "vision": vision, "think": think,
    "refuse": refuse, "length": length, "stopseq": stopseq, "cached": cached, "slow": slow, "empty": empty,
    "blocked": blocked, "error-mid": two_words, "cut": two_words, "reset": two_words, "utf8": utf8,
}


def pieces(text, size=7):
    """A text as it streams: cut without regard to words."""
    return [text[at:at + size] for at in range(0, len(text), size)]
