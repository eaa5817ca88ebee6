"""The log of runs: fences, positions, hand-over; on both engines, against the real tables."""

import asyncio

import pytest

from palaver.domain.events import EventKind, Segment
from palaver.domain.log import Claimed, Fenced, Refused
from palaver.storage.database import Database
from palaver.storage.log import DatabaseLog
from palaver.storage.statements import Engine, Statement

LEASE = 60_000_000

SCENE: list[Statement[None]] = [
    Statement(
        """insert into users (id, uuid, username, username_key, password_hash, role, created_at)
        values (1, 'u', 'ann', 'ann', '', 'user', 0)"""
    ),
    Statement(
        """insert into conversations (id, uuid, owner_id, created_at, updated_at)
        values (1, 'c', 1, 0, 0)"""
    ),
]
MESSAGE: Statement[None] = Statement(
    """insert into messages (id, uuid, conversation_id, owner_id, role, text, created_at)
    values (:id, :uuid, 1, 1, 'user', '', 0)"""
)
GENERATION: Statement[None] = Statement(
    """insert into generations (id, uuid, owner_id, conversation_id, message_id, answer_id, model,
        state, worker, attempt, options, recipe, created_at)
    values (:id, :uuid, 1, 1, :id, :id, 'demo/demo', :state, :worker, 1, '{}', '{}', 0)"""
)
STATES = Statement("select id, state, worker, attempt from generations order by id", lambda *c: c)
CANCEL: Statement[None] = Statement("update generations set cancel_requested_at = 1 where id = :id")
EXPIRE: Statement[None] = Statement("update workers set lease_until = 0 where id = :id")


@pytest.fixture
def log(db: Database) -> DatabaseLog:
    return DatabaseLog(db)


async def generations(db: Database, *, worker: int | None, ids: range) -> None:
    async with db.transaction() as tx:
        for statement in SCENE if ids[0] == 1 else []:
            await tx._connection.run(statement)
        for id in ids:
            await tx._connection.run(MESSAGE, id=id, uuid=f"m{id}")
            state = "queued" if worker is None else "running"
            await tx._connection.run(GENERATION, id=id, uuid=f"g{id}", state=state, worker=worker)


async def states(db: Database) -> list[tuple[object, ...]]:
    async with db.read() as tx:
        return await tx._connection.all(STATES)


async def expire(db: Database, worker: int) -> None:
    async with db.transaction() as tx:
        await tx._connection.run(EXPIRE, id=worker)


def text(start: int, body: str) -> Segment:
    return Segment(start, start + len(body), EventKind.TEXT, body)


async def flush(log: DatabaseLog, worker: int, *batch: tuple[int, list[Segment]]) -> None:
    await log.flush(worker, batch, lease_microseconds=LEASE)


async def test_what_was_flushed_is_read_from_any_position(log):
    worker = await log.enlist(lease_microseconds=LEASE)
    parts = [text(0, "Hé"), text(2, "llo 👋"), Segment(7, 8, EventKind.FINISHED, "{}")]
    await flush(log, worker, (7, parts[:2]), (8, [text(0, "other")]))
    await flush(log, worker, (7, parts[2:]))
    assert await log.read(7, 0, limit=10) == parts
    assert await log.read(7, 1, limit=10) == parts
    assert await log.read(7, 2, limit=10) == parts[1:]
    assert await log.read(7, 3, limit=1) == parts[1:2]
    assert await log.read(7, 8, limit=10) == []
    assert await log.read(9, 0, limit=10) == []


async def test_rows_that_are_given_again_are_there_once(log):
    worker = await log.enlist(lease_microseconds=LEASE)
    for _ in range(2):
        await flush(log, worker, (7, [text(0, "a"), text(1, "b")]))
    assert await log.read(7, 0, limit=10) == [text(0, "a"), text(1, "b")]


async def test_a_tail_reads_on_in_many_runs(log):
    worker = await log.enlist(lease_microseconds=LEASE)
    for start in range(3):
        await flush(log, worker, *((run, [text(start, "x")]) for run in (1, 2, 3)))
    found = await log.tail([(3, 1), (1, 0), (4, 0), (2, 3)], limit=2)
    assert [(run, s.until) for run, s in found if run == 1] == [(1, 1), (1, 2)]
    assert [(run, s.until) for run, s in found if run == 3] == [(3, 2), (3, 3)]
    assert {run for run, _ in found} == {1, 3}
    assert await log.tail([], limit=2) == []


@pytest.mark.parametrize("body", ["a\0b", "\ud800", "é\0"])
async def test_text_that_no_engine_should_hold_is_refused_and_nothing_of_the_batch_stays(log, body):
    worker = await log.enlist(lease_microseconds=LEASE)
    with pytest.raises(Refused):
        await flush(log, worker, (7, [text(0, "good")]), (8, [text(0, body)]))
    assert await log.read(7, 0, limit=10) == []


