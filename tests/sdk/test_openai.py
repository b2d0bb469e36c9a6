"""The official `openai` SDK against the gateway."""

import asyncio
import base64
import json
import time
import unittest

import openai
from openai import AsyncOpenAI, OpenAI

from harness import UPSTREAM_KEY, Answer, Gateway, Upstream, eventually

HELLO = [{"role": "user", "content": "hello"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Weather of a place",
        "parameters": {
            "type": "object",
            "properties": {"place": {"type": "string"}, "days": {"type": "integer"}, "unit": {"enum": ["C", "F"]}},
            "required": ["place", "days", "unit"],
        },
    },
}
# Not base64 of anything that a rewrite would leave alone by luck: it has `+`, `/` and `=`.
IMAGE = "data:image/png;base64," + base64.b64encode(bytes(range(256)) + b"\xfb\xef\xff!").decode()


def setUpModule():
    global upstream, gateway
    upstream = Upstream()
    unittest.addModuleCleanup(upstream.stop)
    prices = {"input": 0.15, "cached_input": 0.075, "output": 0.60}
    gateway = Gateway({
        "providers": {
            "sim": {"builtin": "sim"},
            "slow": {"builtin": "sim", "timeouts": {"first_byte": "400ms", "idle": "400ms"}},
            "scripted": upstream.provider,
        },
        "models": {
            "fast": {"targets": [{"target": "sim/sim-small", "prices": prices}]},
            "dear": {"targets": [{"target": "sim/sim-small", "prices": {"input": 1000, "output": 1000}}]},
            "passing": {"targets": ["scripted/model-of-the-provider"], "retries": 0},
            "limited": {"targets": ["sim/sim-small?status=429&retry_after=1"], "retries": 0},
            "failing": {"targets": ["sim/sim-small?status=500"], "retries": 0},
            "overloaded": {"targets": ["sim/sim-small?status=503"], "retries": 0},
            "hanging": {"targets": ["slow/sim-small?hang=headers"], "retries": 0},
            "second": {"targets": ["sim/sim-small?status=500", "sim/sim-large"], "retries": 0},
        },
    })
    unittest.addModuleCleanup(gateway.finish)


def client(kind=OpenAI, **options):
    return kind(**{"base_url": gateway.url, "api_key": gateway.key, "max_retries": 0, "timeout": 20} | options)


def aborts(stream):
    """How many callers have left so far before the first byte."""
    lines = gateway.exchanges().values()
    return sum(line["outcome"] == "client_abort" and line["stream"] is stream and not line["bytes_out"] for line in lines)


class Case(unittest.TestCase):
    def setUp(self):
        upstream.reset()
        self.client = client()
        self.addCleanup(self.client.close)
        self.create = self.client.chat.completions.create

    def refused(self, kind, status, call):
        """The call is refused so; the exception, whose envelope has all four fields and the request's id."""
        with self.assertRaises(openai.APIStatusError) as raised:
            call()
        error = raised.exception
        self.assertIs(type(error), kind, error)
        self.assertEqual(error.status_code, status)
        self.assertEqual(set(error.response.json()["error"]), {"message", "type", "param", "code"})
        self.assertTrue(error.request_id)
        self.assertEqual(error.request_id, error.response.headers["x-weir-request-id"])
        return error


