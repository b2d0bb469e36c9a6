"""Bodies that two parsers might read differently, beside those of tests/corpus: the same mistakes at every place of a
rich request. Each trap is (name, body); whether it may pass is for the gateway to say."""

import json
import random
import re

MODEL = "sim-small"
OTHER = "sim-large"

# Everything that the gateway reads, and strings that look like structure.
RICH = json.dumps({
    "model": MODEL,
    "messages": [
        {"role": "system", "content": "{\"model\":\"sim-large\"}"},
        {"role": "user", "name": "u", "content": [
            {"type": "text", "text": "a \\ \" / , : ] } é 😀"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}},
        ]},
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"stream\":true}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "42"},
    ],
    "stream": False, "max_tokens": 5, "n": 1, "temperature": 0.5, "stop": ["x", "y"], "user": "me",
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}],
    "stream_options": None, "metadata": {"a": "b"}, "x_unknown": [1, {"y": [[], {}]}],
}, ensure_ascii=False, separators=(",", ":"))

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?|true|false|null|[\[\]{},:]')
NOT_JSON = ["//x\n", "/**/", "#x\n", ",", "'", "\0", "\ufeff", "\u00a0", "\x0b", "\\", "`"]
WRONG = ["NaN", "Infinity", "01", "+1", "1.", ".5", "0x1", "1e999", "'x'", '"\\ud800"', '"\\x41"', '"\t"', "True", "undefined",
         "9" * 309, "[1,]", '{"a":1,"a":2}', '{"a":1,"\\u0061":2}', "[" * 200 + "]" * 200]
TYPES = ["null", "true", "0", "-1", "1.5", "1e2", '""', '"1"', "[]", "{}", "[null]", '[""]', "18446744073709551616", '{"a":{}}']


def tokens():
    return [match.span() for match in TOKEN.finditer(RICH)]


def inserted():
    """What is not JSON, between tokens."""
    for number, (start, _) in enumerate(tokens()):
        junk = NOT_JSON[number % len(NOT_JSON)]
        yield f"insert/{number}/{junk!a}", (RICH[:start] + junk + RICH[start:]).encode()


def dropped():
    """One token less."""
    for number, (start, end) in enumerate(tokens()):
        yield f"drop/{number}/{RICH[start:end][:12]!a}", (RICH[:start] + RICH[end:]).encode()


def replaced():
    """A value that no parser should take, or that parsers take differently, in the place of each value."""
    spans = [span for span in tokens() if RICH[span[0]] not in "[]{},:" and RICH[span[1]:span[1] + 1] != ":"]
    for number, (start, end) in enumerate(spans):
        for wrong in (WRONG[number % len(WRONG)], WRONG[(number + 7) % len(WRONG)]):
            yield f"wrong/{number}/{wrong[:16]!a}", (RICH[:start] + wrong + RICH[end:]).encode()


def twice():
    """Each member twice, the second time with another value, plain or escaped, before or after the first."""
    for number, match in enumerate(re.finditer(r'(?<=[{,])"(\w+)":', RICH)):
        key = match[1]
        escaped = f"\\u{ord(key[0]):04x}{key[1:]}"
        for how, spelt in (("plain", key), ("escaped", escaped)):
            yield f"twice/{number}/{key}/{how}", (RICH[:match.start()] + f'"{spelt}":"{OTHER}",' + RICH[match.start():]).encode()


def retyped():
    """Each field that the gateway reads, with values of every type. Some are good: then all must read the same."""
    for key in ("model", "messages", "stream", "max_tokens", "max_completion_tokens", "n", "stop", "temperature",
                "stream_options", "tools", "tool_choice", "user", "response_format", "metadata", "seed"):
        for value in TYPES:
            fields = {"model": f'"{MODEL}"', "messages": '[{"role":"user","content":"x"}]'} | {key: value}
            yield f"type/{key}/{value}", ("{" + ",".join(f'"{k}":{v}' for k, v in fields.items()) + "}").encode()


def folded():
    """Keys that some parsers match without regard to case, or after a transformation."""
    for key, value in (("model", f'"{OTHER}"'), ("messages", "[]"), ("stream", "true"), ("n", "2"), ("max_tokens", "1")):
        for spelt in (key.upper(), key.capitalize(), key + " ", key + "\\u0000", "\\u200b" + key, key[:-1] + "\\u0065\\u0301"):
            yield f"folded/{spelt}", (RICH[:-1] + f',"{spelt}":{value}}}').encode()


def bytewise():
    """One byte of it changed, dropped or doubled; the same ones in each run."""
    source, data = random.Random(20261123), RICH.encode()
    for number in range(150):
        at = source.randrange(len(data))
        how = number % 3
        middle = (bytes([data[at] ^ (1 << source.randrange(8))]), b"", data[at:at + 1] * 2)[how]
        yield f"byte/{number}/{('flip', 'drop', 'double')[how]}/{at}", data[:at] + middle + data[at + 1:]


def framed():
    """The whole in other clothes."""
    data = RICH.encode()
    for codec in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"):
        yield f"frame/{codec}", RICH.encode(codec)
    for name, body in {
        "bom": b"\xef\xbb\xbf" + data, "twice": data + data, "list": b"[" + data + b"]", "lines": data + b"\n" + data,
        "string": json.dumps(RICH).encode(), "empty": b"", "null": b"null", "array": b"[]", "object": b"{}", "zero": b"0",
        "nul-end": data + b"\0", "ctrl-z": data + b"\x1a", "chunk": b"5\r\n" + data, "sse": b"data: " + data,
        "xssi": b")]}',\n" + data, "jsonp": b"f(" + data + b")", "form": b"model=sim-small&stream=true", "record": b"\x1e" + data + b"\n",
        "half": data[: len(data) // 2], "but-last": data[:-1],
    }.items():
        yield f"frame/{name}", body


def all_traps():
    for make in (inserted, dropped, replaced, twice, retyped, folded, bytewise, framed):
        yield from make()
    yield "good", RICH.encode()
