"""Jobs as a worker sees them: leased, then done or put back."""

from collections.abc import Collection
from typing import Any, Final

from palaver.domain.jobs import Job
from palaver.domain.users import Actor
from palaver.kit.clock import SECOND, Clock, system_clock
from palaver.storage.database import Database

LEASE_SECONDS: Final = 120
"""How long one attempt may take; then the job belongs to whoever claims it."""
_ERROR_MAX_LENGTH: Final = 2_000


class JobService:
    """Background work. Use cases enqueue in their own transaction: `tx.jobs.enqueue`."""

    def __init__(self, db: Database, *, clock: Clock = system_clock) -> None:
        self.db = db
        self.clock = clock

    async def enqueue(
        self,
        actor: Actor,
        kind: str,
        payload: dict[str, Any],
        *,
        dedupe_key: str | None = None,
        delay_seconds: float = 0,
    ) -> None:
        """Add a job that belongs to no other change; at most one waits for each `dedupe_key`."""
        actor.require_admin()
        run_at = self.clock() + int(delay_seconds * SECOND)
        async with self.db.transaction() as tx:
            await tx.jobs.enqueue(kind, payload, dedupe_key=dedupe_key, run_at=run_at)

    async def claim(self, actor: Actor, kinds: Collection[str], *, limit: int) -> list[Job]:
        """Lease up to `limit` jobs of these kinds that are due, for `LEASE_SECONDS`."""
        actor.require_admin()
        at = self.clock()
        async with self.db.read() as tx:
            # Most of the time nothing is due, and a look costs less than a transaction.
            if not await tx.jobs.is_due(kinds, at=at):
                return []
        async with self.db.transaction() as tx:
            until = at + LEASE_SECONDS * SECOND
            return await tx.jobs.claim(kinds, at=at, until=until, limit=limit)

    async def finish(self, actor: Actor, job: Job) -> None:
        """Forget a job that is done."""
        actor.require_admin()
        async with self.db.transaction() as tx:
            await tx.jobs.finish(job.id, attempt=job.attempt)

    async def fail(self, actor: Actor, job: Job, *, error: str) -> None:
        """Put a job back: the next attempt comes after 5 s, then later each time, up to 1 h."""
        actor.require_admin()
        async with self.db.transaction() as tx:
            await tx.jobs.fail(
                job.id,
                attempt=job.attempt,
                run_at=self.clock() + job.pause,
                error=error[:_ERROR_MAX_LENGTH].replace("\0", ""),
            )

    async def release(self, actor: Actor, job: Job) -> None:
        """Give a job back unfinished: it is due at once."""
        actor.require_admin()
        async with self.db.transaction() as tx:
            at = self.clock()
            await tx.jobs.fail(job.id, attempt=job.attempt, run_at=at, error="The server stopped.")
