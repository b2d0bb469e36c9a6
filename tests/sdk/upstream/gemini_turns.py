"""What Google demands of the turns of a conversation."""

import base64
import binascii
import json

from .media import IMAGES, decoded, is_a
from .refusal import Refused
from .scripts import REASONING, Medium, Result, proof

TAKEN = (*IMAGES, "application/pdf", "text/plain", "audio/wav", "audio/mp3", "image/heic")
# Named in the provider's documentation for histories that another model wrote.
DUMMIES = ("skip_thought_signature_validator", "context_engineering_is_the_way_to_go")
GOOD = {base64.b64decode(proof(text, "gemini")) for text in (REASONING, REASONING + " Again.", "call")}


def read_turns(contents, seen, third):
    if not contents:
        raise Refused("* GenerateContentRequest.contents: contents is not specified")
    merged = []
    for index, content in enumerate(contents):
        role = content.get("role", "user")
        if role not in ("user", "model", "function"):
            raise Refused("Please use a valid role: user, model.")
        if not content.get("parts"):
            raise Refused(f"* GenerateContentRequest.contents[{index}].parts: contents.parts must not be empty.")
        for at, part in enumerate(content["parts"]):
            check_part(part, f"contents[{index}].parts[{at}]", seen)
        merged.append(("user" if role == "function" else role, content["parts"]))
    check_calls(merged, third)
    gather(merged, seen)


def check_part(part, where, seen):
    data = [name for name in ("text", "inlineData", "fileData", "functionCall", "functionResponse") if name in part]
    if len(data) > 1:
        raise Refused(f"Invalid value at '{where}' (oneof), oneof field 'data' is already set. Cannot set '{data[1]}'")
    if not data and "thoughtSignature" not in part:
        raise Refused(f"* GenerateContentRequest.{where}.data: required oneof field 'data' must have one initialized field")
    if "inlineData" in part:
        medium(part["inlineData"], where)
    for inner in part.get("functionResponse", {}).get("parts", ()):
        medium(inner["inlineData"], where)
    if "thoughtSignature" in part:
        check_signature(part["thoughtSignature"], where, seen)


def check_signature(signature, where, seen):
    try:
        # Bytes in protobuf's JSON: either alphabet, with or without padding.
        data = base64.b64decode(signature.replace("-", "+").replace("_", "/").rstrip("=") + "=" * (-len(signature.rstrip("=")) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise Refused(f"Invalid value at '{where}.thought_signature' (TYPE_BYTES), Base64 decoding failed for \"{signature}\"") from None
    if signature in DUMMIES or data in {each.encode() for each in DUMMIES}:
        seen.dummies += 1
    elif data in GOOD:
        seen.proofs.append(signature)
    else:
        raise Refused("Thought signature is not valid.")


def medium(blob, where):
    data = decoded(blob["data"])
    if data is None:
        raise Refused(f"Invalid value at '{where}.inline_data.data' (TYPE_BYTES), Base64 decoding failed")
    if blob["mimeType"] not in TAKEN:
        raise Refused(f"Unsupported MIME type: {blob['mimeType']}")
    if not is_a(blob["mimeType"], data):
        raise Refused("Provided image is not valid." if blob["mimeType"].startswith("image") else "The document has no pages.")
    return Medium(blob["mimeType"], len(data), blob.get("displayName", ""))


def having(parts, name):
    return [part[name] for part in parts if name in part]


def check_calls(merged, third):
    """As many responses as calls, of the same names, right after them."""
    for at, (role, parts) in enumerate(merged):
        calls, responses = having(parts, "functionCall"), having(parts, "functionResponse")
        if calls and (role != "model" or at and merged[at - 1][0] == "model" or not at):
            raise Refused("Please ensure that function call turn comes immediately after a user turn or after a function response turn.")
        before = having(merged[at - 1][1], "functionCall") if at else []
        if responses and not before:
            raise Refused("Please ensure that function response turn comes immediately after a function call turn.")
        if before and len(before) != len(responses):
            raise Refused("Please ensure that the number of function response parts is equal to the number of function call parts of the "
                          "function call turn.")
        if sorted(each["name"] for each in before) != sorted(each["name"] for each in responses):
            raise Refused("Please ensure that the names of the function response parts are those of the function call turn.")
    if having(merged[-1][1], "functionCall"):
        raise Refused("Please ensure that single turn requests end with a user role or the role field is empty.")
    if third:
        check_signed(merged)


def check_signed(merged):
    """Each step since the user last said something must bring its signature, at its first call."""
    began = max((at for at, (role, parts) in enumerate(merged) if role == "user" and not having(parts, "functionResponse")), default=0)
    for at, (role, parts) in enumerate(merged[began:], began):
        first = next((part for part in parts if "functionCall" in part), None)
        if role == "model" and first and "thoughtSignature" not in first:
            raise Refused(f"Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly, "
                          f"and missing thought_signature may lead to degraded model performance. Additional data, function call "
                          f"`default_api:{first['functionCall']['name']}`, position {at + 1}.")


def gather(merged, seen):
    for at, (role, parts) in enumerate(merged):
        last = at == len(merged) - 1
        text = "\n".join(part["text"] for part in parts if "text" in part and not part.get("thought"))
        for part in parts:
            if "inlineData" in part:
                seen.media.append(medium(part["inlineData"], ""))
            elif "fileData" in part:
                seen.media.append(Medium("url", len(part["fileData"]["fileUri"])))
            elif "functionResponse" in part:
                result = result_of(part["functionResponse"])
                seen.turns.append(("tool", result.text))
                if last:
                    seen.results.append(result)
        if text:
            seen.turns.append(("assistant" if role == "model" else "user", text))


def result_of(told):
    """The provider's documentation wants the result at `output` or `result`, an error at `error`; any object will do."""
    response = told["response"]
    error = "error" in response
    text = next((response[name] for name in ("error", "output", "result", "content") if name in response), response)
    media = [medium(part["inlineData"], "") for part in told.get("parts", ())]
    return Result(told["name"], text if isinstance(text, str) else json.dumps(text, ensure_ascii=False), error, media)
