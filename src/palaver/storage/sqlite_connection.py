"""The four primitives on SQLite, on the loop; what is slow goes to a thread."""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import starmap
from typing import Any, Final, TypeVar

import apsw

from palaver.storage.database import DatabaseError, Poisoned, StatementFailed
from palaver.storage.statements import Engine, Statement

R = TypeVar("R")

SLOW_READS: Final = 3
"""How many slow statements run at once: each has a page cache, and the GIL to fight for."""

# What apsw raises before SQLite sees a value: a lone surrogate, a number beyond 64 bits.
_BAD_VALUES: Final = (UnicodeEncodeError, OverflowError)


class SQLiteConnection:
    """One block's view of a connection: ends with the block, and with its first failure."""

    __slots__ = ("ended", "failure", "raw", "slow")

    engine = Engine.SQLITE

    def __init__(self, raw: apsw.Connection, slow: "SlowReads | None" = None) -> None:
        self.raw = raw
        self.slow = slow
        self.ended: type[DatabaseError] | None = None
        self.failure: Exception | None = None

    async def all(self, statement: Statement[R], /, **values: Any) -> list[R]:
        """Return every row."""
        if statement.slow and self.slow is not None:
            return await self._in_thread(self.slow, statement, values)
        if self.ended is not None:
            raise self.ended
        try:
            rows = self.raw.execute(statement.sqlite, statement.values(values))
            return list(starmap(statement.row, rows))
        except (apsw.Error, *_BAD_VALUES) as error:
            raise self._failed(error) from error

    async def one(self, statement: Statement[R], /, **values: Any) -> R | None:
        """Return the first row, or None."""
        if statement.slow and self.slow is not None:
            found = await self._in_thread(self.slow, statement, values)
            return found[0] if found else None
        if self.ended is not None:
            raise self.ended
        try:
            # To the last row: `insert … returning` left half way would keep the commit away.
            rows = self.raw.execute(statement.sqlite, statement.values(values)).fetchall()
        except (apsw.Error, *_BAD_VALUES) as error:
            raise self._failed(error) from error
        return statement.row(*rows[0]) if rows else None

    async def run(self, statement: Statement[Any], /, **values: Any) -> int:
        """Run a statement without rows; return how many rows it changed."""
        if self.ended is not None:
            raise self.ended
        try:
            self.raw.execute(statement.sqlite, statement.values(values))
        except (apsw.Error, *_BAD_VALUES) as error:
            raise self._failed(error) from error
        return self.raw.changes()

    async def many(self, statement: Statement[Any], rows: Sequence[Mapping[str, Any]], /) -> None:
        """Run a statement once for each mapping of values."""
        if self.ended is not None:
            raise self.ended
        try:
            self.raw.executemany(statement.sqlite, list(map(statement.values, rows)))
        except (apsw.Error, *_BAD_VALUES) as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> StatementFailed:
        # PostgreSQL aborts the transaction here, and after "disk full" SQLite may be outside of it,
        # where the next statement would commit by itself: so nothing more runs in this block.
        self.ended, self.failure = Poisoned, error
        return StatementFailed(f"The database refused a statement: {error}.")

    async def _in_thread(
        self, slow: "SlowReads", statement: Statement[R], values: dict[str, Any]
    ) -> list[R]:
        if self.ended is not None:
            raise self.ended
        try:
            rows = await slow.fetch(statement.sqlite, statement.values(values))
        except apsw.Error as error:
            raise self._failed(error) from error
        return list(starmap(statement.row, rows))


class SlowReads:
    """Statements that would hold the loop too long, a few at once, each in a thread.

    Each on a connection of its own. (In a snapshot, which has one, they run where they stand.)
    """

    def __init__(self, connect: Callable[[], apsw.Connection]) -> None:
        self._connect = connect
        self._idle: list[apsw.Connection] = []
        self._threads = ThreadPoolExecutor(SLOW_READS, thread_name_prefix="palaver-read")

    async def fetch(self, sql: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """Return the rows; the statement of a canceled caller is interrupted."""
        work = _Work(self._idle, self._connect, sql, values)
        done = asyncio.get_running_loop().run_in_executor(self._threads, work.run)
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            done.add_done_callback(_ignore)
            work.interrupt()
            raise

    def close(self) -> None:
        """Wait for the threads, and give up their connections."""
        self._threads.shutdown(cancel_futures=True)
        while self._idle:
            self._idle.pop().close()


class _Work:
    """One slow statement, from the loop's side (`interrupt`) and from the thread's (`run`)."""

    def __init__(
        self,
        idle: list[apsw.Connection],
        connect: Callable[[], apsw.Connection],
        sql: str,
        values: tuple[Any, ...],
    ) -> None:
        self._idle, self._connect = idle, connect
        self._sql, self._values = sql, values
        self._lock = threading.Lock()
        self._running: apsw.Connection | None = None
        self._unwanted = False

    def run(self) -> list[tuple[Any, ...]]:
        try:
            raw = self._idle.pop()
        except IndexError:
            raw = self._connect()
        try:
            with self._lock:
                if self._unwanted:
                    return []
                self._running = raw
            return raw.execute(self._sql, self._values).fetchall()
        finally:
            with (
                self._lock
            ):  # an interrupt that comes later must not meet somebody else's statement
                self._running = None
            self._idle.append(raw)

    def interrupt(self) -> None:
        with self._lock:
            self._unwanted = True
            if self._running is not None:
                self._running.interrupt()


def _ignore(done: "asyncio.Future[Any]") -> None:
    if not done.cancelled():
        done.exception()
