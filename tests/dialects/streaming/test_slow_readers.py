"""Readers who cannot keep up: they are waited for, and miss nothing."""

import asyncio
import socket
from typing import Any

import aiohttp

from tests.dialects.streaming.helpers import a_conversation, names_of, text_of
from tests.fakes.scripts import Script
from tests.fakes.upstream import Upstream
from tests.http import Visitor

WORDS = tuple(f"{number:05} " * 2_600 for number in range(520))  # 8.1 MB, more than sockets hold


def narrow(address: Any) -> socket.socket:
    """Return a socket that takes little at once."""
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    return made


async def test_a_reader_who_pauses_now_and_then_gets_everything_once(
    owner: Visitor, upstream: Upstream
) -> None:
    upstream.plan(Script(words=WORDS, delay_seconds=0.001))
    id = await a_conversation(owner, "Hello")
    jar = owner.session.cookie_jar
    await owner.session.close()
    events = []
    connector = aiohttp.TCPConnector(socket_factory=narrow)
    async with (
        aiohttp.ClientSession(connector=connector, cookie_jar=jar) as owner.session,
        owner.events(f"/conversations/{id}/stream", {}) as stream,
    ):
        for pause_seconds in (0.3, 0.1, 0.1):
            events += [await anext(stream) for _ in range(20)]
            await asyncio.sleep(pause_seconds)
        events += await stream.all()
    assert names_of(events) == ["ping", "delta", "usage", "done"]
    assert text_of(events) == "".join(WORDS)
    numbers = [event.number for event in events]
    assert numbers == sorted(numbers)
