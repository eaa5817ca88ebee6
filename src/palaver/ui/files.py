"""Sends what pages load."""

import asyncio
import gzip
from typing import Final

from starlette.responses import Response

from palaver.domain.errors import NotFound
from palaver.web.call import Call
from palaver.web.files import NAMES, load

_FOR_A_YEAR: Final = "public, max-age=31536000, immutable"


async def get(call: Call, name: str, *, v: str = "") -> Response:
    """Send a file that pages load. No contract: ours."""
    if name not in NAMES:
        raise NotFound("file")
    file = await asyncio.to_thread(load, name)
    headers = {
        "etag": f'"{file.tag}"',
        "cache-control": _FOR_A_YEAR if v == file.tag else "no-cache",
        "vary": "accept-encoding",
        "x-content-type-options": "nosniff",
    }
    if call.header(b"if-none-match") == headers["etag"]:
        return Response(None, 304, headers)
    if "gzip" not in (call.header(b"accept-encoding") or ""):
        return Response(gzip.decompress(file.packed), 200, headers, file.media_type)
    headers["content-encoding"] = "gzip"
    return Response(file.packed, 200, headers, file.media_type)
