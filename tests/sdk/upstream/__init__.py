"""A scripted provider that speaks every dialect and refuses what the real providers refuse.

# Layout
- `server`: HTTP, faults on the wire, the record of requests. `python -m upstream` serves it by itself.
- `scripts`: what the models say; the end of a model's name is its script (`gpt-4.1-tools`, `gemini-3-pro-error-429`).
- `chat`, `responses`, `anthropic`, `gemini`: one dialect each; `…_turns` and `…_write` beside them.
- `other`: embeddings, images, audio, moderations, rerank.
- `shape`, `schemas`, `media`: what is checked of bodies, JSON Schemas, pictures and documents.
"""

from .server import Request, Upstream

__all__ = ["Request", "Upstream"]
