"""Workers die, stall and lose connections; readers come and go anywhere; the log is the truth."""

import asyncio
import contextlib
import random

from palaver.domain.events import EventKind, ReasoningDelta, Segment, Status
from palaver.domain.log import Claimed, Fenced
from palaver.kit.clock import system_clock
from palaver.streaming.run import Lost, Run
from palaver.streaming.runs import Runs
from palaver.streaming.segments import end_of, merge, stitch
from tests.fakes.logs import Landed, MemoryLog
from tests.streaming.helpers import finish, say, until

GENERATIONS = 24
TOKENS = 60


class Worker:
    """A worker with a service of its own: it speaks each run to its end, or loses it."""

    def __init__(self, log: MemoryLog, rng: random.Random) -> None:
        self.log = log
        self.rng = rng
        self.tasks: set[asyncio.Task[None]] = set()
        self.runs = Runs(
            log,
            clock=system_clock,
            is_alone=False,
            lease_seconds=0.5,
            watch_interval_seconds=0.005,
            tail_interval_seconds=0.002,
        )
        self.runs.on_claim = self.take_over

    async def take_over(self, claimed: Claimed) -> None:
        already = await self.runs.logged(claimed.generation_id)
        with contextlib.suppress(Lost):
            self.drive(
                self.runs.open(
                    claimed.generation_id,
                    worker=claimed.worker,
                    attempt=claimed.attempt,
                    already=already,
                )
            )

    def drive(self, run: Run) -> None:
        task = asyncio.ensure_future(self.speak(run))
        self.tasks.add(task)

    async def speak(self, run: Run) -> None:
        """Say something else in every attempt, so that a lost or doubled piece shows."""
        try:
            async with run.guard():
                for number in range(TOKENS):
                    say(run, f"{run.attempt}:{number}é ")
                    if self.rng.random() < 0.1:
                        run.feed(ReasoningDelta(f"r{run.attempt}:{number} "))
                    if self.rng.random() < 0.05:
                        run.feed(Status("searching"))
                    await run.room()
                    await asyncio.sleep(self.rng.random() / 200)
            await finish(run, self.log)
        except Lost:
            return

    async def kill(self) -> None:
        """End without a word, as SIGKILL does."""
        worker = self.runs.worker
        for task in self.tasks:
            task.cancel()
        await self.runs._claims.cancel()
        await self.runs._flushing.cancel()
        await self.runs._loops.cancel()
        self.runs._tailer.close()
        for run in tuple(self.runs._runs.values()):
            run.channel.cut()
        self.log.expired.add(worker)


class House:
    """Three workers on one log; a killed one is replaced."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.log = MemoryLog()
        self.workers: list[Worker] = []

    async def add(self) -> None:
        worker = Worker(self.log, self.rng)
        await worker.runs.start()
        self.workers.append(worker)

    @property
    def is_done(self) -> bool:
        return all(row.state == "completed" for row in self.log.generations.values())

    async def disturb(self) -> None:
        chance = 0.0  # at least one is killed
        while not self.is_done:
            await asyncio.sleep(self.rng.random() / 15)
            if chance < 0.4:
                await self.workers.pop(self.rng.randrange(3)).kill()
                await self.add()
            elif chance < 0.6:
                self.log.failures.append(self.rng.choice([OSError("full"), Landed("cut off")]))
            elif chance < 0.75:
                self.log.failures.append(Fenced())
            elif chance < 0.85:
                drained = self.workers.pop(self.rng.randrange(3))
                await self.add()
                await drained.runs.close()
            chance = self.rng.random()

    async def read(self, generation_id: int) -> list[Segment]:
        """Read a run to its end, with a connection that breaks, each time at another worker."""
        seen: list[Segment] = []
        while not seen or seen[-1].kind is not EventKind.FINISHED:
            worker = self.rng.choice(self.workers)
            follower = await worker.runs.follow(generation_id, after=end_of(seen))
            try:
                async with asyncio.timeout(self.rng.random() / 5):
                    while segments := await follower.next():
                        assert segments[0].start == end_of(seen)
                        seen += segments
            except TimeoutError:
                pass
            finally:
                follower.close()
            await asyncio.sleep(0)
        return merge(seen)


async def test_every_reader_sees_the_log_and_nothing_else_whatever_happens() -> None:
    rng = random.Random(6)
    house = House(rng)
    for _ in range(3):
        await house.add()
    for number in range(GENERATIONS):
        worker = rng.choice(house.workers)
        house.log.start(number, worker.runs.worker)
        worker.drive(worker.runs.open(number, worker=worker.runs.worker))
    readers = [asyncio.ensure_future(house.read(number % GENERATIONS)) for number in range(48)]
    await house.disturb()
    for number, reader in enumerate(readers):
        seen = await reader
        assert seen == merge(stitch(house.log.held(number % GENERATIONS), 0))
    assert max(row.attempt for row in house.log.generations.values()) > 1
    await until(lambda: not any(len(worker.runs) for worker in house.workers))
    for worker in house.workers:
        await worker.runs.close()
