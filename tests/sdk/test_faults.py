"""What goes wrong, in each API's own way: classes and statuses of errors, broken streams, callers that leave, what is dropped."""

import unittest

import strict
from matrix import NATIVE, TOOLS, Case, World, scenario, spread
from upstream.refusal import WORDS

# What an error of the provider's is to the callers of OpenAI's APIs and of Anthropic's: a class of the SDK, and a status.
# A key that the provider refuses is the operator's fault, so the caller gets an error of the server.
CLASSES = {
    400: ("BadRequestError", ([400], [400])), 401: ("InternalServerError", None), 403: (None, None), 404: (None, None),
    429: ("RateLimitError", ([429], [429])), 500: ("InternalServerError", None), 503: ("InternalServerError", ([503], [503, 529])),
    529: ("InternalServerError", ([503, 529], [529])),
}


def setUpModule():
    World.start()


@spread
class Errors(Case):
    def fails(self, script, **ask):
        self.refusals_expected = True
        with self.assertRaises(self.caller.sdk.APIStatusError) as raised:
            self.ask(script, "hello", **ask)
        error = raised.exception
        self.assertTrue(error.request_id, "no request id")
        self.assertEqual(strict.problems(self.caller.tape.last), [])
        self.assertFalse(self.caller.tape.last.streamed)
        return error

    def checked(self, status, stream):
        error = self.fails(f"error-{status}", stream=stream)
        kind, expected = CLASSES[status]
        if kind:
            self.assertIsInstance(error, getattr(self.caller.sdk, kind))
        if expected:
            self.assertIn(error.status_code, expected[self.caller.name == "messages"])
        self.assertGreaterEqual(error.status_code, 500 if status in (401, 500) else 400)
        self.assertNotIn("sk-upstream-secret", error.response.text)
        return error

    @scenario("an error of each status")
    def statuses(self, stream):
        for status in CLASSES:
            with self.subTest(status):
                self.checked(status, stream)

    @scenario("a rate limit says how long to wait")
    def retry_after(self, stream):
        error = self.checked(429, stream)
        # What is left of the seven seconds, if another caller was told of them before.
        self.assertRegex(error.response.headers["retry-after"], "^[1-7]$")

    @scenario("the provider's words arrive", streams=(False,))
    def words(self, stream):
        self.assertIn(WORDS[429], str(self.fails("error-429")))

    @scenario("an HTML page is a bad gateway")
    def html(self, stream):
        self.assertEqual(self.fails("html", stream=stream).status_code, 502)

    @scenario("a reply that is no JSON is a bad gateway", streams=(False,))
    def junk(self, stream):
        self.assertEqual(self.fails("junk").status_code, 502)

    @scenario("an error at the start of a stream has a status of its own", streams=(True,))
    def error_start(self, stream):
        error = self.fails("error-start", stream=True)
        self.assertGreaterEqual(error.status_code, 500)
        if self.name in ("anthropic", "gemini"):
            # These say in the event that they are overloaded.
            self.assertIn(error.status_code, (503, 529))


@spread
class Streams(Case):
    def breaks(self, script, *words):
        """The SDK raises; the stream is in order up to that point."""
        with self.assertRaises(self.caller.sdk.APIError) as raised:
            self.ask(script, "hello", stream=True)
        exchange = self.caller.tape.last
        self.assertEqual((exchange.status, exchange.streamed), (200, True))
        self.assertIn(b"Some te", bytes(exchange.raw), "what came before the fault came through")
        self.assertEqual(strict.problems(exchange), [])
        for word in words:
            self.assertIn(word, str(raised.exception))

    @scenario("an error in the middle of a stream", streams=(True,))
    def error_mid(self, stream):
        self.breaks("error-mid", "in the middle")

    @scenario("a stream that ends too early", streams=(True,))
    def cut(self, stream):
        self.breaks("cut")

    @scenario("a stream whose connection breaks", streams=(True,))
    def reset(self, stream):
        self.breaks("reset")


