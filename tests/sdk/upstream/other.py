"""OpenAI's APIs that hold no conversation."""

import base64
import email
import email.policy
import json
import struct

from .openai_common import checked
from .refusal import Refused
from .shape import BOOL, INT, OBJECT, STR, STRINGS, Either, Many, Number, Record, Text, Word, maybe

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
SPOKEN = b"ID3\x04\x00" + bytes(range(256)) * 40
SHAPES = {
    "embeddings": Record(model1=STR, input1=Either(Text(least=1), Many(Either(STR, INT, Many(INT)), least=1, most=2048)), user=STR,
                         dimensions=Number(1, whole=True), encoding_format=Word("float", "base64")),
    "images/generations": Record(model=STR, prompt1=STR, n=maybe(Number(1, 10, whole=True)), size=maybe(STR), quality=maybe(STR),
                                 style=maybe(STR), background=maybe(STR), moderation=maybe(STR), output_format=maybe(STR), user=STR,
                                 output_compression=maybe(INT), response_format=maybe(STR), stream=maybe(BOOL), partial_images=maybe(INT)),
    "audio/speech": Record(model1=STR, input1=Text(most=4096), voice1=STR, instructions=STR, speed=Number(0.25, 4),
                           response_format=Word("mp3", "opus", "aac", "flac", "wav", "pcm"), stream_format=Word("sse", "audio")),
    "moderations": Record(model=STR, input1=Either(STR, Many(Either(STR, OBJECT)))),
    "rerank": Record(model1=STR, query1=STR, documents1=Many(Either(STR, OBJECT), least=1), top_n=INT, return_documents=BOOL,
                     max_tokens_per_doc=INT, rank_fields=STRINGS),
}


def answer(name, request):
    """Status, type and body of a reply."""
    if name == "audio/transcriptions":
        return "application/json", json.dumps(transcription(fields(request))).encode()
    body = request.json
    checked(SHAPES[name], body)
    if name == "audio/speech":
        return "audio/mpeg", SPOKEN
    return "application/json", json.dumps(ANSWERS[name](body)).encode()


def embeddings(body):
    texts = body["input"]
    count = 1 if isinstance(texts, str) or isinstance(texts[0], int) else len(texts)
    size = body.get("dimensions", 4)
    vectors = [[0.25 * (index + 1)] * size for index in range(count)]
    if body.get("encoding_format") == "base64":
        vectors = [base64.b64encode(struct.pack(f"<{size}f", *vector)).decode() for vector in vectors]
    rows = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    return {"object": "list", "model": body["model"], "data": rows, "usage": {"prompt_tokens": 5 * count, "total_tokens": 5 * count}}


def images(body):
    count = body.get("n") or 1
    usage = {"input_tokens": 12, "output_tokens": 1056 * count, "total_tokens": 12 + 1056 * count,
             "input_tokens_details": {"text_tokens": 12, "image_tokens": 0}}
    return {"created": 1795500000, "data": [{"b64_json": base64.b64encode(PNG).decode()}] * count, "usage": usage,
            "size": body.get("size") or "1024x1024", "quality": body.get("quality") or "high", "output_format": "png", "background": "opaque"}


def moderations(body):
    count = len(body["input"]) if isinstance(body["input"], list) else 1
    names = ("harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "self-harm", "self-harm/instructions",
             "self-harm/intent", "sexual", "sexual/minors", "violence", "violence/graphic")
    row = {"flagged": False, "categories": {name: False for name in names}, "category_scores": {name: 0.001 for name in names},
           "category_applied_input_types": {name: ["text"] for name in names}}
    return {"id": "modr-upstream", "model": body.get("model", "omni-moderation-latest"), "results": [row] * count}


def rerank(body):
    count = min(body.get("top_n", len(body["documents"])), len(body["documents"]))
    rows = [{"index": len(body["documents"]) - 1 - index, "relevance_score": 0.9 - index / 10} for index in range(count)]
    return {"id": "rerank-upstream", "results": rows, "meta": {"billed_units": {"search_units": 1}}}


ANSWERS = {"embeddings": embeddings, "images/generations": images, "moderations": moderations, "rerank": rerank}


def fields(request):
    """The fields of a multipart body; files as bytes."""
    head = f"content-type: {request.headers.get('content-type', '')}\r\n\r\n".encode()
    message = email.message_from_bytes(head + request.body, policy=email.policy.HTTP)
    if not message.is_multipart():
        raise Refused("Could not parse multipart form", param=None)
    found = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        data = part.get_payload(decode=True)
        found[name] = data if part.get_filename() else data.decode().rstrip("\r\n")
    return found


def transcription(form):
    for name in ("file", "model"):
        if name not in form:
            raise Refused(f"you must provide a {name} parameter", param=name)
    return {"text": f"{len(form['file'])} bytes were spoken.", "usage": {"type": "duration", "seconds": 3}}
