"""A bell wakes the one task that listens."""

import asyncio


class Bell:
    """Rung while nobody waits, it lets the next wait through; it does not count.

    Costs about 1 µs a wake; `asyncio.Event` with a time-out costs a task.
    """

    __slots__ = ("_is_rung", "_waiter")

    def __init__(self) -> None:
        self._is_rung = False
        self._waiter: asyncio.Future[None] | None = None

    def ring(self) -> None:
        """Wake the listener; call it on the event loop's thread."""
        self._is_rung = True
        _open(self._waiter)

    async def wait(self, at_most_seconds: float | None = None) -> bool:
        """Wait until rung since the last wait; False when `at_most_seconds` went by first."""
        if not self._is_rung:
            loop = asyncio.get_running_loop()
            self._waiter = waiter = loop.create_future()
            timer = at_most_seconds is not None and loop.call_later(at_most_seconds, _open, waiter)
            try:
                await waiter
            finally:
                self._waiter = None
                if timer:
                    timer.cancel()
        was_rung, self._is_rung = self._is_rung, False
        return was_rung


def _open(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
