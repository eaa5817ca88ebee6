"""The way from the people to the houses."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

from tests.chaos.processes import House
from tests.chaos.record import Record


class Street:
    """The way to the houses. It is closed while one is down, so that the chaos can look in peace."""

    def __init__(
        self, houses: list[House], record: Record, rng: random.Random, *, insists_seconds: float
    ) -> None:
        self.insists_seconds = insists_seconds
        self.houses = houses
        self.record = record
        self.rng = rng
        self.is_ending = False
        self._open = asyncio.Event()
        self._calls = 0
        self._quiet = asyncio.Event()

    @property
    def is_open(self) -> bool:
        """Tell whether people may go."""
        return self._open.is_set()

    def open(self) -> None:
        """Let people go."""
        self._open.set()

    async def close(self) -> None:
        """Let nobody start, and wait until everybody has come back."""
        self._open.clear()
        async with asyncio.timeout(60):
            while self._calls:
                self._quiet.clear()
                await self._quiet.wait()

    @contextlib.asynccontextmanager
    async def way(self) -> AsyncIterator[str]:
        """Wait until the way is free; gives the address of a house that is up."""
        while True:
            await self._open.wait()
            up = [house for house in self.houses if house.is_up]
            if up:
                break
            await asyncio.sleep(0.01)
        self._calls += 1
        try:
            yield f"http://127.0.0.1:{self.rng.choice(up).port}"
        finally:
            self._calls -= 1
            self._quiet.set()
