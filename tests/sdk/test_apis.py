"""What all callers expect of all providers: text, tools, structured output, pictures, thinking, usage."""

import json
import typing
import unittest

import pydantic

from callers import Medium, Tool
from matrix import GET_TIME, GET_WEATHER, TOOLS, Case, World, scenario, spread
from upstream import scripts
from upstream.other import PNG

PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"


def setUpModule():
    World.start()


class Mood(pydantic.BaseModel):
    name: typing.Literal["calm", "wild"]
    strength: int


class Forecast(pydantic.BaseModel):
    """Has what each provider's subset of JSON Schema has its own opinion on."""
    city: str
    degrees: float
    likely: bool
    note: str | None
    mood: Mood
    tags: list[str]


@spread
class Talk(Case):
    @scenario("chat")
    def chat(self, stream):
        said = self.ask("echo", "hello", stream=stream)
        self.assertEqual(json.loads(said.text)["turns"], [["user", "hello"]])
        self.assertEqual((said.finish, said.input, said.output, said.cached, said.reasoning), ("stop", 20, 10, 0, 0))
        self.assertEqual(self.seen().stream, stream)

    @scenario("several turns", streams=(False,))
    def turns(self, stream):
        user, answer = self.caller.user, self.ask("tools", "hello")
        got = self.echo([user("hello"), *self.caller.past(answer), user("And hello again")])
        self.assertEqual(got["turns"], [["user", "hello"], ["assistant", answer.text], ["user", "And hello again"]])

    @scenario("system", streams=(False,))
    def system(self, stream):
        got = self.echo("hello", system="Be brief.\nAnd kind.")
        self.assertEqual((got["system"], got["turns"]), (["Be brief.\nAnd kind."], [["user", "hello"]]))

    @scenario("developer in the middle", streams=(False,), apis=("chat", "responses"))
    def developer(self, stream):
        talk = [{"role": "developer", "content": "First."}, {"role": "user", "content": "hello"}, {"role": "assistant", "content": "Well?"},
                {"role": "developer", "content": "Second."}, {"role": "user", "content": "Go on."}]
        got = self.echo(talk)
        told = "\n".join([*got["system"], *(text for _, text in got["turns"])])
        for text in ("First.", "hello", "Well?", "Second.", "Go on."):
            self.assertEqual(told.count(text), 1, got)

    @scenario("only a system message", streams=(False,), apis=("chat",))
    def only_system(self, stream):
        got = self.echo([{"role": "system", "content": "Say hello."}])
        self.assertIn("Say hello.", str(got))

    @scenario("a turn without text", streams=(False,), apis=("chat",))
    def empty_turn(self, stream):
        got = self.echo([{"role": "user", "content": "hello"}, {"role": "assistant", "content": ""}, {"role": "user", "content": "Still there?"}])
        self.assertIn("Still there?", str(got["turns"]))

    @scenario("stop sequences", apis=("chat", "messages"), providers=("chat", "anthropic", "gemini"))
    def stop(self, stream):
        said = self.ask("stopseq", "hello", stop=["###", "END"], stream=stream)
        self.assertEqual((said.text, said.finish), ("Everything until ", "stop"))
        self.assertEqual(self.seen().stop, ["###", "END"])
        if self.caller.name == "messages" and self.name == "anthropic":
            self.assertEqual(said.stop_sequence, "END")

    @scenario("stop sequences that the provider has no word for", streams=(False,), apis=("chat", "messages"), providers=("responses",))
    def stop_dropped(self, stream):
        self.ask("echo", "hello", stop=["###"])
        self.assertIn("stop", self.dropped())

    @scenario("max tokens")
    def length(self, stream):
        said = self.ask("length", "hello", max_tokens=33, stream=stream)
        self.assertEqual((said.text, said.finish), ("one two three", "length"))
        self.assertEqual(self.seen().max_tokens, 33)

    @scenario("temperature", streams=(False,))
    def temperature(self, stream):
        self.assertEqual(self.echo(temperature=0.25)["temperature"], 0.25)
        self.assertEqual(self.dropped(), "")

    @scenario("refusal")
    def refusal(self, stream):
        said = self.ask("refuse", "hello", stream=stream)
        self.assertTrue(said.refused, said)
        if self.name != "gemini":
            self.assertIn(scripts.REFUSAL, said.refusal + said.text + str(getattr(said.native, "stop_details", "")))

    @scenario("a blocked prompt", providers=("gemini",))
    def blocked(self, stream):
        self.assertTrue(self.ask("blocked", "hello", stream=stream).refused)

    @scenario("an empty answer")
    def empty(self, stream):
        said = self.ask("empty", "hello", stream=stream)
        self.assertEqual((said.text, said.calls, said.finish), ("", [], "stop"))

    @scenario("usage with a cache")
    def cached(self, stream):
        said = self.ask("cached", "hello", stream=stream)
        written = 0 if self.name == "gemini" else 512
        self.assertEqual((said.input, said.cached, said.written, said.output), (2048, 1024, written, 7))

    @scenario("multi-byte text in odd pieces")
    def utf8(self, stream):
        self.assertEqual(self.ask("utf8", scripts.MULTIBYTE, stream=stream).text, scripts.MULTIBYTE)
        self.assertEqual(self.seen().turns, [("user", scripts.MULTIBYTE)])


