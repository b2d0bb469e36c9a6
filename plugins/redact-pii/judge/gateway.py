"""A gateway around our scan, no more than pii-leak-benchmark needs: it puts tokens in place of values in requests, takes values out
of replies and puts the caller's own back. It judges the detector alone; `make bench` points `run` at Weir itself.
"""
import argparse
import http.server
import itertools
import json
import secrets
import subprocess
import threading
import urllib.request

# Their values are names that the protocol knows.
STRUCTURE = {"model", "name", "role", "type", "object", "id", "finish_reason"}


class Scan:
    """The scan in a process of its own; one question at a time."""

    def __init__(self, binary):
        self.process = subprocess.Popen([binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.lock = threading.Lock()
        self.streams = itertools.count(1)

    def ask(self, **question):
        with self.lock:
            self.process.stdin.write(json.dumps(question).encode() + b"\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())


class Vault:
    """The tokens of one exchange."""

    def __init__(self):
        self.nonce = secrets.token_hex(3)
        self.tokens = {}
        self.values = {}

    def token(self, name, value):
        if value not in self.values:
            token = f"[{name.upper()}-{len(self.tokens) + 1}-{self.nonce}]"
            self.values[value] = token
            self.tokens[token] = value
        return self.values[value]

    def restore(self, text):
        for token, value in self.tokens.items():
            text = text.replace(token, value)
        return text

    def held(self, text):
        """How much of the end may be the beginning of a token."""
        longest = max(map(len, self.tokens), default=0)
        for length in range(min(longest - 1, len(text)), 0, -1):
            if any(token.startswith(text[-length:]) for token in self.tokens):
                return length
        return 0


def replaced(raw, answer, put):
    """The decided bytes of a window with something in place of each value."""
    out, at = b"", 0
    for name, start, end, continues in answer["spans"]:
        out += raw[at:start] + (b"" if continues else put(name, raw[start:end].decode()).encode())
        at = end
    return (out + raw[at:answer["decided"]]).decode()


class Lane:
    """One string of a streamed reply, by the path of its key."""

    def __init__(self, scan, vault):
        self.scan, self.vault, self.id = scan, vault, next(scan.streams)
        self.window, self.tail = b"", ""

    def feed(self, text, last=False):
        self.window += text.encode()
        answer = self.scan.ask(text=self.window.decode(), stream=self.id, last=last)
        self.tail += replaced(self.window, answer, lambda name, _: f"[{name}]")
        self.window = self.window[answer["decided"]:]
        held = 0 if last else self.vault.held(self.tail)
        free, self.tail = self.tail[: len(self.tail) - held], self.tail[len(self.tail) - held:]
        return self.vault.restore(free)


def walk(node, change, path=()):
    """A JSON value with every string that is content changed."""
    if isinstance(node, dict):
        return {key: value if key in STRUCTURE else walk(value, change, (*path, key)) for key, value in node.items()}
    if isinstance(node, list):
        return [walk(value, change, (*path, place)) for place, value in enumerate(node)]
    return change(path, node) if isinstance(node, str) else node


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    scan = upstream = None

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        vault = Vault()
        masked = walk(body, lambda _, text: self.whole(text, vault.token))
        request = urllib.request.Request(self.upstream + self.path, json.dumps(masked).encode(), {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as reply:
            kind = reply.headers.get("content-type", "")
            out = self.stream(reply, vault) if "event-stream" in kind else self.complete(reply, vault)
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(out)))
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(out)
        self.close_connection = True

    def whole(self, text, put):
        return replaced(text.encode(), self.scan.ask(text=text), put)

    def complete(self, reply, vault):
        clean = walk(json.load(reply), lambda _, text: vault.restore(self.whole(text, lambda name, _: f"[{name}]")))
        return json.dumps(clean).encode()

    def stream(self, reply, vault):
        lanes, events, last = {}, [], None
        for line in reply.read().decode().splitlines():
            if not line.startswith("data: ") or line == "data: [DONE]":
                continue
            last = json.loads(line[6:])
            events.append(walk(last, lambda path, text: lanes.setdefault(path, Lane(self.scan, vault)).feed(text)))
        if last is not None:
            events.append(walk(last, lambda path, _: lanes.pop(path).feed("", last=True) if path in lanes else ""))
        # A lane that the last event does not have ends in an event of its own.
        for path, lane in lanes.items():
            events.append({"choices": [{"delta": {path[-1]: lane.feed("", last=True)}}]})
        return "".join(f"data: {json.dumps(event)}\n\n" for event in events).encode() + b"data: [DONE]\n\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--scan", required=True, help="the example redact_stdio, built")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True, help="without /v1")
    options = parser.parse_args()
    Handler.scan, Handler.upstream = Scan(options.scan), options.upstream
    http.server.ThreadingHTTPServer(("127.0.0.1", options.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
