"""Anthropic's Messages: what it takes and what it refuses. How it answers is in `anthropic_write.py`."""

from . import schemas
from .anthropic_write import event, stream, write  # noqa: F401
from .anthropic_turns import read_turns
from .refusal import WORDS, Refused
from .scripts import Seen, family_of
from .shape import (BOOL, OBJECT, STR, STRINGS, Either, Many, Number, Problem, Record, Tagged, Text, Word, maybe)

NEW, OLD = "2026-10-21", "2023-06-01"
CACHE = dict(cache_control=maybe(Record(type1=Word("ephemeral"), ttl=Word("5m", "1h"))))
BASE64 = Record(type1=STR, media_type1=STR, data1=STR)
IMAGE = Record(type1=STR, source1=Tagged("type", base64=BASE64, url=Record(type1=STR, url1=STR), file=Record(type1=STR, file_id1=STR)), **CACHE)
TEXT = Record(type1=STR, text1=STR, citations=maybe(Many(OBJECT)), **CACHE)
DOCUMENT = Record(type1=STR, title=maybe(STR), context=maybe(STR), citations=maybe(Record(enabled=BOOL)), source1=Tagged(
    "type", base64=BASE64, text=BASE64, url=Record(type1=STR, url1=STR), file=Record(type1=STR, file_id1=STR),
    content=Record(type1=STR, content1=Either(STR, Many(OBJECT)))), **CACHE)
IDS = Text(r"[a-zA-Z0-9_-]+", least=1)
NAME = Text(r"[a-zA-Z0-9_-]{1,128}")
INSIDE = Either(STR, Many(Tagged("type", text=TEXT, image=IMAGE, document=DOCUMENT)))
BLOCKS = {
    "text": TEXT, "image": IMAGE, "document": DOCUMENT,
    "tool_use": Record(type1=STR, id1=IDS, name1=Text(least=1, most=200), input1=OBJECT, caller=OBJECT, toolset_name=maybe(STR), **CACHE),
    "tool_result": Record(type1=STR, tool_use_id1=IDS, content=INSIDE, is_error=maybe(BOOL), toolset_name=maybe(STR), **CACHE),
    "thinking": Record(type1=STR, thinking1=STR, signature1=STR),
    "redacted_thinking": Record(type1=STR, data1=STR),
}
CONTENT = Either(STR, Many(Tagged("type", **BLOCKS)))
MESSAGE = Tagged("role", user=Record(role1=STR, content1=CONTENT), assistant=Record(role1=STR, content1=CONTENT),
                 system=Record(role1=STR, content1=Either(STR, Many(Tagged("type", text=TEXT)))))
TOOL = Record(name1=NAME, input_schema1=OBJECT, type=maybe(Word("custom")), description=STR, strict=BOOL, defer_loading=BOOL,
              eager_input_streaming=maybe(BOOL), input_examples=Many(OBJECT), allowed_callers=STRINGS, **CACHE)
NOT_PARALLEL = dict(disable_parallel_tool_use=BOOL)
COMMON = dict(
    model1=Text(least=1), messages1=Many(MESSAGE, least=1), system=Either(STR, Many(Tagged("type", text=TEXT))),
    tools=Many(TOOL), tool_choice=Tagged(
        "type", auto=Record(type1=STR, **NOT_PARALLEL), any=Record(type1=STR, **NOT_PARALLEL),
        tool=Record(type1=STR, name1=STR, **NOT_PARALLEL), none=Record(type1=STR)),
    thinking=Tagged(
        "type", enabled=Record(type1=STR, budget_tokens1=Number(1024, whole=True), display=maybe(Word("summarized", "omitted"))),
        adaptive=Record(type1=STR, display=maybe(Word("summarized", "omitted"))), disabled=Record(type1=STR),
        between_tools=Record(type1=STR)),
    output_config=Record(effort=maybe(Word("low", "medium", "high", "xhigh", "max")),
                         format=maybe(Record(type1=Word("json_schema"), schema1=OBJECT))),
    speed=maybe(Word("standard", "fast")), **CACHE)
