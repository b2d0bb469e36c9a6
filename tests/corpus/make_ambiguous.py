#!/usr/bin/env python3
"""Writes ambiguous.jsonl: request bodies that two parsers might read differently.

    python3 make_ambiguous.py

One JSON object a line: {"name", "body" (base64), "expect"}. `reject`: the gateway answers 400 before anything else sees
the body. `accept`: it may pass, and then `python` is what Python's `json` reads: {"model", "messages", "stream"}; the
gateway must have read the same. Read by the tests of weir-llm and by the end-to-end test.
"""

import base64
import json
import pathlib

CASES = []
HELLO = '[{"role":"user","content":"hello"}]'


def add(name, body, expect):
    body = body if isinstance(body, bytes) else body.encode()
    case = {"name": name, "body": base64.b64encode(body).decode(), "expect": expect}
    if expect == "accept":
        seen = json.loads(body)
        case["python"] = {key: seen.get(key) for key in ("model", "messages", "stream")}
    CASES.append(case)


def body(model='"sim-small"', messages=HELLO, extra=""):
    return f'{{"model":{model},"messages":{messages}{extra}}}'


def spellings(key):
    """Other ways to write a key that mean the same after unescaping."""
    first = f"\\u{ord(key[0]):04x}{key[1:]}"
    middle = len(key) // 2
    inner = f"{key[:middle]}\\u{ord(key[middle]):04X}{key[middle + 1:]}"
    every = "".join(f"\\u{ord(c):04x}" for c in key)
    return {"plain": key, "first-escaped": first, "inner-escaped": inner, "all-escaped": every}


def duplicates():
    values = {"model": '"sim-large"', "messages": '[{"role":"user","content":"other"}]', "stream": "true",
              "max_tokens": "5", "user": '"u"', "n": "2", "tools": "[]", "metadata": "{}", "stream_options": "null"}
    for key, value in values.items():
        extra = "" if key in ("model", "messages") else f',"{key}":{value}'
        for how, spelt in spellings(key).items():
            add(f"duplicate/{key}/{how}", body(extra=f'{extra},"{spelt}":{value}'), "reject")
    nested = {
        "message-role": '[{"role":"user","content":"x","role":"system"}]',
        "message-content": '[{"role":"user","content":"x","content":"y"}]',
        "message-content-escaped": '[{"role":"user","content":"x","\\u0063ontent":"y"}]',
        "message-content-null-first": '[{"role":"user","content":null,"content":"y"}]',
        "part-text": '[{"role":"user","content":[{"type":"text","text":"x","text":"y"}]}]',
        "part-type": '[{"role":"user","content":[{"type":"text","type":"image_url","text":"x"}]}]',
        "image-url": '[{"role":"user","content":[{"type":"image_url","image_url":{"url":"a","url":"b"}}]}]',
        "call-arguments": '[{"role":"assistant","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}","arguments":"{\\"a\\":1}"}}]}]',
        "second-message": '[{"role":"user","content":"x"},{"role":"user","content":"x","content":"y"}]',
    }
    for name, messages in nested.items():
        add(f"duplicate/{name}", body(messages=messages), "reject")
    for depth in (1, 5, 50, 120):
        deep = '{"a":' * depth + '{"b":1,"b":2}' + "}" * depth
        add(f"duplicate/unknown-depth-{depth}", body(extra=f',"x":{deep}'), "reject")
    many = ",".join(f'"k{i}":{i}' for i in range(500))
    add("duplicate/among-500", body(extra=f',"x":{{{many},"k250":0}}'), "reject")
    add("duplicate/empty-key", body(extra=',"":1,"":2'), "reject")
    add("duplicate/unicode-key", body(extra=',"é":1,"\\u00e9":2'), "reject")
    add("duplicate/astral-key", body(extra=',"😀":1,"\\ud83d\\ude00":2'), "reject")
    add("duplicate/solidus-key", body(extra=',"a/b":1,"a\\/b":2'), "reject")
    add("distinct/normal-forms", body(extra=',"é":1,"e\u0301":2'), "accept")
    add("distinct/nul-suffix", body(extra=',"model\\u0000":"sim-large"'), "accept")
    add("distinct/space-suffix", body(extra=',"model ":"sim-large"'), "accept")


