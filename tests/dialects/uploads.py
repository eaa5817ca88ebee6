"""Multipart bodies as a browser sends them."""

from collections.abc import Mapping
from typing import Any

from tests.http import Answer, Visitor

BOUNDARY = "----palaver-7MA4YWxkTrZu0gW"


def multipart(
    file: bytes | None = b"",
    *,
    name: str = "notes.txt",
    declared: str | None = "text/plain",
    field: str = "file",
    boundary: str = BOUNDARY,
    **fields: str,
) -> bytes:
    """Return a body with a file and texts."""
    parts = [
        f'Content-Disposition: form-data; name="{key}"\r\n\r\n{value}'.encode()
        for key, value in fields.items()
    ]
    if file is not None:
        head = f'Content-Disposition: form-data; name="{field}"; filename="{name}"\r\n'
        if declared is not None:
            head += f"Content-Type: {declared}\r\n"
        parts.append(head.encode() + b"\r\n" + file)
    line = f"--{boundary}\r\n".encode()
    body = b"".join(line + part + b"\r\n" for part in parts)
    return body + f"--{boundary}--\r\n".encode()


async def upload(
    visitor: Visitor,
    path: str,
    content: bytes,
    *,
    boundary: str = BOUNDARY,
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> Answer:
    """Send a multipart body."""
    told = {"Content-Type": f"multipart/form-data; boundary={boundary}"} | dict(headers or {})
    return await visitor.post(path, content=content, headers=told, **more)