COUNT = Record(**COMMON)
SAMPLING = dict(temperature=Number(0, 1), top_p=Number(0, 1), top_k=Number(0, whole=True))
CREATE = dict(max_tokens1=Number(1, whole=True), stream=BOOL, stop_sequences=STRINGS, service_tier=Word("auto", "standard_only"),
              metadata=Record(user_id=maybe(Text(most=256))), container=maybe(OBJECT), inference_geo=maybe(STR), diagnostics=maybe(OBJECT))
SHAPES = {NEW: Record(**COMMON, **CREATE), OLD: Record(**COMMON, **CREATE, **SAMPLING)}
# Betas that add a field; whoever does not ask for them may not send it.
BETA_FIELDS = {"context-management-2025-06-27": dict(context_management=OBJECT)}


def authenticate(headers, key):
    """A key stands in `x-api-key`; from 2026-10-21 on as a bearer too."""
    bearer = headers.get("anthropic-version") == NEW and headers.get("authorization") == f"Bearer {key}"
    if "x-api-key" in headers and headers["x-api-key"] != key or "x-api-key" not in headers and not bearer:
        raise Refused("invalid x-api-key" if "x-api-key" in headers else "x-api-key header is required", 401)


def refuse(problem):
    """A fault of shape in Anthropic's words."""
    where, expected = ".".join(map(str, problem.path)), problem.expected
    said = {
        "unknown": "Extra inputs are not permitted", "missing": "Field required",
        "type": f"Input should be a valid {'dictionary' if expected == 'object' else 'list' if expected == 'array' else expected}",
        "value": f"Input should be one of {expected}; found {problem.got!r}",
        "low": f"Input should be greater than or equal to {expected}", "high": f"Input should be less than or equal to {expected}",
        "short": f"List should have at least {expected} item after validation, not 0",
        "long": f"String should have at most {expected} characters", "pattern": f"String should match pattern '^{expected}$'",
    }[problem.kind]
    raise Refused(f"{where}: {said}")


def read(body, headers, server, counts=False):
    version = headers.get("anthropic-version")
    if version is None:
        raise Refused("anthropic-version: header is required")
    if version not in SHAPES:
        raise Refused(f"anthropic-version: \"{version}\" is not a valid version")
    betas = [each.strip() for each in headers.get("anthropic-beta", "").split(",") if each.strip()]
    extra = {name: shape for beta in betas for name, shape in BETA_FIELDS.get(beta, {}).items()}
    shape = COUNT if counts else SHAPES[version]
    try:
        known = Record(**extra)
        known.fields, known.needed = known.fields | shape.fields, shape.needed
        known.check(body, [])
    except Problem as problem:
        refuse(problem)
    seen = Seen(body["model"], body.get("stream", False), max_tokens=body.get("max_tokens"), temperature=body.get("temperature"),
                stop=body.get("stop_sequences", []))
    read_tools(body, seen)
    read_thinking(body, seen, counts)
    check_sampling(body, seen)
    form = (body.get("output_config") or {}).get("format")
    if form:
        seen.format = fits(form["schema"], "output_config.format.schema")
    system = body.get("system", [])
    for index, block in enumerate([{"type": "text", "text": system}] if isinstance(system, str) else system):
        if not block["text"].strip():
            raise Refused(f"system.{index}: text content blocks must " + ("contain non-whitespace text" if block["text"] else "be non-empty"))
        seen.system.append(block["text"])
    read_turns(body, seen, version == NEW)
    seen.cache_marks = marks(body)
    if seen.cache_marks > 4:
        raise Refused(f"A maximum of 4 blocks with cache_control may be provided. Found {seen.cache_marks}.")
    return seen


def marks(value):
    """How many cache marks stand anywhere inside."""
    if isinstance(value, list):
        return sum(map(marks, value))
    if not isinstance(value, dict):
        return 0
    inside = (each for key, each in value.items() if key not in ("input", "input_schema", "schema"))
    return (value.get("cache_control") is not None) + sum(map(marks, inside))


def fits(schema, where):
    try:
        schemas.anthropic_output(schema)
    except schemas.Unfit as unfit:
        raise Refused(f"{where}: {unfit.what}") from None
    return schema


