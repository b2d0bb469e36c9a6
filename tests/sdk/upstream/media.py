"""Whether what claims to be a picture or a document is one."""

import base64
import binascii
import re

MAGIC = {
    "image/png": (b"\x89PNG\r\n\x1a\n",), "image/jpeg": (b"\xff\xd8\xff",), "image/gif": (b"GIF87a", b"GIF89a"),
    "image/webp": (b"RIFF",), "application/pdf": (b"%PDF-",),
}
IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")


def decoded(text):
    """The bytes of base64 with its padding, else `None`."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def is_a(mime, data):
    return data is not None and data.startswith(MAGIC.get(mime, (b"",)))


def data_url(url):
    """Type and bytes of a base64 data URL, else `None`."""
    found = re.fullmatch(r"data:([a-z]+/[a-z0-9.+-]+);base64,([A-Za-z0-9+/=]+)", url)
    data = decoded(found[2]) if found else None
    return None if data is None else (found[1], data)
