"""OpenAI's Chat Completions: what it takes, what it refuses, how it answers."""

import json

from .openai_common import (BREAKPOINT, CACHE, EFFORTS, GRAMMAR, NAME, STOPS, TIERS, check_format, check_tool_schema, checked, data,
                            document, image, reasons, tool_name)
from .refusal import Refused
from .scripts import Call, Refuse, Result, Say, Seen, Think, family_of, pieces
from .shape import (BOOL, INT, OBJECT, STR, STRINGS, Either, Many, Number, Record, Tagged, Text, Word, maybe)

ID = Text(least=1, most=64)
PART = {
    "text": Record(type1=STR, text1=STR, **BREAKPOINT),
    "image_url": Record(type1=STR, image_url1=Record(url1=STR, detail=Word("auto", "low", "high", "original")), **BREAKPOINT),
    "input_audio": Record(type1=STR, input_audio1=Record(data1=STR, format1=Word("wav", "mp3")), **BREAKPOINT),
    "file": Record(type1=STR, file1=Record(file_id=STR, file_data=STR, filename=STR), **BREAKPOINT),
}
TEXTS = Either(STR, Many(Tagged("type", text=PART["text"]), least=1))
PARTS = Either(STR, Many(Tagged("type", **PART), least=1))
SAID = Either(STR, Many(Tagged("type", text=PART["text"], refusal=Record(type1=STR, refusal1=STR)), least=1))
CALL = Tagged("type", function=Record(id1=ID, type1=STR, function1=Record(name1=tool_name(64), arguments1=STR)),
              custom=Record(id1=ID, type1=STR, custom1=Record(name1=tool_name(64), input1=STR)))
ROLES = {
    "system": Record(role1=STR, content1=TEXTS, name=STR),
    "developer": Record(role1=STR, content1=TEXTS, name=STR),
    "user": Record(role1=STR, content1=PARTS, name=STR),
    "assistant": Record(role1=STR, content=maybe(SAID), name=STR, refusal=maybe(STR), audio=maybe(OBJECT),
                        tool_calls=Many(CALL, least=1), function_call=OBJECT, annotations=Many(OBJECT)),
    "tool": Record(role1=STR, content1=TEXTS, tool_call_id1=ID),
}
THINKING_ROLES = ROLES | {"assistant": Record(role1=STR, content=maybe(SAID), name=STR, refusal=maybe(STR),
                                              tool_calls=Many(CALL, least=1), reasoning_content=maybe(STR), annotations=Many(OBJECT))}
FUNCTION = Record(name1=tool_name(64), description=STR, parameters=OBJECT, strict=maybe(BOOL))
TOOL = Tagged("type", function=Record(type1=STR, function1=FUNCTION),
              custom=Record(type1=STR, custom1=Record(name1=tool_name(64), description=STR, format=OBJECT)))
CHOICE = Either(Word("none", "auto", "required"), Tagged(
    "type", function=Record(type1=STR, function1=Record(name1=STR)), custom=Record(type1=STR, custom1=Record(name1=STR)),
    allowed_tools=Record(type1=STR, allowed_tools1=Record(mode1=Word("auto", "required"), tools1=Many(OBJECT)))))
FORMAT = Tagged("type", text=Record(type1=STR), json_object=Record(type1=STR), json_schema=Record(
    type1=STR, json_schema1=Record(name1=Text(NAME, 1, 64), description=STR, schema=OBJECT, strict=maybe(BOOL))))
FIELDS = dict(
    model1=STR, frequency_penalty=maybe(Number(-2, 2)), presence_penalty=maybe(Number(-2, 2)), logit_bias=maybe(OBJECT),
    logprobs=maybe(BOOL), top_logprobs=maybe(Number(0, 20, whole=True)), max_completion_tokens=maybe(Number(1, whole=True)),
    max_tokens=maybe(Number(1, whole=True)), n=maybe(Number(1, 128, whole=True)), parallel_tool_calls=BOOL, seed=maybe(INT),
    service_tier=maybe(Word(*TIERS)), stop=maybe(Either(STR, STOPS)), store=maybe(BOOL), stream=maybe(BOOL),
    stream_options=maybe(Record(include_usage=BOOL, include_obfuscation=BOOL)), temperature=maybe(Number(0, 2)),
    top_p=maybe(Number(0, 1)), tool_choice=CHOICE, tools=Many(TOOL, least=1, most=128), response_format=FORMAT,
    reasoning_effort=maybe(Word(*EFFORTS)), verbosity=maybe(Word("low", "medium", "high")), modalities=maybe(STRINGS),
    audio=maybe(OBJECT), prediction=maybe(OBJECT), web_search_options=OBJECT, functions=Many(OBJECT, least=1),
    function_call=Either(STR, OBJECT), **CACHE)


def shape(roles):
    return Record(messages1=Many(Tagged("role", **roles), least=1), **FIELDS)


OPENAI, THINKING = shape(ROLES), shape(THINKING_ROLES)


