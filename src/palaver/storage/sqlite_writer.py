"""Group commit: one connection that writes, many tasks under each of its commits.

Nothing in the body of a transaction really suspends, so a task runs from `async with` to the end of
the block in one step of the event loop. Each body has a savepoint of its own; all bodies of one
turn of the loop make a batch, and one COMMIT, run in a thread, makes the batch durable. Who comes
meanwhile waits for the next batch. While a COMMIT runs, nobody touches the connection.
"""

import asyncio
import logging
import queue
import threading
from collections import deque
from collections.abc import Callable
from time import perf_counter
from types import TracebackType
from typing import Any, Final, TypeAlias

import apsw

from palaver.storage.database import (
    Busy,
    Closed,
    CommitFailed,
    NestedTransaction,
    Poisoned,
    Suspended,
    commit_times,
)
from palaver.storage.sqlite_connection import SQLiteConnection
from palaver.storage.tx import Tx

log = logging.getLogger(__name__)

MAX_BATCH: Final = 256
BUSY_MILLISECONDS: Final = 5_000
"""How long another process may keep the write lock before those who wait get `Busy`."""

Batch: TypeAlias = "list[asyncio.Future[None]]"
"""Those who wait for one COMMIT."""

Inside: TypeAlias = "set[asyncio.Task[Any] | None]"
"""The tasks that are inside a block of a database."""


class Writer:
    """The writing connection, and whose turn it is. All of it on the loop but two thread jobs."""

    def __init__(self, raw: apsw.Connection, inside: Inside, *, max_batch: int = MAX_BATCH) -> None:
        self.raw = raw
        self.inside = inside
        self.commits = commit_times()
        self.holder: WriteBlock | None = None  # whose body runs now
        self._max_batch = max_batch
        self._loop = asyncio.get_running_loop()
        self._batch: Batch | None = None
        self._changes = 0  # of the connection, when the batch began
        self._is_away = False  # a thread has the connection
        self._is_closed = False
        self._settled: asyncio.Future[None] | None = None  # what `close` waits for
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="palaver-commit", daemon=True)
        self._thread.start()

    def has_turn(self, *, is_newcomer: bool) -> bool:
        """Tell whether a body may run now, inside a transaction that this opens if need be."""
        if self._is_away or self.holder is not None or (is_newcomer and self._waiting):
            return False
        if self._batch is not None:
            return len(self._batch) < self._max_batch
        try:
            if self._is_closed:
                raise Closed("The database is closed.")
            self.raw.execute("begin immediate")
        except apsw.BusyError:  # another process writes; wait for it, but not on the loop
            self._is_away = True
            self._jobs.put(self._begin)
            return False
        except (apsw.Error, Closed) as error:
            self._wake()
            if isinstance(error, Closed):
                raise
            raise CommitFailed(f"The database cannot be written: {error}") from error
        self._open_batch()
        return True

    async def turn(self) -> None:
        """Wait until a body may run."""
        is_newcomer = True
        while True:
            # One future each: canceling a task cancels what it awaits.
            turn = self._loop.create_future()
            (self._waiting.append if is_newcomer else self._waiting.appendleft)(turn)
            is_newcomer = False
            try:
                await turn
            except BaseException:
                if turn.done() and not turn.cancelled():  # a turn given to the dead goes on
                    self._wake()
                raise
            if self.has_turn(is_newcomer=False):
                return

    @property
    def waiting(self) -> int:
        """Return how many wait for their turn."""
        return len(self._waiting)

    def join(self) -> "asyncio.Future[None]":
        """Return what is done when this batch is durable; raises `CommitFailed` when it is lost."""
        if self._batch is None:
            raise CommitFailed("The transaction was lost.")
        done = self._loop.create_future()
        self._batch.append(done)
        return done

    def lose_batch(self, cause: Exception) -> None:
        """Tell everybody in the batch that SQLite threw all of it away (disk full, I/O error)."""
        self._roll_back()
        batch, self._batch = self._batch or [], None
        self._settle(batch, cause)

    async def close(self) -> None:
        """Let the batch become durable, then give the connection up; who waits gets `Closed`."""
        if self._is_closed:
            return
        self._is_closed = True
        while self._batch is not None or self._is_away:
            self._settled = self._loop.create_future()
            await self._settled
        self._jobs.put(None)
        self._thread.join()
        self.raw.close()

    def _open_batch(self) -> None:
        batch: Batch = []
        self._batch = batch
        self._changes = self.raw.total_changes()
        # Runs after every task that is ready in this turn of the loop: they all still join.
        self._loop.call_soon(self._close_batch, batch)

    def _close_batch(self, batch: Batch) -> None:
        if self._batch is batch and self.holder is not None:
            self._evict(self.holder)
        if self._batch is not batch:  # lost meanwhile
            return
        self._batch = None
        if self.raw.total_changes() == self._changes:  # nothing to sync: not worth the thread
            self._settle(batch, self._commit())
        else:
            self._is_away = True
            self._jobs.put(lambda: self._commit_in_thread(batch))

    def _evict(self, holder: "WriteBlock") -> None:
        # Its body has suspended: the others would have to wait for whatever it waits for.
        self.holder = None
        holder.connection.ended = Suspended
        try:
            self.raw.execute("rollback to body")
            self.raw.execute("release body")
        except apsw.Error as error:
            self.lose_batch(error)

    def _settle(self, batch: Batch, error: Exception | None) -> None:
        self._is_away = False
        if error is not None:
            log.error("a commit of %d transactions failed: %s", len(batch), error)
        for done in batch:
            if done.done():
                continue
            if error is None:
                done.set_result(None)
            else:  # to each its own: a shared exception would gather their tracebacks
                failed = CommitFailed(f"The transaction could not be committed: {error}")
                failed.__cause__ = error
                done.set_exception(failed)
        self._go_on()

    def _begun(self, error: Exception | None) -> None:
        self._is_away = False
        if error is None:
            self._open_batch()
        else:
            log.warning("another process kept the database for too long: %s", error)
            while self._waiting:
                turn = self._waiting.popleft()
                if not turn.done():
                    turn.set_exception(Busy())
        self._go_on()

    def _go_on(self) -> None:
        if self._settled is not None and not self._settled.done():
            self._settled.set_result(None)
        self._wake()

    def _wake(self) -> None:
        room = self._max_batch
        while room and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                room -= 1

    def _roll_back(self) -> None:
        if self.raw.in_transaction:
            try:
                self.raw.execute("rollback")
            except apsw.Error:
                log.exception("a rollback failed")

    def _commit(self) -> Exception | None:
        # After a failed fsync the pages that the kernel dropped are written again: the next commit
        # starts at the same place of the log, and a checkpoint counts only what it has synced.
        try:
            self.raw.execute("commit")
        except Exception as error:  # noqa: BLE001  # nobody may wait forever
            self._roll_back()
            return error
        return None

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()

    def _commit_in_thread(self, batch: Batch) -> None:
        begun = perf_counter()
        error = self._commit()
        self.commits.observe(perf_counter() - begun)  # nobody else does, while we are away
        self._loop.call_soon_threadsafe(self._settle, batch, error)

    def _begin(self) -> None:
        error: Exception | None = None
        try:
            self.raw.set_busy_timeout(BUSY_MILLISECONDS)
            self.raw.execute("begin immediate")
        except Exception as caught:  # noqa: BLE001  # nobody may wait forever
            error = caught
        finally:
            self.raw.set_busy_timeout(0)
        self._loop.call_soon_threadsafe(self._begun, error)


