"""What only SQLite can do wrong: its disk, its one writer, strangers, and threads."""

import asyncio
import threading
from collections.abc import AsyncIterator

import apsw
import pytest

from palaver.domain.errors import DomainError, ErrorKind
from palaver.storage import sqlite_writer
from palaver.storage.database import (
    Busy,
    Closed,
    CommitFailed,
    DatabaseError,
    StatementFailed,
    Suspended,
)
from palaver.storage.sqlite import SQLite, open_sqlite
from palaver.storage.statements import Statement
from tests.databases import new_sqlite
from tests.storage.test_blocks import INSERT, insert, names

LARGE = "x" * 200_000
ENDLESS = Statement(
    """with recursive numbers(n) as (select 1 union all select n + 1 from numbers)
    select count(*) from numbers""",
    int,
    slow=True,
)


class Disk(apsw.VFS):
    """The operating system's files, failing on demand. Registered while it lives."""

    def __init__(self) -> None:
        self.syncs = 0
        self.failing: dict[str, list[type[apsw.Error]]] = {"sync": [], "write": []}
        self.gate = threading.Event()
        self.gate.set()
        self.is_at_gate = threading.Event()
        super().__init__("faulty", "")

    def xOpen(self, name, flags):  # noqa: N802  # SQLite's name
        return DiskFile(self, name, flags)

    def act(self, what: str) -> None:
        if self.failing[what]:
            raise self.failing[what].pop(0)("injected")


class DiskFile(apsw.VFSFile):
    def __init__(self, disk: Disk, name, flags) -> None:
        self._disk = disk
        super().__init__("", name, flags)

    def xSync(self, flags):  # noqa: N802
        self._disk.syncs += 1
        self._disk.is_at_gate.set()
        self._disk.gate.wait(20)
        self._disk.act("sync")
        super().xSync(flags)

    def xWrite(self, data, offset):  # noqa: N802
        self._disk.act("write")
        super().xWrite(data, offset)


@pytest.fixture
def path(tmp_path) -> str:
    return new_sqlite(tmp_path).removeprefix("sqlite:///")


@pytest.fixture
async def db(path) -> AsyncIterator[SQLite]:
    database = open_sqlite(path)
    yield database
    await database.close()


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
async def faulty(path, disk) -> AsyncIterator[SQLite]:
    database = open_sqlite(path, vfs="faulty")
    yield database
    await database.close()
    disk.unregister()


def a_stranger(path: str) -> apsw.Connection:
    """Return what another process does to us. (Two SQLite libraries in one would not see locks.)"""
    return apsw.Connection(path)


async def all_of(db: SQLite, count: int, *, first: int = 0) -> list[BaseException | None]:
    work = (insert(db, f"{n:03}") for n in range(first, first + count))
    return await asyncio.gather(*work, return_exceptions=True)


async def test_fifty_transactions_at_once_are_durable_with_few_syncs(faulty, disk):
    before = disk.syncs
    assert await all_of(faulty, 50) == [None] * 50
    assert 1 <= disk.syncs - before <= 3
    before = disk.syncs
    await insert(faulty, "one more")
    assert disk.syncs > before


@pytest.mark.parametrize("what", ["sync", "write"])
@pytest.mark.parametrize("error", [apsw.IOError, apsw.FullError])
async def test_a_commit_that_the_disk_refuses_fails_for_all_and_leaves_nothing(
    faulty, disk, what, error
):
    disk.failing[what].append(error)
    failed = await all_of(faulty, 10)
    assert [type(one) for one in failed] == [CommitFailed] * 10
    assert len({id(one) for one in failed}) == 10
    assert await names(faulty) == []
    assert await all_of(faulty, 10) == [None] * 10
    assert len(await names(faulty)) == 10


async def test_the_loop_goes_on_while_a_commit_waits_for_the_disk(faulty, disk):
    disk.is_at_gate.clear()
    disk.gate.clear()
    first = asyncio.ensure_future(insert(faulty, "first"))
    await asyncio.to_thread(disk.is_at_gate.wait, 20)
    second = asyncio.ensure_future(insert(faulty, "second"))
    await asyncio.sleep(0)
    assert await names(faulty) == []
    assert not first.done()
    assert not disk.gate.is_set()
    disk.gate.set()
    await asyncio.gather(first, second)
    assert await names(faulty) == ["first", "second"]


