"""Time as the whole house keeps it: integer microseconds since the epoch, in UTC."""

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Anything that returns now in microseconds; tests hand in one that they move."""

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def system_clock() -> int:
    """Return now in microseconds since the epoch."""
    return time.time_ns() // 1_000
