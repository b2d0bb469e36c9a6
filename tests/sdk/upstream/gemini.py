"""Google's `generateContent`: what it takes and what it refuses. How it answers is in `gemini_write.py`."""

import re

from . import schemas
from .gemini_turns import read_turns
from .gemini_write import error_frame, stream, write  # noqa: F401
from .refusal import WORDS, Refused
from .scripts import Seen, family_of
from .shape import (ANY, BOOL, INT, OBJECT, STR, STRINGS, Many, Number, Problem, Record, Text, Word)

NAME = Text(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}")
BLOB = Record(mimeType1=STR, data1=STR, displayName=STR)
PART = Record(
    text=STR, inlineData=BLOB, fileData=Record(fileUri1=STR, mimeType=STR, displayName=STR), thought=BOOL, thoughtSignature=STR,
    functionCall=Record(name1=STR, args=OBJECT, id=STR),
    functionResponse=Record(name1=STR, response1=OBJECT, id=STR, willContinue=BOOL, scheduling=STR,
                            parts=Many(Record(inlineData=BLOB, fileData=OBJECT))),
    executableCode=OBJECT, codeExecutionResult=OBJECT, videoMetadata=OBJECT, mediaResolution=OBJECT, partMetadata=OBJECT)
CONTENT = Record(role=STR, parts=Many(PART))
FUNCTION = Record(name1=NAME, description=STR, parameters=OBJECT, parametersJsonSchema=OBJECT, response=OBJECT, responseJsonSchema=OBJECT,
                  behavior=STR)
TOOL = Record(functionDeclarations=Many(FUNCTION), googleSearch=OBJECT, codeExecution=OBJECT, urlContext=OBJECT, googleMaps=OBJECT,
              fileSearch=OBJECT, computerUse=OBJECT, googleSearchRetrieval=OBJECT)
CONFIG = Record(
    stopSequences=Many(STR, most=5), responseMimeType=Word("text/plain", "application/json", "text/x.enum"), responseSchema=OBJECT,
    responseJsonSchema=ANY, responseModalities=STRINGS, candidateCount=Number(1, 8, whole=True), maxOutputTokens=Number(1, whole=True),
    temperature=Number(0, 2), topP=Number(0, 1), topK=Number(1), seed=INT, presencePenalty=Number(-2, 2), frequencyPenalty=Number(-2, 2),
    responseLogprobs=BOOL, logprobs=Number(0, 20, whole=True), speechConfig=OBJECT, mediaResolution=STR, imageConfig=OBJECT,
    thinkingConfig=Record(includeThoughts=BOOL, thinkingBudget=INT,
                          thinkingLevel=Word("MINIMAL", "LOW", "MEDIUM", "HIGH", "minimal", "low", "medium", "high")),
    enableEnhancedCivicAnswers=BOOL, audioTimestamp=BOOL)
MODE = Word("AUTO", "ANY", "NONE", "VALIDATED", "MODE_UNSPECIFIED", "auto", "any", "none", "validated")
BODY = Record(contents1=Many(CONTENT), systemInstruction=CONTENT, tools=Many(TOOL), generationConfig=CONFIG, cachedContent=STR,
              toolConfig=Record(functionCallingConfig=Record(mode=MODE, allowedFunctionNames=STRINGS), retrievalConfig=OBJECT),
              safetySettings=Many(Record(category1=STR, threshold1=STR)), labels=OBJECT, serviceTier=STR, store=BOOL)
COUNT = Record(contents=Many(CONTENT), generateContentRequest=OBJECT)


def authenticate(headers, key):
    if headers.get("x-goog-api-key") != key:
        if "authorization" in headers:
            raise Refused("Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
                          "authentication credential.", 401)
        raise Refused("API key not valid. Please pass a valid API key.", 400)


def dotted(path):
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def refuse(problem):
    where, got = dotted(problem.path), problem.got
    if problem.kind == "unknown":
        at = dotted(problem.path[:-1])
        raise Refused(f"Invalid JSON payload received. Unknown name \"{problem.path[-1]}\"{f' at {at!r}' if at else ''}: Cannot find field.")
    raise Refused({
        "missing": f"* GenerateContentRequest.{where}: must be specified", "type": f"Invalid value at '{where}' ({problem.expected}), {got!r}",
        "value": f"Invalid value at '{where}', {got!r}", "short": f"* {where}: too short", "long": f"* {where}: too long",
        "pattern": f"* GenerateContentRequest.{where}: Invalid function name. Must start with a letter or an underscore. Must be alphameric, "
                   "underscores, dots, colons or dashes, with a maximum length of 64.",
        "low": f"Unable to submit request because {where} is too low", "high": f"Unable to submit request because {where} is too high",
    }[problem.kind])


# What stands in them is the caller's own, or JSON Schema.
OPAQUE = ("args", "response", "parametersJsonSchema", "responseJsonSchema", "labels", "partMetadata", "enum", "default", "example")


def camel(value, named=True):
    """Fields may be written in either way, `inline_data` or `inlineData`; a property's name is no field."""
    if isinstance(value, list):
        return [camel(each) for each in value]
    if not isinstance(value, dict):
        return value
    renamed = {re.sub(r"_([a-z])", lambda found: found[1].upper(), key) if named else key: each for key, each in value.items()}
    return {key: each if key in OPAQUE and named else camel(each, key != "properties" or not named) for key, each in renamed.items()}


