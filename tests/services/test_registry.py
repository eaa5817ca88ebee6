"""The registry of models as one process keeps it: reads that overlap."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from palaver.domain.models import ListedModel
from palaver.services.registry import Registry
from palaver.storage.database import Database
from palaver.storage.tx import Tx
from tests.fakes.clock import StillClock


class SlowToLeave:
    """A database whose first read ends when a test says so."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._reads = 0
        self.has_read = asyncio.Event()
        self.may_leave = asyncio.Event()

    @contextlib.asynccontextmanager
    async def read(self) -> AsyncIterator[Tx]:
        self._reads += 1
        is_first = self._reads == 1
        async with self._db.read() as tx:
            yield tx
        if is_first:
            self.has_read.set()
            await self.may_leave.wait()


async def test_a_read_that_began_earlier_and_ends_later_hides_nothing(db: Database) -> None:
    slow = SlowToLeave(db)
    registry = Registry(slow, clock=StillClock())
    async with asyncio.TaskGroup() as group:
        early = group.create_task(registry.rows())
        await slow.has_read.wait()
        async with db.transaction() as tx:
            listed = [ListedModel("new", "New")]
            await tx.models.put("a", listed, is_active=True, listed_at=1, at=1)
        assert list(await registry.rows(anew=True)) == ["a/new"]
        slow.may_leave.set()
    assert list(early.result()) == ["a/new"]
    assert list(await registry.rows()) == ["a/new"]