class WriteBlock:
    """One `async with db.transaction() as tx`."""

    __slots__ = ("_task", "_writer", "connection")

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def __aenter__(self) -> Tx:
        writer = self._writer
        self._task = asyncio.current_task()
        if self._task in writer.inside:
            raise NestedTransaction("A task that is inside a block of the database opened another.")
        if not writer.has_turn(is_newcomer=True):
            await writer.turn()
        writer.raw.execute("savepoint body")
        writer.holder = self
        writer.inside.add(self._task)
        self.connection = SQLiteConnection(writer.raw)
        return Tx(self.connection)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        writer, connection = self._writer, self.connection
        writer.inside.discard(self._task)
        if connection.ended is Suspended:  # rolled back long ago
            if error is None:
                raise Suspended("A transaction awaited something other than its tx.")
            return
        writer.holder = None
        connection.ended, failure = Closed, connection.failure
        try:
            if (error is not None or failure is not None) and writer.raw.in_transaction:
                writer.raw.execute("rollback to body")
            writer.raw.execute("release body")
        except apsw.Error as lost:
            writer.lose_batch(lost)
            if error is None:
                raise CommitFailed(f"The transaction was lost: {lost}") from failure or lost
            return
        # A failed body waits too: what made it fail may rest on rows that are not durable yet.
        await writer.join()
        if error is None and failure is not None:
            raise Poisoned("A statement had failed, so the whole transaction failed.") from failure
