"""What only PostgreSQL can do: deadlocks, lost connections, a pool, notifications."""

import asyncio
import socket
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import pytest

from palaver.domain.events import EventKind, Segment
from palaver.kit.ids import new_uuid
from palaver.storage import postgresql, postgresql_pool
from palaver.storage.database import (
    Busy,
    CommitFailed,
    Conflict,
    DatabaseError,
    StatementFailed,
    retrying,
)
from palaver.storage.log import DatabaseLog
from palaver.storage.notices import CHANNEL
from palaver.storage.opening import open_database
from palaver.storage.postgresql import PostgreSQL, open_postgresql
from palaver.storage.postgresql_pool import keep_alive
from palaver.storage.statements import Statement
from tests.databases import PostgreSQLServer
from tests.storage.test_blocks import INSERT, insert, names

MY_PID = Statement("select pg_backend_pid()", int)
KILL: Statement[None] = Statement("select pg_terminate_backend(:pid::int)")
SLEEP: Statement[None] = Statement("select pg_sleep(:seconds::double precision)")
CHANGE: Statement[None] = Statement("update facts set value = :value where name = :name")
BUSY_BACKENDS = Statement(
    """select count(*) from pg_stat_activity
    where datname = current_database() and state = 'active' and query like '%pg_sleep%'
    and pid <> pg_backend_pid()""",
    int,
)


@pytest.fixture
def url(postgresql_server: PostgreSQLServer) -> str:
    return postgresql_server.fresh()


@pytest.fixture
async def db(url: str) -> AsyncIterator[PostgreSQL]:
    database = await open_postgresql(url, max_connections=4)
    yield database
    await database.close()


async def pid_of(db: PostgreSQL) -> int:
    async with db.read() as tx:
        pid = await tx._connection.one(MY_PID)
    assert pid is not None
    return pid


async def test_one_of_two_that_wait_for_each_other_meets_a_conflict_and_may_run_again(db):
    await insert(db, "a")
    await insert(db, "b")
    both = asyncio.Barrier(2)
    conflicts = []
    is_first_try = True

    async def body(first: str, second: str) -> None:
        nonlocal is_first_try
        async with db.transaction() as tx:
            await tx._connection.run(CHANGE, name=first, value=first)
            if is_first_try:
                await both.wait()
                is_first_try = False
            await tx._connection.run(CHANGE, name=second, value=first)

    @retrying
    async def use_case(first: str, second: str) -> None:
        try:
            await body(first, second)
        except Conflict as error:
            conflicts.append(error)
            raise

    await asyncio.gather(use_case("a", "b"), use_case("b", "a"))
    assert len(conflicts) == 1
    await insert(db, "c")


async def test_a_connection_that_is_lost_in_a_body_is_busy_and_the_next_body_works(db):
    other = await open_postgresql(db._url, max_connections=1)

    async def body() -> None:
        async with db.transaction() as tx:
            await tx._connection.run(INSERT, name="a", value="x")
            pid = await tx._connection.one(MY_PID)
            async with asyncio.timeout(10):
                await asyncio.gather(kill(pid))
            await tx._connection.run(INSERT, name="b", value="x")

    async def kill(pid: int) -> None:
        async with other.single() as tx:
            await tx._connection.run(KILL, pid=pid)

    with pytest.raises(Busy):
        await body()
    await insert(db, "c")
    assert await names(db) == ["c"]
    await other.close()


async def test_a_connection_that_is_lost_before_the_commit_fails_the_commit(db):
    other = await open_postgresql(db._url, max_connections=1)

    async def kill(pid: int) -> None:
        async with other.single() as tx:
            await tx._connection.run(KILL, pid=pid)

    async def body() -> None:
        async with db.transaction() as tx:
            await tx._connection.run(INSERT, name="a", value="x")
            await asyncio.gather(kill(await tx._connection.one(MY_PID)))

    with pytest.raises(CommitFailed):
        await body()
    assert await names(db) == []
    await other.close()


async def test_connections_that_were_cut_while_they_lay_idle_are_replaced(db):
    pids = await asyncio.gather(*(pid_of(db) for _ in range(4)))
    other = await open_postgresql(db._url, max_connections=1)
    async with other.transaction() as tx:
        for pid in set(pids):
            await tx._connection.run(KILL, pid=pid)
    await insert(db, "a")
    assert await names(db) == ["a"]
    await other.close()


async def test_more_tasks_than_connections_all_get_their_turn(db):
    await asyncio.gather(*(insert(db, f"{n:02}") for n in range(40)))
    assert len(await names(db)) == 40
    assert db._pool._free_places + len(db._pool._idle) == 4


async def test_a_canceled_query_stops_on_the_server_and_its_connection_goes_on(db):
    async def sleep() -> None:
        async with db.read() as tx:
            await tx._connection.run(SLEEP, seconds=60)

    async def sleep_in_transaction() -> None:
        async with db.transaction() as tx:
            await tx._connection.run(INSERT, name=new_uuid(), value="x")
            await tx._connection.run(SLEEP, seconds=60)

    other = await open_postgresql(db._url, max_connections=1)

    async def until(sleepers: int) -> None:
        found = None
        while found != sleepers:
            async with other.read() as tx:
                found = await tx._connection.one(BUSY_BACKENDS)

    tasks = [asyncio.ensure_future(work()) for work in (sleep, sleep_in_transaction) * 2]
    await until(4)
    for task in tasks:
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(error) for error in ended] == [asyncio.CancelledError] * 4
    await asyncio.gather(*(insert(db, str(n)) for n in range(8)))
    assert len(await names(db)) == 8
    await until(0)
    await other.close()