def read_tools(body, seen):
    tools = body.get("tools", [])
    seen.tools = [tool["name"] for tool in tools]
    seen.schemas = {tool["name"]: tool["input_schema"] for tool in tools}
    if len(set(seen.tools)) < len(tools):
        raise Refused("tools: Tool names must be unique.")
    for index, tool in enumerate(tools):
        schema = tool["input_schema"]
        if schema.get("type") != "object":
            raise Refused(f"tools.{index}.custom.input_schema.type: " + ("Input should be 'object'" if "type" in schema else "Field required"))
        for name in ("oneOf", "allOf", "anyOf"):
            if name in schema:
                raise Refused(f"tools.{index}.custom.input_schema: input_schema does not support oneOf, allOf, or anyOf at the top level")
        if tool.get("strict"):
            fits(schema, f"tools.{index}.custom.input_schema")
    choice = body.get("tool_choice")
    if not choice:
        return
    if not tools:
        raise Refused("tool_choice: tool_choice may only be specified while providing tools.")
    if choice["type"] == "tool" and choice["name"] not in seen.tools:
        raise Refused(f"Tool '{choice['name']}' not found in provided tools")
    seen.choice = choice["name"] if choice["type"] == "tool" else choice["type"]
    seen.parallel = not choice.get("disable_parallel_tool_use", False)


def read_thinking(body, seen, counts):
    thinking = body.get("thinking", {"type": "disabled"})
    seen.effort = (body.get("output_config") or {}).get("effort")
    seen.thinks = thinking["type"] in ("enabled", "adaptive")
    seen.strictly_thinks = thinking["type"] == "enabled"
    seen.omits = thinking.get("display") == "omitted"
    if not seen.thinks:
        return
    if not counts and seen.strictly_thinks and thinking["budget_tokens"] >= body["max_tokens"]:
        raise Refused("`max_tokens` must be greater than `thinking.budget_tokens`. Please consult our documentation at "
                      "https://docs.claude.com/en/docs/build-with-claude/extended-thinking#max-tokens-and-context-window-size")
    if seen.choice not in ("auto", "none"):
        raise Refused("Thinking may not be enabled when tool_choice forces tool use.")


def check_sampling(body, seen):
    if seen.thinks and body.get("temperature", 1) != 1:
        raise Refused("`temperature` may only be set to 1 when thinking is enabled.")
    if seen.thinks and "top_k" in body:
        raise Refused("`top_k` must be unset when thinking is enabled.")
    if seen.thinks and not 0.95 <= body.get("top_p", 1) <= 1:
        raise Refused("`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled.")
    if {"temperature", "top_p"} <= body.keys() and "claude-3" not in family_of(body["model"]):
        raise Refused("`temperature` and `top_p` cannot both be specified for this model. Please use only one.")
    for index, each in enumerate(body.get("stop_sequences", [])):
        if not each.strip():
            raise Refused("stop_sequences: each stop sequence must contain non-whitespace")


KINDS = {400: "invalid_request_error", 401: "authentication_error", 402: "billing_error", 403: "permission_error", 404: "not_found_error",
         408: "timeout_error", 409: "conflict_error", 413: "request_too_large", 429: "rate_limit_error", 500: "api_error", 503: "api_error", 504: "timeout_error",
         529: "overloaded_error"}
REQUEST_ID = "req_upstream_anthropic"


def envelope(refused):
    kind = refused.kind or KINDS[refused.status]
    return {"type": "error", "error": {"type": kind, "message": refused.message}, "request_id": REQUEST_ID}


def scripted(status):
    return Refused(WORDS[status], status)


def error_headers(status):
    headers = {"request-id": REQUEST_ID, "anthropic-organization-id": "org_upstream", "anthropic-ratelimit-requests-limit": "50",
               "anthropic-ratelimit-requests-remaining": "49", "anthropic-ratelimit-requests-reset": "2026-11-24T00:00:00Z"}
    return headers | ({"retry-after": "7"} if status == 429 else {})


def error_frame(envelope, _):

    return event("error", {key: value for key, value in envelope.items() if key != "type"})
