"""`python -m upstream [PORT]` in this folder's parent: serves until it is interrupted."""

import sys

from . import Upstream
from .scripts import NAMES

upstream = Upstream(port=int(sys.argv[1]) if len(sys.argv) > 1 else 0)
print(f"{upstream.origin}/openai/v1 {upstream.origin}/anthropic {upstream.origin}/gemini", flush=True)
print(f"key {upstream.key}; scripts: {' '.join(NAMES)}", flush=True)
try:
    upstream.thread.join()
except KeyboardInterrupt:
    upstream.stop()
