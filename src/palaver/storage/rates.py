"""Rate counts: one row for each caller, of the minute and the hour that are under way."""

from typing import Final

from palaver.domain.rates import NO_LIMIT, RateCounts, RateLimits
from palaver.kit.clock import HOUR, MINUTE
from palaver.storage.connection import Connection
from palaver.storage.statements import Statement

_COLUMNS: Final = "minute_at, minute_requests, hour_at, hour_requests"


def _next(window: str) -> str:
    """Return how a window goes on: a worker whose clock is behind counts into the newer one."""
    goes_on = f"rate_counts.{window}_at >= excluded.{window}_at"
    return f"""
        {window}_at = case when {goes_on}
            then rate_counts.{window}_at else excluded.{window}_at end,
        {window}_requests = case when {goes_on} then rate_counts.{window}_requests else 0 end + 1"""


def _has_room(window: str) -> str:
    return f"""(rate_counts.{window}_at < excluded.{window}_at
        or rate_counts.{window}_requests < :per_{window})"""


# Looks and counts in one, so that requests in parallel cannot pass a limit together; what is
# refused changes nothing, and returns no row.
_COUNT: Final = Statement(
    f"""insert into rate_counts (key, {_COLUMNS}) values (:key, :minute_at, 1, :hour_at, 1)
    on conflict (key) do update set {_next("minute")}, {_next("hour")}
    where {_has_room("minute")} and {_has_room("hour")}
    returning {_COLUMNS}""",
    RateCounts,
)
_FIND: Final = Statement(f"select {_COLUMNS} from rate_counts where key = :key", RateCounts)
_PURGE: Final[Statement[None]] = Statement(
    """delete from rate_counts where key in (
        select key from rate_counts where hour_at < :before order by hour_at limit :limit
        {skip_locked})"""
)


class RateStore:
    """`rate_counts`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def count(self, key: str, limits: RateLimits, *, at: int) -> RateCounts | None:
        """Count a request in both windows; None, and nothing changed, where one is full."""
        return await self._connection.one(
            _COUNT,
            key=key,
            minute_at=at - at % MINUTE,
            hour_at=at - at % HOUR,
            per_minute=limits.per_minute or NO_LIMIT,
            per_hour=limits.per_hour or NO_LIMIT,
        )

    async def find(self, key: str) -> RateCounts | None:
        """Return what was counted last."""
        return await self._connection.one(_FIND, key=key)

    async def purge(self, *, before: int, limit: int) -> int:
        """Forget a bounded number of those who asked nothing since; return how many."""
        return await self._connection.run(_PURGE, before=before, limit=limit)
