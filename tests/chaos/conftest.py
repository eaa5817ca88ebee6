"""A real `palaver serve` before a real provider, and somebody who talks to it."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import aiohttp
import pytest

from tests.chaos.load import PROVIDER, Person
from tests.chaos.processes import House, a_provider
from tests.chaos.record import Reading, Record
from tests.chaos.street import Street


class Reader(Person):
    """Somebody who does as a test says, and never anything else."""

    async def begin_talk(self, content: str = "Well?") -> int:
        """Return a new conversation with a question."""
        answer = await self._try("begin", "POST", "/conversations", {})
        path = f"/conversations/{answer['id']}/messages"
        await self._try("say", "POST", path, {"content": content})
        return int(answer["id"])

    async def read_stream(
        self, talk: int, model: str, *, last: int | None = None, reading: Reading | None = None
    ) -> Reading:
        """Ask a model, or come back behind the number `last`, and read until the stream ends."""
        reading = reading or Reading(after=last or 0)
        choice = {"provider_id": PROVIDER, "model": model}
        path = f"/conversations/{talk}/stream"
        async with aclosing(self._frames(reading, path, choice, last=last)) as frames:
            async for _ in frames:
                pass
        return reading

    async def begin_reading(self, talk: int, model: str) -> tuple[Reading, "asyncio.Task[Reading]"]:
        """Ask, and read in the background; returns once the first words have come."""
        reading = Reading(after=0)
        task = asyncio.ensure_future(self.read_stream(talk, model, reading=reading))
        async with asyncio.timeout(10):
            while not any(frame.name == "delta" for frame in reading.frames):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return reading, task

    async def call(self, method: str, path: str, body: object = None) -> tuple[int, object]:
        """Call once; return status and body."""
        async with (
            self.street.way() as address,
            self.session.request(
                method, address + path, json=body, headers=self.headers
            ) as response,
        ):
            return response.status, await response.json()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """Give a house that serves, with the provider `lmstudio` of the chaos."""
    async with a_provider(tmp_path) as port:
        house = House(tmp_path / "house", provider_port=port)
        await house.open()
        yield house
        await house.kill()


@pytest.fixture
async def person(house: House) -> AsyncIterator[Reader]:
    """Give somebody with an account."""
    street = Street([house], Record(), random.Random(1), insists_seconds=0)
    street.open()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        connector=connector, timeout=aiohttp.ClientTimeout(total=30)
    ) as session:
        person = Reader("somebody", street, session)
        await person.register()
        yield person