class Whole(Case):
    def test_a_reply_is_typed_and_counted(self):
        reply = self.create(model="fast", messages=HELLO)
        self.assertEqual(reply.object, "chat.completion")
        self.assertIn("hello", reply.choices[0].message.content)
        self.assertEqual((reply.choices[0].message.role, reply.choices[0].finish_reason), ("assistant", "stop"))
        usage = reply.usage
        self.assertEqual((usage.prompt_tokens, usage.completion_tokens), (5, 16))
        self.assertEqual(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens)
        self.assertRegex(reply._request_id, r"^req_[0-9a-f]+$")

    def test_cached_and_reasoning_tokens_arrive(self):
        messages = [{"role": "user", "content": "word " * 100}]
        usage = self.create(model="sim/sim-small?cached=0.5&reasoning=7", messages=messages).usage
        self.assertEqual(usage.prompt_tokens_details.cached_tokens, usage.prompt_tokens // 2)
        self.assertEqual(usage.completion_tokens_details.reasoning_tokens, 7)

    def test_max_tokens_and_n_have_their_effect(self):
        reply = self.create(model="fast", messages=HELLO, max_completion_tokens=3, n=2)
        self.assertEqual([choice.finish_reason for choice in reply.choices], ["length", "length"])
        self.assertEqual(reply.usage.completion_tokens, 6)

    def test_headers_say_what_happened(self):
        raw = self.client.chat.completions.with_raw_response.create(model="fast", messages=HELLO)
        headers = raw.headers
        self.assertEqual(headers["x-weir-target"], "sim/sim-small")
        self.assertEqual(headers["x-weir-attempts"], "1")
        self.assertEqual(headers["x-weir-cache"], "bypass")
        self.assertEqual(headers["x-weir-policy-generation"], "1")
        self.assertEqual(headers["x-request-id"], headers["x-weir-request-id"])
        usage = raw.parse().usage
        nanos = usage.prompt_tokens * 150 + usage.completion_tokens * 600
        self.assertEqual(headers["x-weir-cost"], f"0.{nanos:09}")

    def test_a_fallback_says_so(self):
        raw = self.client.chat.completions.with_raw_response.create(model="second", messages=HELLO)
        self.assertEqual((raw.headers["x-weir-target"], raw.headers["x-weir-attempts"]), ("sim/sim-large", "2"))
        self.assertEqual(raw.parse().model, "sim-large")

    def test_models_are_listed_and_found(self):
        models = list(self.client.models.list())
        self.assertIn("fast", [model.id for model in models])
        self.assertEqual({model.object for model in models}, {"model"})
        self.assertEqual(self.client.models.retrieve("fast").id, "fast")
        self.assertEqual(self.client.models.retrieve("sim/sim-large").owned_by, "sim")
        error = self.refused(openai.NotFoundError, 404, lambda: self.client.models.retrieve("nothing"))
        self.assertEqual((error.code, error.param), ("model_not_found", "model"))

    def test_models_are_not_recorded_as_refused(self):
        raw = self.client.models.with_raw_response.list()
        line = eventually(lambda: gateway.exchanges().get(raw.headers["x-request-id"]), "the request is logged")
        self.assertEqual((line["status"], line["outcome"]), (200, "ok"))

    def test_a_forced_tool_call_has_arguments_that_fit(self):
        choice = {"type": "function", "function": {"name": "weather"}}
        reply = self.create(model="fast", messages=HELLO, tools=[WEATHER], tool_choice=choice)
        self.assertEqual(reply.choices[0].finish_reason, "tool_calls")
        (call,) = reply.choices[0].message.tool_calls
        self.assertEqual((call.type, call.function.name), ("function", "weather"))
        self.assertEqual(json.loads(call.function.arguments), {"place": "sim", "days": 1, "unit": "C"})


class Streams(Case):
    def chunks(self, **options):
        with self.create(**{"model": "fast", "messages": HELLO, "stream": True} | options) as stream:
            return list(stream)

    def test_chunks_make_one_reply(self):
        chunks = self.chunks()
        self.assertEqual(len({chunk.id for chunk in chunks}), 1)
        self.assertEqual({chunk.object for chunk in chunks}, {"chat.completion.chunk"})
        self.assertEqual(chunks[0].choices[0].delta.role, "assistant")
        self.assertEqual([chunk.choices[0].delta.role for chunk in chunks[1:] if chunk.choices[0].delta.role], [])
        finishes = [chunk.choices[0].finish_reason for chunk in chunks]
        self.assertEqual(finishes, [None] * (len(chunks) - 1) + ["stop"])
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        self.assertEqual(text, self.create(model="fast", messages=HELLO).choices[0].message.content)

    def test_usage_comes_only_if_asked_for(self):
        for options in (None, {}, {"include_usage": False}):
            asked = {} if options is None else {"stream_options": options}
            chunks = self.chunks(**asked)
            self.assertEqual([chunk for chunk in chunks if not chunk.choices or chunk.usage], [], options)
        chunks = self.chunks(stream_options={"include_usage": True})
        self.assertEqual([bool(chunk.usage) for chunk in chunks], [False] * (len(chunks) - 1) + [True])
        self.assertEqual((chunks[-1].choices, chunks[-1].usage.completion_tokens), ([], 16))

    def test_the_gateway_asks_for_usage_in_any_case(self):
        for options in (None, {}, {"include_usage": False}, {"include_usage": True, "include_obfuscation": False}):
            upstream.reset()
            self.chunks(model="passing", **({} if options is None else {"stream_options": options}))
            sent = json.loads(upstream.requests[0][2])
            self.assertEqual(sent["stream_options"], (options or {}) | {"include_usage": True})

    def test_the_stream_helper(self):
        with self.client.chat.completions.stream(model="fast", messages=HELLO) as stream:
            kinds = [event.type for event in stream]
            final = stream.get_final_completion()
        self.assertIn("content.delta", kinds)
        self.assertIn("content.done", kinds)
        self.assertEqual(final.choices[0].finish_reason, "stop")
        self.assertIn("hello", final.choices[0].message.content)

    def test_the_stream_helper_puts_tool_calls_together(self):
        options = {"tools": [WEATHER | {"function": WEATHER["function"] | {"strict": True}}], "tool_choice": "required"}
        with self.client.chat.completions.stream(model="fast", messages=HELLO, **options) as stream:
            done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
            final = stream.get_final_completion()
        self.assertEqual([event.name for event in done], ["weather"])
        (call,) = final.choices[0].message.tool_calls
        self.assertEqual(json.loads(call.function.arguments), {"place": "sim", "days": 1, "unit": "C"})

    def test_tool_call_deltas_join(self):
        chunks = self.chunks(tools=[WEATHER], tool_choice="required")
        calls = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or []]
        self.assertEqual((calls[0].index, calls[0].function.name), (0, "weather"))
        arguments = json.loads("".join(call.function.arguments for call in calls))
        self.assertEqual(arguments, {"place": "sim", "days": 1, "unit": "C"})
        self.assertEqual(chunks[-1].choices[0].finish_reason, "tool_calls")

    def test_an_error_before_the_first_byte_has_its_status(self):
        error = self.refused(openai.RateLimitError, 429, lambda: self.chunks(model="limited"))
        self.assertEqual(error.response.headers["retry-after"], "1")

    def test_a_cut_stream_ends_in_an_error(self):
        seen = []
        with self.assertRaises(openai.APIError) as raised:
            for chunk in self.create(model="sim/sim-small?cut=4", messages=HELLO, stream=True):
                seen.append(chunk)
        self.assertEqual(len(seen), 4)
        self.assertEqual(raised.exception.code, "stream_broken")
        row = eventually(lambda: gateway.usage().get("sim-small?cut=4"), "the cut stream is in the ledger")
        self.assertEqual((row["unfinished"], float(row["charged_usd"])), (1, 0))

    def test_a_stream_that_stands_still_ends_in_an_error(self):
        with self.assertRaises(openai.APIError) as raised:
            self.chunks(model="slow/sim-small?hang=4")
        self.assertEqual(raised.exception.code, "stream_broken")

    def test_an_error_inside_a_stream_is_the_providers(self):
        head = Answer.stream({"role": "assistant", "content": "he"}).body.split(b"\n\n")[0]
        tail = b'data: {"error":{"message":"Too much to do.","type":"server_error","param":null,"code":"overloaded"}}'
        body = head + b"\n\n" + tail + b"\n\n"
        # In one piece nothing has been committed yet when the error is read: it has a status of its own.
        for parts, kind in (([head + b"\n\n", tail + b"\n\n"], openai.APIError), ([body], openai.InternalServerError)):
            upstream.reset(Answer(body=parts, headers={"content-type": "text/event-stream"}))
            with self.assertRaises(openai.APIError) as raised:
                self.chunks(model="passing")
            self.assertIs(type(raised.exception), kind)
            self.assertEqual(raised.exception.code, "overloaded")
            self.assertIn("Too much to do.", raised.exception.message)

    def test_a_closed_stream_is_an_abort_in_the_ledger(self):
        model = "sim/sim-small?tps=10&tokens=400"
        began = time.monotonic()
        with self.create(model=model, messages=HELLO, stream=True) as stream:
            for _ in zip(range(3), stream):
                pass
            request_id = stream.response.headers["x-weir-request-id"]
        row = eventually(lambda: gateway.usage().get(model.removeprefix("sim/")), "the abort is in the ledger")
        self.assertLess(time.monotonic() - began, 15)
        self.assertEqual((row["exchanges"], row["unfinished"]), (1, 1))
        self.assertLess(row["tokens"]["output"], 100)
        line = eventually(lambda: gateway.exchanges().get(request_id), "the abort is logged")
        self.assertEqual(line["outcome"], "client_abort")

    def test_a_caller_that_leaves_before_the_first_byte_cancels(self):
        for stream in (False, True):
            model = f"sim/sim-small?ttft=60s&seed={50 + stream}"
            before = aborts(stream)
            with client(timeout=0.5) as hasty, self.assertRaises(openai.APITimeoutError):
                hasty.chat.completions.create(model=model, messages=HELLO, stream=stream)
            eventually(lambda: aborts(stream) == before + 1, "the abort is recorded")


