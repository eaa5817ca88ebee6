"""All live runs of this worker, and everything that keeps them going."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from palaver.domain.events import Segment
from palaver.domain.log import Claimed, GenerationLog
from palaver.kit.clock import Clock
from palaver.kit.tasks import Tasks
from palaver.streaming.channel import Channel
from palaver.streaming.flusher import Flusher, Unwritable
from palaver.streaming.followers import Follower
from palaver.streaming.run import CancelRequested, Lost, Run
from palaver.streaming.segments import BeyondTheEnd, end_of, merge, stitch
from palaver.streaming.tailer import Tailer
from palaver.streaming.watch import Watch

log = logging.getLogger(__name__)

READ_ROWS: Final = 1_000
RETIRE_SECONDS: Final = 5.0


class Runs:
    """Opens runs, finds them, follows them; hands them over when the worker ends.

    `is_alone` says that no other process can share the database: then an idle worker writes
    nothing, declares nobody dead, and looks rarely for what others might log.
    """

    def __init__(
        self,
        log: GenerationLog,
        *,
        clock: Clock,
        is_alone: bool,
        lease_seconds: float = 2.0,
        flush_interval_seconds: float = 0.003,
        watch_interval_seconds: float = 0.3,
        tail_interval_seconds: float = 0.02,
        patience_seconds: float = 15.0,
        max_runs: int = 2_000,
    ) -> None:
        self.on_claim: Callable[[Claimed], Awaitable[None]] | None = None
        self.is_draining = False
        self.max_runs = max_runs
        self._log = log
        self._runs: dict[int, Run] = {}
        self._claiming: set[int] = set()
        self._empty: asyncio.Future[None] | None = None
        self._flushing = Tasks()
        self._loops = Tasks()
        self._claims = Tasks()
        self._flusher = Flusher(
            log,
            clock=clock,
            lease_seconds=lease_seconds,
            interval_seconds=flush_interval_seconds,
            patience_seconds=patience_seconds,
            has_heartbeat=not is_alone,
            on_lost=self._lose_all,
        )
        self._tailer = Tailer(
            log,
            interval_seconds=watch_interval_seconds if is_alone else tail_interval_seconds,
            told_interval_seconds=watch_interval_seconds,
        )
        self._watch = Watch(
            log,
            self._flusher,
            self,
            clock=clock,
            interval_seconds=watch_interval_seconds,
            lease_seconds=lease_seconds,
            is_alone=is_alone,
        )

    # The worker

    @property
    def worker(self) -> int:
        """Return this worker's id, which changes when it was declared dead; 0 while it has none."""
        return self._flusher.worker

    @property
    def room(self) -> int:
        """Return how many more runs this worker takes; with none, a start goes into the queue."""
        if self.is_draining or not self.worker:
            return 0
        return max(self.max_runs - len(self._runs) - len(self._claiming), 0)

    async def start(self) -> None:
        """Enlist as a worker, then flush, tail and watch until `close`."""
        await self._flusher.enlist()
        _ = self._flushing.start(self._flusher.run(), name="flusher")
        _ = self._loops.start(self._tailer.run(), name="tailer")
        _ = self._loops.start(self._watch.run(), name="watch")
        _ = self._loops.start(self._log.listen(self), name="listener")

    async def drain(self, *, grace_seconds: float) -> None:
        """Take no more runs, give the live ones so long to end, and hand over the rest.

        All streams that are left end without a final event, and so do those that are still to
        come: their readers come back, to any worker.
        """
        self.is_draining = True
        if self._runs and grace_seconds > 0:
            self._empty = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._empty], timeout=grace_seconds)
        await self._claims.cancel()
        self._end_all(Lost("this worker is closing"))
        self._tailer.close()
        await self._flushing.cancel()
        try:
            async with asyncio.timeout(RETIRE_SECONDS):
                await self._flusher.retire()
        except Exception:
            log.warning("could not hand over; the lease will run out", exc_info=True)

    async def close(self) -> None:
        """Hand over what still runs, end every stream, stop."""
        await self.drain(grace_seconds=0)
        await self._loops.cancel()

    # What other workers tell

    def rely(self, *, is_told: bool) -> None:
        """Look rarely from now on for what others log, or often; see `Listener`."""
        self._tailer.is_told = is_told
        self._tailer.wake()
        self._watch.wake()

    def wake(self) -> None:
        """Look at once for queued runs and cancel requests."""
        self._watch.wake()

    def heard_of(self, worker: int) -> None:
        """Look at once for what is followed here, unless this worker has logged it itself."""
        if not worker or worker != self.worker:
            self._tailer.wake()

    # Runs

    def open(
        self,
        generation_id: int,
        *,
        worker: int | None,
        attempt: int = 1,
        already: Sequence[Segment] = (),
    ) -> Run:
        """Make the run of a generation that was started, or claimed, under `worker`.

        `already` is what the log holds of it (`logged`). Raises `Lost` when that worker is dead by
        now: leave the generation alone, it has a new owner or will be claimed again.
        """
        if not worker or worker != self.worker:
            raise Lost("the worker that started the run was declared dead")
        if generation_id in self._runs:
            raise ValueError(f"generation {generation_id} is already open")
        channel = self._tailer.give(generation_id)
        if channel is None:
            channel = Channel(generation_id, base=0, keeps_all=True)
        channel.restart(merge(already))
        run = Run(channel, self, worker=worker, attempt=attempt)
        self._runs[generation_id] = run
        return run

    def get(self, generation_id: int) -> Run | None:
        """Return the live run that this worker drives."""
        return self._runs.get(generation_id)

    def cancel(self, generation_id: int) -> bool:
        """Stop a run with `CancelRequested`; False when it is not ours."""
        run = self._runs.get(generation_id)
        if run is not None:
            run.stop(CancelRequested())
        return run is not None

    async def logged(self, generation_id: int) -> list[Segment]:
        """Return all that the log holds of a generation, merged."""
        segments: list[Segment] = []
        while True:
            rows = await self._log.read(generation_id, end_of(segments), limit=READ_ROWS)
            more = stitch(rows, end_of(segments))
            segments += more
            if len(rows) < READ_ROWS or not more:
                return merge(segments)

    async def follow(self, generation_id: int, *, after: int = 0) -> Follower:
        """Return a follower of a live run, whoever drives it. Raises `BeyondTheEnd`.

        The caller has found that the generation exists, may be read, and has not ended.
        """
        run = self._runs.get(generation_id)
        if after > (0 if run is None else run.channel.until):
            # The log is ahead of what is shown here when its flush has just landed, or when we do
            # not know yet that we are dead. A number exists when some row ends beyond its former.
            if not await self._log.read(generation_id, after - 1, limit=1):
                raise BeyondTheEnd(after)
            run = self._runs.get(generation_id)
        channel = self._tailer.open(generation_id, at=after) if run is None else run.channel
        return Follower(channel, self._log, after=after)

    def __contains__(self, generation_id: int) -> bool:
        return generation_id in self._runs or generation_id in self._claiming

    def __len__(self) -> int:
        return len(self._runs)

    # For the runs, the flusher and the watch

    def mark(self, run: Run) -> None:
        """Note that a run has something to flush."""
        self._flusher.mark(run)

    def ended(self, run: Run) -> None:
        """Note that a run is over."""
        if self._runs.get(run.generation_id) is run:
            del self._runs[run.generation_id]
        if not self._runs and self._empty is not None and not self._empty.done():
            self._empty.set_result(None)

    def left(self, run: Run) -> None:
        """Note that a run was given up, and go on with its log for those who follow it."""
        if self._runs.get(run.generation_id) is run:
            self.ended(run)
            self._tailer.adopt(run.channel)

    def claimed(self, claimed: Claimed) -> None:
        """Hand a run that was taken over to the service; what it leaves is swept up later."""
        if self.on_claim is not None:
            self._claiming.add(claimed.generation_id)
            _ = self._claims.start(self._hand_over(claimed), name=f"claim {claimed.generation_id}")

    async def _hand_over(self, claimed: Claimed) -> None:
        assert self.on_claim is not None  # noqa: S101 - narrows the type; `claimed` has looked
        try:
            await self.on_claim(claimed)
        finally:
            self._claiming.discard(claimed.generation_id)

    def canceled(self, generation_id: int) -> None:
        """Stop a run that somebody has asked to cancel."""
        self.cancel(generation_id)

    def _lose_all(self, reason: Lost) -> None:
        """Leave all runs to others; who follows one here, goes on following it there."""
        if isinstance(reason, Unwritable):
            self._end_all(reason)
            return
        runs, self._runs = self._runs, {}
        for run in runs.values():
            run.lose(reason)
            self._tailer.adopt(run.channel)

    def _end_all(self, reason: Lost) -> None:
        runs, self._runs = self._runs, {}
        for run in runs.values():
            run.lose(reason)
            run.channel.cut()
