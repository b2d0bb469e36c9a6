"""How Google's `generateContent` answers: the whole reply, and its stream, which counts anew in every chunk."""

import json

from .scripts import Call, Say, Think, family_of, pieces, proof

ID = "upstream-response-1"
FINISH = {"stop": "STOP", "stop_sequence": "STOP", "tools": "STOP", "length": "MAX_TOKENS", "refusal": "SAFETY"}


def usage(made):
    cost = made.usage
    told = {"promptTokenCount": cost.input, "candidatesTokenCount": cost.output - cost.reasoning,
            "totalTokenCount": cost.input + cost.output, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": cost.input}]}
    if cost.cached:
        told["cachedContentTokenCount"] = cost.cached
    if cost.reasoning:
        told["thoughtsTokenCount"] = cost.reasoning
    return told


def parts(made, seen):
    """What is said, part by part; only the first call of a turn is signed. A refusal has no words here."""
    signs, made_parts = family_of(seen.model).startswith(("gemini-3", "gemini-2.5")), []
    thought = next((item.text for item in made.items if isinstance(item, Think)), "call")
    for item in made.items:
        if isinstance(item, Think):
            made_parts.append({"text": item.text, "thought": True})
        elif isinstance(item, Say):
            made_parts.append({"text": item.text})
        elif isinstance(item, Call) and made.finish != "length":
            call = {"name": item.name} | ({"args": json.loads(item.arguments)} if item.arguments else {})
            made_parts.append({"functionCall": call})
            if signs:
                made_parts[-1]["thoughtSignature"] = proof(thought, "gemini")
                signs = False
    if signs and seen.thinks and made_parts and "text" in made_parts[-1]:
        made_parts[-1]["thoughtSignature"] = proof(thought, "gemini")
    return made_parts


def envelope(made, seen, content, finish=None):
    if made.finish == "blocked":
        return {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": usage(made), "modelVersion": seen.model,
                "responseId": ID}
    candidates = []
    for index in range(seen.n):
        candidate = {"content": {"parts": content, "role": "model"} if content else {"role": "model"}, "index": index}
        if finish:
            candidate["finishReason"] = finish
        if finish == "SAFETY":
            candidate["safetyRatings"] = [{"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH", "blocked": True}]
        candidates.append(candidate)
    return {"candidates": candidates, "usageMetadata": usage(made), "modelVersion": seen.model, "responseId": ID}


def finish_of(made):
    return FINISH.get(made.finish)


def write(made, seen):
    return envelope(made, seen, parts(made, seen), finish_of(made))


def chunk(payload):
    return b"data: " + json.dumps(payload, ensure_ascii=False).encode() + b"\r\n\r\n"


def stream(made, seen):
    """Text comes in pieces, calls come whole; the chunk of the finish may bring the last part."""
    split = []
    for part in parts(made, seen):
        if "text" in part:
            *before, last = pieces(part["text"])
            split += [{key: value for key, value in part.items() if key != "thoughtSignature"} | {"text": piece} for piece in before]
            split.append(part | {"text": last})
        else:
            split.append(part)
    for part in split[:-1]:
        yield chunk(envelope(made, seen, [part]))
    yield chunk(envelope(made, seen, split[-1:], finish_of(made)))


def error_frame(envelope, _):
    return chunk(envelope)