@spread
class Tools(Case):
    def loop(self, script, stream, results, tools=TOOLS, **ask):
        """Two turns: the calls, then what is said of their results."""
        talk = [self.caller.user("What is it like?")]
        asked = self.ask(script, talk, tools=tools, stream=stream, **ask)
        self.assertEqual(asked.finish, "tools")
        self.assertEqual(len({call.id for call in asked.calls}), len(results))
        talk += [*self.caller.past(asked), *self.caller.results(list(zip(asked.calls, results)))]
        return asked, self.ask(script, talk, tools=tools, stream=stream, **ask)

    @scenario("a tool loop")
    def one(self, stream):
        asked, said = self.loop("tools", stream, ['{"t": -1.5}'])
        self.assertEqual([(call.name, call.arguments) for call in asked.calls], [("get_weather", {"city": "Zürich", "days": 2})])
        self.assertEqual((said.text, said.finish, said.calls), ('The tools say: get_weather: {"t": -1.5}', "stop", []))
        self.assertEqual((asked.text, asked.input, asked.output), ("Let me look.", 40, 30))
        self.assertEqual([text for role, text in self.seen().turns if role == "tool"], ['{"t": -1.5}'])

    @scenario("parallel tools")
    def parallel(self, stream):
        asked, said = self.loop("parallel", stream, ["sun", "rain", "noon"])
        self.assertEqual([(call.name, call.arguments) for call in asked.calls], [
            ("get_weather", {"city": "Zürich", "days": 2}), ("get_weather", {"city": "Oslo", "days": 3}), ("get_time", {"zone": "Europe/Oslo"})])
        self.assertEqual(said.text, "The tools say: get_weather: sun; get_weather: rain; get_time: noon")

    @scenario("tools one at a time", streams=(False,), providers=("chat", "responses", "anthropic"))
    def not_parallel(self, stream):
        said = self.ask("parallel", "What is it like?", tools=TOOLS, parallel=False)
        self.assertEqual(len(said.calls), 1)

    @scenario("a call without arguments")
    def noargs(self, stream):
        asked, said = self.loop("noargs", stream, ["noon"])
        self.assertEqual([(call.name, call.arguments) for call in asked.calls], [("get_time", {})])
        self.assertEqual(said.text, "The tools say: get_time: noon")

    @scenario("a tool without parameters", streams=(False,))
    def no_parameters(self, stream):
        asked, said = self.loop("noargs", stream, ["noon"], tools=[Tool("get_time", "The time", {"type": "object", "properties": {}})])
        self.assertEqual(said.text, "The tools say: get_time: noon")

    @scenario("a forced tool", streams=(False,))
    def forced(self, stream):
        self.assertEqual([call.name for call in self.ask("tools", "hello", tools=TOOLS, choice="get_time").calls], ["get_time"])

    @scenario("any tool, and none", streams=(False,))
    def any_and_none(self, stream):
        self.ask("tools", "hello", tools=TOOLS, choice="any")
        self.assertEqual(self.seen().choice, "any")
        self.assertEqual(self.ask("tools", "hello", tools=TOOLS, choice="none").calls, [])

    @scenario("arguments cut short")
    def truncated(self, stream):
        said = self.ask("length", "hello", tools=TOOLS, stream=stream)
        self.assertEqual(said.finish, "length")
        for call in said.calls:
            # Anthropic's SDK has an object in any case; the others have the text that there was.
            self.assertTrue(isinstance(call.arguments, dict) or call.text == scripts.TRUNCATED, call)

    @scenario("a long name and a strange schema")
    def strange(self, stream):
        limit = 64 if self.caller.name == "chat" else 128
        schema = {
            "$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "$defs": {"place": {"type": "object", "properties": {
                "name": {"type": "string", "minLength": 1}}, "required": ["name"]}},
            "properties": {"place": {"$ref": "#/$defs/place"}, "days": {"type": ["integer", "null"], "exclusiveMinimum": 0},
                           "unit": {"const": "C"}, "mode": {"oneOf": [{"type": "string"}, {"type": "integer"}]},
                           "when": {"type": "string", "format": "date"}, "rest": {"type": "object", "additionalProperties": {"type": "string"}},
                           "any": {}, "level": {"enum": [1, 2]}},
            "required": ["place"], "additionalProperties": False}
        tool = Tool(("a_very_long_name_of_a_tool_" * 6)[:limit], "Strange", schema)
        asked, said = self.loop("tools", stream, ["odd"], tools=[tool])
        self.assertEqual([call.name for call in asked.calls], [tool.name])
        self.assertIn("odd", said.text)

    @scenario("a loop with thinking")
    def thinking(self, stream):
        asked, said = self.loop("think", stream, ["rain"], thinks=True, max_tokens=6000)
        self.assertEqual([call.name for call in asked.calls], ["get_weather"])
        self.assertEqual(said.text, "The tools say: get_weather: rain")
        self.check_thinking(asked)
        if self.name in ("anthropic", "gemini"):
            self.assertEqual(self.seen().dummies, 0)
            self.assertGreaterEqual(len(self.seen().proofs), 1, "the proof of the thinking did not come back")
        if self.name == "responses":
            self.assertGreaterEqual(len(self.seen().proofs), 1, "the encrypted reasoning did not come back")

    @scenario("thinking")
    def thinking_alone(self, stream):
        said = self.ask("think", "Why?", thinks=True, max_tokens=6000, stream=stream)
        self.assertEqual((said.text, said.finish), ("I thought, therefore: 42.", "stop"))
        self.check_thinking(said)
        self.assertEqual(said.output, 50)

    def check_thinking(self, said):
        if self.name == "chat":
            # This provider keeps its thoughts to itself.
            self.assertEqual(said.thinking, "")
        elif (self.caller.name, self.name) != ("chat", "responses"):
            # A caller of chat cannot ask for a summary, and not every organisation may.
            self.assertEqual(said.thinking, scripts.REASONING)
        if self.name != "anthropic":
            self.assertEqual(said.reasoning, 30)

    @scenario("results that are out of order, missing or doubled", streams=(False,))
    def orphans(self, stream):
        """Callers that cut their history leave such; what can be mended reaches the provider, the rest is refused by us."""
        asked = self.ask("parallel", "What is it like?", tools=TOOLS)
        first, second, third = asked.calls
        pairs = [(third, "noon"), (first, "sun"), (second, "rain")]
        talk = [self.caller.user("What is it like?"), *self.caller.past(asked), *self.caller.results(pairs)]
        said = self.ask("parallel", talk, tools=TOOLS)
        for text in ("sun", "rain", "noon"):
            self.assertIn(text, said.text)

    @scenario("ids that only some providers take", streams=(False,), apis=("chat",))
    def strange_ids(self, stream):
        call = {"id": "functions.get_time:0", "type": "function", "function": {"name": "get_time", "arguments": ""}}
        talk = [{"role": "user", "content": "When?"}, {"role": "assistant", "content": "", "tool_calls": [call]},
                {"role": "tool", "tool_call_id": call["id"], "content": "noon"}]
        # The signature of a call that another model made is not to be had; no model that demands it is asked here.
        self.assertEqual(self.ask("noargs", talk, tools=[GET_TIME]).text, "The tools say: get_time: noon")