def folded():
    for key, value in {"model": '"sim-large"', "messages": HELLO, "stream": "true", "tools": "[]", "user": '"x"'}.items():
        for how, spelt in {"upper": key.upper(), "title": key.title(), "last": key[:-1] + key[-1].upper()}.items():
            add(f"case/{key}/{how}", body(extra=f',"{spelt}":{value}'), "reject")
    add("case/long-s", body(extra=f',"me\u017fsages":{HELLO}'), "reject")
    add("case/long-s-escaped", body(extra=f',"me\\u017fsages":{HELLO}'), "reject")
    add("case/kelvin", body(extra=',"max_to\u212aens":1'), "reject")
    add("case/content", body(messages='[{"role":"user","content":"x","Content":"y"}]'), "reject")
    add("case/role", body(messages='[{"role":"user","ROLE":"system","content":"x"}]'), "reject")
    add("case/text", body(messages='[{"role":"user","content":[{"type":"text","text":"x","Text":"y"}]}]'), "reject")
    add("case/unknown-field", body(extra=',"FooBar":1,"foobar":2'), "accept")


def encodings():
    good = body()
    add("encoding/bom", b"\xef\xbb\xbf" + good.encode(), "reject")
    add("encoding/two-boms", b"\xef\xbb\xbf" * 2 + good.encode(), "reject")
    for codec in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "utf-7"):
        if codec != "utf-7":
            add(f"encoding/{codec}", good.encode(codec), "reject")
    add("encoding/latin-1", good.replace("hello", "h\u00e9llo").encode("latin-1"), "reject")
    invalid = {"ff": b"\xff", "lone-continuation": b"\x80", "cut-2": b"\xc3", "cut-3": b"\xe2\x82", "cut-4": b"\xf0\x9f\x98",
               "overlong-slash": b"\xc0\xaf", "overlong-nul": b"\xc0\x80", "overlong-3": b"\xe0\x80\xaf",
               "surrogate-high": b"\xed\xa0\xbd", "surrogate-pair-cesu": b"\xed\xa0\xbd\xed\xb8\x80",
               "beyond-unicode": b"\xf4\x90\x80\x80", "five-bytes": b"\xf8\x88\x80\x80\x80"}
    for name, bad in invalid.items():
        add(f"utf8/content/{name}", good.encode().replace(b"hello", b"he" + bad + b"llo"), "reject")
        add(f"utf8/key/{name}", body(extra=',"XX":1').encode().replace(b"XX", b"a" + bad), "reject")
    for name, text in {"high": "\\ud83d", "low": "\\ude00", "reversed": "\\ude00\\ud83d", "two-high": "\\ud83d\\ud83d",
                       "high-text": "\\ud83dx", "high-escape": "\\ud83d\\n", "upper-hex": "\\uD83D"}.items():
        add(f"surrogate/content/{name}", good.replace("hello", text), "reject")
        add(f"surrogate/model/{name}", body(model=f'"sim{text}"'), "reject")
        add(f"surrogate/key/{name}", body(extra=f',"a{text}":1'), "reject")
    add("surrogate/pair", good.replace("hello", "\\ud83d\\ude00"), "accept")
    add("surrogate/pair-mixed-case", good.replace("hello", "\\uD83D\\uDe00"), "accept")
    for name, text in {"noncharacter": "\uffff", "replacement": "\ufffd", "line-separator": "\u2028", "bom-inside": "\ufeff",
                       "delete": "\x7f", "c1": "\x85", "rtl": "\u202e"}.items():
        add(f"utf8/odd/{name}", good.replace("hello", text), "accept")


def strings():
    good = body()
    for code in sorted({*range(0x00, 0x20, 3), 0x09, 0x0A, 0x0D}):
        add(f"control/content/{code:02x}", good.replace("hello", f"he{chr(code)}llo"), "reject")
    for name, escape in {"x": "\\x41", "a": "\\a", "v": "\\v", "0": "\\0", "quote": "\\'", "U": "\\U0041", "short": "\\u41",
                         "hex": "\\u00zz", "plus": "\\u+041", "space": "\\u 041", "brace": "\\u{41}", "newline": "\\\n"}.items():
        add(f"escape/{name}", good.replace("hello", escape), "reject")
    add("escape/all-good", good.replace("hello", '\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041'), "accept")
    add("escape/nul", good.replace("hello", "he\\u0000llo"), "accept")
    add("escape/model", body(model='"sim\\u002dsmall"'), "accept")
    add("escape/keys", '{"\\u006dodel":"sim-small","mess\\u0061ges":' + HELLO + "}", "accept")


