"""The scripted provider's HTTP: routes, faults on the wire, and a record of what came."""

import http.server
import json
import re
import select
import socket
import sys
import threading
import time
import urllib.parse
from dataclasses import dataclass, field

from . import anthropic, chat, gemini, openai_common, other, responses, scripts
from .refusal import Refused

HTML = b"<html><head><title>502 Bad Gateway</title></head><body><center>nginx</center></body></html>"


class OpenAi:
    """What both of OpenAI's dialects share beyond bodies."""
    authenticate = staticmethod(openai_common.authenticate)
    envelope = staticmethod(openai_common.envelope)
    scripted = staticmethod(openai_common.scripted)
    error_headers = staticmethod(openai_common.error_headers)


@dataclass
class Request:
    """What arrived, and what became of it."""
    dialect: str
    path: str
    query: dict
    headers: dict
    body: bytes
    json: object = None
    seen: object = None
    # The text of the refusal, if it was refused.
    refused: str = None
    # Set once the reply has been written whole, or the client has left before that.
    done: threading.Event = field(default_factory=threading.Event)
    gone: threading.Event = field(default_factory=threading.Event)
    began: float = field(default_factory=time.monotonic)


DIALECTS = {"openai-chat": chat, "openai-responses": responses, "anthropic": anthropic, "gemini": gemini}


