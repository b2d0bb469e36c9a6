"""Anthropic Messages."""

import re

from . import Call, Result, Seen, Tool, Turn, compact, images_of, pieces, sse, text_of

PATHS = {"/v1/messages"}
FIELDS = {
    "model", "messages", "system", "tools", "tool_choice", "metadata", "max_tokens", "thinking", "stream",
    "output_config", "temperature", "top_p", "top_k", "stop_sequences", "service_tier", "cache_control",
    "container", "inference_geo", "speed",
}
TOOL_FIELDS = {
    "name", "description", "input_schema", "cache_control", "type", "strict", "defer_loading", "input_examples",
    "eager_input_streaming", "allowed_callers",
}
BLOCK_FIELDS = {
    "text": {"text", "cache_control", "citations"},
    "thinking": {"thinking", "signature"},
    "redacted_thinking": {"data"},
    "tool_use": {"id", "name", "input", "cache_control", "caller"},
    "tool_result": {"tool_use_id", "content", "is_error", "cache_control"},
    "image": {"source", "cache_control"},
    "document": {"source", "title", "context", "citations", "cache_control"},
}
ID = re.compile(r"[a-zA-Z0-9_-]+")
NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")


def read(path, headers, body):
    seen = Seen(model=body.get("model"), stream=body.get("stream") is True)
    betas = headers.get("anthropic-beta") or ""
    seen.must(headers.get("anthropic-version"), "no anthropic-version")
    seen.known(body, FIELDS | ({"context_management"} if "context-management-" in betas else set()), "body")
    seen.must(isinstance(body.get("max_tokens"), int), "max_tokens is required")
    thinking(seen, body)
    for tool in body.get("tools") or []:
        declared(seen, tool)
    if choice := body.get("tool_choice"):
        seen.must(body.get("tools"), "tool_choice without tools")
        seen.parallel = not choice.get("disable_parallel_tool_use")
    messages(seen, body.get("messages") or [])
    seen.text += text_of(body.get("system"))
    return seen


def thinking(seen, body):
    asked = body.get("thinking") or {"type": "disabled"}
    seen.may_think = asked.get("type") != "disabled"
    if not seen.may_think:
        return
    if asked["type"] == "enabled":
        budget = asked.get("budget_tokens")
        seen.must(isinstance(budget, int) and 1024 <= budget < body.get("max_tokens", 0), f"thinking budget {budget}")
    seen.must(body.get("temperature") in (None, 1), "thinking with a temperature")
    seen.must((body.get("tool_choice") or {}).get("type") in (None, "auto", "none"), "thinking with a forced tool")


def declared(seen, tool):
    if tool.get("type", "custom") != "custom":
        return                              # Anthropic's own tools have fields of their own.
    seen.known(tool, TOOL_FIELDS, "tool")
    name, schema = tool.get("name", ""), tool.get("input_schema")
    seen.must(NAME.fullmatch(name), f"tool name {name!r}")
    if seen.must(isinstance(schema, dict) and schema.get("type") == "object", f"input_schema of {name}"):
        seen.tools.append(Tool(name, takes=frozenset(schema.get("properties") or {})))


def messages(seen, turns):
    seen.must(turns and turns[0].get("role") == "user", "the first message is not the user's")
    open_calls = []
    for message in turns:
        role, content = message.get("role"), message.get("content")
        seen.known(message, {"role", "content"}, "message")
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
        seen.must(role in ("user", "assistant", "system"), f"role {role!r}")
        seen.must(blocks, "a message is empty")
        for block in blocks:
            one(seen, role, block)
        results = [block.get("tool_use_id") for block in blocks if block.get("type") == "tool_result"]
        if open_calls or results:
            seen.must(role == "user" and sorted(results) == sorted(open_calls),
                      f"calls {open_calls} are followed by {role} with results for {results}")
            kinds = [block.get("type") for block in blocks]
            seen.must("tool_result" in kinds[:1], "tool results do not come first in their message")
        open_calls = [block.get("id") for block in blocks if block.get("type") == "tool_use"]
        if open_calls and seen.may_think:
            seen.must(blocks[0].get("type") in ("thinking", "redacted_thinking"),
                      "thinking is on, but a turn with tool_use does not start with a thinking block")
    seen.must(not open_calls, f"calls {open_calls} have no result")


def one(seen, role, block):
    kind = block.get("type")
    if not seen.must(kind in BLOCK_FIELDS, f"block {kind!r}"):
        return
    seen.known(block, BLOCK_FIELDS[kind] | {"type"}, f"{kind} block")
    if kind == "text":
        seen.must(block.get("text"), "an empty text block")
        if role != "assistant":
            seen.text += block.get("text") or ""
    elif kind == "thinking":
        seen.must(role == "assistant" and block.get("signature"), "a thinking block without signature")
        seen.proofs.append(block.get("signature"))
    elif kind == "tool_use":
        seen.must(role == "assistant" and ID.fullmatch(block.get("id") or ""), f"tool_use id {block.get('id')!r}")
        seen.must(isinstance(block.get("input"), dict), "tool_use input is no object")
        seen.calls.append(Call(block.get("id"), block.get("name"), block.get("input")))
    elif kind == "tool_result":
        content = block.get("content")
        seen.images += images_of(content)
        seen.results.append(Result(block.get("tool_use_id"), None, text_of(content), block.get("is_error") is True))
    elif kind == "image":
        seen.images += images_of([block])


def answer(turn: Turn, seen: Seen):
    blocks = []
    if turn.thought and seen.may_think:
        blocks.append({"type": "thinking", "thinking": turn.thought, "signature": turn.proof})
    if turn.say:
        blocks.append({"type": "text", "text": turn.say})
    blocks += [{"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments} for call in turn.calls]
    usage = {"input_tokens": 40, "cache_creation_input_tokens": 3, "cache_read_input_tokens": 7, "output_tokens": 1,
             "service_tier": "standard"}
    message = {"id": f"msg_{turn.number}", "type": "message", "role": "assistant", "model": seen.model, "content": [],
               "stop_reason": None, "stop_sequence": None, "usage": usage}
    stop = {"stop_reason": "tool_use" if turn.calls else "end_turn", "stop_sequence": None}
    if not seen.stream:
        return compact(message | stop | {"content": blocks, "usage": usage | {"output_tokens": 20}}).encode()
    events = [{"type": "message_start", "message": message}, {"type": "ping"}]
    for index, block in enumerate(blocks):
        events += streamed(index, block)
    events.append({"type": "message_delta", "delta": stop, "usage": {"output_tokens": 20}})
    return sse(events + [{"type": "message_stop"}])


def streamed(index, block):
    if block["type"] == "thinking":
        start = block | {"thinking": "", "signature": ""}
        deltas = [{"type": "thinking_delta", "thinking": part} for part in pieces(block["thinking"])]
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
    elif block["type"] == "text":
        start = block | {"text": ""}
        deltas = [{"type": "text_delta", "text": part} for part in pieces(block["text"])]
    else:
        start = block | {"input": {}}
        parts = ["", *pieces(compact(block["input"]), 5)]
        deltas = [{"type": "input_json_delta", "partial_json": part} for part in parts]
    yield {"type": "content_block_start", "index": index, "content_block": start}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}


def error(status, message):
    kind = "invalid_request_error" if status == 400 else "not_found_error"
    return compact({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_scripted"}).encode()