@spread
class Leaving(Case):
    @scenario("the caller leaves")
    def leaves(self, stream):
        self.broken_expected = True
        caller = type(self.caller)(World.gateway, timeout=0.7)
        self.addCleanup(caller.close)
        talk = [caller.user("hello")]
        if stream:
            self.read_a_little(caller, talk)
        else:
            with self.assertRaises(self.caller.sdk.APITimeoutError):
                caller.ask(f"{self.name}-slow", talk)
        self.assertTrue(self.upstream.last.gone.wait(2), "the provider was not told")

    def read_a_little(self, caller, talk):
        model, options = f"{self.name}-slow", {"stream": True}
        client = caller.client
        if caller.name == "chat":
            events = client.chat.completions.create(model=model, messages=talk, **options)
        elif caller.name == "responses":
            events = client.responses.create(model=model, input=talk, **options)
        else:
            events = client.messages.create(model=model, messages=talk, max_tokens=4000, **options)
        for _ in zip(range(6), events):
            pass
        events.close()


@spread
class Dropped(Case):
    @scenario("what the provider cannot be told is listed", streams=(False,))
    def listed(self, stream):
        extra, lost = self.unknown()
        self.ask("echo", "hello", extra=extra)
        told = {each.strip() for each in self.dropped().split(",") if each.strip()}
        self.assertLessEqual(set(lost), told)
        self.assertLessEqual(told, set(extra))

    @scenario("what the provider cannot be told is refused if the caller is strict", streams=(False,))
    def strict(self, stream):
        extra, lost = self.unknown()
        ask = lambda: self.ask("echo", "hello", extra=extra, headers={"x-weir-strict": "true"})
        if not lost:
            ask()
            return
        with self.assertRaises(self.caller.sdk.BadRequestError) as raised:
            ask()
        self.assertTrue(any(name in str(raised.exception) for name in lost), raised.exception)
        self.assertEqual(self.upstream.requests, [])

    def unknown(self):
        """Fields of the caller's own API, and those that this provider has no word for."""
        if NATIVE[self.caller.name] == self.name:
            return {}, []
        return {
            "chat": ({"logit_bias": {"1": 2}, "seed": 3}, ["logit_bias"] + ["seed"] * (self.name != "gemini")),
            "responses": ({"truncation": "auto"}, ["truncation"]),
            "messages": ({"container": {"id": "c"}}, ["container"]),
        }[self.caller.name]

    @scenario("nothing is dropped where nothing needs to be", streams=(False,))
    def nothing(self, stream):
        self.ask("tools", "hello", tools=TOOLS, system="Be brief.", max_tokens=100)
        self.assertEqual(self.dropped(), "")

    @scenario("several choices", streams=(False,), apis=("chat",))
    def several(self, stream):
        create = lambda: self.caller.client.chat.completions.create(model=f"{self.name}-echo", messages=[self.caller.user("hello")], n=2)
        if self.name in ("chat", "gemini"):
            self.assertEqual([choice.index for choice in create().choices], [0, 1])
            return
        with self.assertRaises(self.caller.sdk.BadRequestError) as raised:
            create()
        self.assertEqual(raised.exception.param, "n")
        self.assertEqual(self.upstream.requests, [])

    @scenario("state that the provider does not keep", streams=(False,), apis=("responses",), providers=("chat", "anthropic", "gemini"))
    def state(self, stream):
        with self.assertRaises(self.caller.sdk.BadRequestError) as raised:
            self.ask("echo", "hello", extra={"previous_response_id": "resp_1"})
        self.assertIn("previous_response_id", str(raised.exception))

    @scenario("state that the provider keeps", streams=(False,), apis=("responses",), providers=("responses",))
    def kept(self, stream):
        create = self.caller.client.responses.create
        first = create(model=f"{self.name}-tools", input="My name is Weir.")
        second = create(model=f"{self.name}-echo", input="And?", previous_response_id=first.id)
        self.assertIn("My name is Weir.", second.output_text)


if __name__ == "__main__":
    unittest.main()
