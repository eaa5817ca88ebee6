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
        if message["type"] == "http.disconnect":
            return
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


async def test_a_body_that_drips_is_refused(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "BODY_SECONDS", 0.05)
    head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n"
    drops = [b"x"] * 10
    assert (await said(port, head, *drops, pause_seconds=0.001)).startswith(b"HTTP/1.1 408 ")
    chunked = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    assert (await said(port, chunked, b"1\r\nx\r\n")).startswith(b"HTTP/1.1 408 ")
    # Behind a request that was answered as well.
    behind = await said(port, a_request(is_last=False), head, pause_seconds=0.005)
    assert behind.startswith(b"HTTP/1.1 200 ")
    assert b"HTTP/1.1 408 " in behind


async def test_a_body_may_take_long_while_it_comes(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "BODY_SECONDS", 0.2)
    monkeypatch.setattr(server, "BODY_BYTES", 1000)
    whole = a_request(body=b"x" * 100_000)
    pieces = [whole[at : at + 2000] for at in range(0, len(whole), 2000)]
    answer = await said(port, *pieces, pause_seconds=0.01)
    assert b"100000 bytes" in answer


async def test_a_body_that_we_are_slow_to_read_is_not_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "BODY_SECONDS", 0.03)

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.2)
        await echo(scope, receive, send)

    async with served(slow) as address:
        port = int(address.rpartition(":")[2])
        answer = await said(port, a_request(body=b"x" * 5_000_000))
    assert b"5000000 bytes" in answer


@pytest.mark.parametrize("size", [1_000, 20_000_000])
async def test_whoever_does_not_read_counts_as_gone(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "WRITE_SECONDS", 0.05)
    has_left = asyncio.Event()

    async def flood(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})

        async def leave() -> None:
            assert (await receive())["type"] == "http.disconnect"
            has_left.set()

        async with asyncio.TaskGroup() as group:
            _ = group.create_task(leave())
            while not has_left.is_set():
                await send({"type": "http.response.body", "body": b"x" * size, "more_body": True})
                await asyncio.sleep(0)

    async with served(flood) as address:
        port = int(address.rpartition(":")[2])
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
        writer.write(a_request())
        async with asyncio.timeout(10):
            await has_left.wait()
        writer.transport.abort()


async def test_whoever_reads_slowly_gets_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "WRITE_SECONDS", 0.3)

    async def large(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x" * 20_000_000})

    async with served(large) as address:
        port = int(address.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(a_request())
        size = 0
        while piece := await reader.read(400_000):
            size += len(piece)
            await asyncio.sleep(0.005)
        writer.close()
    assert size > 20_000_000
