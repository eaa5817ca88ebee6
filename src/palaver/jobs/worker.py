"""The worker: claims jobs as they fall due, runs a few at once, and puts back what failed."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias

from palaver.domain.errors import DomainError
from palaver.domain.jobs import Job
from palaver.domain.users import SYSTEM
from palaver.kit.tasks import Tasks
from palaver.services.jobs import LEASE_SECONDS, JobService

log = logging.getLogger(__name__)

Handler: TypeAlias = Callable[[Job], Awaitable[None]]
"""Does one job. What it raises puts the job back; it must bear being repeated."""

SLOTS: Final = 4
POLL_SECONDS: Final = 1.0
_MARGIN_SECONDS: Final = 5  # so that an attempt has ended before its lease has


class JobWorker:
    """Runs jobs by their kind, from `start` to `close`.

    Jobs of a kind without a handler wait for a worker that has one: of a newer version, say.
    """

    def __init__(
        self, jobs: JobService, handlers: Mapping[str, Handler], *, slots: int = SLOTS
    ) -> None:
        self._jobs = jobs
        self._handlers = handlers
        self._slots = slots
        self._running: dict[int, Job] = {}
        self._tasks = Tasks()
        self._woken = asyncio.Event()

    def start(self) -> None:
        """Begin to look for jobs."""
        _ = self._tasks.start(self._work(), name="job worker")

    def wake(self) -> None:
        """Look now: something may have been enqueued."""
        self._woken.set()

    async def close(self) -> None:
        """Stop; what was not finished is due again at once, here or elsewhere."""
        await self._tasks.cancel()
        for job in tuple(self._running.values()):
            await self._jobs.release(SYSTEM, job)

    async def _work(self) -> None:
        while True:
            self._woken.clear()
            try:
                await self._claim()
            except Exception:
                log.exception("jobs cannot be claimed")
            await self._wait()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._woken.wait()
        except TimeoutError:
            pass

    async def _claim(self) -> None:
        room = self._slots - len(self._running)
        if room < 1:
            return
        for job in await self._jobs.claim(SYSTEM, self._handlers.keys(), limit=room):
            self._running[job.id] = job
            _ = self._tasks.start(self._run(job), name=f"job {job.kind} {job.id}")

    async def _run(self, job: Job) -> None:
        error = await self._attempt(job)
        # From here on a cancellation changes nothing: the job is given back, or its fence holds.
        try:
            if error is None:
                await self._jobs.finish(SYSTEM, job)
            else:
                await self._jobs.fail(SYSTEM, job, error=error)
        except Exception:
            log.exception("job %s %s cannot be put away; its lease will end", job.kind, job.id)
        del self._running[job.id]
        self.wake()

    async def _attempt(self, job: Job) -> str | None:
        """Do a job once; return what went wrong."""
        try:
            async with asyncio.timeout(LEASE_SECONDS - _MARGIN_SECONDS):
                await self._handlers[job.kind](job)
        except DomainError as error:
            log.info("job %s %s is tried again: %s", job.kind, job.id, error.message)
            return error.message
        except Exception as error:
            log.exception("job %s %s failed, attempt %s", job.kind, job.id, job.attempt)
            return f"{type(error).__name__}: {error}"
        return None
