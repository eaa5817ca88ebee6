"""Palaver with a clock that can be moved, and less patience: run in the place of `palaver`.

`CHAOS_CLOCK` names a file with the seconds by which the clock is ahead, `CHAOS_PATIENCE` is how many
seconds an endpoint has to answer.
"""

import os
import sys
import time
from typing import Final

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
from palaver.outbound import webhooks  # noqa: E402

_PATIENCE: Final = float(_ENVIRONMENT["CHAOS_PATIENCE"])
_LIMITS: Final = msgspec.structs.replace(
    webhooks.LIMITS, whole_seconds=_PATIENCE, silence_seconds=_PATIENCE
)
webhooks.GatedSender.__init__.__kwdefaults__["limits"] = _LIMITS

if __name__ == "__main__":
    sys.exit(__main__.main())