async def test_a_commit_that_a_constraint_refuses_leaves_no_transaction_open(db):
    async def body() -> None:
        async with db.transaction() as tx:
            await tx._connection.run(Statement("pragma defer_foreign_keys = on"))
            await tx._connection.run(
                Statement(
                    """insert into conversations (uuid, owner_id, created_at, updated_at)
                    values ('c', 99, 0, 0)"""
                )
            )

    ended = await asyncio.gather(body(), insert(db, "a"), return_exceptions=True)
    assert [type(error) for error in ended] == [CommitFailed, CommitFailed]
    await insert(db, "b")
    assert await names(db) == ["b"]


async def test_a_full_disk_in_the_body_fails_the_batch_and_no_statement_commits_by_itself(db):
    await insert(db, "before")
    pages = db._reader.pragma("page_count")
    db._writer.raw.pragma("max_page_count", pages + 5)

    async def large() -> None:
        async with db.transaction() as tx:
            try:
                await tx._connection.run(INSERT, name="large", value=LARGE)
            except StatementFailed:
                await tx._connection.run(INSERT, name="leak", value="x")

    ended = await asyncio.gather(insert(db, "a"), large(), insert(db, "b"), return_exceptions=True)
    assert ended[1] is not None
    kept = ["before"]
    kept += [name for name, error in zip(["a", "b"], ended[::2], strict=True) if error is None]
    assert await names(db) == sorted(kept)
    db._writer.raw.pragma("max_page_count", 1_000_000)
    await insert(db, "after")
    assert await names(db) == sorted([*kept, "after"])


async def test_a_body_that_suspends_is_rolled_back_and_nobody_waits_for_it(db):
    gate = asyncio.Event()

    async def body(*, use_again: bool) -> None:
        async with db.transaction() as tx:
            await tx._connection.run(INSERT, name="suspended", value="x")
            await gate.wait()
            if use_again:
                await tx._connection.run(INSERT, name="again", value="x")

    stuck = [asyncio.ensure_future(body(use_again=use_again)) for use_again in (True, False)]
    assert await all_of(db, 20) == [None] * 20  # while the bodies still wait
    gate.set()
    ended = await asyncio.gather(*stuck, return_exceptions=True)
    assert [type(error) for error in ended] == [Suspended, Suspended]
    assert await names(db) == [f"{n:03}" for n in range(20)]


async def test_a_task_that_is_canceled_in_a_suspended_body_sees_just_that(db):
    async def body() -> None:
        async with db.transaction() as tx:
            await tx._connection.run(INSERT, name="suspended", value="x")
            await asyncio.sleep(60)

    task = asyncio.ensure_future(body())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await insert(db, "after")
    assert await names(db) == ["after"]


@pytest.mark.parametrize("max_batch", [1, 3])
async def test_a_full_batch_makes_the_others_wait_and_loses_nobody(path, max_batch):
    db = open_sqlite(path, max_batch=max_batch)
    for round_ in range(5):
        tasks = [asyncio.ensure_future(insert(db, f"{round_}-{n}")) for n in range(20)]
        for _ in range(round_):
            await asyncio.sleep(0)
        for task in tasks[1::3]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert all(task.cancelled() or task.exception() is None for task in tasks)
        done = {f"{round_}-{n}" for n, task in enumerate(tasks) if not task.cancelled()}
        assert done <= set(await names(db))
    await asyncio.wait_for(insert(db, "after"), 5)
    await db.close()


async def test_a_turn_that_was_given_to_a_canceled_task_goes_to_the_next(path):
    db = open_sqlite(path, max_batch=1)
    tasks = []

    async def first() -> None:
        await insert(db, "0")
        tasks[1].cancel()  # its turn has been given, and it has not run yet

    tasks += [asyncio.ensure_future(first())]
    tasks += [asyncio.ensure_future(insert(db, name)) for name in "123"]
    done, _ = await asyncio.wait(tasks, timeout=10)
    assert len(done) == 4
    assert tasks[1].cancelled()
    assert await names(db) == ["0", "2", "3"]
    await db.close()


async def test_who_comes_back_queues_behind_those_who_wait(path):
    db = open_sqlite(path, max_batch=1)

    async def first() -> None:
        await insert(db, "0")
        await insert(db, "again")

    await asyncio.gather(first(), insert(db, "1"), insert(db, "2"))
    async with db.read() as tx:
        in_order = Statement("select name from facts order by rowid", str)
        assert await tx._connection.all(in_order) == ["0", "1", "2", "again"]
    await db.close()


