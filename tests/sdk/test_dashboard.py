"""The Grafana dashboard asks for what /metrics has: every query is held against a gateway that has served something of everything."""

import http.server
import importlib.util
import json
import subprocess
import sys
import threading
import unittest

from harness import ROOT, Answer, Gateway, Upstream, eventually

GRAFANA = ROOT / "docs/packaging/grafana"
PRICES = {"input": 1, "output": 2}
SCRIPT = """//! name: {name}
//! version: {version}
//! hooks: [{hook}]
//! on_failure: {otherwise}
{body}
"""
ROUTE = "fn route(head, targets, config) {{ plan(targets.{order}) }}"
FAILS = "fn guard(request, config) { throw \"always\"; }"


def lint():
    spec = importlib.util.spec_from_file_location("lint", GRAFANA / "lint.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Collector:
    """Takes the first message and says no to the rest."""

    def __init__(self):
        answers = iter([200])

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers.get("content-length", 0)))
                self.send_response(next(answers, 400))
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def config(upstream, collector):
    def alias(target, **more):
        return {"targets": [{"target": target, "prices": PRICES}]} | more

    return {
        "providers": {"sim": {"builtin": "sim"}, "up": upstream.provider},
        "models": {
            "good": alias("sim/sim-small"), "kept": alias("sim/sim-small", cache={"ttl": "1h"}),
            "bad": alias("sim/sim-small?error=1"), "pictures": {"targets": ["up/gpt-image-1"]},
        },
        "policies": [{"file": "order.rhai", "grants": ["targets"]}, {"file": "fails.rhai"}],
        "telemetry": {"otlp": {"endpoint": collector.url, "interval": "1s", "logs": True}},
    }


class Dashboard(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lint = lint()
        cls.upstream, cls.collector = Upstream(), Collector()
        cls.addClassCleanup(cls.upstream.stop)
        cls.addClassCleanup(cls.collector.stop)
        cls.gateway = Gateway(config(cls.upstream, cls.collector), files={
            "order.rhai": SCRIPT.format(name="order", version="1.0.0", hook="route", otherwise="static-plan", body=ROUTE.format(order="healthy()")),
            "fails.rhai": SCRIPT.format(name="fails", version="1.0.0", hook="guard", otherwise="open", body=FAILS),
        })
        cls.addClassCleanup(cls.gateway.finish)
        cls.serve_something_of_everything()
        # What is sent and what is lost appear when the collector has said yes and when it has said no.
        cls.metrics = eventually(cls.scraped, "something was sent, and something refused")
        cls.dashboard = json.loads((GRAFANA / "weir.json").read_text())

    @classmethod
    def ask(cls, model, path="/v1/chat/completions", **body):
        connection = cls.gateway.connection()
        said = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 3} if "chat" in path else {}
        connection.request("POST", path, json.dumps({"model": model} | said | body),
                           {"authorization": f"Bearer {cls.gateway.key}", "content-type": "application/json"})
        response = connection.getresponse()
        response.read()
        connection.close()
        return response.status

    @classmethod
    def serve_something_of_everything(cls):
        statuses = [cls.ask("good") for _ in range(8)] + [cls.ask("kept"), cls.ask("kept"), cls.ask("good", stream=True)]
        assert set(statuses) == {200}, statuses
        assert cls.ask("bad") >= 500 and cls.ask("missing") == 404
        cls.upstream.reset(Answer(body=json.dumps({"created": 1, "data": [{"b64_json": "aGk="}]}).encode()))
        assert cls.ask("pictures", "/v1/images/generations", prompt="hello") == 200
        cls.gateway.weir("reload")
        pushed = cls.gateway.folder / "next.rhai"
        pushed.write_text(SCRIPT.format(name="order", version="1.1.0", hook="route", otherwise="static-plan", body=ROUTE.format(order="cheapest()")))
        cls.gateway.weir("policy", "push", "next.rhai", "--yes")
        cls.gateway.weir("policy", "rollback", "order")

    @classmethod
    def scraped(cls):
        cls.ask("good")
        text = cls.gateway.admin("GET", "/metrics")[1]
        return text if all(f"weir_otlp_{each}_total{{" in text for each in ("sent", "dropped")) else None

    def test_every_query_names_what_there_is(self):
        found = list(self.lint.findings(self.dashboard, self.lint.Exposition(self.metrics)))
        self.assertEqual(found, [])

    def test_the_lint_finds_what_is_wrong(self):
        wrong = {
            "sum(rate(weir_request_total{}[5m]))": "no metric `weir_request_total`",
            "sum(rate(weir_requests_total{model=\"x\"}[5m]))": "has no label `model`",
            "sum(rate(weir_attempts_total{class=\"okay\"}[5m]))": "no series with class=\"okay\"",
            "sum by (model) (rate(weir_requests_total{}[5m]))": "groups by `model`",
            "sum(weir_requests_total{})": "without rate",
            "sum(rate(weir_requests_in_flight{}[5m]))": "rate of `weir_requests_in_flight`, a gauge",
            "sum(rate(weir_requests_total{}))": "needs a range",
            "histogram_quantile(0.9, sum(rate(weir_overhead_seconds_bucket{}[5m])))": "no label `le`",
            "topk(3, weir_generation)": "`topk` is not read",
            "sum(rate(weir_requests_total{}[5m])": "is missing",
        }
        for query, words in wrong.items():
            with self.subTest(query):
                self.assertRegex("\n".join(self.found(query)), words.replace("(", r"\("))
        self.assertRegex("\n".join(self.found("sum by (api) (rate(weir_requests_total{}[5m]))", "{{alias}}")), "legend names `alias`")
        self.assertEqual(self.found("sum by (api) (rate(weir_requests_total{}[5m]))", "{{api}}"), [])

    def found(self, query, legend=""):
        panel = {"title": "tried", "targets": [{"expr": query, "legendFormat": legend}]}
        dashboard = {"panels": [panel], "annotations": {"list": []}, "templating": {"list": []}}
        return list(self.lint.findings(dashboard, self.lint.Exposition(self.metrics)))

    def test_the_file_is_what_its_maker_writes(self):
        done = subprocess.run([sys.executable, GRAFANA / "make.py", "--check"], capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_panels_are_whole_and_do_not_overlap(self):
        taken, ids = set(), set()
        for panel in self.dashboard["panels"]:
            place = panel["gridPos"]
            self.assertLessEqual(place["x"] + place["w"], 24, panel["title"])
            cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
            self.assertFalse(cells & taken, panel["title"])
            self.assertNotIn(panel["id"], ids)
            taken |= cells
            ids.add(panel["id"])
            if panel["type"] != "row":
                self.assertTrue(panel["targets"], panel["title"])
