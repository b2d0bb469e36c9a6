"""The APIs that hold no conversation, the lists of models, and tokens counted beforehand."""

import io
import json
import unittest
import urllib.request

import anthropic

from callers import Ask, Messages
from matrix import TOOLS, Case, World, scenario, spread
from upstream.other import SPOKEN


def setUpModule():
    World.start()


@spread
class Counted(Case):
    @scenario("tokens are counted beforehand", streams=(False,), apis=("messages",))
    def count(self, stream):
        tools = Messages.options(self.caller, Ask(tools=TOOLS))["tools"]
        got = self.caller.client.messages.count_tokens(model=f"{self.name}-echo", messages=[self.caller.user("hello " * 50)], tools=tools)
        self.assertGreater(got.input_tokens, 11)


class Passing(unittest.TestCase):
    """To one provider of OpenAI's kind, unchanged but for model and key."""

    def setUp(self):
        World.upstream.reset()
        self.client = World.callers["chat"].client

    def test_embeddings(self):
        got = self.client.embeddings.create(model="chat-echo", input=["a", "b"], dimensions=8)
        self.assertEqual([(row.index, len(row.embedding)) for row in got.data], [(0, 8), (1, 8)])
        self.assertEqual(got.data[1].embedding[0], 0.5)
        self.assertEqual(got.usage.prompt_tokens, 10)

    def test_images(self):
        got = self.client.images.generate(model="chat-echo", prompt="a weir", n=2, size="1024x1024")
        self.assertEqual(len(got.data), 2)
        self.assertTrue(got.data[0].b64_json)
        self.assertEqual(got.usage.total_tokens, 12 + 2112)

    def test_speech(self):
        got = self.client.audio.speech.create(model="chat-echo", voice="alloy", input="hello")
        self.assertEqual(got.read(), SPOKEN)

    def test_transcription(self):
        got = self.client.audio.transcriptions.create(model="chat-echo", file=("a.mp3", io.BytesIO(SPOKEN * 30), "audio/mpeg"))
        self.assertEqual(got.text, f"{len(SPOKEN) * 30} bytes were spoken.")
        self.assertIn(b"gpt-4.1-echo", World.upstream.last.body)

    def test_moderations(self):
        got = self.client.moderations.create(model="chat-echo", input=["hello", "you"])
        self.assertEqual([row.flagged for row in got.results], [False, False])

    def test_rerank(self):
        body = {"model": "chat-echo", "query": "q", "documents": ["a", "b", "c"], "top_n": 2}
        got = self.client.post("/rerank", body=body, cast_to=object)
        self.assertEqual([row["index"] for row in got["results"]], [2, 1])

    def test_a_provider_that_does_not_have_it(self):
        if "anthropic" not in World.known:
            self.skipTest("needs another dialect")
        with self.assertRaises(World.callers["chat"].sdk.APIStatusError) as raised:
            self.client.embeddings.create(model="anthropic-echo", input="a")
        self.assertIn(raised.exception.status_code, (400, 404))


class Models(unittest.TestCase):
    def test_in_openais_shape(self):
        listed = World.callers["chat"].client.models.list().data
        self.assertIn("chat-echo", [model.id for model in listed])
        self.assertEqual({(model.object, type(model.created), type(model.owned_by)) for model in listed}, {("model", int, str)})
        self.assertEqual(World.callers["chat"].client.models.retrieve("chat-echo").id, "chat-echo")

    def test_in_anthropics_shape(self):
        client = World.callers["messages"].client
        listed = [*client.models.list(limit=10)]
        self.assertIn("chat-echo", [model.id for model in listed])
        for model in listed:
            self.assertEqual(model.type, "model")
            self.assertTrue(model.display_name)
        one = client.models.with_raw_response.retrieve("chat-echo")
        self.assertEqual(one.parse().id, "chat-echo")
        anthropic.types.ModelInfo.model_validate_json(one.http_response.content, strict=True)
        with self.assertRaises(anthropic.NotFoundError):
            client.models.retrieve("nobody")

    def test_a_connectivity_check(self):
        request = urllib.request.Request(World.gateway.url.removesuffix("/v1") + "/", method="HEAD")
        with urllib.request.urlopen(request, timeout=10) as reply:
            self.assertLess(reply.status, 300)


class Keys(unittest.TestCase):
    """Each of the three headers that carry a caller's key."""

    def test_headers(self):
        World.upstream.reset()
        body = json.dumps({"model": "chat-tools", "messages": [{"role": "user", "content": "hello"}]}).encode()
        key = World.gateway.key
        for headers in ({"authorization": f"Bearer {key}"}, {"x-api-key": key}, {"api-key": key}):
            with self.subTest(list(headers)):
                request = urllib.request.Request(World.gateway.url + "/chat/completions", body, {"content-type": "application/json"} | headers)
                with urllib.request.urlopen(request, timeout=10) as reply:
                    self.assertEqual(reply.status, 200)
                self.assertNotIn(key, str(World.upstream.last.headers))

    def test_a_bad_key_in_anthropics_envelope(self):
        client = Messages(World.gateway, api_key="sk-wrong")
        self.addCleanup(client.close)
        with self.assertRaises(anthropic.AuthenticationError) as raised:
            client.say("chat-echo", "hello")
        self.assertEqual(raised.exception.body["type"], "error")
        self.assertEqual(raised.exception.body["error"]["type"], "authentication_error")


if __name__ == "__main__":
    unittest.main()