async def test_failures_with_a_full_batch_lose_nobody(path, disk):
    db = open_sqlite(path, max_batch=2, vfs="faulty")
    disk.failing["sync"] += [apsw.IOError, apsw.IOError]
    ended = await all_of(db, 10)
    assert sum(type(error) is CommitFailed for error in ended) == 4
    assert len(await names(db)) == 6
    await db.close()
    disk.unregister()


async def test_a_strangers_lock_is_waited_for_while_reads_go_on(db, path):
    shell = a_stranger(path)
    shell.execute("begin immediate")
    writing = asyncio.gather(*(insert(db, str(n)) for n in range(5)))
    assert await names(db) == []
    await asyncio.sleep(0.02)
    assert await names(db) == []
    assert not writing.done()
    shell.execute("insert into facts values ('shell', 'x')")
    shell.execute("commit")
    shell.close()
    await writing
    assert await names(db) == ["0", "1", "2", "3", "4", "shell"]
    assert db._writer.raw.pragma("busy_timeout") == 0  # never waits on the loop


async def test_a_stranger_who_keeps_the_lock_makes_the_callers_busy(db, path, monkeypatch):
    monkeypatch.setattr(sqlite_writer, "BUSY_MILLISECONDS", 20)
    shell = a_stranger(path)
    shell.execute("begin immediate")
    canceled = asyncio.ensure_future(insert(db, "canceled"))
    waiting = asyncio.ensure_future(all_of(db, 5))
    await asyncio.sleep(0)
    canceled.cancel()
    assert [type(error) for error in await waiting] == [Busy] * 5
    shell.execute("rollback")
    shell.close()
    assert await all_of(db, 5) == [None] * 5


def test_a_busy_database_is_its_trouble_and_one_that_a_caller_is_told():
    busy = Busy()
    assert isinstance(busy, DatabaseError)
    assert isinstance(busy, DomainError)
    assert (busy.kind, busy.retry_after_seconds) == (ErrorKind.BUSY, 1)
    assert str(busy) == busy.message


async def test_reads_cannot_write(db):
    with pytest.raises(StatementFailed, match="readonly"):
        async with db.read() as tx:
            await tx._connection.run(INSERT, name="a", value="x")


async def test_a_slow_read_leaves_the_loop_free_and_ends_when_its_task_is_canceled(db):
    async def count() -> None:
        async with db.read() as tx:
            await tx._connection.one(ENDLESS)

    counting = [asyncio.ensure_future(count()) for _ in range(5)]  # two of them wait for a thread
    await asyncio.sleep(0.02)
    await insert(db, "meanwhile")
    assert await names(db) == ["meanwhile"]
    for task in counting:
        task.cancel()
    ended = await asyncio.gather(*counting, return_exceptions=True)
    assert [type(error) for error in ended] == [asyncio.CancelledError] * 5
    async with db.read() as tx:
        few = Statement("select count(*) from facts", int, slow=True)
        assert await asyncio.wait_for(tx._connection.one(few), 10) == 1
    assert len(db._slow._idle) <= 3


async def test_a_copy_holds_everything_and_takes_the_place_of_an_older_one(db, path, tmp_path):
    await db.keep_copy("former")
    await all_of(db, 10)
    await db.keep_copy("former")
    copy = open_sqlite(f"{path}.former")
    assert len(await names(copy)) == 10
    await copy.close()
    with pytest.raises(DatabaseError, match="nowhere/else"):
        await db.keep_copy("nowhere/else")


async def test_what_is_no_database_is_refused_with_a_sentence(tmp_path):
    (tmp_path / "text.db").write_text("This is no database. " * 100)
    for path in (tmp_path / "text.db", tmp_path / "nowhere" / "palaver.db", ":memory:"):
        with pytest.raises(DatabaseError, match=str(path)):
            open_sqlite(str(path))


async def test_waiters_are_told_when_the_database_closes(path):
    db = open_sqlite(path, max_batch=1)
    tasks = [asyncio.ensure_future(insert(db, str(n))) for n in range(4)]
    await asyncio.sleep(0)
    await asyncio.wait_for(db.close(), 5)
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(error) for error in ended} == {type(None), Closed}


async def test_a_statement_over_a_partial_index_is_planned_once_for_all_its_values(db):
    looked_at = []

    def look(*what: object) -> int:  # asked whenever a statement is planned
        looked_at.append(what)
        return apsw.SQLITE_OK

    db._reader.authorizer = look
    async with db.read() as tx:
        await tx.plans.standing(owner_id=1, at=1)
        first = len(looked_at)
        await tx.plans.standing(owner_id=2, at=2)
    assert first
    assert len(looked_at) == first
