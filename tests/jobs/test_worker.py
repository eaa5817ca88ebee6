"""The worker does what is enqueued, and loses nothing when it is stopped."""

import asyncio
import logging

import pytest

from palaver.domain.errors import DomainError
from palaver.domain.jobs import Job
from palaver.domain.users import SYSTEM
from palaver.jobs.loops import Loops
from palaver.jobs.purge_expired import KIND, purge_expired
from palaver.jobs.worker import JobWorker
from palaver.services.jobs import JobService
from palaver.storage.database import Database
from palaver.storage.statements import Statement
from tests.fakes.clock import StillClock


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def jobs(db: Database, clock: StillClock) -> JobService:
    return JobService(db, clock=clock)


async def rows(db: Database) -> list[tuple[str, int, str | None]]:
    every = Statement("select kind, attempt, error from jobs order by id", lambda *row: row)
    async with db.read() as tx:
        return await tx._connection.all(every)


async def until(condition) -> None:
    async with asyncio.timeout(10):
        while not await condition():  # noqa: ASYNC110  # a database tells nobody
            await asyncio.sleep(0.01)


async def test_jobs_are_done_as_they_come(jobs, db):
    done: asyncio.Queue[Job] = asyncio.Queue()
    worker = JobWorker(jobs, {"greet": done.put})
    worker.start()
    for number in range(6):
        await jobs.enqueue(SYSTEM, "greet", {"number": number})
        worker.wake()
    numbers = [(await done.get()).payload["number"] for _ in range(6)]
    assert sorted(numbers) == list(range(6))

    async def is_empty() -> bool:
        return await rows(db) == []

    await until(is_empty)
    await worker.close()


@pytest.mark.parametrize("error", [DomainError("Not yet."), ValueError("a bug"), KeyError("k")])
async def test_what_fails_is_put_back_with_its_reason(jobs, db, error, caplog):
    async def fail(job: Job) -> None:
        raise error

    worker = JobWorker(jobs, {"work": fail})
    await jobs.enqueue(SYSTEM, "work", {})
    worker.start()

    async def has_failed() -> bool:
        return (await rows(db))[0][2] is not None

    with caplog.at_level(logging.CRITICAL):
        await until(has_failed)
    await worker.close()
    ((kind, attempt, reason),) = await rows(db)
    assert (kind, attempt) == ("work", 1)
    assert "Not yet." in reason or type(error).__name__ in reason


async def test_kinds_that_nobody_knows_stay_and_stand_in_nobodys_way(jobs, db):
    done: asyncio.Queue[Job] = asyncio.Queue()
    for _ in range(3):
        await jobs.enqueue(SYSTEM, "of a newer version", {})
    await jobs.enqueue(SYSTEM, "work", {})
    worker = JobWorker(jobs, {"work": done.put}, slots=2)
    worker.start()
    assert (await done.get()).kind == "work"
    await worker.close()
    unknown = [row for row in await rows(db) if row[0] != "work"]
    assert unknown == [("of a newer version", 0, None)] * 3


async def test_what_runs_when_the_worker_stops_is_due_at_once(jobs, db):
    begun = asyncio.Event()

    async def work(job: Job) -> None:
        begun.set()
        await asyncio.Event().wait()

    worker = JobWorker(jobs, {"work": work})
    await jobs.enqueue(SYSTEM, "work", {})
    worker.start()
    await begun.wait()
    await worker.close()
    assert [job.attempt for job in await jobs.claim(SYSTEM, ["work"], limit=5)] == [2]


async def test_no_more_run_at_once_than_there_are_slots(jobs):
    running = most = 0
    done: asyncio.Queue[None] = asyncio.Queue()

    async def work(job: Job) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.005)
        running -= 1
        await done.put(None)

    worker = JobWorker(jobs, {"work": work}, slots=2)
    for _ in range(7):
        await jobs.enqueue(SYSTEM, "work", {})
    worker.start()
    for _ in range(7):
        await done.get()
    await worker.close()
    assert most == 2


async def test_purging_goes_on_until_nothing_is_left_and_comes_again(jobs, db, clock):
    left = {"keys": 3, "events": 1}

    def purge(name: str):
        async def some(actor) -> int:
            assert actor is SYSTEM
            gone = min(left[name], 1)
            left[name] -= gone
            return gone

        return some

    handle = purge_expired(jobs, [purge("keys"), purge("events")])
    await jobs.enqueue(SYSTEM, KIND, {}, dedupe_key=KIND)
    (job,) = await jobs.claim(SYSTEM, [KIND], limit=1)
    await handle(job)
    await jobs.finish(SYSTEM, job)
    assert left == {"keys": 0, "events": 0}
    assert await jobs.claim(SYSTEM, [KIND], limit=1) == []
    clock.move(seconds=600)
    assert [again.kind for again in await jobs.claim(SYSTEM, [KIND], limit=9)] == [KIND]


async def test_a_loop_outlives_its_failures(caplog):
    steps: asyncio.Queue[int] = asyncio.Queue()
    count = 0

    async def step() -> float:
        nonlocal count
        count += 1
        await steps.put(count)
        if count == 1:
            raise ValueError
        return 0.0

    loops = Loops(pause_after_failure_seconds=0.0)
    with caplog.at_level(logging.CRITICAL):
        loops.start(step, name="steps")
        assert [await steps.get() for _ in range(3)] == [1, 2, 3]
    await loops.close()
