"""A job is done at least once, by one worker at a time, however workers end."""

import asyncio

import pytest

from palaver.domain.errors import DomainError
from palaver.domain.jobs import Job
from palaver.domain.users import SYSTEM, Actor
from palaver.kit.clock import HOUR, SECOND
from palaver.services.jobs import LEASE_SECONDS, JobService
from palaver.storage.database import Database
from palaver.storage.statements import Statement
from tests.fakes.clock import StillClock

KINDS = ("greet", "later", "a", "b", "c", "work", "sweep")


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def jobs(db: Database, clock: StillClock) -> JobService:
    return JobService(db, clock=clock)


async def claim(jobs: JobService, limit: int = 10) -> list[Job]:
    return await jobs.claim(SYSTEM, KINDS, limit=limit)


async def test_a_job_is_claimed_once_and_gone_when_done(jobs):
    await jobs.enqueue(SYSTEM, "greet", {"name": "Ünal", "times": 2})
    (job,) = await claim(jobs)
    assert (job.kind, job.payload, job.attempt) == ("greet", {"name": "Ünal", "times": 2}, 1)
    assert await claim(jobs) == []
    await jobs.finish(SYSTEM, job)
    assert await claim(jobs) == []


async def test_a_job_of_a_transaction_that_failed_was_never_enqueued(jobs, db):
    with pytest.raises(ZeroDivisionError):
        async with db.transaction() as tx:
            await tx.jobs.enqueue("greet", {})
            raise ZeroDivisionError
    assert await claim(jobs) == []


async def test_a_job_waits_for_its_time(jobs, clock):
    await jobs.enqueue(SYSTEM, "later", {}, delay_seconds=10)
    clock.move(seconds=9)
    assert await claim(jobs) == []
    clock.move(seconds=1)
    assert [job.kind for job in await claim(jobs)] == ["later"]


async def test_the_longest_waiting_come_first(jobs, clock):
    for kind, delay in [("c", 3), ("a", 1), ("b", 2)]:
        await jobs.enqueue(SYSTEM, kind, {}, delay_seconds=delay)
    clock.move(seconds=5)
    claimed = await claim(jobs, limit=1) + await claim(jobs, limit=1) + await claim(jobs, limit=1)
    assert [job.kind for job in claimed] == ["a", "b", "c"]


async def test_the_job_of_a_dead_worker_is_due_again(jobs, clock):
    await jobs.enqueue(SYSTEM, "work", {})
    (first,) = await claim(jobs)
    clock.move(seconds=LEASE_SECONDS)
    (second,) = await claim(jobs)
    assert (second.id, second.attempt) == (first.id, 2)
    # The first comes back: its fence is gone, and nothing it says counts.
    await jobs.finish(SYSTEM, first)
    await jobs.fail(SYSTEM, first, error="late")
    clock.move(seconds=LEASE_SECONDS)
    assert [job.attempt for job in await claim(jobs)] == [3]


async def test_what_failed_is_tried_again_later_each_time(jobs, clock):
    await jobs.enqueue(SYSTEM, "work", {})
    pauses = []
    for _ in range(14):
        (job,) = await claim(jobs)
        await jobs.fail(SYSTEM, job, error="no luck\0")
        pauses.append(job.pause // SECOND)
        clock.move(microseconds=job.pause - 1)
        assert await claim(jobs) == []
        clock.move(microseconds=1)
    assert pauses[:4] == [5, 10, 20, 40]
    assert pauses[-1] == HOUR // SECOND


async def test_what_was_released_is_due_at_once(jobs):
    await jobs.enqueue(SYSTEM, "work", {})
    (job,) = await claim(jobs)
    await jobs.release(SYSTEM, job)
    assert [again.attempt for again in await claim(jobs)] == [2]


async def test_one_waits_for_each_dedupe_key_at_the_earlier_time(jobs, clock):
    for delay in (30, 10, 20):
        await jobs.enqueue(SYSTEM, "sweep", {}, dedupe_key="sweep", delay_seconds=delay)
    clock.move(seconds=10)
    (job,) = await claim(jobs)
    # It runs, and may not see what came now: so this is a job of its own.
    await jobs.enqueue(SYSTEM, "sweep", {}, dedupe_key="sweep")
    assert len(await claim(jobs)) == 1
    await jobs.finish(SYSTEM, job)


async def test_many_workers_share_the_jobs(jobs, db):
    async with db.transaction() as tx:
        for number in range(60):
            await tx.jobs.enqueue("work", {"number": number})

    async def worker() -> list[int]:
        done = []
        while claimed := await claim(jobs, limit=3):
            for job in claimed:
                done.append(job.payload["number"])
                await jobs.finish(SYSTEM, job)
        return done

    done = await asyncio.gather(*(worker() for _ in range(5)))
    assert sorted(number for some in done for number in some) == list(range(60))
    async with db.read() as tx:
        assert await tx._connection.one(Statement("select count(*) from jobs", int)) == 0


async def test_jobs_are_not_for_everybody(jobs):
    with pytest.raises(DomainError):
        await jobs.claim(Actor(user_id=1), KINDS, limit=1)


async def test_who_claims_says_what_it_can_do(jobs, clock):
    await jobs.enqueue(SYSTEM, "work", {})
    await jobs.enqueue(SYSTEM, "of a newer version", {})
    assert await jobs.claim(SYSTEM, [], limit=9) == []
    assert await jobs.claim(SYSTEM, ["newer", 'it\'s "x"'], limit=9) == []
    assert [job.kind for job in await jobs.claim(SYSTEM, {"work", "sweep"}, limit=9)] == ["work"]
    (newer,) = await jobs.claim(SYSTEM, ["of a newer version"], limit=9)
    assert newer.attempt == 1
