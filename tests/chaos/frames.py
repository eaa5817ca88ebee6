"""Reads a stream of the `streaming` contract as one does who must not be fooled by where it breaks."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

from tests.chaos.record import Frame


async def parse_frames(content: aiohttp.StreamReader) -> AsyncIterator[Frame]:
    """Read events; what was cut off in the middle of one is none."""
    number, name = 0, ""
    data: dict[str, Any] = {}
    async for raw in content:
        line = raw.rstrip(b"\n")
        if not line:
            yield Frame(number, name, data)
            continue
        if not raw.endswith(b"\n"):
            return
        field, _, value = line.partition(b": ")
        if field == b"id":
            number = int(value)
        elif field == b"event":
            name = value.decode()
        else:
            assert field == b"data", line
            data = json.loads(value)
