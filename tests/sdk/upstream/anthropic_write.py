"""How Anthropic's Messages answers: the whole reply, and its events."""

import json

from .scripts import REFUSAL, Call, Refuse, Say, Think, pieces, proof

ID = "msg_upstream1"
STOP = {"stop": "end_turn", "length": "max_tokens", "tools": "tool_use", "blocked": "refusal"}


def usage(made):
    cost = made.usage
    return {"input_tokens": cost.input - cost.cached - cost.written, "cache_creation_input_tokens": cost.written,
            "cache_read_input_tokens": cost.cached,
            "cache_creation": {"ephemeral_5m_input_tokens": cost.written, "ephemeral_1h_input_tokens": 0},
            "output_tokens": cost.output, "service_tier": "standard"}


def end(made):
    details = {"type": "refusal", "category": "cyber", "explanation": REFUSAL} if made.finish in ("refusal", "blocked") else None
    return {"stop_reason": STOP.get(made.finish, made.finish), "stop_sequence": made.stop_sequence, "stop_details": details}


def block(index, item, seen):
    if isinstance(item, Think):
        return {"type": "thinking", "thinking": "" if seen.omits else item.text, "signature": proof(item.text)}
    if isinstance(item, Call):
        try:
            arguments = json.loads(item.arguments or "{}")
        except ValueError:
            arguments = {}
        return {"type": "tool_use", "id": f"toolu_upstream{index}", "name": item.name, "input": arguments}
    return {"type": "text", "text": item.text}


def write(made, seen):
    content = [block(index, item, seen) for index, item in enumerate(made.items)]
    return {"id": ID, "type": "message", "role": "assistant", "model": seen.model, "content": content} | end(made) | {"usage": usage(made)}


def event(name, payload):
    return f"event: {name}\ndata: {json.dumps({'type': name} | payload, ensure_ascii=False)}\n\n".encode()


def stream(made, seen):
    begun = usage(made) | {"output_tokens": 1}
    message = {"id": ID, "type": "message", "role": "assistant", "model": seen.model, "content": [], "stop_reason": None,
               "stop_sequence": None, "usage": begun}
    yield event("message_start", {"message": message})
    for index, item in enumerate(made.items):
        whole = block(index, item, seen)
        empty = {"tool_use": {"input": {}}, "text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}}[whole["type"]]
        yield event("content_block_start", {"index": index, "content_block": whole | empty})
        if not index:
            yield event("ping", {})
        for delta in deltas(item, whole):
            yield event("content_block_delta", {"index": index, "delta": delta})
        yield event("content_block_stop", {"index": index})
    # Of the usage only the output is sure to come again.
    yield event("message_delta", {"delta": end(made), "usage": {"output_tokens": made.usage.output}})
    yield event("message_stop", {})


def deltas(item, whole):
    if isinstance(item, (Say, Refuse)):
        yield from ({"type": "text_delta", "text": piece} for piece in pieces(item.text))
    elif isinstance(item, Think):
        yield from ({"type": "thinking_delta", "thinking": piece} for piece in pieces(whole["thinking"]))
        yield {"type": "signature_delta", "signature": whole["signature"]}
    else:
        yield {"type": "input_json_delta", "partial_json": ""}
        yield from ({"type": "input_json_delta", "partial_json": piece} for piece in pieces(item.arguments, 5))