def read(body, headers, server, model=None, streams=False):
    body = camel(body)
    try:
        BODY.check(body, [])
    except Problem as problem:
        refuse(problem)
    config = body.get("generationConfig", {})
    seen = Seen(model, streams, max_tokens=config.get("maxOutputTokens"), temperature=config.get("temperature"),
                stop=config.get("stopSequences", []), n=config.get("candidateCount", 1))
    seen.system = [part["text"] for part in body.get("systemInstruction", {}).get("parts", ())]
    third = family_of(model).startswith("gemini-3")
    read_tools(body, seen)
    read_format(config, seen, third)
    read_thinking(config, seen, third)
    read_turns(body["contents"], seen, third)
    return seen


def subset(schema, where):
    try:
        schemas.gemini(schema)
    except schemas.Unfit as unfit:
        at = dotted([*where, *unfit.where])
        if unfit.key:
            raise Refused(f"Invalid JSON payload received. Unknown name \"{unfit.key}\" at '{at}': {unfit.what}") from None
        raise Refused(f"* GenerateContentRequest.{at}: {unfit.what}") from None
    return schema


def read_tools(body, seen):
    for index, tool in enumerate(body.get("tools", ())):
        for at, function in enumerate(tool.get("functionDeclarations", ())):
            if {"parameters", "parametersJsonSchema"} <= function.keys():
                raise Refused("parameters and parametersJsonSchema are mutually exclusive")
            if "parameters" in function:
                where = ["tools", index, "function_declarations", at, "parameters"]
                if function["parameters"].get("type", "").lower() != "object":
                    raise Refused(f"* GenerateContentRequest.{dotted(where)}: functionDeclaration parameters schema should be of type OBJECT.")
                if not function["parameters"].get("properties"):
                    raise Refused(f"* GenerateContentRequest.{dotted(where)}.properties: should be non-empty for OBJECT type")
                subset(function["parameters"], where)
            seen.tools.append(function["name"])
            seen.schemas[function["name"]] = function.get("parameters") or function.get("parametersJsonSchema") or {}
    if len(set(seen.tools)) < len(seen.tools):
        raise Refused("Duplicate function declaration found.")
    calling = body.get("toolConfig", {}).get("functionCallingConfig", {})
    mode, allowed = calling.get("mode", "AUTO").upper(), calling.get("allowedFunctionNames", [])
    if allowed and mode not in ("ANY", "VALIDATED"):
        raise Refused("Allowed function names should only be set when function calling mode is ANY or VALIDATED.")
    if mode == "ANY" and not seen.tools:
        raise Refused("Function calling config is set without function_declarations.")
    if unknown := [name for name in allowed if name not in seen.tools]:
        raise Refused(f"allowed_function_names contains {unknown[0]}, which is not declared.")
    seen.choice = {"ANY": "any", "NONE": "none"}.get(mode, "auto")
    if allowed:
        seen.tools = [name for name in seen.tools if name in allowed]
        seen.choice = allowed[0] if len(allowed) == 1 and mode == "ANY" else seen.choice


def read_format(config, seen, third):
    if {"responseSchema", "responseJsonSchema"} <= config.keys():
        raise Refused("Only one of response_schema and response_json_schema may be set.")
    as_json = config.get("responseMimeType") == "application/json"
    if "responseSchema" in config:
        seen.format = subset(config["responseSchema"], ["generation_config", "response_schema"])
    seen.format = seen.format or config.get("responseJsonSchema") or as_json or None
    if seen.format and not as_json:
        raise Refused("response_schema is only supported when response_mime_type is set to application/json.")
    if as_json and seen.tools and not third:
        raise Refused("Function calling with a response mime type: 'application/json' is unsupported")


def read_thinking(config, seen, third):
    thinking = config.get("thinkingConfig")
    family = family_of(seen.model)
    if thinking is None:
        return
    if not third and not family.startswith("gemini-2.5"):
        raise Refused("Thinking is not enabled for this model.")
    if "thinkingLevel" in thinking and "thinkingBudget" in thinking:
        raise Refused("You can only set only one of thinking budget and thinking level.")
    if "thinkingLevel" in thinking and not third:
        raise Refused("Thinking level is not supported for this model.")
    budget = thinking.get("thinkingBudget")
    if budget == 0 and "pro" in family:
        raise Refused("Budget 0 is invalid. This model only works in thinking mode.")
    if budget is not None and not -1 <= budget <= 32768:
        raise Refused(f"The thinking budget {budget} is invalid. Please choose a value between 0 and 32768.")
    seen.effort = thinking.get("thinkingLevel", budget)
    seen.thinks = bool(thinking.get("includeThoughts"))


STATUS = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 408: "DEADLINE_EXCEEDED",
          413: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE", 529: "UNAVAILABLE"}


def envelope(refused):
    error = {"code": refused.status, "message": refused.message, "status": STATUS[refused.status]}
    if refused.status == 429:
        # The only place where this provider says how long to wait.
        error["details"] = [{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": []},
                            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}]
    return {"error": error}


def scripted(status):
    return Refused(WORDS[status], status)


def error_headers(_):
    return {"server-timing": "gfet4t7; dur=12", "x-content-type-options": "nosniff"}