class Concurrent(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        asyncio.get_running_loop().set_debug(False)  # unittest's; it reports every slow step

    async def test_twenty_streams_at_once_stay_apart(self):
        async with client(AsyncOpenAI) as asynchronous:
            async def run(number):
                messages = [{"role": "user", "content": f"number-{number}-"}]
                stream = await asynchronous.chat.completions.create(
                    model="sim/sim-small?tps=200&tokens=40", messages=messages, stream=True,
                    stream_options={"include_usage": True},
                )
                chunks = [chunk async for chunk in stream]
                self.assertEqual(len({chunk.id for chunk in chunks}), 1)
                self.assertEqual(chunks[-1].usage.completion_tokens, 40)
                return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)

            texts = await asyncio.gather(*map(run, range(20)))
        for number, text in enumerate(texts):
            self.assertIn(f"number-{number}-", text)
            self.assertEqual(text.count("number-"), 1)

    async def test_a_cancelled_task_cancels(self):
        async with client(AsyncOpenAI) as asynchronous:
            model = "sim/sim-small?ttft=60s&seed=60"
            task = asyncio.create_task(asynchronous.chat.completions.create(model=model, messages=HELLO, user="task"))
            await asyncio.sleep(0.5)
            before = aborts(stream=False)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            # Only this task was cancelled, not the client with its connections.
            self.assertEqual(eventually(lambda: aborts(stream=False) - before, "the abort is recorded"), 1)