def read(body, headers, server):
    """What the model gets to see, or a refusal."""
    thinking = family_of(str(body.get("model"))).startswith("deepseek")
    checked(THINKING if thinking else OPENAI, body)
    check_model(body)
    check_tools(body)
    seen = Seen(body["model"], body.get("stream") or False, n=body.get("n") or 1, temperature=body.get("temperature"))
    seen.max_tokens = body.get("max_completion_tokens") or body.get("max_tokens")
    stop = body.get("stop") or []
    seen.stop = [stop] if isinstance(stop, str) else stop
    seen.effort = body.get("reasoning_effort")
    seen.thinks = thinking or reasons(seen.model) and seen.effort != "none"
    seen.include_usage = (body.get("stream_options") or {}).get("include_usage", False)
    read_tools(body, seen)
    read_messages(body["messages"], seen)
    form = body.get("response_format", {"type": "text"})
    if form["type"] == "json_schema":
        seen.format = check_format(form["json_schema"], "response_format")
    elif form["type"] == "json_object":
        seen.format = True
        if "json" not in json.dumps(body["messages"]).lower():
            raise Refused("'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
                          param="messages")
    return seen


def check_model(body):
    if body.get("max_tokens") and body.get("max_completion_tokens"):
        raise Refused("Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.", param="max_tokens")
    if body.get("stream_options") is not None and not body.get("stream"):
        raise Refused("The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options")
    if body.get("top_logprobs") is not None and not body.get("logprobs"):
        raise Refused("'top_logprobs' is only allowed when 'logprobs' is enabled.", param="top_logprobs")
    if not reasons(body["model"]):
        if body.get("reasoning_effort") and not family_of(body["model"]).startswith("deepseek"):
            raise Refused("Unrecognized request argument supplied: reasoning_effort", param="reasoning_effort")
        return
    if body.get("max_tokens") is not None:
        raise Refused("Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
                      param="max_tokens", code="unsupported_parameter")
    for name in ("stop", "top_p", "frequency_penalty", "presence_penalty", "logprobs", "logit_bias"):
        if body.get(name):
            raise Refused(f"Unsupported parameter: '{name}' is not supported with this model.", param=name,
                          code="unsupported_parameter")
    if body.get("temperature") not in (None, 1):
        raise Refused(f"Unsupported value: 'temperature' does not support {body['temperature']} with this model. Only the default "
                      "(1) value is supported.", param="temperature", code="unsupported_value")


def check_tools(body):
    if "tools" not in body:
        for name in ("tool_choice", "parallel_tool_calls"):
            if name in body:
                raise Refused(f"'{name}' is only allowed when 'tools' are specified.", param=name)
        return
    names = [tool[tool["type"]]["name"] for tool in body["tools"]]
    for index, tool in enumerate(body["tools"]):
        if tool["type"] == "function":
            check_tool_schema(names[index], tool["function"], f"tools[{index}].function.parameters")
    choice = body.get("tool_choice", "auto")
    if isinstance(choice, dict) and choice["type"] != "allowed_tools" and choice[choice["type"]]["name"] not in names:
        raise Refused(f"Tool choice '{choice[choice['type']]['name']}' not found in 'tools' parameter.", param="tool_choice")


def read_tools(body, seen):
    seen.tools = [tool[tool["type"]]["name"] for tool in body.get("tools", ())]
    seen.schemas = {tool[tool["type"]]["name"]: tool[tool["type"]].get("parameters", {}) for tool in body.get("tools", ())}
    seen.parallel = body.get("parallel_tool_calls", True)
    choice = body.get("tool_choice", "auto")
    if isinstance(choice, dict) and choice["type"] == "allowed_tools":
        allowed = choice["allowed_tools"]
        seen.tools = [tool[tool["type"]]["name"] for tool in allowed["tools"]]
        choice = allowed["mode"]
    seen.choice = choice[choice["type"]]["name"] if isinstance(choice, dict) else {"required": "any"}.get(choice, choice)


def read_messages(messages, seen):
    waiting, names = [], {}
    for index, message in enumerate(messages):
        role, where = message["role"], f"messages[{index}]"
        if role == "tool":
            answer(message, where, waiting, names, seen)
            continue
        if waiting:
            break
        seen.results = []
        text = content(message.get("content"), f"{where}.content", seen)
        if role in ("system", "developer"):
            seen.system.append(text)
            continue
        if role == "assistant":
            if message.get("content") is None and not {"tool_calls", "refusal", "function_call", "audio"} & message.keys():
                raise Refused("Invalid value for 'content': expected a string, got null.", param=f"{where}.content")
            text = text or message.get("refusal") or ""
            names = {call["id"]: call[call["type"]]["name"] for call in message.get("tool_calls", ())}
            if len(names) < len(message.get("tool_calls", ())):
                raise Refused(f"Duplicate value for 'tool_calls[].id' in {where}.", param=f"{where}.tool_calls")
            waiting = list(names)
            if message.get("reasoning_content"):
                seen.proofs.append(message["reasoning_content"])
        if text:
            seen.turns.append((role, text))
    if waiting:
        raise Refused("An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
                      f"The following tool_call_ids did not have response messages: {', '.join(waiting)}", param="messages")


