"""OpenAI's Responses: what it takes and what it refuses. How it answers is in `responses_write.py`."""

import json

from .openai_common import (BREAKPOINT, CACHE, EFFORTS, NAME, TIERS, check_format, check_tool_schema, checked, document, image,
                            reasons, tool_name)
from .refusal import Refused
from .responses_write import error_frame, stream, write  # noqa: F401
from .scripts import REASONING, Result, Seen, proof
from .shape import (BOOL, INT, OBJECT, STR, STRINGS, Either, Many, Number, Record, Tagged, Text, Word, maybe)

STATUS = maybe(Word("in_progress", "completed", "incomplete"))
ID = Text(least=1, most=64)
PART = {
    "input_text": Record(type1=STR, text1=STR, **BREAKPOINT),
    "input_image": Record(type1=STR, detail=Word("low", "high", "auto", "original"), image_url=maybe(STR), file_id=maybe(STR), **BREAKPOINT),
    "input_file": Record(type1=STR, detail=STR, file_data=STR, file_id=maybe(STR), file_url=STR, filename=STR, **BREAKPOINT),
}
SAID = {
    "output_text": Record(type1=STR, text1=STR, annotations=Many(OBJECT), logprobs=maybe(Many(OBJECT))),
    "refusal": Record(type1=STR, refusal1=STR),
}
INPUT = Either(STR, Many(Tagged("type", **PART), least=1))
PHASE = maybe(Word("commentary", "final_answer"))


def message(content):
    return Record(type=STR, role1=STR, content1=content, id=STR, status=STATUS, phase=PHASE)


MESSAGE = Tagged("role", user=message(INPUT), system=message(INPUT), developer=message(INPUT),
                 assistant=message(Either(STR, Many(Tagged("type", **SAID), least=1))))
OUTPUT = Either(STR, Many(Tagged("type", **PART)))
ITEM = Tagged(
    "type", default="message", message=MESSAGE,
    function_call=Record(type1=STR, id=STR, call_id1=ID, name1=tool_name(128), arguments1=STR, status=STATUS, namespace=STR,
                         caller=maybe(OBJECT)),
    function_call_output=Record(type1=STR, id=maybe(STR), call_id1=ID, output1=OUTPUT, status=STATUS, name=maybe(STR)),
    custom_tool_call=Record(type1=STR, id=STR, call_id1=ID, name1=tool_name(128), input1=STR, status=STATUS),
    custom_tool_call_output=Record(type1=STR, id=maybe(STR), call_id1=ID, output1=OUTPUT, status=STATUS),
    reasoning=Record(type1=STR, id=STR, summary1=Many(Record(type1=Word("summary_text"), text1=STR)),
                     content=maybe(Many(Record(type1=Word("reasoning_text"), text1=STR))), encrypted_content=maybe(STR), status=STATUS),
    item_reference=Record(type1=STR, id1=STR))
TOOL = Tagged(
    "type", function=Record(type1=STR, name1=tool_name(128), parameters=maybe(OBJECT), strict=maybe(BOOL), description=maybe(STR),
                            defer_loading=BOOL, output_schema=maybe(OBJECT), allowed_callers=maybe(STRINGS)),
    custom=Record(type1=STR, name1=tool_name(128), description=STR, format=OBJECT, defer_loading=BOOL),
    web_search=OBJECT, web_search_preview=OBJECT, file_search=OBJECT, code_interpreter=OBJECT, mcp=OBJECT, tool_search=OBJECT,
    image_generation=OBJECT, local_shell=OBJECT, shell=OBJECT, apply_patch=OBJECT, namespace=OBJECT)
CHOICE = Either(Word("none", "auto", "required"), Tagged(
    "type", function=Record(type1=STR, name1=STR), custom=Record(type1=STR, name1=STR),
    allowed_tools=Record(type1=STR, mode1=Word("auto", "required"), tools1=Many(OBJECT)), web_search=OBJECT, mcp=OBJECT,
    file_search=OBJECT, code_interpreter=OBJECT, image_generation=OBJECT, shell=OBJECT, apply_patch=OBJECT))
FORMAT = Tagged("type", text=Record(type1=STR), json_object=Record(type1=STR), json_schema=Record(
    type1=STR, name1=Text(NAME, 1, 64), schema1=OBJECT, description=STR, strict=maybe(BOOL)))