async def test_a_worker_whose_lease_ran_out_is_fenced_and_its_runs_are_queued(db, log):
    worker = await log.enlist(lease_microseconds=LEASE)
    await generations(db, worker=worker, ids=range(1, 3))
    assert await log.bury_the_dead() == 0
    await flush(log, worker)
    await expire(db, worker)
    await flush(log, worker)  # late, but nobody has noticed: alive again
    assert await log.bury_the_dead() == 0
    await expire(db, worker)
    assert await log.bury_the_dead() == 1
    for batch in ([], [(1, [text(0, "late")])]):
        with pytest.raises(Fenced):
            await flush(log, worker, *batch)
    assert await log.read(1, 0, limit=1) == []
    assert await states(db) == [(1, "queued", None, 1), (2, "queued", None, 1)]


async def test_a_start_that_commits_under_a_dead_worker_is_queued_by_the_next_burial(db, log):
    worker = await log.enlist(lease_microseconds=LEASE)
    await log.retire(worker)
    await generations(db, worker=worker, ids=range(1, 2))
    assert await log.bury_the_dead() == 0
    assert await states(db) == [(1, "queued", None, 1)]


async def test_retiring_hands_everything_over_and_may_be_repeated(db, log):
    worker = await log.enlist(lease_microseconds=LEASE)
    await generations(db, worker=worker, ids=range(1, 3))
    for _ in range(2):
        await log.retire(worker)
    assert [row[1] for row in await states(db)] == ["queued", "queued"]
    with pytest.raises(Fenced):
        await flush(log, worker)


async def test_runs_are_claimed_oldest_first_each_once_with_the_next_attempt(db, log):
    worker = await log.enlist(lease_microseconds=LEASE)
    await generations(db, worker=None, ids=range(1, 8))
    assert await log.claim(worker, limit=2) == [Claimed(1, 2, worker), Claimed(2, 2, worker)]
    claims = await asyncio.gather(*(log.claim(worker, limit=2) for _ in range(5)))
    taken = [run.generation_id for claim in claims for run in claim]
    assert sorted(taken) == [3, 4, 5, 6, 7]
    assert [run.generation_id for run in await log.owned(worker)] == [1, 2, 3, 4, 5, 6, 7]
    await log.release(worker, [2, 5, 99])
    await log.release(worker + 1, [1])
    assert [run.generation_id for run in await log.owned(worker)] == [1, 3, 4, 6, 7]
    assert await log.claim(worker, limit=16) == [Claimed(2, 3, worker), Claimed(5, 3, worker)]


async def test_the_dead_claim_nothing(db, log):
    worker = await log.enlist(lease_microseconds=LEASE)
    await generations(db, worker=None, ids=range(1, 2))
    await log.retire(worker)
    assert await log.claim(worker, limit=16) == []


async def test_a_worker_finds_which_of_its_runs_somebody_canceled(db, log):
    worker = await log.enlist(lease_microseconds=LEASE)
    await generations(db, worker=worker, ids=range(1, 4))
    async with db.transaction() as tx:
        await tx._connection.run(CANCEL, id=2)
    assert await log.canceled(worker) == [2]
    assert await log.canceled(worker + 1) == []


async def test_ids_of_workers_are_never_used_again(log):
    workers = [await log.enlist(lease_microseconds=LEASE) for _ in range(3)]
    assert workers == sorted(set(workers))


async def test_a_start_on_sqlite_proves_the_others_dead(db, log):
    first = await log.enlist(lease_microseconds=LEASE)
    await generations(db, worker=first, ids=range(1, 2))
    await log.enlist(lease_microseconds=LEASE)
    if db.engine is Engine.SQLITE:
        assert await states(db) == [(1, "queued", None, 1)]
        with pytest.raises(Fenced):
            await flush(log, first)
    else:
        await flush(log, first)


async def test_flushes_of_many_workers_at_once_lose_nothing(db):
    logs = [DatabaseLog(db) for _ in range(8)]
    if db.engine is Engine.SQLITE:
        workers = [await logs[0].enlist(lease_microseconds=LEASE)] * 8
    else:
        workers = [await log.enlist(lease_microseconds=LEASE) for log in logs]

    async def work(log: DatabaseLog, worker: int, run: int) -> None:
        for start in range(10):
            await flush(log, worker, (run, [text(start, "x")]))

    await asyncio.gather(*(work(logs[n], workers[n], n) for n in range(8)))
    for run in range(8):
        assert [s.until for s in await logs[0].read(run, 0, limit=99)] == list(range(1, 11))
