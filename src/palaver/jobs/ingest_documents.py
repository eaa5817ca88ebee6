"""Reads documents as they come. Decision record: docs/decisions, "Documents are read in turn"."""

from collections.abc import Awaitable, Callable
from typing import Final

from palaver.domain.users import SYSTEM
from palaver.services.ingestion import IngestionService, Lane

LOOK_SECONDS: Final = 1.0
"""How often a worker looks for what another one was given, or has left behind."""


def ingest_documents(ingestion: IngestionService, lane: Lane) -> Callable[[], Awaitable[float]]:
    """Return the step of one lane's loop: an upload to this worker wakes it at once."""

    async def step() -> float:
        if not await ingestion.ingest_next(SYSTEM, lane):
            await lane.bell.wait(LOOK_SECONDS)
        return 0.0

    return step