BODY = Record(
    model1=STR, background=maybe(BOOL), conversation=maybe(Either(STR, OBJECT)), include=maybe(STRINGS), input1=Either(STR, Many(ITEM)),
    instructions=maybe(STR), max_output_tokens=maybe(Number(16, whole=True)), max_tool_calls=maybe(INT),
    parallel_tool_calls=maybe(BOOL), previous_response_id=maybe(STR), prompt=maybe(OBJECT),
    reasoning=maybe(Record(effort=maybe(Word(*EFFORTS)), summary=maybe(Word("auto", "concise", "detailed")), generate_summary=maybe(STR),
                           context=maybe(STR), mode=maybe(STR))),
    service_tier=maybe(Word(*TIERS)), store=maybe(BOOL), stream=maybe(BOOL), stream_options=maybe(Record(include_obfuscation=BOOL)),
    temperature=maybe(Number(0, 2)), text=Record(format=FORMAT, verbosity=maybe(Word("low", "medium", "high"))), tool_choice=CHOICE,
    tools=Many(TOOL, most=128), top_logprobs=maybe(Number(0, 20, whole=True)), top_p=maybe(Number(0, 1)),
    truncation=maybe(Word("auto", "disabled")), context_management=maybe(Many(OBJECT)), **CACHE)
PREFIX = {"message": "msg", "function_call": "fc", "custom_tool_call": "ctc", "reasoning": "rs"}


def read(body, headers, server):
    checked(BODY, body)
    check_model(body)
    seen = Seen(body["model"], body.get("stream") or False, temperature=body.get("temperature"))
    seen.request = body
    seen.max_tokens = body.get("max_output_tokens")
    reasoning = body.get("reasoning") or {}
    seen.effort = reasoning.get("effort")
    seen.thinks = reasons(seen.model) and seen.effort != "none"
    seen.summary = reasoning.get("summary") or reasoning.get("generate_summary")
    check_tools(body)
    read_tools(body, seen)
    if body.get("instructions"):
        seen.system.append(body["instructions"])
    read_input(before(body, server) + resolved(body, server), seen)
    read_format(body, seen)
    return seen


def items(value):
    return [{"role": "user", "content": value}] if isinstance(value, str) else value


def before(body, server):
    """What the conversation was, if it is kept here."""
    previous = body.get("previous_response_id")
    if previous is None:
        return []
    if previous not in server.kept:
        raise Refused(f"Previous response with id '{previous}' not found.", param="previous_response_id",
                      code="previous_response_not_found")
    return server.kept[previous]


def keep(body, reply, server):
    """Remembers the conversation, unless the caller does not want that."""
    if body.get("store") is not False:
        server.kept[reply["id"]] = before(body, server) + resolved(body, server) + reply["output"]
        server.items |= {item["id"]: item for item in reply["output"]}


def resolved(body, server):
    """The input with what stands for references in it."""
    found = []
    for item in items(body["input"]):
        if item.get("type") == "item_reference" or item.keys() == {"id"}:
            if item["id"] not in server.items:
                raise Refused(f"Item with id '{item['id']}' not found.", 404, param="input")
            item = server.items[item["id"]]
        found.append(item)
    return found


def check_model(body):
    name = body["model"]
    if not reasons(name):
        for key in ("effort", "summary"):
            if (body.get("reasoning") or {}).get(key):
                raise Refused(f"Unsupported parameter: 'reasoning.{key}' is not supported with this model.", param=f"reasoning.{key}",
                              code="unsupported_parameter")
        return
    for key in ("temperature", "top_p", "top_logprobs"):
        if body.get(key) is not None:
            raise Refused(f"Unsupported parameter: '{key}' is not supported with this model.", param=key, code="unsupported_parameter")


def check_tools(body):
    tools = body.get("tools", [])
    names = [tool.get("name") for tool in tools]
    for index, tool in enumerate(tools):
        if tool["type"] == "function":
            check_tool_schema(tool["name"], tool, f"tools[{index}].parameters")
    choice = body.get("tool_choice", "auto")
    if choice == "required" and not tools or isinstance(choice, dict) and choice["type"] in ("function", "custom") and choice["name"] not in names:
        raise Refused("Tool choice '{}' not found in 'tools' parameter.".format(choice), param="tool_choice")


