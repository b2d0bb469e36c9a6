"""A provider of one dialect on a free port: it answers as its play says and records what reaches it."""

import http.server
import json
import sys
import threading
import time

from wire import Refused, anthropic, chat, gemini, responses

WIRES = {"openai-chat": chat, "openai-responses": responses, "anthropic": anthropic, "gemini": gemini}
BASES = {"openai-chat": "/v1", "openai-responses": "/v1", "anthropic": "/v1", "gemini": "/v1beta"}
PIECE = 61      # bytes per chunk of a body: smaller than most events, and it splits characters too


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Who hangs up is no failure; all else is told."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def serve(handler):
    """A server on a free port of loopback, running."""
    server = Server(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return server


class Quiet(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def body(self):
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def reply(self, status, body, kind="application/json", headers=()):
        self.send_response(status)
        self.send_header("content-type", kind)
        for name, value in headers:
            self.send_header(name, value)
        if kind != "text/event-stream":
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else body)
            return
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for start in range(0, len(body), PIECE):
            part = body[start:start + PIECE]
            self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")


class Upstream:
    """`play` is the conversation that goes on; `key` is what the provider takes as its key, if it cares."""

    def __init__(self, dialect, key=None):
        self.dialect, self.wire, self.key = dialect, WIRES[dialect], key
        self.play, self.exchanges = None, []
        upstream = self

        class Handler(Quiet):
            def do_POST(self):
                upstream.handle(self)

            do_GET = do_HEAD = do_PUT = do_DELETE = do_POST

        self.server = serve(Handler)

    @property
    def origin(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    @property
    def base_url(self):
        return self.origin + BASES[self.dialect]

    def begin(self, play):
        self.play, self.exchanges = play, []

    def handle(self, request):
        raw, path = request.body(), request.path.partition("?")[0]
        exchange = {"at": time.time(), "method": request.command, "target": request.path,
                    "headers": request.headers.items(), "body": decoded(raw)}
        self.exchanges.append(exchange)
        status, body, kind = self.respond(request, path, exchange["body"])
        exchange["status"], exchange["reply"] = status, body.decode()
        request.reply(status, body, kind, [("request-id", "req_scripted"), ("x-request-id", "req_scripted")])

    def respond(self, request, path, body):
        known = self.wire.PATH.fullmatch(path) if self.dialect == "gemini" else path in self.wire.PATHS
        if request.command == "HEAD":
            return 200, b"", "application/json"
        if request.command != "POST" or not known:
            if self.play:
                self.play.note(f"{request.command} {request.path} was answered with 404")
            return 404, self.wire.error(404, "no such endpoint"), "application/json"
        try:
            if not isinstance(body, dict) or not self.play:
                raise Refused("the body is no JSON object, or nobody asked for it")
            seen = self.wire.read(path, request.headers, body)
            self.authorised(seen, request.headers)
            turn = self.play.next(seen)
        except Refused as refused:
            if self.play:
                self.play.check(False, str(refused))
            return 400, self.wire.error(400, str(refused)), "application/json"
        return 200, self.wire.answer(turn, seen), "text/event-stream" if seen.stream else "application/json"

    def authorised(self, seen, headers):
        """Behind a gateway: the provider's key, and nothing of the caller's."""
        if self.key is None:
            return
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        found = {"gemini": headers.get("x-goog-api-key"),
                 "anthropic": headers.get("x-api-key") or bearer}.get(self.dialect, bearer)
        seen.must(found == self.key, "the provider's key is missing")
        if self.dialect != "anthropic":
            seen.must("anthropic-beta" not in headers and "anthropic-version" not in headers,
                      "Anthropic's headers at another provider")

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Nowhere:
    """The proxy for all that is not loopback: it refuses, and remembers who was wanted."""

    def __init__(self):
        self.wanted = []
        wanted = self.wanted

        class Handler(Quiet):
            def do_CONNECT(self):
                wanted.append(self.path)
                self.body()
                self.reply(403, b"")

            do_GET = do_POST = do_HEAD = do_PUT = do_CONNECT

        self.server = serve(Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def decoded(raw):
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode(errors="replace") if raw else None
