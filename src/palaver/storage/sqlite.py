"""SQLite: reads on the loop (they cost microseconds), writes in groups (`sqlite_writer`)."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Final

import apsw
import sqlite_vec  # type: ignore[import-untyped]  # it has no types

from palaver.kit.metrics import Histogram, gauge
from palaver.storage.database import (
    Busy,
    Closed,
    DatabaseError,
    NestedTransaction,
    SchemaConnection,
)
from palaver.storage.sqlite_connection import SlowReads, SQLiteConnection
from palaver.storage.sqlite_writer import BUSY_MILLISECONDS, MAX_BATCH, Inside, WriteBlock, Writer
from palaver.storage.statements import Engine
from palaver.storage.tx import Tx

_CACHED_STATEMENTS: Final = 500
_CACHE_KIB: Final = 16_384
_LOG_MAX_BYTES: Final = 64 * 1024 * 1024


def open_sqlite(path: str, *, max_batch: int = MAX_BATCH, vfs: str | None = None) -> "SQLite":
    """Open or create the database file; raises `DatabaseError`. `vfs` names one of apsw's."""
    return SQLite(path, max_batch=max_batch, vfs=vfs)


class SQLite:
    """A database file: see `Database`."""

    engine = Engine.SQLITE

    def __init__(self, path: str, *, max_batch: int = MAX_BATCH, vfs: str | None = None) -> None:
        self.path = path
        self._vfs = vfs
        self._inside: Inside = set()
        try:
            self._writer = Writer(self._connect_writer(), self._inside, max_batch=max_batch)
            # One for all blocks: a statement is read to its end before anybody else runs.
            self._reader = self._connect_reader()
        except apsw.Error as error:
            raise DatabaseError(f"The database {path} cannot be opened: {error}") from error
        self._snapshots: list[apsw.Connection] = []
        self._slow = SlowReads(self._connect_reader)

    @property
    def commits(self) -> Histogram:
        """Return how long commits took."""
        return self._writer.commits

    def load(self) -> list[str]:
        """Return who waits to write: see `Database`."""
        return gauge(
            "palaver_database_waiting",
            "Transactions that wait for their turn to write.",
            self._writer.waiting,
        )

    def transaction(self) -> AbstractAsyncContextManager[Tx]:
        """Open a block that writes: see `Database`."""
        return WriteBlock(self._writer)

    def read(self, *, snapshot: bool = False) -> AbstractAsyncContextManager[Tx]:
        """Open a block that reads: see `Database`."""
        return self._snapshot() if snapshot else _ReadBlock(self._reader, self._slow, self._inside)

    single = transaction

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[SchemaConnection]:
        """Open a transaction that may change the schema.

        Foreign keys rest until its end, so that a table can be rebuilt; then all are checked.
        """
        raw = await asyncio.to_thread(self._connect)
        try:
            raw.set_busy_timeout(BUSY_MILLISECONDS)
            await asyncio.to_thread(raw.execute, "begin immediate")
            yield _SchemaConnection(raw)
            if broken := raw.execute("pragma foreign_key_check").fetchall():
                raise DatabaseError(f"The change breaks foreign keys: {broken[:5]}")
            await asyncio.to_thread(raw.execute, "commit")
        except apsw.BusyError as error:
            raise Busy from error
        finally:
            raw.close()  # rolls back what is not committed

    async def keep_copy(self, name: str) -> None:
        """Keep the database as it is now in `<database>.<name>`; an older copy is replaced."""
        await asyncio.to_thread(self._copy, Path(f"{self.path}.{name}"))

    async def listen(self, channel: str, hear: Callable[[str | None], None]) -> None:
        """Return at once: no other process serves."""

    async def close(self) -> None:
        """Let the running batch become durable, then give up every connection."""
        await self._writer.close()
        await asyncio.to_thread(self._slow.close)
        for raw in (self._reader, *self._snapshots):
            raw.close()

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[Tx]:
        task = asyncio.current_task()
        if task in self._inside:
            raise NestedTransaction("A task that is inside a block of the database opened another.")
        raw = self._snapshots.pop() if self._snapshots else self._connect_reader()
        connection = SQLiteConnection(raw)
        self._inside.add(task)
        raw.execute("begin")
        try:
            yield Tx(connection)
        finally:
            connection.ended = Closed
            self._inside.discard(task)
            raw.execute("rollback")
            self._snapshots.append(raw)

    def _copy(self, path: Path) -> None:
        unfinished = path.with_name(f"{path.name}.unfinished")
        raw = self._connect()
        try:
            unfinished.unlink(missing_ok=True)
            raw.execute("vacuum into ?", (str(unfinished),))
            unfinished.replace(path)
        except (apsw.Error, OSError) as error:
            raise DatabaseError(f"The copy {path} cannot be written: {error}") from error
        finally:
            raw.close()

    def _connect(self) -> apsw.Connection:
        raw = apsw.Connection(
            self.path,
            flags=apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE,
            vfs=self._vfs,
            statementcachesize=_CACHED_STATEMENTS,
        )
        raw.enable_load_extension(True)  # for this one; nothing that a user says reaches it
        raw.load_extension(sqlite_vec.loadable_path())
        raw.enable_load_extension(False)
        raw.pragma("cache_size", -_CACHE_KIB)
        raw.pragma("synchronous", "full")
        raw.pragma("temp_store", "memory")
        raw.pragma("trusted_schema", 0)
        # A statement is planned once. Otherwise it is planned anew for each value that it is given,
        # which might make a partial index fit: that costs ten times what the statement itself does.
        raw.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        return raw

    def _connect_writer(self) -> apsw.Connection:
        raw = self._connect()
        raw.set_busy_timeout(BUSY_MILLISECONDS)
        if (mode := raw.pragma("journal_mode", "wal")) != "wal":
            raise DatabaseError(f"{self.path} cannot keep a write-ahead log ({mode}): use a file.")
        raw.pragma("journal_size_limit", _LOG_MAX_BYTES)
        raw.pragma("foreign_keys", 1)
        raw.set_busy_timeout(0)  # nothing waits on the loop
        return raw

    def _connect_reader(self) -> apsw.Connection:
        raw = self._connect()
        raw.pragma("query_only", 1)
        return raw


class _ReadBlock:
    """One `async with db.read() as tx`; each statement sees the latest commit."""

    __slots__ = ("_connection", "_inside", "_task")

    def __init__(self, raw: apsw.Connection, slow: SlowReads, inside: Inside) -> None:
        self._connection = SQLiteConnection(raw, slow)
        self._inside = inside

    async def __aenter__(self) -> Tx:
        self._task = asyncio.current_task()
        if self._task in self._inside:
            raise NestedTransaction("A task that is inside a block of the database opened another.")
        self._inside.add(self._task)
        return Tx(self._connection)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.ended = Closed
        self._inside.discard(self._task)


class _SchemaConnection(SQLiteConnection):
    """The four primitives, and statements as they stand, which may take their time."""

    __slots__ = ()

    async def script(self, sql: str, /) -> None:
        try:
            await asyncio.to_thread(self.raw.execute, sql)
        except apsw.Error as error:
            raise self._failed(error) from error