def answer(message, where, waiting, names, seen):
    one = message["tool_call_id"]
    if one not in names:
        raise Refused("Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.",
                      param=f"{where}.role")
    if one not in waiting:
        raise Refused(f"Duplicate value for 'tool_call_id' of '{one}' in {where}.", param=f"{where}.tool_call_id")
    waiting.remove(one)
    text = content(message["content"], f"{where}.content", seen)
    seen.results.append(Result(names[one], text))
    seen.turns.append(("tool", text))


def content(value, where, seen):
    """The text; what is no text goes to the media."""
    if value is None or isinstance(value, str):
        return value or ""
    texts = []
    for index, part in enumerate(value):
        if part["type"] == "image_url":
            seen.media.append(image(part["image_url"]["url"], f"{where}[{index}].image_url.url"))
        elif part["type"] == "file":
            seen.media.append(document(part["file"], f"{where}[{index}].file"))
        elif part["type"] in ("text", "refusal"):
            texts.append(part[part["type"]])
    return "\n".join(texts)


ID_OF_REPLY, FINISH = "chatcmpl-upstream1", {"stop_sequence": "stop", "tools": "tool_calls", "refusal": "stop",
                                             "blocked": "content_filter"}


def usage(made):
    cost = made.usage
    return {"prompt_tokens": cost.input, "completion_tokens": cost.output, "total_tokens": cost.input + cost.output,
            "prompt_tokens_details": {"cached_tokens": cost.cached, "cache_write_tokens": cost.written, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": cost.reasoning, "audio_tokens": 0, "accepted_prediction_tokens": 0,
                                          "rejected_prediction_tokens": 0}}


def frame(seen, kind):
    return {"id": ID_OF_REPLY, "object": kind, "created": 1795500000, "model": seen.model, "service_tier": "default",
            "system_fingerprint": "fp_upstream"}


def thinks_aloud(seen):
    """OpenAI's own models keep their thoughts to themselves here."""
    return seen.thinks and family_of(seen.model).startswith("deepseek")


def write(made, seen):
    calls = [item for item in made.items if isinstance(item, Call)]
    text = "".join(item.text for item in made.items if isinstance(item, Say))
    message = {"role": "assistant", "content": text or None if calls or made.finish == "refusal" else text,
               "refusal": next((item.text for item in made.items if isinstance(item, Refuse)), None), "annotations": []}
    if calls:
        message["tool_calls"] = [whole_call(index, call) for index, call in enumerate(calls)]
    if thinks_aloud(seen):
        message["reasoning_content"] = "".join(item.text for item in made.items if isinstance(item, Think))
    choices = [{"index": index, "message": message, "logprobs": None, "finish_reason": FINISH.get(made.finish, made.finish)}
               for index in range(seen.n)]
    return frame(seen, "chat.completion") | {"choices": choices, "usage": usage(made)}


def whole_call(index, call):
    return {"id": f"call_chat{index}", "type": "function", "function": {"name": call.name, "arguments": call.arguments or "{}"}}


def deltas(made, seen):
    """One choice, piece by piece. Parallel calls come by turns, each with its index."""
    yield {"role": "assistant", "content": "", "refusal": None}
    for item in made.items:
        if isinstance(item, Think) and thinks_aloud(seen):
            yield from ({"reasoning_content": piece} for piece in pieces(item.text))
        elif isinstance(item, Say):
            yield from ({"content": piece} for piece in pieces(item.text))
        elif isinstance(item, Refuse):
            yield from ({"refusal": piece} for piece in pieces(item.text))
    calls = [item for item in made.items if isinstance(item, Call)]
    for index, call in enumerate(calls):
        head = whole_call(index, call)
        head["function"]["arguments"] = ""
        yield {"tool_calls": [{"index": index} | head]}
    rest = [pieces(call.arguments or "{}", 5) for call in calls]
    for turn in range(max(map(len, rest), default=0)):
        for index, parts in enumerate(rest):
            if turn < len(parts):
                yield {"tool_calls": [{"index": index, "function": {"arguments": parts[turn]}}]}


def stream(made, seen):
    head = frame(seen, "chat.completion.chunk") | {"obfuscation": "x9"}
    extra = {"usage": None} if seen.include_usage else {}

    def chunk(index, delta, finish=None):
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
        return data(head | {"choices": [choice]} | extra)

    for delta in deltas(made, seen):
        yield from (chunk(index, delta) for index in range(seen.n))
    yield from (chunk(index, {}, FINISH.get(made.finish, made.finish)) for index in range(seen.n))
    if seen.include_usage:
        yield data(head | {"choices": [], "usage": usage(made)})
    yield b"data: [DONE]\n\n"


def error_frame(envelope, _):
    return data(envelope)
