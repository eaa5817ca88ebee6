"""The bodies of requests: JSON, into which large pictures are put beside the event loop.

Forty megabytes of pictures would hold every stream while an encoder looks through them for
characters to escape, in a thread as well, since it never lets the interpreter go. Base64 has none.
"""

import asyncio
import secrets
from collections.abc import Mapping
from itertools import chain
from typing import Any, Final

import msgspec

LARGE_BYTES: Final = 256 * 1024
"""What is smaller is put together sooner than a thread has begun."""


class Inlined:
    """A text that is not looked through: `content`, which is base64, with `before` before it."""

    __slots__ = ("before", "content")

    def __init__(self, content: bytes, *, before: str = "") -> None:
        self.content = content
        self.before = before


async def encoded(body: Mapping[str, object]) -> bytes:
    """Return a body as JSON."""
    contents: list[bytes] = []
    mark = secrets.token_hex(16)  # nobody's text can hold it

    def stand_in(value: Any) -> str:
        if not isinstance(value, Inlined):
            raise TypeError(type(value).__name__)
        contents.append(value.content)
        return value.before + mark

    first, *rest = msgspec.json.encode(body, enc_hook=stand_in).split(mark.encode())
    pieces = [first, *chain.from_iterable(zip(contents, rest, strict=True))]
    if sum(map(len, contents)) < LARGE_BYTES:
        return b"".join(pieces)
    # Joining as much as this does let the interpreter go.
    return await asyncio.to_thread(b"".join, pieces)
