"""What both of OpenAI's APIs share: shapes, words of refusal, and which models take what."""

import json

from . import schemas
from .media import IMAGES, data_url, is_a
from .refusal import WORDS, Refused
from .scripts import Medium, family_of
from .shape import OBJECT, STR, Many, Problem, Record, Text, Word, kind_of, maybe

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
NAME = r"[a-zA-Z0-9_-]+"
METADATA = maybe(OBJECT)
TIERS = ("auto", "default", "flex", "scale", "priority", "fast")
CACHE = {"prompt_cache_key": STR, "prompt_cache_retention": maybe(Word("in_memory", "24h")), "prompt_cache_options": OBJECT,
         "safety_identifier": maybe(STR), "user": STR, "metadata": METADATA, "moderation": maybe(OBJECT)}
GRAMMAR = Record(type1=Word("text", "grammar"), syntax=Word("lark", "regex"), definition=STR)
BREAKPOINT = {"prompt_cache_breakpoint": OBJECT}


def tool_name(most):
    return Text(NAME, least=1, most=most)


def dotted(path):
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def refuse(problem: Problem):
    """A fault of shape in OpenAI's words."""
    param, expected, got = dotted(problem.path), problem.expected, problem.got
    a_kind = f"{'an' if kind_of(got)[0] in 'aeiou' else 'a'} {kind_of(got)}"
    message, code = {
        "unknown": (f"Unknown parameter: '{param}'.", "unknown_parameter"),
        "missing": (f"Missing required parameter: '{param}'.", "missing_required_parameter"),
        "type": (f"Invalid type for '{param}': expected {expected}, but got {a_kind} instead.", "invalid_type"),
        "value": (f"Invalid value: '{got}'. Supported values are: {expected}.", "invalid_value"),
        "low": (f"Invalid '{param}': below minimum value. Expected a value >= {expected}, but got {got} instead.",
                "integer_below_min_value"),
        "high": (f"Invalid '{param}': above maximum value. Expected a value <= {expected}, but got {got} instead.",
                 "integer_above_max_value"),
        "short": (f"Invalid '{param}': too short. Expected at least {expected}.", "empty_array"),
        "long": (f"Invalid '{param}': too long. Expected at most {expected}, but got {len(got) if isinstance(got, (str, list)) else 0} instead.",
                 "string_above_max_length" if isinstance(got, str) else "array_above_max_length"),
        "pattern": (f"Invalid '{param}': string does not match pattern. Expected a string that matches the pattern "
                    f"'^{expected}$'.", "invalid_value"),
    }[problem.kind]
    raise Refused(message, param=param, code=code)


def checked(shape, body):
    try:
        shape.check(body, [])
    except Problem as problem:
        refuse(problem)


def authenticate(headers, key):
    if headers.get("authorization") != f"Bearer {key}":
        raise Refused("Incorrect API key provided.", 401, code="invalid_api_key")


def envelope(refused: Refused):
    kinds = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
    kind = refused.kind or kinds.get(refused.status, "server_error" if refused.status >= 500 else "invalid_request_error")
    return {"error": {"message": refused.message, "type": kind, "param": refused.param, "code": refused.code}}


def scripted(status):
    """The error of an `error-…` script."""
    codes = {404: "model_not_found", 429: "rate_limit_exceeded", 401: "invalid_api_key", 400: "invalid_value"}
    return Refused(WORDS[status], status, code=codes.get(status), param="model" if status in (400, 404) else None)


def error_headers(status):
    headers = {"x-request-id": "req_upstream_openai", "openai-version": "2020-10-01", "x-ratelimit-limit-requests": "500",
               "x-ratelimit-remaining-requests": "499", "x-ratelimit-reset-requests": "120ms"}
    return headers | ({"retry-after": "7", "retry-after-ms": "7000"} if status == 429 else {})


def reasons(model):
    """Whether it is one of the models that think, which take fewer parameters."""
    return family_of(model).startswith(("gpt-5", "o1", "o3", "o4"))


def check_tool_schema(name, function, where):
    schema = function.get("parameters")
    if schema is None:
        return
    try:
        if schema.get("type") != "object":
            raise schemas.Unfit((), f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{schema.get('type')}\"'.")
        if "properties" not in schema and function.get("strict"):
            raise schemas.Unfit((), "object schema missing properties.")
        if function.get("strict"):
            schemas.openai_strict(schema)
    except schemas.Unfit as unfit:
        raise Refused(f"Invalid schema for function '{name}': In context={unfit.where}, {unfit.what}", param=where,
                      code="invalid_function_parameters") from None


def check_format(form, where):
    if form.get("strict"):
        try:
            schemas.openai_strict(form["schema"])
        except schemas.Unfit as unfit:
            raise Refused(f"Invalid schema for response_format '{form['name']}': In context={unfit.where}, {unfit.what}",
                          param=where) from None
    return form.get("schema", True)


def image(url, param):
    """A picture by its URL; only data URLs can be looked into."""
    if url.startswith(("https://", "http://")):
        return Medium("url", len(url))
    found = data_url(url)
    if not found:
        raise Refused(f"Invalid '{param}'. Expected a base64-encoded data URL with an image MIME type (e.g. "
                      f"'data:image/png;base64,aW1nIGJ5dGVzIGhlcmU='), but got an invalid URL.", param=param, code="invalid_base64")
    mime, data = found
    if mime not in IMAGES or not is_a(mime, data):
        raise Refused("You uploaded an unsupported image. Please make sure your image is valid.", code="image_parse_error")
    return Medium(mime, len(data))


def document(file, param):
    """A file that came as data."""
    if "file_data" not in file:
        if not {"file_id", "file_url"} & file.keys():
            raise Refused(f"Missing required parameter: '{param}.file_id'.", param=f"{param}.file_id",
                          code="missing_required_parameter")
        return Medium("id", 0, file.get("file_id") or file.get("file_url"))
    if not file.get("filename"):
        raise Refused(f"Missing required parameter: '{param}.filename'.", param=f"{param}.filename",
                      code="missing_required_parameter")
    found = data_url(file["file_data"])
    if not found:
        raise Refused(f"Invalid '{param}.file_data'. Expected a base64-encoded data URL with an application/pdf MIME type, "
                      "but got a value without the 'data:' prefix.", param=f"{param}.file_data", code="invalid_value")
    if not is_a(*found):
        raise Refused("The file is not a valid PDF.", param=param, code="invalid_file")
    return Medium(found[0], len(found[1]), file["filename"])


def data(payload):
    return b"data: " + json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


STOPS = Many(STR, least=1, most=4)
