"""A gateway of our own on free ports, and a provider that records what reaches it."""

import http.client
import http.server
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).parents[2]
WEIR = os.environ["WEIR"]
PATIENCE = 20.0
UPSTREAM_KEY = "sk-upstream-secret"

# Neither a proxy nor an account of the person who runs the tests has a place in them.
for name in list(os.environ):
    if name.upper().endswith("_PROXY") or name.startswith(("OPENAI_", "ANTHROPIC_", "GEMINI_", "GOOGLE_")):
        del os.environ[name]


def eventually(probe, what, patience=PATIENCE):
    """Asks until the answer is truthy."""
    end = time.monotonic() + patience
    while True:
        if answer := probe():
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"did not happen within {patience} s: {what}")
        time.sleep(0.02)


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Gateway:
    """`weir serve` in a folder of its own. `config` is what weir.yaml says beside addresses and data folder."""

    def __init__(self, config, files=()):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-sdk-"))
        for name, text in dict(files).items():
            (self.folder / name).write_text(text)
        self.port, self.admin_port = free_ports(2)
        server = {"listen": f"127.0.0.1:{self.port}", "admin": f"127.0.0.1:{self.admin_port}"}
        # JSON is YAML.
        text = json.dumps({"server": server, "data": "data"} | config, indent=2)
        (self.folder / "weir.yaml").write_text(text)
        self.log_path = self.folder / "log"
        environment = os.environ | {"UPSTREAM_KEY": UPSTREAM_KEY}
        environment.pop("WEIR_CONFIG", None)
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [WEIR, "serve", "-c", "weir.yaml"], cwd=self.folder, env=environment,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )
        self.environment, self.keys = environment, []
        try:
            eventually(self.ready, "the gateway is ready")
            self.key = self.make_key("sdk")
        except BaseException:
            self.stop()
            raise

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/v1"

    def ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"weir serve ended with {self.process.returncode}:\n{self.log_path.read_text()}")
        try:
            return self.admin("GET", "/readyz")[0] == 200
        except OSError:
            return False

    def weir(self, *arguments, check=True):
        """A command of the CLI; what it prints."""
        done = subprocess.run(
            [WEIR, *arguments, "-c", "weir.yaml"], cwd=self.folder, env=self.environment,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
        )
        if check and done.returncode:
            raise AssertionError(f"weir {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def make_key(self, name, *options):
        self.keys.append(self.weir("key", "create", name, "-q", *options).strip())
        return self.keys[-1]

    def usage(self, by="model"):
        return {row["name"] or row["group"]: row for row in json.loads(self.weir("usage", "--json", "--by", by))["rows"]}

    def admin(self, method, path):
        """Status and body of an admin request; with the token, where it needs one."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=PATIENCE)
        headers = {}
        if path.startswith("/admin/"):
            headers["authorization"] = "Bearer " + (self.folder / "data/admin.token").read_text().strip()
        try:
            connection.request(method, path, headers=headers)
            response = connection.getresponse()
            body = response.read()
        finally:
            connection.close()
        is_json = response.getheader("content-type", "").startswith("application/json")
        return response.status, json.loads(body) if is_json else body.decode()

    def connection(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def post(self, connection, body, headers=()):
        """A raw chat request on a connection that stays open; the response, already read, as (status, headers, body)."""
        wanted = {"authorization": f"Bearer {self.key}", "content-type": "application/json"} | dict(headers)
        connection.request("POST", "/v1/chat/completions", body=body, headers=wanted)
        response = connection.getresponse()
        return response.status, response.headers, response.read()

    def exchanges(self):
        """Lines of the access log, by request id."""
        lines = [line for line in self.log_path.read_text().splitlines() if line.startswith("{")]
        return {line["request_id"]: line for line in map(json.loads, lines) if line["message"] == "exchange"}

    def finish(self):
        """Ends it; then what holds for every run: a sound ledger, an orderly end, and a log without keys or content."""
        try:
            self.process.terminate()
            status = self.process.wait(PATIENCE)
            assert status == 0, f"weir serve ended with {status}"
            self.weir("ledger", "check")
            log = self.log_path.read_text()
            for secret in (*self.keys, UPSTREAM_KEY, "hello"):
                assert secret not in log, f"{secret!r} stands in the log"
            assert "panicked" not in log, log[log.find("panicked") - 500:]
        finally:
            self.stop()

    def stop(self):
        """Ends it, whatever it is doing, and removes its folder."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Answer:
    """What the scripted provider answers; a list of parts is sent piece by piece, with pauses."""

    def __init__(self, status=200, body=b"", headers=()):
        self.status, self.parts = status, body if isinstance(body, list) else [body]
        self.headers = {"content-type": "application/json"} | dict(headers)

    @property
    def body(self):
        return b"".join(self.parts)

    @classmethod
    def completion(cls, content="scripted", **message):
        reply = {
            "id": "chatcmpl-scripted", "object": "chat.completion", "created": 1, "model": "scripted",
            "choices": [{"index": 0, "finish_reason": "stop", "logprobs": None,
                         "message": {"role": "assistant", "content": content, "refusal": None} | message}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
        }
        return cls(body=json.dumps(reply).encode())

    @classmethod
    def stream(cls, *deltas, usage=True):
        deltas = deltas or ({"role": "assistant", "content": "scripted"},)
        frame = {"id": "chatcmpl-scripted", "object": "chat.completion.chunk", "created": 1, "model": "scripted"}
        chunks = [frame | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
        chunks.append(frame | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        if usage:
            counts = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
            chunks.append(frame | {"choices": [], "usage": counts})
        body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
        return cls(body=body.encode(), headers={"content-type": "text/event-stream"})

    @classmethod
    def error(cls, status, message="no", headers=()):
        error = {"message": message, "type": "rate_limit_error" if status == 429 else "server_error",
                 "param": None, "code": "scripted"}
        return cls(status, json.dumps({"error": error}).encode(), headers)


class Upstream:
    """A provider in this process: records each request, answers from its script, else with something valid."""

    def __init__(self):
        self.requests = []
        self.script = []
        self.times = []
        upstream = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1
            disable_nagle_algorithm = True

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                upstream.requests.append((self.path, self.headers, body))
                upstream.times.append(time.monotonic())
                answer = upstream.script.pop(0) if upstream.script else upstream.usual(body)
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(answer.body)))
                self.end_headers()
                for number, part in enumerate(answer.parts):
                    if number:
                        time.sleep(0.2)
                    self.wfile.write(part)
                    self.wfile.flush()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    @property
    def provider(self):
        """Its entry in weir.yaml."""
        return {"base_url": f"http://127.0.0.1:{self.server.server_address[1]}/v1", "keys": ["${env:UPSTREAM_KEY}"]}

    @staticmethod
    def usual(body):
        try:
            streams = json.loads(body).get("stream") is True
        except (ValueError, AttributeError):
            streams = False
        return Answer.stream() if streams else Answer.completion()

    def reset(self, *script):
        self.requests.clear()
        self.times.clear()
        self.script[:] = script

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