def read_tools(body, seen):
    seen.tools = [tool["name"] for tool in body.get("tools", ()) if "name" in tool]
    seen.schemas = {tool["name"]: tool.get("parameters") or {} for tool in body.get("tools", ()) if "name" in tool}
    seen.parallel = body.get("parallel_tool_calls") is not False
    choice = body.get("tool_choice", "auto")
    if isinstance(choice, dict) and choice["type"] == "allowed_tools":
        seen.tools = [tool["name"] for tool in choice["tools"]]
        choice = choice["mode"]
    seen.choice = choice.get("name", "any") if isinstance(choice, dict) else {"required": "any"}.get(choice, choice)


def read_format(body, seen):
    form = (body.get("text") or {}).get("format", {"type": "text"})
    if form["type"] == "json_schema":
        seen.format = check_format(form, "text.format.schema")
    elif form["type"] == "json_object":
        if "json" not in json.dumps(body["input"]).lower():
            raise Refused("Response input messages must contain the word 'json' in some form to use 'text.format' of type "
                          "'json_object'.", param="input")
        seen.format = True


def read_input(everything, seen):
    calls, waiting = {}, []
    for index, item in enumerate(everything):
        kind, where = item.get("type", "message"), f"input[{index}]"
        check_id(item, kind, where)
        if kind in ("function_call", "custom_tool_call"):
            if item["call_id"] in calls:
                raise Refused(f"Duplicate tool call with call_id '{item['call_id']}'.", param=where)
            calls[item["call_id"]] = item["name"]
            waiting.append(item["call_id"])
            seen.results = []
        elif kind in ("function_call_output", "custom_tool_call_output"):
            answer(item, where, calls, waiting, seen)
        elif kind == "reasoning":
            reasoning(item, everything[index + 1:], where, seen)
        else:
            seen.results = []
            text = content(item["content"], f"{where}.content", seen)
            if item["role"] in ("system", "developer"):
                seen.system.append(text)
            elif text:
                seen.turns.append((item["role"], text))
    if waiting:
        raise Refused(f"No tool output found for function call {waiting[0]}.", param="input")


def check_id(item, kind, where):
    one, prefix = item.get("id"), PREFIX.get(kind)
    if one is None or prefix is None:
        return
    if not one.startswith(prefix):
        raise Refused(f"Invalid '{where}.id': '{one}'. Expected an ID that begins with '{prefix}'.", param=f"{where}.id", code="invalid_value")
    if len(one) > 64:
        raise Refused(f"Invalid '{where}.id': string too long. Expected a string with maximum length 64, but got a string with length "
                      f"{len(one)} instead.", param=f"{where}.id", code="string_above_max_length")


def answer(item, where, calls, waiting, seen):
    one = item["call_id"]
    if one not in calls:
        raise Refused(f"No tool call found for function call output with call_id {one}.", param="input")
    if one not in waiting:
        raise Refused(f"Duplicate tool output for call_id {one}.", param="input")
    waiting.remove(one)
    media, seen.media = seen.media, []
    text = content(item["output"], f"{where}.output", seen)
    seen.results.append(Result(calls[one], text, media=seen.media))
    seen.media = media
    seen.turns.append(("tool", text))


def reasoning(item, rest, where, seen):
    if not rest or rest[0].get("type", "message") in ("function_call_output", "custom_tool_call_output") or rest[0].get("role") == "user":
        raise Refused(f"Item '{item.get('id')}' of type 'reasoning' was provided without its required following item.", param="input")
    # Codex, which keeps no state, sends these without their id.
    sealed = item.get("encrypted_content")
    if sealed is None:
        raise Refused(f"Item with id '{item.get('id')}' not found. Items are not persisted when `store` is set to false. Try again with "
                      "`store` set to true, or remove this item from your input.", 404, param="input")
    if sealed not in (proof(text, "responses") for text in known_thoughts()):
        raise Refused(f"The encrypted content for item {item.get('id')} could not be verified.", code="invalid_encrypted_content", param="input")
    seen.proofs.append(sealed)


def known_thoughts():

    return REASONING, REASONING + " Again."


def content(value, where, seen):
    if isinstance(value, str):
        return value
    texts = []
    for index, part in enumerate(value):
        if part["type"] == "input_image":
            if not part.get("image_url") and not part.get("file_id"):
                raise Refused(f"Missing required parameter: '{where}[{index}].image_url'.", param=f"{where}[{index}].image_url")
            seen.media.append(image(part.get("image_url") or "https://file", f"{where}[{index}].image_url"))
        elif part["type"] == "input_file":
            seen.media.append(document(part, f"{where}[{index}]"))
        else:
            texts.append(part.get("text") or part.get("refusal") or "")
    return "\n".join(texts)
