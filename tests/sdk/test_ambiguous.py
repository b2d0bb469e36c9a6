"""Bodies that two parsers might read differently: each is refused before a provider sees anything, or the provider's own
parser reads what the gateway acted on. The parsers are Python's `json` and, where `node` is there, `JSON.parse`."""

import base64
import json
import pathlib
import shutil
import subprocess
import unittest

import traps
from harness import ROOT, Gateway, Upstream, eventually

CORPUS = ROOT / "tests/corpus/ambiguous.jsonl"
# What our names mean at the provider; no name of one is a name of the other.
NAMES = {traps.MODEL: "provider-small", traps.OTHER: "provider-large"}


def setUpModule():
    global upstream, gateway
    upstream = Upstream()
    unittest.addModuleCleanup(upstream.stop)
    gateway = Gateway({
        "providers": {"scripted": upstream.provider},
        "models": {ours: {"targets": [f"scripted/{theirs}"], "retries": 0} for ours, theirs in NAMES.items()},
        "direct": False,
    })
    unittest.addModuleCleanup(gateway.finish)


class Sent:
    """A body, what the gateway made of it, and what arrived."""

    def __init__(self, name, body, connection):
        before = len(upstream.requests)
        self.name, self.body = name, body
        self.status, self.headers, self.reply = gateway.post(connection, body)
        self.arrived = [got for _, _, got in upstream.requests[before:]]

    @property
    def passed(self):
        return self.status == 200

    def refusal(self):
        """What is wrong with the refusal, if anything is."""
        if self.arrived:
            return f"{self.status}, but the provider got {self.arrived}"
        try:
            error = json.loads(self.reply)["error"]
        except (ValueError, KeyError, TypeError):
            return f"{self.status} without the envelope: {self.reply!r}"
        if set(error) != {"message", "type", "param", "code"} or error["type"] != "invalid_request_error":
            return f"a refusal in the wrong envelope: {error}"
        if not (error["code"] and error["message"] and self.headers["x-request-id"] in error["message"]):
            return f"a refusal that does not say enough: {error}"
        # A name that we do not know is a 404, if it is a name.
        if self.status == 404 and error["code"] == "model_not_found":
            seen = json.loads(self.body)["model"]
            return f"the model {seen!r} is known" if seen in NAMES else None
        return None if self.status == 400 else f"the status is {self.status}"


def readings(bodies):
    """How each parser reads the bodies: name of the parser to a list of values; a Failure if it reads none."""
    found = {"python": [read_python(body) for body in bodies]}
    if node := shutil.which("node"):
        lines = "".join(base64.b64encode(body).decode() + "\n" for body in bodies)
        script = pathlib.Path(__file__).with_name("parse.js")
        done = subprocess.run([node, script], input=lines, capture_output=True, text=True, timeout=60, check=True)
        # A number is a double there, so it is one here; -0 and 0 are equal.
        found["node"] = [json.loads(line, parse_int=float) for line in done.stdout.split("\n")[:-1]]
        found["node"] = [said.get("value", Failure(said.get("error"))) for said in found["node"]]
        assert len(found["node"]) == len(bodies)
    return found


class Failure(str):
    """Why a parser reads nothing."""


def read_python(body):
    try:
        return json.loads(body, parse_int=float)
    except ValueError as error:
        return Failure(error)