class Errors(Case):
    def test_a_bad_key(self):
        good = gateway.key
        for key in ("sk-wrong", good[:-1] + ("a" if good[-1] != "a" else "b"), good + "x"):
            with client(api_key=key) as stranger:
                call = lambda: stranger.chat.completions.create(model="fast", messages=HELLO)
                error = self.refused(openai.AuthenticationError, 401, call)
                self.assertNotIn(key, error.message)
                self.refused(openai.AuthenticationError, 401, stranger.models.list)

    def test_a_revoked_key(self):
        key = gateway.make_key("revoked")
        listed = gateway.admin("GET", "/admin/v1/keys")[1]["keys"]
        (row,) = [row for row in listed if row["name"] == "revoked"]
        with client(api_key=key) as other:
            other.models.list()
            gateway.weir("key", "revoke", row["id"])
            self.refused(openai.AuthenticationError, 401, other.models.list)

    def test_an_unknown_model(self):
        error = self.refused(openai.NotFoundError, 404, lambda: self.create(model="gpt-none", messages=HELLO))
        self.assertEqual((error.code, error.param), ("model_not_found", "model"))
        self.refused(openai.NotFoundError, 404, lambda: self.create(model="nobody/gpt", messages=HELLO))

    def test_a_model_that_the_key_may_not_use(self):
        with client(api_key=gateway.make_key("narrow", "--model", "fast")) as narrow:
            self.assertEqual([model.id for model in narrow.models.list()], ["fast"])
            call = lambda: narrow.chat.completions.create(model="passing", messages=HELLO)
            with self.assertRaises(openai.APIStatusError) as raised:
                call()
            self.assertIn(raised.exception.status_code, (403, 404))
            self.assertEqual(upstream.requests, [])

    def test_bad_bodies_name_the_field(self):
        wrong = {
            "messages": {"messages": []},
            "messages[0].role": {"messages": [{"role": "root", "content": "x"}]},
            "n": {"n": 0},
            "max_tokens": {"max_tokens": -1},
            "stream": {"extra_body": {"stream": "yes"}},
            "tools[0]": {"tools": [1]},
        }
        for param, options in wrong.items():
            with self.subTest(param):
                call = lambda: self.create(**{"model": "passing", "messages": HELLO} | options)
                error = self.refused(openai.BadRequestError, 400, call)
                self.assertEqual((error.param, error.type), (param, "invalid_request_error"))
                self.assertTrue(error.code)
        self.assertEqual(upstream.requests, [])

    def test_a_rate_limit_has_the_providers_retry_after(self):
        error = self.refused(openai.RateLimitError, 429, lambda: self.create(model="limited", messages=HELLO))
        self.assertEqual(error.response.headers["retry-after"], "1")
        self.assertEqual(error.code, "rate_limit_exceeded")

    def test_the_sdks_retry_obeys_retry_after(self):
        upstream.reset(Answer.error(429, headers={"retry-after": "1"}))
        with client(max_retries=1) as patient:
            reply = patient.chat.completions.create(model="passing", messages=HELLO)
        self.assertEqual(reply.choices[0].message.content, "scripted")
        first, second = upstream.times
        self.assertGreaterEqual(second - first, 0.95)

    def test_a_keys_own_rate_limit(self):
        with client(api_key=gateway.make_key("slow", "--rpm", "2")) as slow:
            call = lambda: slow.chat.completions.create(model="fast", messages=HELLO)
            call(), call()
            error = self.refused(openai.RateLimitError, 429, call)
            self.assertGreater(int(error.response.headers["retry-after"]), 0)

    def test_a_budget_is_never_overspent(self):
        with client(api_key=gateway.make_key("poor", "--budget", "0.13")) as poor:
            call = lambda: poor.chat.completions.create(model="dear", messages=HELLO, max_tokens=16)
            for _ in range(2):
                call()  # 5 + 16 tokens at 1000 USD a million: 0.021; held before is a multiple of it
            error = self.refused(openai.APIStatusError, 402, call)
            self.assertIn("budget", error.code)
        self.assertEqual(gateway.usage("key")["poor"]["charged_usd"], "0.042000000")

    def test_providers_failures_keep_their_class(self):
        for model, status in {"failing": 500, "overloaded": 503, "hanging": 504}.items():
            with self.subTest(model):
                error = self.refused(openai.InternalServerError, status, lambda: self.create(model=model, messages=HELLO))
                self.assertNotIn(UPSTREAM_KEY, error.response.text)

    def test_a_provider_that_talks_nonsense(self):
        for body in (b"<html>Bad gateway</html>", b'{"id":', b""):
            upstream.reset(Answer(body=body, headers={"content-type": "text/html"}))
            self.refused(openai.InternalServerError, 502, lambda: self.create(model="passing", messages=HELLO))

    def test_a_refused_provider_key_is_not_the_callers_fault(self):
        said = {"error": {"message": f"Incorrect API key provided: {UPSTREAM_KEY}", "type": "authentication_error",
                          "param": None, "code": "invalid_api_key"}}
        upstream.reset(Answer(401, json.dumps(said).encode()))
        with self.assertRaises(openai.APIStatusError) as raised:
            self.create(model="passing", messages=HELLO)
        self.assertGreaterEqual(raised.exception.status_code, 500)
        self.assertNotIn(UPSTREAM_KEY, raised.exception.response.text)


