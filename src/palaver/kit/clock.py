"""Time as the whole house keeps it: integer microseconds since the epoch, in UTC."""

import datetime
import functools
import time
from collections.abc import Callable
from typing import Final

Clock = Callable[[], int]
"""Anything that returns now in microseconds; tests hand in one that they move."""

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def system_clock() -> int:
    """Return now in microseconds since the epoch."""
    return time.time_ns() // 1_000


_MINUTES: Final = tuple(f"T{minute // 60:02d}:{minute % 60:02d}:" for minute in range(1440))
_SECONDS: Final = tuple(f"{second:02d}." for second in range(60))
_EPOCH: Final = datetime.date(1970, 1, 1).toordinal()


def iso_text(at: int) -> str:
    """Return an instant in UTC as ISO 8601 without its offset: `2024-01-15T10:30:00.000000`.

    Put together from tables: lists hold two instants an item, and `datetime.isoformat` costs 2 µs
    each, more than all else that an item costs.
    """
    second, microsecond = divmod(at, SECOND)
    day, second = divmod(second, 86_400)
    minute, second = divmod(second, 60)
    return f"{_day_text(day)}{_MINUTES[minute]}{_SECONDS[second]}{microsecond:06d}"


@functools.lru_cache(maxsize=4096)
def _day_text(day: int) -> str:
    return datetime.date.fromordinal(_EPOCH + day).isoformat()