class Ambiguous(unittest.TestCase):
    def drive(self, cases):
        """Sends every case and checks what holds for all; the list of what was sent."""
        connection = gateway.connection()
        self.addCleanup(connection.close)
        sent = [Sent(name, body, connection) for name, body in cases]
        wrong = {each.name: why for each in sent if not each.passed and (why := each.refusal())}
        passed = [each for each in sent if each.passed]
        for each in passed:
            if len(each.arrived) != 1:
                wrong[each.name] = f"200, and the provider got {len(each.arrived)} requests"
        passed = [each for each in passed if each.name not in wrong]
        read = readings([each.arrived[0] for each in passed])
        meant = readings([each.body for each in passed])
        ids = {each.headers["x-request-id"] for each in passed}
        log = eventually(lambda: (lines := gateway.exchanges()).keys() >= ids and lines, "all is logged")
        for parser in read:
            for each, value, sent_value in zip(passed, read[parser], meant[parser]):
                if why := self.differs(each, value, sent_value, log.get(each.headers["x-request-id"])):
                    wrong.setdefault(each.name, f"{parser}: {why}")
        self.assertEqual(wrong, {}, f"{len(wrong)} of {len(sent)}")
        return sent

    @staticmethod
    def differs(each, value, meant, log):
        """How what a provider reads differs from what the gateway acted on and from what the caller's own parser reads."""
        if not isinstance(value, dict) or not isinstance(meant, dict):
            return f"reads {value!r:.80} of what arrived and {meant!r:.80} of what was sent"
        if log is None:
            return "it is not in the log"
        target = each.headers["x-weir-target"]
        if target != f"scripted/{value.get('model')}" or NAMES.get(meant.get("model")) != value.get("model"):
            return f"sent for {meant.get('model')!r}, routed to {target}, arrived as {value.get('model')!r}"
        streams = each.headers["content-type"].startswith("text/event-stream")
        if not log["stream"] == streams == (value.get("stream") is True) == (meant.get("stream") is True):
            return f"acted on stream={log['stream']}, arrived as {value.get('stream')!r}"
        # Of a stream the gateway wants usage; beyond that nothing may change.
        ours = {"model"} | ({"stream_options"} if streams else set())
        left, right = ({key: body[key] for key in body if key not in ours} for body in (value, meant))
        if left != right or [*left] != [*right]:
            return f"arrived as {left!r:.300}"
        return None

    def test_the_corpus(self):
        cases = [json.loads(line) for line in CORPUS.read_bytes().splitlines()]
        sent = self.drive([(case["name"], base64.b64decode(case["body"])) for case in cases])
        expected = {case["name"]: case["expect"] for case in cases}
        got = {each.name: "accept" if each.passed else "reject" for each in sent}
        self.assertEqual({name: verdict for name, verdict in got.items() if verdict != expected[name]}, {})
        self.assertGreaterEqual(len({each.body for each in sent if not each.passed}), 200)

    def test_mistakes_at_every_place(self):
        sent = self.drive(traps.all_traps())
        self.assertTrue(sent[-1].passed, "the request without a mistake passes")
        refused = {each.body for each in sent if not each.passed}
        self.assertGreaterEqual(len(refused), 200)
        # What is said twice is refused, wherever it stands.
        self.assertEqual([each.name for each in sent if each.name.startswith("twice/") and each.passed], [])
        # What no strict parser reads is refused.
        passed = [each for each in sent if each.passed]
        for parser, values in readings([each.body for each in passed]).items():
            self.assertEqual([each.name for each, value in zip(passed, values) if isinstance(value, Failure)], [], parser)

    def test_lengths_and_encodings_of_the_transfer(self):
        connection = gateway.connection()
        self.addCleanup(connection.close)
        good = traps.RICH.encode()
        for headers in ({"content-encoding": "gzip"}, {"content-encoding": "br"}, {"content-type": "text/plain; charset=utf-16"}):
            before = len(upstream.requests)
            status, _, reply = gateway.post(connection, good, headers)
            got = [body for _, _, body in upstream.requests[before:]]
            if status == 200:
                # It took the bytes for what they are; then so must the provider, which is told JSON and nothing else.
                self.assertEqual([json.loads(body)["user"] for body in got], ["me"])
                told = upstream.requests[-1][1]
                self.assertEqual((told["content-type"], told["content-encoding"]), ("application/json", None))
            else:
                self.assertEqual((status in (400, 415), got, set(json.loads(reply))), (True, [], {"error"}))


if __name__ == "__main__":
    unittest.main()
