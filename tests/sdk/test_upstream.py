"""The scripted provider by itself: the SDKs find it faithful, and it refuses what the real ones refuse."""

import json
import unittest
import urllib.error
import urllib.request

import test_apis
from harness import UPSTREAM_KEY
from matrix import World, direct
from upstream import Upstream


def setUpModule():
    World.upstream = Upstream(UPSTREAM_KEY)
    unittest.addModuleCleanup(World.upstream.stop)


Talk, Tools, Forms, Media = (direct(each, __name__) for each in (test_apis.Talk, test_apis.Tools, test_apis.Forms, test_apis.Media))


class Refusals(unittest.TestCase):
    """What each provider refuses, with a word of its reason. The request before is one that it takes."""

    def refused(self, dialect, path, body, *words, headers=None, status=400):
        code, reply = self.post(dialect, path, body, headers)
        self.assertEqual(code, status, reply)
        for word in words:
            self.assertIn(word, str(reply))
        return reply

    def taken(self, dialect, path, body, headers=None):
        code, reply = self.post(dialect, path, body, headers)
        self.assertEqual(code, 200, reply)

    def post(self, dialect, path, body, headers=None):
        usual = {"anthropic": {"x-api-key": UPSTREAM_KEY, "anthropic-version": "2023-06-01"}, "gemini": {"x-goog-api-key": UPSTREAM_KEY}}
        sent = usual.get(dialect, {"authorization": f"Bearer {UPSTREAM_KEY}"}) if headers is None else headers
        request = urllib.request.Request(f"{World.upstream.origin}/{path}", json.dumps(body).encode(), {"content-type": "application/json"} | sent)
        try:
            with urllib.request.urlopen(request, timeout=20) as reply:
                return reply.status, json.load(reply)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def each(self, dialect, path, good, table, headers=None):
        """`table`: what is changed of the good body (`None` takes it away), and words of the refusal."""
        self.taken(dialect, path, good, headers)
        for change, *words in table:
            with self.subTest(f"{dialect}: {change}"):
                body = {key: value for key, value in (good | change).items() if value is not None}
                self.refused(dialect, path, body, *words, headers=headers)

    def test_keys(self):
        hello = {"model": "m", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 5}
        bearer, old = {"authorization": f"Bearer {UPSTREAM_KEY}"}, {"anthropic-version": "2023-06-01"}
        self.refused("anthropic", "anthropic/v1/messages", hello, "x-api-key", headers=bearer | old, status=401)
        self.taken("anthropic", "anthropic/v1/messages", hello, headers=bearer | {"anthropic-version": "2026-10-21"})
        self.refused("anthropic", "anthropic/v1/messages", hello, "anthropic-version", headers={"x-api-key": UPSTREAM_KEY})
        self.refused("gemini", "gemini/v1beta/models/m:generateContent", {}, "OAuth", headers=bearer, status=401)
        self.refused("chat", "openai/v1/chat/completions", hello, "API key", headers={"x-api-key": UPSTREAM_KEY}, status=401)

    def test_chat(self):
        user, call = {"role": "user", "content": "hello"}, {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        asked, result = {"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "a", "content": "x"}
        strict = {"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": {"type": "object", "properties": {"a": {"type": "string"}}}}}
        self.each("chat", "openai/v1/chat/completions", {"model": "gpt-4.1", "messages": [user]}, [
            ({"top_k": 3}, "top_k", "unknown_parameter"), ({"messages": None}, "missing_required_parameter"), ({"temperature": "1"}, "invalid_type"),
            ({"messages": [user | {"cache_control": {}}]}, "messages[0].cache_control"), ({"stop": list("abcde")}, "stop"),
            ({"stream_options": {"include_usage": True}}, "stream_options"), ({"tool_choice": "auto"}, "tools"), ({"tools": []}, "tools"),
            ({"model": "gpt-5", "max_tokens": 5}, "max_completion_tokens"), ({"model": "o3", "temperature": 0.5}, "temperature"),
            ({"reasoning_effort": "low"}, "reasoning_effort"), ({"messages": [user, asked]}, "did not have response"),
            ({"messages": [user, result]}, "preceeding"), ({"messages": [user, asked, result, result]}, "Duplicate"),
            ({"tools": [{"type": "function", "function": {"name": "a.b"}}]}, "pattern"), ({"response_format": strict}, "additionalProperties"),
            ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}]}, "image"),
            ({"messages": [user, asked | {"tool_calls": [call | {"id": "a" * 65}]}]}, "too long")])

    def test_responses(self):
        user, call = {"role": "user", "content": "hello"}, {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"}
        result = {"type": "function_call_output", "call_id": "a", "output": "x"}
        thought = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "forged"}
        self.each("responses", "openai/v1/responses", {"model": "gpt-4.1", "input": [user]}, [
            ({"stop": ["x"]}, "Unknown parameter: 'stop'"), ({"messages": [user]}, "messages"), ({"input": None}, "input"),
            ({"max_output_tokens": 5}, "16"), ({"model": "gpt-5", "temperature": 1}, "temperature"), ({"input": [user, call]}, "No tool output"),
            ({"input": [user, result]}, "No tool call"), ({"input": [user, call, result, result]}, "Duplicate"),
            ({"input": [{"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}]}, "input_text"),
            ({"input": [user, call | {"id": "call_1"}, result]}, "begins with 'fc'"), ({"input": [user, thought, call, result]}, "verified"),
            ({"input": [user, thought]}, "following item"), ({"previous_response_id": "resp_x"}, "not found"),
            ({"stream_options": {"include_usage": True}}, "include_usage"), ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools[0]")])

    def test_anthropic(self):
        user, use = {"role": "user", "content": "hello"}, {"type": "tool_use", "id": "a", "name": "f", "input": {}}
        asked, result = {"role": "assistant", "content": [use]}, {"type": "tool_result", "tool_use_id": "a", "content": "x"}
        answers = lambda *blocks: {"messages": [user, asked, {"role": "user", "content": list(blocks)}]}
        thinking, tool = {"type": "enabled", "budget_tokens": 1024}, {"name": "f", "input_schema": {"type": "object"}}
        forged = {"role": "assistant", "content": [{"type": "thinking", "thinking": "x", "signature": "y"}, {"type": "text", "text": "z"}]}
        schema = {"type": "object", "properties": {}}
        self.each("anthropic", "anthropic/v1/messages", {"model": "claude-sonnet-4-5", "max_tokens": 2000, "messages": [user]}, [
            ({"max_tokens": None}, "max_tokens: Field required"), ({"n": 1}, "Extra inputs"), ({"messages": []}, "messages"),
            ({"messages": [{"role": "user", "content": ""}]}, "non-empty"), ({"messages": [{"role": "user", "content": [{"type": "text", "text": " "}]}]}, "non-whitespace"),
            ({"messages": [{"role": "assistant", "content": "x"}]}, "first message"), ({"messages": [user, asked]}, "without `tool_result`"),
            (answers({"type": "text", "text": "x"}), "without `tool_result`"), (answers(result, result), "multiple"),
            (answers(result | {"tool_use_id": "b"}), "unexpected"), (answers({"type": "text", "text": "x"}, result), "without `tool_result`"),
            ({"messages": [user, {"role": "assistant", "content": [use | {"id": "a:0"}]}]}, "pattern"),
            ({"messages": [user, {"role": "assistant", "content": [use | {"input": "{}"}]}]}, "dictionary"),
            ({"thinking": thinking | {"budget_tokens": 1000}}, "1024"), ({"thinking": thinking, "max_tokens": 1024}, "greater than"),
            ({"thinking": thinking, "tools": [tool], "tool_choice": {"type": "any"}}, "forces"), ({"thinking": thinking, "temperature": 0.5}, "temperature"),
            ({"messages": [user, forged, user]}, "Invalid `signature`"), (answers(result) | {"thinking": thinking}, "Expected `thinking`"),
            ({"tool_choice": {"type": "auto"}}, "tools"), ({"tools": [{"name": "f", "input_schema": {}}]}, "input_schema.type"),
            ({"stop_sequences": ["\n"]}, "whitespace"), ({"output_config": {"format": {"type": "json_schema", "schema": schema}}}, "additionalProperties"),
            ({"system": [{"type": "text", "text": str(n), "cache_control": {"type": "ephemeral"}} for n in range(5)]}, "maximum of 4")])
        new = {"x-api-key": UPSTREAM_KEY, "anthropic-version": "2026-10-21"}
        self.each("anthropic", "anthropic/v1/messages", {"model": "claude-sonnet-4-5", "max_tokens": 2000, "messages": [user]}, [
            ({name: 1}, f"{name}: Extra inputs are not permitted") for name in ("temperature", "top_p", "top_k")], headers=new)

    def test_gemini(self):
        user = {"role": "user", "parts": [{"text": "hello"}]}
        call = {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]}
        result = {"functionResponse": {"name": "f", "response": {"output": "x"}}}
        tools = lambda schema: {"tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "object", "properties": {"a": schema}}}]}]}
        answers = lambda *parts: {"contents": [user, call, {"role": "user", "parts": list(parts)}]}
        signed = {"role": "model", "parts": [{"text": "x", "thoughtSignature": "Zm9yZ2Vk"}]}
        good, path = {"contents": [user]}, "gemini/v1beta/models/gemini-3-pro:generateContent"
        self.each("gemini", path.replace("3-pro", "2.5-flash"), answers(result), [
            (answers(result, result), "number of function response"), (answers({"functionResponse": {"name": "g", "response": {}}}), "names"),
            (answers({"text": "x"}), "number of function response"), ({"contents": [user, call]}, "end with a user role")])
        self.each("gemini", path, good, [
            ({"messages": []}, "Cannot find field"), ({"contents": []}, "contents is not specified"), ({"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]}, "valid role"),
            (tools({"type": "string", "$schema": "x"}), "$schema"), (tools({"$ref": "#/a"}), "$ref"), (tools({"type": ["string", "null"]}), "not repeating"),
            (tools({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}), "additionalProperties"),
            (tools({"type": "string", "format": "uri"}), "date-time"), (tools({"type": "integer", "enum": [1]}), "enum"), (tools({"type": "object"}), "non-empty"),
            (tools({"type": "string", "const": "x"}), "const"), ({"contents": [user, signed, user]}, "Thought signature is not valid"),
            (answers(result), "missing a thought_signature"), ({"contents": [{"role": "user", "parts": [{"text": ""}, {}]}]}, "oneof"),
            ({"generationConfig": {"stopSequences": list("abcdef")}}, "stop"), ({"generationConfig": {"responseSchema": {"type": "object", "properties": {"a": {"type": "string"}}}}}, "mime"),
            ({"generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW", "thinkingBudget": 1}}}, "only one")])


if __name__ == "__main__":
    unittest.main()
