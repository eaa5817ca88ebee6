"""Loops: upkeep of one process that is repeated and needs no row."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from palaver.kit.tasks import Tasks

log = logging.getLogger(__name__)


class Loops:
    """Repeats each piece of upkeep until `close`; a failure is logged, and the loop goes on."""

    def __init__(self, *, pause_after_failure_seconds: float = 1.0) -> None:
        self._pause = pause_after_failure_seconds
        self._tasks = Tasks()

    def start(self, step: Callable[[], Awaitable[float]], *, name: str) -> None:
        """Repeat `step`, which returns how many seconds to wait until the next time."""
        _ = self._tasks.start(self._repeat(step, name), name=name)

    async def close(self) -> None:
        """Stop."""
        await self._tasks.cancel()

    async def _repeat(self, step: Callable[[], Awaitable[float]], name: str) -> None:
        while True:
            try:
                pause = await step()
            except Exception:
                log.exception("%s failed", name)
                pause = self._pause
            await asyncio.sleep(pause)
