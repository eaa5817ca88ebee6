"""A generation log in memory: small, exact, and able to fail on demand."""

import asyncio
from collections import deque
from collections.abc import Sequence

from palaver.domain.events import Segment
from palaver.domain.log import Claimed, Fenced, Listener, Refused


class Generation:
    """The columns of a generation's row that matter to the log."""

    def __init__(self, worker: int | None, attempt: int) -> None:
        self.worker = worker
        self.attempt = attempt
        self.state = "running" if worker else "queued"
        self.is_cancel_requested = False


class MemoryLog:
    """Keeps rows as PostgreSQL does: a number once, and the transactions all or nothing.

    `failures` are raised by the next flushes, in order: an exception before anything is written,
    or `Landed(exception)` after all of it was. `gate` holds flushes back while it is closed. Text
    with U+0000 is refused.
    """

    def __init__(self) -> None:
        self.rows: dict[int, dict[int, Segment]] = {}
        self.generations: dict[int, Generation] = {}
        self.dead: set[int] = set()
        self.expired: set[int] = set()
        self.newest_worker = 0
        self.failures: deque[Exception] = deque()
        self.gate = asyncio.Event()
        self.gate.set()
        self.flushes: list[tuple[int, int]] = []  # of each: runs, rows
        self.reads = 0
        self.burials = 0

    # For the tests

    def start(self, generation_id: int, worker: int | None) -> None:
        """Store a generation as its service would."""
        self.generations[generation_id] = Generation(worker, 1 if worker else 0)

    def append(self, generation_id: int, segments: Sequence[Segment]) -> None:
        """Write rows as a transaction of the service, or another worker, would."""
        kept = self.rows.setdefault(generation_id, {})
        for segment in segments:
            there = kept.get(segment.until)
            assert there is None or there.body == segment.body, "two truths at one number"
            assert there or not kept or segment.start == next(reversed(kept)), (
                "a gap, or an overlap"
            )
            kept[segment.until] = Segment(segment.start, segment.until, segment.kind, segment.body)

    def held(self, generation_id: int) -> list[Segment]:
        """Return all rows of a generation."""
        return list(self.rows.get(generation_id, {}).values())

    # The port

    async def listen(self, listener: Listener) -> None:
        """Say nothing: whoever uses it looks by itself."""

    async def enlist(self, *, lease_microseconds: int) -> int:
        await asyncio.sleep(0)
        self.newest_worker += 1
        return self.newest_worker

    async def flush(
        self,
        worker: int,
        batch: Sequence[tuple[int, Sequence[Segment]]],
        *,
        lease_microseconds: int,
    ) -> None:
        await asyncio.sleep(0)
        await self.gate.wait()
        failure = self.failures.popleft() if self.failures else None
        if failure is not None and not isinstance(failure, Landed):
            raise failure
        if worker in self.dead:
            raise Fenced
        if any("\0" in segment.body for _, segments in batch for segment in segments):
            raise Refused("U+0000")
        self.expired.discard(worker)
        for generation_id, segments in batch:
            self.append(generation_id, segments)
        self.flushes.append((len(batch), sum(len(segments) for _, segments in batch)))
        if failure is not None:
            raise failure

    async def read(self, generation_id: int, after: int, *, limit: int) -> list[Segment]:
        await asyncio.sleep(0)
        self.reads += 1
        return [row for row in self.held(generation_id) if row.until > after][:limit]

    async def tail(
        self, positions: Sequence[tuple[int, int]], *, limit: int
    ) -> list[tuple[int, Segment]]:
        found = []
        for generation_id, after in positions:
            rows = await self.read(generation_id, after, limit=limit)
            found += [(generation_id, row) for row in rows]
        return found

    async def bury_the_dead(self) -> int:
        await asyncio.sleep(0)
        self.burials += 1
        died = len(self.expired)
        self.dead |= self.expired
        self.expired.clear()
        for generation in self.generations.values():
            if generation.state == "running" and generation.worker in self.dead:
                generation.state, generation.worker = "queued", None
        return died

    async def retire(self, worker: int) -> None:
        self.expired.add(worker)
        await self.bury_the_dead()

    async def claim(self, worker: int, *, limit: int) -> list[Claimed]:
        await asyncio.sleep(0)
        claimed: list[Claimed] = []
        for generation_id, generation in self.generations.items():
            if generation.state == "queued" and len(claimed) < limit:
                generation.state, generation.worker = "running", worker
                generation.attempt += 1
                claimed.append(Claimed(generation_id, generation.attempt, worker))
        return claimed

    async def canceled(self, worker: int) -> list[int]:
        await asyncio.sleep(0)
        return [
            generation_id
            for generation_id, generation in self.generations.items()
            if generation.worker == worker
            and generation.state == "running"
            and generation.is_cancel_requested
        ]

    async def owned(self, worker: int) -> list[Claimed]:
        await asyncio.sleep(0)
        return [
            Claimed(generation_id, generation.attempt, worker)
            for generation_id, generation in self.generations.items()
            if generation.worker == worker and generation.state == "running"
        ]

    async def release(self, worker: int, generation_ids: Sequence[int]) -> None:
        await asyncio.sleep(0)
        for generation_id in generation_ids:
            generation = self.generations[generation_id]
            if generation.worker == worker and generation.state == "running":
                generation.state, generation.worker = "queued", None


class Landed(Exception):
    """The connection went away after the commit: nobody knows the outcome."""