@spread
class Forms(Case):
    @scenario("structured output")
    def structured(self, stream):
        said = self.ask("json", "hello", form=Forecast, stream=stream)
        self.assertIsInstance(said.parsed, Forecast)
        self.assertEqual(said.parsed.mood.name, "calm")
        self.assertIsNotNone(self.seen().format)

    @scenario("any JSON", streams=(False,), apis=("chat",))
    def any_json(self, stream):
        said = self.ask("json", "hello in json", extra={"response_format": {"type": "json_object"}})
        self.assertIsInstance(json.loads(said.text), dict)


@spread
class Media(Case):
    @scenario("a picture")
    def picture(self, stream):
        said = self.ask("vision", [self.caller.user("What is it?", Medium("image/png", PNG))], stream=stream)
        self.assertEqual(said.text, f"I see: image/png {len(PNG)}")

    @scenario("a PDF", streams=(False,))
    def pdf(self, stream):
        said = self.ask("vision", [self.caller.user("What is it?", Medium("application/pdf", PDF))])
        self.assertIn(f"application/pdf {len(PDF)}", said.text)

    @scenario("a picture by URL", streams=(False,), providers=("chat", "responses", "anthropic"))
    def by_url(self, stream):
        url = "https://example.com/a.png?b=c"
        part = {"chat": {"type": "image_url", "image_url": {"url": url}}, "responses": {"type": "input_image", "image_url": url, "detail": "auto"},
                "messages": {"type": "image", "source": {"type": "url", "url": url}}}[self.caller.name]
        said = self.ask("vision", [{"role": "user", "content": [part]}])
        self.assertEqual(said.text, f"I see: url {len(url)}")

    @scenario("a picture as a tool's result", streams=(False,), apis=("responses", "messages"))
    def in_a_result(self, stream):
        asked = self.ask("tools", "hello", tools=[GET_WEATHER])
        picture, (call,) = Medium("image/png", PNG), asked.calls
        results = [{"type": "function_call_output", "call_id": call.id, "output": [
            {"type": "input_text", "text": "A map:"}, {"type": "input_image", "image_url": picture.url, "detail": "auto"}]}]
        if self.caller.name == "messages":
            results = [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": [
                {"type": "text", "text": "A map:"},
                {"type": "image", "source": {"type": "base64", "media_type": picture.mime, "data": picture.base64}}]}]}]
        self.ask("tools", [self.caller.user("hello"), *self.caller.past(asked), *results], tools=[GET_WEATHER])
        seen = self.seen()
        media = [*seen.media, *(medium for result in seen.results for medium in result.media)]
        self.assertEqual([(each.mime, each.size) for each in media], [("image/png", len(PNG))])


if __name__ == "__main__":
    unittest.main()
