"""Removes what has run out: old keys, logs of ended runs, sign-ins that are over."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

from palaver.domain.jobs import Job
from palaver.domain.users import SYSTEM, Actor
from palaver.jobs.worker import Handler
from palaver.services.jobs import JobService

KIND: Final = "purge_expired"
EVERY_SECONDS: Final = 600

Purge: TypeAlias = Callable[[Actor], Awaitable[int]]
"""Removes a bounded number of rows and returns how many; 0 = nothing is left."""


def purge_expired(jobs: JobService, purges: Sequence[Purge]) -> Handler:
    """Return the handler, which enqueues the next time itself: one for all workers."""

    async def handle(_job: Job) -> None:
        for purge in purges:
            while await purge(SYSTEM):
                pass
        await jobs.enqueue(SYSTEM, KIND, {}, dedupe_key=KIND, delay_seconds=EVERY_SECONDS)

    return handle
