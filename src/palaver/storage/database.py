"""The face of both engines: transactions to write, reads, and what can go wrong with them."""

import asyncio
import functools
import random
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, ParamSpec, Protocol, TypeVar

from palaver.domain.errors import DomainError, ErrorKind
from palaver.kit.metrics import Histogram
from palaver.storage.connection import Connection
from palaver.storage.statements import Engine
from palaver.storage.tx import Tx

P = ParamSpec("P")
R = TypeVar("R")

_PAUSES_SECONDS: Final = (0.005, 0.02, 0.08)


def commit_times() -> Histogram:
    """Return what both engines count their commits in."""
    return Histogram(
        "palaver_database_commit_duration_seconds",
        "Seconds that a commit took to be durable; on SQLite many transactions share one.",
        (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5),
    )


class DatabaseError(Exception):
    """The database, or the way it is used, is at fault; the message is a sentence for a person."""


class StatementFailed(DatabaseError):
    """The engine refused a statement (`__cause__` says why); all of the block is rolled back."""


class CommitFailed(DatabaseError):
    """What the transaction wrote is not (on PostgreSQL: may not be) in the database."""


class Poisoned(DatabaseError):
    """A statement had failed, the body went on regardless, and so all of it was rolled back."""


class NestedTransaction(DatabaseError):
    """A block was opened inside another one of the same task."""


class Suspended(DatabaseError):
    """The body of a transaction awaited something other than `tx`, and was rolled back (SQLite)."""


class Closed(DatabaseError):
    """A block was used after its end, or the database after `close`."""


class Busy(DatabaseError, DomainError):
    """Somebody else holds the database, or it cannot be reached; the same call may go through.

    The one trouble of a database that its caller may be told about, so it is both.
    """

    kind = ErrorKind.BUSY

    def __init__(self, message: str = "The database is busy. Try again in a moment.") -> None:
        super().__init__(message, retry_after_seconds=1)


class Conflict(Busy):
    """Two transactions met (deadlock, serialization): all of this one was rolled back."""


class SchemaConnection(Connection, Protocol):
    """What a migration has: the schema to itself."""

    async def script(self, sql: str, /) -> None:
        """Run one statement as it stands, without values."""


class Database(Protocol):
    """One database. Inside a block nothing but its `tx` is awaited; blocks do not nest."""

    engine: Engine

    @property
    def commits(self) -> Histogram:
        """Return how long each took to be durable."""

    def load(self) -> list[str]:
        """Return what is shown of its connections, and of who waits for them, as metrics."""

    def transaction(self) -> AbstractAsyncContextManager[Tx]:
        """Open a block that writes: all of it or nothing, durable once the block has ended.

        An exception rolls back. A caller canceled in the body leaves nothing; one canceled while
        it waits for the commit does not know. Raises `Busy`, `Conflict`, `CommitFailed`.
        """

    def read(self, *, snapshot: bool = False) -> AbstractAsyncContextManager[Tx]:
        """Open a block that reads; with `snapshot` all its statements see one state."""

    def single(self) -> AbstractAsyncContextManager[Tx]:
        """Open a block for a writer of one statement, which is the whole transaction.

        On PostgreSQL `begin` and `commit` would double what it costs.
        """

    def exclusive(self) -> AbstractAsyncContextManager[SchemaConnection]:
        """Open a transaction that may change the schema, with no other migration beside it."""

    async def keep_copy(self, name: str) -> None:
        """Keep the database as it is now in `<database>.<name>` (SQLite only)."""

    async def listen(self, channel: str, hear: Callable[[str | None], None]) -> None:
        """Call `hear` with each notice that a commit sends on this channel, for ever.

        With "" once it listens, with None when notices may be lost until the next "". Returns at
        once on SQLite, where no other process serves.
        """

    async def close(self) -> None:
        """Let open transactions end, and give up every connection."""


def retrying(method: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    """Run a use case again, up to three times, when its transaction met another (`Conflict`)."""

    @functools.wraps(method)
    async def again(*args: P.args, **kwargs: P.kwargs) -> R:
        for pause in _PAUSES_SECONDS:
            try:
                return await method(*args, **kwargs)
            except Conflict:
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311  # no secret
        return await method(*args, **kwargs)

    return again
