"""How OpenAI's Responses answers: the whole reply, and its events."""

import json

from .scripts import Call, Refuse, Say, Think, pieces, proof

ID = "resp_upstream1"
ECHOED = ("instructions", "max_output_tokens", "previous_response_id", "temperature", "top_p", "user", "metadata", "max_tool_calls")


def base(seen):
    """The reply without what was said."""
    body = seen.request
    reply = {"id": ID, "object": "response", "created_at": 1795500000, "status": "in_progress", "background": False, "error": None,
             "incomplete_details": None, "model": seen.model, "output": [], "parallel_tool_calls": seen.parallel,
             "tool_choice": body.get("tool_choice", "auto"), "tools": [{"strict": True, "parameters": None} | tool for tool in body.get("tools", [])],
             "reasoning": {"effort": seen.effort, "summary": seen.summary}, "store": body.get("store") is not False,
             "text": body.get("text") or {"format": {"type": "text"}, "verbosity": "medium"}, "truncation": "disabled",
             "service_tier": "default", "top_logprobs": 0, "usage": None}
    return reply | {name: body.get(name) for name in ECHOED} | {"metadata": body.get("metadata") or {}}


def usage(made):
    cost = made.usage
    return {"input_tokens": cost.input, "input_tokens_details": {"cached_tokens": cost.cached, "cache_write_tokens": cost.written},
            "output_tokens": cost.output, "output_tokens_details": {"reasoning_tokens": cost.reasoning},
            "total_tokens": cost.input + cost.output}


def output(made, seen):
    """The items, whole."""
    items = []
    for index, item in enumerate(made.items):
        done = "incomplete" if made.finish == "length" and index == len(made.items) - 1 else "completed"
        if isinstance(item, Think):
            summary = [{"type": "summary_text", "text": item.text}] if seen.summary else []
            sealed = "reasoning.encrypted_content" in (seen.request.get("include") or ())
            items.append({"id": f"rs_upstream{index}", "type": "reasoning", "summary": summary,
                          **({"encrypted_content": proof(item.text, "responses")} if sealed else {})})
        elif isinstance(item, Call):
            items.append({"id": f"fc_upstream{index}", "type": "function_call", "status": done, "call_id": f"call_resp{index}",
                          "name": item.name, "arguments": item.arguments or "{}"})
        else:
            part = {"type": "refusal", "refusal": item.text} if isinstance(item, Refuse) else \
                {"type": "output_text", "text": item.text, "annotations": [], "logprobs": []}
            items.append({"id": f"msg_upstream{index}", "type": "message", "role": "assistant", "status": done, "content": [part]})
    return items


def finished(made, seen):
    reply = base(seen) | {"status": "completed", "output": output(made, seen), "usage": usage(made)}
    if made.finish in ("length", "blocked"):
        reason = "max_output_tokens" if made.finish == "length" else "content_filter"
        reply |= {"status": "incomplete", "incomplete_details": {"reason": reason}}
    return reply


def write(made, seen):
    return finished(made, seen)


def frame(number, event):
    payload = {"type": event.pop("type"), "sequence_number": number} | event
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    return f"event: {payload['type']}\ndata: {text}\n\n".encode()


def events(made, seen):
    head = base(seen)
    yield {"type": "response.created", "response": head}
    yield {"type": "response.in_progress", "response": head}
    for index, item in enumerate(output(made, seen)):
        place = {"output_index": index}
        yield {"type": "response.output_item.added"} | place | {"item": opened(item)}
        yield from WRITERS[item["type"]](item, {"item_id": item["id"]} | place)
        yield {"type": "response.output_item.done"} | place | {"item": item}
    reply = finished(made, seen)
    yield {"type": f"response.{reply['status']}", "response": reply}


def opened(item):
    """An item as it is announced: nothing is in it yet."""
    empty = {"message": {"status": "in_progress", "content": []}, "function_call": {"status": "in_progress", "arguments": ""},
             "reasoning": {"summary": []}}[item["type"]]
    return item | empty


def message(item, place):
    (part,) = item["content"]
    place = place | {"content_index": 0}
    name, key, extra = ("output_text", "text", {"logprobs": []}) if part["type"] == "output_text" else ("refusal", "refusal", {})
    yield {"type": "response.content_part.added"} | place | {"part": part | {key: ""}}
    for piece in pieces(part[key]):
        yield {"type": f"response.{name}.delta"} | place | {"delta": piece, "obfuscation": "k3"} | extra
    yield {"type": f"response.{name}.done"} | place | {key: part[key]} | extra
    yield {"type": "response.content_part.done"} | place | {"part": part}


def function_call(item, place):
    for piece in pieces(item["arguments"], 5):
        yield {"type": "response.function_call_arguments.delta"} | place | {"delta": piece, "obfuscation": "k"}
    yield {"type": "response.function_call_arguments.done"} | place | {"arguments": item["arguments"], "name": item["name"]}


def reasoning(item, place):
    for index, part in enumerate(item["summary"]):
        here = place | {"summary_index": index}
        yield {"type": "response.reasoning_summary_part.added"} | here | {"part": part | {"text": ""}}
        for piece in pieces(part["text"]):
            yield {"type": "response.reasoning_summary_text.delta"} | here | {"delta": piece}
        yield {"type": "response.reasoning_summary_text.done"} | here | {"text": part["text"]}
        yield {"type": "response.reasoning_summary_part.done"} | here | {"part": part}


WRITERS = {"message": message, "function_call": function_call, "reasoning": reasoning}


def stream(made, seen):
    for number, event in enumerate(events(made, seen)):
        yield frame(number, event)


def error_frame(envelope, frames):
    """As it comes over the wire: the error, then the reply that failed."""
    error = envelope["error"]
    told = {"type": error["type"], "code": error["code"] or "server_error", "message": error["message"], "param": error["param"]}
    failed = {"id": ID, "object": "response", "created_at": 1795500000, "status": "failed", "model": "upstream", "output": [],
              "error": {"code": "server_error", "message": error["message"]}, "incomplete_details": None, "instructions": None,
              "metadata": {}, "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "temperature": 1.0, "top_p": 1.0, "usage": None}
    return frame(frames, {"type": "error", "error": told}) + frame(frames + 1, {"type": "response.failed", "response": failed})
