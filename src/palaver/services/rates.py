"""Rate limits: counted in the database, so that they hold across workers and restarts."""

import logging
from typing import Final

from palaver.domain.errors import DomainError, ErrorKind
from palaver.domain.rates import Allowance, RateLimits
from palaver.domain.throttling import network
from palaver.domain.users import Actor
from palaver.kit.clock import HOUR, SECOND, Clock, system_clock
from palaver.storage.database import Database, DatabaseError

log = logging.getLogger(__name__)

PURGE_MAX: Final = 1_000


class RateService:
    """Counts requests per user, and per address before sign-in."""

    def __init__(self, db: Database, limits: RateLimits, *, clock: Clock = system_clock) -> None:
        self.db = db
        self.limits = limits
        self.clock = clock

    async def count(self, actor: Actor) -> Allowance | None:
        """Count a request, and return what is left; None where there is no limit.

        Raises `DomainError` (`RATE_LIMITED`); a refused request does not count.
        """
        if self.limits.are_off:
            return None
        at = self.clock()
        async with self.db.single() as tx:
            counts = await tx.rates.count(_key(actor), self.limits, at=at)
        if counts is None:
            raise await self._refusal(actor, at=at)
        return self.limits.allowance(counts, at=at)

    async def standing(self, actor: Actor) -> Allowance | None:
        """Return what is left, and count nothing; None also where the database is away."""
        if self.limits.are_off:
            return None
        try:
            async with self.db.read() as tx:
                counts = await tx.rates.find(_key(actor))
        except DatabaseError as error:
            log.warning("rate limits cannot be shown: %s", error)
            return None
        return self.limits.allowance(counts, at=self.clock())

    async def purge(self, actor: Actor) -> int:
        """Forget a bounded number of those who asked nothing in this hour; return how many."""
        actor.require_admin()
        at = self.clock()
        async with self.db.transaction() as tx:
            return await tx.rates.purge(before=at - at % HOUR, limit=PURGE_MAX)

    async def _refusal(self, actor: Actor, *, at: int) -> DomainError:
        allowance = await self.standing(actor)
        wait = SECOND if allowance is None else max(SECOND, allowance.reset_at - at)
        return DomainError(
            "Too many requests.",
            kind=ErrorKind.RATE_LIMITED,
            retry_after_seconds=-(-wait // SECOND),
        )


def _key(actor: Actor) -> str:
    if actor.user_id is None:
        return f"address {network(actor.client.address)}"
    return f"user {actor.user_id}"
