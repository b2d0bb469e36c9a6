"""Records what an SDK and the gateway say to each other, byte for byte."""

import json
from dataclasses import dataclass, field

import httpx2


@dataclass
class Exchange:
    path: str
    sent: bytes
    status: int = 0
    headers: dict = field(default_factory=dict)
    raw: bytearray = field(default_factory=bytearray)

    @property
    def streamed(self):
        return self.headers.get("content-type", "").startswith("text/event-stream")

    def frames(self):
        """The events of a stream as (name, data); comments are left out."""
        found = []
        for frame in self.raw.decode().replace("\r\n", "\n").split("\n\n"):
            lines = [line for line in frame.split("\n") if line and not line.startswith(":")]
            if lines:
                name = [line.removeprefix("event:").strip() for line in lines if line.startswith("event:")]
                data = "\n".join(line.removeprefix("data:").removeprefix(" ") for line in lines if line.startswith("data:"))
                found.append((name[0] if name else None, data))
        return found

    def json(self):
        return json.loads(self.raw)


class Tee(httpx2.SyncByteStream):
    def __init__(self, inner, raw):
        self.inner, self.raw = inner, raw

    def __iter__(self):
        for chunk in self.inner:
            self.raw += chunk
            yield chunk

    def close(self):
        self.inner.close()


class Tape(httpx2.BaseTransport):
    """A transport for the SDKs' `http_client`."""

    def __init__(self):
        self.inner, self.exchanges = httpx2.HTTPTransport(), []

    @property
    def last(self):
        return self.exchanges[-1]

    def handle_request(self, request):
        # What is compressed cannot be read here.
        request.headers["accept-encoding"] = "identity"
        exchange = Exchange(request.url.path, request.read())
        self.exchanges.append(exchange)
        response = self.inner.handle_request(request)
        exchange.status, exchange.headers = response.status_code, {k.lower(): v for k, v in response.headers.items()}
        response.stream = Tee(response.stream, exchange.raw)
        return response

    def close(self):
        self.inner.close()

    def client(self):
        return httpx2.Client(transport=self, timeout=20)
