"""Every API of the gateway × every dialect of a provider: a scenario is written once and becomes one test a pair."""

import json
import subprocess
import tempfile
import types
import unittest
from dataclasses import dataclass

import callers
import strict
from harness import WEIR, UPSTREAM_KEY, Gateway
from upstream import Upstream, scripts


@dataclass
class Provider:
    """A row of the matrix. `model` and `thinker` are families of models; the script follows."""
    dialect: str
    model: str
    thinker: str
    options: dict = None

    def target(self, name, script):
        return f"{name}/{self.thinker if script in ('think', 'deep') else self.model}-{script}"


PROVIDERS = {
    "chat": Provider("openai-chat", "gpt-4.1", "gpt-5", {"vendor": "openai"}),
    "responses": Provider("openai-responses", "gpt-4.1", "gpt-5"),
    "anthropic": Provider("anthropic", "claude-sonnet-4-5", "claude-sonnet-4-5"),
    "gemini": Provider("gemini", "gemini-2.5-flash", "gemini-3-pro"),
}
GET_WEATHER = callers.Tool("get_weather", "Weather of a city", {
    "type": "object", "additionalProperties": False, "required": ["city", "days"],
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}}})
GET_TIME = callers.Tool("get_time", "The time", {"type": "object", "properties": {"zone": {"type": "string", "default": "UTC"}}})
TOOLS = [GET_WEATHER, GET_TIME]


def accepted(folder, providers):
    """Whether this gateway knows their dialects."""
    path = f"{folder}/weir.yaml"
    with open(path, "w") as file:
        json.dump({"providers": providers}, file)
    return not subprocess.run([WEIR, "check", "-c", path], capture_output=True, timeout=30, env={"UPSTREAM_KEY": UPSTREAM_KEY}).returncode


class World:
    """The provider, the gateway before it, and a caller of each API; one for all tests of a run."""
    upstream = gateway = None
    callers = {}
    known = {}

    @classmethod
    def start(cls):
        cls.upstream = Upstream(UPSTREAM_KEY)
        unittest.addModuleCleanup(cls.upstream.stop)
        entries = {name: {"base_url": cls.upstream.base_url(each.dialect), "dialect": each.dialect, "keys": ["${env:UPSTREAM_KEY}"]}
                   | (each.options or {}) for name, each in PROVIDERS.items()}
        with tempfile.TemporaryDirectory() as folder:
            cls.known = {name: entry for name, entry in entries.items() if accepted(folder, {name: entry})}
        models = {f"{name}-{script}": {"targets": [PROVIDERS[name].target(name, script)], "retries": 0}
                  for name in cls.known for script in scripts.NAMES}
        cls.gateway = Gateway({"providers": cls.known, "models": models, "policies": []})
        unittest.addModuleCleanup(cls.gateway.finish)
        cls.callers = {kind.name: kind(cls.gateway) for kind in callers.ALL}
        for caller in cls.callers.values():
            unittest.addModuleCleanup(caller.close)


class Case(unittest.TestCase):
    """A pair: `self.caller` speaks one API, `self.name` is the provider behind the gateway."""
    maxDiff = None

    def __str__(self):
        return self._testMethodName.removeprefix("test ")

    def begin(self, api, name):
        self.name = name
        if name not in World.known:
            self.fail(f"this gateway does not know the dialect {PROVIDERS[name].dialect}")
        self.caller, self.upstream = World.callers[api], World.upstream
        self.upstream.reset()
        self.caller.tape.exchanges.clear()
        # A test in which the provider shall refuse, or the reply shall be no whole one, says so.
        self.refusals_expected = self.broken_expected = False

    def end(self):
        for request in self.upstream.requests:
            self.assertNotIn(World.gateway.key, str(request.headers), "the caller's key reached the provider")
            strange = [each for each in request.headers if each.startswith("x-weir") or each.startswith("anthropic-") and self.name != "anthropic"]
            self.assertEqual(strange, [], "headers that are not the provider's business")
        self.check_replies()

    def check_replies(self):
        if not self.refusals_expected:
            self.assertEqual([request.refused for request in self.upstream.requests if request.refused], [])
        if not self.broken_expected:
            for exchange in self.caller.tape.exchanges:
                self.assertEqual(strict.problems(exchange), [], bytes(exchange.raw)[:3000])

    def ask(self, script, talk, **ask):
        talk = [self.caller.user(talk)] if isinstance(talk, str) else talk
        return self.caller.ask(f"{self.name}-{script}", talk, **ask)

    def echo(self, talk="hello", script="echo", **ask):
        """What the provider's model got to see."""
        return json.loads(self.ask(script, talk, **ask).text)

    def dropped(self):
        return self.caller.tape.last.headers.get("x-weir-dropped-params", "")

    def seen(self):
        return self.upstream.last.seen


class Direct(Case):
    """The same without a gateway between: says whether the scripted provider is a fair one."""

    def begin(self, api, name):
        self.name, self.upstream = name, World.upstream
        base = self.upstream.base_url(PROVIDERS[name].dialect).removesuffix("/v1") + "/v1"
        there = types.SimpleNamespace(url=base, key=UPSTREAM_KEY)
        self.caller = next(kind for kind in callers.ALL if kind.name == api)(there)
        self.addCleanup(self.caller.close)
        self.upstream.reset()
        self.refusals_expected = self.broken_expected = False

    def end(self):
        self.check_replies()

    def ask(self, script, talk, **ask):
        talk = [self.caller.user(talk)] if isinstance(talk, str) else talk
        return self.caller.ask(PROVIDERS[self.name].target("", script)[1:], talk, **ask)


def scenario(title, streams=(False, True), apis=("chat", "responses", "messages"), providers=None):
    """Makes a method of `self` (and `stream`) a test of each pair."""
    def mark(method):
        method.scenario = (title, streams, apis, providers)
        return method
    return mark


def spread(case):
    """A class decorator: puts a test in place of each scenario, for each pair."""
    for method in [each for each in vars(case).values() if hasattr(each, "scenario")]:
        title, streams, apis, providers = method.scenario
        for api in apis:
            for name in providers or PROVIDERS:
                for stream in streams:
                    add(case, method, api, name, stream, f"test {api}→{name}: {title}{', streamed' if stream else ''}")
    return case


NATIVE = {"chat": "chat", "responses": "responses", "messages": "anthropic"}


def direct(case, module):
    """The scenarios of a case, each where the provider speaks the caller's own API."""
    made = type(case.__name__, (Direct,), {name: each for name, each in vars(case).items() if callable(each) and not name.startswith("test ")} | {"__module__": module})
    for method in [each for each in vars(made).values() if hasattr(each, "scenario")]:
        title, streams, apis, providers = method.scenario
        for api in apis:
            if NATIVE[api] in (providers or PROVIDERS):
                for stream in streams:
                    add(made, method, api, NATIVE[api], stream, f"test {api}, direct: {title}{', streamed' if stream else ''}")
    return made


def add(case, method, api, name, stream, title):
    def test(self):
        self.begin(api, name)
        method(self, stream)
        self.end()
    test.__name__ = title
    setattr(case, title, test)