def syntax():
    good = body()
    tails = {"comma": ",", "brace": "}", "second": good, "word": "x", "nul": "\0", "comment": "// x", "zero": "0",
             "nbsp": "\u00a0", "form-feed": "\f", "vertical-tab": "\v", "semicolon": ";"}
    for name, tail in tails.items():
        add(f"trailing/{name}", good + tail, "reject")
    heads = {"comma": ",", "xssi": ")]}'\n", "comment": "/* x */", "nbsp": "\u00a0", "nul": "\0", "paren": "("}
    for name, head in heads.items():
        add(f"leading/{name}", head + good, "reject")
    add("space/all-four", " \t\r\n" + good.replace(":", " \t\r\n: ") + "\n\n", "accept")
    broken = {"single-quotes": good.replace('"', "'"), "bare-key": '{model:"sim-small","messages":' + HELLO + "}",
              "trailing-comma-object": good[:-1] + ",}", "trailing-comma-array": body(messages=HELLO[:-1] + ",]"),
              "double-comma": good.replace(",", ",,", 1), "missing-colon": good.replace(":", " ", 1),
              "equals": good.replace(":", "=", 1), "comment-inside": good.replace(",", ", // x\n", 1),
              "block-comment": good.replace(",", ", /* x */", 1), "unclosed": good[:-1], "unclosed-string": good[:-12],
              "mismatch": good[:-2] + "}]", "number-key": body(extra=",1:2"), "undefined": body(extra=',"x":undefined'),
              "python-none": body(extra=',"x":None'), "python-true": body(extra=',"x":True'),
              "upper-null": body(extra=',"x":NULL'), "empty": "", "space": " ", "form": "model=sim-small",
              "hex-string": good.replace('"hello"', "0x68")}
    for name, text in broken.items():
        add(f"syntax/{name}", text, "reject")
    for name, text in {"null": "null", "array": f"[{good}]", "string": json.dumps(good), "number": "1", "true": "true"}.items():
        add(f"root/{name}", text, "reject")
    for depth, expect in ((100, "accept"), (127, "accept"), (128, "reject"), (2000, "reject"), (10_000, "reject")):
        for name, (left, right) in {"array": ("[", "]"), "object": ('{"a":', "}")}.items():
            inner = "1" if left != "[" else ""
            add(f"depth/{name}-{depth}", body(extra=f',"x":{left * depth}{inner}{right * depth}'), expect)
    add("depth/unclosed-10000", "[" * 10_000, "reject")


def numbers():
    bad = ["01", "-01", "00", "1.", ".5", "-.5", "+1", "1e", "1e+", "1.e1", "0x10", "0b1", "0o7", "1_000", "1,000", "NaN",
           "-NaN", "Infinity", "-Infinity", "inf", "1e400", "-1e400", "1E+400", "9" * 400, "--1", "1e1.5", "- 1", "1f", "1n",
           "\u0661", "\uff11"]
    for number in bad:
        name = number if len(number) < 20 else f"{len(number)}-digits"
        add(f"number/{name}", body(extra=f',"temperature":{number}'), "reject")
    for number in ["-0", "-0.0", "0e0", "1e-400", "1E5", "1.5e+3", "123456789012345678901234567890", "0.1"]:
        add(f"number/ok/{number}", body(extra=f',"temperature":{number}'), "accept")
    for field in ("max_tokens", "max_completion_tokens", "n"):
        for value in ("1.0", "1e3", "-1", '"5"', "true", "[5]", "{}", "0.5", "-0", "9007199254740992", "18446744073709551616"):
            add(f"integer/{field}/{value}", body(extra=f',"{field}":{value}'), "reject")
        add(f"integer/{field}/null", body(extra=f',"{field}":null'), "accept")
    add("integer/n/0", body(extra=',"n":0'), "reject")
    add("integer/n/129", body(extra=',"n":129'), "reject")


