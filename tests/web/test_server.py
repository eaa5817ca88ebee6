"""The server's protocol, byte by byte: heads are bounded, bodies and answers are not."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.types import Receive, Scope, Send

from palaver.web import server
from tests.http import served


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with how long the body was, after as many seconds as the path says, in pieces."""
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message["body"]), message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(int(scope["path"].strip("/") or 0)):
        await asyncio.sleep(0.01)
        await send({"type": "http.response.body", "body": b".", "more_body": True})
    await send({"type": "http.response.body", "body": b"%d bytes" % size})


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """Serve the echo."""
    async with served(echo) as address:
        yield int(address.rpartition(":")[2])


async def said(port: int, *pieces: bytes, pause_seconds: float = 0.0) -> bytes:
    """Send pieces, one after the other, and return all that comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_seconds)
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


def a_request(path: str = "/", body: bytes = b"", *, is_last: bool = True) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n"
    return f"{head}{'connection: close' if is_last else 'x: y'}\r\n\r\n".encode() + body


@pytest.mark.parametrize("size", [1000, 70_000, 200_000, 1_000_000])
async def test_a_body_may_be_larger_than_any_head(port: int, size: int) -> None:
    body = b"x" * size
    assert (await said(port, a_request(body=body))).endswith(b"%d bytes\r\n0\r\n\r\n" % size)
    # In one piece behind another request as well.
    both = a_request(body=body, is_last=False) + a_request(body=body)
    assert (await said(port, both)).count(b"%d bytes" % size) == 2


async def test_many_requests_on_one_connection_add_up_to_nothing(port: int) -> None:
    body = b"x" * 10_000
    requests = [a_request(body=body, is_last=False) for _ in range(20)]
    answer = await said(port, *requests, a_request(body=body))
    assert answer.count(b"10000 bytes") == 21


async def test_a_head_that_does_not_end_is_refused(port: int) -> None:
    endless = b"POST / HTTP/1.1\r\nhost: x\r\n" + b"x: y\r\n" * 20_000
    assert (await said(port, endless)).startswith(b"HTTP/1.1 431 ")
    pieces = [b"POST / HTTP/1.1\r\nhost: x\r\n"] + [b"x: y\r\n" * 2000] * 7
    assert (await said(port, *pieces)).startswith(b"HTTP/1.1 431 ")
    behind = [a_request(is_last=False), *pieces]
    assert b"HTTP/1.1 431 " in await said(port, *behind, pause_seconds=0.005)


async def test_a_head_that_comes_too_slowly_is_refused(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.05)
    for beginning in (b"", b"POST / HT"):
        assert (await said(port, beginning)).startswith(b"HTTP/1.1 408 ")


async def test_an_answer_may_take_longer_than_a_head(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.02)
    for stray in (b"", b"\r\n"):
        answer = await said(port, a_request("/10"), stray)
        assert answer.count(b"1\r\n.\r\n") == 10
        assert b"0 bytes" in answer
