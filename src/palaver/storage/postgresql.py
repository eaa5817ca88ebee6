"""PostgreSQL: a block is a connection of the pool, a transaction is a transaction."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from itertools import starmap
from time import perf_counter
from types import TracebackType
from typing import Any, Final, TypeVar

import asyncpg

from palaver.kit.metrics import Histogram
from palaver.storage.database import (
    Busy,
    Closed,
    CommitFailed,
    Conflict,
    DatabaseError,
    NestedTransaction,
    Poisoned,
    SchemaConnection,
    StatementFailed,
)
from palaver.storage.postgresql_pool import Lively, Pool, Raw
from palaver.storage.statements import Engine, Statement
from palaver.storage.tx import Tx

R = TypeVar("R")
T = TypeVar("T")

_BEGIN: Final = "begin"
_SNAPSHOT: Final = "begin isolation level repeatable read read only"
STATEMENT_SECONDS = 30.0
"""How long one statement may take. Not those of a migration."""

_CONNECT_SECONDS: Final = 10.0
_MIGRATION_LOCK: Final = 0x70616C61766572  # "palaver"
_MIN_PAUSE_SECONDS: Final = 0.1
_MAX_PAUSE_SECONDS: Final = 5.0
_UNREACHABLE: Final = "The database cannot be reached. Try again in a moment."

_SETTINGS: Final = {
    "application_name": "palaver",
    "jit": "off",  # costs more than our statements
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "60s",  # a block that is stuck lets go of its rows
    "tcp_keepalives_idle": "20",  # and so does one whose process is gone
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "2",
}

_MET_ANOTHER: Final = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)
_LOST: Final = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InternalClientError,  # what a write into a cut connection may leave behind
)
_ERRORS: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)


async def open_postgresql(url: str, *, max_connections: int = 20) -> "PostgreSQL":
    """Connect; raises `DatabaseError`."""
    db = PostgreSQL(url, max_connections=max_connections)
    try:
        async with db.read():
            pass
    except Busy as error:
        raise DatabaseError(f"The database cannot be reached: {error.__cause__}") from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise DatabaseError(f"The database cannot be opened: {error}") from error
    return db


class PostgreSQL:
    """A database on a server: see `Database`. READ COMMITTED; a loser of a deadlock: `Conflict`."""

    engine = Engine.POSTGRESQL

    def __init__(self, url: str, *, max_connections: int) -> None:
        self._url = url
        self._pool = Pool(self._connect, max_connections)
        self._inside: set[asyncio.Task[Any] | None] = set()

    @property
    def commits(self) -> Histogram:
        """Return how long commits took."""
        return self._pool.commits

    def load(self) -> list[str]:
        """Return how many connections are lent: see `Database`."""
        return self._pool.load()

    def transaction(self) -> AbstractAsyncContextManager[Tx]:
        """Open a block that writes: see `Database`."""
        return _Block(self._pool, self._inside, _BEGIN)

    def read(self, *, snapshot: bool = False) -> AbstractAsyncContextManager[Tx]:
        """Open a block that reads: see `Database`."""
        return _Block(self._pool, self._inside, _SNAPSHOT if snapshot else None)

    def single(self) -> AbstractAsyncContextManager[Tx]:
        """Open a block in which each statement is a transaction of its own."""
        return _Block(self._pool, self._inside, None)

    def exclusive(self) -> AbstractAsyncContextManager[SchemaConnection]:
        """Open a transaction that may change the schema, one at a time over all processes."""
        return _SchemaBlock(self._connect_for_long, self._inside)

    async def keep_copy(self, name: str) -> None:
        """Do nothing: copies of a server's databases are its operator's."""

    async def listen(self, channel: str, hear: Callable[[str | None], None]) -> None:
        """Call `hear` with each notice, over a connection of its own: see `Database`."""
        pause = _MIN_PAUSE_SECONDS
        while True:
            try:
                raw = await self._connect()
            except _ERRORS:
                await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311  # no secret
                pause = min(2 * pause, _MAX_PAUSE_SECONDS)
                continue
            pause = _MIN_PAUSE_SECONDS
            ended = asyncio.Event()
            raw.add_termination_listener(lambda _, ended=ended: ended.set())
            try:
                await raw.add_listener(channel, lambda _raw, _pid, _channel, text: hear(text))
                hear("")
                await ended.wait()
            except _ERRORS:
                pass
            finally:
                raw.terminate()
            hear(None)

    async def close(self) -> None:
        """Wait for open blocks, then give up every connection."""
        await self._pool.close()

    async def _connect(self) -> Raw:
        return await self._open(STATEMENT_SECONDS)

    async def _connect_for_long(self) -> Raw:
        return await self._open(None)

    async def _open(self, statement_seconds: float | None) -> Raw:
        return await asyncpg.connect(
            self._url,
            connection_class=Lively,
            timeout=_CONNECT_SECONDS,
            command_timeout=statement_seconds,
            server_settings=_SETTINGS,
            statement_cache_size=1_000,
            max_cached_statement_lifetime=0,
        )


class PostgreSQLConnection:
    """The four primitives within one block; the first failure ends it."""

    __slots__ = ("ended", "failure", "raw")

    engine = Engine.POSTGRESQL

    def __init__(self, raw: Raw) -> None:
        self.raw = raw
        self.ended: type[DatabaseError] | None = None
        self.failure: BaseException | None = None

    async def all(self, statement: Statement[R], /, **values: Any) -> list[R]:
        """Return every row."""
        rows = await self._do(self.raw.fetch, statement, *statement.values(values))
        return list(starmap(statement.row, rows))

    async def one(self, statement: Statement[R], /, **values: Any) -> R | None:
        """Return the first row, or None."""
        row = await self._do(self.raw.fetchrow, statement, *statement.values(values))
        return statement.row(*row) if row is not None else None

    async def run(self, statement: Statement[Any], /, **values: Any) -> int:
        """Run a statement without rows; return how many rows it changed."""
        tag = await self._do(self.raw.execute, statement, *statement.values(values))
        count = tag.rpartition(" ")[2]  # "UPDATE 3", "INSERT 0 3"
        return int(count) if count.isdecimal() else 0

    async def many(self, statement: Statement[Any], rows: Sequence[Mapping[str, Any]], /) -> None:
        """Run a statement once for each mapping of values."""
        await self._do(self.raw.executemany, statement, list(map(statement.values, rows)))

    async def script(self, sql: str, /) -> None:
        """Run statements as they stand, without values."""
        await self._do(self.raw.execute, Statement[None](sql))

    async def _do(
        self, call: Callable[..., Awaitable[T]], statement: Statement[Any], *values: Any
    ) -> T:
        if self.ended is not None:
            raise self.ended
        try:
            return await call(statement.postgresql, *values)
        except _ERRORS as error:
            self.ended, self.failure = Poisoned, error
            raise _translated(error) from error
        except BaseException as error:  # canceled while the server was at work
            self.ended, self.failure = Poisoned, error
            raise


class _Block:
    """One `async with`; `begin` is None where each statement stands alone."""

    __slots__ = ("_begin", "_inside", "_pool", "_task", "connection")

    def __init__(
        self, pool: Pool, inside: "set[asyncio.Task[Any] | None]", begin: str | None
    ) -> None:
        self._pool = pool
        self._inside = inside
        self._begin = begin

    async def __aenter__(self) -> Tx:
        await self._open()
        return Tx(self.connection)

    async def _open(self) -> None:
        self._task = asyncio.current_task()
        if self._task in self._inside:
            raise NestedTransaction("A task that is inside a block of the database opened another.")
        while True:
            raw = await self._take()
            if self._begin is None:
                break
            try:
                await raw.execute(self._begin)
                break
            except BaseException as error:
                self._pool.drop(raw)
                if isinstance(error, TimeoutError):
                    raise Busy(_UNREACHABLE) from error
                if not is_lost(error):
                    raise
                # It was cut while it lay in the pool. Nothing has happened: take the next one.
        self._inside.add(self._task)
        self.connection = PostgreSQLConnection(raw)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._inside.discard(self._task)
        connection = self.connection
        raw, failure = connection.raw, connection.failure
        connection.ended = Closed
        if self._begin is None:
            await self._leave(raw, failure)
        elif error is None and failure is None:
            await self._commit(raw)
        elif failure is not None and is_lost(failure):
            self._pool.drop(raw)  # whoever waits for its rollback may wait as long once more
        else:
            await self._roll_back(raw)
        if error is None and failure is not None:
            raise Poisoned("A statement had failed, so the whole block failed.") from failure

    async def _take(self) -> Raw:
        try:
            return await self._pool.take()
        except _ERRORS as error:
            if is_lost(error):
                raise Busy(_UNREACHABLE) from error
            raise

    async def _leave(self, raw: Raw, failure: BaseException | None) -> None:
        if failure is None or not is_lost(failure):
            self._pool.give(raw)
        else:
            self._pool.drop(raw)

    async def _commit(self, raw: Raw) -> None:
        begun = perf_counter()
        try:
            await raw.execute("commit")
        except BaseException as error:  # cut off: it may have been carried out, or not
            self._pool.drop(raw)
            if isinstance(error, _MET_ANOTHER):
                raise Conflict from error
            if isinstance(error, _ERRORS):
                reason = str(error) or "no answer in time"
                raise CommitFailed(f"The transaction could not be committed: {reason}") from error
            raise
        self._pool.commits.observe(perf_counter() - begun)
        self._pool.give(raw)

    async def _roll_back(self, raw: Raw) -> None:
        try:
            await raw.execute("rollback")
        except _ERRORS:  # what has ended the block says more
            self._pool.drop(raw)
        except BaseException:
            self._pool.drop(raw)
            raise
        else:
            self._pool.give(raw)


class _SchemaBlock:
    """A transaction that holds the lock of all migrations, over a connection of its own."""

    def __init__(
        self, connect: Callable[[], Awaitable[Raw]], inside: "set[asyncio.Task[Any] | None]"
    ) -> None:
        self._pool = Pool(connect, 1)
        self._block = _Block(self._pool, inside, _BEGIN)

    async def __aenter__(self) -> SchemaConnection:
        await self._block._open()
        connection = self._block.connection
        try:
            # Wait for another migration as long as it takes, but not for a table in use.
            await connection.script("set local lock_timeout = 0")
            await connection.script(f"select pg_advisory_xact_lock({_MIGRATION_LOCK})")
            await connection.script("set local lock_timeout = '10s'")
        except BaseException as error:
            await self.__aexit__(type(error), error, None)
            raise
        return connection

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self._block.__aexit__(kind, error, trace)
        finally:
            await self._pool.close()


def _translated(error: BaseException) -> DatabaseError:
    """Return what a caller of ours may see in the place of a driver's error."""
    if isinstance(error, _MET_ANOTHER):
        return Conflict()
    if isinstance(error, asyncpg.LockNotAvailableError | TimeoutError):
        return Busy()
    if is_lost(error):
        return Busy(_UNREACHABLE)
    reason = str(error).partition("\n")[0]  # the lines below it hold what people typed
    return StatementFailed(f"The database refused a statement: {reason}.")


def is_lost(error: BaseException) -> bool:
    """Tell whether the connection, rather than the statement, is at fault."""
    return isinstance(error, _LOST) or (
        isinstance(error, asyncpg.InterfaceError) and not isinstance(error, ValueError)
    )