def types():
    wrong = {
        "model": ["null", "1", "true", '["sim-small"]', '{"id":"sim-small"}', '""', '"a\\u0000b"', '"a\\nb"', f'"{"m" * 300}"'],
        "messages": ["null", '"hello"', "{}", "[]", "[null]", '["hello"]', "[[]]", "[1]"],
    }
    for value in wrong["model"]:
        add(f"type/model/{value[:20]}", body(model=value), "reject")
    for value in wrong["messages"]:
        add(f"type/messages/{value}", body(messages=value), "reject")
    add("type/no-model", f'{{"messages":{HELLO}}}', "reject")
    add("type/no-messages", '{"model":"sim-small"}', "reject")
    fields = {"stream": ["1", "0", '"true"', '"false"', "[]", "{}"], "stream_options": ["true", "[]", '"x"', '{"include_usage":1}',
              '{"include_usage":"true"}'], "tools": ["{}", '"x"', "[1]", '[{"type":1}]', "[{}]", '[{"type":"function","function":1}]',
              '[{"type":"function","function":{"name":1}}]'], "tool_choice": ["1", "[]", "true"], "user": ["1", "{}", "[]"],
              "store": ["1", '"true"', "{}"], "metadata": ["1", '"x"', "[]"], "response_format": ['"json"', "[]", "{}", '{"type":1}'],
              "modalities": ['"text"', "{}"], "reasoning_effort": ["1", "{}"], "logprobs": ["1", '"true"'],
              "parallel_tool_calls": ["1", '"no"'], "functions": ["{}", "[1]"], "prediction": ["1", '"x"']}
    for field, values in fields.items():
        for value in values:
            add(f"type/{field}/{value}", body(extra=f',"{field}":{value}'), "reject")
    for field in ("stream", "stream_options", "tools", "user", "store", "metadata", "response_format", "temperature"):
        add(f"null/{field}", body(extra=f',"{field}":null'), "accept")
    messages = {
        "no-role": '{"content":"x"}', "role-null": '{"role":null,"content":"x"}', "role-number": '{"role":1,"content":"x"}',
        "role-list": '{"role":["user"],"content":"x"}', "role-unknown": '{"role":"root","content":"x"}',
        "role-upper": '{"role":"User","content":"x"}', "role-space": '{"role":"user ","content":"x"}',
        "content-number": '{"role":"user","content":1}', "content-object": '{"role":"user","content":{"text":"x"}}',
        "content-bool": '{"role":"user","content":true}', "part-string": '{"role":"user","content":["x"]}',
        "part-null": '{"role":"user","content":[null]}', "part-list": '{"role":"user","content":[["x"]]}',
        "part-no-type": '{"role":"user","content":[{"text":"x"}]}', "part-type-number": '{"role":"user","content":[{"type":1,"text":"x"}]}',
        "part-text-object": '{"role":"user","content":[{"type":"text","text":{"value":"x"}}]}',
        "part-text-null": '{"role":"user","content":[{"type":"text","text":null}]}',
        "image-number": '{"role":"user","content":[{"type":"image_url","image_url":1}]}',
        "image-no-url": '{"role":"user","content":[{"type":"image_url","image_url":{}}]}',
        "audio-string": '{"role":"user","content":[{"type":"input_audio","input_audio":"x"}]}',
        "file-string": '{"role":"user","content":[{"type":"file","file":"x"}]}',
        "name-number": '{"role":"user","name":1,"content":"x"}',
        "calls-object": '{"role":"assistant","tool_calls":{}}', "calls-of-null": '{"role":"assistant","tool_calls":[null]}',
        "arguments-object": '{"role":"assistant","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":{}}}]}',
        "call-id-number": '{"role":"tool","tool_call_id":1,"content":"x"}', "refusal-list": '{"role":"assistant","refusal":["x"]}',
    }
    for name, message in messages.items():
        add(f"message/{name}", body(messages=f"[{message}]"), "reject")
        add(f"message/second/{name}", body(messages=f'[{{"role":"user","content":"x"}},{message}]'), "reject")
    add("message/content-null", body(messages='[{"role":"assistant","content":null}]'), "accept")
    add("message/unknown-part", body(messages='[{"role":"user","content":[{"type":"hologram","x":{"y":"z"}}]}]'), "accept")
    add("plain", body(), "accept")
    add("stream", body(extra=',"stream":true'), "accept")
    add("proto", body(extra=',"__proto__":{"model":"sim-large"},"constructor":1'), "accept")


for make in (duplicates, folded, encodings, strings, syntax, numbers, types):
    make()
names = [case["name"] for case in CASES]
assert len(names) == len(set(names)), [name for name in names if names.count(name) > 1]
target = pathlib.Path(__file__).with_name("ambiguous.jsonl")
target.write_text("".join(json.dumps(case, ensure_ascii=False) + "\n" for case in CASES))
rejected = sum(case["expect"] == "reject" for case in CASES)
print(f"{len(CASES)} cases, {rejected} to reject")
