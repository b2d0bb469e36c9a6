"""OpenAI Responses."""

import re

from . import Call, Result, Seen, Tool, Turn, compact, images_of, parsed, pieces, sse, text_of

PATHS = {"/v1/responses"}
# `client_metadata` is in no published list, but Codex sends it to OpenAI.
FIELDS = {
    "model", "input", "background", "client_metadata", "context_management", "conversation", "include", "instructions",
    "max_output_tokens", "max_tool_calls", "metadata", "moderation", "parallel_tool_calls", "previous_response_id",
    "prompt", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "reasoning", "safety_identifier",
    "service_tier", "store", "stream", "stream_options", "temperature", "text", "tool_choice", "tools",
    "top_logprobs", "top_p", "truncation", "user",
}
ITEM_FIELDS = {
    "message": {"role", "content", "id", "status", "phase"},
    "reasoning": {"id", "summary", "content", "encrypted_content", "status"},
    "function_call": {"id", "call_id", "name", "namespace", "arguments", "status"},
    "function_call_output": {"id", "call_id", "output", "status"},
    "custom_tool_call": {"id", "call_id", "name", "namespace", "input", "status"},
    "custom_tool_call_output": {"id", "call_id", "output", "status"},
    "additional_tools": {"id", "role", "tools"},
}
PREFIX = {"message": "msg", "reasoning": "rs", "function_call": "fc", "custom_tool_call": "ctc"}
HOSTED = {"web_search", "web_search_preview", "tool_search", "image_generation", "code_interpreter", "file_search", "mcp"}
NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")


def read(path, headers, body):
    seen = Seen(model=body.get("model"), stream=body.get("stream") is True)
    seen.known(body, FIELDS, "body")
    seen.parallel = body.get("parallel_tool_calls") is not False
    seen.may_think = True
    seen.encrypted = "reasoning.encrypted_content" in (body.get("include") or ())
    seen.stored = body.get("store") is not False
    for tool in body.get("tools") or []:
        declared(seen, tool)
    seen.text += body.get("instructions") or ""
    given = body.get("input")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given or []
    seen.must(items, "no input")
    waiting = set()
    for item in items:
        one(seen, item, waiting)
    seen.must(not waiting, f"calls {sorted(waiting)} have no output")
    return seen


def declared(seen, tool, namespace=None):
    kind = tool.get("type")
    if kind == "namespace":
        for inner in tool.get("tools") or []:
            declared(seen, inner, tool.get("name"))
    elif kind in ("function", "custom"):
        allowed = {"parameters", "strict", "defer_loading"} if kind == "function" else {"format", "defer_loading"}
        seen.known(tool, allowed | {"type", "name", "description"}, f"{kind} tool")
        seen.must(NAME.fullmatch(tool.get("name") or ""), f"tool name {tool.get('name')!r}")
        schema = tool.get("parameters") or {}
        if tool.get("strict"):
            seen.must(schema.get("additionalProperties") is False, f"strict schema of {tool.get('name')} is open")
        takes = frozenset(schema.get("properties") or {})
        seen.tools.append(Tool(tool["name"], kind == "custom", takes, namespace))
    else:
        seen.must(kind in HOSTED, f"tool type {kind!r}")


def one(seen, item, waiting):
    kind = item.get("type", "message")
    if not seen.must(kind in ITEM_FIELDS, f"item {kind!r}"):
        return
    seen.known(item, ITEM_FIELDS[kind] | {"type"}, f"{kind} item")
    if item.get("id") and kind in PREFIX:
        seen.must(item["id"].startswith(PREFIX[kind]), f"id {item['id']!r} of a {kind} item")
    if kind == "message":
        message(seen, item)
    elif kind == "additional_tools":
        for tool in item.get("tools") or []:
            declared(seen, tool)
    elif kind == "reasoning":
        seen.must(item.get("encrypted_content") or seen.stored, "a reasoning item of which nothing is stored")
        seen.proofs.append(item.get("encrypted_content"))
    elif kind.endswith("_call"):
        custom = kind == "custom_tool_call"
        arguments = item.get("input") if custom else parsed(seen, item.get("arguments"), f"call {item.get('name')}")
        seen.calls.append(Call(item.get("call_id"), item.get("name"), arguments, item.get("namespace")))
        seen.must(item.get("call_id") not in waiting, f"call {item.get('call_id')!r} twice")
        waiting.add(item.get("call_id"))
    else:
        seen.must(item.get("call_id") in waiting, f"output for {item.get('call_id')!r}, which waits for none")
        waiting.discard(item.get("call_id"))
        seen.images += images_of(item.get("output"))
        seen.results.append(Result(item.get("call_id"), None, text_of(item.get("output"))))


