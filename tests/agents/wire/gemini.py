"""Gemini generateContent and streamGenerateContent."""

import re

from . import Call, Result, Seen, Tool, Turn, compact, images_of, pieces, sse

PATH = re.compile(r"/v1(beta)?/models/(?P<model>[^/:]+):(?P<verb>generateContent|streamGenerateContent)")
FIELDS = {"contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "safetySettings",
          "cachedContent", "labels", "store", "serviceTier"}
GENERATION = {
    "candidateCount", "stopSequences", "maxOutputTokens", "temperature", "topP", "topK", "seed", "presencePenalty",
    "frequencyPenalty", "responseLogprobs", "logprobs", "responseMimeType", "responseSchema", "responseJsonSchema",
    "responseModalities", "thinkingConfig", "mediaResolution", "speechConfig", "imageConfig",
    "enableEnhancedCivicAnswers",
}
# What the older `parameters` understands; `parametersJsonSchema` understands JSON Schema.
SCHEMA = {
    "type", "format", "title", "description", "nullable", "enum", "maxItems", "minItems", "properties", "required",
    "minProperties", "maxProperties", "minLength", "maxLength", "pattern", "example", "anyOf", "propertyOrdering",
    "default", "items", "minimum", "maximum",
}
NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}")
PART = {"text", "thought", "thoughtSignature", "functionCall", "functionResponse", "inlineData", "fileData"}


# Below these, names are the caller's own.
FREE = {"parameters", "parametersJsonSchema", "responseSchema", "responseJsonSchema", "args", "response", "labels"}


def read(path, headers, body):
    match, body = PATH.fullmatch(path), camel(body)
    seen = Seen(model=match["model"], stream=match["verb"] == "streamGenerateContent")
    seen.known(body, FIELDS, "body")
    generation = body.get("generationConfig") or {}
    seen.known(generation, GENERATION, "generationConfig")
    seen.may_think = bool((generation.get("thinkingConfig") or {}).get("includeThoughts"))
    for group in body.get("tools") or []:
        seen.known(group, {"functionDeclarations", "googleSearch", "codeExecution", "urlContext"}, "tools")
        for tool in group.get("functionDeclarations") or []:
            declared(seen, tool)
    for part in (body.get("systemInstruction") or {}).get("parts") or []:
        seen.text += part.get("text") or ""
    contents(seen, body.get("contents") or [])
    return seen


def camel(value):
    """The body with names as in the documentation: the provider takes `function_call` for `functionCall` too."""
    if isinstance(value, list):
        return [camel(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    named = {re.sub(r"_([a-z])", lambda match: match[1].upper(), name): inner for name, inner in value.items()}
    return {name: inner if name in FREE else camel(inner) for name, inner in named.items()}


def declared(seen, tool):
    name = tool.get("name") or ""
    seen.known(tool, {"name", "description", "behavior", "parameters", "parametersJsonSchema", "response",
                      "responseJsonSchema"}, "function declaration")
    seen.must(NAME.fullmatch(name), f"function name {name!r}")
    seen.must("parameters" not in tool or "parametersJsonSchema" not in tool, f"{name}: both kinds of parameters")
    if "parameters" in tool:
        subset(seen, tool["parameters"], name)
    schema = tool.get("parametersJsonSchema") or tool.get("parameters") or {}
    seen.tools.append(Tool(name, takes=frozenset(schema.get("properties") or {})))


def subset(seen, schema, name):
    seen.known(schema, SCHEMA, f"parameters of {name}")
    seen.must(isinstance(schema.get("type", "object"), str), f"parameters of {name}: a list of types")
    for inner in (schema.get("properties") or {}).values():
        subset(seen, inner, name)
    for inner in schema.get("anyOf") or []:
        subset(seen, inner, name)
    if isinstance(schema.get("items"), dict):
        subset(seen, schema["items"], name)


def contents(seen, turns):
    seen.must(turns, "no contents")
    waiting = []
    for content in turns:
        seen.known(content, {"role", "parts"}, "content")
        role, parts = content.get("role"), content.get("parts") or []
        seen.must(role in ("user", "model"), f"role {role!r}")
        seen.must(parts, "a content without parts")
        for part in parts:
            seen.known(part, PART, "part")
            seen.must(len(set(part) & (PART - {"thought", "thoughtSignature"})) == 1, f"a part with {sorted(part)}")
        seen.images += images_of(parts)
        if role == "user":
            seen.text += "".join(part.get("text") or "" for part in parts)
        responses = [part["functionResponse"] for part in parts if "functionResponse" in part]
        if waiting or responses:
            names = [response.get("name") for response in responses]
            seen.must(role == "user" and sorted(names) == sorted(waiting),
                      f"calls of {waiting} are followed by {role} with responses of {names}")
        for response in responses:
            seen.known(response, {"id", "name", "response", "parts"}, "functionResponse")
            seen.images += images_of(response.get("parts"))
            said = response.get("response")
            seen.must(isinstance(said, dict), "functionResponse.response is no object")
            seen.results.append(Result(response.get("id"), response.get("name"), strings(said)))
        waiting = model(seen, parts) if role == "model" else []
    seen.must(not waiting, f"calls of {waiting} have no response")


def model(seen, parts):
    """The names called in a content of the model. The first call of each must bring its thought signature back."""
    names = []
    for part in parts:
        call = part.get("functionCall")
        if call is None:
            continue
        seen.known(call, {"id", "name", "args"}, "functionCall")
        signature = part.get("thoughtSignature")
        seen.must(names or signature, f"functionCall {call.get('name')} lacks its thoughtSignature")
        if signature:
            seen.proofs.append(signature)
        seen.must(isinstance(call.get("args", {}), dict), "functionCall.args is no object")
        names.append(call.get("name"))
        seen.calls.append(Call(call.get("id"), call.get("name"), call.get("args", {})))
    return names


def strings(value):
    """All text in a response, in whatever fields the caller put it."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        value = value.values()
    return "\n".join(strings(inner) for inner in value) if hasattr(value, "__iter__") else ""


def answer(turn: Turn, seen: Seen):
    parts = [{"text": turn.thought, "thought": True}] if turn.thought and seen.may_think else []
    parts += [{"text": piece} for piece in pieces(turn.say)] if turn.say else []
    for index, call in enumerate(turn.calls):
        part = {"functionCall": {"name": call.name, "args": call.arguments}}
        parts.append(part if index else part | {"thoughtSignature": turn.proof})
    usage = {"promptTokenCount": 50, "candidatesTokenCount": 15, "thoughtsTokenCount": 5, "totalTokenCount": 70,
             "cachedContentTokenCount": 7}
    frame = {"modelVersion": seen.model, "responseId": f"gemini-{turn.number}"}
    if not seen.stream:
        candidate = {"index": 0, "content": {"role": "model", "parts": parts}, "finishReason": "STOP"}
        return compact(frame | {"candidates": [candidate], "usageMetadata": usage}).encode()
    chunks = [frame | {"candidates": [{"index": 0, "content": {"role": "model", "parts": [part]}}],
                       "usageMetadata": usage | {"candidatesTokenCount": number}}
              for number, part in enumerate(parts)]
    chunks[-1]["candidates"][0]["finishReason"] = "STOP"
    chunks[-1]["usageMetadata"] = usage
    return sse(chunks, named=False)


def error(status, message):
    name = "INVALID_ARGUMENT" if status == 400 else "NOT_FOUND"
    return compact({"error": {"code": status, "message": message, "status": name}}).encode()
