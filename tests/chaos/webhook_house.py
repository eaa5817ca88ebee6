"""Palaver with a clock that can be moved, and less patience: run in the place of `palaver`.

`CHAOS_CLOCK` names a file with the seconds by which the clock is ahead, `CHAOS_PATIENCE` is how many
seconds an endpoint has to answer. `CHAOS_FAULT` puts a fault in, to prove that the chaos finds it:
`told-early` stores that an endpoint was told, and tells it 100 ms later.
"""

import asyncio
import os
import sys
import time
from typing import Any, Final

import msgspec

from palaver.kit import clock

LOOK_SECONDS: Final = 0.05
_ENVIRONMENT: Final = os.environ  # noqa: TID251  # what the chaos says, no setting


class MovedClock:
    """Tells the time, as far ahead as the file says."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.ahead = 0
        self.looked_at = 0.0

    def __call__(self) -> int:
        now = time.monotonic()
        if now - self.looked_at > LOOK_SECONDS:
            self.looked_at = now
            with open(self.path, encoding="ascii") as file:
                self.ahead = int(file.read() or self.ahead)
        return time.time_ns() // 1_000 + self.ahead * clock.SECOND


# Before anything else of ours is imported: all of it takes the clock by its name.
clock.system_clock = MovedClock(_ENVIRONMENT["CHAOS_CLOCK"])  # type: ignore[assignment]

from palaver import __main__  # noqa: E402
from palaver.domain.webhooks import DeliveryAttempt, Outcome  # noqa: E402
from palaver.outbound import webhooks  # noqa: E402
from palaver.services.couriers import Post  # noqa: E402

_PATIENCE: Final = float(_ENVIRONMENT["CHAOS_PATIENCE"])
_LIMITS: Final = msgspec.structs.replace(
    webhooks.LIMITS, whole_seconds=_PATIENCE, silence_seconds=_PATIENCE
)
webhooks.GatedSender.__init__.__kwdefaults__["limits"] = _LIMITS


def tell_early() -> None:
    """Believe that everybody takes everything."""

    async def attempt(self: Post, endpoint: Any, delivery: Any) -> None:
        number = delivery.tries + 1
        at = self.clock()
        line = DeliveryAttempt(delivery.id, number, at, 0, "{}", 200, None, "")
        await self._record(endpoint, delivery, line, Outcome(None, 200))
        await asyncio.sleep(0.1)
        await self.send(endpoint, delivery.event, delivery_id=delivery.id, number=number)

    Post.attempt = attempt  # type: ignore[method-assign]


if _ENVIRONMENT.get("CHAOS_FAULT") == "told-early":
    tell_early()

if __name__ == "__main__":
    sys.exit(__main__.main())
