"""The watch: looks after runs several times a second, and when somebody says that it should."""

import asyncio
import logging
from typing import Final, Protocol

from palaver.domain.log import Claimed, GenerationLog
from palaver.kit.bell import Bell
from palaver.kit.clock import SECOND, Clock
from palaver.streaming.flusher import Flusher

log = logging.getLogger(__name__)

CLAIM_MAX: Final = 16
"""Most runs taken over in one transaction, so that several workers share a long queue."""

APART_SECONDS: Final = 0.01
"""Least time between two looks, however often it is woken."""

SWEEP_SECONDS: Final = 5.0
"""How often this worker's runs are compared with what the database believes them to be."""


class Watched(Protocol):
    """What the watch acts on."""

    @property
    def room(self) -> int:
        """Return how many more runs this worker would take."""

    def __contains__(self, generation_id: int) -> bool: ...

    def __len__(self) -> int: ...

    def claimed(self, claimed: Claimed) -> None:
        """A run was taken over."""

    def canceled(self, generation_id: int) -> None:
        """Somebody has asked to cancel a run."""


class Watch:
    """Declares the dead, claims queued runs, finds cancel requests and orphans."""

    def __init__(
        self,
        log: GenerationLog,
        flusher: Flusher,
        runs: Watched,
        *,
        clock: Clock,
        interval_seconds: float,
        lease_seconds: float,
        is_alone: bool,
    ) -> None:
        self._log = log
        self._flusher = flusher
        self._runs = runs
        self._clock = clock
        self._interval_seconds = interval_seconds
        self._lease_microseconds = lease_seconds * SECOND
        self._is_alone = is_alone
        self._bell = Bell()
        self._swept_at = 0.0
        self._strays: set[tuple[int, int]] = set()

    def wake(self) -> None:
        """Look at once: somebody has said that there is something."""
        self._bell.ring()

    async def run(self) -> None:
        """Watch for ever."""
        self._swept_at = asyncio.get_running_loop().time()
        while True:
            try:
                await self.look()
            except Exception:
                log.warning("the watch could not look", exc_info=True)
            await asyncio.sleep(APART_SECONDS)
            await self._bell.wait(self._interval_seconds)

    async def look(self) -> None:
        """Look once."""
        if not self._flusher.worker:
            return
        if not self._is_alone and self._is_trustworthy():
            await self._log.bury_the_dead()
        await self._claim()
        if len(self._runs):
            for generation_id in await self._log.canceled(self._flusher.worker):
                self._runs.canceled(generation_id)
        now = asyncio.get_running_loop().time()
        if now - self._swept_at >= SWEEP_SECONDS:
            self._swept_at = now
            await self.sweep()

    def _is_trustworthy(self) -> bool:
        """Tell whether this worker's own lease is fresh.

        After a sleep of the machine every lease looks expired, one's own first: renew, then judge.
        """
        return abs(self._clock() - self._flusher.renewed_at) < self._lease_microseconds

    async def _claim(self) -> None:
        while (limit := min(self._runs.room, CLAIM_MAX)) > 0:
            claimed = await self._log.claim(self._flusher.worker, limit=limit)
            for run in claimed:
                self._runs.claimed(run)
            if len(claimed) < limit:
                return

    async def sweep(self) -> None:
        """Put runs back into the queue that the database believes to be ours, and nobody drives.

        A start or a claim whose outcome stayed unknown leaves such a run, or an owner that gave up.
        Twice in a row, for between the commit of a start and its opening there is a moment.
        """
        worker = self._flusher.worker
        strays = {
            (run.generation_id, run.attempt)
            for run in await self._log.owned(worker)
            if run.generation_id not in self._runs and not self._flusher.holds(run.generation_id)
        }
        lasting, self._strays = strays & self._strays, strays
        # While we read, one of them may have been opened after all.
        forsaken = sorted(number for number, _ in lasting if number not in self._runs)
        if forsaken:
            log.warning("generations %s had no owner: queued again", forsaken)
            await self._log.release(worker, forsaken)