class Upstream:
    """All providers at once, on a port of its own."""

    def __init__(self, key="sk-upstream-secret", port=0):
        self.key, self.requests = key, []
        # What callers of Responses asked to keep: conversations by reply, items by id.
        self.kept, self.items = {}, {}
        handler = type("Handler", (Handler,), {"upstream": self})
        self.server = Server(("127.0.0.1", port), handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    @property
    def origin(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def base_url(self, dialect):
        return self.origin + {"openai-chat": "/openai/v1", "openai-responses": "/openai/v1", "anthropic": "/anthropic", "gemini": "/gemini"}[dialect]

    @property
    def last(self):
        return self.requests[-1]

    def reset(self):
        self.requests.clear()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        """A client that leaves is what some tests are about; everything else is a fault of this file."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    upstream: Upstream

    def do_POST(self):
        url = urllib.parse.urlsplit(self.path)
        body = self.read_body()
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request("", url.path, dict(urllib.parse.parse_qsl(url.query)), headers, body)
        self.upstream.requests.append(request)
        try:
            self.route(request)
        except (BrokenPipeError, ConnectionResetError):
            request.gone.set()
            self.close_connection = True
        finally:
            request.done.set()

    def do_GET(self):
        self.send(404, {}, b'{"error":{"message":"not found"}}')

    def read_body(self):
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def route(self, request):
        path = request.path.rstrip("/")
        if path.startswith("/openai/v1/"):
            name = path.removeprefix("/openai/v1/")
            dialect = {"chat/completions": "openai-chat", "responses": "openai-responses"}.get(name)
            if dialect:
                self.converse(request, dialect, OpenAi)
            else:
                self.serve_other(request, name)
        elif path in ("/anthropic/v1/messages", "/anthropic/v1/messages/count_tokens"):
            self.converse(request, "anthropic", anthropic, counts=path.endswith("count_tokens"))
        elif found := re.fullmatch(r"/gemini/(?:v1|v1beta)/models/([^:/]+):(\w+)", urllib.parse.unquote(path)):
            self.google(request, *found.groups())
        else:
            self.send(404, {}, b'{"error":{"message":"no such path","type":"invalid_request_error","param":null,"code":null}}')

    def serve_other(self, request, name):
        request.dialect = "openai"
        try:
            openai_common.authenticate(request.headers, self.upstream.key)
            request.json = json.loads(request.body) if name in other.SHAPES else None
            model = (request.json or {}).get("model", "")
            if status := scripts.status_of(model):
                raise openai_common.scripted(status)
            if name not in other.SHAPES and name != "audio/transcriptions":
                raise Refused(f"Invalid URL (POST /v1/{name})", 404)
            mime, body = other.answer(name, request)
        except Refused as refused:
            self.refuse(request, refused, OpenAi)
            return
        self.send(200, {"content-type": mime, "x-request-id": "req_upstream_openai"}, body)

    def google(self, request, model, verb):
        if verb not in ("generateContent", "streamGenerateContent", "countTokens"):
            self.send(404, {}, b'{"error":{"code":404,"message":"Method not found.","status":"NOT_FOUND"}}')
            return
        streams = verb == "streamGenerateContent"
        self.converse(request, "gemini", gemini, counts=verb == "countTokens", model=model, streams=streams)

    def converse(self, request, dialect, envelope, counts=False, **extra):
        """A request that a model answers."""
        request.dialect = dialect
        try:
            envelope.authenticate(request.headers, self.upstream.key)
            request.json = self.parsed(request)
            model = extra.get("model") or str(request.json.get("model", ""))
            if status := scripts.status_of(model):
                raise envelope.scripted(status)
            if counts and dialect == "gemini":
                self.count_google(request, extra)
                return
            more = {"counts": counts} if dialect == "anthropic" else extra
            request.seen = DIALECTS[dialect].read(request.json, request.headers, self.upstream, **more)
        except Refused as refused:
            self.refuse(request, refused, envelope)
            return
        if counts:
            self.send_json({"input_tokens": 11 + len(request.body) // 4})
            return
        self.answer(request, dialect, envelope)

    def count_google(self, request, extra):
        inner = request.json.get("generateContentRequest", request.json)
        inner = {key: value for key, value in inner.items() if key != "model"}
        request.seen = gemini.read(inner, request.headers, self.upstream, model=extra["model"])
        self.send_json({"totalTokens": 11 + len(request.body) // 4, "promptTokensDetails": []})

    def parsed(self, request):
        try:
            body = json.loads(request.body)
        except ValueError:
            body = None
        if not request.headers.get("content-type", "").startswith("application/json") or not isinstance(body, dict):
            raise Refused("We could not parse the JSON body of your request.")
        return body

    def refuse(self, request, refused, envelope):
        request.refused = refused.message
        headers = {"content-type": "application/json"} | envelope.error_headers(refused.status)
        self.send(refused.status, headers, json.dumps(envelope.envelope(refused)).encode())

    def answer(self, request, dialect, envelope):
        seen, module = request.seen, DIALECTS[dialect]
        made = scripts.plan(seen)
        if made.fault == "html":
            self.send(502, {"content-type": "text/html"}, HTML)
            return
        headers = {name: value for name, value in envelope.error_headers(200).items()}
        if not seen.stream:
            self.answer_whole(request, made, module, headers)
            return
        frames = list(module.stream(made, seen))
        if dialect == "openai-responses":
            responses.keep(request.json, responses.write(made, seen), self.upstream)
        if dialect == "gemini" and request.query.get("alt") != "sse":
            # Without it this provider streams one array.
            self.send_json(module.write(made, seen))
            return
        error = envelope.envelope(Refused("The server had an error in the middle.", 529 if dialect == "anthropic" else 503, code="server_error"))
        self.stream(request, made, faulty(frames, made.fault, lambda n: module.error_frame(error, n)), headers)

    def answer_whole(self, request, made, module, headers):
        if made.pause and not self.wait(request, 10):
            return
        reply = module.write(made, request.seen)
        if module is responses:
            responses.keep(request.json, reply, self.upstream)
        body = json.dumps(reply, ensure_ascii=made.fault != "utf8").encode()
        if made.fault == "junk":
            body = b"not json at all"
        if made.fault in ("cut", "reset"):
            body = body[:len(body) // 2]
        if made.fault == "error-mid" or made.fault == "error-start":
            self.refuse(request, Refused("The server had an error.", 503 if module is not anthropic else 529), anthropic if module is anthropic
                        else gemini if module is gemini else OpenAi)
            return
        self.send(200, {"content-type": "application/json"} | headers, body)

    def stream(self, request, made, chunks, headers):
        self.send_response(200)
        for name, value in ({"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"} | headers).items():
            self.send_header(name, value)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for number, chunk in enumerate(chunks):
            pause = made.pause or (0.05 if made.fault in ("error-mid", "cut", "reset") and number else 0)
            if pause and not self.wait(request, pause):
                return
            self.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
            self.wfile.flush()
        if made.fault == "reset":
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        self.wfile.write(b"0\r\n\r\n")

    def wait(self, request, seconds):
        """Waits; `False` if the client has left meanwhile."""
        readable, _, _ = select.select([self.connection], [], [], seconds)
        if not readable:
            return True
        try:
            left = not self.connection.recv(1, socket.MSG_PEEK)
        except OSError:
            left = True
        if left:
            request.gone.set()
            self.close_connection = True
        return not left

    def send_json(self, payload):
        self.send(200, {"content-type": "application/json"}, json.dumps(payload).encode())

    def send(self, status, headers, body):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def faulty(frames, fault, error_frame):
    """The chunks of a stream, with its script's fault in them."""
    half = len(frames) // 2
    if fault == "error-mid":
        return [*frames[:half], error_frame(half)]
    if fault == "error-start":
        return [error_frame(0)]
    if fault in ("cut", "reset"):
        return frames[:half]
    if fault == "junk":
        return [*frames[:half], b"data: {\"broken\": \n\n"]
    if fault == "utf8":
        return odd(frames)
    return frames


def odd(frames):
    """The same stream as another server might write it: CRLF, comments, no space after `data:`, cut at every seventh byte."""
    text = b"".join(frames).replace(b"\r\n", b"\n").replace(b"data: ", b"data:").replace(b"\n\n", b"\n: keep-alive\n\n")
    text = b": hello\n\n" + text.replace(b"\n", b"\r\n")
    return [text[at:at + 7] for at in range(0, len(text), 7)]
