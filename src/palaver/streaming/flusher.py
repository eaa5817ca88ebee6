"""The flusher: one task that writes what all runs of this worker have gathered, then shows it."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Final

from palaver.domain.log import Fenced, GenerationLog, Refused
from palaver.kit.bell import Bell
from palaver.kit.clock import Clock
from palaver.streaming.run import Lost, Run

log = logging.getLogger(__name__)

BATCH_MAX_BYTES: Final = 4 * 1024 * 1024
"""About the most output of one transaction; the rest waits for the next."""

STRETCH_PER_RUN: Final = 1 / 90
STRETCH_MAX: Final = 1 / 2
"""By how much of itself the interval after a write grows with the runs that it held. A write costs
as much as a hundred rows, so who has many runs writes less often: 500 wait 4.5 ms instead of 3."""

BACKOFF_SECONDS: Final = (0.02, 0.05, 0.1, 0.25)

Batch = list[Run]


class Unwritable(Lost):
    """The log could not be written for so long that the run and its streams are ended."""


class Flusher:
    """Writes at once when idle, else an interval after the last write began.

    A batch whose outcome is unknown is repeated as it is, and nothing is shown or taken meanwhile.
    A worker that was declared dead, or got nothing through for too long, gives all its runs up and
    goes on under a new id: a late write of the old one is refused.
    """

    def __init__(
        self,
        log: GenerationLog,
        *,
        clock: Clock,
        lease_seconds: float,
        interval_seconds: float,
        patience_seconds: float,
        has_heartbeat: bool,
        on_lost: Callable[[Lost], None],
    ) -> None:
        self.worker = 0  # no worker has this id
        self.renewed_at = 0  # when the lease was last renewed, by our clock
        self._log = log
        self._clock = clock
        self._lease_microseconds = int(lease_seconds * 1_000_000)
        self._idle_seconds = lease_seconds / 4 if has_heartbeat else None
        self._interval_seconds = interval_seconds
        self._patience_seconds = patience_seconds
        self._on_lost = on_lost
        self._bell = Bell()
        self._dirty: deque[Run] = deque()
        self._batches: deque[Batch] = (
            deque()
        )  # taken, not yet landed; more than one after a refusal
        self._began = 0.0
        self._pause_seconds = interval_seconds

    def mark(self, run: Run) -> None:
        """Note that a run has something to flush."""
        if not self._dirty:
            self._bell.ring()
        self._dirty.append(run)

    def holds(self, generation_id: int) -> bool:
        """Tell whether rows of this generation are on their way, and may or may not have landed."""
        return any(run.generation_id == generation_id for batch in self._batches for run in batch)

    async def enlist(self) -> None:
        """Become a new worker, after handing over what the former one may still own."""
        former, self.worker = self.worker, 0
        if former:
            await self._log.retire(former)
        self.worker = await self._log.enlist(lease_microseconds=self._lease_microseconds)
        self.renewed_at = self._clock()

    async def retire(self) -> None:
        """Hand over everything; nothing of this worker lands any more."""
        self._forget()
        former, self.worker = self.worker, 0
        if former:
            await self._log.retire(former)

    async def run(self) -> None:
        """Flush for ever; the caller has enlisted."""
        while True:
            try:
                async with asyncio.timeout(None) as patience:
                    await self._flush_until_fenced(patience)
            except Fenced:
                log.warning("worker %d was declared dead: leaving its runs", self.worker)
                self._leave(Lost("this worker was declared dead"))
            except Exception:  # patience has ended, or a fault of ours
                log.exception("worker %d cannot write: ending its runs", self.worker)
                self._leave(Unwritable("the log could not be written for too long"))
            await self._enlist_again()

    def _leave(self, reason: Lost) -> None:
        self._forget()
        self._on_lost(reason)

    def _forget(self) -> None:
        self._dirty.clear()
        self._batches.clear()

    async def _enlist_again(self) -> None:
        former, tries = self.worker, 0
        while True:
            try:
                return await self.enlist()
            except Exception:
                log.warning("could not enlist again", exc_info=True)
                self.worker = former
                await _back_off(tries)
                tries += 1

    async def _flush_until_fenced(self, patience: asyncio.Timeout) -> None:
        """Write batch after batch; raises `Fenced`, and `TimeoutError` by `patience`."""
        loop = asyncio.get_running_loop()
        while True:
            is_due = False
            while not self._dirty and not is_due:
                is_due = not await self._bell.wait(self._idle_seconds)
            pause = self._began + self._pause_seconds - loop.time()
            if pause > 0:
                await asyncio.sleep(pause)
            self._began = loop.time()
            batch = self._take()
            if not batch and not is_due:
                continue  # what was marked has been sealed meanwhile
            self._batches.append(batch)
            stretch = min(len(batch) * STRETCH_PER_RUN, STRETCH_MAX)
            self._pause_seconds = self._interval_seconds * (1 + stretch)
            patience.reschedule(self._began + self._patience_seconds)
            while self._batches:
                await self._write(self._batches[0])
            patience.reschedule(None)

    def _take(self) -> Batch:
        batch: Batch = []
        size = 0
        while self._dirty and size < BATCH_MAX_BYTES:
            run = self._dirty.popleft()
            if run.take():
                batch.append(run)
                size += run.flying_bytes
        return batch

    async def _write(self, batch: Batch) -> None:
        """Write one batch, however often it takes; a refused one is split until one run is left."""
        tries = 0
        rows = [(run.generation_id, run.flying) for run in batch]
        while True:
            try:
                await self._log.flush(
                    self.worker, rows, lease_microseconds=self._lease_microseconds
                )
            except Fenced:
                raise
            except Refused as refused:
                return self._split(batch, refused)
            except Exception:
                # The outcome is unknown: the same rows again, until patience ends.
                if tries == 0:
                    log.warning("a flush failed and is repeated", exc_info=True)
                await _back_off(tries)
                tries += 1
            else:
                return self._land(batch)

    def _land(self, batch: Batch) -> None:
        self._batches.popleft()
        self.renewed_at = self._clock()
        for run in batch:
            run.land()

    def _split(self, batch: Batch, refused: Refused) -> None:
        self._batches.popleft()
        half = len(batch) // 2
        if half:
            self._batches.extendleft((batch[half:], batch[:half]))
        elif batch:
            log.warning("the output of generation %d cannot be stored", batch[0].generation_id)
            batch[0].refuse(refused)


async def _back_off(tries: int) -> None:
    await asyncio.sleep(BACKOFF_SECONDS[min(tries, len(BACKOFF_SECONDS) - 1)])
