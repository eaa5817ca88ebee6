from collections.abc import AsyncIterator

import pytest

from palaver.kit.clock import system_clock
from palaver.streaming.runs import Runs
from tests.fakes.logs import MemoryLog


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog()


@pytest.fixture
async def runs(log: MemoryLog) -> AsyncIterator[Runs]:
    """A worker of several; nothing in it is slower than it must be."""
    runs = Runs(
        log,
        clock=system_clock,
        is_alone=False,
        watch_interval_seconds=0.01,
        tail_interval_seconds=0.002,
    )
    await runs.start()
    yield runs
    await runs.close()
