"""Rate limits: how many requests somebody may make in each minute and each hour of UTC."""

from typing import Final

import msgspec

from palaver.kit.clock import HOUR, MINUTE

NO_LIMIT: Final = 1 << 62
"""More requests than anybody makes."""


class RateCounts(msgspec.Struct, frozen=True, gc=False):
    """What somebody has asked in the minute and in the hour that began at these instants."""

    minute_at: int
    minute_requests: int
    hour_at: int
    hour_requests: int


class Allowance(msgspec.Struct, frozen=True, gc=False):
    """What one limit leaves until it begins anew."""

    limit: int
    remaining: int
    reset_at: int


class RateLimits(msgspec.Struct, frozen=True):
    """Requests in a minute and in an hour; 0 = any number."""

    per_minute: int = 60
    per_hour: int = 1000

    @property
    def are_off(self) -> bool:
        """Tell whether there is nothing to count."""
        return not (self.per_minute or self.per_hour)

    def allowance(self, counts: RateCounts | None, *, at: int) -> Allowance | None:
        """Return the tighter one; of two that leave the same, the one that begins anew later."""
        counts = counts or RateCounts(0, 0, 0, 0)
        left = [
            _left(limit, size, begun_at, requests, at=at)
            for limit, size, begun_at, requests in (
                (self.per_minute, MINUTE, counts.minute_at, counts.minute_requests),
                (self.per_hour, HOUR, counts.hour_at, counts.hour_requests),
            )
            if limit
        ]
        return min(left, key=lambda one: (one.remaining, -one.reset_at), default=None)


def _left(limit: int, size: int, begun_at: int, requests: int, *, at: int) -> Allowance:
    starts_at = at - at % size
    if begun_at < starts_at:
        return Allowance(limit, limit, starts_at + size)
    return Allowance(limit, max(0, limit - requests), begun_at + size)