class Bytes(unittest.TestCase):
    """What the provider gets is what the SDK sent."""

    def setUp(self):
        upstream.reset()
        self.sent = []

        def keep(request):
            self.sent.append(request.read())

        http_client = openai.DefaultHttpxClient(event_hooks={"request": [keep]})
        self.client = client(http_client=http_client)
        self.addCleanup(self.client.close)

    def passes(self, **options):
        """Sends it; the body that arrived, which differs from what was sent in the model's name only."""
        self.client.chat.completions.create(**{"model": "passing", "messages": HELLO, "extra_headers": {"x-weir-tags": "a=b"}} | options)
        (path, headers, got), (sent,) = upstream.requests[-1], self.sent[-1:]
        self.assertEqual(sent.count(b'"passing"'), 1)
        self.assertEqual(got, sent.replace(b'"passing"', b'"model-of-the-provider"'))
        self.assertEqual(path, "/v1/chat/completions")
        self.assertEqual(headers["authorization"], f"Bearer {UPSTREAM_KEY}")
        self.assertNotIn(gateway.key, str(headers))
        self.assertEqual([name for name in headers if name.lower().startswith("x-weir")], [])
        return json.loads(got)

    def test_only_the_models_name_changes(self):
        self.passes(temperature=0.30000000000000004, seed=2**53 + 1, stop=["\u2028", "</s>"], user="ü😀\t\"\\/")

    def test_streams_too(self):
        # It asks for usage itself: nothing to add.
        self.passes(stream=True, stream_options={"include_usage": True})

    def test_unknown_fields_survive(self):
        extra = {"x_unknown": {"deep": [1, 1.0, 1e2, None, {"": "é"}]}, "top_k": 7, "chat_template_kwargs": {"a": False}}
        self.assertEqual({key: value for key, value in self.passes(extra_body=extra).items() if key in extra}, extra)

    def test_images_audio_and_files_pass(self):
        parts = [
            {"type": "text", "text": "What is it? \U0001f9a9"},
            {"type": "image_url", "image_url": {"url": IMAGE, "detail": "low"}},
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png?b=c&d=%20"}},
            {"type": "input_audio", "input_audio": {"data": "AAEC/+==", "format": "wav"}},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}},
        ]
        got = self.passes(messages=[{"role": "user", "content": parts}])
        self.assertEqual(got["messages"][0]["content"], parts)

    def test_tool_results_pass(self):
        arguments = '{ "place" : "Zürich",\n "days":1e0 }'
        call = {"id": "functions.weather:0", "type": "function", "function": {"name": "weather", "arguments": arguments}}
        messages = [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Weather?"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": call["id"], "content": '{"t": -1.50, "note": "\\ud83c\\udf27 \\n"}'},
            {"role": "tool", "tool_call_id": call["id"], "content": [{"type": "text", "text": ""}]},
            {"role": "assistant", "content": "", "refusal": None},
            {"role": "developer", "name": "dev_1", "content": "Go on."},
        ]
        self.assertEqual(self.passes(messages=messages, tools=[WEATHER], tool_choice="none")["messages"], messages)

    def test_schemas_pass(self):
        schema = {"name": "s", "strict": True, "schema": {"$ref": "#/$defs/a", "$defs": {"a": {"type": ["string", "null"]}}}}
        self.passes(response_format={"type": "json_schema", "json_schema": schema})

    def test_replies_pass_unchanged(self):
        odd = b'{ "id":"x","object":"chat.completion","created":1,"model":"m","x_new":[1.0,1e2,"\\u00e9"], "choices":' \
              b'[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"\xc3\xa9"}}],' \
              b'"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2,"x_new":0} }\n'
        upstream.reset(Answer(body=odd))
        raw = self.client.chat.completions.with_raw_response.create(model="passing", messages=HELLO)
        self.assertEqual(raw.http_response.content, odd)


if __name__ == "__main__":
    unittest.main()
