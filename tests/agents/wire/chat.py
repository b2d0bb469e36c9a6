"""OpenAI Chat Completions."""

import re

from . import Call, Result, Seen, Tool, Turn, compact, images_of, parsed, pieces, sse, text_of

PATHS = {"/v1/chat/completions"}
FIELDS = {
    "model", "messages", "audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs",
    "max_completion_tokens", "max_tokens", "metadata", "modalities", "moderation", "n", "parallel_tool_calls",
    "prediction", "presence_penalty", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention",
    "reasoning_effort", "response_format", "safety_identifier", "seed", "service_tier", "stop", "store", "stream",
    "stream_options", "temperature", "tool_choice", "tools", "top_logprobs", "top_p", "user", "verbosity",
    "web_search_options",
}
# `reasoning_content` is no field of OpenAI's, but of those who serve open models.
MESSAGE_FIELDS = {
    "system": {"content", "name"},
    "developer": {"content", "name"},
    "user": {"content", "name"},
    "assistant": {"content", "name", "refusal", "tool_calls", "audio", "function_call", "reasoning_content"},
    "tool": {"content", "tool_call_id"},
}
PARTS = {
    "system": {"text"}, "developer": {"text"}, "tool": {"text"}, "assistant": {"text", "refusal"},
    "user": {"text", "image_url", "input_audio", "file"},
}
NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def read(path, headers, body):
    seen = Seen(model=body.get("model"), stream=body.get("stream") is True)
    seen.known(body, FIELDS, "body")
    seen.must("max_tokens" not in body or "max_completion_tokens" not in body, "both kinds of max tokens")
    seen.parallel = body.get("parallel_tool_calls") is not False
    seen.may_think = True
    tools = body.get("tools")
    seen.must(tools is None or tools, "tools: [] is too short")
    for tool in tools or []:
        declared(seen, tool)
    if not tools:
        seen.must("tool_choice" not in body and "parallel_tool_calls" not in body, "tool options without tools")
    messages(seen, body.get("messages") or [])
    return seen


def declared(seen, tool):
    kind = tool.get("type")
    if not seen.must(kind in ("function", "custom"), f"tool type {kind!r}"):
        return
    inner = tool.get(kind) or {}
    seen.known(tool, {"type", kind}, "tool")
    allowed = {"name", "description", "parameters", "strict"} if kind == "function" else {"name", "description", "format"}
    seen.known(inner, allowed, f"{kind} tool")
    name = inner.get("name") or ""
    seen.must(NAME.fullmatch(name), f"tool name {name!r}")
    schema = inner.get("parameters") or {"type": "object"}
    seen.must(schema.get("type") == "object", f"parameters of {name}")
    seen.tools.append(Tool(name, kind == "custom", frozenset(schema.get("properties") or {})))


def messages(seen, turns):
    seen.must(turns, "no messages")
    waiting = []
    for message in turns:
        role = message.get("role")
        if not seen.must(role in MESSAGE_FIELDS, f"role {role!r}"):
            continue
        seen.known(message, MESSAGE_FIELDS[role] | {"role"}, f"{role} message")
        content = message.get("content")
        seen.images += images_of(content)
        for part in content if isinstance(content, list) else ():
            seen.must(part.get("type") in PARTS[role], f"part {part.get('type')!r} in a {role} message")
        if role == "tool":
            name = message.get("tool_call_id")
            if seen.must(name in waiting, f"a tool message for {name!r}, which waits for none"):
                waiting.remove(name)
            seen.results.append(Result(name, None, text_of(content)))
            continue
        seen.must(not waiting, f"calls {waiting} are followed by {role}, not by their results")
        if role != "assistant":
            seen.text += text_of(content)
            continue
        waiting = [called(seen, call) for call in message.get("tool_calls") or []]
        seen.must(waiting or content, "an assistant message with neither content nor calls")
        if message.get("reasoning_content"):
            seen.proofs.append(message["reasoning_content"])
    seen.must(not waiting, f"calls {waiting} have no result")


def called(seen, call):
    kind = call.get("type")
    inner = call.get(kind) or {}
    seen.known(call, {"id", "type", kind}, "tool call")
    if kind == "custom":
        arguments = inner.get("input")
    else:
        arguments = parsed(seen, inner.get("arguments"), f"call {inner.get('name')}")
    seen.must(NAME.fullmatch(inner.get("name") or ""), f"call of {inner.get('name')!r}")
    seen.must(call.get("id"), "a call without id")
    seen.calls.append(Call(call.get("id"), inner.get("name"), arguments))
    return call.get("id")


def answer(turn: Turn, seen: Seen):
    finish = "tool_calls" if turn.calls else "stop"
    usage = {
        "prompt_tokens": 50, "completion_tokens": 20, "total_tokens": 70,
        "prompt_tokens_details": {"cached_tokens": 7, "cache_write_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 5, "audio_tokens": 0, "accepted_prediction_tokens": 0,
                                      "rejected_prediction_tokens": 0},
    }
    frame = {"id": f"chatcmpl-{turn.number}", "created": 1, "model": seen.model}
    calls = [whole(call) for call in turn.calls]
    if not seen.stream:
        message = {"role": "assistant", "content": turn.say or None, "refusal": None}
        message |= {"reasoning_content": turn.thought} if turn.thought else {}
        message |= {"tool_calls": calls} if calls else {}
        choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
        return compact(frame | {"object": "chat.completion", "choices": [choice], "usage": usage}).encode()
    deltas = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning_content": part} for part in pieces(turn.thought)] if turn.thought else []
    deltas += [{"content": part} for part in pieces(turn.say)] if turn.say else []
    deltas += interleaved(calls)
    frame["object"] = "chat.completion.chunk"
    chunks = [frame | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks.append(frame | {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    chunks.append(frame | {"choices": [], "usage": usage})
    return b": scripted\n\n" + sse(chunks, named=False, last="data: [DONE]\n\n")


def whole(call):
    if isinstance(call.arguments, str):
        return {"id": call.id, "type": "custom", "custom": {"name": call.name, "input": call.arguments}}
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": compact(call.arguments)}}


def interleaved(calls):
    """All calls open at once and their arguments piece by piece in turn: `index` alone says whose a piece is."""
    rest = []
    for index, call in enumerate(calls):
        kind = call["type"]
        field = "arguments" if kind == "function" else "input"
        yield {"tool_calls": [call | {"index": index, kind: call[kind] | {field: ""}}]}
        rest.append([{"index": index, kind: {field: part}} for part in pieces(call[kind][field], 4)])
    while any(rest):
        for parts in rest:
            if parts:
                yield {"tool_calls": [parts.pop(0)]}


def error(status, message):
    return compact({"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}).encode()