def message(seen, item):
    role, content = item.get("role"), item.get("content")
    seen.must(role in ("user", "assistant", "system", "developer"), f"role {role!r}")
    allowed = {"output_text", "refusal"} if role == "assistant" else {"input_text", "input_image", "input_file"}
    for part in content if isinstance(content, list) else ():
        seen.must(part.get("type") in allowed, f"part {part.get('type')!r} in a message of {role}")
    seen.images += images_of(content)
    if role != "assistant":
        seen.text += text_of(content)


def answer(turn: Turn, seen: Seen):
    items = []
    if turn.thought:
        items.append({"type": "reasoning", "id": f"rs_{turn.number}",
                      "summary": [{"type": "summary_text", "text": turn.thought}],
                      "encrypted_content": turn.proof if seen.encrypted else None})
    if turn.say:
        part = {"type": "output_text", "text": turn.say, "annotations": [], "logprobs": []}
        items.append({"type": "message", "id": f"msg_{turn.number}", "role": "assistant", "status": "completed",
                      "content": [part]})
    items += [called(turn, index, call) for index, call in enumerate(turn.calls)]
    response = {
        "id": f"resp_{turn.number}", "object": "response", "created_at": 1, "status": "in_progress", "error": None,
        "incomplete_details": None, "instructions": None, "metadata": {}, "model": seen.model, "output": [],
        "parallel_tool_calls": seen.parallel, "temperature": 1.0, "tool_choice": "auto", "tools": [], "top_p": 1.0,
        "usage": None,
    }
    usage = {"input_tokens": 50, "output_tokens": 20, "total_tokens": 70,
             "input_tokens_details": {"cached_tokens": 7, "cache_write_tokens": 0},
             "output_tokens_details": {"reasoning_tokens": 5}}
    done = response | {"status": "completed", "output": items, "usage": usage}
    if not seen.stream:
        return compact(done).encode()
    events = [{"type": "response.created", "response": response}, {"type": "response.in_progress", "response": response}]
    for index, item in enumerate(items):
        events += streamed(index, item)
    events.append({"type": "response.completed", "response": done})
    return sse([event | {"sequence_number": number} for number, event in enumerate(events)])


def called(turn, index, call):
    where = {"namespace": call.namespace} if call.namespace else {}
    if isinstance(call.arguments, str):
        return {"type": "custom_tool_call", "id": f"ctc_{turn.number}_{index}", "call_id": call.id, "name": call.name,
                "input": call.arguments, "status": "completed"} | where
    return {"type": "function_call", "id": f"fc_{turn.number}_{index}", "call_id": call.id, "name": call.name,
            "arguments": compact(call.arguments), "status": "completed"} | where


def streamed(index, item):
    """The events of one item, in the order that the official SDK demands."""
    at = {"output_index": index}
    on = at | {"item_id": item["id"]}
    kind = item["type"]
    begun = item | {"reasoning": {"summary": []}, "message": {"content": [], "status": "in_progress"},
                    "function_call": {"arguments": "", "status": "in_progress"},
                    "custom_tool_call": {"input": "", "status": "in_progress"}}[kind]
    yield at | {"type": "response.output_item.added", "item": begun}
    if kind == "reasoning":
        part, on = item["summary"][0], on | {"summary_index": 0}
        yield on | {"type": "response.reasoning_summary_part.added", "part": part | {"text": ""}}
        for delta in pieces(part["text"]):
            yield on | {"type": "response.reasoning_summary_text.delta", "delta": delta}
        yield on | {"type": "response.reasoning_summary_text.done", "text": part["text"]}
        yield on | {"type": "response.reasoning_summary_part.done", "part": part}
    elif kind == "message":
        part, on = item["content"][0], on | {"content_index": 0}
        yield on | {"type": "response.content_part.added", "part": part | {"text": ""}}
        for delta in pieces(part["text"]):
            yield on | {"type": "response.output_text.delta", "delta": delta, "logprobs": []}
        yield on | {"type": "response.output_text.done", "text": part["text"], "logprobs": []}
        yield on | {"type": "response.content_part.done", "part": part}
    else:
        name, field = (("function_call_arguments", "arguments") if kind == "function_call"
                       else ("custom_tool_call_input", "input"))
        for delta in pieces(item[field], 5):
            yield on | {"type": f"response.{name}.delta", "delta": delta}
        yield on | {"type": f"response.{name}.done", field: item[field]}
    yield at | {"type": "response.output_item.done", "item": item}


def error(status, message):
    return compact({"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}).encode()