async def test_a_task_canceled_while_it_waits_for_a_connection_takes_none_along(db):
    gate = asyncio.Event()

    async def hold() -> None:
        async with db.read():
            await gate.wait()

    holding = [asyncio.ensure_future(hold()) for _ in range(4)]
    await asyncio.sleep(0.05)
    waiting = [asyncio.ensure_future(insert(db, str(n))) for n in range(6)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    gate.set()
    await asyncio.gather(*holding)
    waiting[1].cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await asyncio.gather(*(insert(db, f"after {n}") for n in range(8)))
    assert db._pool._free_places + len(db._pool._idle) == 4


async def test_who_waits_too_long_for_a_connection_is_told_that_the_database_is_busy(
    db, monkeypatch
):
    monkeypatch.setattr(postgresql_pool, "WAIT_SECONDS", 0.02)
    gate = asyncio.Event()

    async def hold() -> None:
        async with db.read():
            await gate.wait()

    holding = [asyncio.ensure_future(hold()) for _ in range(4)]
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await insert(db, "a")
    gate.set()
    await asyncio.gather(*holding)
    await insert(db, "b")
    assert await names(db) == ["b"]


async def test_a_statement_that_takes_too_long_is_ended_and_its_transaction_undone(
    url, monkeypatch
):
    monkeypatch.setattr(postgresql, "STATEMENT_SECONDS", 0.2)
    db = await open_postgresql(url, max_connections=1)

    async def body() -> None:
        async with db.transaction() as tx:
            await tx._connection.run(INSERT, name="a", value="x")
            await tx._connection.run(SLEEP, seconds=60)

    with pytest.raises(Busy):
        await body()
    async with db.exclusive() as connection:
        await connection.script("select pg_sleep(0.4)")  # a migration takes what it takes
    await insert(db, "b")
    assert await names(db) == ["b"]
    await db.close()


class Cable:
    """The way to the server over TCP, which can be cut without a word."""

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        self._tasks: set[asyncio.Task[None]] = set()
        self.is_cut = False

    async def __aenter__(self) -> str:
        self._server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        return f"postgresql://postgres@127.0.0.1:{port}{self._url.path}"

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._server.close()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        folder = parse_qs(self._url.query)["host"][0]
        to_server = await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.5432")
        for source, sink in ((reader, to_server[1]), (to_server[0], writer)):
            self._tasks.add(asyncio.ensure_future(self._carry(source, sink)))

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65_536):
                if not self.is_cut:
                    sink.write(data)
        finally:
            sink.close()


async def test_a_server_that_vanishes_without_a_word_is_busy_and_its_connections_are_dropped(
    url, monkeypatch
):
    monkeypatch.setattr(postgresql, "STATEMENT_SECONDS", 0.2)
    cable = Cable(url)
    async with cable as address:
        db = await open_postgresql(address, max_connections=2)

        async def body() -> None:
            async with db.transaction() as tx:
                await tx._connection.run(INSERT, name="a", value="x")
                cable.is_cut = True
                await tx._connection.run(INSERT, name="b", value="x")

        await insert(db, "first")
        with pytest.raises(Busy):
            await body()
        cable.is_cut = False
        assert await names(db) == ["first"]
        cable.is_cut = True
        with pytest.raises(Busy):
            await insert(db, "c")  # met while it lay idle
        cable.is_cut = False
        await insert(db, "last")
        assert await names(db) == ["first", "last"]
        await db.close()


def test_a_peer_that_is_silent_is_asked_whether_it_is_there():
    with socket.socket() as sock:
        keep_alive(sock)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 10_000
    with socket.socket(socket.AF_UNIX) as sock:
        keep_alive(sock)
        assert not sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


async def test_u0000_never_arrives_silently(db):
    with pytest.raises(StatementFailed):
        await insert(db, "a", "x\0y")
    assert await names(db) == []


async def test_a_listener_hears_what_is_logged_and_comes_back_after_a_cut(db):
    heard: asyncio.Queue[str | None] = asyncio.Queue()
    listening = asyncio.ensure_future(db.listen(CHANNEL, heard.put_nowait))
    assert await asyncio.wait_for(heard.get(), 10) == ""
    log = DatabaseLog(db)
    worker = await log.enlist(lease_microseconds=60_000_000)
    batch = [(1, [Segment(0, 1, EventKind.TEXT, "x")])]
    await log.flush(worker, batch, lease_microseconds=60_000_000)
    assert await asyncio.wait_for(heard.get(), 10) == str(worker)
    cut: Statement[None] = Statement(
        """select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and query like '%LISTEN%' and pid <> pg_backend_pid()"""
    )
    async with db.single() as tx:
        await tx._connection.run(cut)
    assert await asyncio.wait_for(heard.get(), 10) is None
    assert await asyncio.wait_for(heard.get(), 10) == ""
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


async def test_a_server_that_is_not_there_is_a_sentence(tmp_path):
    with pytest.raises(DatabaseError, match="cannot be reached"):
        await open_database(f"postgresql://postgres@/palaver?host={tmp_path}")


async def test_a_database_that_is_not_there_is_a_sentence(url):
    with pytest.raises(DatabaseError, match="nowhere"):
        await open_database(url.replace("palaver_", "nowhere_"))
