"""The scripted upstream can say no: what a provider refuses is refused, what a provider takes is taken.

Run by `run` before the agents, since a judge who never condemns proves nothing.
"""

import copy
import email.message
import unittest

from play import TASK, Play
from upstream import WIRES
from wire import Refused

SECRETS = ["begin-one-end", "begin-two-end"]
SCHEMA = {"type": "object", "properties": {"cmd": {"type": "string"}}, "required": ["cmd"]}
PATHS = {"openai-chat": "/v1/chat/completions", "openai-responses": "/v1/responses", "anthropic": "/v1/messages",
         "gemini": "/v1beta/models/m:generateContent"}


def first(dialect):
    """A request for the task."""
    return {
        "openai-chat": {"model": "m", "messages": [{"role": "user", "content": TASK}],
                        "tools": [{"type": "function", "function": {"name": "exec_command", "parameters": SCHEMA}}]},
        "openai-responses": {"model": "m", "input": [{"role": "user", "content": TASK}], "store": False,
                             "include": ["reasoning.encrypted_content"],
                             "tools": [{"type": "function", "name": "exec_command", "parameters": SCHEMA}]},
        "anthropic": {"model": "m", "max_tokens": 4000, "thinking": {"type": "enabled", "budget_tokens": 2000},
                      "messages": [{"role": "user", "content": TASK}],
                      "tools": [{"name": "exec_command", "input_schema": SCHEMA}]},
        "gemini": {"contents": [{"role": "user", "parts": [{"text": TASK}]}],
                   "tools": [{"functionDeclarations": [{"name": "exec_command", "parameters": SCHEMA}]}]},
    }[dialect]


def second(dialect, turn):
    """The request with the results of the first turn's calls."""
    body = first(dialect)
    made = list(zip(turn.calls, SECRETS))
    if dialect == "openai-chat":
        calls = [{"id": call.id, "type": "function",
                  "function": {"name": call.name, "arguments": f'{{"cmd": "{call.arguments["cmd"]}"}}'}}
                 for call, _ in made]
        body["messages"].append({"role": "assistant", "content": turn.say, "tool_calls": calls})
        body["messages"] += [{"role": "tool", "tool_call_id": call.id, "content": text} for call, text in made]
    elif dialect == "openai-responses":
        body["input"].append({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": turn.proof})
        body["input"] += [{"type": "function_call", "call_id": call.id, "name": call.name,
                           "arguments": f'{{"cmd": "{call.arguments["cmd"]}"}}'} for call, _ in made]
        body["input"] += [{"type": "function_call_output", "call_id": call.id, "output": text} for call, text in made]
    elif dialect == "anthropic":
        thought = {"type": "thinking", "thinking": turn.thought, "signature": turn.proof}
        uses = [{"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments} for call, _ in made]
        results = [{"type": "tool_result", "tool_use_id": call.id, "content": text} for call, text in made]
        body["messages"] += [{"role": "assistant", "content": [thought, *uses]}, {"role": "user", "content": results}]
    else:
        parts = [{"functionCall": {"name": call.name, "args": call.arguments}} for call, _ in made]
        parts[0]["thoughtSignature"] = turn.proof
        responses = [{"functionResponse": {"name": call.name, "response": {"output": text}}} for call, text in made]
        body["contents"] += [{"role": "model", "parts": parts}, {"role": "user", "parts": responses}]
    return body


def call_of(body):
    """The first past call, as the dialect writes it."""
    if "contents" in body:
        return body["contents"][1]["parts"][0]
    if "input" in body:
        return next(item for item in body["input"] if item.get("type") == "function_call")
    message = body["messages"][1]
    return message["tool_calls"][0] if "tool_calls" in message else message["content"][1]


def last_of(body):
    return (body.get("contents") or body.get("input") or body.get("messages"))[-1]


def unknown_field(body):
    body["frobnicate"] = 1


def no_results(body):
    list_ = body.get("contents") or body.get("input") or body.get("messages")
    list_.pop()


def other_id(body):
    last = last_of(body)
    if "parts" in last:
        last["parts"][0]["functionResponse"]["name"] = "other"
    elif isinstance(last.get("content"), list):
        last["content"][0]["tool_use_id"] = "other"
    else:
        last["tool_call_id" if "tool_call_id" in last else "call_id"] = "other"


def other_name(body):
    call = call_of(body)
    (call.get("function") or call.get("functionCall") or call)["name"] = "write_stdin"


def other_arguments(body):
    call = call_of(body)
    inner = call.get("function") or call.get("functionCall") or call
    for field, value in (("arguments", '{"cmd": "ls"}'), ("input", {"cmd": "ls"}), ("args", {"cmd": "ls"})):
        if field in inner:
            inner[field] = value


def other_text(body):
    last = last_of(body)
    if "parts" in last:
        last["parts"][0]["functionResponse"]["response"] = {"output": "begin-0ne-end"}
    elif isinstance(last.get("content"), list):
        last["content"][0]["content"] = "begin-0ne-end"
    else:
        last["content" if "content" in last else "output"] = "begin-0ne-end"


def no_proof(body):
    if "contents" in body:
        del call_of(body)["thoughtSignature"]
    elif "input" in body:
        body["input"] = [item for item in body["input"] if item.get("type") != "reasoning"]
    else:
        del body["messages"][1]["content"][0]


def bad_tool_name(body):
    tool = body["tools"][0]
    inner = tool.get("function") or (tool.get("functionDeclarations") or [tool])[0]
    inner["name"] = "exec command!"


class Judge(unittest.TestCase):
    def judged(self, dialect, change=None):
        """What the play finds wrong when the second request is changed."""
        play = Play(dialect, "nonce", SECRETS, "cGljdHVyZQ==", "/folder")
        headers = email.message.Message()
        headers["anthropic-version"] = "2023-06-01"
        turn = play.next(WIRES[dialect].read(PATHS[dialect], headers, first(dialect)))
        self.assertEqual(len(turn.calls), 2)
        body = copy.deepcopy(second(dialect, turn))
        if change:
            change(body)
        try:
            play.next(WIRES[dialect].read(PATHS[dialect], headers, body))
        except Refused as refused:
            self.assertTrue(str(refused))
        return play.wrong

    def test_what_is_right_is_taken(self):
        for dialect in WIRES:
            with self.subTest(dialect):
                self.assertEqual(self.judged(dialect), [])

    def test_what_is_wrong_is_found(self):
        changes = [unknown_field, no_results, other_id, other_name, other_arguments, other_text, no_proof, bad_tool_name]
        for dialect in WIRES:
            for change in changes:
                if change is no_proof and dialect == "openai-chat":
                    continue            # There is none: reasoning_content is a courtesy.
                with self.subTest(dialect, change=change.__name__):
                    self.assertTrue(self.judged(dialect, change))


if __name__ == "__main__":
    unittest.main()
