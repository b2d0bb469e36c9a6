"""Whether a body or a stream is what the official SDKs' own types say: nothing missing, nothing coerced, no unknown word."""

import functools
import json
import typing

import anthropic.types
import openai.types.chat
import openai.types.responses
import pydantic

ANTHROPIC_ERROR = {"type", "error", "request_id"}


def problems(exchange):
    """All that is wrong with a reply, as texts."""
    if exchange.status != 200:
        return error_problems(exchange)
    api = exchange.path.partition("/v1/")[2]
    if exchange.streamed:
        return {"chat/completions": chat_stream, "responses": responses_stream, "messages": messages_stream}[api](exchange.frames())
    whole = WHOLE.get(api)
    return fits(whole, bytes(exchange.raw)) if whole else []


@functools.cache
def adapter(kind):
    return pydantic.TypeAdapter(kind)


def fits(kind, raw, where="body"):
    """What the type finds wrong, without the members of a union that were never meant."""
    try:
        adapter(kind).validate_json(raw, strict=True)
    except pydantic.ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
        # A member of a union whose `type` does not fit is not the one that was written.
        others = {fault["loc"][:-1] for fault in faults if fault["type"] == "literal_error" and fault["loc"][-1] in ("type", "role")}
        meant = [fault for fault in faults if not any(fault["loc"][:len(other)] == other for other in others)] or faults[:3]
        return [f"{where}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in meant[:5]]
    return []


WHOLE = {
    "chat/completions": openai.types.chat.ChatCompletion, "responses": openai.types.responses.Response,
    "messages": anthropic.types.Message, "messages/count_tokens": anthropic.types.MessageTokensCount,
}


def error_problems(exchange):
    """An error has its API's envelope, whole."""
    try:
        body = exchange.json()
        error = body["error"]
    except (ValueError, KeyError, TypeError):
        return [f"an error without its envelope: {bytes(exchange.raw)!r:.200}"]
    if "/v1/messages" in exchange.path:
        right = body.get("type") == "error" and body.keys() <= ANTHROPIC_ERROR and {"type", "message"} <= error.keys()
    else:
        right = body.keys() == {"error"} and {"message", "type", "param", "code"} <= error.keys()
    return [] if right else [f"an error in the wrong envelope: {body}"]


@functools.cache
def members(union):
    """The types of a union by their `type`."""
    inside = typing.get_args(union)
    kinds = typing.get_args(inside[0]) if typing.get_origin(union) is typing.Annotated else inside
    return {word: kind for kind in kinds for word in typing.get_args(kind.model_fields["type"].annotation)}


def event_problems(union, name, data, extra=()):
    try:
        event = json.loads(data)
    except ValueError:
        return [f"an event that is not JSON: {data!r:.100}"]
    if event.get("type") != name:
        return [f"`event: {name}` with type {event.get('type')!r}"]
    if name in extra:
        return []
    kind = members(union).get(name)
    return fits(kind, data, name) if kind else [f"an unknown event {name!r}"]


def chat_stream(frames):
    found, ids = [], set()
    for name, data in frames:
        if name is not None:
            found.append(f"a chunk with `event: {name}`")
        if data == "[DONE]":
            continue
        chunk = json.loads(data)
        if "error" in chunk:
            if {"message", "type", "param", "code"} - chunk["error"].keys():
                found.append(f"an error that lacks fields: {chunk}")
            continue
        ids.add(chunk.get("id"))
        found += fits(openai.types.chat.ChatCompletionChunk, data, "chunk")
    failed = any('"error"' in data and "error" in json.loads(data) for _, data in frames if data != "[DONE]")
    if not failed and (not frames or frames[-1][1] != "[DONE]"):
        found.append("no [DONE] at the end")
    if failed and frames[-1][1] == "[DONE]":
        found.append("[DONE] after an error")
    return found + ([f"several ids: {ids}"] if len(ids) > 1 else [])


def responses_stream(frames):
    found = []
    for number, (name, data) in enumerate(frames):
        if data == "[DONE]":
            found.append("a [DONE], which this API does not have")
            continue
        # As it comes over the wire, an error is nested; the type shows it flat.
        found += event_problems(openai.types.responses.ResponseStreamEvent, name, data, extra=("error",))
        if json.loads(data).get("sequence_number") != number:
            found.append(f"{name}: sequence_number is {json.loads(data).get('sequence_number')}, not {number}")
    ends = [name for name, _ in frames if name in ("response.completed", "response.incomplete", "response.failed")]
    if len(ends) != 1 or frames[-1][0] != ends[0]:
        found.append(f"it ends with {[name for name, _ in frames[-2:]]}")
    if frames and frames[0][0] not in ("response.created", "error"):
        found.append(f"it begins with {frames[0][0]}")
    return found


def messages_stream(frames):
    found, open_block, following = [], None, 0
    for name, data in frames:
        found += event_problems(anthropic.types.RawMessageStreamEvent, name, data, extra=("ping", "error"))
        event = json.loads(data)
        index = event.get("index")
        if name == "content_block_start":
            if open_block is not None or index != following:
                found.append(f"block {index} starts while {open_block} is open and {following} is next")
            open_block, following = index, following + 1
        elif name in ("content_block_delta", "content_block_stop"):
            if index != open_block:
                found.append(f"{name} of {index} while {open_block} is open")
            open_block = None if name == "content_block_stop" else open_block
    names = [name for name, _ in frames if name != "ping"]
    if names[:1] not in (["message_start"], ["error"]) or names[-1] not in ("message_stop", "error"):
        found.append(f"it begins with {names[:1]} and ends with {names[-1:]}")
    if names[-1] == "message_stop" and names[-2] != "message_delta":
        found.append(f"message_stop after {names[-2]}")
    return found
